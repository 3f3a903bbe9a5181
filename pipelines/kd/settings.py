"""Settings of the `sciml kd` commands: one frozen dataclass per command, checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.option_checks import positive, require
from sciml.pipelines.settings import setting

SCHEDULES = ("archive", "response", "anneal", "trust", "hint", "joint", "none")
Schedule = Literal["archive", "response", "anneal", "trust", "hint", "joint", "none"]
Operator = Literal["auto", "none", "shift", "linear", "isotonic"]

DATA, SPLIT, STUDENT = "Data", "Split", "Student"
DISTILL, OPTIMIZATION, RUN = "Distillation", "Optimization", "Run"


@dataclass(frozen=True)
class DataChoice:
    """What is read and how forecasts and observations are matched; shared by every command that reads data."""

    teacher: Path = setting(
        Path("nwp.nc"), "numerical forecast (NetCDF or Zarr), or a trained sciml network", panel=DATA
    )
    observations: Path | None = setting(
        None, "observations (CSV or NetCDF); default: the teacher's shortest lead", panel=DATA
    )
    target: tuple[str, ...] = setting(
        (), "variables to predict, by any common name; default: all both files hold", panel=DATA
    )
    predictor: str | None = setting(None, "teacher variable that stands for the target when names differ", panel=DATA)
    stations: tuple[str, ...] = setting((), "stations to use; default: all that both files hold", panel=DATA)
    latitude: tuple[float, ...] = setting((), "station latitudes [degrees_north], for a gridded teacher", panel=DATA)
    longitude: tuple[float, ...] = setting((), "station longitudes [degrees_east], for a gridded teacher", panel=DATA)
    altitude: tuple[float, ...] = setting(
        (), "station heights [m], for the height correction of a gridded teacher", panel=DATA
    )
    interpolation: Literal["bilinear", "nearest"] = setting(
        "bilinear", "from the teacher's grid to the stations", panel=DATA
    )
    height_correction: bool = setting(
        True, "shift gridded air temperature by 6.5 K km-1 to the station height", panel=DATA
    )
    zone: str | None = setting(
        None, 'time zone of times without one, e.g. "Asia/Seoul" or "+09:00"; default: UTC', panel=DATA
    )
    units: tuple[str, ...] = setting((), 'units of observation columns that state none, e.g. "t2m=degC"', panel=DATA)
    lead_hours: float | None = setting(None, "lead of a teacher file that holds valid times only [h]", panel=DATA)
    horizon: int | None = setting(None, "number of leads to predict, shortest first; default: all", panel=DATA)
    history: int | None = setting(None, "past steps the student sees; default: 14, or 36 if hourly", panel=DATA)
    deaccumulate: bool = setting(False, "turn accumulated teacher fields into amounts per lead step", panel=DATA)
    tolerance_hours: float | None = setting(
        None, "how far a forecast and an observation time may differ [h]; default: 2 % of their step", panel=DATA
    )
    min_history: float = setting(0.25, "least observed fraction of the past window", panel=DATA)

    def __post_init__(self):
        positive(self, "horizon", "history", "lead_hours")
        require(0 <= self.min_history <= 1, f"--min-history {self.min_history}: must be between 0 and 1")
        given = self.tolerance_hours is not None
        require(
            not given or self.tolerance_hours >= 0, f"--tolerance-hours {self.tolerance_hours}: must not be negative"
        )
        require(
            len(self.latitude) == len(self.longitude),
            f"--latitude has {len(self.latitude)} values and --longitude {len(self.longitude)}: give one of each per station",
        )
        require(
            not self.altitude or len(self.altitude) == len(self.latitude),
            f"--altitude has {len(self.altitude)} values and --latitude {len(self.latitude)}: give one per station, or none",
        )
        for entry in self.units:
            require("=" in entry, f'--units "{entry}": expected NAME=UNIT', hint='e.g. --units "t2m=degC,ws10=m s-1"')

    @property
    def unit_map(self) -> dict[str, str]:
        """--units as a mapping from column name to unit."""
        return {name.strip(): unit.strip() for name, _, unit in (entry.partition("=") for entry in self.units)}


@dataclass(frozen=True)
class Fit(DataChoice):
    """`sciml kd fit`."""

    split: tuple[float, ...] = setting(
        (0.7, 0.15, 0.15), "fractions of time for training, validation, test", panel=SPLIT
    )
    train_until: str | None = setting(
        None, "last day of training, e.g. 2015-12-31; replaces the fractions", panel=SPLIT
    )
    validation_until: str | None = setting(None, "last day of validation", panel=SPLIT)
    train_issues: int | None = setting(
        None, "use only the last N issue times of the training block as observed, as at a new station", panel=SPLIT
    )

    student: Literal["lstm_ae", "lstm", "autoencoder"] = setting("lstm_ae", "network to train", panel=STUDENT)
    hidden: int = setting(32, "hidden units per layer", panel=STUDENT)
    layers: int = setting(2, "stacked layers in the encoder and in the decoder", panel=STUDENT)
    head: Literal["point", "gaussian", "quantile"] = setting("point", "what is predicted for each lead", panel=STUDENT)
    quantiles: tuple[float, ...] = setting((0.1, 0.25, 0.5, 0.75, 0.9), "levels of the quantile head", panel=STUDENT)

    schedule: Schedule = setting(
        "archive", "how the teacher is used; each form's equation is in kd/schedules.py", panel=DISTILL
    )
    mode: Literal["direct", "residual"] = setting(
        "direct",
        "residual: the fresh forecast is an input at prediction time and the student corrects it",
        panel=DISTILL,
    )
    operator: Operator = setting("auto", "observation operator fitted on the training observations", panel=DISTILL)
    distillation_weight: float = setting(
        0.5, "weight of the teacher in response, anneal, trust, hint and joint", panel=DISTILL
    )
    soft_weight: Literal["uniform", "spread"] = setting(
        "uniform", "spread: weigh soft targets by ensemble spread", panel=DISTILL
    )
    archive_epochs: int = setting(40, "most epochs of pre-training on the teacher's record", panel=DISTILL)
    archive_patience: int = setting(
        6, "epochs without better held-out observations that end pre-training", panel=DISTILL
    )
    control: bool = setting(True, "also train with a shuffled teacher, once, as a control", panel=DISTILL)

    epochs: int = setting(80, "passes over the training observations", panel=OPTIMIZATION)
    batch_size: int | None = setting(
        None, "windows per step; default: a sixteenth of the windows, 16 to 128", panel=OPTIMIZATION
    )
    learning_rate: float = setting(1e-3, "Adam's step size", panel=OPTIMIZATION)
    weight_decay: float = setting(0.0, "decoupled weight decay", panel=OPTIMIZATION)
    input_noise: float | None = setting(
        None,
        "white noise on the normalised inputs; default: 8/sqrt(issue times), at most 0.6, in residual mode",
        panel=OPTIMIZATION,
    )
    clip: float = setting(1.0, "largest gradient norm", panel=OPTIMIZATION)
    patience: int = setting(
        20, "epochs without better validation that end the distilled fit once it met its target", panel=OPTIMIZATION
    )

    seeds: int = setting(3, "independent repetitions, each with and without the teacher", panel=RUN)
    seed: int = setting(0, "first random seed", panel=RUN)
    device: str = setting("auto", "auto, cpu, cuda or cuda:N", panel=RUN)
    workers: int | None = setting(None, "processes that train side by side on a CPU; default: one per core", panel=RUN)
    threads: int | None = setting(None, "threads per process; default: probed at the start", panel=RUN)
    together: Literal["auto", "yes", "no"] = setting(
        "auto", "seeds in one batched pass: yes, no, or on an accelerator where a probe finds it faster", panel=RUN
    )
    out: Path | None = setting(None, "run folder; default: runs/kd-fit/<time>", panel=RUN)
    resume: Path | None = setting(None, "continue this run folder exactly", panel=RUN)
    init_from: Path | None = setting(None, "start from the weights of an exported model or checkpoint", panel=RUN)
    max_minutes: float | None = setting(None, "stop after this long and keep a checkpoint [min]", panel=RUN)
    limit: int | None = setting(None, "use only the last N issue times of the files, for a quick look", panel=RUN)

    def __post_init__(self):
        super().__post_init__()
        positive(
            self, "hidden", "layers", "epochs", "batch_size", "learning_rate", "clip", "patience", "seeds",
            "archive_epochs", "archive_patience", "workers", "threads", "train_issues", "max_minutes", "limit",
        )  # fmt: skip
        require(
            self.input_noise is None or self.input_noise >= 0, f"--input-noise {self.input_noise}: must not be negative"
        )
        require(
            0 <= self.distillation_weight <= 1, f"--distillation-weight {self.distillation_weight}: must lie in 0..1"
        )
        require(
            len(self.split) == 3 and min(self.split) > 0 and abs(sum(self.split) - 1) < 1e-6,
            f"--split {','.join(map(str, self.split))}: needs three positive fractions that sum to 1",
            hint="e.g. --split 0.7,0.15,0.15",
        )
        require(
            (self.train_until is None) == (self.validation_until is None),
            "--train-until and --validation-until belong together: give both or none",
        )
        ordered = list(self.quantiles) == sorted(set(self.quantiles))
        require(
            bool(self.quantiles) and ordered and self.quantiles[0] > 0 and self.quantiles[-1] < 1,
            f"--quantiles {','.join(map(str, self.quantiles))}: must rise strictly between 0 and 1",
        )
        require(
            0.5 in self.quantiles or self.head != "quantile",
            f"--quantiles {','.join(map(str, self.quantiles))}: must hold 0.5, the point forecast that is scored",
        )
        require(
            not (self.resume and self.init_from),
            "--resume and --init-from exclude each other: resume continues a run, init-from starts a new one",
        )
        require(
            self.mode == "direct" or self.schedule in ("archive", "none"),
            f"--mode residual with --schedule {self.schedule}: the residual student already has the forecast as its "
            "input, and learns from observations",
            hint="leave --schedule away",
        )


@dataclass(frozen=True)
class Apply:
    """What `evaluate`, `predict`, `export` and `report` share: a finished run or an exported model."""

    model: Path = setting(
        Path("runs/kd-fit"), "run folder, exported model folder, or the folder of runs (newest is used)", panel=DATA
    )
    device: str = setting("auto", "auto, cpu, cuda or cuda:N", panel=RUN)


@dataclass(frozen=True)
class Evaluate(Apply):
    """`sciml kd evaluate`: scores on other data than the model was trained on, or again on the held-out block."""

    teacher: Path | None = setting(None, "numerical forecast; default: the one the run was made with", panel=DATA)
    observations: Path | None = setting(None, "observations; default: those the run was made with", panel=DATA)
    start: str | None = setting(None, "first issue time, e.g. 2014-01-01; default: the run's test block", panel=DATA)
    end: str | None = setting(None, "last issue time", panel=DATA)


@dataclass(frozen=True)
class Predict(Apply):
    """`sciml kd predict`: forecasts from the newest observations, written as NetCDF."""

    teacher: Path | None = setting(None, "fresh numerical forecast; a residual student needs it", panel=DATA)
    observations: Path | None = setting(
        None, "observations up to the issue time; default: those of the run", panel=DATA
    )
    start: str | None = setting(None, "first issue time; default: the last one possible", panel=DATA)
    end: str | None = setting(None, "last issue time; default: the last one possible", panel=DATA)
    to: Path = setting(Path("forecast.nc"), "file to write (NetCDF)", panel=RUN)
    overwrite: bool = setting(False, "replace an existing file", panel=RUN)


@dataclass(frozen=True)
class Export(Apply):
    """`sciml kd export`: safetensors, config, normalisation, model card and ONNX in one folder."""

    to: Path = setting(Path("kd-model"), "folder to write", panel=RUN)
    onnx: bool = setting(False, "also write model.onnx (needs the extra: sciml[onnx])", panel=RUN)
    licence: str = setting("apache-2.0", "licence named in the model card", panel=RUN)


@dataclass(frozen=True)
class Report(Apply):
    """`sciml kd report`: draw the figures and the page of a run again."""


@dataclass(frozen=True)
class Data:
    """`sciml kd data`: check the files of a fit, or write a realistic pair."""

    teacher: Path = setting(Path("nwp.nc"), "numerical forecast to check", panel=DATA)
    observations: Path | None = setting(None, "observations to check against it", panel=DATA)
    zone: str | None = setting(None, "time zone of times without one", panel=DATA)
    units: tuple[str, ...] = setting((), 'units of observation columns that state none, e.g. "t2m=degC"', panel=DATA)
    synthesize: bool = setting(False, "write a realistic nwp.nc and obs.nc into --to", panel="Synthetic data")
    to: Path = setting(Path("."), "folder for the synthetic files", panel="Synthetic data")
    days: int = setting(2192, "length of the forecast record [days]", panel="Synthetic data")
    observed_days: int = setting(400, "length of the observed record, at its end [days]", panel="Synthetic data")
    n_stations: int = setting(3, "number of stations", panel="Synthetic data")
    members: int = setting(0, "ensemble members; 0 writes one deterministic forecast", panel="Synthetic data")
    seed: int = setting(0, "random seed", panel="Synthetic data")
    overwrite: bool = setting(False, "replace existing files", panel="Synthetic data")

    def __post_init__(self):
        positive(self, "days", "observed_days", "n_stations")
        require(self.members >= 0, f"--members {self.members}: must not be negative")
        require(
            self.observed_days <= self.days,
            f"--observed-days {self.observed_days}: longer than the forecast record of --days {self.days}",
        )

    @property
    def unit_map(self) -> dict[str, str]:
        """--units as a mapping from column name to unit."""
        return {name.strip(): unit.strip() for name, _, unit in (entry.partition("=") for entry in self.units)}


@dataclass(frozen=True)
class Bench:
    """`sciml bench kd`."""

    history: int | None = setting(None, "past steps; default: 14 (to 1 lead) and 36 (to 24 leads)")
    horizon: int | None = setting(None, "leads")
    hidden: int = setting(32, "hidden units")
    batch_size: int = setting(64, "windows per step")
    windows: int = setting(3072, "training windows of one epoch")
    repeats: int = setting(5, "interleaved repeats")
    device: str = setting("cpu", "auto, cpu, cuda or cuda:N")
    peers: bool = setting(True, "also measure neuralforecast where it is installed")

    def __post_init__(self):
        positive(self, "history", "horizon", "hidden", "batch_size", "windows", "repeats")
        if (self.history is None) != (self.horizon is None):
            raise SettingsError("--history and --horizon belong together: give both or none")
