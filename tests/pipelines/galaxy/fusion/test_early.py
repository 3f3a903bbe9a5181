"""One sequence of both modalities, read at the class token."""

import torch
from torch import nn

from sciml.pipelines.galaxy.fusion.early import EarlyFusion


def test_with_closed_gates_only_the_class_token_is_left(modalities):
    fusion = EarlyFusion(10, 7, 8, n_heads=2, dropout=0.0).double().eval()
    with torch.no_grad():
        for block in fusion.blocks:
            block.gate.zero_()
    assert torch.equal(fusion(*modalities), fusion.norm(fusion.cls).expand(4, -1))


def test_modalities_are_told_apart(modalities):
    """Image and table tokens with the same numbers are not the same to the model."""
    _, table = modalities
    from sciml.pipelines.galaxy.backbones.layout import ImageFeatures

    fusion = EarlyFusion(7, 7, 8, n_heads=2, dropout=0.0).double().eval()
    fusion.table.load_state_dict(fusion.image.state_dict())
    nn.init.normal_(fusion.types)
    one, other = table[:, :2], table[:, 2:4]
    a = fusion(ImageFeatures(one[:, 1:], one[:, 0], None), other)
    b = fusion(ImageFeatures(other[:, 1:], other[:, 0], None), one)
    assert not torch.allclose(a, b, atol=1e-9)
    with torch.no_grad():
        fusion.types.zero_()
    a = fusion(ImageFeatures(one[:, 1:], one[:, 0], None), other)
    b = fusion(ImageFeatures(other[:, 1:], other[:, 0], None), one)
    assert torch.allclose(a, b, atol=1e-12)
