"""Time of an inverse and a forward transform beside the peers, in one process, with the error of each.

A pair runs inside a scan of eight with its buffers reused, as in a model; contestants take turns, so that a busy machine
is busy for all. Two clocks: CPU time of the process on one pinned core, and wall time on all cores. Nothing is compared
across processes. Columns are independent fields; errors are relative to the float64 reference.
"""

import csv
import importlib.util
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sciml.kernels.sphere import layout, reference, transform
from sciml.kernels.sphere.grids import Truncation, latitudes, truncation
from sciml.kernels.sphere.plan import make_plan

PAIRS = 8  # in one compiled scan


def _coefficients(t: Truncation, columns: int) -> np.ndarray:
    inside = np.arange(t.total) >= np.arange(t.zonal)[:, None]
    x = np.random.default_rng(0).normal(size=(2, t.zonal, t.total, columns)) * inside[None, ..., None]
    x[1, 0] = 0.0
    return x


def _scanned(pair: Callable[..., Any]) -> Callable[..., Any]:
    """`PAIRS` pairs one after the other; the first argument is taken over."""

    @partial(jax.jit, donate_argnums=0)
    def run(x, *rest):
        return jax.lax.scan(lambda x, _: (pair(x, *rest), None), x, None, length=PAIRS)[0]

    return run


class _Ours:
    def __init__(self, t: Truncation, x: np.ndarray, precision: str = "float32"):
        self.plan = make_plan(t, precision=precision)
        self.x = jnp.asarray(layout.join(self.plan, x), self.plan.dtype)
        self.run = _scanned(lambda x, plan: transform.analysis(plan, transform.synthesis(plan, x)))
        self.arguments = (self.plan,)

    def values(self) -> np.ndarray:
        return np.asarray(layout.to_standard(self.plan, transform.synthesis(self.plan, self.x)))


class _Dinosaur:
    """One of dinosaur's classes, called on all columns at once."""

    def __init__(self, t: Truncation, x: np.ndarray, name: str):
        from dinosaur import spherical_harmonic as peer

        kind = "real" if name == "RealSphericalHarmonics" else "zero_imag"
        self.grid = peer.Grid.construct(
            max_wavenumber=t.zonal - 1, gaussian_nodes=t.nlat // 2, spherical_harmonics_impl=getattr(peer, name)
        )
        plan = make_plan(t, fold="whole-none")
        self.x = jnp.asarray(np.moveaxis(layout.modal_to_rows(plan, layout.join(plan, x), kind), -1, 0), jnp.float32)
        self.run, self.arguments = _scanned(lambda x: self.grid.to_modal(self.grid.to_nodal(x))), ()

    def values(self) -> np.ndarray:
        return np.moveaxis(np.asarray(self.grid.to_nodal(self.x)), 0, -1)


def contestants(t: Truncation, columns: int, peers: bool = True) -> dict[str, Callable[[], Any]]:
    """Name to maker of what is measured."""
    x = _coefficients(t, columns)
    makers: dict[str, Callable[[], Any]] = {"ours": lambda: _Ours(t, x)}
    if peers and importlib.util.find_spec("dinosaur") is not None:
        makers["dinosaur real"] = lambda: _Dinosaur(t, x, "RealSphericalHarmonics")
        makers["dinosaur fast"] = lambda: _Dinosaur(t, x, "FastSphericalHarmonics")
    return makers


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


def dense_gflop(t: Truncation, columns: int) -> float:
    """Operations of a dense, unfolded pair [GF]: the same yardstick for all contestants."""
    legendre = 2 * 2 * t.zonal * t.nlat * t.total
    fourier = 2 * t.nlon * 2 * t.zonal * t.nlat
    return 2 * (legendre + fourier) * columns / 1e9


def _rounds(members: dict[str, Any], clock: Callable[[], float], repeats: int) -> dict[str, list[float]]:
    """Milliseconds per pair of every contestant, in turn, once per round."""
    times: dict[str, list[float]] = {name: [] for name in members}
    for repeat in range(repeats + 1):
        for name, one in members.items():
            x = jnp.array(one.x)
            jax.block_until_ready(x)
            begin = clock()
            jax.block_until_ready(one.run(x, *one.arguments))
            if repeat:  # the first round compiles and warms caches
                times[name].append((clock() - begin) / PAIRS * 1e3)
    return times


def measure(
    cases: Iterable[str] = ("T42", "TL63", "TL127", "TL255"),
    columns: Iterable[int] = (32, 192),
    repeats: int = 15,
    peers: bool = True,
) -> Iterator[dict[str, Any]]:
    """Rows as in the module's table, one case after the other.

    clock "cpu": process time on one pinned core; "wall": elapsed time on all. ratio_to_ours above 1: ours is faster.
    """
    for name in cases:
        t = truncation(name)
        for n in columns:
            yield from _case(t, n, repeats, peers)


def _case(t: Truncation, columns: int, repeats: int, peers: bool) -> Iterator[dict[str, Any]]:
    members = {name: make() for name, make in contestants(t, columns, peers).items()}
    exact = reference.synthesis(_coefficients(t, columns)[..., :2], t.nlon, latitudes("gauss", t.nlat)[0])
    errors = {
        name: float(np.linalg.norm(one.values()[..., :2] - exact) / np.linalg.norm(exact))
        for name, one in members.items()
    }
    for clock, read in (("cpu", time.process_time), ("wall", time.perf_counter)):
        with one_core(clock == "cpu"):
            times = _rounds(members, read, repeats)
            peak = peak_gflops() if clock == "cpu" else None
        own = float(np.median(times["ours"]))
        for name, values in times.items():
            ms = float(np.median(values))
            rate = dense_gflop(t, columns) / ms * 1e3
            yield {
                "case": t.name, "columns": columns, "implementation": name, "clock": clock, "ms": ms,
                "p20": float(np.percentile(values, 20)), "p80": float(np.percentile(values, 80)), "ratio_to_ours": ms / own,
                "gflops": rate, "share_of_peak": rate / peak if peak else None, "error": errors[name],
            }  # fmt: skip


def machine() -> dict[str, Any]:
    """What the rows were measured on."""
    device = jax.devices()[0]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "device": device.device_kind, "processor": platform.processor() or platform.machine(), "cores": os.cpu_count(),
        "jax": jax.__version__, "numpy": np.__version__, "load": load,
    }  # fmt: skip


def write_csv(path: str | Path, rows: list[dict[str, Any]], command: str) -> None:
    """Rows with a header of comment lines: the command, and what they were measured on."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        file.write(f"# {command}\n")
        file.write("".join(f"# {name}: {value}\n" for name, value in machine().items()))
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
