"""The parts transformers are made of: multi-head attention on `sciml.kernels.attention`, gated feed-forward layers.

    attention(x, y) = concat_h(softmax(Q K^T / sqrt(d_head)) V) W_o,   Q = x W_q, K = y W_k, V = y W_v
    gated layer     = (a * f(b)) W,   [a b] = x U,   f = relu (ReGLU) or gelu (GEGLU)

Sources: Vaswani et al. 2017 (arXiv:1706.03762), Shazeer 2020 (arXiv:2002.05202).
Axes: b batch, h head, i query token, j key token, d width.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch.nn.functional as F
from torch import Tensor, nn

from sciml.kernels.attention.dispatch import attention, attention_weights
from sciml.pipelines.errors import SettingsError

ACTIVATIONS = {"reglu": F.relu, "geglu": F.gelu}


class MultiheadAttention(nn.Module):
    """x [b, i, d_query], context [b, j, d_key] -> [b, i, d_query]; without a context, self-attention.

    Args:
        d_query: width of the tokens that ask, and of the output.
        n_heads: number of heads.
        d_key: width of the tokens that answer; d_query where it is None.
        d_head: width of one head; d_query / n_heads where it is None.
        bias: whether query, key and value have biases (they start at zero).
        mix: whether a linear layer mixes the heads; a single head of the full width needs none.
        dropout: rate on the attention weights.
    """

    def __init__(
        self,
        d_query: int,
        n_heads: int,
        *,
        d_key: int | None = None,
        d_head: int | None = None,
        bias: bool = True,
        mix: bool = True,
        dropout: float = 0.0,
    ):
        super().__init__()
        if n_heads < 1 or (d_head is None and d_query % n_heads):
            raise SettingsError(f"a width of {d_query} does not divide into {n_heads} attention heads")
        self.n_heads, self.dropout = n_heads, dropout
        inner = d_query if d_head is None else n_heads * d_head
        self.query = nn.Linear(d_query, inner, bias=bias)
        self.key = nn.Linear(d_key or d_query, inner, bias=bias)
        self.value = nn.Linear(d_key or d_query, inner, bias=bias)
        self.out = nn.Linear(inner, d_query) if mix else None
        for layer in (self.query, self.key, self.value, self.out):
            if layer is not None and layer.bias is not None:
                nn.init.zeros_(layer.bias)
        self.recording = False
        self.weights: Tensor | None = None

    def forward(self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """mask bool, [b, j] or [b, i, j] (b may be 1): True where a token of the context may be looked at."""
        y = x if context is None else context
        q, k, v = self._heads(self.query(x)), self._heads(self.key(y)), self._heads(self.value(y))
        allowed = mask
        if mask is not None:
            allowed = mask[:, None, None, :] if mask.ndim == 2 else mask[:, None]
        if self.recording:
            self.weights = attention_weights(q.detach(), k.detach(), mask=allowed)
        out = attention(q, k, v, mask=allowed, dropout=self.dropout if self.training else 0.0)
        joined = out.transpose(1, 2).flatten(2)
        return joined if self.out is None else self.out(joined)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)


class FeedForward(nn.Module):
    """[..., d] -> [..., d] through d_hidden gated units; `activation` is a name in ACTIVATIONS."""

    def __init__(self, d: int, d_hidden: int, activation: str = "reglu", dropout: float = 0.0):
        super().__init__()
        self.inner = nn.Linear(d, 2 * d_hidden)
        self.outer = nn.Linear(d_hidden, d)
        self.dropout = nn.Dropout(dropout)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.inner(x).chunk(2, dim=-1)
        return self.outer(self.dropout(a * self.activation(b)))


@contextmanager
def recorded_attention(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Within the block every attention layer also forms its weights; the dict holds them by layer name when it ends.

    Fused kernels never form the weights, so they are computed a second time and only on request.
    """
    # duck-typed: the shared-similarity layer records as well
    layers = {name: layer for name, layer in model.named_modules() if hasattr(layer, "recording")}
    maps: dict[str, Tensor] = {}
    for layer in layers.values():
        layer.recording, layer.weights = True, None
    try:
        yield maps
    finally:
        for name, layer in layers.items():
            if layer.weights is not None:
                maps[name] = layer.weights
            layer.recording, layer.weights = False, None
