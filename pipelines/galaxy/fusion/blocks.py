"""The transformer block of the fusions: pre-norm attention to itself or to a context, gated feed-forward layer.

    x <- x + g attention(norm x, context),   x <- x + g ffn(norm x)

The gate g is a learned number per block that starts at 1; at 0 the block passes x through (Alayrac et al. 2022,
arXiv:2204.14198, start at 0, which a network trained from scratch leaves too slowly).

Axes: b batch, i query token, j context token, f width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sciml.pipelines.galaxy.transformer import FeedForward, MultiheadAttention


class FusionBlock(nn.Module):
    """x [b, i, f], context [b, j, f] or None for self-attention -> [b, i, f]."""

    no_decay_names = ("gate",)

    def __init__(self, d: int, n_heads: int, dropout: float = 0.0):
        super().__init__()
        self.norm = nn.LayerNorm(d)
        self.attention = MultiheadAttention(d, n_heads, dropout=dropout)
        self.ffn_norm = nn.LayerNorm(d)
        self.ffn = FeedForward(d, 2 * d, "geglu", dropout)
        self.dropout = nn.Dropout(dropout)
        self.gate = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """mask [b, j] bool: True where a token of the context may be looked at."""
        x = x + self.gate * self.dropout(self.attention(self.norm(x), context, mask))
        return x + self.gate * self.dropout(self.ffn(self.ffn_norm(x)))
