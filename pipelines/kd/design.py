"""From pairs to what a student is trained on: time blocks, the corrected teacher, its record, normalisation, inputs.

The teacher's *record* (archive) is its own past: at every valid time the bias-corrected forecast of the shortest lead stands
for an observation, so that a window of the past and its target exist wherever forecasts exist, observed or not.  Only the
record up to the end of the training block is used, and the operator is fitted on training pairs only.

Legend: t valid time, i issue time, k lead, s station, v target variable.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.progress import Progress
from sciml.pipelines.readers.splits import Blocks, time_blocks

from .base import Base, choose_base
from .baselines import past_window
from .operators import Operator, fit_operator
from .pairs import HOUR, Pairs

LEAST_HELD = 5  # issue times of the validation and of the test block


@dataclass(frozen=True)
class Scaling:
    """z = (y - center) / scale, center [s, v] per station, scale [v] shared by the stations."""

    center: np.ndarray
    scale: np.ndarray

    def apply(self, y: np.ndarray) -> np.ndarray:
        """Normalised y [..., s, v]."""
        return (y - self.center) / self.scale

    def invert(self, z: np.ndarray) -> np.ndarray:
        """y [..., s, v] in the target's unit."""
        return z * self.scale + self.center

    @classmethod
    def fit(cls, y: np.ndarray) -> Scaling:
        """From y [..., s, v], NaN ignored; a station with fewer than 10 values borrows the mean of all."""
        flat = y.reshape(-1, *y.shape[-2:])
        count = np.isfinite(flat).sum(0)
        mean = np.where(np.isfinite(flat), flat, 0.0).sum(0) / np.maximum(count, 1)
        pooled = (mean * count).sum(0) / np.maximum(count.sum(0), 1)
        center = np.where(count >= 10, mean, pooled)
        variance = np.where(np.isfinite(flat), (flat - center) ** 2, 0.0).sum((0, 1)) / np.maximum(count.sum(0), 1)
        scale = np.sqrt(variance)
        return cls(center, np.where(scale > 1e-12, scale, 1.0))


@dataclass(frozen=True)
class Design:
    """Everything fixed before training; arrays NaN where missing.

    observed [t, s, v]: observations a student may see (those before the training block's start are hidden); corrected
    [i, k, s, v]: teacher through the operator; base: what a residual student starts at; record [t, s, v]: corrected forecasts of the shortest lead; train,
    validation, test, archive: issue positions; history: steps of the past window.
    """

    pairs: Pairs
    blocks: Blocks
    history: int
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    archive: np.ndarray
    observed: np.ndarray
    operator: Operator
    corrected: np.ndarray
    record: np.ndarray
    scaling: Scaling
    own_scaling: Scaling
    static: np.ndarray
    predictors: tuple[dict, ...]
    dropped: int = 0
    base: Base = Base()

    @cached_property
    def first_guess(self) -> np.ndarray:
        """The base's forecast [i, k, s, v], NaN where the teacher's is missing."""
        return self.base(self.pairs, self.observed, self.corrected)

    @property
    def horizon(self) -> int:
        """Number of leads."""
        return self.corrected.shape[1]


def automatic_history(pairs: Pairs) -> int:
    """36 steps if hourly, 14 otherwise, and at most a ninth of the median unbroken piece of a broken record (at least 3)."""
    usual = 36 if pairs.cadence <= 3 * HOUR else 14
    known = np.flatnonzero(np.isfinite(pairs.observed).any((1, 2)))
    jumps = np.flatnonzero(np.diff(known) > 4 * usual)
    if not len(jumps):
        return usual
    pieces = np.diff(np.concatenate([[-1], jumps, [len(known) - 1]]))
    return int(np.clip(np.median(pieces) // 9, 3, usual))


def make_design(pairs: Pairs, settings, progress: Progress | None = None) -> Design:
    """Split, correct and normalise; `settings` is a settings.Fit."""
    progress = progress or Progress()
    history = settings.history or automatic_history(pairs)
    truth = pairs.truth
    complete = past_window(pairs, pairs.observed, history)  # [i, s, v, l]
    # a station counts by the share of its own window; stations or targets never observed do not matter
    seen = np.isfinite(complete).mean((2, 3)) >= settings.min_history
    seen &= pairs.anchor[:, None] >= history - 1
    target = np.isfinite(truth).any((1, 3))  # [i, s]
    usable = (seen & target).any(1)
    if usable.sum() < 10:
        raise DataError(
            f"{pairs.observations or pairs.teacher.path}: {usable.sum()} forecasts have a past of {history} steps "
            "and an observed target; at least 10 are needed",
            hint="shorten --history, lower --min-history, or give a longer record",
        )
    issues = np.flatnonzero(usable)
    blocks = _blocks(pairs, issues, settings)
    train, validation, test = issues[blocks.train], issues[blocks.validation], issues[blocks.test]
    _refuse_few(pairs, validation, test)
    if settings.train_issues:
        if settings.train_issues > len(train):
            raise SettingsError(f"--train-issues {settings.train_issues}: the training block holds {len(train)}")
        train = train[-settings.train_issues :]
    observed = _hidden_before(pairs, train, history)
    operator = fit_operator(
        settings.operator, pairs.forecast[train], truth[train], same_quantity=pairs.same_quantity,
        held=(pairs.forecast[validation], truth[validation]),
    )  # fmt: skip
    corrected = operator(pairs.forecast)
    predictors = predictor_table(pairs, train)
    last = pairs.teacher.issue[validation[0]]
    archive = np.flatnonzero(pairs.teacher.issue + pairs.teacher.lead.max() <= last)
    record = short_lead_record(pairs, corrected, archive)
    archive = archive[np.isfinite(corrected[archive]).any((1, 2, 3)) & (pairs.anchor[archive] >= history - 1)]
    own = Scaling.fit(_until(pairs, observed, train))
    known = np.isfinite(record).any((0, 1)).all() and len(archive) > len(train)
    scaling = Scaling.fit(record) if known else own
    for note in pairs.notes:
        progress.note(note)
    residual = settings.mode == "residual"
    base = choose_base(pairs, observed, operator, train, validation, history) if residual else Base()
    return Design(
        pairs, blocks, history, train, validation, test, archive, observed, operator, corrected, record, scaling, own,
        static=station_features(pairs, scaling), predictors=predictors, dropped=len(pairs.anchor) - len(issues), base=base,
    )  # fmt: skip


def _refuse_few(pairs: Pairs, validation: np.ndarray, test: np.ndarray) -> None:
    """Weights chosen on one or two forecasts are chosen by chance, and so are their scores."""
    for name, issues in (("validation", validation), ("test", test)):
        if len(issues) < LEAST_HELD:
            raise DataError(
                f"{pairs.teacher.path}: the {name} block holds {len(issues)} usable issue time(s), at least {LEAST_HELD} are needed",
                hint="raise --limit, give a longer record, or widen the blocks: --split 0.6,0.2,0.2",
            )


def _blocks(pairs: Pairs, issues: np.ndarray, settings) -> Blocks:
    """Blocks of issue times; a training target is never valid after the first validation issue."""
    times = pairs.teacher.issue[issues]
    return time_blocks(
        times, settings.split, gap=pairs.teacher.lead.max(), train_until=settings.train_until, validation_until=settings.validation_until
    )  # fmt: skip


def _hidden_before(pairs: Pairs, train: np.ndarray, history: int) -> np.ndarray:
    """Observations without those before the first training window: a new station has none."""
    observed = pairs.observed.copy()
    observed[: max(pairs.anchor[train[0]] - history + 1, 0)] = np.nan
    return observed


def _until(pairs: Pairs, observed: np.ndarray, train: np.ndarray) -> np.ndarray:
    return observed[: max(pairs.anchor[train[-1]], pairs.valid[train].max()) + 1]


def short_lead_record(pairs: Pairs, corrected: np.ndarray, issues: np.ndarray) -> np.ndarray:
    """For every valid time the corrected forecast of the shortest lead: [t, s, v]."""
    record = np.full(pairs.observed.shape, np.nan)
    for k in reversed(range(corrected.shape[1])):  # shorter leads overwrite longer ones
        at, value = pairs.valid[issues, k], corrected[issues, k]
        inside = at >= 0
        known = np.isfinite(value[inside])
        rows = record[at[inside]]
        record[at[inside]] = np.where(known, value[inside], rows)
    return record


def station_features(pairs: Pairs, scaling: Scaling) -> np.ndarray:
    """What tells stations apart [s, f]: position, height, their climate, and one column each where there are at most 8."""
    count = len(pairs.teacher.stations)
    if count == 1:
        return np.zeros((1, 0))
    location = pairs.teacher.location
    columns = [location[n] for n in ("latitude", "longitude", "altitude") if n in location]
    columns += list(scaling.center.T)
    table = np.stack(columns, -1)
    sd = table.std(0)
    table = (table - table.mean(0)) / np.where(sd > 1e-9, sd, 1.0)
    return np.concatenate([table, np.eye(count)], 1) if count <= 8 else table


def predictor_table(pairs: Pairs, train: np.ndarray) -> tuple[dict, ...]:
    """The teacher variables that a student with the forecast sees beside the target's own: name, field, mean, sd."""
    teacher, table = pairs.teacher, []
    fields = [(n, "values") for n in teacher.values if n not in pairs.predictor or not pairs.same_quantity]
    fields += [(n, "spread") for n in teacher.spread]
    for name, kind in fields:
        seen = getattr(teacher, kind)[name][train]
        if np.isfinite(seen).any():
            sd = float(np.nanstd(seen))
            table.append(
                {"name": name, "field": kind, "mean": float(np.nanmean(seen)), "sd": sd if sd > 1e-12 else 1.0}
            )
    return tuple(table)


def predictor_features(design: Design) -> np.ndarray:
    """Normalised forecasts of each lead for a student that sees them: [i, k, s, p], 0 where missing.

    First the corrected targets, then the variables of `design.predictors`, then one mask: 1 where the target's forecast is there.
    """
    teacher = design.pairs.teacher
    parts = [design.scaling.apply(design.corrected)]
    for entry in design.predictors:
        values = getattr(teacher, entry["field"])[entry["name"]]
        parts.append(((values - entry["mean"]) / entry["sd"])[..., None])
    features = np.concatenate(parts, -1)
    mask = np.isfinite(design.corrected).all(-1, keepdims=True)
    return np.concatenate([np.nan_to_num(features, nan=0.0), mask], -1)


def samples(
    design: Design, issues: np.ndarray, *, source: str = "observed", min_history: float = 0.25, with_target: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Issue and station [n] of the windows of `issues` whose past (and target) are there in `source` (observed or record)."""
    past = past_window(design.pairs, getattr(design, source), design.history)[issues]
    enough = np.isfinite(past).mean((2, 3)) >= min_history
    enough &= (design.pairs.anchor[issues] >= design.history - 1)[:, None]
    if with_target:
        values = design.pairs.truth if source == "observed" else design.corrected
        enough &= np.isfinite(values[issues]).any((1, 3))
    i, s = np.nonzero(enough)
    return issues[i], s
