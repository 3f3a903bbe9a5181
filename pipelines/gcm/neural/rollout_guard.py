"""Which members of an ensemble are still an atmosphere; a lost one becomes NaN and the others go on.

Members never talk: a transform, a tower or a solve mixes grid points, layers and wavenumbers of one member, so a member
of NaN leaves the numbers of the others as they are. Axes: [*modal] of the plan, e member, k layer.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sciml.kernels.sphere import operators, transform
from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.gcm import watch
from sciml.pipelines.gcm.dynamics.state import State
from sciml.pipelines.gcm.scales import ATMOSPHERIC


@jax.jit
def _extremes(plan: Plan, state: State) -> tuple[Array, Array]:
    """(largest wind [e] without dimension, whether every number is finite [e])."""
    wind = operators.cos_lat_wind(plan, state.vorticity, state.divergence)
    u, v = (transform.synthesis(plan, x) for x in wind)
    square = (u**2 + v**2) * plan.rows(plan.sec2_lat, u.ndim)
    each = [jnp.isfinite(x).all(axis=(*range(x.ndim - 2), x.ndim - 1)) for x in jax.tree.leaves(state)]
    return jnp.sqrt(square.max(axis=(*range(square.ndim - 2), square.ndim - 1))), jnp.stack(each).all(0)


def sound_members(plan: Plan, state: State, most_wind: float) -> np.ndarray:
    """Whether each member [e] is finite with winds of at most `most_wind` m s-1."""
    wind, finite = (np.asarray(x) for x in _extremes(plan, state))
    with np.errstate(invalid="ignore"):
        return finite & (ATMOSPHERIC.dim(wind.astype(np.float64), "m s-1") <= most_wind)


def what_happened(plan: Plan, state: State, member: int, sigma: np.ndarray, most_wind: float) -> str:
    """Where a member has left what an atmosphere can be, in words."""
    return watch.lost(plan, jax.tree.map(lambda x: x[..., member, :], state), sigma, most_wind)


@jax.jit
def without(state: State, lost: Array) -> State:
    """`state` with the members of which `lost` [e] is true set to NaN."""
    return jax.tree.map(lambda x: jnp.where(lost[:, None], jnp.nan, x), state)


def members(state: State, which: np.ndarray) -> State:
    """The members of which `which` [e] is true, or all of them if all are."""
    chosen = np.flatnonzero(which)
    return state if len(chosen) == len(which) else jax.tree.map(lambda x: x[..., chosen, :], state)


def numbered(lost: Any) -> str:
    """ "member 3" or "members 3, 5"."""
    found = [str(int(n)) for n in lost]
    return f"member{'s' if len(found) > 1 else ''} {', '.join(found)}"
