"""The compact table shipped with the package: light, indices and line ratios of populations, a few kB, enough for the simulator.

What is in it, per solar mass formed, against metallicity Z and age: Dn4000, HdA, the light in the blue window of the break, the
continuum at H_delta, H_beta and H_alpha, and absolute AB magnitudes in SDSS bands seen at three redshifts; and log line ratios of
ionised gas against log(Z/Z_sun) and log U.  Its sources stand in its header; `derive` computes the same from a user's full grids.

Mixing: with masses M_j the light adds, L = sum_j M_j L_j; the break mixes with the light of its blue window as weight, Dn4000 =
sum M_j b_j D_j / sum M_j b_j (exact); HdA mixes with the continuum at H_delta (exact to first order in the slope of the continuum).

Legend: n object, m metallicity, a age, b band, k redshift node, z gas metallicity, u ionisation parameter.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np

from sciml.pipelines.errors import SettingsError, suggest

from . import dust
from .indices import BREAKS, break_strength, lick_index
from .nebular import NebularGrid
from .photometry import absolute_magnitude, mean_level
from .spectrum import air_to_vacuum
from .ssp import SOLAR_LUMINOSITY, SspGrid, _corners

SIGMA = 150.0  # km/s, dispersion of the spectra behind the indices
BANDS, REDSHIFTS = ("g", "r", "i", "z"), (0.0, 0.06, 0.12)
CONTINUA = {"h_delta": 4102.89, "h_beta": 4862.68, "h_alpha": 6564.61}
_LEVEL_WIDTH = 80.0  # A
# ratio: (numerator lines, denominator line)
RATIOS = {
    "h_alpha/h_beta": (("h_alpha",), "h_beta"),
    "oiii/h_beta": (("oiii_5007",), "h_beta"),
    "oii/h_beta": (("oii_3726", "oii_3729"), "h_beta"),
    "nii/h_alpha": (("nii_6584",), "h_alpha"),
    "sii/h_alpha": (("sii_6717", "sii_6731"), "h_alpha"),
    "oi/h_alpha": (("oi_6300",), "h_alpha"),
}
LOG_Z = (-0.98, -0.58, -0.39, -0.30, -0.20, -0.10, 0.00, 0.10, 0.20)
LOG_U = (-4.0, -3.5, -3.0, -2.5, -2.0)
GAS_AGE = 2e6  # yr, mean age of the ionising stars where stars form steadily (Byler et al. 2017, section 3)
_BLUE_WINDOW = float(np.mean(air_to_vacuum(np.array(BREAKS["dn4000"][0]))))
_RED_WINDOW = float(np.mean(air_to_vacuum(np.array(BREAKS["dn4000"][1]))))


@dataclass(frozen=True)
class Mixture:
    """What a mixture of populations behind dust shows, [n] each: indices, light per band [n, b] and continua [n] in L_sun/A."""

    dn4000: np.ndarray
    hdelta_a: np.ndarray
    light: np.ndarray  # 10^(-0.4 M_AB) summed over the populations
    continuum: dict[str, np.ndarray]


@dataclass(frozen=True)
class CompactTable:
    """The arrays of `compact_table.toml`; see the module docstring."""

    age: np.ndarray
    metallicity: np.ndarray
    dn4000: np.ndarray  # [m, a]
    hdelta_a: np.ndarray  # [m, a]
    blue_light: np.ndarray  # [m, a], f_nu in the blue window of the break, relative
    continuum: dict[str, np.ndarray]  # name -> [m, a] in L_sun/A
    light: np.ndarray  # [b, k, m, a], 10^(-0.4 M_AB)
    log_z: np.ndarray
    log_u: np.ndarray
    ratio: dict[str, np.ndarray]  # name -> log10 [z, u]

    def band(self, name: str) -> int:
        """Index of a band; SettingsError names the accepted ones."""
        if name not in BANDS:
            raise SettingsError(f'the simulator has no band "{name}"', hint=suggest(name, BANDS))
        return BANDS.index(name)

    def weights(self, age: np.ndarray, metallicity: np.ndarray) -> np.ndarray:
        """Mass per node [n, m, a] of unit masses of `age` [n] Gyr and `metallicity` [n] (linear in the logarithms)."""
        return _corners(self.metallicity, metallicity)[:, :, None] * _corners(self.age, age)[:, None, :]

    def spread(self, by_age: np.ndarray, metallicity: np.ndarray) -> np.ndarray:
        """Masses [n, m, a] of star formation histories `by_age` [n, a] in M_sun at one metallicity [n] each."""
        return _corners(self.metallicity, metallicity)[:, :, None] * by_age[:, None, :]

    def band_light(
        self, masses: np.ndarray, redshift: np.ndarray, a_v: np.ndarray, bands: tuple[str, ...]
    ) -> np.ndarray:
        """10^(-0.4 M_AB) [n, b] of `masses` [n, m, a] at `redshift` [n] behind Calzetti dust of `a_v` [n] magnitudes."""
        chosen = self.light[[self.band(name) for name in bands]]
        place = np.clip(np.asarray(redshift, float), REDSHIFTS[0], REDSHIFTS[-1])
        nodes = np.stack([np.interp(place, REDSHIFTS, row) for row in np.eye(len(REDSHIFTS))], axis=1)
        light = np.einsum("nma,nk,bkma->nb", masses, nodes, chosen, optimize=True)
        waves = np.array([PIVOT[name] for name in bands])
        return light * 10.0 ** (-0.4 * a_v[:, None] * dust.calzetti(waves / (1.0 + place[:, None])) / dust.CALZETTI_RV)

    def mix(self, masses: np.ndarray, redshift: np.ndarray, a_v: np.ndarray, bands: tuple[str, ...] = BANDS) -> Mixture:
        """What `masses` [n, m, a] in M_sun formed show at `redshift` [n] behind `a_v` [n] magnitudes of Calzetti dust."""
        blue = masses * self.blue_light
        reddening = dust.transmission(np.array([_RED_WINDOW]), a_v) / dust.transmission(np.array([_BLUE_WINDOW]), a_v)
        dn4000 = (blue * self.dn4000).sum((1, 2)) / blue.sum((1, 2)) * reddening[:, 0]
        near = masses * self.continuum["h_delta"]
        hdelta = (near * self.hdelta_a).sum((1, 2)) / near.sum((1, 2))
        continuum = {
            name: (masses * level).sum((1, 2)) * dust.transmission(np.array([CONTINUA[name]]), a_v)[:, 0]
            for name, level in self.continuum.items()
        }
        return Mixture(dn4000, hdelta, self.band_light(masses, redshift, a_v, bands), continuum)

    def line_ratio(self, name: str, log_z: np.ndarray, log_u: np.ndarray) -> np.ndarray:
        """log10 of a ratio of `RATIOS` [n] without dust, bilinear in log Z and log U, the edges held."""
        if name not in self.ratio:
            raise SettingsError(f'no line ratio "{name}"', hint=suggest(name, self.ratio))
        table = self.ratio[name]
        z, u = (np.clip(np.interp(x, axis, np.arange(len(axis))), 0, len(axis) - 1 - 1e-9) for x, axis in
                ((log_z, self.log_z), (log_u, self.log_u)))  # fmt: skip
        i, j = z.astype(int), u.astype(int)
        s, t = z - i, u - j
        low = table[i, j] * (1 - t) + table[i, j + 1] * t
        return low * (1 - s) + (table[i + 1, j] * (1 - t) + table[i + 1, j + 1] * t) * s


# Pivot wavelengths [A] of the SDSS bands, where dust is read for a whole band (Doi et al. 2010).
PIVOT = {"g": 4702.0, "r": 6176.0, "i": 7490.0, "z": 8947.0}


@lru_cache(maxsize=1)
def load() -> CompactTable:
    """The table of the package."""
    return parse(tomllib.loads(files(__package__).joinpath("compact_table.toml").read_text("utf-8")))


def parse(table: dict) -> CompactTable:
    """A `CompactTable` from the contents of a TOML file of its layout."""
    stars, gas = table["stars"], table["gas"]
    as_light = np.array([[stars[f"magnitude_{b}_z{k:.2f}"] for k in REDSHIFTS] for b in BANDS])
    return CompactTable(
        age=np.array(stars["age_gyr"]),
        metallicity=np.array(stars["metallicity"]),
        dn4000=np.array(stars["dn4000"]),
        hdelta_a=np.array(stars["hdelta_a"]),
        blue_light=10.0 ** np.array(stars["log_blue_window"]),
        continuum={name: 10.0 ** np.array(stars[f"log_continuum_{name}"]) for name in CONTINUA},
        light=10.0 ** (-0.4 * as_light),
        log_z=np.array(gas["log_z"]),
        log_u=np.array(gas["log_u"]),
        ratio={name: np.array(gas[name]) for name in RATIOS},
    )


def _extended(grid: SspGrid) -> tuple[np.ndarray, np.ndarray]:
    """Wavelengths and spectra carried on to 11200 A by the power law of the last 500 A: the z band reaches beyond BC03's files."""
    wave = grid.wavelength
    if wave[-1] > 11200.0:
        return wave, grid.flux
    tail = wave > wave[-1] - 500.0
    x = np.log(wave[tail] / wave[-1])
    y = np.log(grid.flux[..., tail])
    slope = ((y - y.mean(-1, keepdims=True)) * (x - x.mean())).sum(-1) / ((x - x.mean()) ** 2).sum()
    level = np.exp(y.mean(-1) - slope * x.mean())
    more = np.arange(wave[-1] + 5.0, 11200.0, 5.0)
    flux = level[..., None] * (more / wave[-1]) ** slope[..., None]
    return np.concatenate((wave, more)), np.concatenate((grid.flux, flux), axis=-1)


def derive(stars: SspGrid, gas: NebularGrid) -> dict:
    """The contents of the table ({"stars": ..., "gas": ...}) computed from full grids, rounded as they are stored."""
    smooth = stars.on_log_grid(SIGMA)
    w, f = smooth.wavelength, smooth.flux
    blue = mean_level(w, f * (w / 3900.0) ** 2, _BLUE_WINDOW, 100.0)
    table = {
        "age_gyr": stars.age,
        "metallicity": stars.metallicity,
        "dn4000": break_strength(w, f).value.round(3),
        "hdelta_a": lick_index(w, f).value.round(2),
        "log_blue_window": np.log10(blue).round(3),
    }
    for name, center in CONTINUA.items():
        table[f"log_continuum_{name}"] = np.log10(mean_level(w, f, center, _LEVEL_WIDTH)).round(3)
    wave, flux = _extended(stars)
    for band in BANDS:
        for k in REDSHIFTS:
            table[f"magnitude_{band}_z{k:.2f}"] = absolute_magnitude(wave, flux * SOLAR_LUMINOSITY, band, k).round(3)
    ratios = {"log_z": np.array(LOG_Z), "log_u": np.array(LOG_U)}
    z, u = (axis.ravel() for axis in np.meshgrid(LOG_Z, LOG_U, indexing="ij"))
    for name, (above, below) in RATIOS.items():
        values = gas.lines((*above, below), z, u, GAS_AGE)
        ratios[name] = np.log10(values[:, :-1].sum(1) / values[:, -1]).reshape(len(LOG_Z), len(LOG_U)).round(3)
    return {"stars": table, "gas": ratios}


HEADER = """\
# Light, indices and line ratios of stellar populations and ionised gas for the galaxy simulator.
# [stars] per solar mass formed, rows: metallicity, columns: age. Computed with compact.derive from the 40 populations of Bruzual &
#   Charlot 2003 (MNRAS 344, 1000) distributed with MaNGA's data analysis pipeline (sdss/mangadap, bc03_mpajhu; BSD-3-Clause,
#   copyright 2015 the SDSS-IV/MaNGA Pipeline Group): indices at 150 km/s (Balogh et al. 1999; Worthey & Ottaviani 1997), continua in
#   log L_sun/A, blue window (3850-3950 A) in log relative f_nu, absolute AB magnitudes in SDSS bands (Doi et al. 2010) at three
#   redshifts; beyond 9294 A (z band) the spectra are carried on by a power law.
# [gas] log10 line ratios without dust, rows: log(Z/Z_sun), columns: log U, ionising stars of 2 Myr. From the CLOUDY grid of Byler et
#   al. 2017 (ApJ 840, 44) distributed with FSPS (cconroy20/fsps, ZAU_ND_mist.lines; MIT License, copyright Charlie Conroy).
#   [O III] 5007, [O II] 3726+3729, [N II] 6584, [S II] 6717+6731, [O I] 6300.
"""


def to_toml(table: dict) -> str:
    """The text of the file: header, then one array per line."""
    out = [HEADER]
    for section, columns in table.items():
        out.append(f"[{section}]")
        for name, values in columns.items():
            rows = np.asarray(values).tolist()
            key = name if name.replace("_", "").replace(".", "").isalnum() and "." not in name else f'"{name}"'
            text = ",\n  ".join(str(row) for row in rows) if np.ndim(values) == 2 else ", ".join(str(x) for x in rows)
            out.append(f"{key} = [\n  {text},\n]" if np.ndim(values) == 2 else f"{key} = [{text}]")
        out.append("")
    return "\n".join(out)
