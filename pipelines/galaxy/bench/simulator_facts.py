"""What the simulator's nuisance columns and tables say about the label, with matched groups kept whole and torn.

Nuisance columns are equal within a matched group of two controls, one pre and one post. Where folds tear such groups, the rest of the
group is a majority of the other class at the very place of the test object, and the cross-validated AUC falls below 0.5: 0.481 +- 0.006
at n = 1600 against 0.491 +- 0.005 with whole groups (six seeds). The estimate that counts keeps groups whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sciml.pipelines.galaxy.bench_settings import BenchGalaxy
from sciml.pipelines.progress import Progress

from ..catalog import Catalog
from ..simulator.simulate import simulate
from ..splits import fold_numbers


def nuisance_auc(catalog: Catalog, columns: np.ndarray, whole: bool = True, folds: int = 5) -> float:
    """Cross-validated AUC of boosted trees on `columns` [n, feature] for mergers against the rest."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    fold = fold_numbers(catalog if whole else replace(catalog, groups=None), folds, 0)
    merging, guess = catalog.labels > 0, np.zeros(len(catalog))
    for k in range(folds):
        model = HistGradientBoostingClassifier(max_iter=60, learning_rate=0.07, max_leaf_nodes=10, random_state=0)
        model.fit(columns[fold != k], merging[fold != k])
        guess[fold == k] = model.predict_proba(columns[fold == k])[:, 1]
    return float(roc_auc_score(merging, guess))


def measure(settings: BenchGalaxy, progress: Progress | None = None) -> Iterator[dict[str, Any]]:
    """`rows` as the command asks for them."""
    with (progress or Progress()).task("simulator", len(settings.seeds), "seeds") as task:
        for seed in settings.seeds:
            yield from rows(settings.simulate, (seed,))
            task.advance(1)


def rows(n: int = 2000, seeds: Sequence[int] = (1, 2, 3)) -> list[dict[str, Any]]:
    """One row per seed: AUC of the nuisance columns, whole and torn, and of the gaps in the table; no pictures are made."""
    found = []
    for seed in seeds:
        catalog = simulate(n, seed=seed, pictures=False)
        nuisance = catalog.nuisance.to_numpy(np.float64)
        found.append({
            "seed": seed, "objects": n, "nuisance_auc": nuisance_auc(catalog, nuisance),
            "nuisance_auc_torn": nuisance_auc(catalog, nuisance, whole=False),
            "gaps_auc": nuisance_auc(catalog, catalog.table.isna().to_numpy(np.float64)),
        })  # fmt: skip
    return found
