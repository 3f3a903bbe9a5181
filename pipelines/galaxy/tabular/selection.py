"""Which columns to keep: the most informative about the label, without near copies of one another.

Mutual information of column and label by the nearest-neighbour estimator of Ross 2014 (doi:10.1371/journal.pone.0087357),
as scikit-learn has it, with a fixed seed; rank correlation by Spearman.

Axes: n object, c continuous column, k categorical column.
"""

from __future__ import annotations

import numpy as np


def choose(
    continuous: np.ndarray,
    codes: np.ndarray | None,
    names: tuple[str, ...],
    labels: np.ndarray | None,
    n_columns: int = 0,
    max_correlation: float = 1.0,
) -> tuple[set[str], dict[str, str]]:
    """(names to keep, reason by name for the others).

    Args:
        continuous: [n, c] without NaN.
        codes: [n, k] or None.
        names: of the c + k columns.
        labels: [n] classes; needed where n_columns is not 0.
        n_columns: how many to keep, 0 for all.
        max_correlation: 1 keeps near copies.
    """
    kept, reasons = list(names), {}
    if max_correlation < 1.0 and continuous.shape[1] > 1:
        reasons = _copies(continuous, names, max_correlation)
        kept = [name for name in kept if name not in reasons]
    if n_columns and n_columns < len(kept):
        values = continuous if codes is None else np.column_stack([continuous, codes])
        gain = dict(zip(names, information(values, labels, continuous.shape[1]), strict=True))
        best = sorted(kept, key=lambda name: -gain[name])[:n_columns]
        reasons |= {
            name: f"mutual information with the label {gain[name]:.4f} nat, below the best {n_columns}"
            for name in kept
            if name not in best
        }
        kept = best
    return set(kept), reasons


def information(values: np.ndarray, labels: np.ndarray, n_continuous: int) -> np.ndarray:
    """Mutual information [nat] of each column with the labels [n]; columns from n_continuous on are codes."""
    from sklearn.feature_selection import mutual_info_classif

    discrete = np.arange(values.shape[1]) >= n_continuous
    return mutual_info_classif(values, labels, discrete_features=discrete, random_state=0)


def _copies(values: np.ndarray, names: tuple[str, ...], most: float) -> dict[str, str]:
    ranks = np.argsort(np.argsort(values, axis=0, kind="stable"), axis=0).astype(float)
    # equal values share the mean of their ranks
    for column in range(values.shape[1]):
        _, place, count = np.unique(values[:, column], return_inverse=True, return_counts=True)
        ranks[:, column] = (np.cumsum(count) - 0.5 * (count + 1))[place]
    correlation = np.abs(np.corrcoef(ranks, rowvar=False))
    reasons, kept = {}, []
    for column in range(values.shape[1]):
        twin = next((other for other in kept if correlation[column, other] > most), None)
        if twin is None:
            kept.append(column)
        else:
            reasons[names[column]] = f"rank correlation {correlation[column, twin]:.4f} with {names[twin]}"
    return reasons
