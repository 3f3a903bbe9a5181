"""Random initial perturbations of an ensemble: rotational wind, smooth in all directions, of a given strength.

A member's vorticity perturbation has independent normal coefficients with the spectrum of a wind that is white up to
wavenumber 12 and falls off beyond, zeta_lm = sqrt(l (l + 1)) exp(-l (l + 1) / (2 * 12 * 13)) n_lm, correlated over
layers a quarter of the atmosphere thick, and scaled so that its rms wind is exactly the one asked for. Wind, because
at these scales mass adjusts to wind and not the other way round, so little of it radiates away as gravity waves.
Member 0 has none, and member n is the same whatever the truncation and the size of the ensemble.
"""

from __future__ import annotations

import numpy as np

LARGEST = 21  # total wavenumber, so that T21 carries all of it
_SCALE = 12 * 13.0
_DEPTH = 0.25  # of sigma


def vorticity(seed: int, member: int, sigma: np.ndarray, wind: float, radius: float) -> np.ndarray:
    """Vorticity coefficients [s-1] of one member, [row, l, k]: rows m = 0, +1, -1, +2, -2 ...; l from 0 to LARGEST.

    The basis is orthonormal on the unit sphere. sigma [k] ascends; wind is the rms [m s-1]; radius [m].
    """
    rows = np.array([0] + [sign * m for m in range(1, LARGEST + 1) for sign in (1, -1)])
    degree = np.arange(LARGEST + 1)
    shape = (len(rows), len(degree), len(sigma))
    if member == 0 or wind == 0:
        return np.zeros(shape)
    draws = np.random.Generator(np.random.Philox(key=[seed, member])).normal(size=shape)
    for k in range(1, len(sigma)):
        same = np.exp(-(sigma[k] - sigma[k - 1]) / _DEPTH)
        draws[..., k] = same * draws[..., k - 1] + np.sqrt(1 - same**2) * draws[..., k]
    eigenvalue = (degree * (degree + 1.0))[None, :, None]
    inside = (np.abs(rows)[:, None] <= degree)[..., None] & (eigenvalue > 0)
    found = np.where(inside, np.sqrt(eigenvalue) * np.exp(-eigenvalue / (2 * _SCALE)) * draws, 0.0)
    # the mean square of the wind is sum(zeta^2 / (l (l + 1))) / 4 pi, in units of radius^2
    square = (found**2 / np.where(eigenvalue > 0, eigenvalue, 1.0)).sum((0, 1)).mean() / (4 * np.pi)
    return found * (wind / (radius * np.sqrt(square)))
