"""Forcing of the dry climate of Held & Suarez (1994): Newtonian cooling and Rayleigh friction near the surface.

    dT/dt = -k_T (T - T_eq)    d(u, v)/dt = -k_v (u, v)    with w = max(0, (sigma - 0.7) / 0.3)
    k_v = k_f w    k_T = k_a + (k_s - k_a) w cos^4(lat)
    T_eq = max(200 K, (315 K - 60 K sin^2(lat) - 10 K ln(p / p0) cos^2(lat)) (p / p0)^kappa)

Source: Bull. Am. Meteorol. Soc. 75, 1825-1830. Axes: [*nodal] grid axes, k level.
"""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sciml.pipelines.gcm.dynamics.products import GridState, GridTendency
from sciml.pipelines.gcm.dynamics.vertical import SigmaLevels
from sciml.pipelines.gcm.scales import ATMOSPHERIC

FRICTION = 1.0  # day-1, k_f
COOLING = 1 / 40, 1 / 4  # day-1, k_a aloft and k_s at the tropical surface
BOUNDARY_LAYER = 0.7  # sigma_b
STRATOSPHERE = 200.0  # K
EQUATOR = 315.0  # K
EQUATOR_TO_POLE = 60.0  # K
STABILITY = 10.0  # K
REFERENCE_PRESSURE = 1e5  # Pa


def equilibrium_temperature(sin_lat: Any, pressure: Any, kappa: float = 2 / 7) -> Array:
    """T_eq [K]; `pressure` is relative to 1000 hPa."""
    sin2 = sin_lat**2
    meridional = EQUATOR - EQUATOR_TO_POLE * sin2 - STABILITY * jnp.log(pressure) * (1 - sin2)
    return jnp.maximum(STRATOSPHERE, meridional * pressure**kappa)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class HeldSuarez:
    """The forcing; made by `held_suarez`. sigma and the rates are [k], non-dimensional."""

    sigma: Array
    friction: Array
    aloft: Array
    surface: Array
    reference_pressure: float = field(metadata={"static": True})

    def grid_tendency(self, equation: Any, grid: GridState) -> GridTendency:
        """Tendencies at the grid points, inside the equation's transforms."""
        cos2 = 1 - grid.sin_lat**2
        pressure = jnp.exp(grid.log_surface_pressure) * (self.sigma / self.reference_pressure)
        wanted = equilibrium_temperature(grid.sin_lat, pressure, equation.constants.kappa)
        rate = self.aloft + self.surface * cos2**2
        excess = grid.temperature_variation + equation.reference_temperature - wanted
        return GridTendency(
            cos_lat_u=-self.friction * grid.cos_lat_u,
            cos_lat_v=-self.friction * grid.cos_lat_v,
            temperature=-rate * excess,
        )


def held_suarez(levels: SigmaLevels, dtype=jnp.float32) -> HeldSuarez:
    """The forcing on `levels`."""
    sigma = levels.centers
    height = np.maximum(0.0, (sigma - BOUNDARY_LAYER) / (1 - BOUNDARY_LAYER))
    per_day = 1 / ATMOSPHERIC.nondim(1.0, "day")
    tables = sigma, FRICTION * per_day * height, np.full_like(sigma, COOLING[0] * per_day)
    surface = (COOLING[1] - COOLING[0]) * per_day * height
    pressure = float(ATMOSPHERIC.nondim(REFERENCE_PRESSURE, "Pa"))
    return HeldSuarez(*(jnp.asarray(table, dtype) for table in (*tables, surface)), pressure)
