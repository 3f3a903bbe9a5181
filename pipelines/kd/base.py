"""What a residual student corrects and starts at: the forecast through its operator, linear MOS of it, or MOS + AR.

    operator   b = c                          c: the forecast through the observation operator
    mos        b = w c + w0                   per station, lead and target (Glahn & Lowry 1972)
    mos_ar     b = w c + sum_l a_l y_l + w0   y_l: the last observations of all targets at the station

The choice is made on two independent periods, because one misleads: a summer of 60 days liked six days of memory that the next
summer did not.  Each candidate forecasts the validation block from the training block, and every fifth of the training block from
the rest; a richer one must win in both, and on the whole by more than half the sampling error of the gain.

Legend: i issue, k lead, s station, v target, p regressor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .baselines import RIDGE, past_window
from .operators import fit_operator
from .pairs import Pairs
from .trials import parts

FOLDS = 5
LEAST = 30  # training pairs of a regression
MEMORIES = (1, 3)  # past steps of MOS + AR, beside the whole past window


@dataclass(frozen=True)
class Base:
    """A fitted base: weight [k, s, v, p] over the corrected forecast and `memory` past steps, offset [k, s, v].

    fill [s, v * memory] stands for observations that are missing.  Kind "operator" has no numbers of its own.
    """

    kind: str = "operator"
    memory: int = 0
    weight: np.ndarray | None = None
    offset: np.ndarray | None = None
    fill: np.ndarray | None = None

    def __call__(self, pairs: Pairs, observed: np.ndarray, corrected: np.ndarray) -> np.ndarray:
        """Forecast [i, k, s, v] from observed [t, s, v] and the corrected forecast [i, k, s, v]; NaN where that is missing."""
        if self.kind == "operator":
            return corrected
        out = self.weight[..., 0] * corrected + self.offset
        if self.memory:
            past = _past(pairs, observed, self.memory)
            past = np.where(np.isfinite(past), past, self.fill)
            out = out + np.einsum("isp,ksvp->iksv", past, self.weight[..., 1:])
        return out

    @property
    def label(self) -> str:
        """In words."""
        steps = f"{self.memory} past step{'s' if self.memory > 1 else ''}"
        names = {"operator": "the forecast through its operator", "mos": "linear MOS"}
        return names.get(self.kind, f"linear MOS + AR of {steps}")

    def to_dict(self) -> dict:
        """Plain numbers for JSON."""
        arrays = {n: None if (a := getattr(self, n)) is None else a.tolist() for n in ("weight", "offset", "fill")}
        return {"kind": self.kind, "memory": self.memory, **arrays}

    @classmethod
    def from_dict(cls, plain: dict) -> Base:
        """The inverse of `to_dict`."""
        arrays = {n: None if plain[n] is None else np.array(plain[n]) for n in ("weight", "offset", "fill")}
        return cls(plain["kind"], plain["memory"], **arrays)


@dataclass(frozen=True)
class _Problem:
    """Everything that candidates are fitted to."""

    pairs: Pairs
    observed: np.ndarray
    corrected: np.ndarray
    truth: np.ndarray
    train: np.ndarray


def choose_base(
    pairs: Pairs, observed: np.ndarray, operator, train: np.ndarray, held: np.ndarray, history: int
) -> Base:
    """The base that the training and the validation block agree on; observed [t, s, v] as a student may see it."""
    truth = pairs.truth
    whole = _Problem(pairs, observed, operator(pairs.forecast), truth, train)
    blocks = [(whole, held)]
    for rest, fold in parts(pairs.teacher.issue, train, FOLDS, pairs.teacher.lead.max()):
        again = fit_operator(operator.kind, pairs.forecast[rest], truth[rest], same_quantity=pairs.same_quantity)
        blocks.append((_Problem(pairs, observed, again(pairs.forecast), truth, rest), fold))
    scale = np.nanstd(truth[train], axis=(0, 1, 2))
    memories = [0, *(m for m in MEMORIES if m < history), history]
    chosen, least = (-1, 0.0), _errors(blocks, scale, None, 0.0)
    for memory in memories:
        found = [(_errors(blocks, scale, memory, ridge), ridge) for ridge in RIDGE]
        errors, ridge = min(found, key=lambda entry: np.nanmean(np.concatenate(entry[0])))
        if _better(errors, least):
            chosen, least = (memory, ridge), errors
    return Base() if chosen[0] < 0 else _fit(whole, *chosen)


def _better(errors: list[np.ndarray], least: list[np.ndarray]) -> bool:
    """Whether squared errors [i] of validation and training folds are lower in both, and clearly so together."""
    gains = [b - a for a, b in zip(errors, least, strict=True)]
    held, folds = gains[0], np.concatenate(gains[1:])
    gain = np.concatenate((held, folds))
    gain = gain[np.isfinite(gain)]
    if len(gain) < 3 or not np.nanmean(held) > 0 or not np.nanmean(folds) > 0:
        return False
    return bool(gain.mean() > 0.5 * gain.std(ddof=1) / np.sqrt(len(gain)))


def _errors(blocks, scale: np.ndarray, memory: int | None, ridge: float) -> list[np.ndarray]:
    """Mean squared error of each held-out issue [i], one array a block; memory None is the operator alone."""
    found = []
    for problem, held in blocks:
        base = Base() if memory is None else _fit(problem, memory, ridge)
        error = (base(problem.pairs, problem.observed, problem.corrected)[held] - problem.truth[held]) / scale
        seen = np.isfinite(error)
        total = np.where(seen, error**2, 0.0).sum((1, 2, 3))
        count = seen.sum((1, 2, 3))
        found.append(np.where(count > 0, total / np.maximum(count, 1), np.nan))
    return found


def _past(pairs: Pairs, observed: np.ndarray, memory: int) -> np.ndarray:
    """Past observations of all targets [i, s, v * memory]."""
    past = past_window(pairs, observed, memory)
    return past.reshape(*past.shape[:2], -1)


def _fit(problem: _Problem, memory: int, ridge: float) -> Base:
    """Ridge regression per station, lead and target; the corrected forecast itself where there are too few pairs."""
    corrected, train = problem.corrected, problem.train
    shape = corrected.shape[1:]
    fill, past = None, np.zeros((len(train), shape[1], 0))
    if memory:
        past = _past(problem.pairs, problem.observed, memory)[train]
        seen = np.isfinite(past)
        fill = np.where(seen, past, 0.0).sum(0) / np.maximum(seen.sum(0), 1)
        past = np.where(seen, past, fill)
    weight, offset = np.zeros((*shape, 1 + past.shape[2])), np.zeros(shape)
    weight[..., 0] = 1.0
    for (k, s, v), x, y in _regressions(corrected[train], past, problem.truth[train]):
        weight[k, s, v], offset[k, s, v] = _ridge(x, y, ridge)
    return Base("mos_ar" if memory else "mos", memory, weight, offset, fill)


def _regressions(forecast, past, truth) -> Iterator[tuple[tuple[int, int, int], np.ndarray, np.ndarray]]:
    for k, s, v in np.ndindex(*forecast.shape[1:]):
        known = np.isfinite(forecast[:, k, s, v]) & np.isfinite(truth[:, k, s, v])
        if known.sum() >= LEAST:
            yield (k, s, v), np.column_stack((forecast[known, k, s, v], past[known, s])), truth[known, k, s, v]


def _ridge(x: np.ndarray, y: np.ndarray, ridge: float) -> tuple[np.ndarray, float]:
    """Weights [p] and offset of y = x w + w0 with a penalty on the standardised weights."""
    mean, sd = x.mean(0), x.std(0)
    sd = np.where(sd > 1e-12, sd, 1.0)
    z = (x - mean) / sd
    gram = z.T @ z / len(z) + ridge * np.eye(z.shape[1])
    w = np.linalg.solve(gram, z.T @ (y - y.mean()) / len(z)) / sd
    return w, float(y.mean() - mean @ w)
