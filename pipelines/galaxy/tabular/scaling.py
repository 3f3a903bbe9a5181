"""Columns to unit scale: standard (mean, standard deviation), robust (median, interquartile range), quantile, none.

Quantile: rank r of x among the training quantiles, ties to the middle of their ranks, z = inverse normal cdf of r, with
r cut to [1e-7, 1 - 1e-7] (the definition of scikit-learn's QuantileTransformer, against which it is tested). A column
without spread becomes 0.
NOTE: a floor or ceiling many rows share has the middle of its ranks as well, where scikit-learn has the rank 0 or 1.

Axes: n object, c continuous column, q quantile.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import ndtri

METHODS = ("quantile", "standard", "robust", "none")
_CUT = 1e-7
_ROWS_PER_QUANTILE, _FEWEST, _MOST = 30, 10, 1000  # arXiv:2106.11959, appendix on preprocessing
_NORMAL_IQR = 1.3489795003921634  # interquartile range of the unit normal


def fit(method: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays "center" and "spread" [c], or "quantiles" [q, c], from values [n, c] with NaN for missing ones."""
    if method == "none" or not values.shape[1]:
        return {}
    if method == "quantile":
        n_quantiles = min(max(min(len(values) // _ROWS_PER_QUANTILE, _MOST), _FEWEST), max(len(values), 2))
        levels = np.linspace(0.0, 1.0, n_quantiles)
        # interpolation of equal numbers can decrease by round-off
        return {"quantiles": np.maximum.accumulate(np.nanquantile(values, levels, axis=0), axis=0)}
    if method == "robust":
        low, center, high = np.nanquantile(values, (0.25, 0.5, 0.75), axis=0)
        spread = (high - low) / _NORMAL_IQR
        # half of all values equal: the range says nothing, the standard deviation still does
        spread = np.where(spread > 0, spread, np.nanstd(values, axis=0))
    else:
        center, spread = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    # round-off in the mean of equal numbers is no spread
    flat = spread <= 1e-12 * np.maximum(np.abs(center), 1e-300)
    return {"center": center, "spread": np.where(flat, 1.0, spread)}


def apply(method: str, values: np.ndarray, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Scaled values [n, c]; values must be finite."""
    if method == "none" or not values.shape[1]:
        return values
    if method != "quantile":
        return (values - arrays["center"]) / arrays["spread"]
    quantiles = arrays["quantiles"]
    levels = np.linspace(0.0, 1.0, len(quantiles))
    columns = [_rank(x, q, levels) for x, q in zip(values.T, quantiles.T, strict=True)]
    return ndtri(np.clip(np.stack(columns, axis=1), _CUT, 1.0 - _CUT))


def _rank(x: np.ndarray, quantiles: np.ndarray, levels: np.ndarray) -> np.ndarray:
    if quantiles[0] == quantiles[-1]:
        return np.full(len(x), 0.5)
    # among equal quantiles interp finds the last from below and the first from above; their mean is the middle
    rank = 0.5 * (np.interp(x, quantiles, levels) - np.interp(-x, -quantiles[::-1], -levels[::-1]))
    return rank
