"""Who is simulated: matched groups of controls and mergers, with all numbers drawn per object from the seed.

A group is matched in redshift (4 %), stellar mass (0.06 dex) and mass-to-light ratio in r (0.06 dex), with scatter blind to the label;
exposure, seeing, sky and quality of the spectrum are drawn alike for all.  Its members are two controls, one pre- and one post-merger,
in random order.  So redshift, mass, magnitude and signal-to-noise tell nothing of the label, by construction: histories differ, and
the dust of each galaxy is what brings its light to the wanted ratio (mergers with their young stars come out dustier, as observed).

Every object has random streams of its own, Philox keyed by (seed, object or group): object i is the same whatever n is.

Legend: n object.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from sciml.pipelines.errors import SettingsError

from . import orbits
from .history import Activity

CLASSES = ("non", "pre", "post")
MEMBERS = ("non", "non", "pre", "post")
SCENARIOS = ("isolated", "clumpy", "projection", "relaxed", "pre", "post")
ISOLATED, CLUMPY, PROJECTION, RELAXED, PRE, POST = range(6)
CONTROLS = (0.25, 0.15, 0.30, 0.30)  # shares of the first four among controls
REDSHIFT, LOG_MASS = (0.03, 0.10), (9.9, 11.2)
PRE_WINDOW, POST_WINDOW = 1.0, 0.8  # Gyr before and after coalescence that count
RELAXED_WINDOW = (2.0, 3.0)  # Gyr after coalescence of the remnants among the controls
APPROACH = 0.12  # Gyr before the first passage that count as pre-merger
# A remnant of two discs in rigid haloes comes out smaller than real ones, which grow as their stars are heated (Naab et al. 2009).
REMNANT_GROWTH = (1.25, 1.5)  # relaxed, post
LONGEST_STEP, _STEPS = 0.17, 128  # time step of the particles, and the unit in which their number is rounded up
_COLUMNS, _GROUP_COLUMNS = 96, 16


class Numbers:
    """Independent random numbers [n], column after column, of a matrix of uniforms [n, column]."""

    def __init__(self, uniform: np.ndarray):
        self._uniform = np.clip(uniform, 1e-12, 1 - 1e-12)
        self._next = 0

    def block(self, count: int) -> np.ndarray:
        """The next `count` columns [n, count]."""
        self._next += count
        if self._next > self._uniform.shape[1]:
            raise ValueError("more random columns used than drawn")
        return self._uniform[:, self._next - count : self._next]

    def uniform(self, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        return low + (high - low) * self.block(1)[:, 0]

    def normal(self, mean=0.0, scatter=1.0) -> np.ndarray:
        return mean + scatter * ndtri(self.block(1)[:, 0])

    def lognormal(self, median=1.0, scatter=0.1) -> np.ndarray:
        """Median and scatter in natural logarithm."""
        return median * np.exp(scatter * ndtri(self.block(1)[:, 0]))


def stream(seed: int, number: int, name: str) -> np.random.Generator:
    """The random stream `name` of object or group `number`."""
    key = np.array([seed & 0xFFFFFFFFFFFFFFFF, number], np.uint64)
    return np.random.Generator(
        np.random.Philox(key=key, counter=np.array([0, 0, 0, zlib.crc32(name.encode())], np.uint64))
    )


def numbers(seed: int, ids: np.ndarray, name: str, columns: int) -> Numbers:
    """Uniform numbers of the streams `name` of the given objects or groups."""
    return Numbers(np.array([stream(seed, int(i), name).random(columns) for i in ids]).reshape(len(ids), columns))


@dataclass(frozen=True)
class Conditions:
    """How objects [n] are matched and observed: see the module docstring. Seeing in arcsec, `sky` in magnitudes over a dark sky."""

    group: np.ndarray
    label: np.ndarray  # index into CLASSES
    redshift: np.ndarray
    log_mass: np.ndarray
    light_offset: np.ndarray  # dex in M/L_r around the mean relation
    exposure: np.ndarray
    seeing: np.ndarray
    sky: np.ndarray
    spectrum_quality: np.ndarray


def conditions(seed: int, ids: np.ndarray, members: tuple[str, ...] = MEMBERS) -> Conditions:
    """Conditions of objects `ids` [n]; SettingsError if `members` names an unknown class."""
    if not 1 <= len(members) <= 6 or set(members) - set(CLASSES):
        accepted = f"one to six of {', '.join(CLASSES)}"
        raise SettingsError(f"members of a matched group: {', '.join(members) or 'none'}; accepted: {accepted}")
    group, member = np.divmod(ids, len(members))
    unique, inverse = np.unique(group, return_inverse=True)
    shared = numbers(seed, unique, "group", _GROUP_COLUMNS)
    order = np.argsort(shared.block(len(members)), axis=1)
    label = np.array([CLASSES.index(name) for name in members])[order[inverse, member]]
    low, high = REDSHIFT
    redshift = (low**3 + (high**3 - low**3) * shared.uniform()) ** (1 / 3)  # even in volume
    mix = 0.5 * (np.sqrt(shared.uniform()) + shared.uniform())  # a broad peak near 10^10.6, as in flux-limited samples
    log_mass = LOG_MASS[0] + (LOG_MASS[1] - LOG_MASS[0]) * mix
    light = shared.normal(0, 0.17)
    own = numbers(seed, ids, "conditions", 8)
    return Conditions(
        group, label,
        np.clip(redshift[inverse] * own.lognormal(1.0, 0.04), *REDSHIFT),
        log_mass[inverse] + own.normal(0, 0.06),
        light[inverse] + own.normal(0, 0.06),
        53.9 * 10.0 ** own.uniform(0.0, 1.0),
        own.lognormal(1.25, 0.15),
        own.normal(0.0, 0.15),
        own.lognormal(1.0, 0.2),
    )  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """How galaxies [n] stand to each other: encounter, times, and what is seen. Lengths in R1 unless named otherwise."""

    scenario: np.ndarray  # index into SCENARIOS
    drawn: orbits.Drawn
    track: orbits.Track
    now: np.ndarray  # [n] time since the first pericentre at which the galaxy is seen
    before: float  # the particles start at -before
    steps: np.ndarray  # [n] of the particles' orbits
    unit_gyr: np.ndarray
    unit_kpc: np.ndarray  # R1
    since_passage: np.ndarray  # Gyr, -inf where there is none
    since_coalescence: np.ndarray  # Gyr, -inf where there is none
    target: np.ndarray  # 0: the cutout is centred on the primary, 1: on the secondary

    @property
    def has_second(self) -> np.ndarray:
        return self.scenario >= PROJECTION

    @property
    def collides(self) -> np.ndarray:
        """The discs feel each other: mergers, and remnants of mergers long ago."""
        return self.scenario >= RELAXED

    @property
    def interacts(self) -> np.ndarray:
        """Mergers within the windows that count."""
        return self.scenario >= PRE

    @property
    def is_remnant(self) -> np.ndarray:
        """One galaxy made of two discs about one centre."""
        return (self.scenario == POST) | (self.scenario == RELAXED)

    def separation(self) -> np.ndarray:
        """Relative position of the secondary now [n, 2]."""
        return self.track.at(self.now[None])[0]


def disc_radius(log_mass: np.ndarray) -> np.ndarray:
    """Outer radius R = 4 scale lengths [kpc]: scale length 3.0 kpc (M / 10^10.6)^0.3 (Shen et al. 2003; van der Wel et al. 2014)."""
    return 12.0 * 10.0 ** (0.3 * (log_mass - 10.6))


def rotation_speed(log_mass: np.ndarray) -> np.ndarray:
    """Flat rotation speed [km/s]: 200 (M / 10^10.6)^0.27 (Reyes et al. 2011)."""
    return 200.0 * 10.0 ** (0.27 * (log_mass - 10.6))


def scene(seed: int, ids: np.ndarray, state: Conditions, before: float = 8.0) -> Scene:
    """Encounters, orbits and times of objects `ids` [n] with the given conditions."""
    draws = numbers(seed, ids, "scene", _COLUMNS)
    control = np.searchsorted(np.cumsum(CONTROLS)[:-1], draws.uniform(), side="right")
    scenario = np.where(state.label == 0, control, state.label + PRE - 1)
    drawn, track = _merging(draws, scenario >= RELAXED, before)
    q = drawn.mass_ratio
    target = np.where((scenario == PRE) & (draws.uniform() < 0.3), 1, 0)
    remnant = (scenario == POST) | (scenario == RELAXED)
    log_primary = np.where(remnant, state.log_mass - np.log10(1 + q), state.log_mass - target * np.log10(q))
    kpc = (
        disc_radius(log_primary)
        * draws.lognormal(1.0, 0.25)
        * np.select([scenario == RELAXED, scenario == POST], REMNANT_GROWTH, 1.0)
    )
    # circular speed peaks at sqrt(1/2) in units of sqrt(M1 / R1) at r = a
    gyr = 0.9778 * kpc / (rotation_speed(log_primary) * np.sqrt(2.0))
    coalescence, share = track.coalescence, draws.uniform()
    earliest = np.maximum(coalescence - PRE_WINDOW / gyr, -APPROACH / gyr)
    now = np.where(
        scenario == PRE, earliest + (coalescence - earliest) * share, coalescence + share * POST_WINDOW / gyr
    )
    long_ago = coalescence + draws.uniform(*RELAXED_WINDOW) / gyr
    now = np.where(scenario >= PRE, now, np.where(remnant, long_ago, draws.uniform(8.0, 30.0)))
    steps = _STEPS * np.ceil((now + before) / (LONGEST_STEP * _STEPS)).astype(int)
    passage = np.where(scenario >= PRE, now * gyr, -np.inf)
    final = np.where(scenario >= PRE, (now - coalescence) * gyr, -np.inf)
    return Scene(scenario, drawn, track, now, before, steps, gyr, kpc, passage, final, target)


def _merging(draws: Numbers, wanted: np.ndarray, before: float) -> tuple[orbits.Drawn, orbits.Track]:
    """Encounters [n] and orbits that coalesce where `wanted`: up to three draws each, then the closest passage of the last.

    The others have an encounter for its mass ratio and spins, and an orbit at rest.
    """
    law = orbits.GALAXY_ZOO_MERGERS
    blocks = [draws.block(8) for _ in range(3)]
    uniform = blocks[0].copy()
    coalescence = np.where(wanted, np.nan, 1.0)
    position, time = None, None
    for attempt in range(4):
        again = np.flatnonzero(~np.isfinite(coalescence))
        if attempt and not len(again):
            break
        uniform[again] = blocks[min(attempt, 2)][again]
        if attempt == 3:
            uniform[again, :3] = (
                0.5,
                0.15,
                0.1,
            )  # a slow, close passage of a middling companion always ends in a merger
        orbit = orbits.follow(law.draw(uniform[again]), before)
        if position is None:
            position, time = np.zeros((len(orbit.time), len(wanted), 2)), orbit.time
        position[:, again], coalescence[again] = orbit.position, orbit.coalescence
    return law.draw(uniform), orbits.Track(time, position, coalescence)


@dataclass(frozen=True)
class Make:
    """What galaxies [n] are made of, before dust: rates in 1/yr, shares without unit, metallicities in log solar."""

    specific_rate: np.ndarray
    bulge_share: np.ndarray
    nuclear_share: np.ndarray
    activity: Activity
    log_z_stars: np.ndarray
    log_z_gas: np.ndarray
    a_v: np.ndarray  # prior


def make(draws: Numbers, log_mass: np.ndarray, place: Scene) -> Make:
    """Star formation, bulges and metals at `log_mass` [n] of galaxies in the given scene."""
    x = log_mass - 10.5
    quiet = draws.uniform() < 0.65 / (1.0 + np.exp(-(log_mass - 10.65) / 0.2))
    rate = np.where(quiet, draws.normal(-11.7, 0.3), -10.05 - 0.2 * x + draws.normal(0, 0.25))
    clumpy = place.scenario == CLUMPY
    rate = np.where(clumpy, np.maximum(rate, -10.2 + draws.uniform(0.0, 0.4)), rate)
    quiet &= ~clumpy
    bulge = np.clip(np.where(quiet, draws.normal(0.75, 0.15), draws.lognormal(0.15, 0.8)), 0.01, 0.95)
    gas = np.where(quiet, 0.3, 1.0)
    ratio = np.where(place.interacts, place.drawn.mass_ratio / 0.6, 0.0)
    first = draws.lognormal(1.0, 0.5) * np.sqrt(ratio) * gas
    second = draws.lognormal(3.0, 0.6) * np.sqrt(ratio) * gas
    has_own = draws.uniform() < 0.20
    activity = Activity(
        place.since_passage, place.since_coalescence, first, second, draws.lognormal(1.2, 0.8),
        own_age=draws.uniform(0.0, 0.8), own=np.where(has_own, draws.lognormal(2.0, 0.6), 0.0) * gas,
    )  # fmt: skip
    stars = -0.1 + 0.25 * x + draws.normal(0, 0.12)
    dilution = 0.06 * first * (place.since_passage > 0) + 0.07 * np.exp(-np.abs(place.since_coalescence) / 0.3) * (
        ratio > 0
    )
    metals = -0.20 + 0.22 * x - 0.12 * x**2 - dilution + draws.normal(0, 0.11)
    a_v = np.where(quiet, draws.lognormal(0.12, 0.5), draws.lognormal(0.5, 0.5))
    nuclear = np.where(place.interacts, draws.uniform(0.3, 0.8), draws.uniform(0.0, 0.8))
    return Make(10.0**rate, bulge, nuclear, activity, np.clip(stars, -0.7, 0.4), np.clip(metals, -0.9, 0.2), a_v)
