"""Images per second of our training loop, of a DataLoader loop around the same timm network, and of the network alone.

    ours          the loop of `sciml galaxy train`: pictures decoded once, turned and flipped as batches, with its averaged
                  weights, clipping and losses
    plain loop    `plain`: every picture decoded, resized, turned and normalised in every epoch
    network alone the same step on one batch that never changes: what is left if data cost nothing

Each has a process of its own, and they take turns, an epoch each. The clock is CPU time of the process with one thread, and wall time
otherwise.

Without its data the plain loop could be no faster than the network alone: that ratio is all that reading pictures once can win. What
ours is faster than the network alone, it owes to backbones/small_maps, to kept memory and to denormal numbers that are flushed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sciml.pipelines.compute.devices import choose_device
from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy.bench_settings import BenchGalaxy
from sciml.pipelines.progress import Progress
from sciml.pipelines.readers import cutouts
from sciml.pipelines.readers.synthetic_surveys import picture

from .contestants import OURS, Task, by_cpu, contestants


def measure(settings: BenchGalaxy, progress: Progress | None = None) -> Iterator[dict[str, Any]]:
    """Rows: backbone, implementation, clock, images_per_second (median), p20, p80, ours_to_it, prepare_s.

    prepare_s: seconds before the first step, in which our loop decodes every picture.
    """
    progress = progress or Progress()
    device = choose_device(settings.device, progress.note)
    n = settings.steps * settings.batch_size
    with tempfile.TemporaryDirectory() as folder:
        paths = tuple(_pictures(settings, n, Path(folder)))
        for name in settings.backbones:
            yield from _rows(Task(settings, name, paths, device), progress)


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


def _rows(task: Task, progress: Progress) -> Iterator[dict[str, Any]]:
    settings = task.settings
    with contestants(task) as entered:
        prepare = entered[OURS].prepare
        times: dict[str, list[float]] = {who: [] for who in entered}
        with progress.task(task.name, settings.repeats + 1, "rounds") as shown:
            for number in range(settings.repeats + 1):
                for who, contestant in entered.items():
                    seconds = contestant.epoch()
                    if number:  # the first round loads libraries and fills caches
                        times[who].append(seconds)
                shown.advance(1)
    speeds = {who: len(task.paths) / np.array(values) for who, values in times.items()}
    mine = float(np.median(speeds[OURS]))
    for who, values in speeds.items():
        median = float(np.median(values))
        yield {
            "backbone": task.name, "implementation": who, "clock": "cpu" if by_cpu(settings, task.device) else "wall",
            "device": task.device, "images_per_second": median, "p20": float(np.percentile(values, 20)),
            "p80": float(np.percentile(values, 80)), "ours_to_it": mine / median, "prepare_s": prepare if who == OURS else 0.0,
        }  # fmt: skip
