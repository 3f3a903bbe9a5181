"""Seeds of one arm trained side by side on one device: the gradients of all members come from one batched pass.

A student of this size does not fill an accelerator, and a step of it is a few hundred kernel launches whatever their size; S members
side by side launch as many as one.  The parameters of the members are views of stacked ones [S, ...]: the loss of a batch is
mapped over them (`torch.func.vmap`, and for the LSTM layers one matrix product per step for all members), its gradient is
handed to each member's own trainer, which clips, steps, measures and stores exactly as it does alone.

Always S members are computed, those that have ended or wait with copies of another's batch: which other members are at work then cannot
change how a library computes one of them, and an interrupted run repeats to the bit.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from sciml.pipelines.errors import ScimlError

from .recurrent import PackedLSTM, packed_stack
from .schedules import LOSSES, Step
from .student import Student
from .train import Request, Trainer
from .windows import Batch


class _Members(torch.autograd.Function):
    """`packed_stack` of mapped networks, in one pass."""

    @staticmethod
    def forward(x: Tensor, *weights: Tensor) -> Tensor:
        raise NotImplementedError("only ever called under vmap")

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        pass

    @staticmethod
    def vmap(info, in_dims, x: Tensor, *weights: Tensor) -> tuple[Tensor, int]:
        """x [T, F, B] and weights [4H, F + H + 1] per member -> states [T, S, H, B], mapped over axis 1."""

        def members_at(a: Tensor, mapped: int | None, axis: int) -> Tensor:
            if mapped is None:
                return a.unsqueeze(axis).expand(*a.shape[:axis], info.batch_size, *a.shape[axis:])
            return a.movedim(mapped, axis)

        placed = [members_at(weight, mapped, 0) for weight, mapped in zip(weights, in_dims[1:], strict=True)]
        return packed_stack(members_at(x, in_dims[0], 1), placed), 1


class Cohort:
    """Trainers of one arm and different seeds."""

    def __init__(self, trainers: list[Trainer]):
        self.trainers = trainers
        students = [trainer.state.student for trainer in trainers]
        self.template = _Loss(copy.deepcopy(students[0]))
        for part in self.template.modules():
            if isinstance(part, PackedLSTM):
                part.path = lambda x, weights: _Members.apply(x, *weights)
        each = [{f"student.{n}": p for n, p in student.named_parameters()} for student in students]
        self.stacked = {n: torch.stack([p[n].detach() for p in each]).requires_grad_() for n in each[0]}
        for member, parameters in enumerate(each):
            for name, parameter in parameters.items():
                parameter.data = self.stacked[name].data[member]

    def run(self) -> list[bool]:
        """Per trainer: True when its job is finished, False when it was stopped."""
        results = [False] * len(self.trainers)
        running = {member: trainer.requests() for member, trainer in enumerate(self.trainers)}
        try:
            while running:
                requests = {}
                for member, generator in list(running.items()):
                    self.trainers[member].sharing = len(running)
                    try:
                        requests[member] = next(generator)
                    except StopIteration as end:
                        results[member] = end.value
                        del running[member]
                self.gradients(requests)
        except ScimlError:
            for member in running:
                self.trainers[member].save()
            raise
        return results

    def gradients(self, requests: dict[int, Request]) -> None:
        """Set `.grad` of every member that asked for one."""
        alike: dict[tuple, list[int]] = {}
        for member, request in requests.items():
            step = request.step
            record = None if step.record is None else len(step.record)
            # an epoch is part of the loss where the teacher leaves by and by
            key = (request.loss, step.epoch, step.epochs, len(request.batch), record)
            alike.setdefault(key, []).append(member)
        for members in alike.values():
            self._gradients({member: requests[member] for member in members})

    def _gradients(self, requests: dict[int, Request]) -> None:
        first = next(iter(requests.values()))
        everyone = [requests.get(member, first) for member in range(len(self.trainers))]
        stacked = _stacked([_tensors(request) for request in everyone])
        shared = first.step

        def loss(parameters: dict[str, Tensor], own: dict[str, Tensor]) -> Tensor:
            part = lambda prefix: {n[len(prefix) :]: a for n, a in own.items() if n.startswith(prefix)}  # noqa: E731
            record, twin = part("record."), part("twin.")
            step = Step(
                shared.epoch, shared.epochs, shared.distillation_weight,
                part("totals.") | {"windows": shared.totals["windows"]},
                _batch(record) if record else None, (twin["point"], twin["latent"]) if twin else None,
            )  # fmt: skip
            return functional_call(self.template, parameters, (first.loss, _batch(part("batch.")), step))

        losses = vmap(loss)(self.stacked, stacked)
        found = torch.autograd.grad(losses.sum(), list(self.stacked.values()))
        for name, gradient in zip(self.stacked, found, strict=True):
            gradient = gradient.contiguous()  # the fused optimizer reads a turned one in the wrong order
            for member in requests:
                self.trainers[member].state.student.get_parameter(name.removeprefix("student.")).grad = gradient[member]


class _Loss(nn.Module):
    """A loss of the schedules as the forward pass of a module, whose parameters `functional_call` replaces."""

    def __init__(self, student: Student):
        super().__init__()
        self.student = student

    def forward(self, loss: str, batch: Batch, step: Step) -> Tensor:
        return LOSSES[loss](self.student, batch, step)


def _tensors(request: Request) -> dict[str, Tensor]:
    """All tensors of a request, by where they belong; fields without a value are left out."""
    step = request.step
    found = {f"batch.{n}": getattr(request.batch, n) for n in Batch.__dataclass_fields__}
    if step.record is not None:
        found |= {f"record.{n}": getattr(step.record, n) for n in Batch.__dataclass_fields__}
    if step.twin is not None:
        found |= dict(zip(("twin.point", "twin.latent"), step.twin, strict=True))
    found |= {f"totals.{n}": value for n, value in step.totals.items()}
    return {name: value for name, value in found.items() if isinstance(value, Tensor)}


def _stacked(each: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([one[name] for one in each]) for name in each[0]}


def _batch(fields: dict[str, Tensor]) -> Batch:
    return Batch(**{name: fields.get(name) for name in Batch.__dataclass_fields__})
