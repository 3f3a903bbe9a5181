"""Both towers against torch's and timm's own transformers; classification by sentences from a folder of tiny towers."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.galaxy.backbones.clip import MERGER_PROMPTS, ImageTower, TextTower, ZeroShotClip, _renamed
from sciml.pipelines.galaxy.backbones.clip_tokens import END, START, WORD_END, byte_letters
from sciml.pipelines.timm_import import import_timm

LETTERS = list(byte_letters().values())
VOCABULARY = {p: n for n, p in enumerate([*LETTERS, *(letter + WORD_END for letter in LETTERS), START, END])}
TEXT = {"vocab_size": 514, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "max_position_embeddings": 77, "hidden_act": "gelu"}  # fmt: skip
VISION = {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 16,
          "patch_size": 8, "hidden_act": "quick_gelu"}  # fmt: skip


def tower(prefix, d, hidden, n_layers):
    """Weights of the layers of one tower under the names of the format."""
    names = {}
    for i in range(n_layers):
        start = f"{prefix}.encoder.layers.{i}."
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            names |= {f"{start}self_attn.{part}.weight": (d, d), f"{start}self_attn.{part}.bias": (d,)}
        for part in ("layer_norm1", "layer_norm2"):
            names |= {f"{start}{part}.weight": (d,), f"{start}{part}.bias": (d,)}
        names |= {f"{start}mlp.fc1.weight": (hidden, d), f"{start}mlp.fc1.bias": (hidden,)}
        names |= {f"{start}mlp.fc2.weight": (d, hidden), f"{start}mlp.fc2.bias": (d,)}
    return names


SHAPES = (
    tower("text_model", 16, 32, 2)
    | tower("vision_model", 24, 48, 2)
    | {f"{name}.{leaf}": (d,) for name, d in (("text_model.final_layer_norm", 16), ("vision_model.pre_layrnorm", 24),
       ("vision_model.post_layernorm", 24)) for leaf in ("weight", "bias")}
    | {"logit_scale": (), "text_projection.weight": (12, 16), "visual_projection.weight": (12, 24),
       "text_model.embeddings.token_embedding.weight": (514, 16),
       "text_model.embeddings.position_embedding.weight": (77, 16),
       "vision_model.embeddings.class_embedding": (24,),
       "vision_model.embeddings.patch_embedding.weight": (24, 3, 8, 8),
       "vision_model.embeddings.position_embedding.weight": (5, 24)}
)  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A CLIP model of tiny random towers in the layout of Hugging Face."""
    made = torch.Generator().manual_seed(0)
    state = {name: 0.3 * torch.randn(shape, generator=made) for name, shape in SHAPES.items()}
    state["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    save_file(state, tmp_path / "model.safetensors")
    config = {"projection_dim": 12, "text_config": TEXT, "vision_config": VISION}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "vocab.json").write_text(json.dumps(VOCABULARY))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    return tmp_path


def randomized(module):
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
    return module.double().eval()


def test_the_text_tower_is_a_causal_transformer_of_torch():
    ours = randomized(TextTower(TEXT, 12))
    layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True)
    theirs = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).double().eval()
    for mine, their in zip(ours.layers, theirs.layers, strict=True):
        parts = (mine.attention.query, mine.attention.key, mine.attention.value)
        copied = {
            "self_attn.in_proj_weight": torch.cat([part.weight for part in parts]),
            "self_attn.in_proj_bias": torch.cat([part.bias for part in parts]),
        }
        for name, module in (("self_attn.out_proj", mine.attention.out), ("linear1", mine.inner), ("linear2", mine.outer),
                             ("norm1", mine.attention_norm), ("norm2", mine.ffn_norm)):  # fmt: skip
            copied |= {f"{name}.weight": module.weight, f"{name}.bias": module.bias}
        their.load_state_dict(copied)
    numbers = torch.randint(0, 500, (3, 9))
    numbers[0, 4], numbers[1, 8], numbers[2, 2:] = 513, 513, 513
    x = ours.token(numbers) + ours.position[:9]
    x = theirs(x, mask=nn.Transformer.generate_square_subsequent_mask(9, dtype=torch.float64))
    want = ours.project(ours.norm(torch.stack([x[0, 4], x[1, 8], x[2, 2]])))
    assert torch.allclose(ours(numbers, 513), want, atol=1e-12)


def test_the_image_tower_is_that_of_timm():
    import_timm()
    from timm.models.vision_transformer import VisionTransformer

    ours = randomized(ImageTower(VISION | {"layer_norm_eps": 1e-6}, 12))
    theirs = VisionTransformer(
        img_size=16, patch_size=8, embed_dim=24, depth=2, num_heads=3, mlp_ratio=2.0, pre_norm=True, num_classes=12,
        norm_layer="layernorm", act_layer="quick_gelu",
    ).double().eval()  # fmt: skip
    copied = {
        "cls_token": ours.cls[None, None],
        "pos_embed": ours.position[None],
        "patch_embed.proj.weight": ours.patch.weight,
    }
    pairs = [("norm_pre", ours.norm_before), ("norm", ours.norm)]
    for i, layer in enumerate(ours.layers):
        parts = (layer.attention.query, layer.attention.key, layer.attention.value)
        copied[f"blocks.{i}.attn.qkv.weight"] = torch.cat([part.weight for part in parts])
        copied[f"blocks.{i}.attn.qkv.bias"] = torch.cat([part.bias for part in parts])
        pairs += [(f"blocks.{i}.attn.proj", layer.attention.out), (f"blocks.{i}.norm1", layer.attention_norm),
                  (f"blocks.{i}.norm2", layer.ffn_norm), (f"blocks.{i}.mlp.fc1", layer.inner),
                  (f"blocks.{i}.mlp.fc2", layer.outer)]  # fmt: skip
    for name, module in pairs:
        copied |= {f"{name}.weight": module.weight, f"{name}.bias": module.bias}
    copied |= {"head.weight": ours.project.weight, "head.bias": torch.zeros(12)}
    missing = theirs.load_state_dict(copied, strict=False)
    assert not missing.missing_keys and not missing.unexpected_keys
    image = torch.randn(2, 3, 16, 16).double()
    assert torch.allclose(ours(image), theirs(image), atol=1e-12)


def test_classes_by_sentences(folder):
    model = ZeroShotClip.from_folder(folder)
    image = torch.rand(4, 3, 20, 20)
    p = model.classify(image)
    assert p.shape == (4, len(MERGER_PROMPTS)) and torch.allclose(p.sum(1), torch.ones(4), atol=1e-6)
    assert torch.allclose(model.encode_image(image).norm(dim=1), torch.ones(4), atol=1e-6)
    swapped = model.classify(image, dict(reversed(MERGER_PROMPTS.items())))
    assert torch.allclose(swapped.flip(1), p, atol=1e-6)
    one = model.classify(image, {"a": "a galaxy", "b": ["a merger"]})
    assert torch.allclose(one, model.classify(image, {"a": ["a galaxy"], "b": ["a merger"]}))
    grey = torch.rand(2, 1, 16, 16)
    assert torch.equal(model.classify(grey), model.classify(grey.expand(-1, 3, -1, -1)))


def test_the_definition_of_the_probability(folder):
    model = ZeroShotClip.from_folder(folder)
    image, prompts = torch.rand(3, 3, 16, 16), {"a": ["galaxy"], "b": ["two galaxies", "merger"]}
    f = model.encode_image(image)
    g = [model.encode_text(texts).mean(0) for texts in prompts.values()]
    scores = [model.log_scale.exp() * (f * (v / v.norm())).sum(1) for v in g]
    assert torch.allclose(model.classify(image, prompts), torch.stack(scores, 1).softmax(1), atol=1e-6)


def test_every_weight_of_the_format_has_a_place(folder):
    model = ZeroShotClip.from_folder(folder)
    assert {_renamed(name) for name in SHAPES} == {name for name, _ in model.named_parameters()}
    assert _renamed("vision_model.embeddings.position_ids") is None


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda f: (f / "config.json").unlink(), "config.json does not exist"),
        (lambda f: (f / "config.json").write_text("{"), "is no JSON"),
        (lambda f: (f / "config.json").write_text("[]"), "holds no JSON object"),
        (
            lambda f: (f / "config.json").write_text('{"architecture": "x"}'),
            "describes no CLIP model: it has no projection",
        ),
        (lambda f: (f / "model.safetensors").unlink(), "has no model.safetensors"),
        (lambda f: (f / "model.safetensors").write_bytes(b"1234567890"), "not a whole safetensors file"),
        (lambda f: save_file({"a": torch.zeros(1)}, f / "model.safetensors"), "first difference"),
        (lambda f: (f / "merges.txt").unlink(), "no vocab.json and merges.txt"),
    ],
)
def test_what_is_wrong_with_a_folder_is_named(damage, message, folder):
    damage(folder)
    with pytest.raises(DataError, match=message):
        ZeroShotClip.from_folder(folder)


def test_towers_of_another_shape_are_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["intermediate_size"] = 40
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match="size mismatch"):
        ZeroShotClip.from_folder(folder)


def test_wrong_images_and_prompts(folder):
    model = ZeroShotClip.from_folder(folder)
    with pytest.raises(SettingsError, match=r"3 bands \(or 1, shown as grey\), got images \[2, 5, 16, 16\]"):
        model.classify(torch.rand(2, 5, 16, 16))
    for prompts in ({"a": ["x"]}, {"a": ["x"], "b": []}):
        with pytest.raises(SettingsError, match="2 classes with a sentence each"):
            model.classify(torch.rand(1, 3, 16, 16), prompts)
