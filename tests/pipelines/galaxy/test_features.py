"""Cached features are those of the backbone, view by view."""

import numpy as np
import torch

from sciml.pipelines.galaxy import features as module
from sciml.pipelines.galaxy.features import cache

from .test_train import made


def test_cached_features_are_the_backbones():
    trainer = made("image")
    cached = cache(trainer.model, trainer.feed, 3)
    found = cached.features(torch.tensor([4, 9]), torch.tensor([2, 0]))
    for n, (index, kind) in enumerate([(4, 2), (9, 0)]):
        ready = trainer.feed.ready(trainer.feed.sample(torch.tensor([index])), kind)
        with torch.no_grad():
            wanted = trainer.model.backbone(ready.image)
        torch.testing.assert_close(found.pooled[n], wanted.pooled[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.tokens[n], wanted.tokens[0], rtol=1e-4, atol=1e-5)
    assert cached.present_of(torch.tensor([1])) is None


def test_too_large_a_cache_is_not_made(monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    trainer = made("image")
    assert cache(trainer.model, trainer.feed, 1) is None
    assert np.isfinite(trainer._step(torch.from_numpy(trainer.job.train[:8])))
