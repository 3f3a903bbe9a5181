"""Emission lines of photoionised gas, from a CLOUDY grid in the layout of FSPS (`nebular/ZAU_*.lines`).

Layout: a comment "#166 cols 770 rows 11 logZ 10 Age 7 logU", the vacuum wavelengths [A], then pairs of rows: log(Z/Z_sun), age [yr]
of the ionising population, log U; and the luminosity of each line in L_sun per ionising photon per second.  Source: Byler et al.
2017, ApJ 840, 44.  Photon rates: case B (Osterbrock & Ferland 2006) and the calibration of Kennicutt & Evans 2012, ARA&A 50, 531.

Legend: z metallicity, a age, u ionisation parameter, l line, n object.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sciml.pipelines.errors import DataError, SettingsError, suggest

from .lines import LINES

SFR_TO_HALPHA = 10.0**41.27  # erg/s per M_sun/yr (Kroupa IMF), Kennicutt & Evans 2012, table 1
HALPHA_PER_PHOTON = 1.37e-12  # erg per ionising photon, case B at 1e4 K, Osterbrock & Ferland 2006


@dataclass(frozen=True)
class NebularGrid:
    """`luminosity` [z, a, u, l] in L_sun per (photon/s) at `log_z`, `age` [yr], `log_u` and vacuum `wavelength` [l]."""

    wavelength: np.ndarray
    log_z: np.ndarray
    age: np.ndarray
    log_u: np.ndarray
    luminosity: np.ndarray

    def column(self, line: str) -> int:
        """Index of a line of `lines.LINES` in the grid (nearest within 1 A)."""
        if line not in LINES:
            raise SettingsError(f'no line "{line}"', hint=suggest(line, LINES))
        place = int(np.abs(self.wavelength - LINES[line]).argmin())
        if abs(self.wavelength[place] - LINES[line]) > 1.0:
            raise DataError(
                f"the nebular grid has no {line} at {LINES[line]:.1f} A; nearest {self.wavelength[place]:.1f}"
            )
        return place

    def lines(self, names: tuple[str, ...], log_z, log_u, age=2e6) -> np.ndarray:
        """Luminosity [n, line] per ionising photon of gas with `log_z` [n], `log_u` [n] lit by stars of `age` yr.

        Interpolated linearly in the logarithm of the luminosity, log Z, log U and log age; the edges of the grid hold.
        """
        values = self.luminosity[..., [self.column(name) for name in names]]
        logs = np.log(np.maximum(values, 1e-60))
        log_z, log_u, age = np.broadcast_arrays(np.atleast_1d(log_z), np.atleast_1d(log_u), np.atleast_1d(age))
        axes = (self.log_z, np.log10(self.age), self.log_u)
        total = 0.0
        parts = [_bracket(axis, x) for axis, x in zip(axes, (log_z, np.log10(age), log_u), strict=True)]
        for k in range(8):
            chosen = [part[k >> bit & 1] for bit, part in enumerate(parts)]
            weight = chosen[0][1] * chosen[1][1] * chosen[2][1]
            total = total + weight[:, None] * logs[chosen[0][0], chosen[1][0], chosen[2][0]]
        return np.exp(total)


def _bracket(axis: np.ndarray, x: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Lower and upper (index, weight) of `x` on `axis`."""
    x = np.clip(x, axis[0], axis[-1])
    low = np.clip(np.searchsorted(axis, x, side="right") - 1, 0, max(len(axis) - 2, 0))
    high = np.minimum(low + 1, len(axis) - 1)
    share = np.where(high > low, (x - axis[low]) / np.where(high > low, axis[high] - axis[low], 1.0), 0.0)
    return (low, 1.0 - share), (high, share)


def read_lines(path: str | Path) -> NebularGrid:
    """The grid of a file in the FSPS layout; DataError names what is wrong with it."""
    path = Path(path)
    try:
        rows = [np.array(row.split(), float) for row in path.read_text().splitlines() if row.strip() and row[0] != "#"]
    except FileNotFoundError as error:
        raise DataError(f"{path} not found", hint="the file is nebular/ZAU_ND_mist.lines of FSPS") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{path.name}: not a table of numbers: {error}") from error
    if len(rows) < 3 or len(rows) % 2 == 0:
        raise DataError(f"{path.name}: {len(rows)} rows; expected wavelengths and then pairs of rows")
    wavelength, keys, values = rows[0], rows[1::2], rows[2::2]
    if any(len(key) != 3 for key in keys) or any(len(value) != len(wavelength) for value in values):
        raise DataError(f"{path.name}: pairs must be (logZ, age, logU) and {len(wavelength)} luminosities")
    keys = np.array(keys)
    axes = [np.unique(keys[:, k]) for k in range(3)]
    if len(keys) != np.prod([len(axis) for axis in axes]):
        raise DataError(
            f"{path.name}: {len(keys)} models do not fill a grid of {' x '.join(str(len(a)) for a in axes)}"
        )
    grid = np.full((*(len(axis) for axis in axes), len(wavelength)), np.nan)
    grid[tuple(np.searchsorted(axis, keys[:, k]) for k, axis in enumerate(axes))] = values
    if not (grid >= 0).all():
        raise DataError(f"{path.name}: a model is given twice, missing, or has a negative luminosity")
    return NebularGrid(wavelength, axes[0], axes[1], axes[2], grid)


def halpha_luminosity(sfr: np.ndarray) -> np.ndarray:
    """L(H_alpha) [erg/s] without dust of a star formation rate [M_sun/yr] steady over 10 Myr (Kennicutt & Evans 2012)."""
    return np.asarray(sfr, float) * SFR_TO_HALPHA


def photon_rate(sfr: np.ndarray) -> np.ndarray:
    """Ionising photons per second of a star formation rate [M_sun/yr]."""
    return halpha_luminosity(sfr) / HALPHA_PER_PHOTON
