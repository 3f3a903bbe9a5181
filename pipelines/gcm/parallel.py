"""A model on several devices: members of an ensemble first, which never talk, then the state itself.

The devices form a mesh [member, state]. Along `state` the coefficients are shared by m' and the grid points by latitude
pairs; each transform exchanges the one for the other once, and everything else (columns, vertical operators, solve) is
local. A plan made with `make_plan(..., mesh=mesh, axis=STATE)` has equal shares; equations, filters and initial states
built on it get their places from `share`. The same in several processes after `jax.distributed.initialize`, where each
process builds everything and keeps its own part.

Axes: [*modal], [*nodal] of the plan, e member, k level.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.errors import SettingsError

MEMBER, STATE = "member", "state"


def device_mesh(members: int = 1, devices: Sequence[Any] | None = None) -> Mesh:
    """Mesh [member, state] of all devices (of all processes), or of `devices`, for an ensemble of `members`.

    As many devices as divide both numbers share the members; the rest share the state. SettingsError without devices.
    """
    found = np.array(jax.devices() if devices is None else devices, dtype=object)
    if not len(found) or members < 1:
        raise SettingsError(f"{len(found)} devices for {members} members; at least one of each is needed")
    return Mesh(found.reshape(int(np.gcd(members, len(found))), -1), (MEMBER, STATE))


def sharding(plan: Plan, x: Any) -> NamedSharding:
    """Where an array belongs: by m' if it begins with [*modal], by latitude if with [*nodal], else whole everywhere.

    A member axis [*modal, e, k] or [*nodal, e, k] is shared, too, where the devices divide it.
    """
    mesh = plan.how.mesh
    for shape, spec in ((plan.modal_shape, plan.how.modal_spec), (plan.nodal_shape, plan.how.nodal_spec)):
        axes = len(shape)
        if x.shape[:axes] != shape:
            continue
        shared = x.ndim == axes + 2 and x.shape[axes] % mesh.shape[MEMBER] == 0
        members = (*[None] * (axes - len(spec)), MEMBER) if shared else ()
        return NamedSharding(mesh, PartitionSpec(*spec, *members))
    return NamedSharding(mesh, PartitionSpec())


def share(plan: Plan, tree: Any) -> Any:
    """`tree` (a core, a state) on the devices of the plan's mesh; SettingsError for a plan without one."""
    if plan.how.mesh is None:
        raise SettingsError("the plan knows one device only: make_plan(..., mesh=device_mesh(), axis=STATE)")

    def put(x):
        if not isinstance(x, jax.Array | np.ndarray):
            return x
        held = isinstance(x, jax.Array) and isinstance(x.sharding, NamedSharding) and x.sharding.mesh == plan.how.mesh
        # From the host, so that every process may hold the whole of it and give away its part.
        return x if held else jax.device_put(np.asarray(x), sharding(plan, x))

    return jax.tree.map(put, tree)


def whole(plan: Plan, tree: Any) -> Any:
    """`tree` as NumPy arrays, the same in every process; for output and checks, as each device holds all for a moment."""
    everywhere = NamedSharding(plan.how.mesh, PartitionSpec())
    return jax.tree.map(np.asarray, jax.jit(lambda x: x, out_shardings=everywhere)(tree))
