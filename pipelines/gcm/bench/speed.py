"""Time of a model step, and of the gradient of ten, beside dinosaur in the same process, with the agreement of the states.

Same case, equations, levels, scheme, step, filter and precision (peer.py). Contestants take turns; CPU time of the
process on one pinned core and wall time on all cores are separate rounds. The first call, compilation included, and the
peak of memory are measured in a new process for each, so that nobody profits from another's warm caches.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from sciml.kernels.sphere.bench import machine, one_core, peak_gflops
from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.gcm.bench import peer
from sciml.pipelines.gcm.core import Core, make_core
from sciml.pipelines.gcm.dynamics.filters import exponential
from sciml.pipelines.gcm.dynamics.primitive_equations import primitive_equations
from sciml.pipelines.gcm.dynamics.state import CLOUD_ICE, CLOUD_LIQUID, SPECIFIC_HUMIDITY, State
from sciml.pipelines.gcm.dynamics.vertical import equidistant
from sciml.pipelines.gcm.scales import ATMOSPHERIC
from sciml.pipelines.gcm.setups.baroclinic import baroclinic_wave
from sciml.pipelines.gcm.setups.case import Where
from sciml.pipelines.gcm.setups.initial import atmosphere, orography
from sciml.pipelines.progress import Progress

# name: (truncation, levels, tracers, step [min])
CASES = {
    "dry": ("T42", 24, False, 10.0),
    "moist": ("TL63", 32, True, 12.0),
}
STEPS = 10  # in one compiled loop, and in the gradient

__all__ = ["CASES", "machine", "measure"]


def _setting(truncation: str, levels: int, moist: bool, minutes: float) -> tuple[Core, State]:
    """The baroclinic wave, with humidity and two kinds of cloud water where `moist`."""
    plan, layers = make_plan(truncation), equidistant(levels)
    case = baroclinic_wave(Where.of(plan, layers))
    tracers = {}
    if moist:
        wet = 0.01 * np.exp(-(((1 - layers.centers) / 0.3) ** 2)) * np.cos(np.radians(plan.latitude))[:, None] ** 2
        wet = np.broadcast_to(wet, case.u.shape)
        tracers = {SPECIFIC_HUMIDITY: wet, CLOUD_ICE: 0.01 * wet, CLOUD_LIQUID: 0.02 * wet}
    case = type(case)(**{**vars(case), "tracers": tracers})
    height = orography(plan, case.surface_geopotential)
    equation = primitive_equations(plan, layers, 288.0 + 0 * layers.centers, height, moist=moist)
    case = type(case)(**{**vars(case), "reference_temperature": np.full(levels, 288.0)})
    dt = ATMOSPHERIC.nondim(minutes, "min")
    return make_core(equation, dt, filters=(exponential(plan, dt),)), atmosphere(plan, case)


class _Ours:
    """Our step and gradient; the core's tables are arguments of the compiled functions."""

    def __init__(self, core: Core, state: State):
        self.core, self.state = core, state

    def steps(self) -> Any:
        return self.core.advance(jax.tree.map(jnp.array, self.state), STEPS)

    def gradient(self) -> Any:
        return _our_gradient(self.core, self.state)

    def result(self) -> State:
        return self.steps()


@jax.jit
def _our_gradient(core: Core, state: State) -> State:
    def energy(state: State) -> jax.Array:
        step = jax.checkpoint(lambda s, _: (core.step(s), None))
        return (lax.scan(step, state, None, length=STEPS)[0].vorticity ** 2).sum()

    return jax.grad(energy)(state)


class _Dinosaur:
    """The same of dinosaur, compiled the same way."""

    def __init__(self, core: Core, state: State, transform: str):
        self.peer = peer.dinosaur(core, tuple(state.tracers), transform)
        self.state = self.peer.encode(state)
        step = self.peer.step
        self._steps = jax.jit(lambda s: lax.fori_loop(0, STEPS, lambda _, s: step(s), s), donate_argnums=0)

        def energy(state: Any) -> jax.Array:
            body = jax.checkpoint(lambda s, _: (step(s), None))
            return (lax.scan(body, state, None, length=STEPS)[0].vorticity ** 2).sum()

        self._gradient = jax.jit(jax.grad(energy))

    def steps(self) -> Any:
        return self._steps(jax.tree.map(jnp.array, self.state))

    def gradient(self) -> Any:
        return self._gradient(self.state)

    def result(self) -> State:
        return self.peer.decode(self.steps())


def _contestant(core: Core, state: State, who: str) -> Any:
    return _Ours(core, state) if who == "ours" else _Dinosaur(core, state, who.removeprefix("dinosaur "))


def _call(one: Any, what: str) -> Callable[[], Any]:
    return one.steps if what == "step" else one.gradient


def _in_new_process(name: str, who: str, what: str) -> dict[str, float | None]:
    """first_call_s and peak_memory_GB of a case called `name`."""
    code = f"from {__name__} import first_call; first_call({CASES[name]!r}, {who!r}, {what!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{who}, {what} in a process of its own failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def first_call(case: tuple[str, int, bool, float], who: str, what: str) -> None:
    """Print what `_in_new_process` returns."""
    call = _call(_contestant(*_setting(*case), who), what)
    seconds = _timed(call, time.process_time)
    try:
        status = Path("/proc/self/status").read_text()
        peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024**2
    except (OSError, IndexError):  # not Linux
        peak = None
    print(json.dumps({"first_call_s": seconds, "peak_memory_GB": peak}))


def _timed(call: Callable[[], Any], clock: Callable[[], float]) -> float:
    begin = clock()
    jax.block_until_ready(call())
    return clock() - begin


def measure(
    cases: tuple[str, ...] = tuple(CASES), repeats: int = 7, peers: bool = True, progress: Progress | None = None
) -> Iterator[dict[str, Any]]:
    """Rows: case, what (step or gradient), implementation, clock, ms per step, p20, p80, ratio_to_ours, first_call_s,
    peak_memory_GB, difference.

    first_call_s is CPU time with compilation, peak_memory_GB that of a process that does nothing else (None where the
    system does not tell). difference: largest relative difference from ours of a field at the grid points after ten steps. A clock is "cpu" (process
    time on one pinned core) or "wall". Without dinosaur installed the table holds our rows alone.
    """
    progress = progress or Progress()
    if peers and not peer.installed():
        progress.note("dinosaur is not installed here: pip install 'sciml[oracles]' adds it to the table")
        peers = False
    for name in cases:
        yield from _case(name, repeats, peers, progress)


def _case(name: str, repeats: int, peers: bool, progress: Progress) -> Iterator[dict[str, Any]]:
    core, state = _setting(*CASES[name])
    names = ("ours", *(f"dinosaur {kind}" for kind in peer.CLASSES if peers))
    members = {who: _contestant(core, state, who) for who in names}
    own = members["ours"].result()
    differences = {who: max(peer.difference(core, one.result(), own).values()) for who, one in members.items()}
    for what in ("step", "gradient"):
        alone = {who: _in_new_process(name, who, what) for who in members}
        for one in members.values():
            jax.block_until_ready(_call(one, what)())
        for clock, read in (("cpu", time.process_time), ("wall", time.perf_counter)):
            with one_core(clock == "cpu"), progress.task(f"{name} {what}, {clock}", repeats, "rounds") as task:
                times = _rounds(members, what, read, repeats, task)
                peak = peak_gflops() if clock == "cpu" else None
            ours = float(np.median(times["ours"]))
            for who, values in times.items():
                ms = float(np.median(values))
                yield {
                    "case": f"{name} {CASES[name][0]}L{CASES[name][1]}", "what": what, "implementation": who, "clock": clock,
                    "ms_per_step": ms, "p20": float(np.percentile(values, 20)), "p80": float(np.percentile(values, 80)),
                    "ratio_to_ours": ms / ours, **alone[who], "difference": differences[who], "peak_gflops": peak,
                }  # fmt: skip


def _rounds(
    members: dict[str, Any], what: str, clock: Callable[[], float], repeats: int, task: Any
) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {who: [] for who in members}
    for _ in range(repeats):
        for who, one in members.items():
            times[who].append(_timed(_call(one, what), clock) / STEPS * 1e3)
        task.advance()
    return times
