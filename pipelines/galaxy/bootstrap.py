"""The bootstrap: how often each object occurs in a resample drawn with replacement (Efron 1979), and percentile intervals.

A statistic that is a function of weighted sums takes all resamples at once: weights [b, n] say how often object n occurs
in resample b. Objects that are not independent (one merger tree, one galaxy seen from several sides) are drawn as whole
groups, so that an interval is as wide as the number of independent objects makes it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_MOST_CELLS = 4_000_000  # of one block of weights: 32 MB


def resamples(
    n: int, n_bootstrap: int, seed: int = 0, groups: np.ndarray | None = None, most_cells: int = _MOST_CELLS
) -> Iterator[np.ndarray]:
    """Blocks of weights, float64 [b, n], of `n_bootstrap` resamples in all; the same for the same seed and groups."""
    random = np.random.default_rng(seed)
    code, n_group = (None, n) if groups is None else _codes(groups, n)
    size = max(1, most_cells // max(n, n_group, 1))
    for start in range(0, n_bootstrap if n else 0, size):
        b = min(size, n_bootstrap - start)
        drawn = random.integers(0, n_group, (b, n_group))
        drawn += np.arange(b)[:, None] * n_group  # one count over all resamples of the block
        count = np.bincount(drawn.ravel(), minlength=b * n_group).reshape(b, n_group).astype(np.float64)
        yield count if code is None else count[:, code]


def _codes(groups: np.ndarray, n: int) -> tuple[np.ndarray, int]:
    if len(groups) != n:
        raise ValueError(f"{len(groups)} groups for {n} objects")
    names, code = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    return code.ravel(), len(names)


def interval(draws: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Percentiles of the finite draws; NaN where there are fewer than two."""
    known = draws[np.isfinite(draws)]
    if len(known) < 2:
        return float("nan"), float("nan")
    low, high = np.quantile(known, ((1 - confidence) / 2, (1 + confidence) / 2))
    return float(low), float(high)


def with_interval(
    value: float, draws: np.ndarray, confidence: float = 0.95, *, centred: bool = False
) -> dict[str, float]:
    """{"value", "low", "high"}; bounds are NaN where the value is.

    centred: move the draws so that their mean is the value, for a statistic whose resamples are biased away from it.
    """
    if not np.isfinite(value):
        return {"value": float("nan"), "low": float("nan"), "high": float("nan")}
    known = draws[np.isfinite(draws)]
    low, high = interval(known - (known.mean() - value) if centred and len(known) else known, confidence)
    return {"value": float(value), "low": low, "high": high}
