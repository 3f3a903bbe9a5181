"""From modal states to physical fields in SI units on longitudes and latitudes, on sigma layers or pressure levels.

Everything that is needed comes out of one synthesis; levels are interpolated before the copy to the host, linearly in
pressure, the geopotential hydrostatically. Above the top layer the air is isothermal, below the lowest one it warms
with the standard lapse rate, and the geopotential goes with it; all else stays constant there. Linear continuation of
temperature, as in NeuralGCM's decoder, gives 100 to 450 K at 850 hPa under Tibet.
Axes: [*nodal] grid axes, e optional member, k level.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sciml.kernels.sphere import layout, operators, transform
from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.gcm.dynamics import vertical
from sciml.pipelines.gcm.dynamics.implicit import columns
from sciml.pipelines.gcm.dynamics.primitive_equations import PrimitiveEquations
from sciml.pipelines.gcm.dynamics.shallow_water import ShallowWater, ShallowWaterState
from sciml.pipelines.gcm.dynamics.state import SPECIFIC_HUMIDITY, State
from sciml.pipelines.gcm.scales import ATMOSPHERIC, EARTH
from sciml.pipelines.gcm.setups.vertical_regrid import hydrostatic, sigma_to_pressure

STANDARD_LAPSE_RATE = 0.0065  # K m-1, of the standard atmosphere, below the lowest layer


def _si(value: Array, unit: str) -> Array:
    return ATMOSPHERIC.dim(value, unit)


def _standard(plan: Plan, name: str, x: Array) -> Array:
    """x[*nodal, ...] on the standard grid [i, j, ...], with the wind at poles that are grid points."""
    x = layout.to_standard(plan, x)
    if name not in ("u_component_of_wind", "v_component_of_wind") or plan.geometry.grid != "equiangular_with_poles":
        return x
    return x.at[:, 0].set(_pole(x[:, 1], x[:, 2])).at[:, -1].set(_pole(x[:, -2], x[:, -3]))


def _pole(next_to: Array, further: Array) -> Array:
    """Wind component at the pole from the two nearest circles [i, ...] of latitudes in equal steps.

    A smooth wind has zonal wavenumber 1 alone at a pole, even in the distance from it: (4 x_1 - x_2) / 3 to fourth
    order. It is the limit of cos(lat) u / cos(lat), which there is 0 / 0.
    """
    x = (4 * next_to - further) / 3
    angle = 2 * np.pi * np.arange(len(x)) / len(x)
    waves = jnp.asarray(np.stack([np.cos(angle), np.sin(angle)]), x.dtype)
    amplitude = 2 / len(x) * (waves.reshape(*waves.shape, *[1] * (x.ndim - 1)) * x).sum(1)
    return sum(jnp.multiply.outer(wave, one) for wave, one in zip(waves, amplitude, strict=True))


def surface_height(equation: PrimitiveEquations) -> Array:
    """Surface geopotential [*nodal, 1] m2 s-2."""
    return _si(transform.synthesis(equation.plan, equation.orography), "m") * EARTH.gravity


def _virtual(equation: PrimitiveEquations, temperature: Array, tracers: dict[str, Array]) -> Array:
    if not equation.moist or SPECIFIC_HUMIDITY not in tracers:
        return temperature
    ratio = equation.constants.gas_constant_vapor / equation.constants.gas_constant - 1
    return temperature * (1 + ratio * tracers[SPECIFIC_HUMIDITY])


def _sea_level_pressure(surface: Array, geopotential: Array, lowest: Array, sigma: float) -> Array:
    """Pressure reduced to sea level [Pa] with the standard lapse rate from the lowest layer's temperature."""
    exponent = EARTH.gas_constant * STANDARD_LAPSE_RATE / EARTH.gravity
    ground = lowest * sigma**-exponent
    return surface * (1 + STANDARD_LAPSE_RATE * geopotential / (EARTH.gravity * ground)) ** (1 / exponent)


def grid_fields(equation: PrimitiveEquations, state: State) -> dict[str, Array]:
    """All fields of the atmosphere on sigma layers, [*nodal, ..., k] or [*nodal, ..., 1], SI units."""
    plan, levels = equation.plan, equation.levels
    grid = equation.to_grid(state, pressure=True)
    sec = plan.rows(plan.cos_lat * plan.sec2_lat, grid.vorticity.ndim)
    temperature = grid.temperature_variation + equation.reference_temperature
    surface = _si(jnp.exp(grid.log_surface_pressure), "Pa")
    ground = plan.rows(surface_height(equation), surface.ndim)
    virtual = _virtual(equation, temperature, grid.tracers)
    integral = vertical.geopotential(levels, EARTH.gas_constant).T
    geopotential = ground + columns(virtual, jnp.asarray(integral, temperature.dtype))
    a, b = grid.cos_lat_gradient
    advection = grid.sec2_lat * (grid.cos_lat_u * a + grid.cos_lat_v * b)
    work = jnp.asarray(vertical.pressure_velocity(levels).T, temperature.dtype)
    omega = (
        surface * levels.centers.astype(temperature.dtype) * (advection - columns(advection + grid.divergence, work))
    )
    return {
        "u_component_of_wind": _si(grid.cos_lat_u * sec, "m s-1"),
        "v_component_of_wind": _si(grid.cos_lat_v * sec, "m s-1"),
        "temperature": temperature,
        "virtual_temperature": virtual,
        "geopotential": geopotential,
        "vorticity": _si(grid.vorticity, "s-1"),
        "divergence": _si(grid.divergence, "s-1"),
        "vertical_velocity": _si(omega, "s-1"),
        "surface_pressure": surface,
        "mean_sea_level_pressure": _sea_level_pressure(
            surface, ground, temperature[..., -1:], float(levels.centers[-1])
        ),
        **grid.tracers,
    }


def _beyond(name: str, found: dict[str, Array], sigma: np.ndarray, pressures: np.ndarray) -> Array | float:
    """What temperature and geopotential gain at `pressures` [n] Pa outside the layers, 0 within [..., n]."""
    if name not in ("temperature", "geopotential"):
        return 0.0
    t, surface = found["temperature"], found["surface_pressure"]
    ratio = pressures.astype(t.dtype) / surface
    warming = jnp.maximum(ratio / sigma[-1], 1.0) ** (EARTH.gas_constant * STANDARD_LAPSE_RATE / EARTH.gravity) - 1.0
    if name == "temperature":
        return t[..., -1:] * warming
    below = -EARTH.gravity / STANDARD_LAPSE_RATE * t[..., -1:] * warming
    return below - EARTH.gas_constant * t[..., :1] * jnp.log(jnp.minimum(ratio / sigma[0], 1.0))


def _on_pressure(name: str, found: dict[str, Array], sigma: np.ndarray, pressures: np.ndarray) -> Array:
    """The field `name` of `found` on layers `sigma` [k] at `pressures` [n] Pa."""
    x, surface = found[name], found["surface_pressure"]
    if name == "geopotential":
        heat = EARTH.gas_constant * found["virtual_temperature"]
        x = hydrostatic(x, heat, sigma, pressures.astype(x.dtype) / surface)
    else:
        x = sigma_to_pressure(x, sigma, surface, pressures, "constant")
    return x + _beyond(name, found, sigma, pressures)


@partial(jax.jit, static_argnames=("names", "pressures"))
def _atmosphere(
    equation: PrimitiveEquations, state: State, names: tuple[str, ...], pressures: tuple[float, ...] | None
) -> dict[str, Array]:
    found = grid_fields(equation, state)
    result = {}
    for name in names:
        x = found[name]
        if pressures is not None and x.shape[-1] > 1:
            x = _on_pressure(name, found, equation.levels.centers, 100.0 * np.asarray(pressures))
        result[name] = _standard(equation.plan, name, x)
    return result


def potential_vorticity(plan: Plan, vorticity: Array, depth: Array, angular_velocity: float) -> Array:
    """(zeta + f) / depth at the grid points, SI units in and out."""
    return (vorticity + 2 * angular_velocity * plan.rows(plan.sin_lat, vorticity.ndim)) / depth


def fluid_fields(equation: ShallowWater, state: ShallowWaterState) -> dict[str, Array]:
    """All fields of the shallow-water equations [*nodal, ..., 1], SI units; height is that of the surface."""
    plan = equation.plan
    wind = operators.cos_lat_wind(plan, state.vorticity, state.divergence)
    x = transform.synthesis(plan, jnp.concatenate([state.vorticity, state.divergence, *wind, state.potential], -1))
    vorticity, divergence, u, v, potential = (x[..., n : n + 1] for n in range(5))
    sec = plan.rows(plan.cos_lat * plan.sec2_lat, x.ndim)
    bottom = transform.synthesis(plan, -equation.orography_tendency * plan.operators["inverse_laplacian"])
    depth = _si(potential + equation.reference_potential, "m2 s-2") / EARTH.gravity
    rise = _si(plan.rows(bottom, x.ndim), "m2 s-2") / EARTH.gravity + _si(equation.mean_bottom, "m")
    zeta = _si(vorticity, "s-1")
    return {
        "u_component_of_wind": _si(u * sec, "m s-1"),
        "v_component_of_wind": _si(v * sec, "m s-1"),
        "vorticity": zeta,
        "divergence": _si(divergence, "s-1"),
        "height": depth + rise,
        "depth": depth,
        "potential_vorticity": potential_vorticity(plan, zeta, depth, EARTH.angular_velocity),
    }


@partial(jax.jit, static_argnames=("names",))
def _fluid(equation: ShallowWater, state: ShallowWaterState, names: tuple[str, ...]) -> dict[str, Array]:
    found = fluid_fields(equation, state)
    return {name: _standard(equation.plan, name, found[name]) for name in names}


def _rows(x: Array) -> np.ndarray:
    """[i, j, e, k] or [i, j, k] as [e, k, j, i] or [k, j, i]."""
    return np.ascontiguousarray(np.asarray(x).T if x.ndim == 3 else np.transpose(x, (2, 3, 1, 0)))


def physical_fields(
    equation: Any, state: Any, names: Sequence[str], pressures: Sequence[float] | None = None
) -> dict[str, np.ndarray]:
    """Fields `names` as [number, level, latitude, longitude], without the axes that a state or field lacks.

    Surface fields lack level. pressures [hPa] ascend; None keeps sigma layers. KeyError for an unknown name.
    """
    if isinstance(equation, ShallowWater):
        return {name: _rows(x) for name, x in _fluid(equation, state, tuple(names)).items()}
    wanted = None if pressures is None else tuple(float(p) for p in pressures)
    found = {name: _rows(x) for name, x in _atmosphere(equation, state, tuple(names), wanted).items()}
    flat = ("surface_pressure", "mean_sea_level_pressure")
    return {name: x.squeeze(-3) if name in flat else x for name, x in found.items()}
