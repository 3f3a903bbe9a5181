"""The spherical-harmonic transform written down: float64 NumPy, unfolded, the oracle of every faster path.

Real orthonormal harmonics on the unit sphere with the Condon-Shortley phase,
Y = F(longitude) P_lm(sin(lat)), F = 1/sqrt(2 pi) for m = 0, cos(m lon)/sqrt(pi) and sin(m lon)/sqrt(pi) otherwise;
the integral of P_lm^2 over sin(lat) is 1. A field of ones has the coefficient sqrt(4 pi) at l = m = 0.

Axes: s cosine or sine, m zonal wavenumber, l total wavenumber, i longitude, j latitude. Coefficients are x[s, m, l, ...].
"""

import numpy as np


def legendre(zonal: int, total: int, sin_lat: np.ndarray) -> np.ndarray:
    """P[m, j, l], zero where l < m, by the three-term recursion upwards in l (stable).

    The sectoral P_mm underflow to 0 near the poles only where P_lm stays below round-off for every l under 1900.
    """
    cos_lat = np.sqrt((1.0 - sin_lat) * (1.0 + sin_lat))
    table = np.zeros((zonal, total, len(sin_lat)))
    sectoral = np.full(len(sin_lat), np.sqrt(0.5))
    for m in range(zonal):
        if m:
            sectoral = -np.sqrt(1.0 + 0.5 / m) * cos_lat * sectoral
        table[m, m] = sectoral
    for k in range(1, total):
        m = np.arange(min(zonal, total - k))
        square = (m + k) ** 2.0
        below = square - 2 * (m + k) + 1  # (m + k - 1)^2
        rise = np.sqrt((4 * square - 1) / (square - m**2))[:, None]
        fall = np.sqrt((below - m**2) / (4 * below - 1))[:, None]
        before = table[m, m + k - 2] if k > 1 else 0.0
        table[m, m + k] = rise * (sin_lat * table[m, m + k - 1] - fall * before)
    return table.transpose(0, 2, 1)


def fourier(zonal: int, longitude: np.ndarray) -> np.ndarray:
    """F[s, i, m] at `longitude` [i] in radians; the sine row of m = 0 is zero."""
    m = np.arange(zonal)
    angle = longitude[:, None] * m
    table = np.stack([np.cos(angle), np.sin(angle)]) / np.sqrt(np.pi)
    table[0, :, 0] = 1 / np.sqrt(2 * np.pi)
    return table


def _tables(shape: tuple[int, int], nlon: int, sin_lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    zonal, total = shape
    return fourier(zonal, 2 * np.pi * np.arange(nlon) / nlon), legendre(zonal, total, sin_lat)


def synthesis(x: np.ndarray, nlon: int, sin_lat: np.ndarray) -> np.ndarray:
    """Coefficients x[s, m, l, ...] to values [i, j, ...]."""
    f, p = _tables(x.shape[1:3], nlon, sin_lat)
    y = p @ x.reshape(*x.shape[:3], -1)
    return np.einsum("sim,smk->ik", f, y.reshape(*y.shape[:2], -1), optimize=True).reshape(
        nlon, len(sin_lat), *x.shape[3:]
    )


def analysis(z: np.ndarray, zonal: int, total: int, sin_lat: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Values z[i, j, ...] to coefficients [s, m, l, ...]; `weights` [j] integrate over sin(lat)."""
    nlon, nlat = z.shape[:2]
    f, p = _tables((zonal, total), nlon, sin_lat)
    y = np.tensordot(f * (2 * np.pi / nlon), z, axes=(1, 0)).reshape(2, zonal, nlat, -1)
    return ((p * weights[:, None]).transpose(0, 2, 1) @ y).reshape(2, zonal, total, *z.shape[2:])


def _recursion(zonal: int, total: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(l, a, b) with sin(lat) P_l = a_l P_(l-1) + b_l P_(l+1) for the adjoint shift, and m, all [m, l]."""
    m, l = np.meshgrid(np.arange(zonal), np.arange(total), indexing="ij")
    inside = l >= m
    a = np.where(inside, np.sqrt(np.maximum(l**2.0 - m**2, 0) / (4 * l**2.0 - 1)), 0.0)
    a[:, 0] = 0.0
    b = np.where(inside, np.sqrt(np.maximum((l + 1.0) ** 2 - m**2, 0) / (4 * (l + 1.0) ** 2 - 1)), 0.0)
    b[:, -1] = 0.0
    return l, a, b, m


def _shifted(down: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Sum of `down` moved to l - 1 and `up` moved to l + 1, along axis 2."""
    out = np.zeros_like(down)
    out[:, :, :-1] += down[:, :, 1:]
    out[:, :, 1:] += up[:, :, :-1]
    return out


def _columns(table: np.ndarray, x: np.ndarray) -> np.ndarray:
    return table.reshape(1, *table.shape, *[1] * (x.ndim - 3))


def d_dlon(x: np.ndarray) -> np.ndarray:
    """Derivative by longitude."""
    m = np.arange(x.shape[1]).reshape(-1, 1, *[1] * (x.ndim - 3))
    return np.stack([m * x[1], -m * x[0]])


def cos_lat_d_dlat(x: np.ndarray) -> np.ndarray:
    """cos(lat) d/dlat; what would land beyond the last total wavenumber is dropped."""
    l, a, b, _ = _recursion(*x.shape[1:3])
    return _shifted(_columns((l + 1) * a, x) * x, _columns(-l * b, x) * x)


def sec_lat_d_dlat_cos2(x: np.ndarray) -> np.ndarray:
    """1/cos(lat) d/dlat of cos(lat)^2 times the field."""
    l, a, b, _ = _recursion(*x.shape[1:3])
    return _shifted(_columns((l - 1) * a, x) * x, _columns(-(l + 2) * b, x) * x)


def laplacian(x: np.ndarray) -> np.ndarray:
    """Laplacian on the unit sphere: -l (l + 1)."""
    l = np.arange(x.shape[2]).reshape(-1, *[1] * (x.ndim - 3))
    return -l * (l + 1.0) * x
