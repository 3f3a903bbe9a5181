"""From drawn histories to galaxies that match their group: the history and the dust that give the wanted light.

Of a few histories drawn from a galaxy's own class, the one is kept whose dust, solved so that the mass-to-light ratio in r is exactly
the group's, is nearest to the dust that such a galaxy would have.  The matched controls thus have the mergers' redshift, mass and
magnitude; what differs is how the light came about.

Legend: n object, a age, b band, m metallicity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..spectra import compact, dust
from .history import Stars, build
from .population import Make, Numbers, Scene, make

CANDIDATES = 8
_MAKE_COLUMNS = 24
A_V_RANGE = (0.01, 3.0)
# log10 of the light in r, 10^(-0.4 M_r), per solar mass of living stars: median of undisturbed galaxies, and its slope with log M.
MEAN_LIGHT, LIGHT_SLOPE = -2.17, -0.25
SPEED_OF_LIGHT, HUBBLE, MATTER = 299792.458, 70.0, 0.3  # km/s, km/s/Mpc, flat universe


def luminosity_distance(redshift: np.ndarray) -> np.ndarray:
    """Luminosity distance [Mpc] in a flat universe of H0 = 70 km/s/Mpc, Omega_m = 0.3, by Gauss-Legendre quadrature."""
    nodes, weights = np.polynomial.legendre.leggauss(8)
    z = np.asarray(redshift, float)[..., None] * 0.5 * (nodes + 1.0)
    inverse = 1.0 / np.sqrt(MATTER * (1.0 + z) ** 3 + 1.0 - MATTER)
    comoving = (inverse * weights).sum(-1) * 0.5 * redshift * SPEED_OF_LIGHT / HUBBLE
    return comoving * (1.0 + redshift)


def kpc_per_arcsec(redshift: np.ndarray) -> np.ndarray:
    """Proper size [kpc] of an arcsecond."""
    return luminosity_distance(redshift) / (1.0 + redshift) ** 2 * 1e3 * np.pi / 648000.0


def to_nanomaggies(light: np.ndarray, redshift: np.ndarray) -> np.ndarray:
    """Flux [n, b] of `light` [n, b] = sum 10^(-0.4 M_AB) (K correction included) at `redshift` [n]."""
    modulus = 5.0 * np.log10(luminosity_distance(redshift)) + 25.0
    return light * 10.0 ** (-0.4 * (modulus - 22.5))[:, None]


@dataclass(frozen=True)
class Galaxies:
    """Galaxies [n] as they are: stars of living mass one by place, dust, metals; `log_mass` scales them."""

    log_mass: np.ndarray
    redshift: np.ndarray
    stars: Stars
    make: Make
    a_v: np.ndarray

    def masses(self, place: np.ndarray) -> np.ndarray:
        """Mass formed [n, m, a] in M_sun of a place of `Stars` [n, a]."""
        return compact.load().spread(place, 0.02 * 10.0**self.make.log_z_stars) * 10.0 ** self.log_mass[:, None, None]

    def light(self, place: np.ndarray, bands: tuple[str, ...]) -> np.ndarray:
        """Light [n, b] behind the dust."""
        return compact.load().band_light(self.masses(place), self.redshift, self.a_v, bands)


def wanted_light(log_mass: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """log10 light in r [n] of a galaxy of `log_mass` whose mass-to-light ratio is `offset` dex above the mean."""
    return log_mass + MEAN_LIGHT + LIGHT_SLOPE * (log_mass - 10.5) - offset


def matched(draws: Numbers, log_mass: np.ndarray, redshift: np.ndarray, offset: np.ndarray, place: Scene) -> Galaxies:
    """Galaxies [n] with the light of `wanted_light`, from `CANDIDATES` histories each; see the module docstring."""
    table = compact.load()
    goal = wanted_light(log_mass, offset)
    k_over_rv = dust.calzetti(compact.PIVOT["r"] / (1.0 + redshift)) / dust.CALZETTI_RV
    tries = []
    for _ in range(CANDIDATES):
        what = make(Numbers(draws.block(_MAKE_COLUMNS)), log_mass, place)
        stars = build(what.specific_rate, what.bulge_share, what.nuclear_share, what.activity)
        masses = table.spread(stars.total, 0.02 * 10.0**what.log_z_stars)
        bare = np.log10(table.band_light(masses, redshift, np.zeros_like(redshift), ("r",))[:, 0]) + log_mass
        a_v = 2.5 * (bare - goal) / k_over_rv
        outside = np.maximum(A_V_RANGE[0] - a_v, 0.0) + np.maximum(a_v - A_V_RANGE[1], 0.0)
        cost = np.abs(np.log(np.clip(a_v, *A_V_RANGE) / what.a_v)) + 100.0 * outside
        tries.append((cost, np.clip(a_v, *A_V_RANGE), what, stars))
    best = np.argmin([cost for cost, *_ in tries], axis=0)
    a_v = _choose(best, [a_v for _, a_v, *_ in tries])
    return Galaxies(
        log_mass, redshift, _choose(best, [s for *_, s in tries]), _choose(best, [m for *_, m, _ in tries]), a_v
    )


def unmatched(draws: Numbers, log_mass: np.ndarray, redshift: np.ndarray, place: Scene) -> Galaxies:
    """Galaxies [n] with a history and dust as drawn: companions."""
    what = make(Numbers(draws.block(_MAKE_COLUMNS)), log_mass, place)
    stars = build(what.specific_rate, what.bulge_share, what.nuclear_share, what.activity)
    return Galaxies(log_mass, redshift, stars, what, what.a_v)


def _choose(best: np.ndarray, options: list):
    """Row i of options[best[i]], through the fields of dataclasses."""
    if isinstance(options[0], np.ndarray):
        return np.stack(options)[best, np.arange(len(best))]
    fields = {name: _choose(best, [getattr(o, name) for o in options]) for name in options[0].__dataclass_fields__}
    return type(options[0])(**fields)
