"""Which pixels are the galaxy: sources above the noise by photutils, blends separated, the one in the middle chosen.

The image is smoothed by a Gaussian of FWHM 3 pixels and cut 1.5 standard deviations of the sky above its median; regions of
at least 10 connected pixels are sources.  The central source is deblended at 32 levels (Bertin & Arnouts 1996): a neighbour
that holds 5 % of its flux becomes a source of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SMOOTHING_SIGMA = 3.0 / 2.3548  # [px]


@dataclass(frozen=True)
class Choices:
    """How sources are found."""

    n_sigma: float = 1.5  # threshold over the sky's standard deviation
    n_pixels: int = 10  # smallest source
    deblend: bool = True
    contrast: float = 0.05  # flux share at which a blended neighbour becomes a source


@dataclass(frozen=True)
class Segmentation:
    """segmap int32 [y, x] (0: sky), the central source's label, sky level and standard deviation of the pixels."""

    segmap: np.ndarray
    label: int
    sky: float
    noise: float


def sky_level(image: np.ndarray, mask: np.ndarray | None = None) -> tuple[float, float]:
    """Median and standard deviation of the pixels after clipping at 3 sigma; (0, 0) without a finite pixel."""
    from astropy.stats import sigma_clipped_stats

    pixels = image[np.isfinite(image) if mask is None else np.isfinite(image) & ~mask]
    if pixels.size == 0:
        return 0.0, 0.0
    _, median, deviation = sigma_clipped_stats(pixels, sigma=3.0)
    return float(median), float(deviation)


def central_label(segmap: np.ndarray) -> int | None:
    """The source on the central pixel, else the one nearest to it; None in an empty map."""
    row, column = (length // 2 for length in segmap.shape)
    if segmap.size and segmap[row, column] > 0:
        return int(segmap[row, column])
    rows, columns = np.nonzero(segmap > 0)
    if len(rows) == 0:
        return None
    nearest = np.argmin((rows - row) ** 2 + (columns - column) ** 2)
    return int(segmap[rows[nearest], columns[nearest]])


def find_source(image: np.ndarray, choices: Choices = Choices(), mask: np.ndarray | None = None) -> Segmentation | None:  # noqa: B008
    """Segment one image [y, x]; None where nothing stands out of the noise.  Masked and NaN pixels belong to no source."""
    from photutils.segmentation import deblend_sources, detect_sources
    from scipy.ndimage import gaussian_filter

    bad = ~np.isfinite(image) if mask is None else ~np.isfinite(image) | mask
    if bad.all():
        return None
    sky, noise = sky_level(image, mask)
    clean = np.where(bad, 0.0, image - sky).astype(np.float64)
    smooth = gaussian_filter(clean, SMOOTHING_SIGMA, mode="nearest")
    with warnings.catch_warnings():  # "no sources found" and deblending notes: both are answers, not news
        warnings.simplefilter("ignore")
        found = detect_sources(
            smooth, max(choices.n_sigma * noise, np.finfo(np.float32).tiny), choices.n_pixels, mask=bad
        )
        if found is None:
            return None
        label = central_label(found.data)
        if choices.deblend:
            parts = deblend_sources(
                smooth, found, choices.n_pixels, labels=[label], contrast=choices.contrast, progress_bar=False
            )
            label = central_label(np.where(found.data == label, parts.data, 0))
            found = parts
    return Segmentation(found.data.astype(np.int32), label, sky, noise)


def _find_one(task: tuple) -> Segmentation | None:
    return find_source(*task)


def find_sources(
    images: Sequence[np.ndarray], choices: Choices, masks: Sequence[np.ndarray | None], workers: int = 0
) -> list[Segmentation | None]:
    """`find_source` for every image, in `workers` processes (0 or 1: in this one)."""
    from .pool import in_processes

    return list(
        in_processes(_find_one, [(image, choices, mask) for image, mask in zip(images, masks, strict=True)], workers)
    )
