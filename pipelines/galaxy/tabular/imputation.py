"""Numbers for missing values: median or mean of the training column, or the mean of the nearest training rows.

Distance of two rows over the columns both have, scaled up for those they do not (as in k-nearest-neighbour imputation,
Troyanskaya et al. 2001, doi:10.1093/bioinformatics/17.6.520):

    d^2 = c / |shared| sum_shared ((x - y) / s)^2,   s the standard deviation of the training column

Axes: n object, m training row, c continuous column.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

METHODS = ("median", "mean", "neighbours")
# Training rows kept for neighbours: the first of more than these would not change a mean of five.
_MOST_ROWS = 5000
_CHUNK = 256


def fit(method: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays "fill" [c] and, for neighbours, "rows" [m, c] and "row_scale" [c], from values [n, c] with NaN."""
    if not values.shape[1]:
        return {"fill": np.zeros(0)}
    fill = np.nanmean(values, axis=0) if method == "mean" else np.nanmedian(values, axis=0)
    if method != "neighbours":
        return {"fill": fill}
    spread = np.nanstd(values, axis=0)
    step = -(-len(values) // _MOST_ROWS)
    return {"fill": fill, "rows": values[::step].copy(), "row_scale": np.where(spread > 0, spread, 1.0)}


def apply(method: str, values: np.ndarray, arrays: Mapping[str, np.ndarray], n_neighbours: int = 5) -> np.ndarray:
    """values [n, c] without NaN."""
    missing = np.isnan(values)
    filled = np.where(missing, arrays["fill"], values)
    if method != "neighbours":
        return filled
    gaps = np.flatnonzero(missing.any(axis=1))
    for start in range(0, len(gaps), _CHUNK):
        chosen = gaps[start : start + _CHUNK]
        filled[chosen] = _from_neighbours(values[chosen], filled[chosen], arrays, n_neighbours)
    return filled


def distances(values: np.ndarray, rows: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """d^2 [n, m] of the equation above; infinite where two rows share no column."""
    x, y = values / scale, rows / scale
    has_x, has_y = ~np.isnan(x), ~np.isnan(y)
    x, y = np.where(has_x, x, 0.0), np.where(has_y, y, 0.0)
    shared = has_x.astype(float) @ has_y.T.astype(float)
    square = (x**2) @ has_y.T + has_x @ (y**2).T - 2.0 * x @ y.T
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(shared > 0, np.maximum(square, 0.0) * values.shape[1] / shared, np.inf)


def _from_neighbours(values, filled, arrays, n_neighbours):
    rows = arrays["rows"]
    square = distances(values, rows, arrays["row_scale"])
    result = filled.copy()
    for column in np.flatnonzero(np.isnan(values).any(axis=0)):
        donors = np.flatnonzero(~np.isnan(rows[:, column]))
        wanted = np.flatnonzero(np.isnan(values[:, column]))
        reach = square[np.ix_(wanted, donors)]
        near = np.argsort(reach, axis=1, kind="stable")[:, :n_neighbours]
        usable = np.isfinite(np.take_along_axis(reach, near, axis=1))
        taken = np.where(usable, rows[donors[near], column], 0.0)
        count = usable.sum(axis=1)
        result[wanted, column] = np.where(count > 0, taken.sum(axis=1) / np.maximum(count, 1), filled[wanted, column])
    return result
