"""Time of an inverse and a forward transform beside the peers, in one process, with the error of each.

A pair runs inside a scan of eight with its buffers reused, as in a model; contestants take turns, so that a busy machine
is busy for all. Two clocks: CPU time of the process on one pinned core, and wall time on all cores. Nothing is compared
across processes. Columns are independent fields; errors are relative to the float64 reference.
"""

import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sciml.kernels.sphere import reference
from sciml.kernels.sphere.contestants import PAIRS, coefficients, contestants, dense_gflop
from sciml.kernels.sphere.grids import Truncation, latitudes, truncation


@contextmanager
def one_core(pinned: bool) -> Iterator[None]:
    """The process on one core, where the system can do that."""
    if not pinned or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    tasks = [int(task) for task in os.listdir("/proc/self/task")]
    try:
        for task in tasks:
            os.sched_setaffinity(task, {min(before)})
        yield
    finally:
        for task in tasks:
            os.sched_setaffinity(task, before)


def peak_gflops(repeats: int = 5, size: int = 1024) -> float:
    """This machine's matrix-multiply rate on the cores at hand [GF/s of CPU time]."""
    a = jnp.asarray(np.random.default_rng(0).normal(size=(size, size)), jnp.float32)
    product = jax.jit(lambda a: jnp.matmul(a, a, precision=jax.lax.Precision.HIGHEST))
    product(a).block_until_ready()
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        product(a).block_until_ready()
        times.append(time.process_time() - begin)
    return 2 * size**3 / float(np.median(times)) / 1e9


def _rounds(
    members: dict[str, Any], clock: Callable[[], float], repeats: int
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Milliseconds per pair of every contestant, in turn, once per round; and seconds of each first call."""
    times: dict[str, list[float]] = {name: [] for name in members}
    first = {}
    for repeat in range(repeats + 1):
        for name, one in members.items():
            x = one.x.copy()
            jax.block_until_ready(x)
            begin = clock()
            jax.block_until_ready(one.run(x, *one.arguments))
            if repeat:
                times[name].append((clock() - begin) / PAIRS * 1e3)
            else:  # compiles
                first[name] = clock() - begin
    return times, first


def measure(
    cases: Iterable[str] = ("T42", "TL63", "TL127", "TL255"),
    columns: Iterable[int] = (32, 192),
    repeats: int = 15,
    peers: bool = True,
) -> Iterator[dict[str, Any]]:
    """Rows as in the module's table, one case after the other.

    dense_gflops: operations of a dense, unfolded pair by the time, one yardstick for all; share_of_peak: operations really
    done, by the time, to the machine's matrix-multiply rate, of those that consist of products.
    clock "cpu": process time on one pinned core; "wall": elapsed time on all. ratio_to_ours above 1: ours is faster.
    """
    for name in cases:
        t = truncation(name)
        for n in columns:
            yield from _case(t, n, repeats, peers)


def _case(t: Truncation, columns: int, repeats: int, peers: bool) -> Iterator[dict[str, Any]]:
    members = {name: make() for name, make in contestants(t, columns, peers).items()}
    exact = reference.synthesis(coefficients(t, columns)[..., :2], t.nlon, latitudes("gauss", t.nlat)[0])
    errors = {
        name: float(np.linalg.norm(one.values()[..., :2] - exact) / np.linalg.norm(exact))
        for name, one in members.items()
    }
    compiling: dict[str, float] = {}
    for clock, read in (("cpu", time.process_time), ("wall", time.perf_counter)):
        with one_core(clock == "cpu"):
            times, first = _rounds(members, read, repeats)
            compiling = compiling or first  # the second clock finds everything compiled
            peak = peak_gflops() if clock == "cpu" else None
        own = float(np.median(times["ours"]))
        for name, values in times.items():
            ms = float(np.median(values))
            done = members[name].gflop
            yield {
                "case": t.name, "columns": columns, "implementation": name, "clock": clock, "ms": ms,
                "p20": float(np.percentile(values, 20)), "p80": float(np.percentile(values, 80)), "ratio_to_ours": ms / own,
                "dense_gflops": dense_gflop(t, columns) / ms * 1e3, "first_call_s": compiling[name], "error": errors[name],
                "share_of_peak": done / ms * 1e3 / peak if done and peak else None,
            }  # fmt: skip


def _processor() -> str:
    names = [line for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:  # not Linux
        return []


def machine() -> dict[str, Any]:
    """What the rows were measured on."""
    device = jax.devices()[0]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "device": device.device_kind, "processor": _processor(), "cores": os.cpu_count(),
        "jax": jax.__version__, "numpy": np.__version__, "load": load,
    }  # fmt: skip
