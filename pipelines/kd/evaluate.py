"""`sciml kd evaluate`: score a trained student, and the baselines that need no fitting, on any period of any files.

Scores and elements as in `scores`; a probabilistic head adds CRPS [unit of the target] and the coverage of its central interval.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from sciml.pipelines.compute.devices import choose_device
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.progress import Progress
from sciml.pipelines.run import Run

from .baselines import persistence
from .design import Design
from .losses import crps
from .model import Model, load_model
from .scores import common_elements, score
from .settings import Evaluate


def evaluate(settings: Evaluate, progress: Progress | None = None) -> dict:
    """Scores on the issue times start..end (default: the run's test block, else all)."""
    progress = progress or Progress()
    device = choose_device(settings.device, progress.note)
    model = load_model(settings.model)
    teacher, observations, period = _files(model, settings)
    design = model.read(teacher, observations, progress)
    end = settings.end or (None if settings.start else period[1])
    issues = select_issues(design, settings.start or period[0], end)
    point, full = model.forecast(design, issues, device)
    truth = design.pairs.truth[issues]
    forecasts = {"persistence": [persistence(design.pairs, design.history)[issues]]}
    if np.isfinite(design.pairs.forecast).any():
        forecasts["nwp"] = [design.pairs.forecast[issues] if design.pairs.same_quantity else design.corrected[issues]]
    known = common_elements(truth, forecasts | {"distilled": [point]})
    if not known.any():
        raise DataError(f"no observation of {observations or teacher} is valid in the {len(issues)} chosen forecasts")
    # without a training block the mean observation stands for climatology
    climate = np.broadcast_to(np.nanmean(np.where(known, truth, np.nan), axis=(0, 1)), truth.shape)
    units = set(design.pairs.units)
    weight = np.ones(len(design.pairs.targets)) if len(units) == 1 else 1 / design.scaling.scale
    rows = [
        score(n, f, truth, known, climate, weight, design.pairs.targets)
        for n, f in (forecasts | {"distilled": [point]}).items()
    ]
    rows[-1]["label"] = "student"
    if full is not None:
        rows[-1] |= probabilistic_scores(model, full, truth, known)
    issue = design.pairs.teacher.issue[issues]
    return {
        "model": str(model.folder), "unit": units.pop() if len(units) == 1 else "standard deviations", "elements": int(known.sum()),
        "issues": [str(issue[0])[:16], str(issue[-1])[:16]], "lead_hours": design.pairs.teacher.lead_hours.tolist(), "scores": rows,
    }  # fmt: skip


def _files(model: Model, settings: Evaluate) -> tuple[Path | None, Path | None, tuple[str | None, str | None]]:
    """Files and period: those of the run unless given."""
    teacher, observations, period = settings.teacher, settings.observations, (None, None)
    if (model.folder / "settings.toml").is_file():
        run = Run(model.folder)
        stored = run.settings()
        if teacher is None and observations is None:
            block = (run.read_json("results.json") or {}).get("data", {}).get("blocks", {}).get("test", {})
            period = (block.get("start"), block.get("end"))
        teacher = teacher or Path(stored.get("teacher", "nwp.nc"))
        observations = observations or (Path(stored["observations"]) if "observations" in stored else None)
        if (teacher / "config.json").is_file() or (teacher / "checkpoints").is_dir():
            teacher = None  # taught by a network: its student needs no forecast file
    if teacher is None and observations is None:
        raise SettingsError(
            f"{model.folder}: an exported model has no data of its own",
            hint="give --observations FILE (and --teacher FILE)",
        )
    return teacher, observations, period


def select_issues(design: Design, start: str | None, end: str | None) -> np.ndarray:
    """Positions of the issue times between two dates (a date alone means the whole day)."""
    issue = design.pairs.teacher.issue
    low, high = _moment(start, "--start", last=False), _moment(end, "--end", last=True)
    chosen = np.ones(len(issue), bool)
    if low is not None:
        chosen &= issue >= low
    if high is not None:
        chosen &= issue <= high
    if not chosen.any():
        raise SettingsError(
            f"no issue time between {start or 'the first'} and {end or 'the last'}; the file holds {str(issue[0])[:16]} to {str(issue[-1])[:16]}"
        )
    return np.flatnonzero(chosen)


def _moment(text: str | None, option: str, *, last: bool) -> np.datetime64 | None:
    if text is None:
        return None
    try:
        moment = np.datetime64(text.replace(" ", "T").removesuffix("Z"))
        year = moment.astype("datetime64[Y]").astype(int) + 1970
    except ValueError:
        year = None
    if year is None or not 1700 <= year <= 2200:  # what nanoseconds can hold; NaT is no year either
        raise SettingsError(f'{option} "{text}": not a date', hint="e.g. 2014-01-31 or 2014-01-31T12:00")
    unit = np.datetime_data(moment)[0]
    if last and unit in ("Y", "M", "W", "D"):
        moment = moment + np.timedelta64(1, unit) - np.timedelta64(1, "s")
    return moment.astype("datetime64[ns]")


def probabilistic_scores(model: Model, full: np.ndarray, truth: np.ndarray, known: np.ndarray) -> dict:
    """CRPS and coverage of the widest central interval; full [i, k, s, v, q] in the target's unit."""
    shape = model.student.shape
    if shape.head == "gaussian":
        # the closed form takes the deviation before softplus; invert it
        mean, sigma = full[..., 0][known], full[..., 1][known]
        spread = np.maximum(sigma - 1e-3, 1e-9)
        raw = torch.from_numpy(np.where(spread > 30, spread, np.log(np.expm1(np.minimum(spread, 30)))))
        out = torch.stack((torch.from_numpy(mean), raw)).view(1, 1, 2, -1)
        low, high, nominal = mean - 1.2815515655 * sigma, mean + 1.2815515655 * sigma, 0.8
    else:
        levels = shape.quantiles
        taken = full[known]
        out = torch.from_numpy(np.ascontiguousarray(taken.T)).view(1, 1, len(levels), -1)
        low, high, nominal = taken[:, 0], taken[:, -1], levels[-1] - levels[0]
    y = truth[known]
    value = crps(shape.head, out, torch.from_numpy(y).view(1, 1, -1), shape.quantiles)
    return {
        "crps": float(value.mean()),
        "coverage": float(np.mean((y >= low) & (y <= high))),
        "nominal_coverage": float(nominal),
    }
