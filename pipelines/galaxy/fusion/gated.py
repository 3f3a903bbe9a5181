"""Gated fusion: a learned gate weighs image against table, number by number (Arevalo et al. 2017, arXiv:1702.01992).

    z = sigmoid(W [image, table] + b),   e = z tanh(A image) + (1 - z) tanh(B table)

NOTE: z is 0 where the image is absent and 1 where the table is: the fusion then is the single-modality model.

Axes: b batch, f width of the fusion.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .modality import Fusion, Sequence


class GatedFusion(Fusion):
    """See `Fusion` for the call."""

    sees_image_tokens = False
    sees_table_tokens = False

    def __init__(self, d_image: int, d_table: int, d_fusion: int = 64, *, dropout: float = 0.1):
        super().__init__(d_image, d_table, d_fusion)
        self.gate = nn.Linear(2 * d_fusion, d_fusion)
        self.from_image = nn.Linear(d_fusion, d_fusion)
        self.from_table = nn.Linear(d_fusion, d_fusion)
        self.dropout = nn.Dropout(dropout)

    def joined(self, image: Sequence, table: Sequence) -> Tensor:
        z = self.weight(image, table)
        e = z * torch.tanh(self.from_image(image.pooled)) + (1.0 - z) * torch.tanh(self.from_table(table.pooled))
        return self.dropout(e)

    def weight(self, image: Sequence, table: Sequence) -> Tensor:
        """z [b, f], the share of the image in each number of the embedding."""
        z = torch.sigmoid(self.gate(torch.cat((image.pooled, table.pooled), dim=1)))
        if image.present is not None:
            # without either modality both learned tokens speak
            only_table = ~image.present if table.present is None else ~image.present & table.present
            z = z.masked_fill(only_table[:, None], 0.0)
        if table.present is not None:
            only_image = ~table.present if image.present is None else ~table.present & image.present
            z = z.masked_fill(only_image[:, None], 1.0)
        return z
