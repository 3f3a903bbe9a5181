"""Which students a comparison trains: the arms, their stages, and the order in which one needs another's result.

    alone       the student on observations only, normalised with the teacher's record
    alone_own   the same normalised with its own observations; skipped where both agree
    twin        a privileged network that also sees the forecast (for `hint`)
    distilled   the student with the teacher; in residual mode the student that corrects the fresh forecast
    trial0..2   that student trained on two thirds of the training block, tried on the rest: may it leave its base?
    shuffled    the same with the teacher's forecasts shuffled in time: what any pre-training would give

The stronger of the two stand-alone students sets the goal that the distilled one has to reach.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from sciml.pipelines.errors import DataError

from .design import Design, Scaling
from .settings import Fit
from .state import Job, Stage
from .student import Shape
from .trials import trial_parts
from .windows import DIRECT, PRIVILEGED, RESIDUAL, Inputs, Windows, make_windows

STANDALONE = ("alone", "alone_own")
NO_RECORD = "the teacher's record gives no training window: its shortest leads do not follow each other closely enough for a past"
AGREE = 0.1  # normalisations closer than this (in standard deviations) need no second stand-alone student


@dataclass(frozen=True)
class Spec:
    """A job by name, and the names it waits for."""

    arm: str
    seed: int
    after: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The job's name."""
        return f"{self.arm}-{self.seed}"


def specs(design: Design, settings: Fit) -> list[Spec]:
    """All jobs, stand-alone students first."""
    seeds = range(settings.seed, settings.seed + settings.seeds)
    alone = ["alone"] + (["alone_own"] if normalisations_differ(design) else [])
    jobs = [Spec(arm, seed) for seed in seeds for arm in alone]
    if settings.schedule == "none" and settings.mode == "direct":
        return jobs
    hinted = settings.schedule == "hint"
    jobs += [Spec("twin", seed) for seed in seeds if hinted]
    trials = []
    if settings.mode == "residual":
        trials = [Spec(f"trial{n}", settings.seed) for n in range(len(trial_parts(design)))]
    jobs += trials
    for seed in seeds:
        needed = (*alone, "twin") if hinted else alone
        after = (*(f"{arm}-{seed}" for arm in needed), *(trial.name for trial in trials))
        jobs.append(Spec("distilled", seed, after))
    if settings.control and settings.mode == "direct" and not hinted:
        jobs.append(Spec("shuffled", settings.seed))
    return jobs


def normalisations_differ(design: Design) -> bool:
    """Whether the record and the training observations give clearly different normalisations."""
    a, b = design.scaling, design.own_scaling
    shift = np.abs(a.center - b.center).max(0) / np.maximum(a.scale, b.scale)
    return bool((shift > AGREE).any() or (np.abs(np.log(a.scale / b.scale)) > AGREE).any())


class Planner:
    """Builds jobs from one design; windows are made once per kind."""

    def __init__(self, design: Design, settings: Fit, device: str = "cpu", initial: dict | None = None):
        self.design, self.settings, self.device, self.initial = design, settings, device, initial
        self._made = cache(self._windows)

    def windows(self, block: str, kind: str, inputs: Inputs, own: bool = False, shuffled: bool = False) -> Windows:
        """Windows of a block, made once."""
        return self._made(block, kind, inputs, own, shuffled)

    def _windows(self, block: str, kind: str, inputs: Inputs, own: bool, shuffled: bool) -> Windows:
        scaling = self.design.own_scaling if own else self.design.scaling
        made = make_windows(
            self.design,
            self.issues(block),
            self.settings,
            kind=kind,
            inputs=inputs,
            scaling=scaling,
            shuffle=self.settings.seed if shuffled else None,
        )
        return made.to(self.device)

    def issues(self, block: str) -> np.ndarray:
        """Issue positions of a block; "trial0" is what a trial is trained on, "held0" what it is tried on."""
        if block.startswith(("trial", "held")):
            return trial_parts(self.design)[int(block[-1])][0 if block.startswith("trial") else 1]
        return getattr(self.design, block)

    def inputs(self, arm: str) -> Inputs:
        """What the networks of an arm see."""
        if self.settings.mode == "residual" and (arm == "distilled" or arm.startswith("trial")):
            return RESIDUAL
        return PRIVILEGED if arm == "twin" else DIRECT

    def scaling(self, arm: str) -> Scaling:
        """The normalisation of an arm."""
        return self.design.own_scaling if arm == "alone_own" else self.design.scaling

    def shape(self, arm: str) -> Shape:
        """The network of an arm."""
        train, settings = self.windows("train", "observed", self.inputs(arm), arm == "alone_own"), self.settings
        predictors = 0 if train.future is None else train.future.shape[2]
        levels = settings.quantiles if settings.head == "quantile" else ()
        return Shape(
            settings.student, train.channels, self.design.history, self.design.horizon, len(self.design.pairs.targets),
            settings.hidden, settings.layers, predictors, settings.head, tuple(levels),
        )  # fmt: skip

    def job(self, spec: Spec, goal: float | None = None, twin: dict | None = None, stay: bool = False) -> Job:
        """The job of `spec`; `goal`, `twin` (weights) and `stay` (at the base) come from the jobs it waited for."""
        arm, inputs, own = spec.arm, self.inputs(spec.arm), spec.arm == "alone_own"
        block = lambda name: self.windows(name, "observed", inputs, own)  # noqa: E731
        initial = self.initial if self.shape(arm) == self.shape("distilled") else None
        trial = arm.startswith("trial")
        train, held = (arm, arm.replace("trial", "held")) if trial else ("train", "validation")
        return Job(
            arm, spec.seed, self.shape(arm), self.stages(arm), block(train), block(held),
            tuple(self.unit_scale(arm)), goal, None if twin is None else (self.shape("twin"), twin), initial, stay,
        )  # fmt: skip

    def unit_scale(self, arm: str) -> np.ndarray:
        """Factors [v] from normalised errors to the pooled RMSE's unit."""
        scale = self.scaling(arm).scale
        return scale if pooled_unit(self.design) else scale / self.design.scaling.scale

    def noise(self, inputs: Inputs) -> float:
        """Noise on the inputs; by default only for the residual student, and less the more independent cases there are.

        Cases are issue times: stations share the weather. Measured on three records with 8 / sqrt(n), at most 0.6: 177 issues at 25
        stations 1.47 -> 1.43 K; with 3,112 issues 0.5 would cost 1.36 -> 1.39 K, the 0.14 of the rule next to nothing.
        """
        if self.settings.input_noise is not None:
            return self.settings.input_noise
        return min(0.6, 8.0 / len(self.design.train) ** 0.5) if inputs.anchored else 0.0

    def stages(self, arm: str) -> tuple[Stage, ...]:
        """The phases of an arm's training."""
        settings, inputs = self.settings, self.inputs(arm)
        taught = arm in ("distilled", "shuffled") and settings.mode == "direct"
        schedule = settings.schedule if taught else "none"
        shuffled = arm == "shuffled"
        if arm == "twin" or schedule == "hint":
            train = self.windows("train", "observed", PRIVILEGED)
        else:
            block = arm if arm.startswith("trial") else "train"
            train = self.windows(block, "observed", inputs, arm == "alone_own", shuffled)
        patience = None if arm in STANDALONE else settings.patience
        record = (
            self.windows("archive", "record", inputs, False, shuffled) if schedule in ("archive", "joint") else None
        )
        if schedule == "joint" and not len(record):
            raise DataError(NO_RECORD, hint="use --schedule response, which needs no record of its own")
        noise = self.noise(inputs)
        fit = Stage("fit", schedule, train, settings.epochs, patience, record if schedule == "joint" else None, noise)
        if schedule != "archive" or not len(record):
            return (fit,)
        return (Stage("archive", "pretrain", record, settings.archive_epochs, settings.archive_patience), fit)


def pooled_unit(design: Design) -> str:
    """The unit in which all targets can be pooled, or ""."""
    units = set(design.pairs.units)
    return units.pop() or "target units" if len(units) == 1 else ""
