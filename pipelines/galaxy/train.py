"""One training job: one model, one split, resumable to the bit.

Order, augmentation and dropout are pure functions of (seed, epoch, step); everything else of a job's state is in its checkpoint. The
model that is kept has averaged weights, of the epoch with the least log loss on the validation objects or of the last.

Legend: b object of a batch, c class.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from sciml.pipelines.compute.world import World
from sciml.pipelines.errors import NumericalError, SettingsError

from .augment import augment, drawer
from .auxiliary import auxiliary_loss
from .distributed import WholeBatchDraws, share_statistics
from .features import CachedFeatures
from .feed import Feed, Sample
from .logits import embed_cached, predict_logits
from .losses import class_weights, log_shares, object_loss
from .model import Answer, GalaxyModel
from .optimizer import AdamW
from .parameters import parameter_groups
from .schedule import Average, order_of, rate_factor, seed_of
from .training_settings import Train

SAVE_SECONDS = 30.0


@dataclass(frozen=True)
class Job:
    """What to train: `name` is the checkpoint's; `train` and `validation` are positions in the feed, `labels` [n] of all objects.

    auxiliary: float32 [n, a], what else is to be learned, or None.
    """

    name: str
    arm: str
    fold: int
    train: np.ndarray
    validation: np.ndarray
    labels: np.ndarray
    n_classes: int
    auxiliary: np.ndarray | None = None


@dataclass(frozen=True)
class Hooks:
    """What a job calls: load and save of checkpoints, a row per epoch, objects seen, and whether to stop now."""

    load: Callable[[str], tuple[dict, dict] | None] = lambda name: None
    save: Callable[[str, dict, dict], object] = lambda name, tensors, header: None
    on_epoch: Callable[[dict], None] = lambda row: None
    on_step: Callable[[int], None] = lambda objects: None
    should_stop: Callable[[], bool] = lambda: False


@dataclass
class State:
    """Where a job stands; tensors live in the model, the optimizer and the averages."""

    epoch: int = 0
    step: int = 0  # within the epoch
    steps_done: int = 0
    rows: list[dict] = field(default_factory=list)
    best: dict = field(default_factory=lambda: {"loss": float("inf"), "epoch": -1})
    running_loss: float = 0.0
    seconds: float = 0.0
    finished: bool = False


class Trainer:
    """Runs one job to its end, to a stop request, or to a numerical failure."""

    def __init__(
        self,
        job: Job,
        model: GalaxyModel,
        feed: Feed,
        settings: Train,
        hooks: Hooks | None = None,
        cached: CachedFeatures | None = None,
    ):
        self.job, self.feed, self.settings, self.hooks = job, feed, settings, hooks or Hooks()
        self.cached, self.world, self.device = cached, World(), feed.device
        if self.world.size > 1 and model.retrieval is not None:
            raise SettingsError("--retrieval compares the rows of a whole batch: train it in one process, without torchrun")
        self.model = model.to(self.device).freeze_backbone(settings.freeze)
        self.parts = self.model.parts_apart()
        if self.world.size > 1:
            share_statistics(self.model)
        self.optimizer = AdamW(
            parameter_groups(
                self.model, settings.learning_rate, settings.weight_decay,
                backbone_lr=settings.backbone_rate, layer_decay=settings.layer_decay,
            )
        )  # fmt: skip
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.average = Average(self.model, settings.ema)
        self.best_weights: dict[str, Tensor] = {}
        self.state = State()
        self.labels = torch.from_numpy(job.labels).to(self.device)
        self.auxiliary = None if job.auxiliary is None else torch.from_numpy(job.auxiliary).to(self.device)
        weights = np.ones(job.n_classes)
        if settings.balance == "weights":
            weights = class_weights(job.labels[job.train], job.n_classes)
        self.weights = torch.from_numpy(weights).float().to(self.device)
        self.offset = torch.zeros(job.n_classes, device=self.device)
        if settings.balance != "none":
            self.offset = log_shares(job.labels[job.train], job.n_classes).float().to(self.device)
        self.steps_per_epoch = -(-len(job.train) // settings.batch_size)
        stored = self.hooks.load(job.name)
        if stored:
            self._unpack(*stored)
        self._clock = self._saved = time.monotonic()

    # --- the loop

    def run(self) -> bool:
        """True when the job is finished, False when it was stopped."""
        state, settings = self.state, self.settings
        while not state.finished and state.epoch < settings.epochs:
            if not self.one_epoch():
                self.save()
                return False
            self._measure()
            state.epoch, state.step, state.running_loss = state.epoch + 1, 0, 0.0
            if self._enough():
                break
            if time.monotonic() - self._saved > SAVE_SECONDS:
                self.save()
            if self.hooks.should_stop() and state.epoch < settings.epochs:
                self.save()
                return False
        state.finished = True
        self.model.load_state_dict(self.best_weights)
        self.model.eval()
        self.save()
        return True

    def one_epoch(self) -> bool:
        """Steps from `state.step` on; False if a stop was asked for."""
        state, settings, job = self.state, self.settings, self.job
        order = order_of(settings.seed, state.epoch, job.labels[job.train], settings.balance == "sampling")
        if self.model.retrieval is not None:
            order = self.model.retrieval.beside(order, torch.Generator().manual_seed(seed_of(settings.seed, job.fold, state.epoch)))
        index = torch.from_numpy(job.train)[order]
        self.model.train()
        for start in range(state.step * settings.batch_size, len(index), settings.batch_size):
            state.running_loss += self._step(index[start : start + settings.batch_size])
            state.step += 1
            state.steps_done += 1
            self.hooks.on_step(min(settings.batch_size, len(index) - start))
            if state.step % 4 == 0 and state.step < self.steps_per_epoch and self.hooks.should_stop():
                return False
        return True

    def _step(self, index: Tensor) -> float:
        """One step of the optimizer on the objects at `index` of all processes; their mean loss."""
        state, settings, world = self.state, self.settings, self.world
        factor = rate_factor(state.steps_done, *self._steps())
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        seed = seed_of(settings.seed, self.job.fold, state.epoch, state.step)
        torch.manual_seed(seed)  # dropout
        rows = slice(world.rank, None, world.size)
        own = index[rows]
        labels = self.labels[own.to(self.device)]
        weights = self.weights[labels]
        with WholeBatchDraws(len(index), rows) if world.size > 1 else nullcontext():
            answers = self._answers(own, drawer(seed, len(index), rows))
        losses = sum(self._losses(answer, own, labels) for answer in answers)
        (total,) = world.sum(weights.sum())
        loss = (weights * losses).sum() / total.clamp_min(1e-6)
        self.optimizer.zero_grad()
        loss.backward()
        world.sum_gradients(self.model)
        for part in self.parts:  # a norm in common would let one verdict slow the other down
            torch.nn.utils.clip_grad_norm_([p for p in part if p.grad is not None], settings.clip)
        self.optimizer.step()
        self.average.update(self.model, state.steps_done)
        (shown,) = world.sum(loss.detach())
        return float(shown)

    def _steps(self) -> tuple[int, int]:
        steps = self.settings.epochs * self.steps_per_epoch
        return steps, int(self.settings.warmup * steps)

    def _answers(self, index: Tensor, draw) -> list[Answer]:
        """What the model says of objects as training shows them."""
        with _precision(self.settings.precision, self.device):
            if self.model.retrieval is not None:
                return [Answer(self._retrieved(index, draw))]
            return self.model.answers(self._embedding(index, draw))

    def _losses(self, answer: Answer, index: Tensor, labels: Tensor) -> Tensor:
        """Loss [b] of one answer; 0 for an object it is not about."""
        kind, options = self.settings.loss, {"smoothing": self.settings.label_smoothing, "gamma": self.settings.focal_gamma}
        losses = object_loss(answer.logits - self.offset, labels, kind, **options)
        if answer.others is not None:
            losses = losses + auxiliary_loss(answer.others, self.auxiliary[index.to(self.device)])
        return losses if answer.counts is None else losses * answer.counts

    def _embedding(self, index: Tensor, draw) -> Tensor:
        if self.cached is not None:
            kinds = (draw() * self.cached.views).long().clamp_(max=self.cached.views - 1)
            return embed_cached(self.model, self.feed, index, self.cached, kinds)
        sample = self._changed(self.feed.sample(index), draw)
        return self.model.embed(sample.image, sample.table, sample.image_present, sample.table_present)

    def _retrieved(self, index: Tensor, draw) -> Tensor:
        sample = self._changed(self.feed.sample(index), draw)
        known = torch.searchsorted(torch.from_numpy(self.job.train).contiguous(), index).to(self.device)
        return self.model(sample.image, sample.table, sample.image_present, known=known)

    def _changed(self, sample: Sample, draw) -> Sample:
        if sample.image is not None and self.settings.augment and "none" not in self.settings.augment:
            changed = augment(sample.image, self.settings.augment, self.feed.pixels.noise, draw, self.settings.zoom)
            sample = replace(sample, image=changed)
        return self.feed.ready(sample)

    # --- validation

    def _measure(self) -> None:
        """One row: losses and validation AUC of the averaged weights; keep the best."""
        state, job = self.state, self.job
        kept = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.average.values)
        logits = predict_logits(self.model, self.feed, job.validation, cached=self.cached)[:, 0]
        self.model.load_state_dict(kept)
        log_p = torch.log_softmax(torch.from_numpy(logits), dim=1).numpy()
        labels = job.labels[job.validation]
        held = float(-log_p[np.arange(len(labels)), labels].mean())
        now = time.monotonic()
        state.seconds += now - self._clock
        self._clock = now
        row = {
            "job": job.name, "epoch": state.epoch + 1, "train_loss": state.running_loss / max(state.step, 1),
            "validation_loss": held, "validation_auc": _auc(np.exp(log_p), labels), "seconds": state.seconds,
        }  # fmt: skip
        if not np.isfinite(held) or not np.isfinite(row["train_loss"]):
            raise NumericalError(
                f"{job.name}: the loss is {row['train_loss']} in training and {held} in validation after epoch {row['epoch']}",
                hint="lower --learning-rate; the last good weights are in the run's checkpoints",
            )
        if held < state.best["loss"] or self.settings.keep == "last":
            state.best = {"loss": held, "epoch": row["epoch"]}
            self.best_weights = {name: value.clone() for name, value in self.average.values.items()}
        state.rows.append(row)
        self.hooks.on_epoch(row)

    def _enough(self) -> bool:
        patience = self.settings.patience
        return patience is not None and self.state.epoch - self.state.best["epoch"] >= patience

    # --- checkpoints

    def save(self) -> None:
        """Write the checkpoint."""
        if self.world.rank == 0:
            self.hooks.save(self.job.name, *self._pack())
        self._saved = time.monotonic()

    def _pack(self) -> tuple[dict[str, np.ndarray], dict]:
        state = self.state
        tensors = {f"best.{n}": v for n, v in self.best_weights.items()}
        if not state.finished:
            tensors |= {f"model.{n}": v for n, v in self.model.state_dict().items()}
            tensors |= {f"average.{n}": v for n, v in self.average.values.items()}
            for i, view in enumerate(self.optimizer.views):
                for key, value in self.optimizer.state.get(view, {}).items():
                    tensors[f"optimizer.{i}.{key}"] = torch.as_tensor(value)
        header = {name: getattr(state, name) for name in State.__dataclass_fields__}
        return {name: np.array(v.detach().cpu().numpy(), copy=True) for name, v in tensors.items()}, header

    def _unpack(self, tensors: dict, header: dict) -> None:
        here = lambda a: torch.from_numpy(np.array(a)).to(self.device)  # noqa: E731
        part = lambda prefix: {n[len(prefix) :]: here(a) for n, a in tensors.items() if n.startswith(prefix)}  # noqa: E731
        self.state = State(**{name: header[name] for name in State.__dataclass_fields__})
        self.best_weights = part("best.")
        if self.state.finished:
            self.model.load_state_dict(self.best_weights)
            self.model.eval()
            return
        self.model.load_state_dict(part("model."))
        for name, value in part("average.").items():
            self.average.values[name].copy_(value)
        for i, view in enumerate(self.optimizer.views):
            if stored := part(f"optimizer.{i}."):
                self.optimizer.state[view] = stored


def _precision(name: str, device: torch.device):
    return torch.autocast(device.type, torch.bfloat16) if name == "bfloat16" else nullcontext()


def _auc(probability: np.ndarray, labels: np.ndarray) -> float:
    """Mean one-vs-rest AUC of the classes that occur beside others."""
    from scipy.stats import rankdata

    found = []
    for label in range(probability.shape[1]):
        hit = labels == label
        if hit.any() and not hit.all():
            ranks = rankdata(probability[:, label])
            found.append((ranks[hit].mean() - (hit.sum() + 1) / 2) / (~hit).sum())
    return float(np.mean(found)) if found else float("nan")
