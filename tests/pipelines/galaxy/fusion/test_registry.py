"""Laws that hold for every fusion: what is absent has no influence, everything learns, order does not matter."""

import pytest
import torch

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.backbones.layout import ImageFeatures
from sciml.pipelines.galaxy.fusion.registry import FUSIONS, build_fusion, fusion_class

SOME = torch.tensor([True, False, True, False])
OTHER = torch.tensor([True, True, False, False])


def made(name, positions=(3, 2), **arguments):
    torch.manual_seed(1)
    fusion = build_fusion(name, 10, 7, 8, positions=positions, arguments={"dropout": 0.0} | arguments).double().eval()
    with torch.no_grad():
        for parameter in fusion.parameters():
            # zero starts would make the laws hold for nothing
            parameter.add_(0.1 * torch.randn_like(parameter))
    return fusion


@pytest.mark.parametrize("name", FUSIONS)
def test_an_absent_modality_has_no_influence(name, modalities):
    image, table = modalities
    fusion = made(name)
    before = fusion(image, table, SOME, OTHER)
    wild_image = ImageFeatures(image.tokens.clone(), image.pooled.clone(), image.grid)
    wild_image.tokens[~SOME], wild_image.pooled[~SOME] = torch.nan, torch.inf
    wild_table = table.clone()
    wild_table[~OTHER] = torch.nan
    leaves = [x.requires_grad_() for x in (wild_image.tokens, wild_image.pooled, wild_table)]
    after = fusion(wild_image, wild_table, SOME, OTHER)
    assert torch.equal(before, after) and torch.isfinite(before).all()
    after.sum().backward()
    gradients = [p.grad for p in (*fusion.parameters(), *leaves) if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert torch.allclose(before[3], fusion(None, table, None, OTHER)[3], atol=1e-12), "an object without anything"


@pytest.mark.parametrize("name", FUSIONS)
def test_no_image_in_the_batch_is_an_absent_image_of_each_object(name, modalities):
    image, table = modalities
    fusion, nobody = made(name), torch.zeros(4, dtype=torch.bool)
    assert torch.allclose(fusion(None, table), fusion(image, table, nobody, None), atol=1e-12)
    assert torch.allclose(fusion(image, None), fusion(image, table, None, nobody), atol=1e-12)


@pytest.mark.parametrize("name", FUSIONS)
def test_presence_of_all_is_the_plain_call(name, modalities):
    fusion, everyone = made(name), torch.ones(4, dtype=torch.bool)
    assert torch.allclose(fusion(*modalities), fusion(*modalities, everyone, everyone), atol=1e-12)


@pytest.mark.parametrize("name", FUSIONS)
def test_objects_do_not_see_each_other(name, modalities):
    image, table = modalities
    fusion = made(name)
    alone = fusion(ImageFeatures(image.tokens[1:2], image.pooled[1:2], image.grid), table[1:2])
    assert torch.allclose(alone, fusion(image, table)[1:2], atol=1e-12)


@pytest.mark.parametrize("name", FUSIONS)
def test_image_tokens_have_no_order_without_positions(name, modalities):
    image, table = modalities
    order = torch.tensor([5, 2, 0, 4, 1, 3])
    shuffled = image._replace(tokens=image.tokens[:, order])
    assert torch.allclose(made(name, None)(image, table), made(name, None)(shuffled, table), atol=1e-12)
    if fusion_class(name).sees_image_tokens and name != "film":
        assert not torch.allclose(made(name)(image, table), made(name)(shuffled, table), atol=1e-9)


@pytest.mark.parametrize("name", FUSIONS)
def test_column_tokens_behind_the_pooled_one_have_no_order(name, modalities):
    image, table = modalities
    shuffled = table[:, [0, 3, 4, 1, 2]]
    assert torch.allclose(made(name)(image, table), made(name)(image, shuffled), atol=1e-12)


@pytest.mark.parametrize("name", FUSIONS)
def test_both_modalities_and_every_parameter_learn(name, modalities):
    image, table = modalities
    fusion = made(name)
    leaves = [x.requires_grad_() for x in (image.tokens, image.pooled, table)]
    fusion(image, table, SOME, OTHER).square().sum().backward()
    assert leaves[1].grad[0].abs().sum() > 0 and leaves[2].grad[0].abs().sum() > 0
    learned = {n: p for n, p in fusion.named_parameters() if p.requires_grad}
    dead = [n for n, p in learned.items() if p.grad is None or not p.grad.abs().sum() > 0]
    # a bias of the keys moves every logit of a softmax alike
    assert [n for n in dead if not n.endswith("key.bias")] == []


@pytest.mark.parametrize("name", FUSIONS)
def test_another_grid_than_at_training(name, modalities):
    _, table = modalities
    image = ImageFeatures(torch.randn(4, 20, 10).double(), torch.randn(4, 10).double(), (5, 4))
    assert made(name)(image, table).shape == (4, made(name).d_fusion)
    assert made(name)(image._replace(grid=None), table).shape == (4, made(name).d_fusion)


def test_unknown_names_arguments_and_nothing_at_all(modalities):
    with pytest.raises(SettingsError, match='unknown fusion "cros"; did you mean "cross"'):
        build_fusion("cros", 1, 1, 8)
    with pytest.raises(SettingsError, match='"late" does not take these arguments.*n_heads'):
        build_fusion("late", 1, 1, 8, arguments={"n_heads": 2})
    with pytest.raises(SettingsError, match="both are absent"):
        made("late")(None, None)
