"""Simple stellar populations: spectra of coeval stars against age and metallicity, read from the user's files.

Convention: luminosity in L_sun per angstrom per solar mass formed, wavelengths in vacuum angstrom, ages in Gyr, metallicities as
mass fraction Z (solar 0.02 in BC03).  Between grid points the spectrum is linear in log(age) and log(Z); outside, the nearest edge
holds.  Sources: Bruzual & Charlot 2003, MNRAS 344, 1000 (files as packaged by MaNGA's data analysis pipeline: one FITS image per
population with Z, AGE, CRVAL1, CDELT1 in its header, air wavelengths); Conroy & Gunn 2010 (the optional package `fsps`).

Legend: m metallicity, a age, w wavelength, n object.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sciml.pipelines.errors import DataError, SettingsError

from .spectrum import air_to_vacuum, broaden, log_grid, resample

SOLAR_LUMINOSITY = 3.828e33  # erg/s, IAU 2015 resolution B3
FSPS_AGES = (0.001, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.64, 0.9, 1.4, 2.5, 5.0, 8.0, 10.0, 13.0)  # Gyr


@dataclass(frozen=True)
class SspGrid:
    """Spectra `flux` [m, a, w] at `metallicity` [m], `age` [a] in Gyr and vacuum `wavelength` [w]."""

    wavelength: np.ndarray
    age: np.ndarray
    metallicity: np.ndarray
    flux: np.ndarray
    source: str

    def __post_init__(self):
        shape = (len(self.metallicity), len(self.age), len(self.wavelength))
        if self.flux.shape != shape:
            raise DataError(f"{self.source}: spectra of shape {self.flux.shape}, expected {shape}")
        if not (
            np.isfinite(self.flux).all() and (np.diff(self.age) > 0).all() and (np.diff(self.metallicity) > 0).all()
        ):
            raise DataError(f"{self.source}: ages and metallicities must increase and spectra be finite")

    def weights(self, age: np.ndarray, metallicity: np.ndarray) -> np.ndarray:
        """Interpolation weights [n, m, a] of populations of `age` [n] Gyr and `metallicity` [n]; each sums to one."""
        return _corners(self.metallicity, metallicity)[:, :, None] * _corners(self.age, age)[:, None, :]

    def spectrum(self, age: np.ndarray, metallicity: np.ndarray) -> np.ndarray:
        """Spectra [n, w] of single populations."""
        return self.composite(self.weights(np.atleast_1d(age), np.atleast_1d(metallicity)))

    def composite(self, masses: np.ndarray) -> np.ndarray:
        """Spectra [n, w] in L_sun/A of mixtures with `masses` [n, m, a] in solar masses formed."""
        return np.einsum("nma,maw->nw", masses, self.flux)

    def on_log_grid(self, sigma: float = 0.0) -> SspGrid:
        """The grid on SDSS's logarithmic wavelengths, broadened by `sigma` km/s."""
        wavelength = log_grid(self.wavelength[0] + 2.0, self.wavelength[-1] - 2.0)
        return replace(
            self, wavelength=wavelength, flux=broaden(resample(self.wavelength, self.flux, wavelength), sigma)
        )


def _corners(nodes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Weights [n, node] of linear interpolation in the logarithm, the edges held."""
    logs, x = np.log(nodes), np.clip(np.log(np.asarray(values, float)), np.log(nodes[0]), np.log(nodes[-1]))
    weights = np.zeros((len(x), len(nodes)))
    rows = np.arange(len(x))
    if len(nodes) == 1:
        weights[:, 0] = 1.0
        return weights
    low = np.clip(np.searchsorted(logs, x, side="right") - 1, 0, len(nodes) - 2)
    share = (x - logs[low]) / (logs[low + 1] - logs[low])
    weights[rows, low], weights[rows, low + 1] = 1.0 - share, share
    return weights


def read_bc03(folder: str | Path) -> SspGrid:
    """The grid of the FITS populations in `folder` (any names; one population per file).

    DataError if the folder holds none, a header lacks Z or AGE, wavelengths differ, or a combination is missing.
    """
    from astropy.io import fits

    folder = Path(folder)
    files = sorted([*folder.glob("*.fits"), *folder.glob("*.fits.gz")])
    if not files:
        raise DataError(
            f"no population (*.fits) in {folder}", hint="point to a folder of BC03 spectra, one FITS per Z and age"
        )
    found: dict[tuple[float, float], np.ndarray] = {}
    scales = {}
    for path in files:
        try:
            with fits.open(path, memmap=False) as units:
                header, flux = units[0].header, np.asarray(units[0].data, float)
            key = (float(header["Z"]), float(header["AGE"]))
            scales[header["CRVAL1"], header["CDELT1"], header.get("CRPIX1", 1), flux.shape] = path
        except (KeyError, OSError, TypeError, ValueError) as error:
            raise DataError(
                f"{path.name} is no population spectrum: {error}", hint="needed: Z, AGE, CRVAL1, CDELT1"
            ) from error
        if len(scales) > 1 or flux.ndim != 1:
            raise DataError(
                f"{path.name} has other wavelengths than {files[0].name}; all populations need the same row of pixels"
            )
        found[key] = flux
    metallicity, age = (np.array(sorted({key[k] for key in found})) for k in (0, 1))
    missing = [(z, a) for z in metallicity for a in age if (z, a) not in found]
    if missing:
        raise DataError(
            f"{folder}: no spectrum for Z = {missing[0][0]:g}, age = {missing[0][1]:g} Gyr ({len(missing)} missing)"
        )
    ((start, step, reference, (count,)),) = scales
    wavelength = air_to_vacuum(start + step * (np.arange(count) + 1 - reference))
    flux = np.array([[found[z, a] for a in age] for z in metallicity])
    return SspGrid(wavelength, age, metallicity, flux, f"BC03 populations in {folder.name}")


def read_fsps(
    age: tuple[float, ...] = FSPS_AGES, log_z: tuple[float, ...] = (-0.7, -0.4, 0.0, 0.3), **options
) -> SspGrid:
    """The same grid computed by the optional package `fsps` (needs its data and the variable SPS_HOME).

    `log_z` is log10(Z/Z_sun); `options` go to fsps.StellarPopulation.  SettingsError where the package or its data is missing.
    """
    hint = "pip install fsps, fetch its data and set SPS_HOME; or read a folder of BC03 spectra"
    try:
        fsps = importlib.import_module("fsps")
    except (ImportError, RuntimeError) as error:  # fsps raises RuntimeError where SPS_HOME is not set
        raise SettingsError(f"fsps cannot be used here: {error}", hint=hint) from error
    population = fsps.StellarPopulation(**{"sfh": 0, "zcontinuous": 1, "add_neb_emission": False, **options})
    rows = []
    for metal in log_z:
        population.params["logzsol"] = metal
        spectra = [population.get_spectrum(tage=a, peraa=True) for a in age]
        rows.append([flux for _, flux in spectra])
    wavelength = np.asarray(spectra[0][0], float)  # fsps works in vacuum
    solar = getattr(population, "solar_metallicity", 0.0142)  # MIST, Choi et al. 2016
    return SspGrid(wavelength, np.array(age, float), solar * 10.0 ** np.array(log_z), np.array(rows, float), "fsps")
