"""Global integrals, extremes and spectra of a state: what conservation laws and the progress line look at.

Means over the sphere are quadratures on the grid, vertical sums weighted by the layers' mass. SI units. Members are
averaged, extremes are taken over all. Axes: [*nodal] grid axes, e optional member, k level.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.gcm.dynamics.modal import over_columns
from sciml.pipelines.gcm.dynamics.primitive_equations import PrimitiveEquations
from sciml.pipelines.gcm.dynamics.shallow_water import ShallowWater, ShallowWaterState
from sciml.pipelines.gcm.dynamics.state import State
from sciml.pipelines.gcm.fields import fluid_fields, grid_fields, surface_height
from sciml.pipelines.gcm.scales import ATMOSPHERIC, EARTH


def area_weights(plan: Plan) -> np.ndarray:
    """Weights [*nodal] of a mean over the sphere, with sum 1."""
    geometry = plan.geometry
    weights = geometry.longitude_weights[:, None] * geometry.sin_lat_weights[1] / (4 * np.pi)
    return np.broadcast_to(weights, plan.nodal_shape)


def sphere_mean(plan: Plan, x: Array) -> Array:
    """Mean over the sphere of x[*nodal, ...]."""
    weights = jnp.asarray(area_weights(plan), x.dtype)
    return jnp.tensordot(weights, x, axes=weights.ndim)


@jax.jit
def atmosphere(equation: PrimitiveEquations, state: State) -> dict[str, Array]:
    """Diagnostics of the primitive equations.

    mean_surface_pressure, surface_pressure_min, surface_pressure_max [Pa]; max_wind [m s-1]; temperature_min, temperature_max [K]; kinetic_energy, total_energy
    [J m-2]; angular_momentum [kg s-1], relative and planetary per unit area; enstrophy [s-2]; mean_<tracer> [kg m-2].
    """
    plan, found = equation.plan, grid_fields(equation, state)
    u, v, t, surface = (
        found[name] for name in ("u_component_of_wind", "v_component_of_wind", "temperature", "surface_pressure")
    )
    mass = surface / EARTH.gravity * equation.levels.thickness.astype(t.dtype)
    square = u**2 + v**2
    cos_lat = plan.rows(plan.cos_lat, u.ndim)
    ground = plan.rows(surface_height(equation), surface.ndim)

    def total(x: Array) -> Array:
        return sphere_mean(plan, (mass * x).sum(-1)).mean()

    turning = EARTH.radius * cos_lat * (u + EARTH.angular_velocity * EARTH.radius * cos_lat)
    kinetic = total(square / 2)
    potential = sphere_mean(plan, surface * ground / EARTH.gravity).mean()
    facts = {
        "mean_surface_pressure": sphere_mean(plan, surface).mean(),
        "surface_pressure_min": surface.min(),
        "surface_pressure_max": surface.max(),
        "max_wind": jnp.sqrt(square.max()),
        "temperature_min": t.min(),
        "temperature_max": t.max(),
        "kinetic_energy": kinetic,
        "total_energy": kinetic + total(EARTH.heat_capacity * t) + potential,
        "angular_momentum": total(turning),
        "enstrophy": sphere_mean(
            plan, (found["vorticity"] ** 2 / 2) @ equation.levels.thickness.astype(t.dtype)
        ).mean(),
    }
    return facts | {f"mean_{name}": total(found[name]) for name in state.tracers}


@jax.jit
def fluid(equation: ShallowWater, state: ShallowWaterState) -> dict[str, Array]:
    """Diagnostics of the shallow-water equations.

    mean_height [m] of the fluid's depth; max_wind [m s-1]; total_energy [m3 s-2]; potential_enstrophy [m-1 s-2].
    """
    plan, found = equation.plan, fluid_fields(equation, state)
    square = found["u_component_of_wind"] ** 2 + found["v_component_of_wind"] ** 2
    depth, height = found["depth"], found["height"]
    bottom = height - depth
    energy = depth * square / 2 + EARTH.gravity * (height**2 - bottom**2) / 2
    return {
        "mean_height": sphere_mean(plan, depth).mean(),
        "max_wind": jnp.sqrt(square.max()),
        "total_energy": sphere_mean(plan, energy).mean(),
        "potential_enstrophy": sphere_mean(plan, found["potential_vorticity"] ** 2 * depth / 2).mean(),
    }


@jax.jit
def _spectrum(plan: Plan, vorticity: Array, divergence: Array, thickness: Array) -> Array:
    inverse = over_columns(-plan.operators["inverse_laplacian"], vorticity, len(plan.modal_shape))
    energy = (inverse * (vorticity**2 + divergence**2) / 2) @ thickness
    energy = energy.reshape(*plan.modal_shape, -1).mean(-1)
    return jnp.zeros(plan.truncation.total, energy.dtype).at[jnp.asarray(plan.total_wavenumber)].add(
        energy, mode="drop"
    ) / (4 * np.pi)


def kinetic_energy_spectrum(
    equation: PrimitiveEquations | ShallowWater, state: State | ShallowWaterState
) -> np.ndarray:
    """Kinetic energy per unit mass and total wavenumber [l] m2 s-2, mean over the layers' mass and the members."""
    one = np.ones(1) if isinstance(equation, ShallowWater) else equation.levels.thickness
    found = _spectrum(equation.plan, state.vorticity, state.divergence, jnp.asarray(one, state.vorticity.dtype))
    return ATMOSPHERIC.dim(ATMOSPHERIC.dim(np.asarray(found, np.float64), "m s-1"), "m s-1")
