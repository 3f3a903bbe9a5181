"""Is the integration still one of an atmosphere? Checks of the modal state between frames, and the search for the place.

Axes: [*modal] and [*nodal] as in the plan, e optional member, k level (last).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sciml.kernels.sphere import operators, transform
from sciml.kernels.sphere.plan import Plan

from .scales import ATMOSPHERIC

MOST_WIND = 350.0  # [m s-1]: no wind on Earth comes near, so the integration is lost


@jax.jit
def all_finite(tree: Any) -> Array:
    """Whether every number of a state is finite."""
    return jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]))


@jax.jit
def level_extremes(plan: Plan, state: Any) -> tuple[Array, dict[str, Array]]:
    """(largest wind per level [k], whether each prognostic variable is finite on each level {name: [k]})."""
    u, v = operators.cos_lat_wind(plan, state.vorticity, state.divergence)
    k = u.shape[-1]
    both = transform.synthesis(plan, jnp.concatenate([u, v], axis=-1))
    square = (both[..., :k] ** 2 + both[..., k:] ** 2) * plan.rows(plan.sec2_lat, both.ndim)
    finite = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        name = path[-1].name if hasattr(path[-1], "name") else str(path[-1].key)
        finite[name] = jnp.isfinite(leaf).all(axis=tuple(range(leaf.ndim - 1)))
    return jnp.sqrt(square.max(axis=tuple(range(square.ndim - 1)))), finite


def lost(plan: Plan, state: Any, sigma: np.ndarray | None, most_wind: float) -> str:
    """Where the state has left what an atmosphere can be, in words; "" if it has not. most_wind [m s-1]."""
    speed, finite = level_extremes(plan, state)
    wind = ATMOSPHERIC.dim(np.asarray(speed, np.float64), "m s-1")
    within = np.isfinite(wind)
    if within.any() and wind[within].max() > most_wind:
        level = int(np.where(within, wind, -1.0).argmax())
        return f"wind of {wind[level]:.0f} m s-1{_at(level, sigma)}"
    for name, levels in finite.items():
        bad = np.flatnonzero(~np.asarray(levels))
        if len(bad):
            single = len(np.asarray(levels)) == 1
            return f"{name.replace('_', ' ')} is not finite{'' if single and sigma is not None else _at(int(bad[0]), sigma)}"
    if not within.all():
        return f"wind is not finite{_at(int(np.flatnonzero(~within)[0]), sigma)}"
    return ""


def _at(level: int, sigma: np.ndarray | None) -> str:
    return "" if sigma is None else f" at level {level + 1} of {len(sigma)} (sigma {sigma[level]:.3g})"
