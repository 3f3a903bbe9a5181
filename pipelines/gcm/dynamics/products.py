"""Products of the explicit tendencies at the grid points, between the synthesis and the analysis.

In: vorticity, divergence, (U, V) = cos(lat) (u, v), temperature variation T', tracers and
(a, b) = cos(lat) grad(lnps). Out, with s = sec^2(lat), g = A + div and A = (u, v).grad(lnps):

    momentum   s (V (zeta + f) + adv U - R T* a + F_u), s (-U (zeta + f) + adv V - R T* b + F_v)
    energy     s (U^2 + V^2) / 2 + G @ ((R_v/R - 1) q T)
    sources    T' div + adv T' + omega/p terms;  q div + adv q
    fluxes     s U x, s V x  of T' and the tracers x
    pressure   -A . dsigma

T* = T' (1 + (R_v/R - 1) q - q_cloud) + T_ref (R_v/R - 1) q, adv x = -sigma-dot dx/dsigma. The tendencies are then
d zeta/dt = curl(momentum), d div/dt = div(momentum) - laplacian(energy + orography) and source - div(flux).

NOTE: the humidity part of T* with T_ref is kept in the momentum flux instead of expanding div(q grad lnps) at the grid
points; the two agree to round-off where the grid carries quadratic products exactly and the largest wavenumber is empty.
Where GridState has the gradient of humidity, the expanded form is taken, with c = R (R_v/R - 1) T_ref:

    divergence source -c (grad q . grad lnps + q laplacian(lnps)),  vorticity source c (grad lnps x grad q)

Axes: [*nodal] grid axes, e optional member, k level (last).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

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
    humidity_gradient, times cos(lat), and pressure_laplacian are None unless the expanded form is wanted.
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
    humidity_gradient: tuple[Array, Array] | None = None
    pressure_laplacian: Array | None = None


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


def advected(x: Array, lower: Array, upper: Array) -> Array:
    """adv x of columns [..., k]: the weights of what lies above the top and below the surface are 0."""
    return lower * (jnp.roll(x, -1, axis=-1) - x) + upper * (x - jnp.roll(x, 1, axis=-1))


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
        virtual = grid.temperature_variation * adjustment
        return virtual if grid.humidity_gradient is not None else virtual + reference * (self.gas * q)

    def sources(self, grid: GridState, reference: Array, gas_constant: float) -> list[Array]:
        """Sources of divergence and vorticity in the expanded form; none in the other."""
        if grid.humidity_gradient is None:
            return []
        (a, b), (east, north) = grid.cos_lat_gradient, grid.humidity_gradient
        factor = gas_constant * self.gas * reference
        q = grid.tracers[SPECIFIC_HUMIDITY]
        along = grid.sec2_lat * (east * a + north * b) + q * grid.pressure_laplacian
        return [-factor * along, factor * grid.sec2_lat * (a * north - b * east)]

    def warmed(self, grid: GridState, reference: Array) -> Array:
        """The temperature that multiplies kappa omega / p beside the linear terms."""
        q = grid.tracers[SPECIFIC_HUMIDITY]
        moist = grid.temperature_variation * (1 + self.gas * q) + reference * ((self.gas - self.heat) * q)
        return moist / (1 + self.heat * q)


def _momentum(grid: GridState, virtual: Array, adv: tuple[Array, Array], force: GridTendency, constants: Constants):
    """Both components of the momentum flux."""
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
    grid: GridState, tables: ProductTables, constants: Constants, humidity: Humidity | None, force: GridTendency
) -> list[list[Array]]:
    """Groups of columns for the analysis: [u flux, v flux, energy, pressure] and, in the expanded form, the sources of
    divergence and vorticity; then [u flux, v flux, source] of T' and of each tracer."""
    levels = grid.vorticity.shape[-1]
    u, v, temperature = grid.cos_lat_u, grid.cos_lat_v, grid.temperature_variation
    reference = tables.reference_temperature
    advection = grid.sec2_lat * (u * grid.cos_lat_gradient[0] + v * grid.cos_lat_gradient[1])
    vertical_terms = columns(advection + grid.divergence, tables.from_total)
    lower, upper, work = (vertical_terms[..., i * levels : (i + 1) * levels] for i in range(3))
    linear = columns(advection, tables.from_advection)
    scaled_u, scaled_v = grid.sec2_lat * u, grid.sec2_lat * v
    energy = 0.5 * (scaled_u * u + scaled_v * v)
    virtual = warmed = temperature
    sources: list[Array] = []
    if humidity is not None:
        virtual, warmed = humidity.virtual(grid, reference), humidity.warmed(grid, reference)
        wet = grid.tracers[SPECIFIC_HUMIDITY] * (humidity.gas * (temperature + reference))
        energy = energy + columns(wet, tables.height)
        sources = humidity.sources(grid, reference, constants.gas_constant)

    def scalar(x: Array, *extra: Array | None) -> list[Array]:
        source = x * grid.divergence + advected(x, lower, upper)
        return [scaled_u * x, scaled_v * x, sum((one for one in extra if one is not None), source)]

    warming = linear[..., :levels] + constants.kappa * warmed * (advection - work)
    pressure = linear[..., levels:]
    if force.log_surface_pressure is not None:
        pressure = pressure + force.log_surface_pressure
    adv = advected(u, lower, upper), advected(v, lower, upper)
    return [
        [*_momentum(grid, virtual, adv, force, constants), energy, pressure, *sources],
        scalar(temperature, warming, force.temperature),
        *(scalar(x, force.tracers.get(name)) for name, x in grid.tracers.items()),
    ]
