"""One function over many tasks in several processes, in order."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

Task, Result = TypeVar("Task"), TypeVar("Result")


def _quiet() -> None:
    """Workers leave Ctrl-C to the parent and use one thread each."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import torch

    torch.set_num_threads(1)


def in_processes(function: Callable[[Task], Result], tasks: Sequence[Task], workers: int) -> Iterator[Result]:
    """function(task) for each task, in order; `workers` below 2 stays in this process.

    function must be importable, tasks and results picklable.  Processes are spawned: a forked torch may hang.
    """
    if workers < 2 or len(tasks) < 2:
        yield from map(function, tasks)
        return
    workers = min(workers, len(tasks))
    chunk = max(1, min(32, len(tasks) // (4 * workers)))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_quiet) as pool:
        yield from pool.map(function, tasks, chunksize=chunk)
