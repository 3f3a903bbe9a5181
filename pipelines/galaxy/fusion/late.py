"""Late fusion: each modality is finished on its own; their vectors are joined by one layer, or their verdicts averaged.

    concatenate   e = relu(W [image, table] + b)
    average       e = (image present * image + table present * table) / number present

Axes: b batch, f width of the fusion.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sciml.pipelines.errors import SettingsError

from .modality import Fusion, Sequence

MODES = ("concatenate", "average")


class LateFusion(Fusion):
    """See `Fusion` for the call; `mode` is a name in MODES."""

    sees_image_tokens = False
    sees_table_tokens = False

    def __init__(
        self, d_image: int, d_table: int, d_fusion: int = 64, *, dropout: float = 0.1, mode: str = "concatenate"
    ):
        super().__init__(d_image, d_table, d_fusion)
        if mode not in MODES:
            raise SettingsError(f'unknown late fusion "{mode}"; accepted: {", ".join(MODES)}')
        self.join = nn.Linear(2 * d_fusion, d_fusion) if mode == "concatenate" else None
        if self.join is None:
            # who has no vote needs no token, and nothing would ever train it
            self.image.missing.requires_grad_(False)
            self.table.missing.requires_grad_(False)
        self.dropout = nn.Dropout(dropout)

    def joined(self, image: Sequence, table: Sequence) -> Tensor:
        if self.join is not None:
            return self.dropout(torch.relu(self.join(torch.cat((image.pooled, table.pooled), dim=1))))
        # an absent modality has no vote
        votes = [_votes(part)[:, None] for part in (image, table)]
        total = (votes[0] + votes[1]).clamp(min=1.0)
        return self.dropout((votes[0] * image.pooled + votes[1] * table.pooled) / total)


def _votes(part: Sequence) -> Tensor:
    one = part.tokens.new_ones(part.tokens.shape[0])
    return one if part.present is None else part.present.to(one.dtype)
