"""No fusion: the image alone or the table alone, for single-modality models and ablations.

Axes: b batch, n token, d width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.backbones.layout import ImageFeatures


class SingleModality(nn.Module):
    """The pooled vector of one modality as the embedding; a learned vector where it is absent.

    `modality` is "image" or "table"; the call is that of `Fusion`, and the other modality is ignored.
    """

    no_decay_names = ("missing",)

    def __init__(self, modality: str, d: int):
        super().__init__()
        if modality not in ("image", "table"):
            raise SettingsError(f'unknown modality "{modality}"; accepted: image, table')
        self.modality, self.d_fusion = modality, d
        self.missing = nn.Parameter(torch.empty(d).normal_(std=0.02))

    def forward(
        self,
        image: ImageFeatures | None,
        table: Tensor | None,
        image_present: Tensor | None = None,
        table_present: Tensor | None = None,
    ) -> Tensor:
        if self.modality == "image":
            own, present = None if image is None else image.pooled, image_present
        else:
            own, present = None if table is None else table[:, 0], table_present
        if own is None:
            other = table if self.modality == "image" else None if image is None else image.pooled
            size = 1 if other is None else other.shape[0]
            return self.missing.expand(size, -1)
        return own if present is None else torch.where(present[:, None], own, self.missing)
