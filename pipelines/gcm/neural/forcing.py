"""Which sea surface a model sees: the one nearest in time, held over a step, and whether a file covers a run.

The nearest time is that of round(interpolated index): ties go to the even index, and before the first and after the last
time the file's ends are used. A shift lets a run see what was known then: at a valid time the sea surface of
`shift_hours` earlier; persistence that of the start throughout.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jax import Array

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint import config as nodes

_HOUR = np.timedelta64(3600, "s")


def _seconds(times: np.ndarray, since: np.datetime64) -> np.ndarray:
    return (np.asarray(times, "datetime64[s]") - since.astype("datetime64[s]")) / np.timedelta64(1, "s")


def seen(valid: np.datetime64, shift_hours: float) -> np.datetime64:
    """The time whose sea surface serves at `valid`."""
    return np.datetime64(valid, "s") - np.timedelta64(round(shift_hours * 3600), "s")


def select(times: np.ndarray, valid: np.datetime64, *, shift_hours: float = 0.0) -> int:
    """Index of the time in ascending `times` [t] datetime64 that serves at `valid`."""
    axis = _seconds(times, times[0])
    index = np.interp(_seconds(seen(valid, shift_hours), times[0]), axis, np.arange(len(axis)))
    return int(np.round(index))


def check_coverage(
    times: np.ndarray, start: np.datetime64, end: np.datetime64, *, tolerance: np.timedelta64, shift_hours: float = 0.0,
    persist: bool = False,
) -> None:  # fmt: skip
    """DataError where the sea surface of `times` [t] is further than `tolerance` from a time that a run needs.

    start, end: first and last time of the run; with `persist` only the start's sea surface is needed.
    """
    if len(times) == 0:
        raise DataError("the forcing has no times", hint="sea_surface_temperature and sea_ice_cover are needed")
    first, last = np.datetime64(times[0], "s"), np.datetime64(times[-1], "s")
    wanted = [seen(moment, shift_hours) for moment in ((start, start) if persist else (start, end))]
    gaps = np.diff(np.asarray(times, "datetime64[s]"))
    wide = np.flatnonzero(gaps > 2 * tolerance)
    within = [i for i in wide if times[i] + tolerance < wanted[1] and times[i + 1] - tolerance > wanted[0]]
    if wanted[0] >= first - tolerance and wanted[1] <= last + tolerance and not within:
        return
    shifted = f" ({shift_hours:g} hours before the run's own times)" if shift_hours else ""
    hole = f", with nothing from {_date(times[within[0]])} to {_date(times[within[0] + 1])}" if within else ""
    raise DataError(
        f"the forcing goes from {_date(first)} to {_date(last)}{hole}; the run needs it from {_date(wanted[0])} to"
        f" {_date(wanted[1])}{shifted}, {tolerance / _HOUR:g} hours away at most",
        hint="give a file that covers the run, shorten it, or keep the first sea surface with --persist-sst",
    )


def _date(time: np.datetime64) -> str:
    return str(np.datetime64(time, "m"))


def incremented(forcing: Mapping[str, Array], kelvin: float) -> dict[str, Array]:
    """`forcing` with the sea surface warmer by `kelvin`."""
    return {name: x + kelvin if name == "sea_surface_temperature" else x for name, x in forcing.items()}


def own_increment(settings: Any) -> float:
    """By how much the `forcing` of a model's own settings warms the sea surface [K]."""
    transform = getattr(settings.forcing, "transform", None)
    return transform.temperature_change if isinstance(transform, nodes.IncrementSSTForcingTransform) else 0.0
