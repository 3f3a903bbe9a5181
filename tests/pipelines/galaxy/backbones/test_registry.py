"""Every encoder by name: what is accepted, what is suggested, and that a trained one is made again without its weights."""

import json

import pytest
import torch

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.galaxy.backbones import registry, weights
from sciml.pipelines.galaxy.backbones.registry import (
    FAMILIES,
    build_backbone,
    check_name,
    list_models,
    rebuild_backbone,
)
from sciml.pipelines.timm_import import import_timm


@pytest.mark.parametrize("name", ["cnn", "cnn_fine", "test_convnext", "test_vit"])
@pytest.mark.parametrize("bands, size", [(1, 64), (5, 96)])
def test_one_call_for_every_kind(name, bands, size):
    backbone = build_backbone(name, bands, size, mean=(0.3,) * bands, std=(2.0,) * bands).eval()
    tokens, pooled, grid = backbone(torch.randn(2, bands, size, size))
    assert tokens.shape == (2, grid[0] * grid[1], backbone.d_image) and pooled.shape == (2, backbone.d_image)
    assert backbone.norm.mean.flatten().tolist() == pytest.approx([0.3] * bands)
    again = rebuild_backbone(name, bands, size, json.loads(json.dumps(getattr(backbone, "description", None)))).eval()
    again.load_state_dict(backbone.state_dict())
    image = torch.randn(2, bands, size, size)
    assert torch.equal(again(image).pooled, backbone(image).pooled)


@pytest.mark.parametrize("bands", [1, 3])
def test_statmorph_is_a_backbone(bands):
    backbone = build_backbone("statmorph", bands, 64, arguments={"d_image": 16})
    tokens, pooled, grid = backbone(torch.rand(2, bands, 64, 64))
    assert tokens.shape == (2, bands * len(backbone.columns), 16) and pooled.shape == (2, 16) and grid is None
    assert backbone.token_grid(64) is None and backbone.depth_of("pool.0.weight") == (0, 1)


def test_families_stand_for_models_timm_has():
    timm = import_timm()
    assert all(timm.is_model(model.partition(".")[0]) for model in FAMILIES.values())
    assert all(check_name(name) == name for name in (*FAMILIES, *registry.OWN, "resnet18.a1_in1k", "zoobot:resnet18"))


@pytest.mark.parametrize(
    "name, message",
    [
        ("resnet81", 'unknown backbone "resnet81"; did you mean'),
        ("cmn", 'unknown backbone "cmn"; did you mean "cnn"'),
        ("resnet18.imagenet", '"resnet18" has no weights "imagenet"; '),
        ("zoobot:convnextnano", 'unknown Zoobot encoder "convnextnano"; did you mean "convnext_nano"'),
        ("zobot:convnext_nano", "accepted with a colon: zoobot:, hf-hub:, local-dir:"),
    ],
)
def test_unknown_names_are_answered_with_near_ones(name, message):
    with pytest.raises(SettingsError, match=message):
        build_backbone(name, 3, 64)


def test_wrong_arguments_are_named():
    with pytest.raises(SettingsError, match='"cnn" does not take these arguments.*depth'):
        build_backbone("cnn", 3, 64, arguments={"depth": 3})
    with pytest.raises(SettingsError, match='"cnn" has no pretrained weights'):
        build_backbone("cnn", 3, 64, pretrained=True)


@pytest.mark.parametrize("prefix", ["local-dir:", "zoobot:"])
def test_a_folder_makes_the_round_trip(prefix, save_encoder):
    folder, network = save_encoder("test_vit", img_size=64)
    backbone = build_backbone(f"{prefix}{folder}", 3, 64).eval()
    image = torch.rand(2, 3, 64, 64)
    # Zoobot was trained without normalization; others say in their configuration what they were trained with
    mean, std = (0.0, 1.0) if prefix == "zoobot:" else (torch.tensor([0.5, 0.4, 0.3])[:, None, None], 0.2)
    assert torch.equal(backbone.encode(image), network.forward_features((image - mean) / std))
    for file in folder.iterdir():
        file.unlink()
    again = rebuild_backbone(f"{prefix}{folder}", 3, 64, backbone.description).eval()
    again.load_state_dict(backbone.state_dict())
    assert torch.equal(again(image).tokens, backbone(image).tokens)


def test_a_repository_on_the_hub_is_a_folder(save_encoder, monkeypatch):
    folder, _ = save_encoder()
    monkeypatch.setattr(registry, "hub_folder", lambda repository, typed: {"me/galaxies": folder}[repository])
    assert build_backbone("hf-hub:me/galaxies", 1, 64).description["architecture"] == "test_resnet"


@pytest.mark.parametrize("name, pretrained", [("resnet", True), ("clip", True), ("zoobot:resnet18", False)])
def test_without_a_network_the_recipe_is_printed(name, pretrained, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(weights, "cached_folder", lambda repository: None)
    with pytest.raises(DataError, match="HF_HUB_OFFLINE is set") as caught:
        build_backbone(name, 3, 64, pretrained=pretrained)
    assert "hf download" in caught.value.hint and "--backbone" in caught.value.hint


def test_the_list_of_models_can_be_searched():
    names = [entry.name for entry in list_models("convnext")]
    assert {"convnext", "zoobot:convnext_nano", "convnext_atto"} <= set(names) and "cnn" not in names
    assert {entry.kind for entry in list_models()} == {"own", "family", "zoobot", "prefix", "timm"}
    assert [entry.name for entry in list_models("zoobot:resnet??")] == ["zoobot:resnet18", "zoobot:resnet50"]
    assert "hf-hub:OWNER/NAME" in [entry.name for entry in list_models("hf-hub")]
