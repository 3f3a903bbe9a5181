"""Logits of a model for objects of a feed, seen in one or several flips and quarter turns.

Axes: n object, v view, c class.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .features import CachedFeatures
from .feed import Feed
from .model import GalaxyModel


@torch.no_grad()
def predict_logits(
    model: GalaxyModel,
    feed: Feed,
    index: np.ndarray,
    *,
    views: int = 1,
    batch: int = 128,
    cached: CachedFeatures | None = None,
) -> np.ndarray:
    """Logits [n, v, c] float64 of the objects at `index`, of each of the first `views` flips and quarter turns."""
    model.eval()
    views = views if model.backbone is not None else 1
    parts = []
    for part in torch.from_numpy(np.asarray(index, np.int64)).split(batch):
        if cached is not None:
            parts.append(torch.stack([_cached_logits(model, feed, part, cached, kind) for kind in range(views)], 1))
            continue
        sample = feed.sample(part)
        ready = [feed.ready(sample, kind) for kind in range(views)]
        parts.append(torch.stack([model(s.image, s.table, s.image_present, s.table_present) for s in ready], 1))
    shape = (0, views, model.shape.n_classes)
    return torch.cat(parts).double().cpu().numpy() if parts else np.zeros(shape)


def _cached_logits(model: GalaxyModel, feed: Feed, index: Tensor, cached: CachedFeatures, kind: int) -> Tensor:
    return model.head(embed_cached(model, feed, index, cached, torch.full((len(index),), min(kind, cached.views - 1))))


def embed_cached(model: GalaxyModel, feed: Feed, index: Tensor, cached: CachedFeatures, kinds: Tensor) -> Tensor:
    """The embedding [b, d] of objects whose image features are kept, each in the view `kinds` [b] says."""
    rows = feed.sample(index, with_images=False)
    tokens = model.encode_table(rows.table, rows.table_present)
    return model.fuse(cached.features(index, kinds), tokens, cached.present_of(index), rows.table_present)
