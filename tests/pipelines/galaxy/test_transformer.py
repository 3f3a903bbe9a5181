"""The attention layer equals torch's own; recording changes no number."""

import pytest
import torch
from torch import nn

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.transformer import FeedForward, MultiheadAttention, recorded_attention


def pair(d, heads, d_key):
    ours = MultiheadAttention(d, heads, d_key=d_key).double()
    theirs = nn.MultiheadAttention(d, heads, kdim=d_key, vdim=d_key, batch_first=True).double()
    with torch.no_grad():
        weights = {"query": theirs.q_proj_weight, "key": theirs.k_proj_weight, "value": theirs.v_proj_weight}
        for name, weight in weights.items():
            getattr(ours, name).weight.copy_(weight)
        for name, bias in zip(weights, theirs.in_proj_bias.normal_().chunk(3), strict=True):
            getattr(ours, name).bias.copy_(bias)
        ours.out.load_state_dict(theirs.out_proj.state_dict())
    return ours, theirs


@pytest.mark.parametrize("masked", [False, True])
def test_cross_attention_equals_torch(masked):
    torch.manual_seed(0)
    ours, theirs = pair(12, 3, 7)
    x, y = torch.randn(2, 5, 12, dtype=torch.float64), torch.randn(2, 4, 7, dtype=torch.float64)
    mask = torch.tensor([[True, True, False, True], [True, False, False, True]]) if masked else None
    want, weights = theirs(x, y, y, key_padding_mask=None if mask is None else ~mask, average_attn_weights=False)
    with recorded_attention(ours) as maps:
        got = ours(x, y, mask)
    assert torch.allclose(got, want, atol=1e-14)
    assert torch.allclose(maps[""], weights, atol=1e-14)
    assert torch.equal(got, ours(x, y, mask)) and not ours.recording and ours.weights is None


def test_a_causal_mask_hides_what_follows():
    layer = MultiheadAttention(8, 2).double()
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    causal = torch.ones(1, 5, 5, dtype=torch.bool).tril()
    changed = x.clone()
    changed[:, 3:] = 9.0
    assert torch.equal(layer(x, mask=causal)[:, :3], layer(changed, mask=causal)[:, :3])


def test_a_self_attention_does_not_know_the_order_of_tokens():
    layer, order = MultiheadAttention(8, 2).double(), torch.tensor([3, 0, 2, 1])
    x = torch.randn(2, 4, 8, dtype=torch.float64)
    assert torch.allclose(layer(x)[:, order], layer(x[:, order]), atol=1e-14)


def test_the_gated_layer_is_its_equation():
    layer = FeedForward(4, 6, "geglu").double()
    x = torch.randn(3, 4, dtype=torch.float64)
    a, b = (x @ layer.inner.weight.T + layer.inner.bias).chunk(2, dim=-1)
    gelu = 0.5 * b * (1.0 + torch.erf(b / 2.0**0.5))
    assert torch.allclose(layer(x), (a * gelu) @ layer.outer.weight.T + layer.outer.bias, atol=1e-14)


def test_heads_must_divide_the_width():
    with pytest.raises(SettingsError, match="10 does not divide into 4"):
        MultiheadAttention(10, 4)
