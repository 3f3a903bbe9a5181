"""The tables of a folded transform in float64 NumPy, for every framework; see geometry.py for the layout.

Axes: [s, p, q, m', l'] modal, [g, r, j'] nodal.
"""

from dataclasses import dataclass

import numpy as np

from sciml.kernels.sphere import reference
from sciml.kernels.sphere.geometry import Geometry


@dataclass(frozen=True)
class FoldedTables:
    """legendre [s, p, q, m', j', l'], fourier [s, p, q, r, m'] or [p, q, r, (s m')] and the butterfly [g, b].

    The `_weighted` ones carry the quadrature weights and have their last two axes swapped: an analysis sums over those of
    longitude and latitude. hemisphere [h, p, m'] only where the half turn is not folded.
    """

    legendre: np.ndarray
    legendre_weighted: np.ndarray
    fourier: np.ndarray
    fourier_weighted: np.ndarray
    butterfly: np.ndarray
    hemisphere: np.ndarray | None


def transform_tables(geometry: Geometry) -> FoldedTables:
    """All tables of a synthesis and an analysis."""
    legendre, fourier = _legendre(geometry), _fourier(geometry)
    weighted = legendre * geometry.sin_lat_weights[1][:, None]
    fourier_weighted = fourier * geometry.longitude_weights[:, None]
    if geometry.mirrors == 1:  # cosine and sine are one sum
        fourier, fourier_weighted = (
            f.transpose(1, 2, 3, 0, 4).reshape(*f.shape[1:4], -1) for f in (fourier, fourier_weighted)
        )
    weighted, fourier_weighted = (np.swapaxes(f, -1, -2) for f in (weighted, fourier_weighted))
    return FoldedTables(legendre, weighted, fourier, fourier_weighted, geometry.signs, geometry.hemisphere_signs)


def _legendre(geometry: Geometry) -> np.ndarray:
    """P [s, p, q, m', j', l'], 0 at dead entries."""
    t, (_, p, q, m, n) = geometry.truncation, geometry.modal_shape
    table = reference.legendre(t.zonal, t.total, geometry.sin_lat_weights[0])
    table = np.pad(table, ((0, q * m - t.zonal), (0, 0), (0, p * n - t.total)))
    table = table.reshape(m, q, -1, n, p).transpose(4, 1, 0, 2, 3)
    live = geometry.wavenumbers[2]
    return np.where(live[:, :, :, :, None, :], table[None], 0.0)


def _fourier(geometry: Geometry) -> np.ndarray:
    """F [s, p, q, r, m'], 0 at dead entries."""
    t, (s, p, q, m, _) = geometry.truncation, geometry.modal_shape
    longitude = 2 * np.pi * np.arange(geometry.rows) / t.nlon
    table = np.pad(reference.fourier(t.zonal, longitude), ((0, 0), (0, 0), (0, q * m - t.zonal)))
    table[1, :, 0] = 0.0
    table = table.reshape(s, geometry.rows, m, q).transpose(0, 3, 1, 2)[:, None]
    return np.broadcast_to(table, (s, p, q, geometry.rows, m)).copy()


def latitude_tables(geometry: Geometry) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """sin(lat) [g, 1, j'], cos(lat) and 1/cos(lat)^2 [1, 1, j'], the last 0 at the poles."""
    sin_lat = geometry.sin_lat_weights[0]
    southern = np.where(geometry.copies[:, 0] == 1, -1.0, 1.0).reshape(-1, 1, 1)
    cos2 = (1 - sin_lat) * (1 + sin_lat)
    sec2 = np.where(cos2 > 1e-12, 1 / np.where(cos2 > 1e-12, cos2, 1.0), 0.0)
    return southern * sin_lat, np.sqrt(cos2)[None, None, :], sec2[None, None, :]


def operator_tables(geometry: Geometry) -> dict[str, np.ndarray]:
    """Tables [*modal, 1] of the spectral operators, see operators.py; all zero at dead entries."""
    total, zonal, live = geometry.wavenumbers
    l, m = total.astype(np.float64), zonal.astype(np.float64)
    one = np.where(live, 1.0, 0.0)
    a = one * np.sqrt(np.maximum(l**2 - m**2, 0) / (4 * l**2 - 1) * (l > 0))
    b = one * np.sqrt(np.maximum((l + 1) ** 2 - m**2, 0) / (4 * (l + 1) ** 2 - 1))
    b = np.where(total < geometry.truncation.total - 1, b, 0.0)
    sign = np.where(np.arange(2) == 0, 1.0, -1.0).reshape(2, 1, 1, 1, 1)
    inverse = -one / np.where(total > 0, l * (l + 1), 1.0) * (total > 0)
    tables = {
        "zonal": sign * m * one,
        "gradient_down": (l + 1) * a,
        "gradient_up": -l * b,
        "divergence_down": (l - 1) * a,
        "divergence_up": -(l + 2) * b,
        "laplacian": -l * (l + 1) * one,
        "inverse_laplacian": inverse,
    }
    return {name: table[..., None] for name, table in tables.items()}
