"""Early fusion: image and table tokens are one sequence from the first block on, read out at a class token.

    x = [cls, image tokens + type, table tokens + type],   x <- x + attention(norm x),   x <- x + ffn(norm x)

(the single-stream form, e.g. Kim et al. 2021, arXiv:2102.03334).

Axes: b batch, n token, f width of the fusion.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .blocks import FusionBlock
from .modality import Fusion, Sequence


class EarlyFusion(Fusion):
    """Self-attention over the tokens of both modalities; see `Fusion` for the call.

    Args:
        d_image, d_table, d_fusion: widths; n_blocks, n_heads, dropout: of the transformer.
        positions: grid of the image tokens, for learned 2-D positions; None for none.
    """

    no_decay_names = ("cls", "types")

    def __init__(
        self,
        d_image: int,
        d_table: int,
        d_fusion: int = 64,
        *,
        n_blocks: int = 2,
        n_heads: int = 4,
        dropout: float = 0.1,
        positions: tuple[int, int] | None = None,
    ):
        super().__init__(d_image, d_table, d_fusion, positions)
        self.cls = nn.Parameter(torch.empty(d_fusion).normal_(std=0.02))
        self.types = nn.Parameter(torch.empty(2, d_fusion).normal_(std=0.02))
        self.blocks = nn.ModuleList([FusionBlock(d_fusion, n_heads, dropout) for _ in range(n_blocks)])
        self.norm = nn.LayerNorm(d_fusion)

    def joined(self, image: Sequence, table: Sequence) -> Tensor:
        size = image.tokens.shape[0]
        parts = (self.cls.expand(size, 1, -1), image.tokens + self.types[0], table.tokens + self.types[1])
        x, mask = torch.cat(parts, dim=1), None
        if image.mask is not None or table.mask is not None:
            flags = [x.new_ones(size, 1, dtype=torch.bool)]
            for part in (image, table):
                full = x.new_ones(part.tokens.shape[:2], dtype=torch.bool)
                flags.append(full if part.mask is None else part.mask)
            mask = torch.cat(flags, dim=1)
        for block in self.blocks:
            x = block(x, mask=mask)
        return self.norm(x[:, 0])

    def look_at_image(self, maps: dict[str, Tensor], n: int) -> Tensor:
        """Attention [b, n] of the class token to the n image tokens, from recorded weights."""
        # before them in the sequence: the class token and the pooled image
        return torch.stack([weights[:, :, 0, 2 : 2 + n].mean(1) for weights in maps.values()]).mean(0)
