"""Moist hydrostatic primitive equations in sigma coordinates, spectral in the horizontal.

Prognostic are vorticity, divergence, temperature less a reference profile, log surface pressure and tracers, of which
specific humidity acts on the dynamics and cloud water on the pressure gradient. Gravity waves about the reference
profile are the implicit part (implicit.py), everything else the explicit one (products.py): per evaluation
(5 + t) k + 2 columns are synthesised and (6 + 3 t) k + 1 analysed for t tracers on k levels.

Source: Bourke (1974), Hoskins & Simmons (1975) for the equations; Durran (1999), section 8.6 for their discretisation.
Axes: [*modal] modal and [*nodal] grid axes of the plan, e optional member, k level (last).
"""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sciml.kernels.sphere import operators
from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.dynamics.batches import analyse, synthesise
from sciml.pipelines.gcm.dynamics.implicit import GravityWaves, gravity_waves
from sciml.pipelines.gcm.dynamics.modal import modal_tables, over_columns
from sciml.pipelines.gcm.dynamics.products import (
    GridForcing,
    GridState,
    GridTendency,
    Humidity,
    ProductTables,
    product_tables,
    products,
)
from sciml.pipelines.gcm.dynamics.state import SPECIFIC_HUMIDITY, State
from sciml.pipelines.gcm.dynamics.vertical import SigmaLevels
from sciml.pipelines.gcm.scales import ATMOSPHERIC, Constants


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PrimitiveEquations:
    """The equations on a plan and levels; made by `primitive_equations`. A pytree whose leaves are tables.

    eigenvalues [*modal, 1] of the Laplacian; keep [*modal, 1] is 0 at the largest total wavenumber, whose tendency
    is dropped, and 1 elsewhere; orography_tendency [*modal, 1] is -g laplacian(height). expanded: which form the
    humidity terms take (products.py).
    """

    plan: Plan
    waves: GravityWaves
    tables: ProductTables
    eigenvalues: Array
    keep: Array
    orography: Array
    orography_tendency: Array
    levels: SigmaLevels = field(metadata={"static": True})
    constants: Constants = field(metadata={"static": True})
    moist: bool = field(default=True, metadata={"static": True})
    expanded: bool = field(default=False, metadata={"static": True})

    @property
    def reference_temperature(self) -> Array:
        """Reference profile [k] K."""
        return self.tables.reference_temperature

    @property
    def _modal_axes(self) -> int:
        return len(self.plan.modal_shape)

    def _over(self, table: Array, like: Array) -> Array:
        return over_columns(table, like, self._modal_axes)

    def _humidity(self, state: State) -> Humidity | None:
        if not self.moist or SPECIFIC_HUMIDITY not in state.tracers:
            return None
        c = self.constants
        return Humidity(c.gas_constant_vapor / c.gas_constant - 1, c.heat_capacity_vapor / c.heat_capacity - 1)

    def to_grid(self, state: State, *, pressure: bool = False) -> GridState:
        """The fields at the grid points; `pressure` adds log surface pressure."""
        plan, names = self.plan, sorted(state.tracers)
        surface = operators.cos_lat_gradient(plan, state.log_surface_pressure)
        expanded = self.expanded and self._humidity(state) is not None
        if expanded:
            surface = (*surface, operators.laplacian(plan, state.log_surface_pressure))
            humidity = operators.cos_lat_gradient(plan, state.tracers[SPECIFIC_HUMIDITY])
        gradient = jnp.concatenate(surface, axis=-1)
        fields = [
            state.vorticity,
            state.divergence,
            *operators.cos_lat_wind(plan, state.vorticity, state.divergence),
            state.temperature_variation,
            *(state.tracers[name] for name in names),
            gradient,
            *(humidity if expanded else []),
            *([state.log_surface_pressure] if pressure else []),
        ]
        x = synthesise(plan, fields)
        gradient, after = x[5 + len(names)], x[6 + len(names) :]
        axes = len(plan.nodal_shape)
        return GridState(
            *x[:5],
            tracers=dict(zip(names, x[5:], strict=False)),
            cos_lat_gradient=(gradient[..., :1], gradient[..., 1:2]),
            sin_lat=over_columns(plan.sin_lat, x[0], axes),
            sec2_lat=over_columns(plan.sec2_lat, x[0], axes),
            log_surface_pressure=x[-1] if pressure else None,
            humidity_gradient=tuple(after[:2]) if expanded else None,
            pressure_laplacian=gradient[..., 2:] if expanded else None,
        )

    def explicit(self, state: State, forcing: GridForcing | None = None) -> State:
        """Explicit tendency of `state`; `forcing` adds to it at the grid points, inside the same transforms."""
        grid = self.to_grid(state, pressure=forcing is not None)
        force = GridTendency() if forcing is None else forcing(self, grid)
        groups = products(grid, self.tables, self.constants, self._humidity(state), force)
        (u, v, energy, pressure, *sources), temperature, *tracers = analyse(self.plan, groups)
        keep, eigenvalues = self._over(self.keep, u), self._over(self.eigenvalues, u)
        flux, curl = operators.divergence_cos_lat(self.plan, (u, v)), operators.curl_cos_lat(self.plan, (u, v))
        if sources:
            flux, curl = flux + sources[0], curl + sources[1]

        def scalar(u: Array, v: Array, source: Array) -> Array:
            return keep * (source - operators.divergence_cos_lat(self.plan, (u, v)))

        return State(
            vorticity=keep * curl,
            divergence=keep * (flux + self._over(self.orography_tendency, u) - eigenvalues * energy),
            temperature_variation=scalar(*temperature),
            log_surface_pressure=keep * pressure,
            tracers={name: scalar(*parts) for name, parts in zip(grid.tracers, tracers, strict=True)},
        )

    def implicit(self, state: State) -> State:
        """Tendency of the gravity waves; vorticity and tracers have none."""
        eigenvalues = self._over(self.eigenvalues, state.divergence)
        divergence, temperature, pressure = self.waves.tendency(
            eigenvalues, state.temperature_variation, state.log_surface_pressure, state.divergence
        )
        return State(None, divergence, temperature, pressure, dict.fromkeys(state.tracers))

    def implicit_solve(self, state: State, eta: Any) -> State:
        """The state x with x - eta implicit(x) = `state`; eta is a time, negative backwards, and may be traced."""
        eigenvalues = self._over(self.eigenvalues, state.divergence)
        divergence, temperature, pressure = self.waves.solve(
            eigenvalues, state.temperature_variation, state.log_surface_pressure, state.divergence, eta
        )
        return State(state.vorticity, divergence, temperature, pressure, state.tracers)


def primitive_equations(
    plan: Plan,
    levels: SigmaLevels,
    reference_temperature=250.0,
    orography: Array | None = None,
    constants: Constants = ATMOSPHERIC.earth,
    *,
    moist: bool = True,
    expanded: bool = False,
) -> PrimitiveEquations:
    """The equations on `plan` and `levels`.

    `reference_temperature` is a number or a profile [k] K; `orography` the non-dimensional modal height [*modal, 1];
    `constants` are non-dimensional; `expanded`: the form of the humidity terms, see products.py. SettingsError for a
    profile of the wrong length or without stable stratification.
    """
    profile = np.asarray(reference_temperature, dtype=np.float64)
    if profile.ndim > 1 or (profile.ndim == 1 and len(profile) != len(levels)):
        raise SettingsError(f"the reference temperature has shape {profile.shape} for {len(levels)} levels")
    profile = np.broadcast_to(profile, (len(levels),))
    if orography is None:
        orography = jnp.zeros((*plan.modal_shape, 1), plan.dtype)
    eigenvalues, keep = modal_tables(plan)
    return PrimitiveEquations(
        plan=plan,
        waves=gravity_waves(levels, profile, constants.gas_constant, constants.kappa, plan.dtype),
        tables=product_tables(levels, profile, constants, plan.dtype),
        eigenvalues=jnp.asarray(eigenvalues, plan.dtype),
        keep=jnp.asarray(keep, plan.dtype),
        orography=jnp.asarray(orography, plan.dtype),
        orography_tendency=jnp.asarray(-constants.gravity * eigenvalues * orography, plan.dtype),
        levels=levels,
        constants=constants,
        moist=moist,
        expanded=expanded,
    )
