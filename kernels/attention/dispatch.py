"""One call for attention: picks the implementation for where and what the tensors are.

Implementations: `torch` (torch.nn.functional.scaled_dot_product_attention, which itself picks a flash, memory-efficient
or plain kernel) and `reference` (float64 NumPy, no gradient). All follow the equation and the rules of
`sciml.kernels.attention.reference`.

Axes: ... batch and head, i query, j key, d width of queries and keys, e width of values.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from . import reference


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
    dropout: float = 0.0,
    scale: float | None = None,
    implementation: str = "auto",
) -> Tensor:
    """out [..., i, e] in the dtype and on the device of q.

    Args:
        q: [..., i, d].
        k: [..., j, d].
        v: [..., j, e].
        mask: bool, broadcastable to [..., i, j]; True where query i may attend to key j.
        bias: finite, broadcastable to [..., i, j]; added to the scaled products.
        dropout: rate at which single weights are dropped; the caller passes 0 outside training.
        scale: factor of the products; 1 / sqrt(d) where it is None.
        implementation: a name of `implementations()`, or "auto".

    Raises:
        ValueError: unknown implementation, shapes that do not fit, a mask that is not bool.
    """
    _check(q, k, v, mask, dropout)
    name = choose(q) if implementation == "auto" else implementation
    if name not in _IMPLEMENTATIONS:
        raise ValueError(f'unknown attention implementation "{name}"; accepted: auto, {", ".join(_IMPLEMENTATIONS)}')
    return _IMPLEMENTATIONS[name](q, k, v, mask, bias, dropout, scale)


def attention_weights(
    q: Tensor, k: Tensor, *, mask: Tensor | None = None, bias: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """The weights [..., i, j] themselves, which fused kernels never form: for pictures and explanations."""
    logits = (q @ k.transpose(-1, -2)) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if bias is not None:
        logits = logits + bias
    if mask is None:
        return logits.softmax(-1)
    mask, dead = _with_a_key(mask)
    return logits.masked_fill(~mask, -torch.inf).softmax(-1).masked_fill(dead, 0.0)


def implementations() -> tuple[str, ...]:
    """Names `attention` takes besides "auto"."""
    return tuple(_IMPLEMENTATIONS)


def choose(q: Tensor) -> str:
    """The implementation "auto" stands for; today PyTorch's own, on every device."""
    return "torch"


def _check(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float) -> None:
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        shapes = f"q {tuple(q.shape)}, k {tuple(k.shape)}, v {tuple(v.shape)}"
        raise ValueError(f"attention needs q [..., i, d], k [..., j, d], v [..., j, e], got {shapes}")
    if mask is not None and mask.dtype is not torch.bool:
        raise ValueError(f"mask must be bool (True: may attend), got {mask.dtype}; pass additive values as bias")
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"dropout must be in [0, 1), got {dropout}")


def _with_a_key(mask: Tensor) -> tuple[Tensor, Tensor]:
    """(mask where queries without any key see all of them, which queries those were [..., i, 1])."""
    # what a kernel makes of a fully masked row differs between devices: no kernel ever sees one
    dead = ~mask.any(-1, keepdim=True)
    return mask | dead, dead


def _torch(q, k, v, mask, bias, dropout, scale) -> Tensor:
    dead = None
    extra = None if bias is None else bias.to(q.dtype)
    if mask is not None:
        mask, dead = _with_a_key(mask)
        extra = mask if extra is None else extra.masked_fill(~mask, -torch.inf)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=extra, dropout_p=dropout, scale=scale)
    return out if dead is None else out.masked_fill(dead, 0.0)


def _reference(q, k, v, mask, bias, dropout, scale) -> Tensor:
    def plain(x):
        return None if x is None else x.detach().double().cpu().numpy() if x.is_floating_point() else x.cpu().numpy()

    keep = None
    if dropout:
        p = torch.broadcast_shapes(q.shape[:-2], k.shape[:-2]) + (q.shape[-2], k.shape[-2])
        keep = plain(F.dropout(torch.ones(p, dtype=torch.float64), dropout))
    out = reference.attention(plain(q), plain(k), plain(v), mask=plain(mask), bias=plain(bias), scale=scale, keep=keep)
    return torch.from_numpy(out).to(dtype=q.dtype, device=q.device)


_IMPLEMENTATIONS: dict[str, Callable[..., Tensor]] = {"torch": _torch, "reference": _reference}
