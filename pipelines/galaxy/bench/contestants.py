"""The training loops that are compared, each in a process of its own: what one sets for torch or for memory must not reach another."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from sciml.pipelines.compute import memory
from sciml.pipelines.compute.threads import using
from sciml.pipelines.compute.workers import deaf
from sciml.pipelines.errors import ScimlError
from sciml.pipelines.galaxy import pixels
from sciml.pipelines.galaxy.backbones.timm_backbone import build_timm
from sciml.pipelines.galaxy.bench_settings import BenchGalaxy
from sciml.pipelines.galaxy.catalog import Catalog
from sciml.pipelines.galaxy.experiment import Experiment, prepare_model
from sciml.pipelines.galaxy.splits import Split
from sciml.pipelines.galaxy.train import Job, Trainer
from sciml.pipelines.galaxy.training_settings import Train
from sciml.pipelines.readers import cutouts

from . import plain

OURS, PLAIN, ALONE = "ours", "plain loop", "network alone"


class Task(NamedTuple):
    """What a contestant trains: the network's timm name and the pictures of an epoch."""

    settings: BenchGalaxy
    name: str
    paths: tuple[Path, ...]
    device: str


class Contestant:
    """One training loop in its process; `prepare` are the seconds before its first step."""

    def __init__(self, process: multiprocessing.process.BaseProcess, pipe: Connection):
        self._process, self._pipe = process, pipe
        self.prepare = self._answer()

    def epoch(self) -> float:
        """Train for an epoch; its seconds."""
        return self._answer(True)

    def _answer(self, *request: bool) -> float:
        try:
            for word in request:
                self._pipe.send(word)
            answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            self._process.join()
            raise RuntimeError(f"the process ended with exit code {self._process.exitcode}") from error
        if isinstance(answer, ScimlError):
            raise answer
        return answer


@contextmanager
def contestants(task: Task) -> Iterator[dict[str, Contestant]]:
    """All three, ready for their first epoch; their processes end with the block."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    try:
        found = {}
        for who in _LOOPS:
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(who, task, there))
            with deaf():
                process.start()
            there.close()
            pipes.append(here)
            processes.append(process)
            found[who] = Contestant(process, here)
        yield found
    finally:
        for pipe in pipes:
            pipe.close()  # which ends the process, between two epochs
        for process in processes:
            process.join()


def by_cpu(settings: BenchGalaxy, device: str) -> bool:
    """Whether the clock is the CPU time of the process: with one thread and no other process at work."""
    return device == "cpu" and settings.workers == 0 and settings.threads == 1


def _serve(who: str, task: Task, pipe: Connection) -> None:
    """Answer each request with the seconds of an epoch, until nobody asks any more."""
    clock = time.process_time if by_cpu(task.settings, task.device) else time.perf_counter
    try:
        begin = clock()
        with _LOOPS[who](task) as epoch:
            pipe.send(clock() - begin)
            while pipe.recv():
                begin = clock()
                epoch()
                if task.device != "cpu":
                    torch.cuda.synchronize(task.device)
                pipe.send(clock() - begin)
    except (EOFError, ConnectionError):  # the pipe was closed while this process waited or trained
        pass
    except ScimlError as error:
        pipe.send(error)


@contextmanager
def _ours(task: Task) -> Iterator[Callable[[], None]]:
    memory.keep()
    with using(task.settings.threads):
        trainer = ours(task.settings, task.name, task.paths, task.device)
        yield lambda: epoch_of(trainer)


@contextmanager
def _plain(task: Task) -> Iterator[Callable[[], None]]:
    """As most people would type it: torch is asked for threads and nothing else."""
    settings = task.settings
    torch.set_num_threads(settings.threads)
    prepared = pixels.fit(_source(settings, task.paths), np.arange(len(task.paths)))
    transform = plain.transforms(settings.image_size, prepared.mean, prepared.std)
    pictures = plain.Pictures(task.paths, [i % 2 for i in range(len(task.paths))], transform)
    model = plain.network(task.name, settings.image_size)
    yield plain.loop(model, pictures, settings.batch_size, task.device, settings.precision, settings.workers)


@contextmanager
def _alone(task: Task) -> Iterator[Callable[[], None]]:
    settings, device = task.settings, task.device
    torch.set_num_threads(settings.threads)
    layout = build_timm(task.name, 3, settings.image_size).memory_format
    model = plain.network(task.name, settings.image_size).to(device, memory_format=layout).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    shape = (settings.batch_size, 3, settings.image_size, settings.image_size)
    image = torch.randn(shape, device=device).contiguous(memory_format=layout)
    label = torch.arange(settings.batch_size, device=device) % 2

    def epoch() -> None:
        for _ in range(settings.steps):
            plain.train_step(model, optimizer, image, label, settings.precision)

    yield epoch


_LOOPS = {OURS: _ours, PLAIN: _plain, ALONE: _alone}


def ours(settings: BenchGalaxy, name: str, paths: Sequence[Path], device: str) -> Trainer:
    """A trainer as `sciml galaxy train` makes it, with flips and turns only."""
    n = len(paths)
    labels, ids = np.arange(n) % 2, np.arange(n).astype(str)
    catalog = Catalog(ids, pd.DataFrame(index=ids), labels, ("0", "1"), images=_source(settings, paths))
    split = Split(np.arange(n), np.arange(0), np.arange(0))
    train = Train(
        backbone=name, arms=("image",), batch_size=settings.batch_size, augment=("flip", "rotate"),
        precision=settings.precision, epochs=1000,
    )  # fmt: skip
    prepared = prepare_model(Experiment(catalog, [split], ("image",), 1), train, "image", 0, device)
    return Trainer(
        Job("bench", "image", 0, split.train, split.validation, labels, 2), prepared.model, prepared.feed, train
    )


def epoch_of(trainer: Trainer) -> None:
    """One epoch of our loop, without what follows it: validation and checkpoints."""
    trainer.one_epoch()
    trainer.state.epoch, trainer.state.step = trainer.state.epoch + 1, 0


def _source(settings: BenchGalaxy, paths: Sequence[Path]) -> cutouts.CutoutFiles:
    found = [cutouts.Cutout((path,)) for path in paths]
    return cutouts.CutoutFiles(found, ("red", "green", "blue"), (3, settings.image_size, settings.image_size), levels=255)
