"""Broad-band AB magnitudes of a spectrum.

Convention (Oke & Gunn 1983; photon-counting detectors): m = -2.5 log10( int f w R dw / int (c / w) R dw ) - 48.60, with f per
angstrom in erg/s/cm2/A and R the response per photon.  The SDSS responses are nodes of Doi et al. 2010, AJ 139, 1628, table 4
(airmass 1.3), joined by straight lines; colours agree with the full table to 0.005 mag.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sciml.pipelines.errors import DataError, SettingsError, suggest

from .indices import shares
from .spectrum import pixel_edges

LIGHT_SPEED_A = 2.99792458e18  # A/s
AB_ZERO = -48.60
PARSEC = 3.0856775814913673e18  # cm

# wavelength [A]: response
SDSS = {
    "u": ((3000, 3060, 3120, 3180, 3260, 3340, 3420, 3520, 3620, 3690, 3740, 3780, 3820, 3860, 3900, 3940, 3980, 4060),
          (0, .005, .0194, .046, .0826, .1098, .1314, .1494, .1586, .1632, .1563, .1416, .1148, .0744, .0407, .0177, .005, 0)),
    "g": ((3780, 3840, 3900, 3960, 4020, 4080, 4160, 4300, 4500, 4760, 5000, 5120, 5220, 5260, 5300, 5340, 5380, 5440, 5500, 5600),
          (.0048, .022, .074, .1484, .2404, .2954, .3512, .3943, .4337, .4586, .4719, .4765, .4625, .4326, .3429, .2013, .0899, .0269,
           .0096, 0)),
    "r": ((5420, 5460, 5500, 5540, 5600, 5680, 5780, 5960, 6160, 6340, 6580, 6620, 6660, 6700, 6740, 6780, 6820, 6880, 6960, 7040),
          (.0043, .0193, .0645, .1411, .2565, .3734, .4282, .4644, .4799, .4992, .4992, .4906, .4603, .3903, .2799, .1593, .0779, .0234,
           .007, 0)),
    "i": ((6700, 6760, 6820, 6860, 6900, 6940, 7000, 7080, 7180, 7300, 7520, 7820, 8040, 8120, 8160, 8200, 8240, 8280, 8340, 8400),
          (.0046, .0226, .0834, .1553, .2377, .3222, .4104, .4648, .4823, .4655, .4306, .3636, .3388, .3215, .2763, .1857, .0874, .036,
           .0094, 0)),
    "z": ((7960, 8060, 8140, 8240, 8340, 8440, 8540, 8660, 8800, 9000, 9200, 9400, 9700, 10000, 10300, 10700, 11100),
          (.0012, .0059, .0171, .0415, .0664, .0824, .0893, .0917, .0854, .0688, .0547, .043, .0276, .0132, .0047, .001, .0001)),
}  # fmt: skip


def read_response(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """A response curve from a text file of two columns, wavelength [A] and response; `#` starts a comment."""
    try:
        wavelength, response = np.loadtxt(path, ndmin=2, usecols=(0, 1)).T
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} is no response curve: {error}", hint="needed: two columns, wavelength [A] and response"
        ) from error
    if len(wavelength) < 3 or (np.diff(wavelength) <= 0).any() or not (response >= 0).all():
        raise DataError(f"{path}: wavelengths must increase and responses be non-negative")
    return wavelength, response


def magnitude(wavelength: np.ndarray, flux: np.ndarray, band: str, responses: Mapping = SDSS) -> np.ndarray:
    """AB magnitude [...] of flux [..., w] in erg/s/cm2/A; NaN where the band reaches beyond the spectrum by over 1 % of its light."""
    if band not in responses:
        raise SettingsError(f'no band "{band}"', hint=suggest(band, responses))
    nodes, values = (np.asarray(part, float) for part in responses[band])
    fine = np.arange(nodes[0], nodes[-1], 1.0)
    lost = (fine < wavelength[0]) | (fine > wavelength[-1])
    whole = np.interp(fine, nodes, values)
    if whole[lost].sum() > 0.01 * whole.sum():
        return np.full(flux.shape[:-1], np.nan)
    response = np.interp(wavelength, nodes, values, left=0.0, right=0.0)
    width = np.diff(pixel_edges(wavelength))
    with np.errstate(divide="ignore", invalid="ignore"):
        used = response > 0
        light = (flux[..., used] * (wavelength * response * width)[used]).sum(-1)
        return -2.5 * np.log10(light / (LIGHT_SPEED_A / wavelength * response * width).sum()) + AB_ZERO


def colour(wavelength: np.ndarray, flux: np.ndarray, bands: tuple[str, str], responses: Mapping = SDSS) -> np.ndarray:
    """Magnitude difference of two bands, e.g. ("g", "r")."""
    return magnitude(wavelength, flux, bands[0], responses) - magnitude(wavelength, flux, bands[1], responses)


def absolute_magnitude(wavelength: np.ndarray, luminosity: np.ndarray, band: str, redshift: float = 0.0) -> np.ndarray:
    """M_AB of a luminosity [..., w] in erg/s/A seen through the band at `redshift`: m - distance modulus, K correction included."""
    observed = wavelength * (1.0 + redshift)
    return magnitude(observed, luminosity / (4 * np.pi * (10 * PARSEC) ** 2 * (1.0 + redshift)), band)


def mean_level(wavelength: np.ndarray, flux: np.ndarray, center: float, width: float) -> np.ndarray:
    """Mean flux [...] in a window of `width` A around `center`."""
    share = shares(wavelength, np.array([center - 0.5 * width, center + 0.5 * width]))
    return (flux * share).sum(-1) / share.sum()
