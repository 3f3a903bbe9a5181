"""The dynamical core inside a model step: several steps of its own, under a tendency of learned physics that is held.

State and tendency are cut to the truncation of the dynamics, whose grid carries quadratic products exactly; each inner
step adds the tendency to the explicit terms of every stage and is followed by the filters; the result is padded with
zeros. What lies beyond the smaller truncation is therefore lost in every call.

NOTE: the filters' strength is that of one physics step, and they act after every inner step, as in the released models:
with five inner steps they are five times as strong as their time scale says.

Source: Kochkov et al. (2024), Neural general circulation models. Axes: [*modal] modal axes, e member, k level (last).
"""

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from sciml.kernels.sphere import layout
from sciml.kernels.sphere.geometry import Geometry
from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.gcm.core import Core, make_core
from sciml.pipelines.gcm.dynamics.filters import Damping
from sciml.pipelines.gcm.dynamics.state import State


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Held:
    """A tendency that stays the same; None leaves add nothing."""

    tendency: Any

    def __call__(self, equation: Any, state: Any) -> Any:
        """The tendency."""
        return self.tendency


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Corrector:
    """Made by `corrector`. core: the dynamics with their step and filters; steps: how many of them a call makes; model:
    layout of the states given to it.
    """

    core: Core
    steps: int
    model: Geometry = field(metadata={"static": True})

    @property
    def plan(self) -> Plan:
        """The plan of the dynamics."""
        return self.core.plan

    def cut(self, tree: Any) -> Any:
        """Coefficients of the model's truncation as those of the dynamics; None stays."""
        return jax.tree.map(lambda x: layout.resample(self.model, self.plan, x), tree)

    def pad(self, tree: Any) -> Any:
        """Inverse of `cut`, with zeros for what it has lost."""
        return jax.tree.map(lambda x: layout.resample(self.plan, self.model, x), tree)

    def __call__(self, state: State, tendency: State | None) -> State:
        """`state` after `steps` steps of the dynamics under `tendency`, both of the model's truncation."""
        core = self.core if tendency is None else replace(self.core, forcing=Held(self.cut(tendency)))
        return self.pad(lax.fori_loop(0, self.steps, lambda _, x: core.step(x), self.cut(state)))


def next_time(sim_time: Array, dt: Array) -> Array:
    """float32 time after `dt`: a whole number of them, so that no round-off adds up over a long run."""
    dt = jnp.asarray(dt, jnp.float32)
    return dt * jnp.round((sim_time + dt) / dt)


def merged(filters: tuple[Any, ...]) -> tuple[Any, ...]:
    """`filters` with neighbouring dampings of all variables made one."""
    found: list[Any] = []
    for one in filters:
        before = found[-1] if found else None
        if isinstance(one, Damping) and isinstance(before, Damping) and not (one.spared or before.spared):
            found[-1] = Damping(before.factor * one.factor)
        else:
            found.append(one)
    return tuple(found)


def corrector(
    model: Plan, equation: Any, dt: float, steps: int, filters: tuple[Any, ...], scheme: str = "imex_rk_sil3"
) -> Corrector:
    """The nest of `steps` steps of `equation` in a physics step of length `dt` without dimension.

    model: the plan of the states that are given to it. SettingsError for an unknown scheme or a step that is not positive.
    """
    core = make_core(equation, dt / steps, scheme=scheme, filters=merged(filters))
    return Corrector(core, steps, model.geometry)
