"""Gini coefficient and M20 inside the Petrosian segment.

Lotz, Primack & Madau (2004), eqs. 6 to 8: the segment holds the pixels of the image, smoothed by r_p / 5, above its brightness at
the elliptical Petrosian radius.  With n pixels in order of |I|, G = sum (2 i - n - 1) |I_i| / ((n - 1) sum |I|).
M20 = log10 of the second moment of the brightest pixels that hold 20 % of the flux over that of all pixels.
Bulge and merger statistics: Rodriguez-Gomez et al. (2019), sect. 4.2.  Axes [b, y, x].
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .apertures import Ellipses, coordinates, part_inside, pixel_lines
from .components import region_at
from .filters import apply, gaussian_matrix
from .moments import centroid, second_moments
from .stamps import Stamps, sort_pixels


class Segment(NamedTuple):
    """bool [b, y, x] and its faults, bool [b]."""

    pixels: Tensor
    empty: Tensor
    full: Tensor
    split: Tensor


def petrosian_segment(stamps: Stamps, radius: Tensor, shape: Ellipses, *, smoothing: float, width: float) -> Segment:
    """The region around the brightest pixel of the smoothed image, above its mean in the annulus at `radius` [b]."""
    height, length = stamps.image.shape[1:]
    sigma = (smoothing * radius).to(stamps.image.dtype)
    smooth = apply(gaussian_matrix(sigma, height), stamps.image, gaussian_matrix(sigma, length))
    where = coordinates(shape, *pixel_lines(height, length, smooth))
    inner, outer = radius - 0.5 * width, radius + 0.5 * width
    ring = ((part_inside(where, outer) - part_inside(where, inner)) * stamps.inside * smooth).sum((1, 2))
    area = torch.pi * (outer.square() - inner.square()) / shape.elongation
    smooth = torch.where(stamps.inside, smooth, -torch.inf)
    above = smooth >= (ring / area).to(smooth.dtype)[:, None, None]
    peak = smooth.flatten(1).argmax(1)
    segment = region_at(above, peak // length, peak % length)
    split = (above & ~segment).flatten(1).any(1)
    empty = ~above.flatten(1).any(1)
    full = above.sum((1, 2)) == stamps.size.prod(1)
    return Segment(segment, empty, full, split & ~full)


def gini(image: Tensor, segment: Tensor) -> Tensor:
    """G [b] of the pixels in the segment; NaN with fewer than two pixels or without light."""
    values = sort_pixels(torch.where(segment, image.abs(), torch.inf).flatten(1))
    number = segment.sum((1, 2))[:, None].to(image.dtype)
    rank = torch.arange(1, values.shape[1] + 1, device=image.device, dtype=image.dtype)[None, :]
    values = torch.where(rank <= number, values, 0.0)
    total = values.sum(1, dtype=torch.float64)
    result = ((2.0 * rank - number - 1.0) * values).sum(1, dtype=torch.float64) / ((number[:, 0] - 1.0) * total)
    return torch.where((number[:, 0] > 1) & (total > 0), result, torch.nan)


def m20(image: Tensor, segment: Tensor) -> Tensor:
    """M20 [b]; NaN where the flux or a second moment is not positive."""
    light = torch.where(segment, image, 0.0)
    centre, total = centroid(light)
    centre = torch.nan_to_num(centre, posinf=0.0, neginf=0.0)
    x2, _, y2 = second_moments(light, centre)
    ordered = sort_pixels(light.flatten(1))
    share = ordered.cumsum(1, dtype=torch.float64) / total[:, None]
    reached = share >= 0.8
    threshold = ordered.gather(1, reached.to(torch.uint8).argmax(1, keepdim=True))
    bright = torch.where(light >= threshold[:, :, None], light, 0.0)
    bright_x2, _, bright_y2 = second_moments(bright, centre)
    part, whole = bright_x2 + bright_y2, x2 + y2
    good = (total > 0) & reached.any(1) & (part > 0) & (whole > 0)
    return torch.where(good, torch.log10(part / whole), torch.nan)


def bulge_statistic(gini_: Tensor, m20_: Tensor) -> Tensor:
    """F(G, M20): positive for bulge-dominated galaxies."""
    return -0.693 * m20_ + 4.95 * gini_ - 3.96


def merger_statistic(gini_: Tensor, m20_: Tensor) -> Tensor:
    """S(G, M20): positive for mergers."""
    return 0.139 * m20_ + 0.990 * gini_ - 0.327
