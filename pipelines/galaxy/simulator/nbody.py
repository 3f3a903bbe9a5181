"""Discs of test particles in two moving haloes: the restricted N-body problem of Toomre & Toomre (1972, ApJ 178, 623), batched.

Units as in `orbits`: G = 1, M1 = 1, R1 = 1.  A particle at x feels  x'' = -sum_k M_k d_k / (s_k (s_k + a_k)^2),  d_k = x - c_k(t),
s_k^2 = |d_k|^2 + eps^2, of the two haloes whose centres move along the orbit; particles have no mass.  Leapfrog (drift-kick-drift) with
a fixed number of steps per galaxy, each galaxy with its own step.

Discs: exponential surface density of scale R/4 out to 1.5 R; radii and azimuths come from a low-discrepancy sequence instead of random
numbers, more densely outside, with weights that restore the profile: the noise of a picture is then far below sqrt(N), and tails
are resolved where the light is faint.  Early-type galaxies are the same discs with every orbit tilted by a random angle: in a spherical
halo a rotated orbit is an orbit, so the thick disc or spheroid is in equilibrium as well.

Legend: g galaxy, d disc, p particle, c coordinate, t step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .orbits import HALO_SCALE

SCALE_LENGTH = 0.25  # disc scale in units of its outer radius R
EDGE = 1.5  # discs end at EDGE * R = 6 scale lengths
SOFTENING = 0.08
HEAT = 0.10  # radial velocity dispersion over circular speed
THICKNESS = 0.03  # vertical scale in units of R
# Fractional parts of multiples of the powers of 1/x, x^8 = x + 1 (Roberts 2018's R_7 sequence): seven low-discrepancy coordinates.
_ROOT = 1.0969815577985598
_STRIDES = tuple((1.0 / _ROOT) ** k for k in range(1, 8))


@dataclass(frozen=True)
class Discs:
    """Test particles in the frame of their own centre: positions and velocities [c, g, p], light weight [p] (sums to one per disc)."""

    position: Tensor
    velocity: Tensor
    weight: Tensor
    disc: Tensor  # [p] 0 primary, 1 secondary


def circular_speed(radius: Tensor | np.ndarray, mass, scale, softening: float = SOFTENING):
    """Speed of circular orbits in a softened Hernquist halo: r sqrt(M / s) / (s + a)."""
    s = (radius**2 + softening**2) ** 0.5
    return radius * (mass / s) ** 0.5 / (s + scale)


def _radii(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Radii [p] in units of R for uniform numbers [p], and light weights [p]: half of the particles follow the light, half are even."""
    grid = np.linspace(1e-3, EDGE, 2000)
    light = grid * np.exp(-grid / SCALE_LENGTH)
    light /= light.sum()
    chosen = 0.5 * light + 0.5 / len(grid)
    share = np.cumsum(chosen)
    radius = np.interp(u, share / share[-1], grid)
    weight = np.interp(radius, grid, light / chosen)
    return radius, weight / weight.sum()


def make_discs(
    sizes: np.ndarray, masses: np.ndarray, shift: np.ndarray, tilt: np.ndarray, counts: tuple[int, int], device="cpu"
) -> Discs:
    """Discs lying in the plane z = 0 of their own frame, turning counter-clockwise about +z.

    `sizes`, `masses` [g, d] are outer radii and halo masses; `shift` [g, 7] uniform numbers that displace the sequence per galaxy;
    `tilt` [g, d] is the dispersion in radians of the orbits' planes, 0 for a thin disc.
    """
    shift = torch.as_tensor(shift, dtype=torch.float64, device=device)
    parts = [
        _one_disc(sizes[:, k], masses[:, k], (shift + 0.37 * k) % 1.0, tilt[:, k], count)
        for k, count in enumerate(counts)
    ]
    position, velocity = (torch.cat([part[i] for part in parts], dim=-1) for i in (0, 1))
    weight = torch.cat([part[2] for part in parts])
    disc = torch.cat([torch.full((count,), k, device=device) for k, count in enumerate(counts)])
    return Discs(position, velocity, weight, disc)


def _one_disc(
    size: np.ndarray, mass: np.ndarray, shift: Tensor, tilt: np.ndarray, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    device = shift.device
    order = torch.arange(1, count + 1, dtype=torch.float64, device=device)
    radius, weight = _radii((np.arange(count) + 0.5) / count)
    radius, weight = (torch.as_tensor(x, dtype=torch.float32, device=device) for x in (radius, weight))
    # the radii are ordered: azimuths of golden-angle steps spread neighbours in radius all around
    sequences = [((order[None] * stride + shift[:, k : k + 1]) % 1.0).float() for k, stride in enumerate(_STRIDES)]
    golden = ((order[None] * 0.6180339887498949 + shift[:, :1]) % 1.0).float()
    normal = [torch.special.ndtri(u.clamp(1e-6, 1 - 1e-6)) for u in sequences[1:6]]
    size, mass, tilt = (torch.as_tensor(x, dtype=torch.float32, device=device)[:, None] for x in (size, mass, tilt))
    phi = 2 * torch.pi * golden
    r = radius * size
    speed = circular_speed(r, mass, HALO_SCALE * size)
    radial = HEAT * speed * normal[0]
    along = speed * (
        1.0 + 0.7 * HEAT * normal[1]
    )  # the epicycle makes the azimuthal dispersion 1/sqrt(2) of the radial
    z = THICKNESS * size * normal[2]
    rise = THICKNESS * size * normal[3] * speed / r
    cos, sin = torch.cos(phi), torch.sin(phi)
    position = torch.stack((r * cos, r * sin, z))
    velocity = torch.stack((radial * cos - along * sin, radial * sin + along * cos, rise))
    angle, axis = tilt * normal[4], 2 * torch.pi * sequences[6]
    return _tilted(position, angle, axis), _tilted(velocity, angle, axis), weight


def _tilted(vector: Tensor, angle: Tensor, axis: Tensor) -> Tensor:
    """Vectors [c, g, p] turned by `angle` [g, p] about the direction at azimuth `axis` [g, p] in the plane z = 0 (Rodrigues)."""
    kx, ky, cos, sin = torch.cos(axis), torch.sin(axis), torch.cos(angle), torch.sin(angle)
    x, y, z = vector
    along = (kx * x + ky * y) * (1.0 - cos)
    return torch.stack(
        (x * cos + ky * z * sin + kx * along, y * cos - kx * z * sin + ky * along, z * cos + (kx * y - ky * x) * sin)
    )


def frame_of(spin: np.ndarray, twist: np.ndarray) -> np.ndarray:
    """Rotation matrices [n, 3, 3] that take +z to the unit vectors `spin` [n, 3], turned by `twist` [n] radians before."""
    z = spin
    aside = np.where(np.abs(z[:, 2:]) < 0.9, np.array([[0.0, 0.0, 1.0]]), np.array([[1.0, 0.0, 0.0]]))
    x = np.cross(aside, z)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y = np.cross(z, x)
    cos, sin = np.cos(twist)[:, None], np.sin(twist)[:, None]
    return np.stack((x * cos + y * sin, -x * sin + y * cos, z), axis=2)


def place(discs: Discs, frames: np.ndarray, centre: np.ndarray, drift: np.ndarray) -> Discs:
    """Discs turned by `frames` [g, d, 3, 3] and moved to `centre` [g, d, 3] with velocity `drift` [g, d, 3]."""
    like = {"dtype": discs.position.dtype, "device": discs.position.device}
    frames, centre, drift = (torch.as_tensor(x, **like) for x in (frames, centre, drift))
    turned = []
    for vectors, offset in ((discs.position, centre), (discs.velocity, drift)):
        parts = []
        for k in (0, 1):
            own = vectors[:, :, discs.disc == k]
            parts.append(torch.einsum("gij,jgp->igp", frames[:, k], own) + offset[:, k].T[:, :, None])
        turned.append(torch.cat(parts, dim=-1).contiguous())
    return Discs(turned[0], turned[1], discs.weight, discs.disc)


def integrate(
    discs: Discs,
    centres: np.ndarray,
    steps: np.ndarray,
    masses: np.ndarray,
    scales: np.ndarray,
    softening: float = SOFTENING,
) -> tuple[Tensor, Tensor]:
    """Positions and velocities [c, g, p] after len(centres) steps.

    `centres` [t, g, d, 3] are the haloes' centres at the middle of each step, `steps` [g] the step of each galaxy, `masses` [g, d, k] the
    mass with which halo k pulls disc d (0: it does not), `scales` [g, k] Hernquist scales.
    """
    x, v = discs.position.clone(), discs.velocity.clone()
    like = {"dtype": x.dtype, "device": x.device}
    dt = torch.as_tensor(steps, **like)[:, None]
    track = torch.as_tensor(centres, **like)
    scales = torch.as_tensor(scales, **like)
    kick = torch.as_tensor(masses, **like)[:, discs.disc] * dt[:, :, None]  # [g, p, k]
    kick = [kick[:, :, k].contiguous() for k in (0, 1)]
    d, s, t = torch.empty_like(x), torch.empty_like(x[0]), torch.empty_like(x[0])
    alone = [bool((part == 0).all()) for part in kick]
    x.addcmul_(v, 0.5 * dt)
    for step in range(len(track)):
        for k in (0, 1):
            if alone[k]:
                continue
            torch.sub(x, track[step, :, k].T[:, :, None], out=d)
            torch.mul(d[0], d[0], out=s).addcmul_(d[1], d[1]).addcmul_(d[2], d[2]).add_(softening**2).sqrt_()
            torch.add(s, scales[:, k : k + 1], out=t).square_().mul_(s)
            torch.div(kick[k], t, out=t)
            v.addcmul_(d, t, value=-1)
        x.addcmul_(v, dt)
    x.addcmul_(v, -0.5 * dt)
    return x, v
