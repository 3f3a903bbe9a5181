"""Time of a model step, and of the gradient of ten, beside dinosaur in the same process, with the agreement of the states.

Same case, equations, levels, scheme, step, filter and precision (peer.py). Contestants take turns; CPU time of the
process on one pinned core and wall time on all cores are separate rounds. The first call of each, compilation included,
is timed in the order of the table, so that nobody profits from another's warm caches twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from sciml.kernels.sphere.bench import machine, one_core, peak_gflops
from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.gcm import peer
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


def _timed(call: Callable[[], Any], clock: Callable[[], float]) -> float:
    begin = clock()
    jax.block_until_ready(call())
    return clock() - begin


def measure(
    cases: tuple[str, ...] = tuple(CASES), repeats: int = 7, peers: bool = True, progress: Progress | None = None
) -> Iterator[dict[str, Any]]:
    """Rows: case, what (step or gradient), implementation, clock, ms per step, p20, p80, ratio_to_ours, first_call_s, difference.

    difference: largest relative difference of the prognostic variables from ours after ten steps. A clock is "cpu" (process
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
    members: dict[str, Any] = {"ours": _Ours(core, state)}
    if peers:
        members |= {f"dinosaur {kind}": _Dinosaur(core, state, kind) for kind in peer.CLASSES}
    own = members["ours"].result()
    differences = {who: _difference(one.result(), own) for who, one in members.items()}
    for what in ("step", "gradient"):
        first = {
            who: _timed(getattr(one, what + "s" * (what == "step")), time.process_time) for who, one in members.items()
        }
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
                    "ratio_to_ours": ms / ours, "first_call_s": first[who], "difference": differences[who], "peak_gflops": peak,
                }  # fmt: skip


def _rounds(
    members: dict[str, Any], what: str, clock: Callable[[], float], repeats: int, task: Any
) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {who: [] for who in members}
    call = {"step": "steps", "gradient": "gradient"}[what]
    for _ in range(repeats):
        for who, one in members.items():
            times[who].append(_timed(partial(getattr(one, call)), clock) / STEPS * 1e3)
        task.advance()
    return times


def _difference(a: State, b: State) -> float:
    """Largest relative difference of two states in the norm of each variable."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    norms = [
        (np.linalg.norm(np.asarray(x, np.float64) - np.asarray(y, np.float64)), np.linalg.norm(y)) for x, y in pairs
    ]
    return max(float(gap / size) for gap, size in norms if size > 0)
