"""How the coefficients and the grid of a truncation are folded, and where each folded entry belongs.

Modal arrays are [s, p, q, m', l'] with s cosine or sine, l = P l' + p and m = Q m' + q, where P = 2 when the
latitudes are folded at the equator and Q = 2 when the longitudes are folded by the half turn. Nodal arrays are
[g, r, j'] with g the symmetry copies of a point: hemisphere h, half turn u, mirror image v; r and j' run over the
longitudes and (northern) latitudes that generate the rest. Points that are their own image (the equator, longitudes
0 and 90 degrees) appear twice with half the weight each.

    harmonic at a copy = harmonic at the point * (-1)^(h (l + m) + u m + v s)

Longitude folds: quarter (half turn and mirror, even nlon), half (half turn, even nlon), mirror (any nlon),
none. Padding of m' and j' (for equal shares of several devices) is dead: coefficients zero, weights zero.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sciml.kernels.sphere.grids import Truncation, latitudes

LONGITUDE_FOLDS = {"quarter": (2, 2), "half": (2, 1), "mirror": (1, 2), "none": (1, 1)}


def _up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


@dataclass(frozen=True)
class Geometry:
    """Hashable description of a folded layout; arrays are computed once and are read-only by convention."""

    truncation: Truncation
    grid: str = "gauss"
    fold_latitude: bool = True
    longitude_fold: str = "quarter"
    shares: int = 1

    def __post_init__(self):
        if self.longitude_fold not in LONGITUDE_FOLDS:
            raise ValueError(f"longitude fold {self.longitude_fold!r}; accepted: {', '.join(LONGITUDE_FOLDS)}")
        divisor = self.turns
        if self.truncation.nlon % divisor:
            raise ValueError(
                f"a {self.longitude_fold} fold of {self.truncation.nlon} longitudes: not divisible by {divisor}"
            )

    @property
    def turns(self) -> int:
        """Q: 2 with the half turn folded."""
        return LONGITUDE_FOLDS[self.longitude_fold][0]

    @property
    def mirrors(self) -> int:
        """2 with the mirror image folded."""
        return LONGITUDE_FOLDS[self.longitude_fold][1]

    @property
    def hemispheres(self) -> int:
        """P: 2 with the equator folded."""
        return 2 if self.fold_latitude else 1

    @property
    def modal_shape(self) -> tuple[int, ...]:
        """[s, p, q, m', l']."""
        t = self.truncation
        m = _up(-(-t.zonal // self.turns), self.shares)
        return 2, self.hemispheres, self.turns, m, -(-t.total // self.hemispheres)

    @property
    def rows(self) -> int:
        """Generating longitudes r."""
        n = self.truncation.nlon // self.turns
        return n // 2 + 1 if self.mirrors == 2 else n

    @property
    def nodal_shape(self) -> tuple[int, ...]:
        """[g, r, j']."""
        j = _up(-(-self.truncation.nlat // self.hemispheres), self.shares)
        return self.hemispheres * self.turns * self.mirrors, self.rows, j

    @cached_property
    def wavenumbers(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(l, m, live) over the modal axes; dead entries are padding, l < m and the sine of m = 0."""
        s, p, q, m, n = np.indices(self.modal_shape)
        zonal, total = self.turns * m + q, self.hemispheres * n + p
        live = (
            (zonal < self.truncation.zonal)
            & (total < self.truncation.total)
            & (zonal <= total)
            & ((s == 0) | (zonal > 0))
        )
        return total, zonal, live

    @cached_property
    def sin_lat_weights(self) -> tuple[np.ndarray, np.ndarray]:
        """sin(lat) and weights over j' of the generating latitudes; padding repeats the last with weight 0."""
        sin_lat, weights = latitudes(self.grid, self.truncation.nlat)
        if self.fold_latitude:
            n = -(-self.truncation.nlat // 2)
            sin_lat, weights = sin_lat[-n:], weights[-n:].copy()
            if self.truncation.nlat % 2:
                weights[0] /= 2
        dead = self.nodal_shape[2] - len(sin_lat)
        return np.pad(sin_lat, (0, dead), mode="edge"), np.pad(weights, (0, dead))

    @cached_property
    def longitude_weights(self) -> np.ndarray:
        """Weights over r, with sum times copies = 2 pi."""
        nlon = self.truncation.nlon
        weights = np.full(self.rows, 2 * np.pi / nlon)
        if self.mirrors == 2:
            weights[0] /= 2
            if (nlon // self.turns) % 2 == 0:
                weights[-1] /= 2
        return weights

    @cached_property
    def copies(self) -> np.ndarray:
        """(h, u, v) of each copy g, shape [g, 3]."""
        return np.stack([x.ravel() for x in np.indices((self.hemispheres, self.turns, self.mirrors))], axis=1)

    @cached_property
    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """(longitude index i, latitude index j) of the standard grid for every nodal entry."""
        t = self.truncation
        h, u, v = (self.copies[:, n, None, None] for n in range(3))
        r, j = np.arange(self.rows)[:, None], np.arange(self.nodal_shape[2])
        north = np.minimum(t.nlat - -(-t.nlat // self.hemispheres) + j, t.nlat - 1)
        lon = (np.where(v == 1, -r, r) + u * (t.nlon // 2)) % t.nlon
        lat = np.where(h == 1, t.nlat - 1 - north, north)
        shape = self.nodal_shape
        return np.broadcast_to(lon, shape), np.broadcast_to(lat, shape)

    @cached_property
    def representatives(self) -> np.ndarray:
        """Flat nodal index [i, j] of one entry for every point of the standard grid."""
        t = self.truncation
        lon, lat = self.points
        alive = -(-t.nlat // self.hemispheres)
        index = np.arange(lon.size).reshape(self.nodal_shape)
        found = np.full((t.nlon, t.nlat), -1)
        found[lon[..., :alive], lat[..., :alive]] = index[..., :alive]
        return found

    @cached_property
    def signs(self) -> np.ndarray:
        """Butterfly H[g, b] over the classes b = (s, p, q) of the Fourier sums; s only with the mirror folded.

        Without the half turn the parity of m is no class. The hemispheres are then told apart before the Fourier
        sums (`hemisphere_signs`), and p of a class is the hemisphere itself.
        """
        s, p, q = (x.ravel() for x in np.indices((self.mirrors, self.hemispheres, self.turns)))
        h, u, v = (self.copies[:, n, None] for n in range(3))
        if self.hemisphere_signs is not None:
            return np.where(h == p, np.where(v * s == 1, -1.0, 1.0), 0.0)
        return np.where((h * (p + q) + u * q + v * s) % 2 == 0, 1.0, -1.0)

    @cached_property
    def hemisphere_signs(self) -> np.ndarray | None:
        """(-1)^(h (p + m)) as [h, p, m'] where the equator is folded and the half turn is not, else None."""
        if not (self.fold_latitude and self.turns == 1):
            return None
        h, p, m = np.indices((2, 2, self.modal_shape[3]))
        return np.where(h * (p + m) % 2 == 0, 1.0, -1.0)
