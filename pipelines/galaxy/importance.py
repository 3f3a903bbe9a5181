"""Permutation importance: how much worse a model ranks when a column, or a whole modality, is shuffled among objects.

Breiman 2001 (Mach. Learn. 45, 5). The drop in AUC is the mean over repeats; its interval resamples objects and repeats.
What other columns say as well is not missed by the model: columns whose Spearman correlation is at least 0.7 in absolute
value share their importance, are named in the note of each other, and are also shuffled together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain

import numpy as np
import pandas as pd

from .bootstrap import resamples, with_interval
from .metrics import checked
from .ranking import Ranking

Predict = Callable[[pd.DataFrame | None, np.ndarray | None], np.ndarray]
CORRELATED = 0.7


def importance(
    predict: Predict,
    table: pd.DataFrame | None,
    labels: np.ndarray,
    *,
    images: np.ndarray | None = None,
    positive: int | None = None,
    columns: Sequence[str] | None = None,
    groups: np.ndarray | None = None,
    n_repeat: int = 5,
    n_bootstrap: int = 300,
    seed: int = 0,
    confidence: float = 0.95,
    advance: Callable[[int], None] | None = None,
) -> list[dict]:
    """Rows in order of falling drop, modalities first.

    Args:
        predict: (table, images) -> probabilities [n, c]; called 1 + n_repeat times for each row of the answer.
        images: [n, ...], or anything with one entry per object that `predict` understands, such as row numbers.
        columns: those to shuffle; default: all.
        advance: told after each call of `predict`, for a progress bar.

    Returns:
        {"kind": "modality" | "column" | "columns", "name", "columns": [names], "drop", "low", "high", "note"}.
    """
    table = None if table is None else table.reset_index(drop=True)
    random = np.random.default_rng(seed)
    base = predict(table, images)
    labels, base = checked(labels, base, base.shape[1])
    judge = _Judge(labels, positive if base.shape[1] == 2 else None, groups, n_bootstrap, seed)
    before = judge.aucs(base)
    rows = []
    correlated = {} if table is None else correlations(table)
    for kind, name, shuffled in _targets(table, images, columns, correlated):
        after = []
        for _ in range(n_repeat):
            order = random.permutation(len(labels))
            after.append(judge.aucs(predict(*_shuffled(table, images, kind, name, shuffled, order))))
            if advance is not None:
                advance(1)
        row = {"kind": kind, "name": name, "columns": list(shuffled)}
        rows.append(row | judge.drop(before, after, confidence) | {"note": _note(kind, name, correlated)})
    return sorted(rows, key=lambda row: (row["kind"] != "modality", -np.nan_to_num(row["drop"], nan=-1.0)))


def calls(table: pd.DataFrame | None, images: object | None, columns: Sequence[str] | None = None) -> int:
    """Number of rows that importance() will return: predictions are n_repeat times as many, for a progress bar."""
    return len(list(_targets(table, images, columns, {} if table is None else correlations(table))))


def correlations(table: pd.DataFrame) -> dict[str, list[tuple[str, float]]]:
    """For each numeric column the others with |Spearman correlation| >= 0.7, strongest first."""
    numeric = table.select_dtypes("number")
    rho = numeric.rank().corr().to_numpy() if numeric.shape[1] > 1 else np.zeros((0, 0))
    found: dict[str, list[tuple[str, float]]] = {}
    for i, row in enumerate(rho):
        near = [j for j in np.argsort(-np.abs(np.nan_to_num(row))) if j != i and np.abs(row[j]) >= CORRELATED]
        if near:
            found[numeric.columns[i]] = [(numeric.columns[j], float(row[j])) for j in near]
    return found


def _clusters(correlated: dict[str, list[tuple[str, float]]]) -> list[list[str]]:
    """Columns joined by chains of correlation."""
    waiting, found = dict.fromkeys(correlated), []
    while waiting:
        cluster, edge = [], [next(iter(waiting))]
        while edge:
            name = edge.pop()
            if name in waiting:
                del waiting[name]
                cluster.append(name)
                edge += [other for other, _ in correlated[name]]
        found.append(cluster)
    return found


def _targets(
    table: pd.DataFrame | None,
    images: object | None,
    columns: Sequence[str] | None,
    correlated: dict[str, list[tuple[str, float]]],
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(kind, name, columns) of everything that is shuffled."""
    every = () if table is None else tuple(table.columns)
    if images is not None:
        yield "modality", "image", ()
    if every:
        yield "modality", "table", every
    wanted = every if columns is None else tuple(columns)
    for name in wanted:
        yield "column", name, (name,)
    for cluster in _clusters(correlated):
        together = tuple(name for name in every if name in cluster and name in wanted)
        if 1 < len(together) < len(every):
            yield "columns", " + ".join(together), together


def _shuffled(table, images, kind: str, name: str, columns: tuple[str, ...], order: np.ndarray):
    if kind == "modality" and name == "image":
        return table, images[order]
    mixed = table.copy()
    for column in columns:
        mixed[column] = table[column].take(order).set_axis(table.index)  # keeps the categories of a categorical
    return mixed, images


class _Judge:
    """AUC of the whole and of every resample, the same resamples for all predictions."""

    def __init__(self, labels, positive: int | None, groups, n_bootstrap: int, seed: int):
        self.labels, self.positive, self.random = labels, positive, np.random.default_rng(seed + 1)
        self.resamples = partial(resamples, len(labels), n_bootstrap, seed, groups)

    def aucs(self, probability: np.ndarray) -> np.ndarray:
        """[1 + b]: the value, then the draws."""
        labels, p = checked(self.labels, probability, np.shape(probability)[1])
        own = np.unique(labels)
        if len(own) < 2:
            return np.full(1 + sum(len(block) for block in self.resamples()), np.nan)
        if p.shape[1] == 2:
            own = [1 if self.positive is None else self.positive]
        rankings = [Ranking(labels == k, p[:, k]) for k in own]
        found = [
            np.mean([r.auc(block) for r in rankings], axis=0)
            for block in chain([np.ones((1, len(labels)))], self.resamples())
        ]
        return np.concatenate(found)

    def drop(self, before: np.ndarray, after: list[np.ndarray], confidence: float) -> dict[str, float]:
        """{"drop", "low", "high"}; each draw takes a resample of the repeats as well."""
        repeats = np.stack(after)
        chosen = self.random.integers(0, len(repeats), (len(before) - 1, len(repeats)))
        draws = before[1:] - repeats[:, 1:].T[np.arange(len(chosen))[:, None], chosen].mean(1)
        found = with_interval(float(before[0] - repeats[:, 0].mean()), draws, confidence)
        return {"drop": found["value"], "low": found["low"], "high": found["high"]}


def _note(kind: str, name: str, correlated: dict[str, list[tuple[str, float]]]) -> str:
    if kind != "column" or name not in correlated:
        return ""
    others = [f"{other} ({rho:+.2f})" for other, rho in correlated[name][:3]]
    return f"shares its information with {', '.join(others)}"
