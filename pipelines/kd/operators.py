"""Observation operators: from the teacher's variable to the observed one, fitted on training pairs only.

    shift      y = x + b                    linear     y = a x + b
    isotonic   y = m(x), m non-decreasing   (a wind-power curve; Barlow et al. 1972)

Each is fitted per station, lead and target where there are pairs enough (60 for a slope, 10 for a shift), else pooled over
leads, else over stations too.  Legend: i issue, k lead, s station, v target.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from sciml.pipelines.errors import SettingsError

SLOPE_PAIRS, SHIFT_PAIRS = 60, 10


@dataclass(frozen=True)
class Operator:
    """A fitted operator: slope and offset [k, s, v], or a curve (x, y) for each (station, target)."""

    kind: str
    slope: np.ndarray
    offset: np.ndarray
    curves: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def __call__(self, forecast: np.ndarray) -> np.ndarray:
        """Expected observation [i, k, s, v] of forecast [i, k, s, v]."""
        if self.kind != "isotonic":
            return self.slope * forecast + self.offset
        out = np.full_like(forecast, np.nan)
        for (s, v), (x, y) in self.curves.items():
            seen = np.isfinite(forecast[:, :, s, v])
            out[:, :, s, v][seen] = np.interp(forecast[:, :, s, v][seen], x, y)
        return out

    def derivative(self, forecast: np.ndarray) -> np.ndarray:
        """Local slope of the operator [i, k, s, v], which carries an ensemble's spread over to the observed variable."""
        if self.kind != "isotonic":
            return np.broadcast_to(self.slope, forecast.shape)
        step = np.nanstd(forecast) * 0.05
        return (self(forecast + step) - self(forecast - step)) / (2 * step)

    def to_dict(self) -> dict:
        """Plain numbers for JSON."""
        curves = [[s, v, x.tolist(), y.tolist()] for (s, v), (x, y) in self.curves.items()]
        return {"kind": self.kind, "slope": self.slope.tolist(), "offset": self.offset.tolist(), "curves": curves}

    @classmethod
    def from_dict(cls, plain: dict) -> Operator:
        """The inverse of `to_dict`."""
        curves = {(s, v): (np.array(x), np.array(y)) for s, v, x, y in plain["curves"]}
        return cls(plain["kind"], np.array(plain["slope"]), np.array(plain["offset"]), curves)


def fit_operator(
    kind: str,
    forecast: np.ndarray,
    truth: np.ndarray,
    *,
    same_quantity: bool,
    held: tuple[np.ndarray, np.ndarray] | None = None,
) -> Operator:
    """Fit on training pairs forecast, truth [i, k, s, v] (NaN where missing).

    kind "auto": for the same quantity linear, or a shift, or none, whichever fits the `held` (validation) pairs best: a slope
    fitted to one season misleads in the next.  Another quantity needs isotonic (its default) or linear.
    """
    if kind == "auto" and same_quantity and held is not None:
        fitted = [fit_operator(k, forecast, truth, same_quantity=True) for k in ("linear", "shift", "none")]
        # a tie goes to the richer operator
        return min(fitted, key=lambda operator: np.round(_mean_square(operator(held[0]) - held[1]), 12))
    if kind == "auto":
        kind = "linear" if same_quantity else "isotonic"
    if kind == "none" and not same_quantity:
        raise SettingsError(
            "--operator none: the teacher forecasts another quantity than the target",
            hint="use --operator isotonic or linear",
        )
    shape = forecast.shape[1:]
    slope, offset = np.ones(shape), np.zeros(shape)
    if kind == "none":
        return Operator(kind, slope, offset)
    if kind == "isotonic":
        return Operator(kind, slope, offset, _curves(forecast, truth))
    for k, s, v in np.ndindex(*shape):
        slope[k, s, v], offset[k, s, v] = _line(forecast, truth, k, s, v, slope_allowed=kind == "linear")
    return Operator(kind, slope, offset)


def _mean_square(error: np.ndarray) -> float:
    seen = error[np.isfinite(error)]
    return float(np.mean(seen**2)) if seen.size else np.inf


def _line(forecast, truth, k: int, s: int, v: int, *, slope_allowed: bool) -> tuple[float, float]:
    """Slope and offset from the narrowest group that has pairs enough."""
    groups = [(slice(k, k + 1), slice(s, s + 1)), (slice(None), slice(s, s + 1)), (slice(None), slice(None))]
    for need, sloped in ((SLOPE_PAIRS, True), (SHIFT_PAIRS, False), (1, False)):
        if sloped and not slope_allowed:
            continue
        for leads, stations in groups:
            x, y = forecast[:, leads, stations, v].ravel(), truth[:, leads, stations, v].ravel()
            both = np.isfinite(x) & np.isfinite(y)
            if both.sum() < need:
                continue
            x, y = x[both], y[both]
            if not sloped:
                return 1.0, float(np.mean(y - x))
            variance = np.var(x)
            if variance > 1e-12 * max(np.mean(x) ** 2, 1e-30):
                a = float(np.mean((x - x.mean()) * (y - y.mean())) / variance)
                return a, _own_offset(forecast, truth, groups, v, a)
    return 1.0, 0.0


def _own_offset(forecast, truth, groups, v: int, a: float) -> float:
    """Mean of y - a x in the narrowest group with pairs enough for a shift: a pooled slope must not lose a station's bias."""
    for leads, stations in groups:
        rest = (truth[:, leads, stations, v] - a * forecast[:, leads, stations, v]).ravel()
        rest = rest[np.isfinite(rest)]
        if len(rest) >= SHIFT_PAIRS:
            break
    return float(rest.mean())


def _curves(forecast, truth) -> dict[tuple[int, int], tuple[np.ndarray, np.ndarray]]:
    from sklearn.isotonic import IsotonicRegression

    curves = {}
    for s, v in np.ndindex(*forecast.shape[2:]):
        x, y = forecast[:, :, s, v].ravel(), truth[:, :, s, v].ravel()
        if (np.isfinite(x) & np.isfinite(y)).sum() < SLOPE_PAIRS:
            x, y = forecast[..., v].ravel(), truth[..., v].ravel()
        both = np.isfinite(x) & np.isfinite(y)
        if not both.any():
            continue
        # the sign is fitted too: load falls with temperature, power rises with wind
        fitted = IsotonicRegression(out_of_bounds="clip", increasing="auto").fit(x[both], y[both])
        knots_x, knots_y = fitted.X_thresholds_, fitted.y_thresholds_
        curves[(s, v)] = _thinned(knots_x, knots_y, math.inf if len(knots_x) < 512 else 256)
    return curves


def _thinned(x: np.ndarray, y: np.ndarray, most: float) -> tuple[np.ndarray, np.ndarray]:
    if len(x) <= most:
        return x, y
    keep = np.unique(np.linspace(0, len(x) - 1, int(most)).astype(int))
    return x[keep], y[keep]
