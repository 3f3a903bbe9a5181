"""The reference against the definition, written as loops, and against finite differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.kernels.attention import reference


def arrays(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


def test_one_query_by_hand():
    q, k, v = np.array([[2.0]]), np.array([[0.0], [1.0]]), np.array([[10.0], [20.0]])
    p = np.exp(2.0) / (1.0 + np.exp(2.0))
    assert reference.attention(q, k, v) == pytest.approx(10 * (1 - p) + 20 * p)
    assert reference.attention(q, k, v, scale=0.0) == pytest.approx(15.0)
    assert reference.attention(q, k, v, mask=[[True, False]]) == pytest.approx(10.0)
    assert reference.attention(q, k, v, bias=[[0.0, -2.0]]) == pytest.approx(15.0)
    assert reference.attention(q, k, v, bias=[[0.0, -2.0]], keep=[[2.0, 0.0]]) == pytest.approx(10.0)


@settings(deadline=None, max_examples=30)
@given(
    n=st.integers(1, 5),
    m=st.integers(1, 6),
    d=st.integers(1, 7),
    shift=st.floats(-1e3, 1e3),
    seed=st.integers(0, 9999),
)
def test_laws_of_the_softmax(n, m, d, shift, seed):
    q, k, v, bias = arrays(seed, (2, n, d), (2, m, d), (2, m, 3), (n, m))
    p = reference.weights(q, k, bias=bias)
    assert np.allclose(p.sum(-1), 1.0, atol=1e-14) and (p >= 0).all()
    assert np.allclose(reference.weights(q, k, bias=bias + shift), p, atol=1e-10)
    order = np.random.default_rng(seed).permutation(m)
    permuted = reference.attention(q, k[:, order], v[:, order], bias=bias[:, order])
    assert np.allclose(permuted, reference.attention(q, k, v, bias=bias), atol=1e-13)


def test_a_query_without_keys_is_zero_and_large_products_do_not_overflow():
    q, k, v = arrays(0, (3, 4), (5, 4), (5, 2))
    mask = np.ones((3, 5), bool)
    mask[1] = False
    out = reference.attention(1e200 * q, k, v, mask=mask, scale=1e-100)
    assert np.isfinite(out).all() and not out[1].any() and out[0].any()
    assert reference.attention(q, k[:0], v[:0]).tolist() == [[0.0, 0.0]] * 3


def test_gradients_are_finite_differences():
    q, k, v, grad = arrays(1, (2, 3, 4), (2, 5, 4), (2, 5, 2), (2, 3, 2))
    mask = np.random.default_rng(2).random((2, 3, 5)) > 0.3
    got = reference.gradients(q, k, v, grad, mask=mask)
    for index, step in enumerate(arrays(3, q.shape, k.shape, v.shape)):
        values = []
        for sign in (1, -1):
            moved = [q, k, v]
            moved[index] = moved[index] + sign * 1e-6 * step
            values.append((grad * reference.attention(*moved, mask=mask)).sum())
        assert (values[0] - values[1]) / 2e-6 == pytest.approx((got[index] * step).sum(), rel=1e-7)


def test_widths_must_agree():
    with pytest.raises(ValueError, match="width 3 and keys of width 4"):
        reference.weights(np.ones((1, 3)), np.ones((2, 4)))
