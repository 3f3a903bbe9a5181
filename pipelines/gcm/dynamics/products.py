"""Products of the explicit tendencies at the grid points, between one synthesis and one analysis.

In: columns of vorticity, divergence, (U, V) = cos(lat) (u, v), temperature variation T', tracers and
(a, b) = cos(lat) grad(lnps). Out, with s = sec^2(lat), g = A + div and A = (u, v).grad(lnps):

    momentum   s (V (zeta + f) + adv U - R T* a + F_u), s (-U (zeta + f) + adv V - R T* b + F_v)
    energy     s (U^2 + V^2) / 2 + G @ ((R_v/R - 1) q T)
    sources    T' div + adv T' + omega/p terms;  q div + adv q
    fluxes     s U x, s V x  of T' and the tracers x
    pressure   -A . dsigma

T* = T' (1 + (R_v/R - 1) q - q_cloud) + T_ref (R_v/R - 1) q, adv x = -sigma-dot dx/dsigma. The tendencies are then
d zeta/dt = curl(momentum), d div/dt = div(momentum) - laplacian(energy + orography) and source - div(flux).

NOTE: the humidity part of T* with T_ref is kept in the momentum flux instead of expanding div(q grad lnps) at the grid
points; the two agree to round-off where the grid carries quadratic products exactly.

Axes: [*nodal] grid axes, e optional member, k level (last).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from sciml.pipelines.gcm.dynamics import vertical
from sciml.pipelines.gcm.dynamics.implicit import columns
from sciml.pipelines.gcm.dynamics.state import CLOUD_ICE, CLOUD_LIQUID, SPECIFIC_HUMIDITY
from sciml.pipelines.gcm.dynamics.vertical import SigmaLevels
from sciml.pipelines.gcm.scales import Constants


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class GridState:
    """Columns at the grid points [*nodal, e, k]; surface variables and their gradient are [*nodal, e, 1].

    `log_surface_pressure` is None unless a forcing asked for the grid-point values. sec2_lat and sin_lat broadcast.
    """

    vorticity: Array
    divergence: Array
    cos_lat_u: Array
    cos_lat_v: Array
    temperature_variation: Array
    tracers: dict[str, Array]
    cos_lat_gradient: tuple[Array, Array]
    sin_lat: Array
    sec2_lat: Array
    log_surface_pressure: Array | None = None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class GridTendency:
    """What a forcing adds at the grid points; None adds nothing. Shapes as in GridState."""

    cos_lat_u: Array | None = None
    cos_lat_v: Array | None = None
    temperature: Array | None = None
    log_surface_pressure: Array | None = None
    tracers: dict[str, Array] = field(default_factory=dict)


GridForcing = Callable[[Any, GridState], GridTendency]
"""forcing(equation, grid_state) -> GridTendency."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ProductTables:
    """Vertical matrices of the products; they act as `columns(x, table)`.

    from_total [k, 3 k]: g to (lower advection weight, upper advection weight, W @ g);
    from_advection [k, k + 1]: A to the linear temperature terms of the reference state and to -A . dsigma;
    height [k, k] = G^T; reference_temperature [k].
    """

    from_total: Array
    from_advection: Array
    height: Array
    reference_temperature: Array


def product_tables(levels: SigmaLevels, reference_temperature, constants: Constants, dtype) -> ProductTables:
    """Tables for `levels` and the profile [k] K; constants are non-dimensional."""
    profile = np.asarray(reference_temperature, dtype=np.float64)
    lower, upper = vertical.advection_weights(levels)
    warming = vertical.temperature_implicit(levels, profile, constants.kappa)
    # The reference state is advected and warmed by A as the implicit terms do it by the divergence.
    by_advection = constants.kappa * np.diag(profile) - warming
    tables = {
        "from_total": np.concatenate([lower, upper, vertical.pressure_velocity(levels)]).T,
        "from_advection": np.concatenate([by_advection, -levels.thickness[None]]).T,
        "height": vertical.geopotential(levels, constants.gas_constant).T,
        "reference_temperature": profile,
    }
    return ProductTables(**{name: jnp.asarray(table, dtype) for name, table in tables.items()})


def advected(x: Array, start: int, levels: int, lower: Array, upper: Array) -> Array:
    """adv of the field in x[..., start : start + levels], whose neighbours in x are the columns beside it.

    The weights of what lies above the top and below the surface are 0, so the neighbouring columns of other fields
    are read but never used: shifted windows cost nothing, where padding would cost a copy.
    """
    here = x[..., start : start + levels]
    below, above = x[..., start + 1 : start + 1 + levels], x[..., start - 1 : start - 1 + levels]
    return lower * (below - here) + upper * (here - above)


@dataclass(frozen=True)
class Humidity:
    """Thermodynamics of moist air: gas ratio R_v/R - 1 and heat-capacity ratio cp_v/cp - 1."""

    gas: float
    heat: float

    def virtual(self, grid: GridState, reference: Array) -> Array:
        """T*, the temperature in the explicit pressure-gradient term."""
        q = grid.tracers[SPECIFIC_HUMIDITY]
        adjustment = 1 + self.gas * q
        for name in (CLOUD_ICE, CLOUD_LIQUID):
            if name in grid.tracers:
                adjustment = adjustment - grid.tracers[name]
        return grid.temperature_variation * adjustment + reference * (self.gas * q)

    def warmed(self, grid: GridState, reference: Array) -> Array:
        """The temperature that multiplies kappa omega / p beside the linear terms."""
        q = grid.tracers[SPECIFIC_HUMIDITY]
        moist = grid.temperature_variation * (1 + self.gas * q) + reference * ((self.gas - self.heat) * q)
        return moist / (1 + self.heat * q)


@jax.custom_jvp
def side_by_side(parts: list[Array]) -> Array:
    """The parts [..., k_i] as columns [..., sum k_i], each computed in its place.

    A concatenation would be computed in one loop that asks for every number which part it is from: 2 times slower on
    a CPU. Its derivative is a concatenation again, whose transpose is free.
    """
    out = lax.empty((*parts[0].shape[:-1], sum(part.shape[-1] for part in parts)), parts[0].dtype)
    start = 0
    for part in parts:
        out = lax.dynamic_update_slice_in_dim(out, part, start, axis=out.ndim - 1)
        start += part.shape[-1]
    return out


@side_by_side.defjvp
def _side_by_side_jvp(primals, tangents):
    return side_by_side(*primals), jnp.concatenate(*tangents, axis=-1)


# Position of the first advected field, cos(lat) u, among the synthesised fields.
FIRST_ADVECTED = 2


def grid_state(x: Array, levels: int, names: tuple[str, ...], sin_lat: Array, sec2_lat: Array) -> GridState:
    """The fields in the synthesised columns: zeta, div, U, V, T', tracers `names`, a, b and perhaps lnps."""
    fields = [x[..., i * levels : (i + 1) * levels] for i in range(5 + len(names))]
    surface = x[..., (5 + len(names)) * levels :]
    return GridState(
        *fields[:5],
        tracers=dict(zip(names, fields[5:], strict=True)),
        cos_lat_gradient=(surface[..., 0:1], surface[..., 1:2]),
        sin_lat=sin_lat,
        sec2_lat=sec2_lat,
        log_surface_pressure=surface[..., 2:3] if surface.shape[-1] > 2 else None,
    )


def _momentum(grid: GridState, virtual: Array, adv: list[Array], force: GridTendency, constants: Constants):
    """Both components of the momentum flux and s (U, V)."""
    a, b = grid.cos_lat_gradient
    total = grid.vorticity + 2 * constants.angular_velocity * grid.sin_lat
    pressure = constants.gas_constant * virtual
    sum_u, sum_v = adv[0] - pressure * a, adv[1] - pressure * b
    if force.cos_lat_u is not None:
        sum_u = sum_u + force.cos_lat_u
    if force.cos_lat_v is not None:
        sum_v = sum_v + force.cos_lat_v
    u, v = grid.cos_lat_u, grid.cos_lat_v
    return grid.sec2_lat * (v * total + sum_u), grid.sec2_lat * (sum_v - u * total)


def products(
    x: Array,
    grid: GridState,
    tables: ProductTables,
    constants: Constants,
    humidity: Humidity | None,
    force: GridTendency,
) -> list[Array]:
    """Columns for the analysis: [u-type fluxes | v-type fluxes | energy | sources | pressure].

    `x` holds the columns that `grid` names; fluxes are those of momentum, T' and the tracers, sources those of T' and
    the tracers, so that the divergence of all fluxes is one operation.
    """
    levels = grid.vorticity.shape[-1]
    reference = tables.reference_temperature
    advection = grid.sec2_lat * (grid.cos_lat_u * grid.cos_lat_gradient[0] + grid.cos_lat_v * grid.cos_lat_gradient[1])
    vertical_terms = columns(advection + grid.divergence, tables.from_total)
    lower, upper, work = (vertical_terms[..., i * levels : (i + 1) * levels] for i in range(3))
    linear = columns(advection, tables.from_advection)
    scalars = [grid.temperature_variation, *grid.tracers.values()]
    adv = [advected(x, (FIRST_ADVECTED + i) * levels, levels, lower, upper) for i in range(2 + len(scalars))]
    scaled_u, scaled_v = grid.sec2_lat * grid.cos_lat_u, grid.sec2_lat * grid.cos_lat_v
    energy = 0.5 * (scaled_u * grid.cos_lat_u + scaled_v * grid.cos_lat_v)
    virtual = warmed = grid.temperature_variation
    if humidity is not None:
        virtual, warmed = humidity.virtual(grid, reference), humidity.warmed(grid, reference)
        wet = grid.tracers[SPECIFIC_HUMIDITY] * (humidity.gas * (grid.temperature_variation + reference))
        energy = energy + columns(wet, tables.height)
    force_u, force_v = _momentum(grid, virtual, adv, force, constants)
    sources = [field * grid.divergence + moved for field, moved in zip(scalars, adv[2:], strict=True)]
    sources[0] = sources[0] + linear[..., :levels] + constants.kappa * warmed * (advection - work)
    extra = [force.temperature, *(force.tracers.get(name) for name in grid.tracers)]
    sources = [s if e is None else s + e for s, e in zip(sources, extra, strict=True)]
    pressure = linear[..., levels:]
    if force.log_surface_pressure is not None:
        pressure = pressure + force.log_surface_pressure
    return [
        force_u,
        *(scaled_u * field for field in scalars),
        force_v,
        *(scaled_v * field for field in scalars),
        energy,
        *sources,
        pressure,
    ]
