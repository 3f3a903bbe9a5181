"""Spectral indices of rest-frame spectra: the 4000 A break, Lick indices, and equivalent widths in given passbands.

Conventions: breaks are ratios of mean f_nu (Bruzual 1983; narrow: Balogh et al. 1999, ApJ 527, 54); a Lick index is the equivalent
width  I = integral (1 - f / f_c) dw  over its passband, f_c the line through the means of the blue and red bands (Worthey & Ottaviani
1997, ApJS 111, 377; Trager et al. 1998, ApJS 116, 1), absorption positive.  Passbands below are the published ones, in air; spectra in
vacuum are the default and the bands are moved.  Pixels that a band cuts count by their share.  Not corrected to the Lick resolution.

Legend: w wavelength; leading axes of a flux are free.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sciml.pipelines.errors import SettingsError, suggest

from .spectrum import air_to_vacuum, pixel_edges

# name: (blue band, red band), air angstrom
BREAKS = {"dn4000": ((3850.0, 3950.0), (4000.0, 4100.0)), "d4000": ((3750.0, 3950.0), (4050.0, 4250.0))}
# name: (passband, blue continuum, red continuum), air angstrom
LICK = {
    "hdelta_a": ((4083.500, 4122.250), (4041.600, 4081.500), (4128.500, 4161.000)),
    "hdelta_f": ((4091.000, 4112.250), (4057.250, 4088.500), (4114.750, 4137.250)),
    "hgamma_a": ((4319.750, 4363.500), (4283.500, 4319.750), (4367.250, 4419.750)),
    "h_beta": ((4847.875, 4876.625), (4827.875, 4847.875), (4876.625, 4891.625)),
    "mg_b": ((5160.125, 5192.625), (5117.700, 5142.700), (5191.375, 5206.375)),
    "fe_5270": ((5245.650, 5285.650), (5233.150, 5248.150), (5285.650, 5318.150)),
    "fe_5335": ((5312.125, 5352.125), (5304.625, 5317.250), (5353.375, 5363.375)),
}


@dataclass(frozen=True)
class Index:
    """An index [...] and its 1 sigma error [...] (NaN where no error was given); NaN where the spectrum does not cover the bands."""

    value: np.ndarray
    error: np.ndarray


def _band(bounds: tuple[float, float], vacuum: bool) -> np.ndarray:
    return air_to_vacuum(np.array(bounds)) if vacuum else np.array(bounds)


def shares(wavelength: np.ndarray, band: np.ndarray) -> np.ndarray:
    """Angstrom [w] of each pixel that lie in the band; all NaN if the spectrum does not cover it."""
    edges = pixel_edges(wavelength)
    if edges[0] > band[0] or edges[-1] < band[1]:
        return np.full(len(wavelength), np.nan)
    return np.clip(np.minimum(edges[1:], band[1]) - np.maximum(edges[:-1], band[0]), 0.0, None)


def _mean(values: np.ndarray, error: np.ndarray | None, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [...] over a band and its variance; pixels that are NaN make it NaN."""
    used = share > 0  # a NaN outside the band does not matter
    if not used.any():
        nothing = np.full(values.shape[:-1], np.nan)
        return nothing, nothing
    weight = share[used] / share[used].sum()
    mean = (values[..., used] * weight).sum(-1)
    variance = np.full(mean.shape, np.nan) if error is None else ((error[..., used] * weight) ** 2).sum(-1)
    return mean, variance


def break_strength(
    wavelength: np.ndarray,
    flux: np.ndarray,
    error: np.ndarray | None = None,
    *,
    name: str = "dn4000",
    vacuum: bool = True,
) -> Index:
    """Dn4000 or D4000 of flux [..., w] per angstrom: mean f_nu (proportional to f w^2) red of the break over blue of it."""
    if name not in BREAKS:
        raise SettingsError(f'no break "{name}"', hint=suggest(name, BREAKS))
    scale = wavelength**2
    blue, red = (
        _mean(flux * scale, None if error is None else error * scale, shares(wavelength, _band(bounds, vacuum)))
        for bounds in BREAKS[name]
    )
    ratio = red[0] / blue[0]
    return Index(ratio, np.abs(ratio) * np.sqrt(red[1] / red[0] ** 2 + blue[1] / blue[0] ** 2))


def lick_index(
    wavelength: np.ndarray,
    flux: np.ndarray,
    error: np.ndarray | None = None,
    *,
    name: str = "hdelta_a",
    vacuum: bool = True,
) -> Index:
    """A Lick index [A], absorption positive, of flux [..., w]."""
    if name not in LICK:
        raise SettingsError(f'no index "{name}"', hint=suggest(name, LICK))
    return equivalent_width(wavelength, flux, error, bands=LICK[name], vacuum=vacuum)


def equivalent_width(
    wavelength: np.ndarray, flux: np.ndarray, error: np.ndarray | None = None, *, bands, vacuum: bool = True
) -> Index:
    """Equivalent width [A], absorption positive, in `bands` = (passband, blue continuum, red continuum) given in air.

    The error propagates pixel errors of the passband and both continua to first order.
    """
    line, blue_band, red_band = (_band(bounds, vacuum) for bounds in bands)
    blue, blue_variance = _mean(flux, error, shares(wavelength, blue_band))
    red, red_variance = _mean(flux, error, shares(wavelength, red_band))
    blue_at, red_at = blue_band.mean(), red_band.mean()
    share = shares(wavelength, line)
    if np.isnan(share).any():
        nothing = np.full(flux.shape[:-1], np.nan)
        return Index(nothing, nothing)
    used = share > 0
    width, position = share[used], (wavelength[used] - blue_at) / (red_at - blue_at)
    pseudo = blue[..., None] * (1.0 - position) + red[..., None] * position
    depth = flux[..., used] / pseudo
    value = ((1.0 - depth) * width).sum(-1)
    if error is None:
        return Index(value, np.full(value.shape, np.nan))
    own = ((width * error[..., used] / pseudo) ** 2).sum(-1)
    from_blue = (width * depth / pseudo * (1.0 - position)).sum(-1) ** 2 * blue_variance
    from_red = (width * depth / pseudo * position).sum(-1) ** 2 * red_variance
    return Index(value, np.sqrt(own + from_blue + from_red))
