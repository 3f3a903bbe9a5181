"""Nelder-Mead minimisation of many functions of two variables at once (Nelder & Mead 1965, Computer Journal 7, 308).

Every problem walks the path it would walk alone: reflection 1, expansion 2, contraction 1/2, shrinkage 1/2, and a first
simplex that stretches each coordinate of the start by 5 %.  The few numbers of a simplex stay in numpy: only the function
knows a device.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# function(which [m], points [m, 2]) -> values [m]: point j belongs to problem which[j]
Function = Callable[[np.ndarray, np.ndarray], np.ndarray]
# where the second trial lies on the line mean + t (mean - worst), by kind: none, expansion, outer and inner contraction
REACH = np.array([1.0, 2.0, 0.5, -0.5])


def _sorted(points: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(values, axis=1, kind="stable")
    return np.take_along_axis(points, order[:, :, None], 1), np.take_along_axis(values, order, 1)


def _start(function: Function, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points = np.repeat(start[:, None, :], 3, axis=1)
    for axis in (0, 1):
        points[:, axis + 1, axis] = np.where(start[:, axis] == 0, 0.00025, start[:, axis] * 1.05)
    which = np.arange(len(start))
    return _sorted(points, np.stack([function(which, points[:, corner]) for corner in range(3)], 1))


def _step(
    function: Function, which: np.ndarray, points: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One iteration for the problems `which`: simplices [m, 3, 2] and values [m, 3], best first, are replaced."""
    mean, worst = 0.5 * (points[:, 0] + points[:, 1]), points[:, 2]
    candidate = 2.0 * mean - worst
    reflected = function(which, candidate)
    rank = (reflected[:, None] >= values).sum(1)  # 0: best so far, 3: worse than all
    kind = np.array([1, 0, 2, 3])[rank]
    trial = mean + REACH[kind][:, None] * (mean - worst)
    tried = reflected.copy()
    needed = np.flatnonzero(kind)
    if len(needed):
        tried[needed] = function(which[needed], trial[needed])
    # an expansion that fails falls back to the reflection; a contraction that fails shrinks the simplex
    limit = np.where(kind == 3, values[:, 2], reflected)
    better = (kind > 0) & np.where(kind == 2, tried <= limit, tried < limit)
    shrink = np.flatnonzero((kind >= 2) & ~better)
    new_points, new_values = points.copy(), values.copy()
    new_points[:, 2] = np.where(better[:, None], trial, candidate)
    new_values[:, 2] = np.where(better, tried, reflected)
    if len(shrink):
        new_points[shrink] = points[shrink, :1] + 0.5 * (points[shrink] - points[shrink, :1])
        for corner in (1, 2):
            new_values[shrink, corner] = function(which[shrink], new_points[shrink, corner])
    return _sorted(new_points, new_values)


def minimize(
    function: Function, start: np.ndarray, *, x_tolerance: float, f_tolerance: float = 1e-4, most_iterations: int = 400
) -> np.ndarray:
    """Minima [b, 2] from the starts [b, 2]; a problem stops when its simplex spans less than both tolerances."""
    points, values = _start(function, np.asarray(start, dtype=np.float64))
    which = np.arange(len(points))
    for _ in range(most_iterations):
        wide = np.abs(points[which, 1:] - points[which, :1]).max(axis=(1, 2)) > x_tolerance
        uneven = np.abs(values[which, 1:] - values[which, :1]).max(axis=1) > f_tolerance
        which = which[wide | uneven]
        if len(which) == 0:
            break
        points[which], values[which] = _step(function, which, points[which], values[which])
    return points[:, 0]
