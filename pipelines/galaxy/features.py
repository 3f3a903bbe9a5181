"""Features of a frozen image encoder, computed once for every object and view instead of once per epoch.

Axes: n object, v view, t image token, d width.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .backbones.layout import ImageFeatures
from .feed import Feed
from .model import GalaxyModel

MOST_BYTES = 2 * 2**30


class CachedFeatures:
    """tokens [n, v, t, d] and pooled [n, v, d] of all objects of a feed, on its device."""

    def __init__(self, tokens: Tensor, pooled: Tensor, grid: tuple[int, int] | None, present: Tensor | None):
        self.tokens, self.pooled, self.grid, self.present = tokens, pooled, grid, present
        self.views = tokens.shape[1]

    def features(self, index: Tensor, kinds: Tensor) -> ImageFeatures:
        """Features [m, ...] of the objects at `index`, each in its own view."""
        index, kinds = index.to(self.tokens.device), kinds.to(self.tokens.device)
        return ImageFeatures(self.tokens[index, kinds], self.pooled[index, kinds], self.grid)

    def present_of(self, index: Tensor) -> Tensor | None:
        """Which of them have an image; None where all have."""
        if self.present is None:
            return None
        present = self.present[index.to(self.present.device)]
        return None if bool(present.all()) else present


@torch.no_grad()
def cache(model: GalaxyModel, feed: Feed, views: int, batch: int = 64, on_batch=lambda n: None) -> CachedFeatures | None:
    """Features of all objects; None where they would not fit into MOST_BYTES."""
    model.eval()
    parts: list[tuple[Tensor, Tensor]] = []
    grid = None
    for index in torch.arange(len(feed)).split(batch):
        sample = feed.sample(index)
        each = [model.backbone(feed.ready(sample, kind).image) for kind in range(views)]
        grid = each[0].grid
        parts.append((torch.stack([f.tokens for f in each], 1), torch.stack([f.pooled for f in each], 1)))
        if len(parts) == 1 and len(feed) * views * int(np.prod(each[0].tokens.shape[1:])) * 4 > MOST_BYTES:
            return None
        on_batch(len(index))
    tokens, pooled = (torch.cat(column) for column in zip(*parts, strict=True))
    return CachedFeatures(tokens, pooled, grid, feed.present)
