"""One training job: one student, one seed, one way of using the teacher; resumable bit for bit.

Batch order is a pure function of (seed, stage, epoch), the initial weights of (shape, seed), and nothing else is random, so a
job continues from any stored step exactly as if it had not been interrupted, and the twin without a teacher sees the same
weights and batches.  RMSE is always against observations, in the target's unit; against the soft target it has its own name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from sciml.pipelines.compute.world import World
from sciml.pipelines.errors import NumericalError

from .gradient import DirectGradient
from .schedules import LOSSES, Step
from .state import Job, Stage, new_optimizer, pack, start, unpack
from .student import Student, build
from .trials import half_error
from .windows import Batch, Windows, automatic_batch

EVALUATED = 1024  # training windows whose RMSE is followed; a fixed sample, the same for every arm
SAVE_SECONDS = 20.0


@dataclass(frozen=True)
class Hooks:
    """What a job calls: load and save of checkpoints, a row per epoch, and whether to stop now."""

    load: Callable[[str], tuple[dict, dict] | None] = lambda name: None
    save: Callable[[str, dict, dict], object] = lambda name, tensors, header: None
    on_epoch: Callable[[dict], None] = lambda row: None
    should_stop: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Request:
    """A gradient to compute: of the loss named, over a batch, with what the loss may use besides."""

    loss: str
    batch: Batch
    step: Step


def _clip(parameters: list[Tensor], most: float) -> None:
    """Scale the gradients to a joint norm of at most `most`: torch's clip_grad_norm_, without its grouping by device and type."""
    grads = [p.grad for p in parameters if p.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
    torch._foreach_mul_(grads, (most / (norm + 1e-6)).clamp(max=1.0))


def seed_of(seed: int, stage: str, *numbers: int) -> int:
    """A seed that is a pure function of its arguments."""
    words = np.random.SeedSequence([seed, *stage.encode(), *numbers]).generate_state(1, np.uint64)
    return int(words[0] >> np.uint64(1))


def order_of(seed: int, stage: str, epoch: int, count: int) -> Tensor:
    """The order of `count` windows in one epoch: a pure function of its arguments."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed_of(seed, stage, epoch)))


def fixed_sample(windows: Windows, most: int) -> Windows:
    """At most `most` windows, evenly drawn once; the same for every arm and seed."""
    if len(windows) <= most:
        return windows
    index = torch.randperm(len(windows), generator=torch.Generator().manual_seed(20))[:most]
    return windows.subset(index.sort().values.to(windows.row.device))


@torch.no_grad()
def rmse(student: Student, windows: Windows, unit_scale: tuple[float, ...], *, against: str = "target") -> float:
    """RMSE over the known elements of `windows`, against the observation ("target") or the teacher ("soft")."""
    scale = torch.tensor(unit_scale, dtype=torch.float32, device=windows.row.device).view(1, -1, 1)
    total, count = 0.0, 0.0
    for batch in windows.batches(1024):
        point = student.point(student(batch.x, batch.future, batch.anchor))
        weight = batch.weight if against == "target" else (batch.soft_weight > 0).float()
        wanted = batch.target if against == "target" else batch.soft
        total += float((weight * ((point - wanted) * scale) ** 2).sum(dtype=torch.float64))
        count += float((weight * torch.ones_like(point)).sum(dtype=torch.float64))
    return float(np.sqrt(total / count)) if count else float("nan")


def _issues(windows: Windows) -> int:
    """Number of issue times."""
    return len(windows) if windows.issue is None else len(np.unique(windows.issue))


class Trainer:
    """Runs one job to its end, to a stop request, or to a numerical failure."""

    def __init__(self, job: Job, settings, hooks: Hooks, device: torch.device | str = "cpu"):
        self.job, self.settings, self.hooks = job, settings, hooks
        self.device, self.world = torch.device(device), World()
        stored = hooks.load(job.name)
        self.state = unpack(job, settings, self.device, *stored) if stored else start(job, settings, self.device)
        self.sample = fixed_sample(job.train, EVALUATED)
        self.held = fixed_sample(job.validation, 2 * EVALUATED)
        self.twin = None
        if job.twin is not None:
            self.twin = build(job.twin[0], 0).to(self.device)
            self.twin.load_state_dict(job.twin[1])
        self.direct: DirectGradient | None = None
        self.sharing = 1  # jobs that share this process's time
        self._clock, self._saved = time.process_time(), time.monotonic()

    def run(self) -> bool:
        """True when the job is finished, False when it was stopped."""
        requests = self.requests()
        while True:
            try:
                request = next(requests)
            except StopIteration as end:
                return end.value
            self.gradient(request)

    def requests(self) -> Generator[Request, None, bool]:
        """The training as a sequence of gradients to compute: whoever takes one sets `.grad` before asking for the next.

        Returns what `run` does.  So several jobs can be trained side by side, with one computation for all their gradients.
        """
        state = self.state
        while not state.finished:
            stage = self.job.stages[state.stage]
            if state.epoch == 0 and state.step == 0:
                self._begin(stage)
            if not (yield from self._epochs(stage)):
                self.save()
                return False
            self._end(stage)
        self.save()
        return True

    def _begin(self, stage: Stage) -> None:
        if not any(row["stage"] == stage.name for row in self.state.rows):
            self._measure(stage, 0)

    def _epochs(self, stage: Stage) -> Generator[Request, None, bool]:
        state = self.state
        while state.epoch < stage.epochs and not self._enough(stage):
            if not (yield from self._one_epoch(stage)):
                return False
            state.epoch, state.step = state.epoch + 1, 0
            self._measure(stage, state.epoch)
            if time.monotonic() - self._saved > SAVE_SECONDS:
                self.save()
            if self.hooks.should_stop():
                return False
        return True

    def _one_epoch(self, stage: Stage) -> Generator[Request, None, bool]:
        """Batches from `state.step` on; False if a stop was asked for."""
        state, size = self.state, self._batch_size(stage)
        order = order_of(self.job.seed, stage.name, state.epoch, len(stage.windows))[state.step * size :]
        records = self._record_batches(stage)
        for batch in stage.windows.batches(size, order.to(self.device), rank=self.world.rank, world=self.world.size):
            batch = (
                self._noisy(stage, batch, min(size, len(stage.windows) - state.step * size)) if stage.noise else batch
            )
            request = self.request(stage, batch, next(records) if records else None)
            yield request
            self.update(request)
            state.step += 1
            if state.step % 16 == 0 and self.hooks.should_stop():
                return False
        return True

    def _noisy(self, stage: Stage, batch: Batch, count: int) -> Batch:
        """The batch with noise on its inputs, a pure function of (seed, stage, epoch, step): drawn for all `count` windows."""
        state, rank, world = self.state, self.world.rank, self.world.size
        generator = torch.Generator().manual_seed(seed_of(self.job.seed, stage.name, state.epoch, state.step))

        def noisy(values: Tensor | None) -> Tensor | None:
            if values is None:
                return None
            drawn = torch.randn(*values.shape[:2], count, generator=generator)[..., rank::world]
            return values + stage.noise * drawn.to(values)

        return replace(batch, x=noisy(batch.x), future=noisy(batch.future))

    def _batch_size(self, stage: Stage) -> int:
        return self.settings.batch_size or automatic_batch(len(stage.windows))

    def _record_batches(self, stage: Stage):
        """Endless record batches beside the observed ones (`joint`), continued from the step that is stored."""
        if stage.record is None:
            return None
        size, state = self._batch_size(stage), self.state
        count = len(stage.record)
        need = -(-len(stage.windows) // size) * size
        draws = [order_of(self.job.seed, "record", state.epoch * 1000 + n, count) for n in range(-(-need // count))]
        order = torch.cat(draws)[:need][state.step * size :]
        return stage.record.batches(size, order.to(self.device), rank=self.world.rank, world=self.world.size)

    def request(self, stage: Stage, batch: Batch, record: Batch | None = None) -> Request:
        """What the gradient of one batch is computed from."""
        state, totals = self.state, self._totals(stage, batch, record)
        twin = self._ask_twin(batch) if self.twin is not None else None
        step = Step(state.epoch, stage.epochs, self.settings.distillation_weight, totals, record, twin)
        return Request(stage.loss, batch, step)

    def gradient(self, request: Request) -> None:
        """Set `.grad` of every parameter to the gradient of this process's share of the batch."""
        student, loss = self.state.student, request.loss
        if DirectGradient.fits(student, loss):
            if self.direct is None or self.direct.student is not student:
                self.direct = DirectGradient(student)
            self.direct(request.batch, loss, request.step.totals["soft" if loss == "pretrain" else "hard"])
            return
        self.direct = None
        self.state.optimizer.zero_grad()
        LOSSES[loss](student, request.batch, request.step).backward()

    def update(self, request: Request) -> None:
        """One step of the optimizer along the clipped gradient of all processes."""
        state = self.state
        self.world.sum_gradients(state.student)
        if self.world.size == 1 and self.direct is not None:
            self.direct.clip(self.settings.clip)
        else:
            _clip(state.optimizer.param_groups[0]["params"], self.settings.clip)
        state.optimizer.step()
        state.steps_done += 1
        state.windows_done += int(request.step.totals["windows"])

    def _totals(self, stage: Stage, batch: Batch, record: Batch | None) -> dict[str, Tensor | float]:
        """Sums of weights over the batch of all processes, by which its loss is divided; only those the loss needs."""
        sums: dict[str, Tensor] = {}
        if stage.loss != "pretrain":
            sums["hard"] = batch.weight.sum()
        if stage.loss in ("pretrain", "response", "anneal", "trust"):
            sums["soft"] = batch.soft_weight.sum()
        if record is not None:
            sums["record"] = record.soft_weight.sum()
        if self.world.size == 1:
            return {name: value.clamp_min(1e-6) for name, value in sums.items()} | {"windows": len(batch)}
        sums["windows"] = batch.weight.new_tensor(float(len(batch)))
        summed = dict(zip(sums, self.world.sum(*sums.values()), strict=True))
        return {name: value.clamp_min(1e-6) for name, value in summed.items()}

    @torch.no_grad()
    def _ask_twin(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The privileged twin's point forecast and latent state; its inputs come first in the batch's own series."""
        latent = self.twin.encode(batch.x)
        return self.twin.point(self.twin.decode(latent, batch.future, None)), latent

    def _measure(self, stage: Stage, epoch: int) -> None:
        """One row: RMSE against observations, training sample and validation block; keep the best weights."""
        state, job = self.state, self.job
        train = rmse(state.student, self.sample, job.unit_scale)
        held = rmse(state.student, self.held, job.unit_scale)
        now = time.process_time()
        state.cpu_seconds += (now - self._clock) / self.sharing
        self._clock = now
        row = {
            "job": job.name, "arm": job.arm, "seed": job.seed, "stage": stage.name, "epoch": epoch, "train_rmse": train,
            "validation_rmse": held, "steps": state.steps_done, "windows": state.windows_done, "cpu_seconds": state.cpu_seconds,
        }  # fmt: skip
        if not np.isfinite(train) or not np.isfinite(held):
            self.save()
            raise NumericalError(
                f"{job.name}: the RMSE is {train} in training and {held} in validation after epoch {epoch} of stage {stage.name}",
                hint="lower --learning-rate; the last good weights are in the run's checkpoints",
            )
        if held < self._to_beat(stage) or not state.best_weights:
            # an untrained network is no student, however well its constant does in validation
            untrained = epoch == 0 and state.stage == 0 and not job.shape.predictors and job.initial is None
            state.best = {"rmse": float("inf") if untrained else held, "stage": stage.name, "epoch": epoch}
            state.best_weights = {n: p.detach().clone() for n, p in state.student.state_dict().items()}
        state.rows.append(row)
        self.hooks.on_epoch(row)

    def _to_beat(self, stage: Stage) -> float:
        """The validation RMSE that makes new weights the best.

        Weights of an earlier stage, and the base of a residual student, give way only to a gain beyond half the sampling error of
        the RMSE over the issue times: with 38 of them a lucky epoch gained 3 % in validation and lost a third in the test block.
        Weights of an archive get the benefit of the doubt as far as it is longer than the observations: where both cover the
        same times (wind, all issues) it cost 2.5 % of the held-out RMSE.
        """
        best, held = self.state.best, self.job.validation
        at_base = held.anchor is not None and best["epoch"] == 0
        if best["stage"] == "" or best["stage"] == stage.name and not at_base:
            return best["rmse"]
        if self.job.stay:
            return float("-inf")
        doubt = half_error(_issues(held))
        if not at_base:
            earlier = next(one for one in self.job.stages if one.name == best["stage"])
            doubt *= max(0.0, 1.0 - _issues(stage.windows) / _issues(earlier.windows))
        return best["rmse"] * (1.0 - doubt)

    def _enough(self, stage: Stage) -> bool:
        """Patience: no better validation for long, and the goal (where there is one) already reached."""
        if stage.patience is None:
            return False
        rows = [r for r in self.state.rows if r["stage"] == stage.name]
        held = [r["validation_rmse"] for r in rows]
        if len(held) - 1 - int(np.argmin(held)) < stage.patience:
            return False
        goal = self.job.goal
        return stage.name != "fit" or goal is None or min(r["train_rmse"] for r in rows) <= goal

    def _end(self, stage: Stage) -> None:
        """Go on to the next stage from the best weights so far, with a fresh optimizer."""
        state = self.state
        state.stage, state.epoch, state.step = state.stage + 1, 0, 0
        if state.stage == len(self.job.stages):
            state.finished, state.stage = True, state.stage - 1
            state.student.load_state_dict(state.best_weights)
            return
        state.student.load_state_dict(state.best_weights)
        state.optimizer = new_optimizer(state.student, self.settings)

    def save(self) -> None:
        """Write the checkpoint."""
        if self.world.rank == 0:
            self.hooks.save(self.job.name, *pack(self.state))
        self._saved = time.monotonic()


def with_goal(job: Job, goal: float | None) -> Job:
    """The job with a training RMSE to reach."""
    return replace(job, goal=goal)
