"""How a teacher is used: one function per distillation form, each the loss of one batch.

Notation: y observation, t teacher (bias-corrected), f student; L the head's loss (squared error for a point forecast), mean over
known elements; a the distillation weight; e the epoch; E all epochs; w the soft-target weight (1, or by ensemble spread).

    none      L(f, y)
    response  (1 - a) L(f, y) + a w L(f, t)                        the paper's blended output loss (Hinton et al. 2015 for regression)
    anneal    the same with a_e = a max(0, 1 - 2 e / E)            the teacher leaves half way
    trust     (1 - a) L(f, y) + a w [ |t - y| < |f - y| ] L(f, t)  only where the teacher beats the student (Saputra et al. 2019)
    hint      (1 - a) L(f, y) + a (L(f, g) + |h_f - h_g|^2 / H)    outputs g and latent h_g of a twin that also sees the forecast
    joint     (1 - a) L(f, y) + a w L(f', t')                      ' = as many windows of the teacher's own record
    archive   stage 1: L(f', t') on the record, stopped on held-out observations; stage 2: L(f, y)   (Read et al. 2019)

The default is `archive`: it is the form that gains on real data where observations are few and the record is long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .losses import head_loss
from .student import Student
from .windows import Batch


@dataclass(frozen=True)
class Step:
    """What a loss may use besides the batch: the epoch, all epochs, the weight, a record batch, the privileged twin's answer."""

    epoch: int
    epochs: int
    distillation_weight: float
    totals: dict[str, Tensor | float]
    record: Batch | None = None
    twin: tuple[Tensor, Tensor] | None = None


def _loss(student: Student, out: Tensor, y: Tensor, weight: Tensor, total: Tensor | float) -> Tensor:
    return head_loss(student.shape.head, out, y, weight, total, student.shape.quantiles)


def _hard(student: Student, batch: Batch, step: Step) -> tuple[Tensor, Tensor, Tensor]:
    latent = student.encode(batch.x)
    out = student.decode(latent, batch.future, batch.anchor)
    return latent, out, _loss(student, out, batch.target, batch.weight, step.totals["hard"])


def none(student: Student, batch: Batch, step: Step) -> Tensor:
    """L(f, y)."""
    return _hard(student, batch, step)[2]


def response(student: Student, batch: Batch, step: Step) -> Tensor:
    """(1 - a) L(f, y) + a w L(f, t)."""
    _, out, hard = _hard(student, batch, step)
    soft = _loss(student, out, batch.soft, batch.soft_weight, step.totals["soft"])
    return (1 - step.distillation_weight) * hard + step.distillation_weight * soft


def anneal(student: Student, batch: Batch, step: Step) -> Tensor:
    """`response` with a_e = a max(0, 1 - 2 e / E)."""
    fading = step.distillation_weight * max(0.0, 1.0 - 2.0 * step.epoch / step.epochs)
    return response(student, batch, Step(step.epoch, step.epochs, fading, step.totals))


def trust(student: Student, batch: Batch, step: Step) -> Tensor:
    """(1 - a) L(f, y) + a w [ |t - y| < |f - y| ] L(f, t); where y is missing the teacher is not trusted."""
    _, out, hard = _hard(student, batch, step)
    with torch.no_grad():
        better = (batch.soft - batch.target).abs() < (student.point(out) - batch.target).abs()
        weight = batch.soft_weight * better * (batch.weight > 0)
    # normalised by all soft weights, so that a teacher that is seldom better weighs seldom
    soft = _loss(student, out, batch.soft, weight, step.totals["soft"])
    return (1 - step.distillation_weight) * hard + step.distillation_weight * soft


def hint(student: Student, batch: Batch, step: Step) -> Tensor:
    """(1 - a) L(f, y) + a (L(f, g) + |h_f - h_g|^2 / H)."""
    latent, out, hard = _hard(student, batch, step)
    answer, features = step.twin  # the twin's point forecast [k, v, b] and latent state [h, b]
    soft = _loss(student, out, answer, batch.weight, step.totals["hard"])
    matched = ((latent - features) ** 2).sum() / (latent.shape[0] * step.totals["windows"])
    return (1 - step.distillation_weight) * hard + step.distillation_weight * (soft + matched)


def joint(student: Student, batch: Batch, step: Step) -> Tensor:
    """(1 - a) L(f, y) + a w L(f', t')."""
    hard = none(student, batch, step)
    out = student(step.record.x, step.record.future, step.record.anchor)
    soft = _loss(student, out, step.record.soft, step.record.soft_weight, step.totals["record"])
    return (1 - step.distillation_weight) * hard + step.distillation_weight * soft


def pretrain(student: Student, batch: Batch, step: Step) -> Tensor:
    """Stage 1 of `archive`: w L(f', t') on a batch of the record."""
    out = student(batch.x, batch.future, batch.anchor)
    return _loss(student, out, batch.soft, batch.soft_weight, step.totals["soft"])


LOSSES: dict[str, Callable[[Student, Batch, Step], Tensor]] = {
    "none": none, "response": response, "anneal": anneal, "trust": trust, "hint": hint, "joint": joint,
    "archive": none, "pretrain": pretrain,
}  # fmt: skip
