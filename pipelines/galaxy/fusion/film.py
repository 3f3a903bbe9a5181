"""Feature-wise linear modulation: the table scales and shifts the features of the image (Perez et al. 2018, arXiv:1709.07871).

    y = (1 + gamma(table)) norm(x) + beta(table),   x <- x + W relu(y),   for every image token

gamma and beta start at zero and are zero where the table is absent: the fusion then is the image-only model.
NOTE: one modulation of the finished tokens, not one within each layer of the backbone, so that every backbone will do.

Axes: b batch, n image token, f width of the fusion.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .modality import Fusion, Sequence


class FilmFusion(Fusion):
    """See `Fusion` for the call; `n_blocks` modulations, each with a table network of its own."""

    sees_table_tokens = False

    def __init__(
        self, d_image: int, d_table: int, d_fusion: int = 64, *, n_blocks: int = 2, dropout: float = 0.1,
        positions: tuple[int, int] | None = None,
    ):  # fmt: skip
        super().__init__(d_image, d_table, d_fusion, positions)
        # an absent table modulates nothing: nothing would ever train its token
        self.table.missing.requires_grad_(False)
        self.norms = nn.ModuleList([nn.LayerNorm(d_fusion) for _ in range(n_blocks)])
        self.modulate = nn.ModuleList([_zeroed(nn.Linear(d_fusion, 2 * d_fusion)) for _ in range(n_blocks)])
        self.mix = nn.ModuleList([nn.Linear(d_fusion, d_fusion) for _ in range(n_blocks)])
        self.out = nn.Linear(2 * d_fusion, d_fusion)
        self.dropout = nn.Dropout(dropout)

    def joined(self, image: Sequence, table: Sequence) -> Tensor:
        x, condition = image.tokens, torch.relu(table.pooled)
        for norm, modulate, mix in zip(self.norms, self.modulate, self.mix, strict=True):
            gamma, beta = self._modulation(modulate, condition, table.present)
            x = x + mix(torch.relu((1.0 + gamma) * norm(x) + beta))
        mean = x.mean(1) if image.mask is None else _masked_mean(x, image.mask)
        return self.dropout(torch.relu(self.out(torch.cat((x[:, 0], mean), dim=1))))

    @staticmethod
    def _modulation(layer: nn.Module, condition: Tensor, present: Tensor | None) -> tuple[Tensor, Tensor]:
        both = layer(condition)
        if present is not None:
            both = both.masked_fill(~present[:, None], 0.0)
        return both[:, None].chunk(2, dim=-1)


def _zeroed(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    weight = mask.to(x.dtype)[..., None]
    return (weight * x).sum(1) / weight.sum(1)
