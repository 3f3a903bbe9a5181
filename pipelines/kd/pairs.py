"""Forecasts and observations of the same valid time, on one regular grid of valid times.

Legend: t valid time, i issue time, k lead, s station, v target variable.  A pair is forecast[i, k, s, v] and
truth[i, k, s, v] = observed[valid[i, k], s, v] with valid time = issue time + lead.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sciml.pipelines.errors import DataError, SettingsError, suggest
from sciml.pipelines.progress import Progress
from sciml.pipelines.readers.names import house_name
from sciml.pipelines.readers.stations import read_observations
from sciml.pipelines.readers.units import convert

from .teacher import Teacher

# what to take as the target when the teacher stands for its own observations, most wanted first
PREFERRED = ("2m_temperature", "maximum_2m_temperature_in_the_last_24_hours", "pm10", "pm2p5", "10m_wind_speed")
HOUR = np.timedelta64(1, "h")


@dataclass(frozen=True)
class Pairs:
    """Aligned forecasts and observations.

    time [t] regular, datetime64[ns]; observed [t, s, v]; anchor [i]: position in `time` of the last observation time at
    or before the issue; valid [i, k]: position of the valid time, -1 where off the grid; forecast [i, k, s, v];
    predictor: the teacher variable behind each target.  Arrays float64, NaN where missing.
    """

    teacher: Teacher
    observations: Path | None
    targets: tuple[str, ...]
    predictor: tuple[str, ...]
    units: tuple[str, ...]
    cadence: np.timedelta64
    time: np.ndarray
    observed: np.ndarray
    anchor: np.ndarray
    valid: np.ndarray
    forecast: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def same_quantity(self) -> bool:
        """Whether the teacher forecasts the targets themselves."""
        return self.predictor == self.targets

    @property
    def truth(self) -> np.ndarray:
        """Observations at the valid times [i, k, s, v]."""
        taken = self.observed[np.clip(self.valid, 0, len(self.time) - 1)]
        return np.where((self.valid >= 0)[:, :, None, None], taken, np.nan)

    @property
    def sub_daily(self) -> bool:
        """Whether observations come more often than once a day."""
        return self.cadence < np.timedelta64(23, "h")

    @property
    def spread(self) -> np.ndarray | None:
        """Ensemble standard deviation of the forecast [i, k, s, v], or None for a deterministic teacher."""
        if not all(name in self.teacher.spread for name in self.predictor):
            return None
        return np.stack([self.teacher.spread[name] for name in self.predictor], -1)


def pair(teacher: Teacher, choice, progress: Progress | None = None, *, need_overlap: bool = True) -> Pairs:
    """Match `teacher` with `choice.observations`, or with its own shortest lead where there are none.

    need_overlap=False accepts forecasts whose valid times are not observed yet, as at prediction time.
    """
    progress = progress or Progress()
    if choice.observations is None:
        return _self_taught(teacher, choice, progress)
    ds = read_observations(
        choice.observations,
        stations=teacher.stations,
        zone=choice.zone,
        units=choice.unit_map,
        needed=choice.target or None,
    )
    for note in ds.attrs.get("sciml_notes", ()):
        progress.note(note)
    present = {str(s) for s in ds["station"].values}
    keep = [s for s, name in enumerate(teacher.stations) if name in present]
    if not keep:
        raise DataError(
            f"{choice.observations}: none of its stations ({', '.join(sorted(present)[:5])}) is one of {teacher.path}: {', '.join(teacher.stations[:5])}"
        )
    teacher = teacher.select(stations=keep) if len(keep) < len(teacher.stations) else teacher
    ds = ds.sel(station=list(teacher.stations))
    targets, predictor = _targets(teacher, ds, choice, progress)
    observed = np.stack(
        [_in_teacher_units(ds[t], p, teacher, choice) for t, p in zip(targets, predictor, strict=True)], -1
    )
    units = tuple(
        str(ds[t].attrs.get("units", "")) or (teacher.units[p] if t == p else "")
        for t, p in zip(targets, predictor, strict=True)
    )
    pairs = _align(teacher, ds["time"].values.astype("datetime64[ns]"), observed, targets, predictor, units, choice)
    if need_overlap:
        _require_overlap(pairs)
    return pairs


def _targets(teacher: Teacher, ds, choice, progress: Progress) -> tuple[tuple[str, ...], tuple[str, ...]]:
    names = {str(n): str(n) for n in ds.data_vars} | {
        str(ds[n].attrs.get("original_name", n)): str(n) for n in ds.data_vars
    }
    wanted = []
    for name in choice.target:
        found = names.get(name) or names.get(house_name(name, station_table=True))
        if found is None:
            raise SettingsError(f'{choice.observations}: no column "{name}"; {suggest(name, sorted(names))}')
        wanted.append(found)
    shared = [n for n in (wanted or map(str, ds.data_vars)) if n in teacher.values]
    if choice.predictor is None and shared and (not wanted or shared == wanted):
        return tuple(shared), tuple(shared)
    chosen = tuple(wanted or map(str, ds.data_vars))
    if choice.predictor is not None:
        return chosen, (teacher.find(choice.predictor),) * len(chosen)
    if getattr(choice, "operator", "auto") in ("isotonic", "linear"):
        guess = "10m_wind_speed" if "10m_wind_speed" in teacher.values else next(iter(teacher.values))
        progress.note(
            f"{guess} of {teacher.path} stands for {', '.join(chosen)} through a fitted {choice.operator} operator"
        )
        return chosen, (guess,) * len(chosen)
    raise SettingsError(
        f"{teacher.path} forecasts {', '.join(sorted(teacher.original.values()))}; {choice.observations} holds "
        f"{', '.join(str(ds[n].attrs.get('original_name', n)) for n in chosen)}: another quantity",
        hint="if one follows from the other (wind power from wind speed), fit the relation: --operator isotonic "
        "--predictor NAME; if it is the same quantity under another name: --predictor NAME",
    )


def _in_teacher_units(column, predictor: str, teacher: Teacher, choice) -> np.ndarray:
    """Observed values [t, s]; a column without a unit is taken to be in the unit of the teacher's file."""
    values = column.transpose("time", "station").values.astype(np.float64)
    if column.attrs.get("original_units") or str(column.name) != predictor:
        return values
    file_units = teacher.original_units.get(predictor, "")
    if file_units and teacher.units[predictor]:
        values = convert(values, file_units, teacher.units[predictor])
    return values


def _self_taught(teacher: Teacher, choice, progress: Progress) -> Pairs:
    """Pairs in which the teacher's shortest lead plays the observation."""
    targets = tuple(teacher.find(n) for n in choice.target) or next(
        ((n,) for n in PREFERRED if n in teacher.values), (next(iter(teacher.values)),)
    )
    shortest = teacher.lead_hours[0]
    progress.warn(
        f"no --observations: the forecasts of {teacher.path} at their shortest lead ({shortest:g} h) stand for observations "
        f"of {', '.join(targets)}; scores say how well that is reproduced, not how well the weather is forecast"
    )
    time = teacher.issue + teacher.lead[0]
    observed = np.stack([teacher.values[n][:, 0] for n in targets], -1)
    if len(teacher.lead) > 1:
        teacher = teacher.select(leads=slice(1, None))
    else:
        progress.warn(f"{teacher.path} has one lead only, so the teacher is its own target and raw NWP scores 0")
    pairs = _align(teacher, time, observed, targets, targets, tuple(teacher.units[n] for n in targets), choice)
    _require_overlap(pairs)
    return pairs


def _cadence(time: np.ndarray, where: str) -> np.timedelta64:
    if len(time) < 2:
        raise DataError(f"{where}: {len(time)} observation time, at least 30 are needed")
    steps, counts = np.unique(np.diff(time), return_counts=True)
    return steps[counts.argmax()]


def _tolerance(hours: float | None, cadence: np.timedelta64) -> np.timedelta64:
    """How far two times may differ and still be one: 2 % of the step, or what was asked for."""
    if hours is None:
        return cadence // 50
    # a second at least: times stored as fractions of days are not exact
    return np.timedelta64(max(round(hours * 3600), 1), "s").astype("timedelta64[ns]")


def _align(teacher: Teacher, time, observed, targets, predictor, units, choice) -> Pairs:
    where = str(choice.observations or teacher.path)
    cadence = _cadence(time, where)
    tolerance = _tolerance(choice.tolerance_hours, cadence)
    valid_time = teacher.issue[:, None] + teacher.lead[None, :]
    first = min(time[0], teacher.issue[0], valid_time.min())
    origin = time[0] - cadence * int(np.ceil((time[0] - first) / cadence))
    # rounded up: a time just before a step belongs to that step
    length = int(np.ceil((max(time[-1], valid_time.max()) - origin) / cadence)) + 1
    if length > 50_000_000:
        raise DataError(
            f"{where}: observations every {cadence / HOUR:g} h from {_day(time[0])} to {_day(time[-1])} make {length} steps; are the times right?"
        )
    grid = origin + cadence * np.arange(length)
    slot = np.rint((time - origin) / cadence).astype(np.int64)
    off = np.abs(grid[slot] - time) > tolerance
    notes = []
    if off.mean() > 0.2:
        raise DataError(
            f"{where}: {off.mean():.0%} of the observation times are off the regular step of {cadence / HOUR:g} h, the first {time[off][0]}",
            hint="resample them to a regular step, or allow a shift with --tolerance-hours",
        )
    if off.any():
        notes.append(
            f"{where}: {off.sum()} observations off the step of {cadence / HOUR:g} h left out, the first at {time[off][0]}"
        )
    regular = np.full((length, *observed.shape[1:]), np.nan)
    regular[slot[~off]] = observed[~off]
    position = (valid_time - origin) / cadence
    valid = np.rint(position).astype(np.int64)
    valid[np.abs(position - valid) > tolerance / cadence] = -1
    usable = (valid >= 0).any(0)
    if not usable.any():
        raise DataError(
            f"no forecast of {teacher.path} is valid at an observation time: forecasts are valid at {_clock(valid_time)}, "
            f"observations of {where} are made at {_clock(time)}",
            hint="give the observations' time zone (--zone), or allow a difference with --tolerance-hours",
        )
    if not usable.all():
        notes.append(
            f"leads {', '.join(f'{h:g}' for h in teacher.lead_hours[~usable])} h are never valid at an observation time and are left out"
        )
        teacher = teacher.select(leads=np.flatnonzero(usable))
        valid = valid[:, usable]
    pairs = Pairs(
        teacher=teacher,
        observations=choice.observations,
        targets=targets,
        predictor=predictor,
        units=units,
        cadence=cadence,
        time=grid,
        observed=regular,
        anchor=((teacher.issue - origin) / cadence + 1e-9).astype(np.int64),
        valid=valid,
        forecast=np.stack([teacher.values[name] for name in predictor], -1),
        notes=tuple(notes),
    )
    return pairs


def _require_overlap(pairs: Pairs) -> None:
    if (np.isfinite(pairs.truth) & np.isfinite(pairs.forecast)).any():
        return
    teacher = pairs.teacher
    observed = pairs.time[np.isfinite(pairs.observed).any((1, 2))]
    span = (
        f"observations span {_day(observed[0])} to {_day(observed[-1])}"
        if len(observed)
        else "all observations are missing"
    )
    raise DataError(
        f"{teacher.path} and {pairs.observations or teacher.path} share no valid time: forecasts are valid "
        f"{_day(teacher.issue[0] + teacher.lead[0])} to {_day(teacher.issue[-1] + teacher.lead[-1])}, {span}",
        hint="use files of the same period, or state the time zone of the observations (--zone)",
    )


def _day(time) -> str:
    return str(np.datetime64(time, "m")).replace("T", " ")


def _clock(times: np.ndarray) -> str:
    """The times of day that occur, e.g. "00:00, 12:00 UTC"."""
    minutes = np.unique((times.ravel().astype("datetime64[m]") - times.ravel().astype("datetime64[D]")).astype(int))
    shown = ", ".join(f"{m // 60:02d}:{m % 60:02d}" for m in minutes[:4])
    return f"{shown}{', ...' if len(minutes) > 4 else ''} UTC"
