"""The spectroscopic table of simulated galaxies: what a fibre spectrum and photometry of the same object would give, with errors.

Physics: stars mix through the compact table (indices, continua, colours); the gas shines with L(H_alpha) of the star formation rate
(Kennicutt & Evans 2012) behind 1/0.44 of the stars' reddening (Calzetti et al. 2000), with line ratios of its metallicity and log U; old
stars add a weak LI(N)ER-like component (0.8 A of H_alpha, Cid Fernandes et al. 2011), active nuclei their narrow lines.  Merging raises
velocity dispersions and the odds of an active nucleus (Ellison et al. 2011: 2.5 times in close pairs).

Measurement: with signal-to-noise S per angstrom of the continuum, a line of dispersion s has an equivalent-width error of
sqrt(2 sqrt(pi) s) / S, an index over W angstrom sqrt(W (1 + W / W_continuum)) / S.  Lines below 3 sigma give no ratio (NaN), as in
real catalogues; one spectrum in fifty is missing altogether whatever the label.  Equivalent widths are positive in emission.

Legend: n object.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..spectra import compact, dust
from ..spectra.nebular import SFR_TO_HALPHA
from ..spectra.spectrum import LIGHT_SPEED
from ..spectra.ssp import SOLAR_LUMINOSITY
from .matching import Galaxies
from .population import Numbers, Scene

DETECTION = 3.0  # sigma
LIER_EW = 0.8  # A of H_alpha
# log ratios of what is not star formation: old stars, Seyfert nuclei (Kewley et al. 2006).
LIER = {"nii/h_alpha": 0.05, "sii/h_alpha": 0.0, "oiii/h_beta": 0.30}
SEYFERT = {"nii/h_alpha": 0.0, "sii/h_alpha": -0.20, "oiii/h_beta": 0.85}
BPT = ("star-forming", "composite", "agn", "unclassified")
MISSING_SPECTRUM = 0.02
CONTINUOUS = (
    "log_stellar_mass", "g_r", "r_i", "dn4000", "hdelta_a", "ew_halpha", "ew_hbeta", "log_halpha_hbeta", "log_nii_halpha",
    "log_sii_halpha", "log_oiii_hbeta", "log_sfr", "sigma_stars", "sigma_gas",
)  # fmt: skip
CATEGORICAL = ("bpt",)
_WIDTHS = {"h_alpha": "ew_halpha", "h_beta": "ew_hbeta"}


def truth(draws: Numbers, galaxies: Galaxies, scene: Scene) -> pd.DataFrame:
    """Noiseless quantities of galaxies [n]; fluxes of lines as equivalent widths in A, emission positive."""
    table, what = compact.load(), galaxies.make
    masses = galaxies.masses(galaxies.stars.total)
    seen = table.mix(masses, galaxies.redshift, galaxies.a_v, ("g", "r", "i"))
    rate = galaxies.stars.rate * 10.0 ** (galaxies.log_mass - 9.0)  # M_sun/yr
    a_gas = np.minimum(galaxies.a_v * dust.NEBULAR_TO_STELLAR, 4.0)
    through = {
        name: dust.transmission(np.array([compact.CONTINUA[name]]), a_gas)[:, 0] for name in ("h_alpha", "h_beta")
    }
    halpha = SFR_TO_HALPHA * rate / SOLAR_LUMINOSITY
    specific = np.log10(np.maximum(rate, 1e-4)) - galaxies.log_mass
    log_u = -3.25 - 0.4 * what.log_z_gas + 0.15 * np.clip(specific + 10.0, -1.5, 1.5) + draws.normal(0, 0.12)
    nucleus, strength = _active(draws, galaxies, scene)
    emission = {"h_alpha": halpha, "h_beta": halpha / 10.0 ** table.line_ratio("h_alpha/h_beta", what.log_z_gas, log_u)}
    ratios = {name: 10.0 ** table.line_ratio(name, what.log_z_gas, log_u) for name in LIER}
    # old stars: a floor of equivalent width; active nuclei: a share of all H_alpha
    floor = LIER_EW * seen.continuum["h_alpha"] / through["h_alpha"]
    other = (floor + halpha) * nucleus * strength
    for line, base in (("h_alpha", 1.0), ("h_beta", 1.0 / dust.CASE_B)):
        emission[line] = emission[line] + base * (floor + other)
    mixed = {}
    for name, own in ratios.items():
        line = name.split("/")[1]
        base = 1.0 if line == "h_alpha" else 1.0 / dust.CASE_B
        stars = emission[line] - base * (floor + other)
        mixed[name] = (own * stars + base * (floor * 10.0 ** LIER[name] + other * 10.0 ** SEYFERT[name])) / emission[
            line
        ]
    ew = {line: emission[line] * through[line] / seen.continuum[line] for line in through}
    colours = -2.5 * np.log10(seen.light)
    widths = _widths(draws, galaxies, scene)
    return pd.DataFrame({
        "log_stellar_mass": galaxies.log_mass, "g_r": colours[:, 0] - colours[:, 1], "r_i": colours[:, 1] - colours[:, 2],
        "absolute_r": colours[:, 1], "dn4000": seen.dn4000, "hdelta_a": seen.hdelta_a, "ew_halpha": ew["h_alpha"], "ew_hbeta": ew["h_beta"],
        "flux_ratio": emission["h_alpha"] * through["h_alpha"] / (emission["h_beta"] * through["h_beta"]),
        "nii/h_alpha": mixed["nii/h_alpha"], "sii/h_alpha": mixed["sii/h_alpha"], "oiii/h_beta": mixed["oiii/h_beta"],
        "log_sfr": np.log10(np.maximum(rate, 1e-4)), "sigma_stars": widths[0], "sigma_gas": widths[1], "a_v": galaxies.a_v,
        "active": nucleus,
    })  # fmt: skip


def _active(draws: Numbers, galaxies: Galaxies, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """(whether a nucleus is active, its H_alpha over that of the rest)."""
    odds = 0.05 * 10.0 ** (0.6 * (galaxies.log_mass - 10.5))
    odds = odds * (1.0 + 1.5 * np.exp(-np.abs(scene.since_coalescence) / 0.3) * scene.interacts)
    return draws.uniform() < odds, draws.lognormal(1.0, 0.8)


def _widths(draws: Numbers, galaxies: Galaxies, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Dispersions [km/s] of stars and gas: sigma-mass relation (Zahid et al. 2016), rotation seen at random, raised by merging."""
    x = galaxies.log_mass - 10.5
    stirred = np.exp(-np.abs(scene.since_coalescence) / 0.2) * scene.interacts
    stars = 10.0 ** (2.12 + 0.30 * x + 0.06 * (galaxies.make.bulge_share - 0.3) + draws.normal(0, 0.07)) * (
        1.0 + 0.20 * stirred
    )
    turning = 80.0 * 10.0 ** (0.27 * x) * np.sqrt(1.0 - draws.uniform() ** 2)
    return stars, np.hypot(turning, 35.0) * draws.lognormal(1.0, 0.20) * (1.0 + 0.25 * stirred)


def measure(
    draws: Numbers, real: pd.DataFrame, magnitude: np.ndarray, redshift: np.ndarray, quality: np.ndarray
) -> pd.DataFrame:
    """The table [n, CONTINUOUS + CATEGORICAL] measured on `real` (from `truth`), and `spectrum_snr`, the S/N per angstrom in r.

    `magnitude` [n] in r sets the signal-to-noise: 15 per angstrom at 17 mag in an SDSS fibre, times `quality` [n].
    """
    snr = 15.0 * 10.0 ** (-0.32 * (magnitude - 17.0)) * quality
    blue = 0.6 * snr
    out = pd.DataFrame(index=real.index)
    out["log_stellar_mass"] = real["log_stellar_mass"] + draws.normal(0, 0.08)
    photometric = 0.01 + 0.15 / snr
    for name in ("g_r", "r_i"):
        out[name] = real[name] + photometric * draws.normal()
    out["dn4000"] = real["dn4000"] * (1.0 + draws.normal() * np.sqrt(2.0 / 100.0) / blue)
    out["hdelta_a"] = real["hdelta_a"] + draws.normal() * np.sqrt(38.75 * (1 + 38.75 / 72.4)) / blue
    _measure_lines(draws, real, snr, out)
    out["sigma_stars"] = np.hypot(real["sigma_stars"], 30.0) * (1.0 + draws.normal() * 1.2 / snr)
    out = out[list(CONTINUOUS)]
    out["bpt"] = bpt_class(out["log_nii_halpha"], out["log_oiii_hbeta"])
    lost = draws.uniform() < MISSING_SPECTRUM
    spectral = [name for name in CONTINUOUS if name not in ("log_stellar_mass", "g_r", "r_i")]
    out.loc[lost, spectral] = np.nan
    out.loc[lost, "bpt"] = "unclassified"
    out["bpt"] = pd.Categorical(out["bpt"], categories=BPT)
    return out.assign(spectrum_snr=snr)


def _measure_lines(draws: Numbers, real: pd.DataFrame, snr: np.ndarray, out: pd.DataFrame) -> None:
    """Fill in equivalent widths, line ratios, star formation rate and width of the gas; NaN below the detection limit."""
    error = {
        "h_alpha": _ew_error(real["sigma_gas"], 6564.61, snr),
        "h_beta": _ew_error(real["sigma_gas"], 4862.68, 0.8 * snr),
    }
    width = {line: real[column] + error[line] * draws.normal() for line, column in _WIDTHS.items()}
    seen = {line: width[line] > DETECTION * error[line] for line in width}
    out["ew_halpha"], out["ew_hbeta"] = width["h_alpha"], width["h_beta"]
    both = seen["h_alpha"] & seen["h_beta"]
    continuum = real["flux_ratio"] * real["ew_hbeta"] / real["ew_halpha"]  # at H_alpha over that at H_beta
    out["log_halpha_hbeta"] = _log_ratio(width["h_alpha"] * continuum, width["h_beta"], both)
    for name in LIER:
        line = name.split("/")[1]
        own = real[name] * real[_WIDTHS[line]] + error[line] * draws.normal()
        column = "log_" + name.replace("/", "_").replace("h_", "h")
        out[column] = _log_ratio(own, width[line], seen[line] & (own > DETECTION * error[line]))
    # dust is corrected with the measured Balmer decrement: its error comes in, times k(H_alpha) / (k(H_beta) - k(H_alpha))
    k_alpha, k_beta = dust.calzetti(np.array([6564.61, 4862.68]))
    reddening = np.maximum(out["log_halpha_hbeta"], np.log10(dust.CASE_B)) - np.log10(
        np.maximum(real["flux_ratio"], dust.CASE_B)
    )
    shift = _log_ratio(width["h_alpha"], real["ew_halpha"], both) + k_alpha / (k_beta - k_alpha) * reddening
    out["log_sfr"] = np.where(both, real["log_sfr"] + shift, np.nan)
    blur = 1.0 + draws.normal() * 0.7 * error["h_alpha"] / width["h_alpha"].clip(lower=0.1)
    out["sigma_gas"] = np.where(seen["h_alpha"], real["sigma_gas"] * blur, np.nan)


def _ew_error(sigma: pd.Series, wavelength: float, snr: np.ndarray) -> np.ndarray:
    """1 sigma [A] of the equivalent width of a Gaussian line of `sigma` km/s at S/N `snr` per angstrom (SDSS resolution added)."""
    width = wavelength * np.hypot(sigma, 65.0) / LIGHT_SPEED
    return np.sqrt(2 * np.sqrt(np.pi) * width) / snr


def _log_ratio(above: np.ndarray, below: np.ndarray, seen: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(seen, np.log10(above / below), np.nan)


def bpt_class(log_nii_halpha: np.ndarray, log_oiii_hbeta: np.ndarray) -> np.ndarray:
    """Class in the diagram of Baldwin, Phillips & Terlevich 1981: star-forming below Kauffmann et al. 2003, agn above Kewley et al. 2001."""
    x, y = np.asarray(log_nii_halpha, float), np.asarray(log_oiii_hbeta, float)
    with np.errstate(invalid="ignore", divide="ignore"):
        pure = (y < 0.61 / (x - 0.05) + 1.3) & (x < 0.05)
        extreme = (y > 0.61 / (x - 0.47) + 1.19) | (x >= 0.47)
    known = np.isfinite(x) & np.isfinite(y)
    return np.select([~known, pure, extreme], ["unclassified", "star-forming", "agn"], "composite")
