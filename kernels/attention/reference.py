"""Scaled dot-product attention written down: float64 NumPy, the oracle of every faster path.

    p = softmax_j(scale q_i . k_j + bias_ij),   out_i = sum_j p_ij keep_ij v_j,   scale = 1 / sqrt(d)

(Vaswani et al. 2017, arXiv:1706.03762, eq. 1). A query that may attend to no key gets zero, and so does its gradient.

Axes: ... batch and head, i query, j key, d width of queries and keys, e width of values.
"""

import numpy as np


def weights(q, k, *, mask=None, bias=None, scale: float | None = None) -> np.ndarray:
    """Attention weights p [..., i, j]; each row sums to 1, or to 0 where no key is allowed.

    Args:
        q: [..., i, d].
        k: [..., j, d].
        mask: bool, broadcastable to [..., i, j]; True where query i may attend to key j.
        bias: real, broadcastable to [..., i, j]; added to the scaled products.
        scale: factor of the products; 1 / sqrt(d) where it is None.

    Raises:
        ValueError: the widths of q and k differ.
    """
    q, k = np.asarray(q, np.float64), np.asarray(k, np.float64)
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(f"queries of width {q.shape[-1]} and keys of width {k.shape[-1]} have no scalar product")
    logits = (q @ np.swapaxes(k, -1, -2)) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if bias is not None:
        logits = logits + np.asarray(bias, np.float64)
    if mask is not None:
        logits = np.where(mask, logits, -np.inf)
    if not logits.shape[-1]:
        return logits
    top = logits.max(axis=-1, keepdims=True)
    # exp(-inf - -inf) is NaN: a row without any key is shifted by 0 instead
    powers = np.exp(logits - np.where(np.isneginf(top), 0.0, top))
    total = powers.sum(axis=-1, keepdims=True)
    return np.divide(powers, total, out=np.zeros_like(powers), where=total > 0)


def attention(q, k, v, *, mask=None, bias=None, scale: float | None = None, keep=None) -> np.ndarray:
    """out [..., i, e] of the equation above.

    Args:
        q, k, mask, bias, scale: as in `weights`.
        v: [..., j, e].
        keep: broadcastable to [..., i, j]; factor of each weight. Dropout at rate r is 0 or 1 / (1 - r).
    """
    p = weights(q, k, mask=mask, bias=bias, scale=scale)
    return (p if keep is None else p * keep) @ np.asarray(v, np.float64)


def gradients(q, k, v, grad, *, mask=None, bias=None, scale: float | None = None) -> tuple[np.ndarray, ...]:
    """(dq, dk, dv) for the gradient `grad` [..., i, e] of the output; q, k, v have the same leading axes.

    With dp = grad v^T the softmax passes back ds = p (dp - sum_j p dp).
    """
    q, k, v, grad = (np.asarray(x, np.float64) for x in (q, k, v, grad))
    factor = q.shape[-1] ** -0.5 if scale is None else scale
    p = weights(q, k, mask=mask, bias=bias, scale=scale)
    dp = grad @ np.swapaxes(v, -1, -2)
    ds = p * (dp - (p * dp).sum(axis=-1, keepdims=True))
    return factor * ds @ k, factor * np.swapaxes(ds, -1, -2) @ q, np.swapaxes(p, -1, -2) @ grad
