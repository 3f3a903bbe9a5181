"""Simulated galaxies with cutouts, spectroscopic tables and merger stages: `simulate(n, seed)`.

An object is a pure function of (seed, its number, size, bands and the other options): the first objects of a large set are the objects of
a small one.  Classes: "non" (isolated and clumpy discs, remnants relaxed long ago, chance
projections), "pre" (from 0.12 Gyr before the first passage, at most
1 Gyr before coalescence) and "post" (up to 0.8 Gyr after coalescence).

What each modality can know, by design:
  cutout only   companions, bridges, tails, shells: close passages and young remnants whatever their spectra; but a chance projection
                looks like an early pair, a clumpy disc like a disturbed one, and a remnant that has lost its tails like one relaxed long ago.
  table only    raised star formation, diluted metals, stirred gas after a passage; strong H_delta over weak H_alpha in remnants of a
                few 0.1 Gyr; but nothing before the first passage, and bursts without mergers look the same.
  neither       redshift, mass, magnitude, signal-to-noise, seeing, depth: matched within groups of two controls, one pre and one post.
A gain of fusion on this set is therefore expected and says that the model combines what was put into two places; it is no evidence
for real surveys.

Legend: n object, b band, y x pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from sciml.pipelines.errors import SettingsError

from ..catalog import ArrayImages, Catalog
from ..spectra import compact
from . import matching, observe, population, render, table

FIELD_OF_VIEW = 51.2  # arcsec, the side of a cutout where no pixel scale is given
BLOCK, BATCH = 512, 16  # objects planned, and integrated, at a time
PARTICLES = (4096, 3072)
_MAKE = 24


@dataclass(frozen=True)
class Block:
    """Some objects [n]: float32 `images` [n, b, y, x] in nanomaggies per pixel (None without pictures), the table, what is behind them.

    `labels` index `classes`; `groups` are matched groups, to be kept together in splits; `nuisance` is never an input of a model;
    `truth` holds scenario, times in Gyr (NaN for controls), encounter, separation and noiseless quantities.
    """

    ids: np.ndarray
    images: np.ndarray | None
    table: pd.DataFrame
    labels: np.ndarray
    groups: np.ndarray
    nuisance: pd.DataFrame
    truth: pd.DataFrame
    bands: tuple[str, ...]
    pixel_scale: float
    classes: tuple[str, ...] = population.CLASSES

    def __len__(self) -> int:
        return len(self.ids)


def simulate(n: int, seed: int = 0, size: int = 64, bands: tuple[str, ...] = ("g", "r", "i"), **options) -> Catalog:
    """Objects 0 to n - 1 of a seed as a catalog; what is behind them (times, scenario, noiseless table) is in `withheld`.

    `options` as for `simulate_blocks`, which holds no more than a block in memory.
    """
    blocks = list(simulate_blocks(n, seed, size, bands, **options))
    parts = {name: np.concatenate([getattr(b, name) for b in blocks]) for name in ("ids", "labels", "groups")}
    frames = {name: pd.concat([getattr(b, name) for b in blocks]) for name in ("table", "nuisance", "truth")}
    images = None if blocks[0].images is None else ArrayImages(np.concatenate([b.images for b in blocks]), tuple(bands))
    return Catalog(
        table=frames["table"],
        nuisance=frames["nuisance"],
        withheld=frames["truth"],
        images=images,
        classes=blocks[0].classes,
        **parts,
    )


def simulate_blocks(
    n: int,
    seed: int = 0,
    size: int = 64,
    bands: tuple[str, ...] = ("g", "r", "i"),
    *,
    pixel_scale: float | None = None,
    psf: str = "moffat",
    members: tuple[str, ...] = population.MEMBERS,
    pictures: bool = True,
    particles: tuple[int, int] = PARTICLES,
    device: str | torch.device = "cpu",
    progress: Callable[[int], None] | None = None,
) -> Iterator[Block]:
    """Objects in blocks of at most 512, in order.

    `pixel_scale` in arcsec (default: 51.2 / size), `psf` "moffat" or "gaussian", `members` the classes of a matched group, `pictures`
    False for tables alone, `particles` of the primary's and secondary's disc; `progress` is called with the objects done since the
    last call.  SettingsError for sizes, bands and counts that make no sense.
    """
    _check(n, size, bands, psf, pixel_scale, particles)
    scale = FIELD_OF_VIEW / size if pixel_scale is None else pixel_scale
    for begin in range(0, n, BLOCK):
        ids = np.arange(begin, min(begin + BLOCK, n))
        yield _block(seed, ids, size, tuple(bands), scale, psf, tuple(members), pictures, particles, device, progress)


def _check(n, size, bands, psf, pixel_scale, particles) -> None:
    if n < 1:
        raise SettingsError(f"cannot simulate {n} galaxies; give at least 1")
    if not 16 <= size <= 1024:
        raise SettingsError(f"cutouts of {size} pixels; accepted: 16 to 1024")
    if not bands or len(set(bands)) != len(bands):
        raise SettingsError(f"bands {', '.join(bands) or '(none)'}: give one or more, each once")
    for name in bands:
        compact.load().band(name)
    if psf not in observe.SHAPES:
        raise SettingsError(f'no point-spread function "{psf}"; accepted: {", ".join(observe.SHAPES)}')
    if pixel_scale is not None and not 0.02 <= pixel_scale <= 5.0:
        raise SettingsError(f"a pixel of {pixel_scale:g} arcsec; accepted: 0.02 to 5")
    if min(particles) < 64:
        raise SettingsError(f"{min(particles)} particles in a disc; give at least 64")


def _block(seed, ids, size, bands, scale, psf, members, pictures, particles, device, progress) -> Block:
    """One block of objects `ids`."""
    state = population.conditions(seed, ids, members)
    scene = population.scene(seed, ids, state)
    stars = population.numbers(seed, ids, "stars", matching.CANDIDATES * _MAKE)
    target = matching.matched(stars, state.log_mass, state.redshift, state.light_offset, scene)
    spectrum = population.numbers(seed, ids, "spectrum", 40)
    real = table.truth(spectrum, target, scene)
    flux = matching.to_nanomaggies(10.0 ** (-0.4 * real[["absolute_r"]].to_numpy()), state.redshift)[:, 0]
    magnitude = 22.5 - 2.5 * np.log10(flux)
    measured = table.measure(spectrum, real, magnitude, state.redshift, state.spectrum_quality)
    sky = observe.sky_level(bands, state.sky, scale)
    names = np.array([f"sim{seed}-{i:07d}" for i in ids])
    nuisance = _nuisance(spectrum, state, magnitude, measured.pop("spectrum_snr"), bands, sky, scale)
    truth = _truth(scene, real)
    images = None
    if pictures:
        images, separation = _images(
            seed, ids, state, scene, target, size, bands, scale, psf, sky, particles, device, progress
        )
        truth["separation_arcsec"] = separation
    elif progress is not None:
        progress(len(ids))
    for frame in (measured, nuisance, truth):
        frame.index = pd.Index(names, name="id")
    groups = np.array([f"sim{seed}-g{g:06d}" for g in state.group])
    return Block(names, images, measured, state.label.astype(np.int64), groups, nuisance, truth, bands, scale)


def _nuisance(draws, state, magnitude, spectrum_snr, bands, sky, scale) -> pd.DataFrame:
    """What must not tell the label: the r band stands for all in magnitude and noise."""
    band = "r" if "r" in bands else bands[0]
    noise = observe.pixel_noise(bands, sky, state.exposure, scale)[:, bands.index(band)]
    seen = magnitude + draws.normal(0, 0.02)
    area = np.pi * 5.0**2 / scale**2  # pixels in an aperture of 5 arcsec
    return pd.DataFrame({
        "redshift": state.redshift, "magnitude": seen, "log_mass": state.log_mass + draws.normal(0, 0.08),
        "image_snr": 10.0 ** (-0.4 * (seen - 22.5)) / (noise * np.sqrt(area)), "spectrum_snr": np.asarray(spectrum_snr),
        "sky_noise": noise, "psf_fwhm": state.seeing, "exposure": state.exposure,
    })  # fmt: skip


def _truth(scene: population.Scene, real: pd.DataFrame) -> pd.DataFrame:
    interacts = scene.interacts

    def only(values: np.ndarray) -> np.ndarray:
        return np.where(interacts, values, np.nan)

    head = pd.DataFrame({
        "scenario": pd.Categorical.from_codes(scene.scenario, population.SCENARIOS),
        "time_since_coalescence": only(scene.since_coalescence), "time_since_passage": only(scene.since_passage),
        "mass_ratio": np.where(scene.interacts, scene.drawn.mass_ratio, np.nan), "pericentre_kpc": only(scene.drawn.pericentre * scene.unit_kpc),
        "separation_kpc": only(np.linalg.norm(scene.separation(), axis=1) * scene.unit_kpc),
    })  # fmt: skip
    return pd.concat((head, real.add_prefix("true_")), axis=1)


def _companions(seed, ids, state, scene) -> matching.Galaxies:
    """The other galaxy of each object: the partner of a merger at its redshift, or a chance companion anywhere within sight."""
    draws = population.numbers(seed, ids, "companion", _MAKE + 4)
    q = scene.drawn.mass_ratio
    far = np.clip(state.redshift * draws.lognormal(1.0, 0.35), 0.02, 0.15)
    redshift = np.where(scene.interacts, state.redshift, far)
    relative = np.where(scene.target == 1, -np.log10(q), np.log10(q))
    nearer = 2 * np.log10(matching.luminosity_distance(redshift) / matching.luminosity_distance(state.redshift))
    return matching.unmatched(draws, np.clip(state.log_mass + relative + nearer, 8.5, 12.0), redshift, scene)


def _images(seed, ids, state, scene, target, size, bands, scale, psf, sky, particles, device, progress):
    """Observed pictures [n, b, y, x] and the projected separation [n] of the nuclei in arcsec (NaN without a second)."""
    companion = _companions(seed, ids, state, scene)
    look = render.looks(population.numbers(seed, ids, "looks", 176), scene, state, target, companion, bands, scale)
    margin = max(8, size // 8)
    images = np.empty((len(ids), len(bands), size, size), np.float32)
    # seeing falls as wavelength^-0.2 (Kolmogorov turbulence)
    trend = np.array([compact.PIVOT[name] / compact.PIVOT["r"] for name in bands]) ** -0.2
    fwhm = state.seeing[:, None] * trend / scale
    for second, steps in sorted(set(zip(scene.has_second, scene.steps, strict=True))):
        chosen = np.flatnonzero((scene.has_second == second) & (scene.steps == steps))
        counts = particles if second else (particles[0], 0)
        for begin in range(0, len(chosen), BATCH):
            rows = chosen[begin : begin + BATCH]
            spectrum = render.picture(scene, look, rows, size, margin, counts, device)
            kernel = observe.psf_kernel(
                torch.as_tensor(fwhm[rows], dtype=torch.float32, device=device), size + 2 * margin, psf
            )
            clean = observe.blur(spectrum, kernel, margin).double().cpu().numpy()
            for row, light in zip(rows, clean, strict=True):
                noise = population.stream(seed, int(ids[row]), "noise")
                images[row] = observe.expose(light, bands, sky[row], float(state.exposure[row]), scale, noise)
            if progress is not None:
                progress(len(rows))
    return images, _separation(scene, look, scale)


def _separation(scene: population.Scene, look: render.Looks, scale: float) -> np.ndarray:
    relative = np.pad(scene.separation(), ((0, 0), (0, 1)))
    seen = np.einsum("nji,nj->ni", look.view[:, :, :2], relative) * look.scale[:, None]
    projected = scene.scenario == population.PROJECTION
    apart = np.where(projected[:, None], look.offset, seen)
    return np.where(projected | scene.interacts, np.linalg.norm(apart, axis=1) * scale, np.nan)
