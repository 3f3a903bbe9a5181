"""Classical initial states of the shallow-water equations.

Sources: Williamson et al. (1992), J. Comput. Phys. 102, cases 2 and 5; Galewsky, Scott & Polvani (2004), Tellus 56A.
"""

import numpy as np
from scipy.integrate import quad

from sciml.pipelines.gcm.scales import EARTH
from sciml.pipelines.gcm.setups.case import Fluid, Where

_DAY = 86400.0


def _balanced(where: Where, speed: float, mean: float) -> np.ndarray:
    """Height [m] [i, j, 1] in balance with the solid-body wind speed cos(lat); `mean` at the equator."""
    drop = (EARTH.radius * EARTH.angular_velocity * speed + speed**2 / 2) / EARTH.gravity
    return where.flat(mean - drop * np.sin(where.lat) ** 2)


def williamson2(where: Where, seed: int = 0) -> Fluid:
    """Steady zonal flow in geostrophic balance, once around in 12 days."""
    speed = 2 * np.pi * EARTH.radius / (12 * _DAY)
    height = _balanced(where, speed, 2.94e4 / EARTH.gravity)
    wind = where.flat(speed * np.cos(where.lat))
    return Fluid("Williamson 2, steady zonal flow", wind, where.flat(0.0), height, where.flat(0.0))


def williamson5(where: Where, seed: int = 0) -> Fluid:
    """Zonal flow of 20 m s-1 over a conical mountain of 2000 m at 90 W, 30 N."""
    speed, radius = 20.0, np.pi / 9
    east = np.remainder(where.lon - 3 * np.pi / 2 + np.pi, 2 * np.pi) - np.pi
    distance = np.minimum(np.sqrt(east**2 + (where.lat - np.pi / 6) ** 2), radius)
    bottom = where.flat(2000.0 * (1 - distance / radius))
    wind = where.flat(speed * np.cos(where.lat))
    return Fluid("Williamson 5, flow over a mountain", wind, where.flat(0.0), _balanced(where, speed, 5960.0), bottom)


_SOUTH, _NORTH = np.pi / 7, np.pi / 2 - np.pi / 7


def _jet(latitude: float | np.ndarray) -> np.ndarray:
    """Wind of the Galewsky jet [m s-1], 80 at its centre and exactly 0 outside."""
    inside = (np.asarray(latitude) > _SOUTH) & (np.asarray(latitude) < _NORTH)
    product = np.where(inside, (latitude - _SOUTH) * (latitude - _NORTH), -1.0)
    return np.where(inside, 80.0 * np.exp(1 / product + 4 / (_NORTH - _SOUTH) ** 2), 0.0)


def _slope(latitude: float) -> float:
    """-d(g h)/d(lat) in balance with the jet."""
    u = _jet(latitude)
    return float(u * (2 * EARTH.radius * EARTH.angular_velocity * np.sin(latitude) + np.tan(latitude) * u))


def galewsky(where: Where, seed: int = 0) -> Fluid:
    """Barotropically unstable jet at 45 N with a bump of 120 m in height; mean height 10 km."""
    edges = np.concatenate([[-np.pi / 2], where.latitude])
    pieces = [quad(_slope, a, b, epsabs=1e-9, epsrel=1e-12)[0] for a, b in zip(edges[:-1], edges[1:], strict=True)]
    height = -np.cumsum(pieces) / EARTH.gravity
    # The mean over the sphere is an integral over all latitudes, not over the grid's.
    fine = np.linspace(-np.pi / 2, np.pi / 2, 20001)
    slope = np.array([_slope(one) for one in fine])
    profile = -np.concatenate([[0.0], np.cumsum((slope[1:] + slope[:-1]) / 2 * np.diff(fine))]) / EARTH.gravity
    mean = np.trapezoid(profile * np.cos(fine), fine) / 2
    east = np.remainder(where.lon + np.pi, 2 * np.pi) - np.pi
    bump = 120.0 * np.cos(where.lat) * np.exp(-((3 * east) ** 2)) * np.exp(-((15 * (np.pi / 4 - where.lat)) ** 2))
    return Fluid(
        "Galewsky barotropic instability",
        where.flat(_jet(where.lat)),
        where.flat(0.0),
        where.flat(10000.0 - mean + height[None, :, None]) + bump,
        where.flat(0.0),
    )
