"""Intermediate fusion by cross-attention: the tokens of one modality ask those of the other.

    table_to_image   T <- T + attention(T, I)
    bidirectional    T <- T + attention(T, I),  I <- I + attention(I, T)
    shared           both directions from one similarity S = (T W)(I V)^T / sqrt(d): softmax over image tokens for T, over
                     table tokens for I (Hiller et al. 2024, arXiv:2402.12138), half the products of bidirectional

then a gated feed-forward layer on each stream that was updated. Sources: Vaswani et al. 2017 (arXiv:1706.03762), Tan &
Bansal 2019 (arXiv:1908.07490) for two streams. Image tokens carry learned 2-D positions, table tokens their columns.

Axes: b batch, h head, i table token, j image token, f width of the fusion.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sciml.kernels.attention.dispatch import attention, attention_weights
from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.transformer import FeedForward

from .blocks import FusionBlock
from .modality import Fusion, Sequence

DIRECTIONS = ("table_to_image", "bidirectional", "shared")


class SharedAttention(nn.Module):
    """(table [b, i, f], image [b, j, f]) -> what each learns from the other, from one similarity of both."""

    def __init__(self, d: int, n_heads: int, dropout: float = 0.0):
        super().__init__()
        if d % n_heads:
            raise SettingsError(f"a width of {d} does not divide into {n_heads} attention heads")
        self.n_heads, self.dropout = n_heads, dropout
        self.match = nn.ModuleList([nn.Linear(d, d) for _ in range(2)])
        self.value = nn.ModuleList([nn.Linear(d, d) for _ in range(2)])
        self.out = nn.ModuleList([nn.Linear(d, d) for _ in range(2)])
        self.recording = False
        self.weights: Tensor | None = None

    def forward(
        self, table: Tensor, image: Tensor, table_mask: Tensor | None, image_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Masks [b, i] and [b, j], bool, True where a token may be looked at."""
        t, i = self._heads(self.match[0](table)), self._heads(self.match[1](image))
        values = self._heads(self.value[0](table)), self._heads(self.value[1](image))
        allowed = [None if mask is None else mask[:, None, None, :] for mask in (table_mask, image_mask)]
        if self.recording:
            self.weights = attention_weights(t.detach(), i.detach(), mask=allowed[1])
        rate = self.dropout if self.training else 0.0
        # the transposed similarity is the similarity with the roles exchanged: no kernel has to keep it
        to_table = attention(t, i, values[1], mask=allowed[1], dropout=rate)
        to_image = attention(i, t, values[0], mask=allowed[0], dropout=rate)
        return self.out[0](_joined(to_table)), self.out[1](_joined(to_image))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)


class TwoStreamBlock(nn.Module):
    """(table, image) -> (table, image), both updated; `shared` uses one similarity for both directions."""

    no_decay_names = ("gate",)

    def __init__(self, d: int, n_heads: int, dropout: float, shared: bool):
        super().__init__()
        self.shared = None
        if shared:
            self.norms = nn.ModuleList([nn.LayerNorm(d) for _ in range(4)])
            self.shared = SharedAttention(d, n_heads, dropout)
            self.ffn = nn.ModuleList([FeedForward(d, 2 * d, "geglu", dropout) for _ in range(2)])
            self.gate = nn.Parameter(torch.ones(()))
        else:
            self.context_norms = nn.ModuleList([nn.LayerNorm(d) for _ in range(2)])
            self.table = FusionBlock(d, n_heads, dropout)
            self.image = FusionBlock(d, n_heads, dropout)

    def forward(self, table: Sequence, image: Sequence) -> tuple[Sequence, Sequence]:
        if self.shared is None:
            of_table, of_image = self.context_norms[0](table.tokens), self.context_norms[1](image.tokens)
            t = self.table(table.tokens, of_image, image.mask)
            i = self.image(image.tokens, of_table, table.mask)
        else:
            t, i = table.tokens, image.tokens
            to_table, to_image = self.shared(self.norms[0](t), self.norms[1](i), table.mask, image.mask)
            t, i = t + self.gate * to_table, i + self.gate * to_image
            t = t + self.gate * self.ffn[0](self.norms[2](t))
            i = i + self.gate * self.ffn[1](self.norms[3](i))
        return table._replace(tokens=t), image._replace(tokens=i)


class CrossAttentionFusion(Fusion):
    """See `Fusion` for the call; `direction` is a name in DIRECTIONS.

    The embedding is the table's first token for table_to_image, and one layer over the first tokens of both streams
    otherwise.
    """

    def __init__(
        self,
        d_image: int,
        d_table: int,
        d_fusion: int = 64,
        *,
        direction: str = "table_to_image",
        n_blocks: int = 2,
        n_heads: int = 4,
        dropout: float = 0.1,
        positions: tuple[int, int] | None = None,
    ):
        super().__init__(d_image, d_table, d_fusion, positions)
        if direction not in DIRECTIONS:
            raise SettingsError(f'unknown cross-attention "{direction}"; accepted: {", ".join(DIRECTIONS)}')
        self.direction = direction
        if direction == "table_to_image":
            self.context_norm = nn.LayerNorm(d_fusion)
            self.blocks = nn.ModuleList([FusionBlock(d_fusion, n_heads, dropout) for _ in range(n_blocks)])
            self.join = None
        else:
            shared = direction == "shared"
            self.blocks = nn.ModuleList([TwoStreamBlock(d_fusion, n_heads, dropout, shared) for _ in range(n_blocks)])
            self.join = nn.Linear(2 * d_fusion, d_fusion)
        self.norm = nn.LayerNorm(d_fusion)

    def joined(self, image: Sequence, table: Sequence) -> Tensor:
        if self.direction == "table_to_image":
            x, context = table.tokens, self.context_norm(image.tokens)
            for block in self.blocks:
                x = block(x, context, image.mask)
            return self.norm(x[:, 0])
        for block in self.blocks:
            table, image = block(table, image)
        return self.norm(self.join(torch.cat((table.pooled, image.pooled), dim=1)))

    def look_at_image(self, maps: dict[str, Tensor], n: int) -> Tensor:
        """Attention [b, n] of the pooled table token to the n image tokens, from recorded weights."""
        towards = [weights for name, weights in maps.items() if not name.endswith("image.attention")]
        return torch.stack([weights[:, :, 0, 1 : 1 + n].mean(1) for weights in towards]).mean(0)


def _joined(heads: Tensor) -> Tensor:
    return heads.transpose(1, 2).flatten(2)
