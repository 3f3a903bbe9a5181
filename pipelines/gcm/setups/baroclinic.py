"""Balanced zonal flow on a dry sphere and the wave that grows from a perturbation of its jet.

With eta = p / ps and eta_v = (eta - 0.252) pi / 2 the wind is u0 cos^(3/2)(eta_v) sin^2(2 lat); temperature and
geopotential are in exact gradient-wind and hydrostatic balance with it, and the surface pressure is 1000 hPa everywhere.
Source: Jablonowski & Williamson (2006), Q. J. R. Meteorol. Soc. 132, 2943-2975, equations (2)-(10).
"""

import numpy as np

from sciml.pipelines.gcm.scales import EARTH
from sciml.pipelines.gcm.setups.case import Atmosphere, Where

SURFACE_PRESSURE = 1e5  # Pa
JET = 35.0  # m s-1, u0
SURFACE_TEMPERATURE = 288.0  # K, T0
LAPSE_RATE = 0.005  # K m-1
TROPOPAUSE = 0.2  # eta_t
STRATOSPHERE = 4.8e5  # K, Delta T
JET_LEVEL = 0.252  # eta_0
PERTURBATION = 1.0  # m s-1
PERTURBATION_PLACE = np.pi / 9, 2 * np.pi / 9  # longitude, latitude
PERTURBATION_RADIUS = 0.1  # of the planet's


def mean_temperature(eta: np.ndarray) -> np.ndarray:
    """Horizontal mean temperature [K]."""
    power = EARTH.gas_constant * LAPSE_RATE / EARTH.gravity
    above = np.maximum(TROPOPAUSE - eta, 0.0)
    return SURFACE_TEMPERATURE * eta**power + STRATOSPHERE * above**5


def mean_geopotential(eta: np.ndarray) -> np.ndarray:
    """Horizontal mean geopotential [m2 s-2]."""
    power = EARTH.gas_constant * LAPSE_RATE / EARTH.gravity
    t, low = TROPOPAUSE, np.minimum(eta, TROPOPAUSE)
    polynomial = (np.log(low / t) + 137 / 60) * t**5 - 5 * t**4 * low + 5 * t**3 * low**2
    polynomial += -10 / 3 * t**2 * low**3 + 5 / 4 * t * low**4 - low**5 / 5
    column = SURFACE_TEMPERATURE * EARTH.gravity / LAPSE_RATE * (1 - eta**power)
    return column - EARTH.gas_constant * STRATOSPHERE * np.where(eta < t, polynomial, 0.0)


def _angle(eta: np.ndarray) -> np.ndarray:
    return (eta - JET_LEVEL) * np.pi / 2


def _meridional(latitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(quadratic, Coriolis) dependence on latitude of the geopotential, [1] and [m s-1]."""
    sin, cos = np.sin(latitude), np.cos(latitude)
    quadratic = -2 * sin**6 * (cos**2 + 1 / 3) + 10 / 63
    coriolis = (8 / 5 * cos**3 * (sin**2 + 2 / 3) - np.pi / 4) * EARTH.radius * EARTH.angular_velocity
    return quadratic, coriolis


def geopotential(latitude: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """Geopotential [m2 s-2]; at eta = 1 that of the surface."""
    quadratic, coriolis = _meridional(latitude)
    speed = JET * np.cos(_angle(eta)) ** 1.5
    return mean_geopotential(eta) + speed * (quadratic * speed + coriolis)


def temperature(latitude: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """Temperature [K]."""
    quadratic, coriolis = _meridional(latitude)
    angle = _angle(eta)
    shear = 0.75 * eta * np.pi * JET / EARTH.gas_constant * np.sin(angle) * np.sqrt(np.cos(angle))
    return mean_temperature(eta) + shear * (quadratic * 2 * JET * np.cos(angle) ** 1.5 + coriolis)


def steady_state(where: Where, seed: int = 0) -> Atmosphere:
    """The balanced flow, which stays as it is."""
    eta = where.sigma
    wind = JET * np.cos(_angle(eta)) ** 1.5 * np.sin(2 * where.lat) ** 2
    return Atmosphere(
        title="Jablonowski-Williamson steady state",
        u=where.full(wind),
        v=where.full(0.0),
        temperature=where.full(temperature(where.lat, eta)),
        surface_pressure=where.flat(SURFACE_PRESSURE),
        surface_geopotential=where.flat(geopotential(where.lat, np.ones(1))),
        reference_temperature=mean_temperature(eta),
    )


def baroclinic_wave(where: Where, seed: int = 0) -> Atmosphere:
    """The balanced flow with a perturbation of 1 m s-1 in the northern jet, a deep wave after eight days."""
    still = steady_state(where)
    distance = where.distance(*PERTURBATION_PLACE) / PERTURBATION_RADIUS
    u = still.u + PERTURBATION * np.exp(-(distance**2))
    return Atmosphere(**{**vars(still), "title": "Jablonowski-Williamson baroclinic wave", "u": u})
