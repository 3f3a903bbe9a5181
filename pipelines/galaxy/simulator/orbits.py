"""Encounters of two galaxies: a distribution fitted to real pairs, and the decaying orbit that each draw follows.

Units of an encounter: G = 1, mass of the primary M1 = 1, outer radius of its disc R1 = 1.  Each galaxy is a Hernquist (1990, ApJ 356,
359) halo of scale a = R/2: acceleration M / (r + a)^2, circular speed M r / (r + a)^2, flat within 10 % from R/5 to R.  The pair feels

    x'' = -(M1 + M2) x / (s (s + a)^2) - 4 pi ln(L) M2 (M1 + M2) rho(s) F(v / v_c) x' / |x'|^3,   s^2 = r^2 + eps^2,  a^2 = a1^2 + a2^2

the second term being dynamical friction (Chandrasekhar 1943) with rho of a unit Hernquist halo of scale a, F(X) = erf X - 2 X
exp(-X^2) / sqrt(pi).  The orbit is planar: pericentre on +x, angular momentum along +z.  It starts at the first pericentre and is
followed back without friction and forward with it until the nuclei coalesce, r < R1 / 10 for good.

The distribution: 62 real pairs of Galaxy Zoo: Mergers (Holincheck et al. 2016, MNRAS 459, 720) whose restricted N-body fits come with
the code JSPAM (Wallin, Holincheck & Harvey 2016, Astronomy and Computing 16, 26; archive/data.txt).  Each was followed back to its
last pericentre in the potential above; `GALAXY_ZOO_MERGERS` holds the fitted numbers, `fit_pairs` recomputes them from the file.

Legend: n encounter, t step.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import betaincinv, erf, ndtri

from sciml.pipelines.errors import DataError

HALO_SCALE = 0.5  # a / R
COULOMB = (
    1.5  # ln(L): nuclei then coalesce 0.4-1.5 Gyr after the first passage, half of them within 0.7 (Lotz et al. 2008)
)
SOFTENING = 0.05
COALESCED = 0.1  # separation in R1
_JSPAM_HALO = 0.2  # Hernquist scale with the half-mass radius of JSPAM's halo, in its unit of 15 kpc
_COLUMNS = 14  # rx ry rz vx vy vz m1 m2 rout1 rout2 phi1 phi2 theta1 theta2


@dataclass(frozen=True)
class Encounters:
    """Distribution of encounters; logarithms are base 10.

    mass_ratio: (a, b) of a Beta law for q = M2 / M1 in (0, 1).  pericentre: mean and scatter of log r_p / (R1 + R2).  speed: median and
    robust scatter of log v_p / v_escape(r_p).  size: mean and scatter of log (R2 / R1) / sqrt(q).  spin: concentrations (primary,
    secondary) of von Mises-Fisher laws of the discs' spins about the orbital angular momentum: 0 isotropic, > 0 prograde.
    """

    mass_ratio: tuple[float, float]
    pericentre: tuple[float, float]
    speed: tuple[float, float]
    size: tuple[float, float]
    spin: tuple[float, float]
    pairs: int = 0

    def draw(self, uniform: np.ndarray, lowest_ratio: float = 0.15, speeds: tuple[float, float] = (0.85, 1.0)) -> Drawn:
        """Encounters from uniform numbers [n, 8].

        NOTE: not every fitted pair is a first passage that ends in a merger, so the laws are cut: q at least `lowest_ratio`; v_p /
        v_escape within `speeds` (faster pairs are fly-bys, slower ones on a later passage); r_p / (R1 + R2) below the 84th percentile.
        """
        u = np.clip(uniform, 1e-9, 1 - 1e-9)
        a, b = self.mass_ratio
        q = lowest_ratio + (1 - lowest_ratio) * betaincinv(a, b, u[:, 0])
        pericentre = 10.0 ** (self.pericentre[0] + self.pericentre[1] * ndtri(0.84 * u[:, 1]))
        low, high = (_normal_share(np.log10(x), *self.speed) for x in speeds)
        speed = 10.0 ** (self.speed[0] + self.speed[1] * ndtri(low + (high - low) * u[:, 2]))
        size = np.sqrt(q) * 10.0 ** (self.size[0] + self.size[1] * ndtri(u[:, 3]))
        size = np.clip(size, 0.3, 1.2)
        spins = np.stack([_around_pole(u[:, 4 + 2 * k], u[:, 5 + 2 * k], self.spin[k]) for k in range(2)], axis=1)
        return Drawn(q, size, pericentre * (1.0 + size), speed, spins)


@dataclass(frozen=True)
class Drawn:
    """Encounters [n]: mass ratio, R2 / R1, pericentre in R1, speed there over escape speed, unit spins [n, disc, 3]."""

    mass_ratio: np.ndarray
    size_ratio: np.ndarray
    pericentre: np.ndarray
    speed: np.ndarray
    spin: np.ndarray

    @property
    def scale(self) -> np.ndarray:
        """Common halo scale a of the relative orbit [n]."""
        return HALO_SCALE * np.hypot(1.0, self.size_ratio)


# Fitted with `fit_pairs` to archive/data.txt of JSPAM.
GALAXY_ZOO_MERGERS = Encounters((1.807, 1.436), (-0.125, 0.248), (-0.014, 0.131), (0.039, 0.217), (0.637, 0.582), 62)


def _normal_share(x: float, mean: float, scatter: float) -> float:
    return 0.5 * (1.0 + erf((x - mean) / (scatter * np.sqrt(2.0))))


def _around_pole(u: np.ndarray, w: np.ndarray, concentration: float) -> np.ndarray:
    """Unit vectors [n, 3] of a von Mises-Fisher law about +z, by inversion of its cumulative distribution in cos(angle)."""
    k = max(concentration, 1e-3)  # below, the law is isotropic to 1e-3
    c = 1.0 + np.log(u + (1.0 - u) * np.exp(-2.0 * k)) / k
    s, phi = np.sqrt(np.maximum(1.0 - c**2, 0.0)), 2 * np.pi * w
    return np.stack((s * np.cos(phi), s * np.sin(phi), c), axis=1)


def escape_speed(r: np.ndarray, mass: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Escape speed of a Hernquist halo: sqrt(2 M / (r + a))."""
    return np.sqrt(2.0 * mass / (r + scale))


def pull(x: np.ndarray, mass: np.ndarray, scale: np.ndarray, softening: float = SOFTENING) -> np.ndarray:
    """Acceleration [n, d] towards the origin of a Hernquist halo; scale 0 and softening 0 make it Kepler's."""
    s = np.sqrt((x**2).sum(1) + softening**2)
    return -x * (mass / (s * (s + scale) ** 2))[:, None]


def friction(x: np.ndarray, v: np.ndarray, q: np.ndarray, scale: np.ndarray, coulomb: float = COULOMB) -> np.ndarray:
    """Rate [n] at which dynamical friction slows the relative motion: v' = -rate v."""
    s = np.sqrt((x**2).sum(1) + SOFTENING**2)
    speed = np.sqrt((v**2).sum(1) + 1e-6)
    density = scale / (2 * np.pi * s * (s + scale) ** 3)
    ratio = speed / np.sqrt((1.0 + q) * s / (s + scale) ** 2)
    inside = erf(ratio) - 2.0 / np.sqrt(np.pi) * ratio * np.exp(-(ratio**2))
    return 4 * np.pi * coulomb * q * (1.0 + q) * density * inside / speed**3


@dataclass(frozen=True)
class Track:
    """Relative positions [t, n, 2] at `time` [t] since the first pericentre; `coalescence` [n] is NaN where it does not happen."""

    time: np.ndarray
    position: np.ndarray
    coalescence: np.ndarray

    def rows(self, rows: np.ndarray) -> Track:
        """The tracks of some encounters."""
        return Track(self.time, self.position[:, rows], self.coalescence[rows])

    def at(self, when: np.ndarray) -> np.ndarray:
        """Relative position [..., n, 2] at times [..., n], linear between steps, the ends held."""
        step = self.time[1] - self.time[0]
        place = np.clip((when - self.time[0]) / step, 0, len(self.time) - 1.001)
        low = place.astype(int)
        share = (place - low)[..., None]
        column = np.broadcast_to(np.arange(self.position.shape[1]), low.shape)
        return self.position[low, column] * (1 - share) + self.position[low + 1, column] * share


def follow(
    drawn: Drawn, before: float = 8.0, after: float = 60.0, step: float = 0.04, coulomb: float = COULOMB
) -> Track:
    """Orbits from `before` units of time before the first pericentre to `after` it (leapfrog; friction only after pericentre)."""
    q, scale = drawn.mass_ratio, drawn.scale
    start = np.stack((drawn.pericentre, np.zeros_like(q)), axis=1)
    speed = drawn.speed * escape_speed(drawn.pericentre, 1.0 + q, scale)
    velocity = np.stack((np.zeros_like(q), speed), axis=1)
    back = _leapfrog(start, -velocity, q, scale, round(before / step), step, 0.0)
    forth = _leapfrog(start, velocity, q, scale, round(after / step), step, coulomb)
    position = np.concatenate((back[::-1], start[None], forth))
    time = step * (np.arange(len(position)) - len(back))
    apart = (position**2).sum(-1) > COALESCED**2
    last = len(time) - 1 - apart[::-1].argmax(0)
    coalescence = np.where(last < len(time) - 1, time[np.minimum(last + 1, len(time) - 1)], np.nan)
    return Track(time, position, coalescence)


def _leapfrog(x, v, q, scale, steps: int, step: float, coulomb: float) -> np.ndarray:
    """Positions [steps, n, 2] after each kick-drift-kick step, at whose end friction decays the velocity over the whole step."""
    out = np.empty((steps, *x.shape))
    mass = 1.0 + q
    a = pull(x, mass, scale)
    for k in range(steps):
        v = v + 0.5 * step * a
        x = x + step * v
        a = pull(x, mass, scale)
        v = v + 0.5 * step * a
        if coulomb:
            v = v * np.exp(-step * friction(x, v, q, scale, coulomb))[:, None]
        out[k] = x
    return out


def read_pairs(path: str | Path) -> np.ndarray:
    """Orbit parameters [pair, 14] (rx ry rz vx vy vz m1 m2 rout1 rout2 phi1 phi2 theta1 theta2) of JSPAM's archive/data.txt.

    Units: G = 1, 1e11 solar masses, 15 kpc; angles in degrees; position and velocity of the secondary now.
    """
    try:
        lines = [line for line in Path(path).read_text().splitlines() if line.strip()]
        rows = [[float(word) for word in line.split()[0].split(",")[:_COLUMNS]] for line in lines]
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} is no list of fitted pairs: {error}", hint="expected archive/data.txt of JSPAM"
        ) from error
    if not rows or any(len(row) != _COLUMNS for row in rows):
        raise DataError(f"{path}: every line must start with at least {_COLUMNS} numbers joined by commas")
    return np.array(rows)


def last_pericentre(
    pairs: np.ndarray, step: float = 0.002, span: float = 16.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(position [n, 3], velocity [n, 3], time [n] <= 0) of each pair's last closest approach, followed back without friction."""
    x, v = pairs[:, :3].copy(), -pairs[:, 3:6]
    mass, scale = pairs[:, 6] + pairs[:, 7], np.full(len(pairs), _JSPAM_HALO)
    best = np.linalg.norm(x, axis=1)
    at, speed, when, turned, before = x.copy(), v.copy(), np.zeros(len(x)), np.zeros(len(x), bool), best.copy()
    for k in range(int(span / step)):
        v = v + 0.5 * step * pull(x, mass, scale, 0.0)
        x = x + step * v
        v = v + 0.5 * step * pull(x, mass, scale, 0.0)
        r = np.linalg.norm(x, axis=1)
        closer = (r < best) & ~turned
        best, when = np.where(closer, r, best), np.where(closer, -(k + 1) * step, when)
        at, speed = np.where(closer[:, None], x, at), np.where(closer[:, None], v, speed)
        turned |= (r > before) & (r > 1.0001 * best) & (when < 0)
        before = r
    return at, -speed, when


def fit_pairs(pairs: np.ndarray) -> Encounters:
    """The distribution of the pairs [pair, 14] of `read_pairs`; the more massive galaxy is the primary."""
    at, speed, _ = last_pericentre(pairs)
    m, size = pairs[:, 6:8], pairs[:, 8:10]
    order = np.argsort(-m, axis=1)
    m, size = np.take_along_axis(m, order, 1), np.take_along_axis(size, order, 1)
    q = m[:, 1] / m[:, 0]
    pole = np.cross(at, speed)
    pole /= np.linalg.norm(pole, axis=1, keepdims=True)
    phi, theta = np.radians(pairs[:, 10:12]), np.radians(pairs[:, 12:14])
    spins = np.stack((np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)), axis=-1)
    aligned = np.take_along_axis((spins * pole[:, None]).sum(-1), order, 1)
    r = np.linalg.norm(at, axis=1)
    fast = np.log10(np.linalg.norm(speed, axis=1) / escape_speed(r, m.sum(1), _JSPAM_HALO))
    mean, variance = q.mean(), q.var()
    total = mean * (1 - mean) / variance - 1  # method of moments of the Beta law
    near = np.log10(r / size.sum(1))
    wide = np.log10(size[:, 1] / size[:, 0] / np.sqrt(q))

    def pair_of(values):
        low, middle, high = np.percentile(values, (16, 50, 84))
        return round(float(middle), 3), round(float(0.5 * (high - low)), 3)

    return Encounters(
        (round(float(mean * total), 3), round(float((1 - mean) * total), 3)),
        pair_of(near), pair_of(fast), pair_of(wide),
        tuple(round(_concentration(float(aligned[:, k].mean())), 3) for k in range(2)),
        len(pairs),
    )  # fmt: skip


def _concentration(mean: float) -> float:
    """kappa of a von Mises-Fisher law on the sphere from the mean cosine: coth(k) - 1/k = mean; 0 if the mean is not positive."""
    if mean <= 1e-3:
        return 0.0
    k = np.geomspace(1e-2, 50.0, 4000)
    return float(np.interp(mean, 1.0 / np.tanh(k) - 1.0 / k, k))
