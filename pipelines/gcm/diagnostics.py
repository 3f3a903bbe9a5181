"""Global integrals, extremes and spectra of a state: what conservation laws and the progress line look at.

Means over the sphere are quadratures on the grid, vertical sums weighted by the layers' mass. SI units. Members are
averaged, extremes are taken over all. A drift is a small difference of large numbers: the device sums one circle of
latitude and layer in the precision of the run, of departures where a mean dominates; the rest is summed in float64.
Axes: [*nodal] = [g, r, j'] grid axes, e optional member, k level.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sciml.kernels.sphere import transform
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


def circles(plan: Plan, x: Array) -> Array:
    """Weighted sums [g, j', ...] over the longitudes of x[*nodal, ...], by the device. No dot: those may be in TF32."""
    weights = jnp.asarray(plan.geometry.longitude_weights, x.dtype)
    return (x * weights.reshape(-1, *[1] * (x.ndim - 2))).sum(1)


def over_sphere(plan: Plan, sums: Array) -> np.ndarray:
    """Mean over the sphere [...] float64 from what `circles` gave, by the host."""
    weights = plan.geometry.sin_lat_weights[1] / (4 * np.pi)
    return np.einsum("gj...,j->...", np.asarray(sums, np.float64), weights)


def sphere_mean(plan: Plan, x: Array) -> np.ndarray:
    """Mean over the sphere [...] float64 of x[*nodal, ...]."""
    return over_sphere(plan, circles(plan, x))


def _mean_mode(plan: Plan) -> tuple[np.ndarray, ...]:
    """Index of the coefficient of the global mean."""
    return np.nonzero((plan.total_wavenumber == 0) & plan.mask)


def _departure(plan: Plan, log_surface_pressure: Array) -> tuple[Array, Array]:
    """(ln p0 [..., 1], ps / p0 - 1 [*nodal, ..., 1]), p0 from the global mean of ln ps.

    With the mean in the synthesis, all points of the grid would be rounded alike, and the mass with them.
    """
    mode = _mean_mode(plan)
    waves = transform.synthesis(plan, log_surface_pressure.at[mode].set(0.0))
    return log_surface_pressure[mode][0], jnp.expm1(waves)


@jax.jit
def _atmosphere(equation: PrimitiveEquations, state: State) -> tuple[dict[str, Array], dict[str, Array], Array]:
    """(sums over circles, extremes, coefficient of the mean of ln ps)."""
    plan, found = equation.plan, grid_fields(equation, state)
    u, v, t, ps = (
        found[name] for name in ("u_component_of_wind", "v_component_of_wind", "temperature", "surface_pressure")
    )
    square, cos_lat = u**2 + v**2, plan.rows(plan.cos_lat, u.ndim)
    mean, departure = _departure(plan, state.log_surface_pressure)
    sums = {
        "pressure": departure,
        "planetary": departure * cos_lat**2,
        "kinetic": ps * (square / 2),
        "heat": ps * (EARTH.heat_capacity * (t - equation.reference_temperature)),
        "ground": ps * plan.rows(surface_height(equation), ps.ndim),
        "relative": ps * (EARTH.radius * cos_lat * u),
        "enstrophy": (found["vorticity"] / EARTH.angular_velocity) ** 2 / 2,
    }
    sums |= {f"mean_{name}": ps * found[name] for name in state.tracers}
    extremes = {
        "surface_pressure_min": ps.min(),
        "surface_pressure_max": ps.max(),
        "max_wind": jnp.sqrt(square.max()),
        "temperature_min": t.min(),
        "temperature_max": t.max(),
    }
    return {name: circles(plan, x) for name, x in sums.items()}, extremes, mean


def atmosphere(equation: PrimitiveEquations, state: State) -> dict[str, Any]:
    """Diagnostics of the primitive equations.

    mean_surface_pressure, surface_pressure_min, surface_pressure_max [Pa]; max_wind [m s-1]; temperature_min,
    temperature_max [K]; kinetic_energy, total_energy [J m-2]; angular_momentum [kg s-1], relative and planetary per
    unit area; enstrophy [s-2]; mean_<tracer> [kg m-2].
    """
    sums, extremes, coefficient = jax.device_get(_atmosphere(equation, state))
    thickness, g = equation.levels.thickness, EARTH.gravity
    mean = {name: over_sphere(equation.plan, x) for name, x in sums.items()}
    level = ATMOSPHERIC.dim(np.exp(coefficient.astype(np.float64) / np.sqrt(4 * np.pi)), "Pa")
    pressure = (level * (1 + mean.pop("pressure"))).mean()
    planetary = (level * (2 / 3 + mean.pop("planetary"))).mean() * EARTH.angular_velocity * EARTH.radius**2
    mean = {name: x.reshape(-1, x.shape[-1]).mean(0) for name, x in mean.items()}  # over the members
    profile = np.asarray(equation.reference_temperature, np.float64)
    heat = mean["heat"] + EARTH.heat_capacity * profile * pressure
    kinetic = mean["kinetic"] @ thickness / g
    facts = {
        "mean_surface_pressure": pressure,
        **extremes,
        "kinetic_energy": kinetic,
        "total_energy": kinetic + (heat @ thickness + float(mean["ground"][0])) / g,
        "angular_momentum": (mean["relative"] @ thickness + planetary) / g,
        "enstrophy": EARTH.angular_velocity**2 * mean["enstrophy"] @ thickness,
    }
    return facts | {name: x @ thickness / g for name, x in mean.items() if name.startswith("mean_")}


@jax.jit
def _fluid(equation: ShallowWater, state: ShallowWaterState) -> tuple[dict[str, Array], Array]:
    plan, found = equation.plan, fluid_fields(equation, state)
    square = found["u_component_of_wind"] ** 2 + found["v_component_of_wind"] ** 2
    depth, height = found["depth"], found["height"]
    mean = _mean_depth(equation)
    bottom, excess = height - depth, depth - mean
    sums = {
        "depth": excess,
        "kinetic": depth * square / 2,
        # g (height^2 - bottom^2) / 2 with height = mean + excess + bottom, but for the constant g mean^2 / 2
        "potential": EARTH.gravity * (excess * (excess / 2 + mean) + depth * bottom),
        "potential_enstrophy": (found["potential_vorticity"] * (mean / EARTH.angular_velocity)) ** 2 * depth / 2,
    }
    return {name: circles(plan, x) for name, x in sums.items()}, jnp.sqrt(square.max())


def _mean_depth(equation: ShallowWater) -> Any:
    """Depth [m] of the reference potential."""
    return ATMOSPHERIC.dim(equation.reference_potential, "m2 s-2") / EARTH.gravity


def fluid(equation: ShallowWater, state: ShallowWaterState) -> dict[str, Any]:
    """Diagnostics of the shallow-water equations.

    mean_height [m] of the fluid's depth; max_wind [m s-1]; total_energy [m3 s-2]; potential_enstrophy [m-1 s-2].
    """
    sums, wind = jax.device_get(_fluid(equation, state))
    found = {name: float(over_sphere(equation.plan, x).mean()) for name, x in sums.items()}
    depth = float(_mean_depth(equation))
    return {
        "mean_height": depth + found["depth"],
        "max_wind": wind,
        "total_energy": found["kinetic"] + found["potential"] + EARTH.gravity * depth**2 / 2,
        "potential_enstrophy": found["potential_enstrophy"] * (EARTH.angular_velocity / depth) ** 2,
    }


@jax.jit
def _spectrum(plan: Plan, vorticity: Array, divergence: Array, thickness: Array) -> Array:
    inverse = over_columns(-plan.operators["inverse_laplacian"], vorticity, len(plan.modal_shape))
    energy = (inverse * (vorticity**2 + divergence**2) / 2 * thickness).sum(-1)
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
