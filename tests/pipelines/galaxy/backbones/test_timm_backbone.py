"""timm models as encoders: every layout, number of bands and size; weights of a folder; layers."""

import json

import pytest
import torch

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.galaxy.backbones import timm_backbone
from sciml.pipelines.galaxy.backbones.timm_backbone import build_timm
from sciml.pipelines.galaxy.backbones.weights import read_folder
from sciml.pipelines.timm_import import import_timm

# timm's own miniatures of each kind: NCHW, tokens with a class token, tokens only
SMALL = ["test_resnet", "test_efficientnet", "test_convnext", "test_vit", "test_byobnet"]
NAMED = [
    "resnet18",
    "resnet50",
    "efficientnet_b0",
    "convnext_atto",
    "vit_tiny_patch16_224",
    "swin_tiny_patch4_window7_224",
    "vit_base_patch32_clip_224.openai",
]
OTHERS = [
    "maxvit_rmlp_pico_rw_256", "mobilenetv4_conv_small", "regnety_002", "vit_small_patch14_dinov2", "deit3_small_patch16_224",
    "xcit_nano_12_p16_224", "pvt_v2_b0", "edgenext_xx_small", "crossvit_tiny_240", "beit_base_patch16_224", "levit_128s",
    "mixer_s32_224", "densenet121", "swinv2_cr_tiny_ns_224", "coatnet_pico_rw_224", "hrnet_w18_small",
    "repvgg_a0", "eva02_tiny_patch14_224", "tf_efficientnetv2_b0", "poolformer_s12", "cait_xxs24_224", "dla34", "vgg11_bn",
    "resnet50_clip.openai", "convnext_base.clip_laion2b",
]  # fmt: skip


def check(backbone, bands, size, n=2):
    torch.manual_seed(0)
    backbone.eval()
    image = torch.randn(n, bands, size, size)
    with torch.no_grad():
        out, alone = backbone(image), backbone(image[:1])
    assert out.tokens.shape[::2] == (n, backbone.d_image) and out.pooled.shape == (n, backbone.d_image)
    assert out.grid == backbone.token_grid(size)
    assert out.grid is None or out.grid[0] * out.grid[1] == out.tokens.shape[1]
    assert torch.isfinite(out.tokens).all() and torch.isfinite(out.pooled).all()
    assert torch.allclose(out.tokens[:1], alone.tokens, atol=1e-4, rtol=1e-3)
    depths = [backbone.depth_of(name) for name, _ in backbone.named_parameters()]
    assert len({n for _, n in depths}) == 1 and all(0 <= layer < n for layer, n in depths)


@pytest.mark.parametrize("bands, size", [(1, 64), (3, 96), (5, 64)])
@pytest.mark.parametrize("name", SMALL)
def test_small_models(name, bands, size):
    check(build_timm(name, bands, size), bands, size)


@pytest.mark.slow
@pytest.mark.parametrize("bands, size", [(1, 64), (3, 96), (5, 64), (3, 64)])
@pytest.mark.parametrize("name", NAMED)
def test_named_models(name, bands, size):
    backbone = build_timm(name, bands, size)
    assert backbone.size == (size, size)
    check(backbone, bands, size)


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_other_models(name):
    check(build_timm(name, 4, 64), 4, 64)


def test_tokens_lie_where_their_pixels_do():
    """A bright corner changes the token of that corner most, whatever the layout."""
    torch.manual_seed(0)
    for name in ("test_convnext", "test_vit"):
        backbone = build_timm(name, 1, 64).eval()
        dark = torch.zeros(1, 1, 64, 64)
        bright = dark.clone()
        bright[..., :16, 48:] = 5.0
        with torch.no_grad():
            change = (backbone(bright).tokens - backbone(dark).tokens).norm(dim=-1)[0]
        height, width = backbone.token_grid(64)
        assert change.argmax() == width - 1, name


def test_channels_last_tokens_are_unified():
    """Swin keeps NHWC: token n is row n // width, column n % width."""
    options = {"depths": (1, 1), "num_heads": (2, 2), "embed_dim": 16}
    backbone = build_timm("swin_tiny_patch4_window7_224", 2, 64, arguments=options).eval()
    image = torch.randn(1, 2, 64, 64)
    raw = backbone.encode(image)
    assert raw.shape == (1, 8, 8, 32) and backbone.d_image == 32
    assert torch.equal(backbone.read(raw).tokens[0, 8 * 3 + 5], raw[0, 3, 5])


def test_a_size_the_model_does_not_take_is_resampled():
    backbone = build_timm("test_vit", 3, 50).eval()
    assert backbone.size == (64, 64)
    assert backbone(torch.randn(2, 3, 50, 50)).pooled.shape == (2, backbone.d_image)


@pytest.mark.parametrize(
    "name, layout", [("test_efficientnet", torch.channels_last), ("test_vit", torch.contiguous_format)]
)
def test_convolutions_see_channels_last_and_give_the_same_numbers(name, layout):
    backbone = build_timm(name, 3, 64).eval().double()
    assert backbone.memory_format == layout
    image = torch.randn(2, 3, 64, 64).double()
    before = backbone(image)
    backbone.memory_format = torch.contiguous_format
    torch.testing.assert_close(backbone(image).tokens, before.tokens, atol=1e-12, rtol=1e-9)


def test_pooled_is_what_timm_pools():
    for name in ("test_resnet", "test_vit"):
        backbone = build_timm(name, 3, 64).eval()
        image = torch.rand(2, 3, 64, 64)
        assert torch.allclose(backbone(image).pooled, backbone.network(image), atol=1e-6)


def test_a_head_that_widens_is_left_out():
    backbone = build_timm("mobilenetv4_conv_small", 3, 64).eval()
    assert backbone.d_image == backbone.network.num_features
    backbone.train()
    out = backbone(torch.randn(4, 3, 64, 64))
    (out.tokens.sum() + out.pooled.sum()).backward()
    assert all(p.grad is not None for p in backbone.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_weights_of_a_folder_are_loaded_bit_by_bit(name, save_encoder):
    folder, network = save_encoder(name, **({"img_size": 64} if name == "test_vit" else {}))
    backbone = build_timm("", 3, 64, weights=read_folder(folder)).eval()
    image = torch.rand(2, 3, 64, 64)
    normal = (image - torch.tensor([0.5, 0.4, 0.3])[:, None, None]) / 0.2
    if name == "test_resnet":
        normal = normal.contiguous(memory_format=torch.channels_last)  # as convolutions get it: the order of a sum is its bits
    assert torch.equal(backbone.encode(image), network.forward_features(normal))
    assert backbone.description["architecture"] == name
    json.dumps(backbone.description)
    again = build_timm(name, 3, 64, arguments=backbone.description["arguments"]).eval()
    again.load_state_dict(backbone.state_dict())
    assert torch.equal(again(image).pooled, backbone(image).pooled)


@pytest.mark.parametrize("bands", [1, 5])
def test_the_first_layer_is_adapted_to_other_bands(bands, save_encoder):
    folder, network = save_encoder()
    backbone = build_timm("", bands, 64, weights=read_folder(folder)).eval()
    ours, theirs = backbone.state_dict()["network.conv1.0.weight"], network.state_dict()["conv1.0.weight"]
    assert ours.shape[1] == bands
    if bands == 1:
        assert torch.allclose(ours[:, 0], theirs.sum(1), atol=1e-6)
    assert torch.allclose(backbone.norm.mean.flatten(), torch.full((bands,), 0.4))


@pytest.mark.parametrize("name", ["test_resnet", "vit_tiny_patch16_224"])
def test_weights_in_the_cache_need_no_network(name, save_encoder, monkeypatch):
    """The second model's weights have a loader of their own in timm, which reads another kind of file."""
    folder, network = save_encoder(name)
    asked = []
    monkeypatch.setattr(timm_backbone, "hub_folder", lambda repository, typed: asked.append(repository) or folder)
    backbone = build_timm(name, 3, 224 if "vit" in name else 64, pretrained=True)
    assert asked[0].startswith(f"timm/{name}.")
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in backbone.network.state_dict().items())
    assert backbone.norm.std.flatten().tolist() != [1.0, 1.0, 1.0]


def test_weights_of_another_size_of_cutouts_fit(save_encoder):
    folder, _ = save_encoder("test_vit")
    backbone = build_timm("", 3, 64, weights=read_folder(folder)).eval()
    assert backbone.size == (64, 64) and torch.isfinite(backbone(torch.rand(1, 3, 64, 64)).pooled).all()


def test_weights_of_another_network_are_refused(save_encoder):
    folder, _ = save_encoder("test_vit")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architecture": "test_resnet"}))
    with pytest.raises(DataError, match='model.safetensors do not load into "test_resnet"'):
        build_timm("", 3, 64, weights=read_folder(folder))
    (folder / "model.safetensors").write_bytes(b"\x10" * 100)
    with pytest.raises(DataError, match='model.safetensors do not load into "test_resnet"'):
        build_timm("", 3, 64, weights=read_folder(folder))
    (folder / "config.json").write_text(json.dumps(config | {"architecture": "no_such_net"}))
    with pytest.raises(DataError, match='encoder: timm has no architecture "no_such_net"'):
        build_timm("", 3, 64, weights=read_folder(folder))


def test_wrong_arguments_are_named():
    with pytest.raises(SettingsError, match='the timm model "test_vit" has no argument "patchsize"'):
        build_timm("test_vit", 3, 64, arguments={"patchsize": 4})
    with pytest.raises(SettingsError, match='timm has no pretrained weights for "botnet50ts_256"'):
        build_timm("botnet50ts_256", 3, 64, pretrained=True)


def test_layers_follow_the_depth_of_the_network():
    backbone = build_timm("test_vit", 3, 64)
    depth = {name: backbone.depth_of(name)[0] for name, _ in backbone.named_parameters()}
    n_layers = backbone.depth_of("network.cls_token")[1]
    n_blocks = len(backbone.network.blocks)
    assert depth["network.patch_embed.proj.weight"] == 0 == depth["network.cls_token"]
    assert [depth[f"network.blocks.{i}.mlp.fc1.weight"] for i in range(n_blocks)] == list(range(1, n_blocks + 1))
    assert n_layers == 1 + n_blocks


def test_import_is_the_repaired_one():
    assert import_timm().is_model("test_vit")
