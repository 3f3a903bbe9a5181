"""Reference scores of a table on exactly the folds of `sciml galaxy train --folds k`: forests of trees, with in-fold imputation.

Random forest (Breiman 2001) and extremely randomised trees (Geurts et al. 2006), gaps at the training median with a flag beside
them; each object is predicted by the forest of the fold that had not seen it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy.bench_settings import BenchGalaxy
from sciml.pipelines.progress import Progress

from ..catalog import Catalog
from ..gather import gather
from ..probes import numeric
from ..splits import fold_numbers
from ..training_settings import Train


def measure(settings: BenchGalaxy, progress: Progress | None = None) -> Iterator[dict[str, Any]]:
    """`rows` for the table of the command, read as `sciml galaxy train` reads it; DataError if it is not there."""
    progress = progress or Progress()
    if not settings.table.exists():
        raise DataError(f"{settings.table}: there is no such file")
    choice = Train(table=(settings.table,), label=settings.label, group=settings.group, arms=("table",))
    gathered = gather(choice, progress)
    for line in gathered.lines():
        progress.note(line)
    gathered.catalog.require_labels()
    yield from rows(gathered.catalog, settings.folds, settings.seed, settings.trees)


def rows(catalog: Catalog, folds: int = 5, seed: int = 0, trees: int = 300) -> list[dict[str, Any]]:
    """One row per forest: accuracy and macro F1 over all objects of a labelled catalog, and the accuracy of each fold."""
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.metrics import f1_score
    from sklearn.pipeline import make_pipeline

    features, fold, found = numeric(catalog.table), fold_numbers(catalog, folds, seed), []
    for name, forest in (("random forest", RandomForestClassifier), ("extra trees", ExtraTreesClassifier)):
        guess = np.zeros(len(catalog), np.int64)
        for k in range(folds):
            model = make_pipeline(
                SimpleImputer(strategy="median", add_indicator=True), forest(trees, random_state=seed, n_jobs=1)
            )
            guess[fold == k] = model.fit(features[fold != k], catalog.labels[fold != k]).predict(features[fold == k])
        right = guess == catalog.labels
        found.append({
            "model": name, "accuracy": float(right.mean()), "macro_f1": float(f1_score(catalog.labels, guess, average="macro")),
            "folds": " ".join(f"{right[fold == k].mean():.4f}" for k in range(folds)), "objects": len(catalog),
        })  # fmt: skip
    return found
