"""Solar radiation incident on the top of the atmosphere, computed from the model's time.

    flux = (S + s cos(orbit - perihelion)) max(0, sin(altitude))
    sin(altitude) = cos(lat) cos(d) cos(h) + sin(lat) sin(d)
    d = 23.45 degrees sin(orbit - equinox),  h = day + longitude + equation of time - pi

S = 1361 and s = 47 W m-2, so that the normalised flux S / (S + s) ... has the maximum 1. `orbit` and `day` are the phases
of the year of 365.25 days and of the day since 1979-01-01, reduced to one turn in float32: the released NeuralGCM
models were trained on what float32 leaves of them, some 0.002 rad, so the order of the operations is part of the model.
Sources: NOAA total solar irradiance; the usual formulas of declination, hour angle and equation of time.
Axes: [*nodal] grid axes of the plan, e member.
"""

import datetime
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import Array

from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.gcm.scales import ATMOSPHERIC, Scale

DAYS_PER_YEAR = 365.25
TOTAL_IRRADIANCE = 1361.0  # W m-2, mean over the year
VARIATION = 47.0  # W m-2, half of 6.9 %: the orbit is an ellipse
PERIHELION = 3 * 2 * np.pi / DAYS_PER_YEAR  # 3 January
EQUINOX = 79 * 2 * np.pi / DAYS_PER_YEAR  # 20 March
INCLINATION = 23.45 * np.pi / 180
_MINUTES_PER_DAY = 1440


@dataclass(frozen=True)
class Orbit:
    """Phases [rad] of year and day at time 0, and what they gain in a unit of time without dimension."""

    year_start: float
    day_start: float
    year_rate: float
    day_rate: float


def orbit(reference: np.datetime64, scale: Scale = ATMOSPHERIC) -> Orbit:
    """The orbit for times counted from `reference`, without dimension."""
    when = reference.astype("datetime64[m]").astype(datetime.datetime)
    day = (60 * when.hour + when.minute) / _MINUTES_PER_DAY
    days = datetime.date(when.year, 12, 31).timetuple().tm_yday
    year = (when.timetuple().tm_yday - 1 + day) / days
    rates = (2 * np.pi / scale.nondim(n, "day") for n in (DAYS_PER_YEAR, 1.0))
    return Orbit(2 * np.pi * year, 2 * np.pi * day, *rates)


def _one_turn(phase: Array) -> Array:
    """`phase` less whole turns, in float32 as it comes."""
    turn = np.float32(2 * np.pi)
    return phase - phase // turn * turn


def phases(orbit: Orbit, sim_time: Array) -> tuple[Array, Array]:
    """(phase of the year, phase of the day) [rad] at `sim_time`, float32 without dimension."""
    time = jnp.asarray(sim_time, jnp.float32)
    year = np.float32(orbit.year_start) + np.float32(orbit.year_rate) * time
    day = np.float32(orbit.day_start) + np.float32(orbit.day_rate) * time
    return _one_turn(year), _one_turn(day)


def equation_of_time(year: Array) -> Array:
    """True less mean solar time as a phase of the day [rad]."""
    b = year - np.float32(EQUINOX)
    minutes = 9.87 * jnp.sin(2 * b) - 7.53 * jnp.cos(b) - 1.5 * jnp.sin(b)
    return minutes * np.float32(2 * np.pi / _MINUTES_PER_DAY)


def _longitude(plan: Plan) -> np.ndarray:
    """Radians east of every grid point [*nodal, 1, 1]."""
    return (2 * np.pi / plan.truncation.nlon * plan.geometry.points[0])[..., None, None].astype(np.float32)


def hour_angle(plan: Plan, orbit: Orbit, sim_time: Array) -> Array:
    """Hour angle [rad] of the Sun at the grid points [*nodal, 1, 1]: 0 at local noon, negative before it."""
    year, day = phases(orbit, sim_time)
    return day + equation_of_time(year) + _longitude(plan) - np.float32(np.pi)


def sin_altitude(plan: Plan, orbit: Orbit, sim_time: Array) -> Array:
    """Sine of the Sun's altitude at the grid points [*nodal, 1, 1]."""
    declination = INCLINATION * jnp.sin(phases(orbit, sim_time)[0] - np.float32(EQUINOX))
    sin_lat, cos_lat = plan.rows(plan.sin_lat, 5), plan.rows(plan.cos_lat, 5)
    upright = cos_lat * jnp.cos(declination) * jnp.cos(hour_angle(plan, orbit, sim_time))
    return upright + sin_lat * jnp.sin(declination)


def incident_radiation(plan: Plan, orbit: Orbit, sim_time: Array, *, normalized: bool = True) -> Array:
    """Flux at the grid points [*nodal, 1, 1]: 0 to 1 where `normalized`, else in W m-2."""
    whole = TOTAL_IRRADIANCE + VARIATION if normalized else 1.0
    near = jnp.cos(phases(orbit, sim_time)[0] - np.float32(PERIHELION))
    irradiance = TOTAL_IRRADIANCE / whole + VARIATION / whole * near
    altitude = sin_altitude(plan, orbit, sim_time)
    return irradiance * jnp.maximum(altitude, 0)
