"""A moist analysis on pressure levels computed from formulas, for models that want one where no data are at hand.

Wind, virtual temperature and geopotential are those of the baroclinic wave of Jablonowski & Williamson (2006), whose
surface pressure of 1000 hPa everywhere makes pressure levels of its layers; specific humidity is that of the moist
variant of the test case (Park et al. 2013, Mon. Wea. Rev. 141, 1963-1982: 18 g kg-1 at the equator, falling over 40
degrees and 340 hPa); the sea surface is the "control" aquaplanet of Neale & Hoskins (2000), Atmos. Sci. Lett. 1,
101-107, without ice. Axes: i longitude, j latitude, p pressure level from the top.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.gcm.dynamics.state import CLOUD_ICE, CLOUD_LIQUID, SPECIFIC_HUMIDITY
from sciml.pipelines.gcm.scales import EARTH
from sciml.pipelines.gcm.setups import baroclinic
from sciml.pipelines.gcm.setups.case import Where

TITLE = "simulated analysis (moist Jablonowski-Williamson wave over an aquaplanet)"
MOISTEST = 0.018  # kg kg-1
WIDTH, DEPTH = 2 * np.pi / 9, 34000.0  # rad, Pa
TROPOPAUSE, DRY = 0.1, 1e-12  # p / 1000 hPa above which the air holds DRY kg kg-1
WARMEST, EDGE = 27.0, np.pi / 3  # degC at the equator, latitude poleward of which the sea is at 0 degC


def humidity(latitude: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """Specific humidity [kg kg-1] at latitude [rad] and eta = p / 1000 hPa."""
    depth = (eta - 1) * baroclinic.SURFACE_PRESSURE / DEPTH
    return np.where(eta < TROPOPAUSE, DRY, MOISTEST * np.exp(-((latitude / WIDTH) ** 4)) * np.exp(-(depth**2)))


def pressure_level_fields(plan: Plan, pressures: np.ndarray) -> dict[str, np.ndarray]:
    """Every input of a NeuralGCM model [i, j, p] in SI units at ascending `pressures` [p] hPa, by WeatherBench2 names."""
    eta = 100.0 * np.asarray(pressures, dtype=np.float64) / baroclinic.SURFACE_PRESSURE
    where = Where(np.radians(plan.longitude), np.radians(plan.latitude), eta)
    wave = baroclinic.baroclinic_wave(where)
    moisture = where.full(humidity(where.lat, eta))
    ratio = EARTH.gas_constant_vapor / EARTH.gas_constant - 1
    return {
        "geopotential": where.full(baroclinic.geopotential(where.lat, eta)),
        "u_component_of_wind": wave.u,
        "v_component_of_wind": wave.v,
        "temperature": wave.temperature / (1 + ratio * moisture),
        SPECIFIC_HUMIDITY: moisture,
        CLOUD_ICE: where.full(0.0),
        CLOUD_LIQUID: where.full(0.0),
    }


def sea_surface(plan: Plan) -> dict[str, np.ndarray]:
    """Sea surface temperature [K] and sea ice cover [1], both [i, j]."""
    latitude = np.broadcast_to(np.radians(plan.latitude), (len(plan.longitude), len(plan.latitude)))
    warm = WARMEST * (1 - np.sin(1.5 * latitude) ** 2)
    return {
        "sea_surface_temperature": 273.15 + np.where(np.abs(latitude) < EDGE, warm, 0.0),
        "sea_ice_cover": np.zeros(latitude.shape),
    }


def ground(plan: Any) -> dict[str, np.ndarray]:
    """Surface geopotential [m2 s-2] in balance with the wave, and a land-sea mask without land, both [i, j].

    `plan` is anything with `longitude` [i] and `latitude` [j] in degrees.
    """
    latitude = np.broadcast_to(np.radians(plan.latitude), (len(plan.longitude), len(plan.latitude)))
    return {
        "geopotential_at_surface": baroclinic.geopotential(latitude, np.ones(1)),
        "land_sea_mask": np.zeros(latitude.shape),
    }
