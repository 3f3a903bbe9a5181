"""`sciml kd data`: what a pair of files holds and whether it can be used, before an hour is spent on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sciml.pipelines.errors import ScimlError
from sciml.pipelines.progress import Progress

from .checks import check_pairs
from .pairs import HOUR, Pairs, pair
from .settings import Data, Fit
from .teacher import Teacher, read_teacher


class _Notes(Progress):
    """Collects what the readers say."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def survey(settings: Data) -> dict[str, Any]:
    """Facts of the teacher file, of the observations beside it, and everything doubtful; errors of the pair are raised."""
    said = _Notes()
    choice = Fit(teacher=settings.teacher, observations=settings.observations, zone=settings.zone, units=settings.units)
    try:
        teacher = read_teacher(choice, said)
    except ScimlError as error:
        if "grid" not in str(error):
            raise
        return {
            "teacher": {"file": str(settings.teacher), "problem": str(error), "hint": error.hint},
            "notes": said.notes,
            "warnings": [],
        }
    found: dict[str, Any] = {"teacher": teacher_facts(teacher)}
    if settings.observations is not None:
        pairs = _paired(teacher, choice, said)
        found["observations"] = observation_facts(pairs)
        said.warnings += check_pairs(pairs) + list(pairs.notes)
    return found | {"notes": said.notes, "warnings": said.warnings}


def _paired(teacher: Teacher, choice: Fit, said: _Notes) -> Pairs:
    """Paired even where the quantities differ: then through an operator that is fitted later."""
    try:
        return pair(teacher, choice, said)
    except ScimlError as error:
        if "another quantity" not in str(error):
            raise
        said.warn(f"{error} ({error.hint})")
        return pair(teacher, replace(choice, operator="isotonic"), said)


def teacher_facts(teacher: Teacher) -> dict[str, Any]:
    """Times, leads, stations, variables with units, ranges and missing shares."""
    step = np.diff(teacher.issue)
    usual = np.median(step) if len(step) else np.timedelta64(0, "h")
    leads = teacher.lead_hours
    return {
        "file": str(teacher.path),
        "issues": len(teacher.issue),
        "first_issue": str(teacher.issue[0])[:16],
        "last_issue": str(teacher.issue[-1])[:16],
        "issue_step_hours": float(usual / HOUR),
        "gaps": int((step > 1.5 * usual).sum()) if len(step) else 0,
        "leads": [float(leads[0]), float(leads[-1]), len(leads)],
        "stations": list(teacher.stations),
        "members": teacher.members,
        "variables": {
            name: {
                "in_file": teacher.original[name], "units": teacher.units[name], "file_units": teacher.original_units[name],
                "missing": float(np.mean(~np.isfinite(values))), "range": _range(values), "accumulated": name in teacher.accumulated,
            }
            for name, values in teacher.values.items()
        },
    }  # fmt: skip


def observation_facts(pairs: Pairs) -> dict[str, Any]:
    """Step, span, gaps and overlap with the forecasts."""
    known = np.isfinite(pairs.observed).any((1, 2))
    when = pairs.time[known]
    both = np.isfinite(pairs.truth) & np.isfinite(pairs.forecast)
    return {
        "file": str(pairs.observations),
        "first": str(when[0])[:16],
        "last": str(when[-1])[:16],
        "step_hours": float(pairs.cadence / HOUR),
        "gaps": int((np.diff(when) > pairs.cadence).sum()),
        "pairs": int(both.sum()),
        "issues_with_pairs": int(both.any((1, 2, 3)).sum()),
        "variables": {
            name: {
                "units": unit, "predictor": predictor, "range": _range(pairs.observed[..., v]),
                "missing": float(1 - np.isfinite(pairs.observed[known][..., v]).mean()),
                "rmse_of_raw_forecast": _rmse(pairs, v) if pairs.same_quantity else None,
            }
            for v, (name, unit, predictor) in enumerate(zip(pairs.targets, pairs.units, pairs.predictor, strict=True))
        },
    }  # fmt: skip


def _range(values: np.ndarray) -> list[float] | None:
    seen = values[np.isfinite(values)]
    return [float(seen.min()), float(seen.max())] if seen.size else None


def _rmse(pairs: Pairs, v: int) -> float:
    return float(np.sqrt(np.nanmean((pairs.forecast[..., v] - pairs.truth[..., v]) ** 2)))
