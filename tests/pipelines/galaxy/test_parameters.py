"""Groups for the optimizer: every trainable parameter once, what decays, rates by layer."""

from dataclasses import replace

import pytest
import torch

from sciml.pipelines.galaxy.fusion.registry import FUSIONS
from sciml.pipelines.galaxy.model import ModelShape, build
from sciml.pipelines.galaxy.parameters import parameter_groups, undecayed

SMALL = ModelShape(
    image_size=16, n_bands=1, n_continuous=2, cardinalities=(3,), d_fusion=8,
    backbone_arguments={"widths": (4, 4, 6, 8)}, table_arguments={"d_block": 8, "n_heads": 2},
)  # fmt: skip


def names_of(model, group):
    by_id = {id(p): name for name, p in model.named_parameters()}
    return {by_id[id(p)] for p in group["params"]}


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("layer_decay", [1.0, 0.5])
def test_every_trainable_parameter_is_in_one_group(fusion, layer_decay):
    model = build(replace(SMALL, fusion=fusion))
    groups = parameter_groups(model, 1e-3, 1e-2, layer_decay=layer_decay)
    listed = [id(p) for group in groups for p in group["params"]]
    assert sorted(listed) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    assert len({group["name"] for group in groups}) == len(groups)
    torch.optim.AdamW(groups)


def test_only_matrices_of_layers_decay():
    model = build(SMALL)
    groups = {group["name"]: group for group in parameter_groups(model, 1e-3, 1e-2)}
    assert groups["model"]["weight_decay"] == groups["backbone"]["weight_decay"] == 1e-2
    assert groups["model.plain"]["weight_decay"] == groups["backbone.plain"]["weight_decay"] == 0.0
    decayed = names_of(model, groups["model"]) | names_of(model, groups["backbone"])
    assert all(name.endswith(".weight") for name in decayed)
    spared = ("tokenizer", "missing", "positions", "norm", "gate", "cls", "types")
    assert not [name for name in decayed if any(word in name for word in spared)]
    assert {"head.linear.weight", "fusion.blocks.0.attention.query.weight", "backbone.stem.weight"} <= decayed


def test_what_timm_spares_is_spared():
    model = build(replace(SMALL, backbone="test_vit", backbone_arguments={}, image_size=32))
    assert {"backbone.network.pos_embed", "backbone.network.cls_token", "fusion.image.positions"} <= undecayed(model)
    assert "backbone.network.blocks.0.mlp.fc1.weight" not in undecayed(model)


@pytest.mark.parametrize("backbone, arguments", [("cnn", {"widths": (4, 4, 6, 8)}), ("test_vit", {})])
def test_rates_fall_from_the_last_layer_down(backbone, arguments):
    model = build(replace(SMALL, backbone=backbone, backbone_arguments=arguments, image_size=32))
    groups = parameter_groups(model, 1e-3, 1e-2, backbone_lr=1e-4, layer_decay=0.5)
    _, n_layers = model.backbone.depth_of(next(iter(dict(model.backbone.named_parameters()))))
    for group in groups:
        if group["name"].startswith("model"):
            assert group["lr"] == 1e-3
            continue
        layer = int(group["name"].split(".")[1])
        assert group["lr"] == pytest.approx(1e-4 * 0.5 ** (n_layers - 1 - layer))
        assert all(model.backbone.depth_of(n.removeprefix("backbone."))[0] == layer for n in names_of(model, group))
    rates = {group["lr"] for group in groups if group["name"].startswith("backbone")}
    assert max(rates) == pytest.approx(1e-4) and len(rates) == n_layers


def test_a_frozen_backbone_has_no_group():
    model = build(SMALL).freeze_backbone()
    assert {group["name"] for group in parameter_groups(model, 1e-3, 1e-2)} == {"model", "model.plain"}
