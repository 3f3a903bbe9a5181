"""Maps of where a model looked: their shapes and sums, uniform where nothing is asked, Grad-CAM by its equation."""

from dataclasses import replace

import pytest
import torch

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.attribution import attention_on_columns, attention_on_image, grad_cam
from sciml.pipelines.galaxy.fusion.registry import FUSIONS
from sciml.pipelines.galaxy.model import ModelShape, build
from sciml.pipelines.galaxy.tabular.batch import TableBatch

SMALL = ModelShape(
    image_size=24, n_bands=1, n_continuous=3, cardinalities=(3,), d_fusion=8,
    backbone_arguments={"widths": (4, 4, 6, 8)}, table_arguments={"d_block": 8, "n_heads": 2},
)  # fmt: skip
LOOKING = ("cross", "cross_bidirectional", "cross_shared", "early")


@pytest.fixture
def image():
    return torch.randn(5, 1, 24, 24, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def table():
    made = torch.Generator().manual_seed(1)
    return TableBatch(torch.randn(5, 3, generator=made), torch.zeros(5, 3, dtype=torch.bool), torch.ones(5, 1).long())


@pytest.mark.parametrize("name", LOOKING)
def test_attention_on_the_image_sums_to_one(name, image, table):
    model = build(replace(SMALL, fusion=name)).train()
    before = [p.clone() for p in model.parameters()]
    share = attention_on_image(model, image, table)
    assert share.shape == (5, 3, 3) and (share > 0).all()
    assert torch.allclose(share.sum((1, 2)), torch.ones(5), atol=1e-5)
    assert not torch.allclose(share[0], share[1], atol=1e-9)
    assert all(torch.equal(p, old) and p.grad is None for p, old in zip(model.parameters(), before, strict=True))


def test_who_asks_nothing_looks_everywhere(image, table):
    model = build(SMALL)
    with torch.no_grad():
        for block in model.fusion.blocks:
            block.attention.query.weight.zero_()
    assert torch.allclose(attention_on_image(model, image, table), torch.full((5, 3, 3), 1 / 9), atol=1e-6)


def test_the_map_points_at_the_token_that_answers(image, table):
    """One token is given a key along every query, so the attention has to lie there."""
    model = build(replace(SMALL, fusion_arguments={"n_blocks": 1, "n_heads": 1}))
    layer = model.fusion.blocks[0].attention
    with torch.no_grad():
        layer.query.weight.zero_()
        layer.query.bias.copy_(torch.ones(8))
        layer.key.bias.zero_()
        layer.key.weight.copy_(torch.ones(8, 8))
        model.fusion.context_norm.weight.zero_()
        model.fusion.context_norm.bias.zero_()
    spread = attention_on_image(model, image, table)
    assert torch.allclose(spread, torch.full((5, 3, 3), 1 / 9), atol=1e-6)
    with torch.no_grad():
        model.fusion.context_norm.weight.fill_(1.0)
        layer.key.weight.zero_()
        layer.key.weight[:, 0] = 20.0
        model.fusion.image.positions.zero_()
        model.fusion.image.positions[0, 1, 2] = 50.0
    share = attention_on_image(model, image, table)
    assert (share.flatten(1).argmax(1) == 1 * 3 + 2).all() and (share[:, 1, 2] > 0.9).all()


@pytest.mark.parametrize("name", [name for name in FUSIONS if name not in LOOKING])
def test_fusions_without_attention_have_no_map(name, image, table):
    assert attention_on_image(build(replace(SMALL, fusion=name)), image, table) is None


def test_attention_among_columns(table):
    model = build(replace(SMALL, backbone=""))
    share = attention_on_columns(model, table)
    assert share.shape == (5, 4) and (share > 0).all() and (share.sum(1) < 1).all()
    with torch.no_grad():
        for block in model.table.blocks:
            block.attention.query.weight.zero_()
    assert torch.allclose(attention_on_columns(model, table), torch.full((5, 4), 0.2), atol=1e-6)
    assert attention_on_columns(build(replace(SMALL, table="mlp", table_arguments={})), table) is None


@pytest.mark.parametrize("backbone", ["cnn", "test_vit"])
@pytest.mark.parametrize("name", [*LOOKING, "late", "film", ""])
def test_grad_cam_lies_on_the_grid(name, backbone, image, table):
    arguments = {} if backbone == "cnn" else {"patch_size": 8}
    shape = replace(SMALL, backbone=backbone, backbone_arguments=arguments or SMALL.backbone_arguments)
    model = build(replace(shape, table="", table_arguments={}) if not name else replace(shape, fusion=name))
    heats = torch.stack([grad_cam(model, image, table, of_class=one) for one in (0, 1)])
    assert heats.shape == (2, 5, 3, 3) and (heats >= 0).all()
    # a ViT whose class token alone is seen has no gradient at its last image tokens
    assert heats.max() == (1.0 if backbone == "cnn" or name in (*LOOKING, "film") else 0.0)
    assert all(p.grad is None for p in model.parameters())


def test_grad_cam_is_its_equation(image):
    model = build(replace(SMALL, table="", table_arguments={})).eval()
    x = model.backbone.encode(image).detach().requires_grad_()
    logits = model.head(model.backbone.read(x).pooled)
    chosen = logits.argmax(1)
    logits[torch.arange(5), chosen].sum().backward()
    heat = torch.relu((x.grad.mean((2, 3), keepdim=True) * x).sum(1)).detach()
    heat = heat / heat.amax((1, 2), keepdim=True).clamp(min=1e-30)
    assert torch.allclose(grad_cam(model, image), heat, atol=1e-5)
    assert torch.allclose(grad_cam(model, image, of_class=chosen), heat, atol=1e-5)


def test_no_grid_no_map(image, table):
    for shape in (replace(SMALL, backbone=""), replace(SMALL, backbone="statmorph", backbone_arguments={})):
        with pytest.raises(SettingsError, match="tokens lie on a grid"):
            grad_cam(build(shape), image, table)
