"""Images per second of our training loop, of a DataLoader loop around the same timm network, and of the network alone.

    ours          the loop of `sciml galaxy train`: pictures decoded once, turned and flipped as batches, with its averaged
                  weights, clipping and losses
    plain loop    `plain`: every picture decoded, resized, turned and normalised in every epoch
    network alone the same step on one batch that never changes: what is left if data cost nothing

The three take turns, an epoch each. The clock is CPU time of the process with one thread, and wall time otherwise.

Without its data the plain loop could be no faster than the network alone: that ratio is all that reading pictures once can win. What
ours is faster than the network alone, it owes to backbones/small_maps.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from sciml.pipelines.compute.devices import choose_device
from sciml.pipelines.compute.threads import using
from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy.bench_settings import BenchGalaxy
from sciml.pipelines.galaxy.catalog import Catalog
from sciml.pipelines.galaxy.experiment import Experiment, prepare_model
from sciml.pipelines.galaxy.splits import Split
from sciml.pipelines.galaxy.train import Job, Trainer
from sciml.pipelines.galaxy.training_settings import Train
from sciml.pipelines.progress import Progress
from sciml.pipelines.readers import cutouts
from sciml.pipelines.readers.synthetic_surveys import picture

from . import plain

OURS, PLAIN, ALONE = "ours", "plain loop", "network alone"


def measure(settings: BenchGalaxy, progress: Progress | None = None) -> Iterator[dict[str, Any]]:
    """Rows: backbone, implementation, clock, images_per_second (median), p20, p80, ours_to_it, prepare_s.

    prepare_s: seconds before the first step, in which our loop decodes every picture.
    """
    progress = progress or Progress()
    device = choose_device(settings.device, progress.note)
    n = settings.steps * settings.batch_size
    with tempfile.TemporaryDirectory() as folder, using(settings.threads):
        paths = _pictures(settings, n, Path(folder))
        for name in settings.backbones:
            yield from _rows(settings, name, paths, device, progress)


def _pictures(settings: BenchGalaxy, n: int, folder: Path) -> list[Path]:
    if settings.images is None:
        return [picture(folder / f"{i}.jpg", seed=i, size=settings.picture_size) for i in range(n)]
    found, _, _ = cutouts.find(settings.images)
    paths = [
        cutout.paths[0] for cutout in found.values() if cutout.paths[0].suffix.lower() in (".jpg", ".jpeg", ".png")
    ]
    if not paths:
        raise DataError(f"{settings.images} holds no pictures", hint="a folder of JPEG or PNG files is expected")
    return [paths[i % len(paths)] for i in range(n)]


def _rows(
    settings: BenchGalaxy, name: str, paths: list[Path], device: str, progress: Progress
) -> Iterator[dict[str, Any]]:
    by_cpu = device == "cpu" and settings.workers == 0 and settings.threads == 1
    clock = time.process_time if by_cpu else time.perf_counter
    begin = clock()
    trainer = ours(settings, name, paths, device)
    prepare = clock() - begin
    contestants = {OURS: lambda: _epoch(trainer), PLAIN: _plain(settings, name, paths, trainer, device),
                   ALONE: _alone(settings, name, trainer, device)}  # fmt: skip
    with progress.task(name, settings.repeats + 1, "rounds") as task:
        times = _rounds(contestants, settings.repeats, clock, device, task.advance)
    speeds = {who: len(paths) / np.array(values) for who, values in times.items()}
    mine = float(np.median(speeds[OURS]))
    for who, values in speeds.items():
        median = float(np.median(values))
        yield {
            "backbone": name, "implementation": who, "clock": "cpu" if by_cpu else "wall", "device": device,
            "images_per_second": median, "p20": float(np.percentile(values, 20)), "p80": float(np.percentile(values, 80)),
            "ours_to_it": mine / median, "prepare_s": prepare if who == OURS else 0.0,
        }  # fmt: skip


def _rounds(
    contestants: dict[str, Callable[[], None]], repeats: int, clock: Callable[[], float], device: str, advance: Callable
) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {who: [] for who in contestants}
    for number in range(repeats + 1):
        for who, epoch in contestants.items():
            begin = clock()
            epoch()
            if device != "cpu":
                torch.cuda.synchronize(device)
            if number:  # the first round loads libraries and fills caches
                times[who].append(clock() - begin)
        advance(1)
    return times


def ours(settings: BenchGalaxy, name: str, paths: list[Path], device: str) -> Trainer:
    """A trainer as `sciml galaxy train` makes it, with flips and turns only."""
    n, size = len(paths), settings.image_size
    found = [cutouts.Cutout((path,)) for path in paths]
    source = cutouts.CutoutFiles(found, ("red", "green", "blue"), (3, size, size), levels=255)
    labels = np.arange(n) % 2
    ids = np.arange(n).astype(str)
    catalog = Catalog(ids, pd.DataFrame(index=ids), labels, ("0", "1"), images=source)
    split = Split(np.arange(n), np.arange(0), np.arange(0))
    train = Train(
        backbone=name, arms=("image",), batch_size=settings.batch_size, augment=("flip", "rotate"),
        precision=settings.precision, epochs=1000,
    )  # fmt: skip
    prepared = prepare_model(Experiment(catalog, [split], ("image",), 1), train, "image", 0, device)
    return Trainer(
        Job("bench", "image", 0, split.train, split.validation, labels, 2), prepared.model, prepared.feed, train
    )


def _epoch(trainer: Trainer) -> None:
    trainer.one_epoch()
    trainer.state.epoch, trainer.state.step = trainer.state.epoch + 1, 0


def _plain(settings: BenchGalaxy, name: str, paths: list[Path], trainer: Trainer, device: str) -> Callable[[], None]:
    pixels = trainer.feed.pixels
    transform = plain.transforms(settings.image_size, pixels.mean, pixels.std)
    pictures = plain.Pictures(paths, trainer.job.labels.tolist(), transform)
    model = plain.network(name, settings.image_size)
    return plain.loop(model, pictures, settings.batch_size, device, settings.precision, settings.workers)


def _alone(settings: BenchGalaxy, name: str, trainer: Trainer, device: str) -> Callable[[], None]:
    layout = trainer.model.backbone.memory_format
    model = plain.network(name, settings.image_size).to(device, memory_format=layout).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    shape = (settings.batch_size, 3, settings.image_size, settings.image_size)
    image = torch.randn(shape, device=device).contiguous(memory_format=layout)
    label = torch.arange(settings.batch_size, device=device) % 2

    def epoch() -> None:
        for _ in range(settings.steps):
            plain.train_step(model, optimizer, image, label, settings.precision)

    return epoch
