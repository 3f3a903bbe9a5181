"""`sciml galaxy evaluate`: a trained model scored on labelled objects, in bins, and the class shares it would estimate.

Metrics as in `metrics`, with bootstrap intervals; without data the run's own test objects are scored again.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sciml.pipelines.errors import DataError, suggest
from sciml.pipelines.progress import Progress

from . import metrics
from .bundle import Bundle, common_threshold
from .catalog import Catalog
from .results import binned_columns
from .training_settings import Evaluate
from .using import load, probabilities


def evaluate(settings: Evaluate, progress: Progress | None = None) -> dict:
    """Scores on all labelled objects that are given."""
    progress = progress or Progress()
    bundles, gathered = load(settings, progress)
    catalog, bundle = gathered.catalog, bundles[0]
    if catalog.labels is None:
        raise DataError("there are no labels to score against", hint="name their column with --label")
    labels = _same_classes(catalog, bundle)
    p, _ = probabilities(bundles, catalog, settings, progress)
    threshold = common_threshold([one.facts for one in bundles])
    options = {"positive": bundle.facts["positive"], "threshold": threshold, "groups": catalog.groups, "seed": settings.seed}
    scores = metrics.score(labels, p, bundle.classes, n_bootstrap=settings.bootstrap, **options)
    matrix = metrics.confusion_matrix(labels, metrics.predict_class(p, bundle.facts["positive"], threshold), len(bundle.classes))
    bins = {
        name: metrics.by_bin(labels, p, values.reset_index(drop=True), bundle.classes, n_bins=4, **options)
        for name, values in _columns(settings, catalog).items()
    }
    return {
        "model": str(settings.model), "arm": bundle.arm, "models": len(bundles), "classes": list(bundle.classes),
        "objects": len(catalog), "counts": {n: int((labels == k).sum()) for k, n in enumerate(bundle.classes)},
        "scores": scores, "confusion": matrix.tolist(), "bins": bins,
    }  # fmt: skip


def _same_classes(catalog: Catalog, bundle: Bundle) -> np.ndarray:
    """Labels of the catalog in the model's order of classes."""
    order = {name: k for k, name in enumerate(bundle.classes)}
    unknown = [name for name, count in catalog.counts().items() if count and name not in order]
    if unknown:
        raise DataError(
            f'the label "{unknown[0]}" is none of the model\'s classes ({", ".join(bundle.classes)})',
            hint="rename it with --classes, e.g. --classes 0=non,1=merger",
        )
    return np.array([order.get(name, -1) for name in catalog.classes])[catalog.labels]


def _columns(settings: Evaluate, catalog: Catalog) -> dict[str, pd.Series]:
    every = pd.concat([catalog.nuisance, catalog.table], axis=1)
    if not settings.bins:
        return binned_columns(catalog)
    for name in settings.bins:
        if name not in every:
            raise DataError(f'--bins {name}: no such column; {suggest(name, every.columns)}')
    return {name: every[name] for name in settings.bins}
