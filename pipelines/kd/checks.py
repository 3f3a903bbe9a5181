"""Checks of a forecast-observation pair that catch what makes distillation silently useless.

Each check either raises a DataError that names file, variable, what was found and what to do, or returns a warning:
units that cannot be the same, fields accumulated along the run, shifted clocks, a biased or constant teacher, and a
teacher worse than climatology.
"""

from __future__ import annotations

import numpy as np

from sciml.pipelines.errors import DataError

from .pairs import HOUR, Pairs


def check_pairs(pairs: Pairs) -> list[str]:
    """Warnings about `pairs`; raises DataError where going on would give nonsense."""
    warnings = []
    truth = pairs.truth
    for v, (target, predictor) in enumerate(zip(pairs.targets, pairs.predictor, strict=True)):
        both = np.isfinite(pairs.forecast[..., v]) & np.isfinite(truth[..., v])
        f, o = pairs.forecast[..., v][both], truth[..., v][both]
        name = pairs.teacher.original.get(predictor, predictor)
        _refuse_useless(pairs, name, target, predictor, f, o)
        if len(f) < 30:
            warnings.append(f"only {len(f)} pairs of {name} and its observation: scores will be noise")
            continue
        if pairs.same_quantity:
            _refuse_units(pairs, name, target, f, o)
            warnings += _judge(pairs, name, target, f, o)
            warnings += _clock_shift(pairs, name, v)
    return warnings


def _refuse_useless(pairs: Pairs, name: str, target: str, predictor: str, f, o) -> None:
    path = pairs.teacher.path
    if not len(f):
        missing = "forecast" if not np.isfinite(pairs.teacher.values[predictor]).any() else "observation"
        raise DataError(
            f"{path}: {name} has no valid time at which both it and {target} are known (all {missing} values are missing there)"
        )
    if np.ptp(f) == 0:
        raise DataError(f"{path}: {name} is {f[0]:g} everywhere: a constant cannot teach")
    if np.ptp(o) == 0:
        raise DataError(f"{pairs.observations or path}: {target} is {o[0]:g} everywhere: there is nothing to learn")
    if predictor in pairs.teacher.accumulated:
        raise DataError(
            f"{path}: {name} grows along each run from {pairs.teacher.lead_hours[0]:g} h on: it is accumulated since the start of the run",
            hint="use --deaccumulate to turn it into amounts per lead step",
        )


def _refuse_units(pairs: Pairs, name: str, target: str, f, o) -> None:
    """Medians and slopes that give away a wrong unit."""
    where = f"{pairs.teacher.path}: {name} has median {np.median(f):.4g}, {pairs.observations}: its observation {np.median(o):.4g}"
    shift = np.median(f) - np.median(o)
    slope = np.cov(f, o)[0, 1] / max(np.var(f), 1e-12)
    column = target  # the name that --units takes whatever the column is called
    if "temperature" in target:
        # before Kelvin: Fahrenheit numbers lie about 240 below Kelvin, too
        if 1.5 < slope < 2.1 and np.corrcoef(f, o)[0, 1] > 0.8:
            raise DataError(
                f"{where}, and they vary 1.8 times as much: that looks like Fahrenheit",
                hint=f"state the observations' unit: --units {column}=degF",
            )
        if abs(abs(shift) - 273.15) < 60:
            unit = "degC" if shift > 0 else "K"
            raise DataError(
                f"{where}: that looks like Kelvin against Celsius",
                hint=f"state the observations' unit: --units {column}={unit}",
            )
        return
    scale = np.std(o) / max(np.std(f), 1e-30)
    for factor, text in ((100.0, "hPa against Pa"), (1000.0, "mm against m"), (3.6, "km h-1 against m s-1")):
        for ratio in (factor, 1 / factor):
            near = abs(np.log(scale / ratio)) < (0.08 if factor < 10 else 1.0)
            ratio_of_medians = abs(np.median(o)) / max(abs(np.median(f)), 1e-30)
            if near and factor > 10 or near and abs(np.log(max(ratio_of_medians, 1e-30) / ratio)) < 0.08:
                raise DataError(
                    f"{where}: that looks like {text}", hint=f"state the observations' unit: --units {column}=UNIT"
                )


def _judge(pairs: Pairs, name: str, target: str, f, o) -> list[str]:
    found = []
    bias, sd = float(np.mean(f - o)), float(np.std(o))
    rmse = float(np.sqrt(np.mean((f - o) ** 2)))
    if abs(bias) > sd / 2:
        found.append(
            f"{name} is biased by {bias:+.3g}, more than half the spread of the observations ({sd:.3g}); right variable, station, unit?"
        )
    if rmse > sd:
        found.append(
            f"raw {name} (RMSE {rmse:.3g}) is worse than the mean observation ({sd:.3g}): this teacher may harm"
        )
    return found


def _clock_shift(pairs: Pairs, name: str, v: int) -> list[str]:
    """Scan shifts of up to 14 h (or one step) of the observations against the shortest lead."""
    widest = max(int(14 * HOUR / pairs.cadence), 1)
    valid, f = pairs.valid[:, 0], pairs.forecast[:, 0, :, v]
    scores = {}
    for shift in range(-widest, widest + 1):
        at = valid + shift
        inside = (valid >= 0) & (at >= 0) & (at < len(pairs.time))
        error = f[inside] - pairs.observed[at[inside], :, v]
        error = error - np.nanmean(error) if np.isfinite(error).any() else error
        if np.isfinite(error).sum() >= 30:
            scores[shift] = float(np.sqrt(np.nanmean(error**2)))
    if 0 not in scores:
        return []
    best = min(scores, key=scores.get)
    if best == 0 or scores[best] > 0.8 * scores[0]:
        return []
    hours = best * (pairs.cadence / HOUR)
    return [
        f"{name} fits the observations best when they are read {abs(hours):g} h {'later' if hours > 0 else 'earlier'} "
        f"(RMSE {scores[best]:.3g} instead of {scores[0]:.3g}): are they in another time zone (--zone), or filed by issue time?"
    ]
