"""Rows of a table that nearly repeat another row: the same galaxy in two snapshots, in two catalogues, in two passes of a survey.

A row is a near copy of its neighbour where the distance ratio to that of the tenth neighbour,

    q = d_1 / d_10,    d in the ranks (0..1) of the numeric columns,

is smaller than a table of the same size and correlations but without copies would have it: normal scores of the ranks are drawn
anew from a normal distribution of their covariance (a Gaussian copula), and the largest q is taken below which at most a tenth of the
rows are expected by chance (Benjamini & Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x). The ratio does not depend on how
densely a corner of the table is filled (Levina & Bickel 2004). A column-wise permutation would break the correlations and call every
table of magnitudes and colours full of copies.

Axes: n row, c column, k neighbour.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from .catalog import Catalog
from .duplicates import _equal_rows
from .findings import Finding

GROUP_OPTION = "near-copies"
_NEIGHBOURS = 10
_FALSE_SHARE = 0.1  # of the rows that are called copies
_FEWEST_COLUMNS, _FEWEST_VALUES, _FEWEST_ROWS = 3, 20, 60
_LEAST_SHARE = 0.005  # of all rows; below it, single coincidences are no structure of the sample
LARGEST_GROUP = 50  # rows; chains of copies of copies would tie a whole survey together


@dataclass(frozen=True, eq=False)
class NearCopies:
    """Pairs of positions [m, 2] (i < j), nearest first; rows: how many rows have a copy; expected: how many would by chance."""

    pairs: np.ndarray
    rows: int
    expected: float
    n: int

    @property
    def share(self) -> float:
        """Of the rows, those with a near copy."""
        return self.rows / max(self.n, 1)


def find_near_copies(table: pd.DataFrame, seed: int = 0) -> NearCopies:
    """Near copies among the rows; none where the table has too few rows or numeric columns to tell."""
    names = [name for name in table.columns if table[name].dtype.kind == "f" and table[name].nunique() > _FEWEST_VALUES]
    nothing = NearCopies(np.empty((0, 2), np.int64), 0, 0.0, len(table))
    if len(names) < _FEWEST_COLUMNS or len(table) < _FEWEST_ROWS:
        return nothing
    ranks = _ranks(table[names].to_numpy(np.float64))
    distance, neighbour = _neighbours(ranks)
    by_chance, _ = _neighbours(_resampled(ranks, table[names].isna().to_numpy(), np.random.default_rng(seed)))
    ratio, chance = _ratio(distance), np.sort(_ratio(by_chance)[:, 0])
    limit = _limit(np.sort(ratio[:, 0]), chance)
    close = ratio < limit
    rows = int(close[:, 0].sum())
    if rows < max(5, _LEAST_SHARE * len(table)):
        return nothing
    i, k = np.nonzero(close)
    pairs = np.sort(np.stack([i, neighbour[i, k]], axis=1), axis=1)
    order = np.argsort(distance[i, k], kind="stable")
    _, first = np.unique(pairs[order], axis=0, return_index=True)
    return NearCopies(pairs[order][np.sort(first)], rows, float(np.searchsorted(chance, limit)), len(table))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks in 0..1 [n, c], ties in the middle; a missing cell is in the middle of its column."""
    columns = []
    for column in values.T:
        known = np.isfinite(column)
        rank = np.full(len(column), 0.5)
        rank[known] = (rankdata(column[known]) - 0.5) / known.sum()
        columns.append(rank)
    return np.stack(columns, axis=1)


def _resampled(ranks: np.ndarray, missing: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Ranks [n, c] of as many rows drawn from the Gaussian copula of `ranks`, with their ties and their missing cells."""
    score = ndtri(ranks)
    covariance = np.atleast_2d(np.cov(score, rowvar=False))
    value, vector = np.linalg.eigh(covariance)
    drawn = draw.standard_normal(score.shape) @ (vector * np.sqrt(value.clip(0.0))).T
    level = ndtr(drawn / np.sqrt(np.diag(covariance)).clip(1e-9))
    for column, gone in enumerate(missing.T):
        known = np.sort(ranks[~gone, column])
        # floors and rounded values stay as common as they are: they bring rows together without any copy
        place = (level[:, column] * len(known)).astype(int).clip(max=len(known) - 1)
        level[:, column] = np.where(gone, 0.5, known[place])
    return level


def _neighbours(ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(distance, position) [n, k] of the nearest other rows."""
    distance, neighbour = cKDTree(ranks).query(ranks, _NEIGHBOURS + 1)
    # of several equal rows, a row need not come first in its own list
    own = neighbour == np.arange(len(ranks))[:, None]
    own[~own.any(axis=1), -1] = True
    return (part[~own].reshape(len(ranks), _NEIGHBOURS) for part in (distance, neighbour))


def _ratio(distance: np.ndarray) -> np.ndarray:
    """Distance [n, k - 1] over that of the last neighbour."""
    return distance[:, :-1] / np.maximum(distance[:, -1:], 1e-12)


def _limit(found: np.ndarray, chance: np.ndarray) -> float:
    """The largest ratio below which chance explains at most `_FALSE_SHARE` of the rows; both sorted."""
    counted = np.arange(1, len(found) + 1)
    expected = np.searchsorted(chance, found, side="right")
    good = np.flatnonzero(expected <= _FALSE_SHARE * counted)
    return float(np.nextafter(found[good[-1]], 1.0)) if len(good) else 0.0


def grouped_by_copies(catalog: Catalog, copies: NearCopies, largest: int = LARGEST_GROUP) -> Catalog:
    """The catalog with near copies (and what was one group before) in one group of at most `largest` rows.

    Links are taken from the nearest pair on; one that would make a group larger than `largest` is left out. Groups that were larger
    before stay as they are.
    """
    names = catalog.ids if catalog.groups is None else np.asarray(catalog.groups).astype(str)
    _, parent, size = np.unique(names, return_inverse=True, return_counts=True)
    tree, size = np.arange(len(size)), size.copy()

    def root(i: int) -> int:
        while tree[i] != i:
            tree[i] = tree[tree[i]]
            i = tree[i]
        return i

    equal = _equal_rows(catalog.table)
    for pairs, most in ((equal, len(names)), (copies.pairs, largest)):
        for i, j in pairs.tolist():
            a, b = sorted((root(parent[i]), root(parent[j])))
            if a != b and size[a] + size[b] <= most:
                tree[b], size[a] = a, size[a] + size[b]
    first = np.array([root(g) for g in parent])
    _, place = np.unique(first, return_index=True)
    name_of = dict(zip(first[place].tolist(), names[place].tolist(), strict=True))
    return replace(catalog, groups=np.array([name_of[g] for g in first.tolist()]))


def near_copy_findings(catalog: Catalog, copies: NearCopies, part: np.ndarray | None) -> list[Finding]:
    """What the audit says; `part` [n] is the fold or the part of the split of each row (-1: none)."""
    if not len(catalog.table.columns) or not len(copies.pairs):
        return []
    i, j = copies.pairs.T
    agree = float((catalog.labels[i] == catalog.labels[j]).mean())
    chance = float((np.bincount(catalog.labels) / len(catalog)) @ (np.bincount(catalog.labels) / len(catalog)))
    detail = (
        f"{copies.rows:,} of {copies.n:,} rows ({copies.share:.0%}) nearly repeat another row ({copies.expected:,.0f} expected by "
        f"chance), e.g. {catalog.ids[i[0]]} and {catalog.ids[j[0]]}; {agree:.0%} of the pairs share the label ({chance:.0%} by chance)"
    )
    torn = 0.0
    if part is not None:
        torn = float(((part[i] != part[j]) & (part[i] >= 0) & (part[j] >= 0)).mean())
        detail += f"; {torn:.0%} lie on both sides of a split"
    if torn <= 0.05 and part is not None:
        return [Finding("near-copy rows", (), "note", detail, "", count=len(copies.pairs))]
    verdict = "leak" if torn and agree > chance + 0.1 else "suspect"
    advice = f"a model can look labels up: score with --group {GROUP_OPTION} too"
    return [Finding("near-copy rows", (), verdict, detail, advice, count=len(copies.pairs))]
