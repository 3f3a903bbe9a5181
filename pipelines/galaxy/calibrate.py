"""Temperature scaling: probabilities softmax(z / T) with the T that makes held-out labels most likely.

Guo et al. 2017 (arXiv:1706.04599). With b = 1/T the mean log loss L(b) is convex: L' = mean(E_p[z] - z_y), L'' = mean
Var_p[z], so its minimum is the one root of L', found in ln T by Newton steps inside a bracket. Few held-out objects say
little about T, and folds scaled by T of their own no longer compare: with 55 objects each, T spread from 0.67 to 1.35 and cost
0.03 of the AUC of five folds together. So ln T has a normal prior of width s, which n objects outweigh:
n L(b) + (ln T)^2 / (2 s^2) is what is made least. The ranking of one class
against the rest of two is not changed, nor is the most likely class.
Axes: n object, c class.
"""

from __future__ import annotations

import numpy as np

from sciml.pipelines.errors import DataError, NumericalError

from . import metrics

COLDEST, HOTTEST = 1e-2, 1e2
_TOLERANCE = 1e-10  # of ln T
_MOST_STEPS = 100
SPREAD = 0.2  # s of a training run; best of six widths on two cross-validated runs of 702 cutouts, no loss on a third


def temperature(logits: np.ndarray, labels: np.ndarray, spread: float = np.inf) -> float:
    """T in [0.01, 100] of logits [n, c] and labels int64 [n]; spread: s, inf for no prior.

    1 where every object is told right by a margin, since then no finite sharpness is the best one, and where there are no
    objects; 100 where the logits order the objects worse than chance.

    Raises:
        DataError: shapes that do not fit. NumericalError: logits that are not finite.
    """
    z = _checked(logits)
    if len(labels) != len(z):
        raise DataError(f"{len(labels)} labels for {len(z)} rows of logits")
    if not len(z):
        return 1.0
    labels = np.asarray(labels, np.int64)
    low, high = np.log(COLDEST), np.log(HOTTEST)
    # falling in ln T: positive below the root
    slope_low, slope_high = _slope(z, labels, low)[0], _slope(z, labels, high, spread)[0]
    if slope_low <= 0:
        return 1.0
    if slope_high >= 0:
        return HOTTEST
    t = 0.0
    for _ in range(_MOST_STEPS):
        slope, curvature = _slope(z, labels, t, spread)
        low, high = (t, high) if slope > 0 else (low, t)
        step = slope / curvature if curvature > 0 else np.inf
        new = t + step
        if not low < new < high:
            new = (low + high) / 2
        if abs(new - t) < _TOLERANCE:
            return float(np.exp(new))
        t = new
    return float(np.exp(t))


def _slope(z: np.ndarray, labels: np.ndarray, log_t: float, spread: float = np.inf) -> tuple[float, float]:
    """L'(b) - ln T / (n b s^2) and its derivative by -ln T, at b = exp(-log_t)."""
    b = np.exp(-log_t)
    p = _softmax(z * b)
    mean = (p * z).sum(1)
    variance = (p * (z - mean[:, None]) ** 2).sum(1)
    prior = 1 / (len(z) * b * spread**2)
    slope = (mean - z[np.arange(len(z)), labels]).mean() - log_t * prior
    return float(slope), float(variance.mean() * b + (1 + log_t) * prior)


def apply(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Probabilities float64 [n, c]."""
    if not temperature > 0:
        raise ValueError(f"temperature {temperature}: must be greater than 0")
    return _softmax(_checked(logits) / temperature)


def _softmax(z: np.ndarray) -> np.ndarray:
    p = np.exp(z - z.max(1, keepdims=True)) if len(z) else z.copy()
    return p / p.sum(1, keepdims=True)


def _checked(logits: np.ndarray) -> np.ndarray:
    z = np.asarray(logits, np.float64)
    if z.ndim != 2 or z.shape[1] < 2:
        raise DataError(f"logits have shape {z.shape}; a column for each of two or more classes is needed")
    wrong = np.flatnonzero(~np.isfinite(z).all(1))
    if len(wrong):
        raise NumericalError(f"{len(wrong)} of {len(z)} rows of logits are not finite (row {wrong[0]})")
    return z


def before_and_after(
    logits: np.ndarray, labels: np.ndarray, temperature: float, *, positive: int | None = None
) -> dict[str, dict[str, float]]:
    """{"before": {"ece", "log_loss", "brier"}, "after": {...}} of held-out logits."""
    found = {}
    for name, t in (("before", 1.0), ("after", temperature)):
        p = apply(logits, t)
        scores = metrics.score(labels, p, [str(k) for k in range(p.shape[1])], positive=positive, n_bootstrap=0)
        found[name] = {key: scores[key]["value"] for key in ("ece", "log_loss", "brier")}
    return found
