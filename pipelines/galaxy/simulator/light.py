"""Light on the sky: discs from test particles, bulges and point-like sources from Gaussians, one picture per band.

A particle is shared among the four nearest pixels (cloud in cell) and smoothed with a Gaussian of 0.55 to 4.8 pixels, wider where
particles are sparser, so that faint tails are smooth and discs stay sharp; all of it conserves flux.  Sersic profiles
I = I_e exp(-b ((r / R_e)^(1/n) - 1)) are mixtures of Gaussians (after Hogg & Lang 2013, PASP 125, 719) fitted here by non-negative
least squares, so that they are exact integrals under the same narrowest smoothing.

Legend: g galaxy, p particle, m map (old and young stars of either disc), s smoothing level, k Gaussian, b band, y x pixel.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from scipy.optimize import nnls
from scipy.special import gamma, gammaincinv
from torch import Tensor

LEVELS = (0.55, 1.2, 2.4, 4.8)  # pixel
_DENSE = (4.0, 0.8, 0.12)  # particles per pixel above which the narrower smoothing does
_SIGMAS = np.geomspace(0.02, 4.5, 9)  # R_e
_INDICES = np.array([0.8, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0])
SPIRAL_PITCH = (12.0, 28.0)  # degrees, Sb to Sc (Kennicutt 1981)


@lru_cache(maxsize=1)
def _sersic_table() -> np.ndarray:
    """Flux [index, k] in Gaussians of dispersion `_SIGMAS` R_e for Sersic profiles of unit flux."""
    r = np.geomspace(2e-3, 8.0, 400)
    basis = np.exp(-0.5 * (r[:, None] / _SIGMAS) ** 2) / (2 * np.pi * _SIGMAS**2)
    rows = []
    for n in _INDICES:
        b = gammaincinv(2 * n, 0.5)
        profile = np.exp(-b * (r ** (1 / n) - 1.0)) * b ** (2 * n) / (2 * np.pi * n * np.exp(b) * gamma(2 * n))
        weight = r  # equal care for the light per ring of equal d(ln r)
        rows.append(nnls(basis * weight[:, None], profile * weight)[0])
    table = np.array(rows)
    return table / table.sum(1, keepdims=True)


def sersic_gaussians(n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(share of the flux [g, k], dispersion [k] in R_e) of Sersic profiles of index `n` [g] in 0.8 to 5."""
    weights = np.array([np.interp(n, _INDICES, row) for row in np.eye(len(_INDICES))]).T
    return weights @ _sersic_table(), _SIGMAS


def arm_weights(x: Tensor, y: Tensor, strength: Tensor, phase: Tensor, pitch: Tensor) -> Tensor:
    """Factor [g, p] of a two-armed logarithmic spiral at disc coordinates x, y [g, p]: 1 + A cos(2 phi + 2 ln(r) / tan(pitch) - phase)."""
    r = torch.sqrt(x * x + y * y) + 1e-3
    turn = 2 * torch.atan2(y, x) + 2 * torch.log(r) / torch.tan(pitch)[:, None] - phase[:, None]
    return 1.0 + strength[:, None] * torch.cos(turn)


def clump_weights(x: Tensor, y: Tensor, centre: Tensor, strength: Tensor, width: Tensor) -> Tensor:
    """Factor [g, p] of star-forming clumps at `centre` [g, j, 2] with `strength` [g, j] and radius `width` [g], in units of R."""
    total = torch.ones_like(x)
    scale = -0.5 / width[:, None] ** 2
    for j in range(centre.shape[1]):
        d2 = (x - centre[:, j, :1]) ** 2 + (y - centre[:, j, 1:]) ** 2
        total += strength[:, j : j + 1] * torch.exp(scale * d2)
    return total


def deposit(x: Tensor, y: Tensor, weights: Tensor, first: Tensor, side: int) -> Tensor:
    """Maps [g, s, m, y, x] of particles at pixel coordinates x, y [g, p] (pixel centres are whole numbers).

    `weights` [g, 2, p] (old, young) is the light of each particle, `first` [p] the map of its old light (0 or 2); young light goes to
    the next map.  Light that falls beyond the picture is dropped.
    """
    n = x.shape[0]
    fx, fy = torch.floor(x), torch.floor(y)
    inside = (fx >= 0) & (fx < side - 1) & (fy >= 0) & (fy < side - 1)
    ix = fx.clamp(0, side - 2).long()
    iy = fy.clamp(0, side - 2).long()
    dx, dy = x - fx, y - fy
    here = iy * side + ix
    count = torch.zeros(n, side * side, dtype=x.dtype, device=x.device).scatter_add_(1, here, inside.to(x.dtype))
    near = torch.nn.functional.avg_pool2d(count.view(n, 1, side, side), 5, 1, 2, count_include_pad=True).view(n, -1)
    density = near.gather(1, here)
    level = sum((density < limit).long() for limit in _DENSE)
    maps = torch.zeros(n, len(LEVELS) * 4 * side * side, dtype=x.dtype, device=x.device)
    base = (level * 4 + first) * (side * side) + here
    for jy, jx, share in ((0, 0, (1 - dy) * (1 - dx)), (0, 1, (1 - dy) * dx), (1, 0, dy * (1 - dx)), (1, 1, dy * dx)):
        share = share * inside
        corner = base + (jy * side + jx)
        for age in (0, 1):
            maps.scatter_add_(1, corner + age * side * side, weights[:, age] * share)
    return maps.view(n, len(LEVELS), 4, side, side)


def gaussians(centre: Tensor, covariance: Tensor, flux: Tensor, side: int) -> Tensor:
    """Pictures [g, b, y, x] of elliptical Gaussians at `centre` [g, k, 2] (x, y in pixels) with `flux` [g, k, b].

    `covariance` [g, k, 3] holds xx, yy, xy in pixel^2; the narrowest smoothing of the particles is added, which makes sampling at pixel
    centres conserve flux to 4 exp(-2 pi^2 0.55^2) = 1 % for a point and better for anything wider.
    """
    xx, yy, xy = (covariance[..., i] for i in range(3))
    xx, yy = xx + LEVELS[0] ** 2, yy + LEVELS[0] ** 2
    determinant = xx * yy - xy**2
    peak = flux / (2 * torch.pi * torch.sqrt(determinant))[..., None]
    axis = torch.arange(side, dtype=centre.dtype, device=centre.device)
    dx, dy = axis - centre[..., :1], axis - centre[..., 1:]  # [g, k, x], [g, k, y]
    along_x, along_y = (-0.5 * yy / determinant)[..., None] * dx**2, (-0.5 * xx / determinant)[..., None] * dy**2
    cross = (xy / determinant)[..., None] * dy
    out = torch.zeros(*flux.shape[::2], side, side, dtype=centre.dtype, device=centre.device)
    for k in range(flux.shape[1]):  # one after the other: the pictures of all would not fit into a cache
        shape = (
            torch.baddbmm(along_x[:, k, None], cross[:, k, :, None], dx[:, k, None]).add_(along_y[:, k, :, None]).exp_()
        )
        out.addcmul_(peak[:, k, :, None, None], shape[:, None])
    return out


def smooth(maps: Tensor, flux: Tensor) -> Tensor:
    """Spectra [g, b, fy, fx] (rfft2) of the particle maps [g, s, m, y, x] with `flux` [g, m, b], each level smoothed by its Gaussian."""
    side = maps.shape[-1]
    total = 0.0
    for sigma, level in zip(LEVELS, maps.unbind(1), strict=True):
        picture = torch.einsum("gmyx,gmb->gbyx", level, flux)
        total = total + torch.fft.rfft2(picture) * gaussian_transfer(sigma, side, maps.device)
    return total


@lru_cache(maxsize=32)
def gaussian_transfer(sigma: float, side: int, device: torch.device) -> Tensor:
    """Fourier transfer [fy, fx] of a Gaussian of `sigma` pixels."""
    fy = torch.fft.fftfreq(side, device=device)[:, None]
    fx = torch.fft.rfftfreq(side, device=device)[None]
    return torch.exp(-2 * torch.pi**2 * sigma**2 * (fx**2 + fy**2))
