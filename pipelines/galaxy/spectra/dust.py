"""Dust: the attenuation of starburst galaxies (Calzetti) and the extinction of the Milky Way, in the optical.

Convention: A(wavelength) in magnitudes = A_V k(wavelength) / R_V, with k(V) = R_V; wavelengths in vacuum angstrom, rest frame of
the dust.  Sources: Calzetti et al. 2000, ApJ 533, 682, eq. 4 (R_V = 4.05); Cardelli, Clayton & Mathis 1989, ApJ 345, 245, with the
optical coefficients of O'Donnell 1994, ApJ 422, 158 (R_V = 3.1).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sciml.pipelines.errors import SettingsError, suggest

CALZETTI_RV, MILKY_WAY_RV = 4.05, 3.1
V_BAND = 5500.0  # A, where both laws give k = R_V
NEBULAR_TO_STELLAR = 1.0 / 0.44  # E(B-V) of the gas over that of the stars, Calzetti et al. 2000, eq. 3
CASE_B = 2.86  # intrinsic H_alpha/H_beta at 1e4 K and 1e2 cm-3, Osterbrock & Ferland 2006, table 4.4


def calzetti(wavelength: np.ndarray) -> np.ndarray:
    """k(wavelength [A]) of Calzetti et al. (2000) from 1200 A to 2.2 micron; k(5500 A) = 4.05."""
    x = 1e4 / np.asarray(wavelength, float)  # 1/micron
    blue = 2.659 * (-2.156 + 1.509 * x - 0.198 * x**2 + 0.011 * x**3)
    red = 2.659 * (-1.857 + 1.040 * x)
    return np.where(x > 1e4 / 6300.0, blue, red) + CALZETTI_RV


def milky_way(wavelength: np.ndarray, rv: float = MILKY_WAY_RV) -> np.ndarray:
    """k(wavelength [A]) of the mean Milky Way from 3030 A to 3.3 micron; k(1/1.82 micron) = rv."""
    x = 1e4 / np.asarray(wavelength, float)
    y = x - 1.82
    a = np.polyval((-0.505, 1.647, -0.827, -1.718, 1.137, 0.701, -0.609, 0.104, 1.0), y)
    b = np.polyval((3.347, -10.805, 5.491, 11.102, -7.985, -3.989, 2.908, 1.952, 0.0), y)
    infrared = x < 1.1
    a, b = np.where(infrared, 0.574 * x**1.61, a), np.where(infrared, -0.527 * x**1.61, b)
    return rv * a + b


LAWS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "calzetti": (calzetti, CALZETTI_RV),
    "milky-way": (milky_way, MILKY_WAY_RV),
}


def transmission(wavelength: np.ndarray, a_v: np.ndarray | float, law: str = "calzetti") -> np.ndarray:
    """Share of the light [..., w] that passes dust of `a_v` [...] magnitudes in V."""
    if law not in LAWS:
        raise SettingsError(f'no dust law "{law}"', hint=suggest(law, LAWS))
    curve, rv = LAWS[law]
    return 10.0 ** (-0.4 * np.asarray(a_v, float)[..., None] * curve(wavelength) / rv)


def balmer_av(ratio: np.ndarray, law: str = "calzetti", intrinsic: float = CASE_B) -> np.ndarray:
    """A_V [mag] of the gas from the observed H_alpha/H_beta; below the intrinsic ratio it is negative, not clipped."""
    if law not in LAWS:
        raise SettingsError(f'no dust law "{law}"', hint=suggest(law, LAWS))
    curve, rv = LAWS[law]
    k_alpha, k_beta = curve(np.array([6564.61, 4862.68]))
    return rv * 2.5 / (k_beta - k_alpha) * np.log10(np.asarray(ratio, float) / intrinsic)
