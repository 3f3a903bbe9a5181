"""Small simulated galaxy cutouts: a Sersic profile, clumps, a tidal arm and neighbours, seen through a PSF with noise.

Axes [y, x], pixel (0, 0) has its centre at the origin.  The Sersic profile is
I(z) = I_e exp(-b_n [(z / r_e)^(1/n) - 1]) with b_n the root of P(2n, b) = 1/2 (Sersic 1968; Ciotti & Bertin 1999).
"""

from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve
from scipy.special import gamma, gammaincinv

OVERSAMPLING = 5  # sub-pixels per pixel along each axis


@dataclass(frozen=True)
class Galaxy:
    """One object: its centre [px], half-light semi-major axis [px], axis ratio, angle [rad], flux and disturbances."""

    x: float
    y: float
    r_half: float
    sersic_n: float = 1.0
    ellipticity: float = 0.0
    theta: float = 0.0
    flux: float = 1e4
    clumps: int = 0  # star-forming knots, each a few per cent of the light
    arm: float = 0.0  # share of the light in a one-sided tidal arm
    neighbour: float = 0.0  # flux of a second, round galaxy relative to the first


@dataclass(frozen=True)
class Cutouts:
    """Images (float32 [y, x], sizes may differ), the PSF they were seen through and the true parameters."""

    images: list[np.ndarray]
    psf: np.ndarray
    galaxies: list[Galaxy]
    noise: float
    gain: float


def sersic_profile(x: np.ndarray, y: np.ndarray, galaxy: Galaxy) -> np.ndarray:
    """Surface brightness at the points, normalised to a total flux of `galaxy.flux` over the infinite plane."""
    n, ratio = galaxy.sersic_n, 1.0 - galaxy.ellipticity
    along = (x - galaxy.x) * np.cos(galaxy.theta) + (y - galaxy.y) * np.sin(galaxy.theta)
    across = -(x - galaxy.x) * np.sin(galaxy.theta) + (y - galaxy.y) * np.cos(galaxy.theta)
    z = np.hypot(along, across / ratio) / galaxy.r_half
    b = gammaincinv(2.0 * n, 0.5)
    # total = I_e r_e^2 q 2 pi n e^b b^(-2n) Gamma(2n)  (Graham & Driver 2005, eq. 4)
    total = galaxy.r_half**2 * ratio * 2 * np.pi * n * np.exp(b) * b ** (-2 * n) * gamma(2 * n)
    return galaxy.flux / total * np.exp(-b * (z ** (1.0 / n) - 1.0))


def gaussian_psf(fwhm: float) -> np.ndarray:
    """Normalised PSF [y, x] of odd size, cut at 4 sigma; `fwhm` in pixels."""
    sigma = fwhm / 2.3548
    half = max(1, int(np.ceil(4 * sigma)))
    line = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
    psf = np.outer(line, line)
    return psf / psf.sum()


def _knots(x, y, galaxy: Galaxy, rng: np.random.Generator) -> np.ndarray:
    light = np.zeros_like(x)
    for _ in range(galaxy.clumps):
        radius, angle = galaxy.r_half * rng.uniform(0.4, 2.2), rng.uniform(0, 2 * np.pi)
        width = max(0.8, galaxy.r_half * rng.uniform(0.06, 0.2))
        shift = (x - galaxy.x - radius * np.cos(angle)) ** 2 + (y - galaxy.y - radius * np.sin(angle)) ** 2
        share = rng.uniform(0.01, 0.06) * galaxy.flux
        light += share / (2 * np.pi * width**2) * np.exp(-0.5 * shift / width**2)
    return light


def _tidal_arm(x, y, galaxy: Galaxy, rng: np.random.Generator) -> np.ndarray:
    """A logarithmic spiral on one side, starting at the half-light radius."""
    if galaxy.arm == 0:
        return np.zeros_like(x)
    radius = np.hypot(x - galaxy.x, y - galaxy.y) + 1e-9
    start, pitch = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.2)
    along = np.log(radius / galaxy.r_half) / pitch
    across = np.angle(np.exp(1j * (np.arctan2(y - galaxy.y, x - galaxy.x) - start - along)))
    light = np.exp(-0.5 * (across / 0.25) ** 2) * np.exp(-radius / (1.8 * galaxy.r_half)) * (along > 0)
    return galaxy.arm * galaxy.flux * light / max(light.sum(), 1e-9)


def _neighbour(x, y, galaxy: Galaxy, rng: np.random.Generator) -> np.ndarray:
    if galaxy.neighbour == 0:
        return np.zeros_like(x)
    distance, angle = galaxy.r_half * rng.uniform(3.5, 6.0), rng.uniform(0, 2 * np.pi)
    other = Galaxy(
        galaxy.x + distance * np.cos(angle),
        galaxy.y + distance * np.sin(angle),
        0.5 * galaxy.r_half,
        flux=galaxy.flux * galaxy.neighbour,
    )
    return sersic_profile(x, y, other)


def render(
    galaxy: Galaxy,
    shape: tuple[int, int],
    *,
    psf: np.ndarray | None = None,
    noise: float = 0.0,
    gain: float | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Image float32 [y, x] of one galaxy: light averaged over each pixel, convolved with `psf` (PSF sampled on pixels).

    noise: standard deviation of the sky and read noise per pixel.  gain: electrons per unit of flux, adds Poisson noise.
    """
    rng = np.random.default_rng(seed)
    half = 0 if psf is None else max(psf.shape) // 2
    ny, nx = shape[0] + 2 * half, shape[1] + 2 * half
    fine = (np.arange(OVERSAMPLING) + 0.5) / OVERSAMPLING - 0.5
    y, x = np.mgrid[0:ny, 0:nx] - float(half)
    light = sum(sersic_profile(x + dx, y + dy, galaxy) for dx in fine for dy in fine) / OVERSAMPLING**2
    light = light + _knots(x, y, galaxy, rng) + _tidal_arm(x, y, galaxy, rng) + _neighbour(x, y, galaxy, rng)
    if psf is not None:
        light = fftconvolve(light, psf, mode="same")[half : ny - half, half : nx - half]
    if gain is not None:
        light = rng.poisson(np.clip(light, 0, None) * gain) / gain
    return (light + noise * rng.normal(size=shape)).astype(np.float32)


def simulate_cutouts(
    n: int,
    *,
    seed: int = 0,
    sizes: tuple[int, ...] = (128,),
    signal: tuple[float, float] = (20.0, 120.0),
    fwhm: float = 2.5,
    noise: float = 1.0,
    gain: float | None = 4.0,
) -> Cutouts:
    """n galaxies from smooth to disturbed, of random size, shape and brightness.

    sizes: stamp sizes [px], taken in turn.  signal: range of the mean surface brightness within r_half, in units of `noise`.
    """
    rng = np.random.default_rng(seed)
    psf, images, galaxies = gaussian_psf(fwhm), [], []
    for index in range(n):
        size = sizes[index % len(sizes)]
        r_half, ellipticity = size * rng.uniform(0.035, 0.085), rng.uniform(0.0, 0.65)
        area = np.pi * r_half**2 * (1 - ellipticity)
        galaxy = Galaxy(
            x=size / 2 + rng.uniform(-2, 2),
            y=size / 2 + rng.uniform(-2, 2),
            r_half=r_half,
            sersic_n=float(rng.choice([0.7, 1.0, 1.5, 2.5, 4.0])),
            ellipticity=ellipticity,
            theta=rng.uniform(0, np.pi),
            flux=2 * area * noise * np.exp(rng.uniform(*np.log(signal))),
            clumps=int(rng.choice([0, 0, 3, 8])),
            arm=float(rng.choice([0.0, 0.0, 0.15, 0.3])),
            neighbour=float(rng.choice([0.0, 0.0, 0.3])),
        )
        images.append(render(galaxy, (size, size), psf=psf, noise=noise, gain=gain, seed=seed * 100_003 + index))
        galaxies.append(galaxy)
    return Cutouts(images, psf, galaxies, noise, 4.0 if gain is None else gain)
