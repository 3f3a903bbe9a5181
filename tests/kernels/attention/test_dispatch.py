"""Every implementation equals the reference: values, gradients, masks, biases, dropout."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.kernels.attention import reference
from sciml.kernels.attention.dispatch import attention, attention_weights, implementations

TOLERANCE = {torch.float64: 1e-13, torch.float32: 2e-6}


def tensors(seed, *shapes, dtype=torch.float64):
    made = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=made, dtype=torch.float64).to(dtype) for shape in shapes]


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(1, 7),
    m=st.integers(1, 9),
    d=st.sampled_from([1, 3, 8, 16]),
    masked=st.booleans(),
    biased=st.booleans(),
    scale=st.sampled_from([None, 0.3]),
    dtype=st.sampled_from([torch.float64, torch.float32]),
    name=st.sampled_from(implementations()),
    seed=st.integers(0, 9999),
)
def test_values_equal_the_reference(n, m, d, masked, biased, scale, dtype, name, seed):
    q, k, v, bias, draw = tensors(
        seed, (2, 3, n, d), (2, 3, m, d), (2, 3, m, d), (1, 3, n, m), (2, 1, n, m), dtype=dtype
    )
    mask, bias = (draw > 0 if masked else None), (bias if biased else None)
    out = attention(q, k, v, mask=mask, bias=bias, scale=scale, implementation=name)
    want = reference.attention(*(x.double().numpy() for x in (q, k, v)), scale=scale,
                               mask=None if mask is None else mask.numpy(),
                               bias=None if bias is None else bias.double().numpy())  # fmt: skip
    assert out.dtype == dtype
    assert np.abs(out.double().numpy() - want).max() < TOLERANCE[dtype]
    p = attention_weights(q, k, mask=mask, bias=bias, scale=scale)
    assert torch.allclose(p @ v, out, atol=TOLERANCE[dtype] * 4)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_gradients_equal_the_reference_also_where_a_query_has_no_key(dtype):
    q, k, v, grad, draw = tensors(5, (2, 4, 8), (2, 6, 8), (2, 6, 8), (2, 4, 8), (2, 4, 6), dtype=dtype)
    mask = draw > 0
    mask[0, 1] = False
    leaves = [x.requires_grad_() for x in (q, k, v)]
    out = attention(*leaves, mask=mask)
    assert not out[0, 1].any()
    out.backward(grad)
    want = reference.gradients(*(x.detach().double().numpy() for x in (q, k, v, grad)), mask=mask.numpy())
    for leaf, exact in zip(leaves, want, strict=True):
        assert np.abs(leaf.grad.double().numpy() - exact).max() < 10 * TOLERANCE[dtype]


def test_the_output_does_not_depend_on_what_is_masked():
    q, k, v = tensors(6, (1, 3, 4), (1, 5, 4), (1, 5, 4))
    mask = torch.tensor([True, True, False, True, False])
    other_k, other_v = k.clone(), v.clone()
    other_k[:, 2], other_v[:, 4] = 50.0, -7.0
    assert torch.equal(attention(q, k, v, mask=mask), attention(q, other_k, other_v, mask=mask))


@pytest.mark.parametrize("name", implementations())
def test_dropout_keeps_the_mean(name):
    torch.manual_seed(0)
    q, k, v = tensors(7, (1, 2, 4), (1, 5, 4), (1, 5, 3))
    drawn = torch.stack([attention(q, k, v, dropout=0.3, implementation=name) for _ in range(2000)])
    assert drawn.std(0).max() > 0.1
    assert torch.allclose(drawn.mean(0), attention(q, k, v), atol=0.1)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"implementation": "flash9"}, 'unknown attention implementation "flash9"; accepted: auto, torch'),
        ({"mask": torch.ones(2, 2)}, "mask must be bool"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
        ({"v": torch.ones(1, 3, 2)}, r"v \(1, 3, 2\)"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    q = torch.ones(1, 2, 2)
    with pytest.raises(ValueError, match=message):
        attention(**({"q": q, "k": q, "v": q} | change))
