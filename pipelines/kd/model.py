"""A trained student as a thing of its own: weights, and a configuration that is enough to apply it to new files.

Stored as safetensors (no pickle is ever executed): in a run folder as checkpoints/best.safetensors, exported as
model.safetensors + config.json.  Legend: i issue, k lead, s station, v target, q output per target.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sciml.pipelines.checkpoint import load_tensors
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.progress import Progress
from sciml.pipelines.readers.stations import read_observations
from sciml.pipelines.run import find_runs

from .base import Base
from .design import Design, Scaling, short_lead_record
from .losses import deviation
from .operators import Operator
from .pairs import Pairs, pair
from .settings import DataChoice
from .student import Shape, Student, build
from .teacher import Teacher, read_teacher
from .windows import DIRECT, RESIDUAL, Inputs, make_windows

FORMAT = "sciml-kd-1"
_CONFIGURED = (
    "shape", "mode", "schedule", "targets", "predictor", "units", "names", "teacher_units", "lead_hours", "cadence_hours",
    "history", "min_history", "stations", "location", "scaling", "operator", "static", "predictors", "self_taught", "data",
)  # fmt: skip
HOUR = np.timedelta64(1, "h")


def configuration(design: Design, shape: Shape, scaling: Scaling, settings) -> dict[str, Any]:
    """All that is needed beside the weights, as plain values."""
    pairs, teacher = design.pairs, design.pairs.teacher
    return {
        "format": FORMAT,
        "shape": shape.to_dict(),
        "mode": settings.mode,
        "schedule": settings.schedule,
        "targets": list(pairs.targets),
        "predictor": list(pairs.predictor),
        "units": list(pairs.units),
        "names": {n: teacher.original.get(p, n) for n, p in zip(pairs.targets, pairs.predictor, strict=True)},
        "teacher_units": {p: [teacher.original_units.get(p, ""), teacher.units.get(p, "")] for p in pairs.predictor},
        "lead_hours": teacher.lead_hours.tolist(),
        "cadence_hours": float(pairs.cadence / HOUR),
        "history": design.history,
        "min_history": settings.min_history,
        "stations": list(teacher.stations),
        "location": {n: v.tolist() for n, v in teacher.location.items()},
        "scaling": {"center": scaling.center.tolist(), "scale": scaling.scale.tolist()},
        "operator": design.operator.to_dict(),
        "base": design.base.to_dict(),
        "static": design.static.tolist(),
        "predictors": list(design.predictors),
        "self_taught": pairs.observations is None,
        "data": _data_choice(settings),
    }


def _data_choice(settings) -> dict[str, Any]:
    kept = (
        "latitude",
        "longitude",
        "altitude",
        "interpolation",
        "height_correction",
        "zone",
        "units",
        "lead_hours",
        "deaccumulate",
        "tolerance_hours",
    )
    return {name: list(v) if isinstance(v := getattr(settings, name), tuple) else v for name in kept}


@dataclass(frozen=True)
class Model:
    """A student with its configuration; `folder` is where it came from."""

    student: Student
    config: dict[str, Any]
    folder: Path

    @property
    def residual(self) -> bool:
        """Whether the fresh forecast is an input."""
        return self.config["mode"] == "residual"

    @property
    def inputs(self) -> Inputs:
        """What the network sees."""
        return RESIDUAL if self.residual else DIRECT

    def choice(self, teacher: Path | None, observations: Path | None) -> DataChoice:
        """Reading options as in training, with other files."""
        stored = {n: tuple(v) if isinstance(v, list) else v for n, v in self.config["data"].items()}
        renamed = self.config["predictor"] != self.config["targets"]
        return DataChoice(
            teacher=teacher or Path("nwp.nc"),
            observations=observations,
            target=tuple(self.config["targets"]),
            predictor=self.config["predictor"][0] if renamed else None,
            stations=tuple(self.config["stations"]) if stored["latitude"] else (),
            history=self.config["history"],
            min_history=self.config["min_history"],
            **stored,
        )

    def read(self, teacher: Path | None, observations: Path | None, progress: Progress | None = None) -> Design:
        """Files as this student reads them; a direct student needs observations only, a residual one also the forecast."""
        if self.residual and teacher is None:
            raise SettingsError(
                f"{self.folder}: this is a residual student, the fresh forecast is one of its inputs",
                hint="give --teacher FILE with forecasts of the times to predict",
            )
        if observations is None and not self.config["self_taught"]:
            raise SettingsError("observations are needed up to the issue time", hint="give --observations FILE")
        choice = self.choice(teacher, observations)
        numerical = read_teacher(choice, progress) if teacher is not None else self._blank(choice)
        own = self.config["self_taught"] and observations is None
        numerical = self._own_leads(numerical) if own else self._same_leads(numerical)
        return self._design(pair(self._same_stations(numerical), choice, progress, need_overlap=False))

    def _blank(self, choice: DataChoice) -> Teacher:
        """A teacher without values whose issue times are the observation times."""
        ds = read_observations(
            choice.observations, stations=tuple(self.config["stations"]), zone=choice.zone, units=choice.unit_map,
            needed=choice.target,
        )  # fmt: skip
        issue = ds["time"].values.astype("datetime64[ns]")
        lead = np.rint(np.array(self.config["lead_hours"]) * 3600).astype("timedelta64[s]").astype("timedelta64[ns]")
        nothing = np.full((len(issue), len(lead), len(self.config["stations"])), np.nan)
        units = self.config["teacher_units"]
        return Teacher(
            path=self.folder, issue=issue, lead=lead, stations=tuple(self.config["stations"]),
            values={n: nothing for n in self.config["predictor"]}, spread={},
            units={n: units[n][1] for n in units}, original={n: n for n in units}, original_units={n: units[n][0] for n in units},
            location={n: np.array(v) for n, v in self.config["location"].items()},
        )  # fmt: skip

    def _same_leads(self, teacher: Teacher) -> Teacher:
        hours = list(np.round(teacher.lead_hours, 6))
        missing = [h for h in self.config["lead_hours"] if round(h, 6) not in hours]
        if missing:
            raise DataError(
                f"{teacher.path}: no lead of {missing[0]:g} h; this student predicts {', '.join(f'{h:g}' for h in self.config['lead_hours'])} h"
            )
        return teacher.select(leads=np.array([hours.index(round(h, 6)) for h in self.config["lead_hours"]]))

    def _own_leads(self, teacher: Teacher) -> Teacher:
        """The leads of this student and the shortest one, which stood for observations in training."""
        same, first = self._same_leads(teacher), teacher.select(leads=slice(0, 1))
        if first.lead[0] < same.lead[0]:
            return teacher.select(leads=np.flatnonzero(np.isin(teacher.lead, np.append(first.lead, same.lead))))
        if len(same.lead) > 1:
            raise DataError(
                f"{teacher.path}: no lead shorter than {same.lead_hours[0]:g} h that could stand for observations",
                hint="give --observations FILE",
            )
        return same

    def _same_stations(self, teacher: Teacher) -> Teacher:
        missing = [s for s in self.config["stations"] if s not in teacher.stations]
        if missing:
            raise DataError(
                f"{teacher.path}: no station {missing[0]}; this student was trained for {', '.join(self.config['stations'])}"
            )
        return teacher.select(stations=[teacher.stations.index(s) for s in self.config["stations"]])

    def _design(self, pairs: Pairs) -> Design:
        config, none = self.config, np.array([], int)
        cadence = pairs.cadence / HOUR
        if abs(cadence - config["cadence_hours"]) > 0.01 * config["cadence_hours"]:
            raise DataError(
                f"{pairs.observations or pairs.teacher.path}: observed every {cadence:g} h; this student was trained on "
                f"observations every {config['cadence_hours']:g} h",
                hint=f"thin or average them to every {config['cadence_hours']:g} h",
            )
        scaling = Scaling(np.array(config["scaling"]["center"]), np.array(config["scaling"]["scale"]))
        operator = Operator.from_dict(config["operator"])
        corrected = operator(pairs.forecast)
        return Design(
            pairs, None, config["history"], none, none, none, none, pairs.observed, operator, corrected,
            short_lead_record(pairs, corrected, np.arange(len(pairs.anchor))), scaling, scaling,
            static=np.array(config["static"]).reshape(len(config["stations"]), -1), predictors=tuple(config["predictors"]),
            base=Base.from_dict(config["base"]) if "base" in config else Base(),  # runs before there was a choice start at the operator
        )  # fmt: skip

    def forecast(self, design: Design, issues: np.ndarray, device: str = "cpu") -> tuple[np.ndarray, np.ndarray | None]:
        """Point forecasts [i, k, s, v] and, for a probabilistic head, its numbers [i, k, s, v, q]; NaN where the past is missing."""
        return forecast(self.student, design, issues, self.choice(None, Path("-")), self.inputs, design.scaling, device)


@torch.no_grad()
def forecast(
    student: Student, design: Design, issues: np.ndarray, choice, inputs: Inputs, scaling: Scaling, device: str = "cpu"
):
    """Forecasts of `student` for `issues` in the target's unit; deviations and quantiles likewise (see Model.forecast)."""
    windows = make_windows(
        design, issues, _Choice(choice), kind="observed", inputs=inputs, scaling=scaling, with_target=False
    )
    shape = student.shape
    full = np.full(
        (len(issues), design.horizon, len(design.pairs.teacher.stations), shape.targets, shape.outputs), np.nan
    )
    row = {int(issue): n for n, issue in enumerate(issues)}
    rows, columns = np.array([row[int(i)] for i in windows.issue], int), windows.station.numpy()
    student = student.to(device)
    scale, start = scaling.scale[:, None], 0
    for batch in windows.to(device).batches(1024):
        out = student(batch.x, batch.future, batch.anchor)
        if shape.head == "gaussian":
            out = torch.stack((out[:, :, 0], deviation(out[:, :, 1])), 2)
        if shape.head == "quantile":
            out = out.sort(2).values
        z = out.permute(3, 0, 1, 2).cpu().double().numpy()  # [b, k, v, q]
        stop = start + len(z)
        center = scaling.center[columns[start:stop]][:, None, :, None]
        y = z * scale + center
        if shape.head == "gaussian":
            y[..., 1] = z[..., 1] * scaling.scale
        full[rows[start:stop], :, columns[start:stop]] = y
        start = stop
    if inputs.anchored:
        full[~np.isfinite(design.first_guess[issues])] = np.nan
    point = full[..., shape.quantiles.index(0.5)] if shape.head == "quantile" else full[..., 0]
    return point, (None if shape.head == "point" else full)


@dataclass(frozen=True)
class _Choice:
    """The two settings that `make_windows` asks for when nothing is trained."""

    choice: Any
    soft_weight: str = "uniform"

    @property
    def min_history(self) -> float:
        return self.choice.min_history


def load_model(path: Path) -> Model:
    """From a run folder, an exported folder, or a folder of runs (its newest finished run)."""
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such run or model", hint="train one: sciml kd fit --teacher nwp.nc")
    if (path / "config.json").is_file() and (path / "model.safetensors").is_file():
        tensors, _ = load_tensors(path / "model.safetensors")
        try:
            config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{path / 'config.json'}: not valid JSON: {error}") from None
        return _assembled(tensors, config, path)
    if (path / "checkpoints").is_dir():
        return _from_run(path)
    runs = [run.path for run in find_runs(path) if (run.path / "checkpoints" / "best.safetensors").is_file()]
    if not runs:
        raise DataError(
            f"{path}: neither a run folder, nor an exported model, nor a folder with a finished run",
            hint="list runs: sciml runs list",
        )
    return _from_run(max(runs, key=lambda p: p.name))


def _from_run(path: Path) -> Model:
    best = path / "checkpoints" / "best.safetensors"
    if not best.is_file():
        raise DataError(f"{path}: the run has no trained model yet", hint=f"finish it: sciml kd fit --resume {path}")
    tensors, header = load_tensors(best)
    return _assembled(
        {n.removeprefix("model."): a for n, a in tensors.items() if n.startswith("model.")}, header.get("config"), path
    )


def _assembled(tensors: dict, config: dict, path: Path) -> Model:
    found = config.get("format") if isinstance(config, dict) else None
    if found != FORMAT:
        raise DataError(
            f"{path}: configuration of format {found!r}, expected {FORMAT!r}",
            hint="was it written by another sciml version, or by another program?",
        )
    missing = [name for name in _CONFIGURED if name not in config]
    if missing:
        raise DataError(f"{path}: its configuration lacks {', '.join(missing)}", hint="export the model again")
    student = build(Shape.from_dict(config["shape"]), 0)
    try:
        student.load_state_dict({n: torch.from_numpy(np.array(a)) for n, a in tensors.items()})
    except RuntimeError as error:
        raise DataError(
            f"{path}: weights and configuration do not fit: {str(error).splitlines()[-1].strip()}"
        ) from None
    return Model(student.eval(), config, path)


def network_teacher(model: Model, observations: Path, progress: Progress | None = None) -> Teacher:
    """A trained network as the teacher (Hinton et al. 2015): its forecasts for every observation time."""
    if model.residual:
        raise SettingsError(
            f"{model.folder}: a residual network needs a forecast file of its own to teach",
            hint="write its forecasts with `sciml kd predict` and give that file as --teacher",
        )
    design = model.read(None, observations, progress)
    point, _ = model.forecast(design, np.arange(len(design.pairs.anchor)))
    blank = design.pairs.teacher
    values = {p: point[..., v] for v, p in enumerate(model.config["predictor"])}
    return replace(blank, values=values, source=f"network {model.folder}")
