"""Training windows as strided views over one array on the device; a batch is one gather, no per-sample Python.

Legend: n window, l past step, c channel, k lead, v target, p predictor, b batch.  A batch is feature-major: x [l, c, b],
target [k, v, b], the layout of `recurrent`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .baselines import seasonal_features
from .design import Design, predictor_features, samples, short_lead_record
from .settings import Fit


@dataclass(frozen=True)
class Inputs:
    """What a network sees besides past observations: past forecasts, the fresh forecast, and the first guess as its anchor."""

    past_teacher: bool = False
    future: bool = False
    anchored: bool = False


DIRECT, PRIVILEGED = Inputs(), Inputs(future=True)
RESIDUAL = Inputs(past_teacher=True, future=True, anchored=True)


@dataclass(frozen=True)
class Batch:
    """x [l, c, b]; future [k, p, b] or None; anchor [k, v, b] or None; target, weight, soft, soft_weight [k, v, b]."""

    x: Tensor
    future: Tensor | None
    anchor: Tensor | None
    target: Tensor
    weight: Tensor
    soft: Tensor
    soft_weight: Tensor

    def part(self, start: int, stop: int) -> Batch:
        """Windows start..stop as views."""
        fields = (self.x, self.future, self.anchor, self.target, self.weight, self.soft, self.soft_weight)
        return Batch(*(None if f is None else f[..., start:stop] for f in fields))

    def __len__(self) -> int:
        return self.x.shape[-1]


@dataclass(frozen=True)
class Windows:
    """Windows of one kind: series [s * t, c] and static [s, c] shared by all, positions and targets [n] per window."""

    series: Tensor
    season: Tensor
    static: Tensor
    length: int
    row: Tensor
    column: Tensor
    station: Tensor
    target: Tensor
    weight: Tensor
    soft: Tensor
    soft_weight: Tensor
    future: Tensor | None = None
    anchor: Tensor | None = None
    issue: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.row)

    @property
    def channels(self) -> int:
        """Input channels of one past step."""
        return self.series.shape[1] + self.season.shape[1] + self.static.shape[1]

    def gather(self, index: Tensor) -> Batch:
        """The windows at `index` [b]."""
        past = self.series.unfold(0, self.length, 1)[self.row[index]]  # [b, c, l] out of a strided view
        when = self.season.unfold(0, self.length, 1)[self.column[index]]
        fixed = self.static[self.station[index]].unsqueeze(2).expand(-1, -1, self.length)
        x = torch.cat((past, when, fixed), 1).permute(2, 1, 0).contiguous()
        turn = lambda a: None if a is None else a[index].permute(1, 2, 0).contiguous()  # noqa: E731
        return Batch(
            x, turn(self.future), turn(self.anchor), *map(turn, (self.target, self.weight, self.soft, self.soft_weight))
        )

    def batches(
        self, size: int, order: Tensor | None = None, *, rank: int = 0, world: int = 1, chunk: int = 8192
    ) -> Iterator[Batch]:
        """Batches of `size` in `order` (all windows once), gathered many batches at a time; `rank` of `world` takes its share."""
        order = torch.arange(len(self)) if order is None else order
        group = max(chunk // size, 1) * size
        for start in range(0, len(order), group):
            index = order[start : start + group]
            if world > 1:
                for low in range(0, len(index), size):
                    yield self.gather(index[low : low + size][rank::world])
                continue
            whole = self.gather(index)
            for low in range(0, len(index), size):
                yield whole.part(low, min(low + size, len(index)))

    def subset(self, index: Tensor) -> Windows:
        """The windows at `index`, sharing the series."""
        pick = lambda a: None if a is None else a[index]  # noqa: E731
        return Windows(
            self.series, self.season, self.static, self.length, self.row[index], self.column[index], self.station[index],
            self.target[index], self.weight[index], self.soft[index], self.soft_weight[index], pick(self.future), pick(self.anchor),
            None if self.issue is None else self.issue[index.cpu().numpy()],
        )  # fmt: skip

    def to(self, device: torch.device | str) -> Windows:
        """On another device."""
        move = lambda a: a.to(device) if isinstance(a, Tensor) else a  # noqa: E731
        return Windows(**{name: move(getattr(self, name)) for name in self.__dataclass_fields__})


def automatic_batch(count: int) -> int:
    """Windows per step: a sixteenth of all, a power of two from 16 to 128.

    Few observations in large batches would mean a step or two per epoch: a student alone that looks slow for that reason only.
    """
    return int(np.clip(2 ** round(np.log2(max(count, 1) / 16)), 16, 128))


def make_windows(
    design: Design,
    issues: np.ndarray,
    settings: Fit,
    *,
    kind: str,
    inputs: Inputs,
    scaling=None,
    shuffle: int | None = None,
    with_target: bool = True,
) -> Windows:
    """Windows of `issues`; with_target=False keeps those whose target is not (yet) observed.

    kind: "observed" (past and target observed, soft target from the teacher) or "record" (past and target from the teacher's
    record).  scaling: other than the design's.  shuffle: seed of a permutation of the teacher over issue times, the control.
    """
    scaling = scaling or design.scaling
    source = "observed" if kind == "observed" else "record"
    issue, station = samples(design, issues, source=source, min_history=settings.min_history, with_target=with_target)
    series = _series(design, getattr(design, source), scaling, inputs)
    corrected = design.corrected
    if shuffle is not None:
        corrected = corrected[_permuted(design, shuffle)]
    teacher = scaling.apply(corrected)[issue, :, station]
    truth = scaling.apply(design.pairs.truth)[issue, :, station] if kind == "observed" else teacher
    anchor = scaling.apply(design.first_guess)[issue, :, station] if inputs.anchored else None
    weight = np.isfinite(truth).astype(np.float32)
    if inputs.anchored:
        # a lead without a forecast has nothing to correct
        weight *= np.isfinite(anchor)
    soft_weight = _soft_weight(design, settings, issue, station, scaling) * np.isfinite(teacher)
    steps = len(design.pairs.time)
    first = design.pairs.anchor[issue] - design.history + 1
    full = predictor_features(design)[issue, :, station] if inputs.future else None
    tensor = lambda a: None if a is None else torch.from_numpy(np.nan_to_num(a, nan=0.0).astype(np.float32))  # noqa: E731
    index = lambda a: torch.from_numpy(a.astype(np.int64))  # noqa: E731
    return Windows(
        series=series,
        season=torch.from_numpy(seasonal_features(design.pairs.time, daily=design.pairs.sub_daily).astype(np.float32)),
        static=torch.from_numpy(design.static.astype(np.float32)),
        length=design.history,
        row=index(station * steps + first),
        column=index(first),
        station=index(station),
        target=tensor(truth),
        weight=torch.from_numpy(weight),
        soft=tensor(teacher),
        soft_weight=torch.from_numpy(soft_weight.astype(np.float32)),
        future=tensor(full),
        anchor=tensor(anchor),
        issue=issue,
    )


def _series(design: Design, values: np.ndarray, scaling, inputs: Inputs) -> Tensor:
    """Normalised values and masks of every station and time [s * t, c]; a privileged past adds forecast and error."""
    z = scaling.apply(values)  # [t, s, v]
    known = np.isfinite(z)
    parts = [np.where(known, z, 0.0), known]
    if inputs.past_teacher:
        taught = scaling.apply(_whole_record(design))
        both = np.isfinite(taught)
        error = z - taught
        parts += [np.where(both, taught, 0.0), np.where(np.isfinite(error), error, 0.0)]
    stacked = np.concatenate(parts, -1).transpose(1, 0, 2)
    return torch.from_numpy(stacked.reshape(-1, stacked.shape[-1]).astype(np.float32))


def _whole_record(design: Design) -> np.ndarray:
    """Shortest-lead forecasts of all issues: an input that is known at the issue time, so not limited to training."""
    return short_lead_record(design.pairs, design.corrected, np.arange(len(design.pairs.anchor)))


def _soft_weight(design: Design, settings: Fit, issue: np.ndarray, station: np.ndarray, scaling) -> np.ndarray:
    """Weight of each soft target [n, k, v]: 1, or 1 / (1 + sigma^2) with the spread sigma in units of `scale`, mean 1."""
    shape = (len(issue), design.horizon, len(design.pairs.targets))
    spread = design.pairs.spread
    if settings.soft_weight == "uniform" or spread is None:
        return np.ones(shape)
    sigma = np.abs(design.operator.derivative(design.pairs.forecast)) * spread / scaling.scale
    weight = 1.0 / (1.0 + np.nan_to_num(sigma[issue, :, station], nan=1.0) ** 2)
    return weight / weight.mean()


def _permuted(design: Design, seed: int) -> np.ndarray:
    """Issue positions with the training period's teacher shuffled in time; other issues stay."""
    order = np.arange(len(design.pairs.anchor))
    pool = np.union1d(design.archive, design.train)
    order[pool] = np.random.default_rng(seed).permutation(pool)
    return order
