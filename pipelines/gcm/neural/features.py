"""What networks read at the grid points: fields of the state and their gradients, fixed fields, sunlight, forcing.

For a field f with cos(lat)^n in its coefficients (n = 1 for wind from vorticity and divergence, else 0), sec = 1/cos(lat):

    f        sec^n f                       f_dlon   sec^(n + 1) df/dlon
    f_del2   sec^n laplacian(f)            f_dlat   sec^(n + 1) cos(lat) df/dlat

NOTE: the wind's gradients are those of cos(lat) (u, v), the model's own convention. Gradients and the wind itself are cut
at the largest total wavenumber, fields and their Laplacians are not.
Axes: [*modal], [*nodal] of the plan, e member, k level (last); rows [n, k] hold one grid point and member each.
Source: Kochkov et al. (2024), Neural general circulation models for weather and climate, supplement C.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from sciml.kernels.sphere import layout, operators, transform
from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.gcm.dynamics.batches import synthesise
from sciml.pipelines.gcm.dynamics.state import State
from sciml.pipelines.gcm.neural.normalization import Fields

MEMORY = "memory_"
DERIVATIVES = ("del2", "dlat", "dlon")
POSITIONAL = "learned_positional_features"
BLOCK_ROWS = 256  # rows of 2365 columns and the tower's 384 channels stay in a core's cache


@dataclass(frozen=True)
class Modal:
    """Coefficients [*modal, e, k] of a field times cos(lat)^power."""

    x: Array
    power: int = 0


@dataclass(frozen=True, order=True)
class Spectral:
    """A feature made from coefficients: a field of the state, or of the one before it, or a derivative of it."""

    base: str
    derivative: str = ""
    memory: bool = False

    @property
    def name(self) -> str:
        """The feature's name, such as "memory_u" or "vorticity_dlat"."""
        return (MEMORY if self.memory else "") + self.base + (f"_{self.derivative}" if self.derivative else "")


def state_fields(plan: Plan, state: State) -> dict[str, Modal]:
    """The coefficients of `state` by name, with those of cos(lat) (u, v)."""
    u, v = (operators.clip(plan, x) for x in operators.cos_lat_wind(plan, state.vorticity, state.divergence))
    names = ("vorticity", "divergence", "temperature_variation", "log_surface_pressure")
    plain = {name: getattr(state, name) for name in names} | state.tracers
    return {"u": Modal(u, 1), "v": Modal(v, 1)} | {name: Modal(x) for name, x in plain.items()}


def derivative(plan: Plan, field: Modal, kind: str) -> Modal:
    """The field itself ("") or its derivative "del2", "dlat" or "dlon"."""
    if not kind:
        return field
    if kind == "del2":
        return Modal(operators.laplacian(plan, field.x), field.power)
    along = operators.d_dlon if kind == "dlon" else operators.cos_lat_d_dlat
    return Modal(operators.clip(plan, along(plan, field.x)), field.power + 1)


def _synthesise(plan: Plan, fields: Mapping[str, Modal]) -> Fields:
    """The values of all fields, field by field (see batches.py); those of one level share a transform."""
    narrow = [name for name, field in fields.items() if field.x.shape[-1] == 1]
    wide = [name for name in fields if name not in narrow]
    groups = [fields[name].x for name in wide]
    if narrow:
        groups.append(jnp.concatenate([fields[name].x for name in narrow], axis=-1))
    values = synthesise(plan, groups)
    found = dict(zip(wide, values, strict=False))
    found |= {name: values[-1][..., i : i + 1] for i, name in enumerate(narrow)}
    sec2 = plan.rows(plan.sec2_lat, len(plan.nodal_shape) + 2)
    sec = {1: sec2 * plan.rows(plan.cos_lat, sec2.ndim), 2: sec2}
    return {name: x if (power := fields[name].power) == 0 else x * sec[power] for name, x in found.items()}


def spectral_features(
    plan: Plan, wanted: Sequence[Spectral], fields: Mapping[str, Modal], memory: Mapping[str, Modal] | None = None
) -> Fields:
    """Values [*nodal, e, k] of the `wanted` features of `fields` and of the previous state's, by name."""
    sources = {False: fields, True: memory}
    modal = {one.name: derivative(plan, sources[one.memory][one.base], one.derivative) for one in wanted}
    return _synthesise(plan, modal) if modal else {}


def fixed_fields(plan: Plan, surface: Mapping[str, Array], gradients: Sequence[str] = ()) -> Fields:
    """Latitude, the `surface` fields [*nodal, 1, 1] and the derivatives of those named in `gradients`."""
    shape = (*plan.nodal_shape, 1, 1)
    latitude = {"cos_latitude": plan.cos_lat, "sin_latitude": plan.sin_lat}
    fields = {name: jnp.broadcast_to(plan.rows(x, len(shape)), shape) for name, x in latitude.items()}
    fields |= {name: jnp.asarray(x, plan.dtype) for name, x in surface.items()}
    modal = {name: Modal(transform.analysis(plan, fields[name])) for name in gradients}
    wanted = [Spectral(name, kind) for name in gradients for kind in DERIVATIVES]
    return fields | spectral_features(plan, wanted, modal)


def positional(plan: Plan, values: Array, scale: float = 1.0) -> Array:
    """Learned values [channel, longitude, latitude] at the grid points, [*nodal, 1, channel]."""
    return scale * layout.from_standard(plan, jnp.moveaxis(values, 0, -1))[..., None, :]


def to_rows(plan: Plan, fields: Any) -> Any:
    """A tree of fields [*nodal, e or 1, k] as rows [n, k], repeated for each member where they are the same for all."""
    axes = len(plan.nodal_shape)
    members = max([x.shape[axes] for x in jax.tree.leaves(fields)], default=1)

    def rows(x: Array) -> Array:
        return jnp.broadcast_to(x, (*x.shape[:axes], members, x.shape[-1])).reshape(-1, x.shape[-1])

    return jax.tree.map(rows, fields)


def from_rows(plan: Plan, fields: Fields) -> Fields:
    """Rows [n, k] as fields [*nodal, e, k]."""
    return {name: x.reshape(*plan.nodal_shape, -1, x.shape[-1]) for name, x in fields.items()}


def map_rows(plan: Plan, function: Callable[[Any], Fields], rows: Any) -> Fields:
    """`function` of a tree of rows; on a CPU block by block, so that what it makes in between stays in the caches."""
    n = jax.tree.leaves(rows)[0].shape[0]
    size = max(d for d in range(1, BLOCK_ROWS + 1) if n % d == 0)
    if not plan.how.dot_butterfly or size == n or size < BLOCK_ROWS // 8:
        return function(rows)
    blocks = jax.tree.map(lambda x: x.reshape(n // size, size, x.shape[-1]), rows)
    return jax.tree.map(lambda x: x.reshape(n, x.shape[-1]), lax.map(function, blocks))
