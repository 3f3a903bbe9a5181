"""What a NeuralGCM state implies beyond the decoded fields: pressures, omega, water budget, tendencies, layers.

Surface pressure is exp(ln ps). Pressure at mean sea level continues the column below the ground with the standard
lapse rate, p = ps (1 + L Phi_s / (g T_s))^(g / (R L)), L = 6.5 K km-1, T_s = T_lowest sigma_lowest^(-R L / g) (ICAO
standard atmosphere, Doc 7488; as in Trenberth et al. 1993, NCAR/TN-396, without its limits for hot and cold ground).
omega = dp/dt is that of the dynamical core: p (u . grad ln ps) less the divergence of mass above, from the same sums as
its own sigma-dot. Precipitation minus evaporation is what the learned physics takes out of the column,
P - E = -(ps / g) sum_k (dq + dq_ice + dq_liquid)_k / dt d sigma_k (Kochkov et al. 2024, Nature 632, 1060-1066, methods).
Tendencies are those at the instant: of the resolved dynamics (explicit and gravity-wave terms, adiabatic), and of the
learned physics, which is held for its whole substep.
Axes: [*nodal] grid axes, e member, k layer, p pressure level (last).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sciml.kernels.sphere import operators, transform
from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.gcm.dynamics.primitive_equations import PrimitiveEquations
from sciml.pipelines.gcm.dynamics.state import CLOUD_ICE, CLOUD_LIQUID, SPECIFIC_HUMIDITY, State
from sciml.pipelines.gcm.fields import grid_fields
from sciml.pipelines.gcm.scales import ATMOSPHERIC, EARTH
from sciml.pipelines.gcm.setups.vertical_regrid import sigma_to_pressure

WATER = (SPECIFIC_HUMIDITY, CLOUD_ICE, CLOUD_LIQUID)
P_MINUS_E = "precipitation_minus_evaporation"
_ON_SIGMA, _DYNAMICS, _PHYSICS = "_on_sigma", "_tendency_due_to_dynamics", "_tendency_due_to_physics"
_OF_THE_STATE = ("surface_pressure", "mean_sea_level_pressure", "vertical_velocity")


def derivable(name: str) -> bool:
    """Whether `derived` gives this variable."""
    return name in (*_OF_THE_STATE, P_MINUS_E) or name.endswith((_ON_SIGMA, _DYNAMICS, _PHYSICS))


def needs_physics(names: Sequence[str]) -> bool:
    """Whether any of the variables asks for the learned tendency."""
    return P_MINUS_E in names or any(name.endswith(_PHYSICS) for name in names)


def derived(
    equation: PrimitiveEquations, state: State, physics: State | None, names: Sequence[str], pressures: Sequence[float]
) -> dict[str, Array]:
    """The variables `names` in SI units: [*nodal, e, 1], on layers [*nodal, e, k], omega at `pressures` hPa [*nodal, e, p].

    `physics` is the learned tendency of `state`, modal and without dimension; None where `needs_physics` says so.
    KeyError for a variable that the state does not have.
    """
    found = grid_fields(equation, state)
    rates: dict[str, dict[str, Array]] = {}
    if physics is not None:
        rates[_PHYSICS] = grid_tendency(equation.plan, physics)
    if any(name.endswith(_DYNAMICS) for name in names):
        rates[_DYNAMICS] = grid_tendency(equation.plan, dynamics_tendency(equation, state))
    result = {}
    for name in names:
        if name == P_MINUS_E:
            thickness = equation.levels.thickness
            result[name] = water_budget(rates[_PHYSICS], found["surface_pressure"], thickness)
        elif name == "vertical_velocity":
            levels = 100.0 * np.asarray(pressures)
            result[name] = sigma_to_pressure(
                found[name], equation.levels.centers, found["surface_pressure"], levels, "constant"
            )
        elif name.endswith((_DYNAMICS, _PHYSICS)):
            cause = _DYNAMICS if name.endswith(_DYNAMICS) else _PHYSICS
            result[name] = rates[cause][name.removesuffix(cause)]
        else:
            result[name] = found[name.removesuffix(_ON_SIGMA)]
    return result


def dynamics_tendency(equation: PrimitiveEquations, state: State) -> State:
    """The whole adiabatic tendency of `state`, explicit and gravity-wave parts together."""
    explicit, waves = equation.explicit(state), equation.implicit(state)
    return jax.tree.map(
        lambda a, b: a if b is None else a + b, explicit, waves, is_leaf=lambda x: x is None
    )  # fmt: skip


def grid_tendency(plan: Plan, tendency: State) -> dict[str, Array]:
    """A modal tendency at the grid points in SI units per second, by the names of the variables."""
    names = sorted(tendency.tracers)
    wind = operators.cos_lat_wind(plan, tendency.vorticity, tendency.divergence)
    parts = [*wind, tendency.temperature_variation, *(tendency.tracers[name] for name in names)]
    k = parts[0].shape[-1]
    x = transform.synthesis(plan, jnp.concatenate(parts, axis=-1))
    u, v, temperature, *tracers = (x[..., n * k : (n + 1) * k] for n in range(len(parts)))
    sec = plan.rows(plan.cos_lat * plan.sec2_lat, x.ndim)
    rate = ATMOSPHERIC.dim(1.0, "s-1")
    speed = ATMOSPHERIC.dim(1.0, "m s-2")
    return {
        "u_component_of_wind": u * sec * speed,
        "v_component_of_wind": v * sec * speed,
        "temperature": temperature * rate,
        **{name: tracer * rate for name, tracer in zip(names, tracers, strict=True)},
    }


def water_budget(rates: Mapping[str, Array], surface_pressure: Array, thickness: np.ndarray) -> Array:
    """Precipitation minus evaporation [*nodal, e, 1] kg m-2 s-1 from the rates of all water [*nodal, e, k] s-1."""
    total = sum(rates[name] for name in WATER if name in rates)
    column = (total * jnp.asarray(thickness, total.dtype)).sum(-1, keepdims=True)
    return -surface_pressure / EARTH.gravity * column


def diagnostics_in_si(name: str, value: Any) -> tuple[str, Any] | None:
    """(our name, SI value) of a diagnostic of the model's own, None for one of another kind.

    As in the original: precipitation is a depth or rate of liquid water, evaporation a mass flux, negative upwards.
    """
    kinds = {
        "surface_pressure": ("surface_pressure", "Pa"),
        "P_minus_E_rate": (P_MINUS_E, "kg m-2 s-1"),
        "P_minus_E_cumulative": ("precipitation_minus_evaporation_cumulative", "kg m-2"),
        "precipitable_water": ("precipitable_water", "m"),
        "precipitation_rate": ("precipitation_rate", "m s-1"),
        "total_precipitation": ("total_precipitation", "m"),
        "precipitation_cumulative_mean": ("total_precipitation", "m"),
        "evaporation": ("evaporation", "kg m-2 s-1"),
        "evaporation_cumulative": ("evaporation_cumulative", "m"),
    }
    if name not in kinds:
        return None
    ours, unit = kinds[name]
    return ours, ATMOSPHERIC.dim(value, unit)
