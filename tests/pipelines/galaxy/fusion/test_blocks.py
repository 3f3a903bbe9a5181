"""A closed gate passes everything through; an open one is the pre-norm block."""

import torch

from sciml.pipelines.galaxy.fusion.blocks import FusionBlock


def test_gate_zero_is_the_identity_and_gate_one_the_block():
    torch.manual_seed(0)
    block = FusionBlock(8, 2).double().eval()
    x, context = torch.randn(2, 3, 8).double(), torch.randn(2, 5, 8).double()
    y = x + block.attention(block.norm(x), context)
    assert torch.allclose(block(x, context), y + block.ffn(block.ffn_norm(y)), atol=1e-14)
    with torch.no_grad():
        block.gate.zero_()
    assert torch.equal(block(x, context), x)
