"""Noiseless pictures of simulated scenes: integrates the discs and puts all light on the pixels.

Directions: the orbit lies in the x, y plane of the encounter; a random rotation per object turns it to the sky, whose first two axes
are the picture's x (columns) and y (rows).  The target's nucleus sits at the centre of the cutout up to half a pixel.

Legend: n g galaxy, d disc (0 primary, 1 secondary), p particle, k Gaussian, b band, y x pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from . import light, nbody, orbits
from .matching import Galaxies, kpc_per_arcsec, to_nanomaggies
from .population import CLUMPY, PROJECTION, RELAXED, Conditions, Numbers, Scene

CLUMPS, FIELD = 8, 4
NUCLEUS_KPC = 0.6  # dispersion of a nuclear burst
FIELD_MEAN = 1.0  # stars and background galaxies per cutout


@dataclass(frozen=True)
class Looks:
    """What shapes the picture of objects [n], besides the scene: directions, arms, clumps, bulges, field objects; lengths in pixels."""

    frames: np.ndarray  # [n, d, 3, 3] orientation of the discs in the encounter
    view: np.ndarray  # [n, 3, 3]
    shift: np.ndarray  # [n, 7] of the particles' sequence
    tilt: np.ndarray  # [n, d] dispersion of the orbits' planes in radians
    scale: np.ndarray  # [n] pixels per R1
    offset: np.ndarray  # [n, 2] place of a chance companion
    centre: np.ndarray  # [n, 2] of the target, in pixels from the middle of the cutout
    arm: np.ndarray  # [n, d] strength
    phase: np.ndarray
    pitch: np.ndarray
    lopsided: np.ndarray
    clump_place: np.ndarray  # [n, d, j, 2] in units of R
    clump_strength: np.ndarray  # [n, d, j]
    clump_width: np.ndarray  # [n, d]
    disc_flux: np.ndarray  # [n, 4, b] old and young stars of the primary, of the secondary; nanomaggies
    spot: dict[
        str, np.ndarray
    ]  # Gaussians: owner [k] (disc, or 2 for the field), place [n, k, 2], covariance [n, k, 3], flux [n, k, b]


def looks(
    draws: Numbers,
    scene: Scene,
    state: Conditions,
    target: Galaxies,
    companion: Galaxies,
    bands: tuple[str, ...],
    pixel_scale: float,
) -> Looks:
    """Draw the looks of objects [n] whose galaxies are given."""
    n = len(scene.scenario)
    spin = scene.drawn.spin
    frames = np.stack([nbody.frame_of(spin[:, d], draws.uniform(0, 2 * np.pi)) for d in (0, 1)], axis=1)
    cos = draws.uniform(-1, 1)
    sin, turn = np.sqrt(1 - cos**2), draws.uniform(0, 2 * np.pi)
    view = nbody.frame_of(np.stack((sin * np.cos(turn), sin * np.sin(turn), cos), axis=1), draws.uniform(0, 2 * np.pi))
    scale = scene.unit_kpc / kpc_per_arcsec(state.redshift) / pixel_scale
    apart, angle = draws.uniform(0.25, 1.5) * (1 + scene.drawn.size_ratio) * scale, draws.uniform(0, 2 * np.pi)
    offset = np.stack((apart * np.cos(angle), apart * np.sin(angle)), axis=1)
    # a passage disrupts regular arms; what the eye then sees are the tidal ones
    with np.errstate(over="ignore"):
        intact = np.exp(-np.maximum(scene.since_passage, 0.0) / 0.1) * (scene.scenario != RELAXED)

    def two(low: float, high: float) -> np.ndarray:
        return np.stack([draws.uniform(low, high) for _ in (0, 1)], axis=1)

    clumpy = np.where(scene.scenario == CLUMPY, 25.0, 2.5)[:, None, None]
    radius = np.sqrt(draws.block(2 * CLUMPS).reshape(n, 2, CLUMPS)) * 0.7 + 0.05
    azimuth = 2 * np.pi * draws.block(2 * CLUMPS).reshape(n, 2, CLUMPS)
    strength = clumpy * -np.log(draws.block(2 * CLUMPS).reshape(n, 2, CLUMPS))
    early = np.stack(
        [np.where(scene.target == d, target.make.bulge_share, companion.make.bulge_share) for d in (0, 1)], axis=1
    )
    early = np.where(scene.is_remnant[:, None], target.make.bulge_share[:, None], early)
    tilt = np.clip(early - 0.35, 0.0, 0.5) * two(0.4, 2.0)
    disc_flux, spots = _fluxes(scene, target, companion, bands)
    return Looks(
        frames, view, draws.block(7), tilt, scale, offset, np.stack((draws.uniform(-0.5, 0.5), draws.uniform(-0.5, 0.5)), axis=1),
        two(0.0, 0.8) * intact[:, None], two(0, 2 * np.pi), np.radians(two(*light.SPIRAL_PITCH)), two(0.0, 0.25),
        np.stack((radius * np.cos(azimuth), radius * np.sin(azimuth)), axis=-1), strength, two(0.03, 0.07),
        disc_flux, _spots(draws, scene, target, companion, spots, scale, pixel_scale, bands),
    )  # fmt: skip


def _fluxes(scene: Scene, target: Galaxies, companion: Galaxies, bands) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Flux [n, 4, b] of the discs and {"bulge", "nucleus"} [n, 2, b] of the primary and secondary, in nanomaggies."""
    parts = {}
    for name in ("disc", "young", "bulge", "nucleus"):
        own = to_nanomaggies(target.light(getattr(target.stars, name), bands), target.redshift)
        other = to_nanomaggies(companion.light(getattr(companion.stars, name), bands), companion.redshift)
        pair = np.stack((own, other * scene.has_second[:, None]), axis=1)
        swapped = (scene.target == 1)[:, None, None]
        pair = np.where(swapped, pair[:, ::-1], pair)
        q = scene.drawn.mass_ratio[:, None]
        share = np.stack((own / (1 + q), own * q / (1 + q)), axis=1)
        if name in ("bulge", "nucleus"):  # of a remnant: all at the common centre
            share = np.stack((own, np.zeros_like(own)), axis=1)
        parts[name] = np.where(scene.is_remnant[:, None, None], share, pair)
    discs = np.stack((parts["disc"][:, 0], parts["young"][:, 0], parts["disc"][:, 1], parts["young"][:, 1]), axis=1)
    return discs, {"bulge": parts["bulge"], "nucleus": parts["nucleus"]}


def _spots(draws: Numbers, scene, target, companion, fluxes, scale, pixel_scale: float, bands) -> dict[str, np.ndarray]:
    """Gaussians of bulges, nuclei and field objects; see `Looks.spot`."""
    n = len(scale)
    owner, place, covariance, flux = [], [], [], []
    nothing = np.zeros((n, 2))
    for d in (0, 1):
        galaxy = np.where(scene.target == d, target.make.bulge_share, companion.make.bulge_share)
        size = scale * (scene.drawn.size_ratio if d else 1.0)
        effective = size * (0.03 + 0.22 * galaxy) * draws.lognormal(1.0, 0.15)
        shares, sigmas = light.sersic_gaussians(1.2 + 3.3 * galaxy)
        axis, angle = draws.uniform(0.6, 1.0), draws.uniform(0, np.pi)
        shape = _shape(axis, angle)
        for k, sigma in enumerate(sigmas):
            owner.append(d), place.append(nothing)
            covariance.append(shape * ((sigma * effective) ** 2)[:, None])
            flux.append(fluxes["bulge"][:, d] * shares[:, k, None])
        nucleus = NUCLEUS_KPC / scene.unit_kpc * scale
        owner.append(d), place.append(nothing), flux.append(fluxes["nucleus"][:, d])
        covariance.append(np.stack((nucleus**2, nucleus**2, 0 * nucleus), axis=1))
    colour = {"g": 0.35, "r": 0.0, "i": -0.2, "z": -0.3}
    for _ in range(FIELD):
        there, galaxy = draws.uniform() < FIELD_MEAN / FIELD, draws.uniform() < 0.5
        magnitude, red = 17.5 + 5.0 * np.sqrt(draws.uniform()), draws.uniform(0.3, 1.8)
        width = np.where(galaxy, draws.uniform(0.3, 1.0), 0.0) / pixel_scale
        (
            owner.append(2),
            covariance.append(_shape(draws.uniform(0.4, 1.0), draws.uniform(0, np.pi)) * (width**2)[:, None]),
        )
        place.append(np.stack((draws.uniform(-0.5, 0.5), draws.uniform(-0.5, 0.5)), axis=1))  # in units of the cutout
        magnitudes = magnitude[:, None] + red[:, None] * np.array([colour[b] for b in bands])
        flux.append(there[:, None] * 10.0 ** (-0.4 * (magnitudes - 22.5)))
    stacked = {"place": place, "covariance": covariance, "flux": flux}
    return {"owner": np.array(owner), **{name: np.stack(rows, axis=1) for name, rows in stacked.items()}}


def _shape(axis: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Covariance xx, yy, xy [n, 3] of an ellipse of unit area radius with the given axis ratio and position angle."""
    major, minor = 1.0 / axis, axis
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack(
        (major * cos**2 + minor * sin**2, major * sin**2 + minor * cos**2, (major - minor) * sin * cos), axis=1
    )


def particles(
    scene: Scene, look: Looks, rows: np.ndarray, counts: tuple[int, int], device
) -> tuple[nbody.Discs, Tensor, np.ndarray]:
    """Integrate the discs of the scenes `rows` (all of one number of steps): (discs at the start, positions [c, g, p] now, centres [g, d, 3] now)."""
    q, size = scene.drawn.mass_ratio[rows], scene.drawn.size_ratio[rows]
    n, steps = len(rows), int(scene.steps[rows[0]])
    collides = scene.collides[rows]
    share = (
        np.stack((-q / (1 + q), 1 / (1 + q)), axis=1) * collides[:, None]
    )  # of the relative vector, centre of mass at rest

    def centres(when):
        relative = scene.track.rows(rows).at(when)
        flat = np.concatenate((relative, np.zeros((*relative.shape[:-1], 1))), axis=-1)
        return flat[..., None, :] * share[..., None]

    step = (scene.now[rows] + scene.before) / steps
    first, later = (centres(np.full((1, n), when - scene.before))[0] for when in (0.0, 0.05))
    track = centres(-scene.before + step * (np.arange(steps)[:, None] + 0.5))
    masses, sizes = np.stack((np.ones(n), q), axis=1), np.stack((np.ones(n), size), axis=1)
    start = nbody.make_discs(sizes, masses, look.shift[rows], look.tilt[rows], counts, device)
    start = nbody.place(start, look.frames[rows], first, (later - first) / 0.05)
    pull = masses[:, None, :] * np.where(collides[:, None, None], 1.0, np.eye(2))
    if counts[1] == 0:
        pull[:, :, 1] = 0.0
    now, _ = nbody.integrate(start, track, step, pull, sizes * orbits.HALO_SCALE)
    return start, now, centres(scene.now[None, rows])[0]


def picture(
    scene: Scene,
    look: Looks,
    rows: np.ndarray,
    size: int,
    margin: int,
    counts: tuple[int, int],
    device: str | torch.device = "cpu",
) -> Tensor:
    """rfft2 [g, b, fy, fx] of the noiseless light of scenes `rows` on `size` + 2 `margin` pixels, before the telescope."""
    discs, now, centres = particles(scene, look, rows, counts, device)
    like = {"dtype": torch.float32, "device": device}
    side = size + 2 * margin
    target = centres[np.arange(len(rows)), scene.target[rows]]
    view = torch.as_tensor(look.view[rows], **like)
    origin = torch.as_tensor(target, **like).T[:, :, None]
    scale = torch.as_tensor(look.scale[rows], **like)[:, None]
    middle = 0.5 * (side - 1) + look.centre[rows]
    sky = torch.einsum("gji,jgp->igp", view[:, :, :2], now - origin) * scale
    offset = np.where((scene.scenario[rows] == PROJECTION)[:, None], look.offset[rows], 0.0)
    moved = discs.disc.to(torch.float32)
    x, y = (
        sky[i] + torch.as_tensor(middle[:, i], **like)[:, None] + moved * torch.as_tensor(offset[:, i], **like)[:, None]
        for i in (0, 1)
    )
    weights = _weights(scene, look, rows, discs, now, centres, counts)
    maps = light.deposit(x, y, weights, 2 * discs.disc, side)
    spectrum = light.smooth(maps, torch.as_tensor(look.disc_flux[rows], **like))
    seen = (
        np.einsum("gji,gdj->gdi", look.view[rows][:, :, :2], centres - target[:, None])
        * look.scale[rows][:, None, None]
    )
    seen[:, 1] += offset
    spots = _spot_picture(look, rows, seen + middle[:, None], side, size, device)
    return spectrum + torch.fft.rfft2(spots)


def _weights(scene: Scene, look: Looks, rows, discs: nbody.Discs, now: Tensor, centres: np.ndarray, counts) -> Tensor:
    """Light [g, 2, p] of the particles, old and young, with arms, lopsidedness and clumps; sums to one per disc and age."""
    like = {"dtype": now.dtype, "device": now.device}
    out = []
    for d in range(2 if counts[1] else 1):
        mine = discs.disc == d
        own = now[:, :, mine] - torch.as_tensor(centres[:, d], **like).T[:, :, None]
        frame = torch.as_tensor(look.frames[rows, d], **like)
        size = torch.as_tensor(scene.drawn.size_ratio[rows] if d else np.ones(len(rows)), **like)[:, None]
        x, y = torch.einsum("gji,jgp->igp", frame[:, :, :2], own) / size
        pick = [torch.as_tensor(value[rows, d], **like) for value in (look.arm, look.phase, look.pitch, look.lopsided)]
        arms = light.arm_weights(x, y, *pick[:3])
        side = 1.0 + pick[3][:, None] * torch.cos(torch.atan2(y, x) - pick[1][:, None])
        clumps = [
            torch.as_tensor(v[rows, d], **like) for v in (look.clump_place, look.clump_strength, look.clump_width)
        ]
        base = discs.weight[mine] * side
        old = base * (1.0 + 0.6 * (arms - 1.0))
        young = base * (1.0 + 1.6 * (arms - 1.0)).clamp_min(0.05) * light.clump_weights(x, y, *clumps)
        out.append(torch.stack([w / w.sum(1, keepdim=True) for w in (old, young)], dim=1))
    return torch.cat(out, dim=-1)


def _spot_picture(look: Looks, rows: np.ndarray, nuclei: np.ndarray, side: int, size: int, device) -> Tensor:
    """Pictures [g, b, y, x] of bulges, nuclear bursts and field objects; `nuclei` [g, d, 2] in pixels."""
    # a picture without a second galaxy has no use for its bulge
    some = np.flatnonzero((look.spot["owner"] != 1) | look.spot["flux"][rows].any((0, 2)))
    owner = look.spot["owner"][some]
    own = np.concatenate((nuclei, np.full((len(rows), 1, 2), 0.5 * (side - 1))), axis=1)[:, owner]
    place = own + look.spot["place"][rows][:, some] * np.where(owner == 2, size, 0.0)[None, :, None]
    like = {"dtype": torch.float32, "device": device}
    arrays = (place, look.spot["covariance"][rows][:, some], look.spot["flux"][rows][:, some])
    return light.gaussians(*(torch.as_tensor(a, **like) for a in arrays), side)
