"""Members of an ensemble each by itself, several at a time: how a CPU encodes, steps and decodes them.

A batch of eight costs a CPU core 1.25 times what eight members alone do at TL63, as its fields leave the cache, and cores
that share one operation wait for each other: two of them do the work of 1.65. Members that run side by side, a core each,
do neither; the programs are those of a single member, so that they compile as fast and need memory for as many members as
there are cores, and a member has the same bits in an ensemble of any size. An accelerator is filled by a batch, and keeps
it.

Axes: [*modal], [*nodal] of the plan, e member, k layer.
"""

import os
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from sciml.pipelines.gcm.dynamics.filters import fix_global_mean
from sciml.pipelines.gcm.neural.randomness import member_keys

_compiled: set[Hashable] = set()  # programs that were called before

# Members are the first axis of key data [e, 2] and the last but one of fields; scalars are the same for all of them.


def count(state: Any) -> int:
    """Members of a ModelState."""
    return state.state.vorticity.shape[-2]


def apart(model: Any, members: int) -> bool:
    """Whether so many members go each by itself."""
    return members > 1 and all(device.platform == "cpu" for device in model.plan.tables.legendre.devices())


@jax.jit
def member(state: Any, e: Any) -> Any:
    """The ModelState of member `e` alone, in arrays of its own."""
    return jax.tree.map(lambda x: jnp.copy(x) if x.ndim == 0 else lax.dynamic_slice_in_dim(x, e, 1, x.ndim - 2), state)


@jax.jit
def together(states: Sequence[Any]) -> Any:
    """One ModelState of several."""
    return jax.tree.map(lambda *xs: xs[0] if xs[0].ndim == 0 else jnp.concatenate(xs, xs[0].ndim - 2), *states)


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each(work: Callable[[int], Any], members: int, program: Hashable) -> list[Any]:
    """[work(0), work(1), ...], as many at a time as there are cores.

    program: what `work` runs; where it is new, the first member goes ahead, so that it is compiled once.
    """

    def done(e: int) -> Any:
        return jax.block_until_ready(work(e))

    ahead = [] if program in _compiled else [done(0)]
    _compiled.add(program)
    with ThreadPoolExecutor(min(members, cores())) as pool:
        return ahead + list(pool.map(done, range(len(ahead), members)))


# --- a start, a step, and what is seen of a state

@partial(jax.jit, static_argnames="members")
def _encode(model: Any, inputs: Any, forcing: Any, key: Any, members: int, sim_time: Any) -> Any:
    return model.encode(inputs, forcing, key, members, sim_time)


def encode(model: Any, inputs: Any, forcing: Any, key: Any, members: int, sim_time: Any) -> Any:
    """The ModelState of an analysis, the same for all members, as NeuralModel.encode gives it."""
    if not apart(model, members):
        return _encode(model, inputs, forcing, key, members, sim_time)
    keys = member_keys(key, members)
    program = ("encode", model.config)
    return together(each(lambda e: _encode(model, inputs, forcing, keys[e], 1, sim_time), members, program))


@partial(jax.jit, donate_argnames="state", static_argnames="keeps_mass")
def step(model: Any, state: Any, forcing: Any, keeps_mass: bool) -> Any:
    """`state`, used up, a step later; keeps_mass: with the global mean of log surface pressure it had."""
    following = model.advance(state, forcing)
    if not keeps_mass:
        return following
    keep = fix_global_mean(model.plan, "log_surface_pressure")
    return replace(following, state=keep(state.state, following.state))


def prepare(model: Any, state: Any, forcing: Any, keeps_mass: bool = False) -> Any:
    """Compile what `advance` needs; `state` is left as it is."""
    spare = member(state, 0) if apart(model, count(state)) else jax.tree.map(jnp.copy, state)
    following = step(model, spare, forcing, keeps_mass)
    _compiled.add(("step", model.config, keeps_mass))
    return following


def advance(model: Any, state: Any, forcing: Any, keeps_mass: bool = False) -> Any:
    """`state`, used up, after a step of `model` under `forcing`."""
    if not apart(model, count(state)):
        return step(model, state, forcing, keeps_mass)
    program = ("step", model.config, keeps_mass)
    return together(each(lambda e: step(model, member(state, e), forcing, keeps_mass), count(state), program))


def seen(see: Callable[[Any], Any], model: Any, state: Any, program: Hashable) -> list[Any]:
    """What `see` makes of `state`: of all members at once, or of one after the other in a list."""
    if not apart(model, count(state)):
        return [see(state)]
    return each(lambda e: see(member(state, e)), count(state), (program, model.config))
