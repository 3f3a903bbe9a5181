"""How many threads torch should use: measured, since on a busy machine two made a step 275 times slower than one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def probe(work: Callable[[], object], most: int | None = None, rounds: int = 3) -> int:
    """1 or `most` (default: all cores), whichever runs `work` faster; a tie goes to one thread.

    The fastest of `rounds` counts for one thread and the median for several: what they lose, they lose by waiting for each other.
    """
    most = most or cores()
    if most == 1:
        return 1
    before, seconds = torch.get_num_threads(), {}
    try:
        for threads in (1, most):
            torch.set_num_threads(threads)
            work()
            found = []
            for _ in range(rounds):
                begin = time.perf_counter()
                work()
                found.append(time.perf_counter() - begin)
            seconds[threads] = min(found) if threads == 1 else sorted(found)[len(found) // 2]
            if threads == most and seconds[most] > 10 * seconds[1]:
                break
    finally:
        torch.set_num_threads(before)
    return most if seconds[most] < 0.85 * seconds[1] else 1


def convolutions() -> Callable[[], object]:
    """A piece of work like that of an image encoder or of a rendered cutout, about 10 ms."""
    image, kernel = torch.zeros(16, 8, 64, 64), torch.zeros(16, 8, 3, 3)
    return lambda: (torch.nn.functional.conv2d(image, kernel), torch.fft.rfft2(image[:, :3]))


@contextmanager
def using(threads: int) -> Iterator[None]:
    """`threads` of torch, and denormal numbers flushed; afterwards as before: the process belongs to the caller."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(False)
