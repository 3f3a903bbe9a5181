"""Wavelength scales of a spectrum: air and vacuum, rest and observed frame, resampling, velocity broadening.

Convention: wavelengths are vacuum, in angstrom; flux is a density per angstrom, so that flux(rest) = flux(observed) (1 + z) at
wavelength / (1 + z) keeps the integral over a line.  A velocity shift is a shift of ln(wavelength): broadening by a Gaussian of
dispersion sigma is a convolution on a grid of constant step in log10(wavelength), done with the exact transfer function
exp(-(2 pi f s)^2 / 2), s = sigma / (c ln(10) step) pixels, of the Fourier transform.

Source of the air scale: Morton 1991, ApJS 77, 119 (as used by SDSS).

Legend: w wavelength; leading axes are free.
"""

from __future__ import annotations

import numpy as np

from sciml.pipelines.errors import DataError, SettingsError

LIGHT_SPEED = 299792.458  # km/s
SDSS_STEP = 1e-4  # log10(angstrom) per pixel of SDSS spectra: 69.03 km/s


def vacuum_to_air(wavelength: np.ndarray) -> np.ndarray:
    """Air wavelength [A] of a vacuum wavelength [A] (Morton 1991, eq. of the IAU standard; valid above 2000 A)."""
    vacuum = np.asarray(wavelength, float)
    return vacuum / (1.0 + 2.735182e-4 + 131.4182 / vacuum**2 + 2.76249e8 / vacuum**4)


def air_to_vacuum(wavelength: np.ndarray) -> np.ndarray:
    """Vacuum wavelength [A] of an air wavelength [A]: the inverse of `vacuum_to_air`, by iteration, to 1e-9 A."""
    air = np.asarray(wavelength, float)
    vacuum = air
    for _ in range(4):  # the correction varies by 1e-7 per angstrom: each round gains six digits
        vacuum = vacuum + (air - vacuum_to_air(vacuum))
    return vacuum


def to_rest(
    wavelength: np.ndarray, flux: np.ndarray, redshift: float, error: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Rest-frame (wavelength, flux, error) of an observed spectrum: line fluxes stay as observed, widths shrink by 1 + z."""
    stretch = 1.0 + redshift
    return wavelength / stretch, flux * stretch, None if error is None else error * stretch


def log_grid(first: float, last: float, step: float = SDSS_STEP) -> np.ndarray:
    """Pixel centres [A] from `first` to at most `last`, equidistant in log10(wavelength) by `step`."""
    if not 0 < first < last:
        raise SettingsError(f"a wavelength grid from {first:g} to {last:g} A is empty; give 0 < first < last")
    return first * 10.0 ** (step * np.arange(int(np.log10(last / first) / step) + 1))


def pixel_edges(wavelength: np.ndarray) -> np.ndarray:
    """Edges [w + 1] of the pixels with the given centres [w]: half way between centres."""
    if wavelength.ndim != 1 or len(wavelength) < 2 or not (np.diff(wavelength) > 0).all():
        raise DataError("wavelengths must be one increasing row of at least two pixels", hint="sort the spectrum")
    middle = 0.5 * (wavelength[1:] + wavelength[:-1])
    return np.concatenate(
        ([1.5 * wavelength[0] - 0.5 * wavelength[1]], middle, [1.5 * wavelength[-1] - 0.5 * wavelength[-2]])
    )


def resample(wavelength: np.ndarray, flux: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Flux [..., target] on the centres `target`, keeping the integral over every new pixel.

    The spectrum is taken as constant within a pixel; new pixels that reach beyond it are NaN.
    """
    old, new = pixel_edges(wavelength), pixel_edges(target)
    integral = np.concatenate((np.zeros((*flux.shape[:-1], 1)), np.cumsum(flux * np.diff(old), axis=-1)), axis=-1)
    place = np.clip(np.searchsorted(old, new, side="right") - 1, 0, len(wavelength) - 1)
    at_edges = integral[..., place] + flux[..., place] * (new - old[place])
    mean = np.diff(at_edges, axis=-1) / np.diff(new)
    beyond = (new[:-1] < old[0] * (1 - 1e-12)) | (new[1:] > old[-1] * (1 + 1e-12))
    return np.where(beyond, np.nan, mean)


def broaden(flux: np.ndarray, sigma: np.ndarray | float, step: float = SDSS_STEP) -> np.ndarray:
    """Spectrum [..., w] on a logarithmic grid, convolved with a Gaussian of `sigma` km/s (a scalar or one per spectrum [...]).

    The ends are mirrored, so that a constant spectrum stays constant and a line inside keeps its flux.
    """
    flux = np.asarray(flux, float)
    pixels = np.asarray(sigma, float)[..., None] / (LIGHT_SPEED * np.log(10.0) * step)
    if not (pixels >= 0).all():
        raise SettingsError("a velocity dispersion is negative or not a number", hint="give sigma >= 0 km/s")
    count = flux.shape[-1]
    margin = min(count - 1, int(np.ceil(6 * pixels.max(initial=0))) + 1)
    padded = np.pad(flux, [(0, 0)] * (flux.ndim - 1) + [(margin, margin)], mode="symmetric")
    frequency = np.fft.rfftfreq(padded.shape[-1])
    transfer = np.exp(-2.0 * (np.pi * frequency * pixels) ** 2)
    smooth = np.fft.irfft(np.fft.rfft(padded) * transfer, n=padded.shape[-1])
    return smooth[..., margin : margin + count]


def instrument_sigma(resolution: float) -> float:
    """Dispersion [km/s] of a line seen at resolving power R = wavelength / FWHM."""
    return LIGHT_SPEED / (resolution * 2.3548200450309493)
