"""Lines, colours and indices measured from real SDSS spectra, beside the values of the survey's own catalogue.

For each line of signal-to-noise over 5 the ratio of our flux to SPZLINE's LINEAREA, of our equivalent width to LINEEW / (1 + z), and of
the errors; for colours the difference to SPECTROSYNFLUX [mag]; for indices the difference between the data and the fitted stars.
Scatter is 1.4826 times the median absolute deviation.

Two ratios differ from 1 for reasons the table shows:

    H alpha, equivalent width (0.82)  LINECONTLEVEL is the survey's stellar template at the very centre of the line, at the bottom of the
                                      Balmer absorption; ours is the continuum beside it. "level in the absorption" divides by our
                                      own stars at the centre, too, and agrees; metal lines have no such trough and agree as they are.
    H beta, flux (1.25)               the survey's template has too shallow an absorption there: galaxies without any other line have
                                      a significant negative H beta in SPZLINE. "h_beta ew without emission" puts both side by side; ours
                                      is about 0. The difference, about an angstrom, is a good part of lines of 2 A.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy.bench_settings import BenchGalaxy
from sciml.pipelines.progress import Progress
from sciml.pipelines.readers.sdss import read_spectrum

from ..spectra.continuum import fit_continuum
from ..spectra.indices import break_strength, lick_index
from ..spectra.lines import BALMER, LINES, measure_lines
from ..spectra.photometry import magnitude
from ..spectra.spectrum import to_rest
from ..spectra.ssp import read_bc03

OFFICIAL = {
    "h_alpha": "H_alpha", "h_beta": "H_beta", "oiii_5007": "[O_III] 5007", "nii_6584": "[N_II] 6583",
    "sii_6717": "[S_II] 6716", "sii_6731": "[S_II] 6730",
}  # fmt: skip
_SIGNAL = 5.0  # least signal-to-noise of a catalogue line
_INSTRUMENT, _LEAST_SIGMA = 65.0, 60.0  # km/s
_CORE = 1.5  # A from a line: the bottom of its absorption
_BESIDE = 15.0, 35.0  # A from a line: what `measure_lines` calls its continuum
_NO_EMISSION = ("H_alpha", "[O_III] 5007", "[S_II] 6716", "[S_II] 6730")  # lines below _SIGNAL in a galaxy without gas


def measure(settings: BenchGalaxy, progress: Progress | None = None) -> Iterator[dict[str, Any]]:
    """`rows` as the command asks for them."""
    yield from rows(settings.data)


def rows(data: Path) -> list[dict[str, Any]]:
    """One row per quantity over the spectra in `data`/sdss_matched10: quantity, n, median, scatter; DataError if there are none."""
    files = sorted((Path(data) / "sdss_matched10" / "spectra").glob("*.fits"))
    if not files:
        raise DataError(f"{data}: no sdss_matched10/spectra/*.fits", hint="give the folder of the real galaxy data")
    grid = read_bc03(Path(data) / "ssp_small" / "bc03_mpajhu")
    found: dict[str, list[float]] = {}
    for path in files:
        for name, value in _one(read_spectrum(path), grid):
            found.setdefault(name, []).append(value)
    return [_row(name, np.array(values)) for name, values in found.items()]


def _row(name: str, values: np.ndarray) -> dict[str, Any]:
    values = values[np.isfinite(values)]
    middle = float(np.median(values))
    return {
        "quantity": name,
        "n": len(values),
        "median": middle,
        "scatter": 1.4826 * float(np.median(np.abs(values - middle))),
    }


def _one(spectrum, grid) -> list[tuple[str, float]]:
    """(quantity, value) of one spectrum."""
    good = spectrum.ivar > 0
    error = np.where(good, 1 / np.sqrt(np.where(good, spectrum.ivar, 1.0)), np.nan)
    wave, flux, error = to_rest(spectrum.wavelength, spectrum.flux, spectrum.redshift, error)
    sigma = max(float(spectrum.row["VDISP"]), _LEAST_SIGMA)
    stars = fit_continuum(wave, flux, error, grid, sigma=sigma).flux
    lines = measure_lines(wave, flux, error, continuum=stars, instrument=_INSTRUMENT)
    out = []
    for name, official in OFFICIAL.items():
        row = spectrum.lines.loc[official]
        if name in lines and row["LINEAREA"] > _SIGNAL * row["LINEAREA_ERR"] > 0:
            ours = lines[name]
            out += [
                (f"{name} flux ratio", ours.flux / row["LINEAREA"]),
                (f"{name} ew ratio", ours.ew / (row["LINEEW"] / (1 + spectrum.redshift))),
                (f"{name} error ratio", ours.flux_error / row["LINEAREA_ERR"]),
            ]
            if name in BALMER:
                level = ours.continuum + _trough(wave, stars, LINES[name])
                ratio = ours.flux / level / (row["LINEEW"] / (1 + spectrum.redshift))
                out.append((f"{name} ew ratio, level in the absorption", ratio))
    out += _without_emission(spectrum, lines)
    model = np.asarray(stars)
    out.append(("dn4000 data - stars", break_strength(wave, flux, error).value - break_strength(wave, model).value))
    out.append(("hdelta_a data - stars [A]", lick_index(wave, flux, error).value - lick_index(wave, model).value))
    return out + _colours(spectrum)


def _trough(wave: np.ndarray, stars: np.ndarray, center: float) -> float:
    """How far the stars at a line lie above the stars beside it: negative in an absorption."""
    distance = np.abs(wave - center)
    beside = (distance > _BESIDE[0]) & (distance < _BESIDE[1])
    return float(np.nanmean(stars[distance < _CORE]) - np.nanmean(stars[beside]))


def _without_emission(spectrum, lines) -> list[tuple[str, float]]:
    """H beta [A] of a galaxy that has no other line: what is left of it is the error of the stars beneath."""
    others = spectrum.lines.loc[list(_NO_EMISSION)]
    if "h_beta" not in lines or (others["LINEAREA"] > _SIGNAL * others["LINEAREA_ERR"]).any():
        return []
    official = spectrum.lines.loc["H_beta", "LINEEW"] / (1 + spectrum.redshift)
    name = "h_beta ew without emission"
    return [(f"{name} [A]", lines["h_beta"].ew), (f"{name}, survey [A]", official)]


def _colours(spectrum) -> list[tuple[str, float]]:
    flux = np.nan_to_num(spectrum.flux) * 1e-17
    ours = [float(magnitude(spectrum.wavelength, flux, band)) for band in "gri"]
    official = [22.5 - 2.5 * np.log10(float(spectrum.row[f"SPECTROSYNFLUX_{k}"])) for k in (1, 2, 3)]
    return [
        ("g - r [mag]", ours[0] - ours[1] - (official[0] - official[1])),
        ("r - i [mag]", ours[1] - ours[2] - (official[1] - official[2])),
    ]
