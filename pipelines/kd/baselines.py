"""The forecasts that a student has to beat: persistence, climatology, linear AR, linear MOS, MOS + AR.

MOS (model output statistics, Glahn & Lowry 1972) regresses the observation on the forecast; AR on the past observations.
All are fitted on the training block only, per station, lead and target, by ridge regression whose strength is chosen on the
validation block.  Legend: i issue, k lead, s station, v target; every forecast is [i, k, s, v] in the target's unit.
"""

from __future__ import annotations

import numpy as np

from .pairs import Pairs

RIDGE = (1e-6, 1e-3, 1e-2, 1e-1, 1.0)
YEAR = 365.2425


def seasonal_features(time: np.ndarray, *, daily: bool, annual: int = 1) -> np.ndarray:
    """Sines and cosines of the day of year (`annual` harmonics) and, if `daily`, two of the hour [t, f]."""
    day = (time - time.astype("datetime64[Y]")) / np.timedelta64(1, "D")
    angles = [2 * np.pi * h * day / YEAR for h in range(1, annual + 1)]
    if daily:
        hour = (time - time.astype("datetime64[D]")) / np.timedelta64(1, "h")
        angles += [2 * np.pi * h * hour / 24 for h in (1, 2)]
    return np.stack([f(a) for a in angles for f in (np.sin, np.cos)], -1)


def persistence(pairs: Pairs, history: int) -> np.ndarray:
    """The last observation at or before the issue time, at most `history` steps old."""
    last = np.full((len(pairs.anchor), *pairs.observed.shape[1:]), np.nan)
    for age in range(history):
        at = pairs.anchor - age
        value = np.where((at >= 0)[:, None, None], pairs.observed[np.clip(at, 0, None)], np.nan)
        last = np.where(np.isfinite(last), last, value)
    return np.broadcast_to(last[:, None], pairs.forecast.shape)


def climatology(pairs: Pairs, train: np.ndarray) -> np.ndarray:
    """Mean, two annual and two daily harmonics of the observations before the last training target; [i, k, s, v].

    A record shorter than a season gives the mean (and the daily cycle): an annual wave fitted to weeks would explode.
    """
    last = pairs.valid[train].max()
    first = max(int(pairs.anchor[train].min()), 0)
    time, observed = pairs.time[first : last + 1], pairs.observed[first : last + 1]
    days = (time[-1] - time[0]) / np.timedelta64(1, "D")
    months = len(np.unique(time[np.isfinite(observed).any((1, 2))].astype("datetime64[M]").astype(int) % 12))
    basis = seasonal_features(pairs.time, daily=pairs.sub_daily, annual=2)
    if days < 270 or months < 9:
        basis = basis[:, 4:]
    design = np.concatenate([np.ones((len(basis), 1)), basis], 1)
    out = np.full(pairs.observed.shape, np.nan)
    for s, v in np.ndindex(*observed.shape[1:]):
        seen = np.isfinite(observed[:, s, v])
        if seen.any():
            x = design[first : last + 1][seen]
            gram = x.T @ x + 1e-3 * seen.sum() * np.diag([0.0] + [1.0] * (x.shape[1] - 1)) * 1e-2
            out[:, s, v] = design @ np.linalg.solve(gram, x.T @ observed[seen, s, v])
    at = np.clip(pairs.valid, 0, len(pairs.time) - 1)
    return np.where((pairs.valid >= 0)[:, :, None, None], out[at], np.nan)


def past_window(pairs: Pairs, series: np.ndarray, length: int) -> np.ndarray:
    """Values of `series` [t, s, v] over the `length` steps up to each issue: [i, s, v, length], newest first."""
    at = pairs.anchor[:, None] - np.arange(length)[None, :]
    taken = series[np.clip(at, 0, len(series) - 1)]  # [i, length, s, v]
    taken = np.where((at >= 0)[:, :, None, None], taken, np.nan)
    return taken.transpose(0, 2, 3, 1)


def linear(
    pairs: Pairs,
    train: np.ndarray,
    validation: np.ndarray,
    *,
    history: int = 0,
    forecast: bool = False,
    predictors: np.ndarray | None = None,
    errors: np.ndarray | None = None,
) -> np.ndarray:
    """Ridge regression of the truth on the past observations, the own forecast, and further predictors.

    history: past steps used (0: none); forecast: use the teacher's value of the target; predictors [i, k, s, p];
    errors [i, s, v, n]: recent errors of the teacher.
    """
    truth = pairs.truth
    out = np.full(truth.shape, np.nan)
    past = past_window(pairs, pairs.observed, history) if history else None
    for s in range(truth.shape[2]):
        own_past = _filled(past[:, s].reshape(len(truth), -1), train) if history else None
        own_errors = _filled(errors[:, s].reshape(len(truth), -1), train) if errors is not None else None
        for k, v in np.ndindex(truth.shape[1], truth.shape[3]):
            parts = []
            if forecast:
                parts.append(pairs.forecast[:, k, s, v : v + 1])
            if predictors is not None:
                parts.append(_filled(predictors[:, k, s], train))
            parts += [part for part in (own_past, own_errors) if part is not None]
            out[:, k, s, v] = _ridge(np.concatenate(parts, 1), truth[:, k, s, v], train, validation)
    return out


def _filled(x: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Missing values replaced by the training mean of their column (0 where a column is always missing)."""
    seen = np.isfinite(x[train])
    mean = np.where(seen, x[train], 0.0).sum(0) / np.maximum(seen.sum(0), 1)
    return np.where(np.isfinite(x), x, mean)


def _ridge(x: np.ndarray, y: np.ndarray, train: np.ndarray, validation: np.ndarray) -> np.ndarray:
    """Prediction of y [n] from x [n, p]; NaN in x gives NaN; the ridge strength that validates best."""
    usable = np.isfinite(x).all(1)
    known = usable & np.isfinite(y)
    fit, held = np.intersect1d(np.flatnonzero(known), train), np.intersect1d(np.flatnonzero(known), validation)
    out = np.full(len(y), np.nan)
    if len(fit) < 3:
        return out
    mean, sd = x[fit].mean(0), x[fit].std(0)
    z = (x - mean) / np.where(sd > 1e-12, sd, 1.0)
    level = y[fit].mean()
    gram, moment = z[fit].T @ z[fit] / len(fit), z[fit].T @ (y[fit] - level) / len(fit)
    best, score = None, np.inf
    for strength in RIDGE:
        w = np.linalg.solve(gram + strength * np.eye(len(gram)), moment)
        error = np.mean((z[held] @ w + level - y[held]) ** 2) if len(held) else strength
        if error < score:
            best, score = w, error
    out[usable] = z[usable] @ best + level
    return out
