"""An initial state in physical units on the standard grid, before any transform.

Axes: i longitude, j latitude from south to north, k level from the top.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.gcm.dynamics.vertical import SigmaLevels


@dataclass(frozen=True)
class Where:
    """Points at which a case is evaluated: longitude [i] and latitude [j] in radians, sigma [k] of layer centres."""

    longitude: np.ndarray
    latitude: np.ndarray
    sigma: np.ndarray

    @classmethod
    def of(cls, plan: Plan, levels: SigmaLevels | None = None) -> "Where":
        """The grid of `plan` and the layers `levels`; one layer without."""
        sigma = np.ones(1) if levels is None else levels.centers
        return cls(np.radians(plan.longitude), np.radians(plan.latitude), sigma)

    @cached_property
    def lon(self) -> np.ndarray:
        """Longitude [i, 1, 1]."""
        return self.longitude[:, None, None]

    @cached_property
    def lat(self) -> np.ndarray:
        """Latitude [1, j, 1]."""
        return self.latitude[None, :, None]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(i, j, k)."""
        return len(self.longitude), len(self.latitude), len(self.sigma)

    def full(self, values) -> np.ndarray:
        """`values` broadcast to [i, j, k]."""
        return np.broadcast_to(values, self.shape)

    def flat(self, values) -> np.ndarray:
        """`values` broadcast to [i, j, 1]."""
        return np.broadcast_to(values, (*self.shape[:2], 1))

    def distance(self, longitude: float, latitude: float) -> np.ndarray:
        """Great-circle angle to a point, all in radians [i, j, 1]."""
        cosine = np.sin(latitude) * np.sin(self.lat) + np.cos(latitude) * np.cos(self.lat) * np.cos(
            self.lon - longitude
        )
        return np.arccos(np.clip(cosine, -1.0, 1.0))


@dataclass(frozen=True)
class Atmosphere:
    """Initial state of the primitive equations, SI units.

    u, v [m s-1] and temperature [K] are [i, j, k], surface_pressure [Pa] and surface_geopotential [m2 s-2] [i, j, 1],
    tracers [kg kg-1] [i, j, k]; reference_temperature [k] K is the profile about which the model is linearised.
    """

    title: str
    u: np.ndarray
    v: np.ndarray
    temperature: np.ndarray
    surface_pressure: np.ndarray
    surface_geopotential: np.ndarray
    reference_temperature: np.ndarray
    tracers: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Fluid:
    """Initial state of the shallow-water equations, SI units.

    u, v [m s-1], height of the surface and of the bottom [m], all [i, j, 1]; the depth is their difference.
    """

    title: str
    u: np.ndarray
    v: np.ndarray
    height: np.ndarray
    bottom: np.ndarray
