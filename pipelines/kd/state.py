"""What a training job is, and what a checkpoint holds of it: student, optimizer, position, curves, best weights.

Initial weights are a pure function of (shape, seed); everything else of a job's state is in its checkpoint, to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from .losses import FLOOR
from .student import Shape, Student, build
from .windows import Windows


@dataclass(frozen=True)
class Stage:
    """One phase of a job: which loss over which windows, for how long.

    patience ends it on the validation RMSE; noise is the standard deviation of white noise on the normalised inputs.
    """

    name: str
    loss: str
    windows: Windows
    epochs: int
    patience: int | None = None
    record: Windows | None = None
    noise: float = 0.0


@dataclass(frozen=True)
class Job:
    """A student to train: `arm` (alone, alone_own, twin, distilled, shuffled), seed, shape, stages, held-out windows.

    unit_scale [v] turns normalised errors into the printed unit; `goal` is the training RMSE that a distilled student should
    reach before its patience may end it; `twin` holds the weights of a privileged twin; a job that is told to `stay` keeps the weights
    it starts with, whatever the validation block says.
    """

    arm: str
    seed: int
    shape: Shape
    stages: tuple[Stage, ...]
    train: Windows
    validation: Windows
    unit_scale: tuple[float, ...]
    goal: float | None = None
    twin: tuple[Shape, dict[str, Tensor]] | None = None
    initial: dict[str, Tensor] | None = None
    stay: bool = False

    @property
    def name(self) -> str:
        """Unique within a run; also the checkpoint's name."""
        return f"{self.arm}-{self.seed}"


@dataclass
class State:
    """What a checkpoint holds; tensors live in `student`, `optimizer`, `best_weights`."""

    student: Student
    optimizer: torch.optim.Optimizer
    stage: int = 0
    epoch: int = 0
    step: int = 0
    rows: list[dict] = field(default_factory=list)
    best: dict = field(default_factory=lambda: {"rmse": float("inf"), "stage": "", "epoch": -1})
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    steps_done: int = 0
    windows_done: int = 0
    cpu_seconds: float = 0.0
    finished: bool = False


def new_optimizer(student: Student, settings) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        student.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )


def start(job: Job, settings, device: torch.device) -> State:
    """Fresh state: weights from (shape, seed), or `job.initial`."""
    student = build(job.shape, job.seed)
    if job.initial is not None:
        student.load_state_dict(job.initial)
    elif job.train.anchor is not None:
        _spread_of_base(student, job.train)
    student = student.to(device)
    return State(student, new_optimizer(student, settings))


@torch.no_grad()
def _spread_of_base(student: Student, windows: Windows) -> None:
    """A probabilistic head starts with the spread of its base's errors over the training windows: it may stay there."""
    shape = student.shape
    if shape.head == "point":
        return
    bias = student.head.bias.view(shape.targets, shape.outputs)
    for v in range(shape.targets):
        error = (windows.target - windows.anchor)[:, :, v][windows.weight[:, :, v] > 0].double().cpu().numpy()
        if not len(error):
            continue
        if shape.head == "gaussian":
            bias[v, 1] = float(np.log(np.expm1(max(np.sqrt(np.mean(error**2)) - FLOOR, 1e-3))))
        else:  # the median stays the base itself
            values = np.quantile(error - np.median(error), shape.quantiles)
            bias[v] = torch.from_numpy(values)


def pack(state: State) -> tuple[dict[str, np.ndarray], dict]:
    """Tensors and header of a checkpoint."""
    tensors = {f"model.{n}": p for n, p in state.student.state_dict().items()}
    tensors |= {f"best.{n}": p for n, p in state.best_weights.items()}
    for i, p in enumerate(state.student.parameters()):
        for key, value in state.optimizer.state.get(p, {}).items():
            tensors[f"optimizer.{i}.{key}"] = torch.as_tensor(value)
    header = {
        "stage": state.stage, "epoch": state.epoch, "step": state.step, "rows": state.rows, "best": state.best,
        "steps_done": state.steps_done, "windows_done": state.windows_done, "cpu_seconds": state.cpu_seconds,
        "finished": state.finished, "shape": state.student.shape.to_dict(),
    }  # fmt: skip
    return {name: np.array(t.detach().cpu().numpy(), copy=True) for name, t in tensors.items()}, header


def unpack(job: Job, settings, device: torch.device, tensors: dict, header: dict) -> State:
    """State from a checkpoint."""
    state = start(job, settings, device)
    torch_of = lambda a: torch.from_numpy(np.array(a)).to(device)  # noqa: E731
    part = lambda prefix: {n[len(prefix) :]: torch_of(a) for n, a in tensors.items() if n.startswith(prefix)}  # noqa: E731
    state.student.load_state_dict(part("model."))
    state.best_weights = part("best.")
    for i, p in enumerate(state.student.parameters()):
        stored = part(f"optimizer.{i}.")
        if stored:
            state.optimizer.state[p] = stored | {
                "step": stored["step"].cpu() if device.type == "cpu" else stored["step"]
            }
    for name in ("stage", "epoch", "step", "rows", "best", "steps_done", "windows_done", "cpu_seconds", "finished"):
        setattr(state, name, header[name])
    return state
