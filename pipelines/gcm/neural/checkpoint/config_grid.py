"""Grids, levels and units of a NeuralGCM model.

Wavenumbers: m zonal < `longitude_wavenumbers`, l total < `total_wavenumbers`. Modal rows are kept in one of two
orders (kernels/sphere/layout.py): "real" is m = 0, +1, -1, +2, ...; "zero_imag" has an empty row after m = 0.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint.nodes import Node, fit, positive

Layout = Literal["real", "zero_imag"]
Spacing = Literal["gauss", "equiangular", "equiangular_with_poles"]
_MOST_LAYERS = 1000
_ORDER = {"linear": 2, "quadratic": 3, "cubic": 4}


@dataclass(frozen=True)
class Grid(Node):
    """A spherical harmonic grid of unit radius."""

    longitude_wavenumbers: int  # M: m = 0 ... M - 1
    total_wavenumbers: int  # L: l = 0 ... L - 1
    longitude_nodes: int
    latitude_nodes: int
    latitude_spacing: Spacing = "gauss"
    longitude_offset: float = 0.0  # rad
    layout: Layout = "real"
    radius: float = 1.0  # in radii of the planet

    def __post_init__(self):
        super().__post_init__()
        sizes = ("longitude_wavenumbers", "total_wavenumbers", "longitude_nodes", "latitude_nodes", "radius")
        positive(self, *sizes)

    @classmethod
    def of_gaussian(cls, max_wavenumber: int, gaussian_nodes: int, **options) -> "Grid":
        """M = max_wavenumber + 1, L = max_wavenumber + 2 on 4 g x 2 g nodes: TL63 is (63, 32), T21 is (21, 16)."""
        return cls(max_wavenumber + 1, max_wavenumber + 2, 4 * gaussian_nodes, 2 * gaussian_nodes, **options)

    @classmethod
    def of_wavenumbers(cls, wavenumbers: int, dealiasing: str = "quadratic", **options) -> "Grid":
        """M = n, L = n + 1 on order n + 1 longitudes, order 2, 3, 4 for linear, quadratic, cubic dealiasing."""
        if not isinstance(dealiasing, str) or dealiasing not in _ORDER:
            raise DataError(f"dealiasing {dealiasing!r}; accepted: {', '.join(_ORDER)}"[:200])
        wavenumbers = fit(wavenumbers, int, "the number of wavenumbers")
        longitudes = _ORDER[dealiasing] * wavenumbers + 1
        return cls(wavenumbers, wavenumbers + 1, longitudes, -(-longitudes // 2), **options)

    @property
    def rows(self) -> int:
        """Modal rows: 2 M - 1, or 2 M with the empty one."""
        return 2 * self.longitude_wavenumbers - (self.layout == "real")

    @property
    def coefficients(self) -> int:
        """Coefficients with |m| <= l: the length of a learned orography vector, the same in both layouts."""
        m = np.arange(self.longitude_wavenumbers)
        kept = np.maximum(self.total_wavenumbers - m, 0)
        return int(kept[0] + 2 * kept[1:].sum())


@dataclass(frozen=True)
class SigmaLevels(Node):
    """Layers of sigma = p / ps from the model's top (0) to the ground (1), by their boundaries."""

    boundaries: tuple[float, ...]

    def __post_init__(self):
        super().__post_init__()
        ends, steps = self.boundaries[:1] + self.boundaries[-1:], np.diff(self.boundaries)
        if ends != (0.0, 1.0) or (steps <= 0).any():
            raise DataError(f"SigmaLevels.boundaries are {str(self.boundaries)[:100]}; they must rise from 0 to 1")

    @classmethod
    def equidistant(cls, layers: int) -> "SigmaLevels":
        """Layers of equal thickness, boundaries in float32 as the original's."""
        layers = fit(layers, int, "the number of layers")
        if not 1 <= layers <= _MOST_LAYERS:
            raise DataError(f"{layers} layers; accepted: 1 to {_MOST_LAYERS}")
        return cls(tuple(float(b) for b in np.linspace(0, 1, layers + 1, dtype=np.float32)))

    @property
    def layers(self) -> int:
        """Number of layers."""
        return len(self.boundaries) - 1


@dataclass(frozen=True)
class Coordinates(Node):
    """Horizontal grid and sigma layers of model states."""

    grid: Grid
    levels: SigmaLevels


@dataclass(frozen=True)
class DataCoordinates(Node):
    """Grid and pressure levels [hPa] of analyses and of output."""

    grid: Grid
    pressure_levels: tuple[float, ...]

    def __post_init__(self):
        super().__post_init__()
        positive(self, "pressure_levels")
        if len(self.pressure_levels) < 2 or (np.diff(self.pressure_levels) <= 0).any():
            raise DataError(f"pressure levels {str(self.pressure_levels)[:100]} hPa; at least two, from the top down")


Scale = Literal["atmospheric", "default"]  # the unit of mass: that of the atmosphere, 5.18e18 kg, or 1 kg
