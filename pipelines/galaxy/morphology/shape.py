"""Shape segment: every pixel connected to the brightest one and brighter than the sky by its standard deviation.

Pawlik et al. (2016), sect. 3.1: the image is averaged over 3 x 3 pixels; sky level and noise come from an annulus of two to
four elliptical Petrosian radii, clipped, or from the empty square where the annulus is too small.  r_max is the distance from
the centre to the farthest pixel of the segment.  Axes [b, y, x].
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .apertures import Ellipses, pixel_lines
from .components import region_at
from .filters import edge_filled, sum3
from .sky import Skybox, clipped_mode
from .stamps import Stamps


class ShapeSegment(NamedTuple):
    """bool [b, y, x], and where the brightest pixel had to be added or there was no sky (bool [b])."""

    pixels: Tensor
    added: Tensor
    undefined: Tensor


def _sky_pixels(stamps: Stamps, sky: Skybox, centre: Tensor, radius: Tensor, largest: int) -> tuple[Tensor, Tensor]:
    """Pixels that measure the sky [b, y, x] and where there are none [b]; the annulus is radius to 2 radius."""
    x, y = pixel_lines(*stamps.image.shape[1:], stamps.image)
    across, along = (x - centre[:, 0, None, None]).square(), (y - centre[:, 1, None, None]).square()
    square, inner = across.to(x.dtype) + along.to(x.dtype), radius.to(x.dtype)[:, None, None]
    ring = (square > inner.square()) & (square < 4 * inner.square()) & stamps.valid
    rows = (y >= sky.row[:, None, None]) & (y < (sky.row + sky.side)[:, None, None])
    columns = (x >= sky.column[:, None, None]) & (x < (sky.column + sky.side)[:, None, None])
    small = ring.sum((1, 2)) < largest**2
    return torch.where(small[:, None, None], rows & columns, ring), small & ~sky.found


def shape_segment(stamps: Stamps, sky: Skybox, centre: Tensor, radius: Tensor, largest: int) -> ShapeSegment:
    """The segment; the source's own pixels where there is no sky.  radius [b]: inner radius of the sky annulus."""
    chosen, undefined = _sky_pixels(stamps, sky, centre, radius, largest)
    mode, sigma = clipped_mode(stamps.image, chosen)
    smooth = sum3(edge_filled(stamps.image, stamps.size)) / 9.0
    smooth = torch.where(stamps.inside, smooth, -torch.inf)
    above = smooth >= (mode + sigma).to(smooth.dtype)[:, None, None]
    width = above.shape[2]
    peak = smooth.flatten(1).argmax(1)
    index = torch.arange(len(above), device=above.device)
    added = ~above[index, peak // width, peak % width] & ~undefined
    above[index, peak // width, peak % width] = True
    segment = region_at(above, peak // width, peak % width)
    return ShapeSegment(torch.where(undefined[:, None, None], stamps.segment, segment), added, undefined)


def farthest(segment: Tensor, shape: Ellipses) -> Tensor:
    """Largest semi-major axis [b] of the ellipses through pixels of the segment; 0 where it is empty."""
    x, y = pixel_lines(*segment.shape[1:], shape.centre.float())
    shape = Ellipses(*(entry.to(x.dtype) for entry in shape))
    x, y = x - shape.centre[:, 0, None, None], y - shape.centre[:, 1, None, None]
    cosine, sine = torch.cos(shape.theta)[:, None, None], torch.sin(shape.theta)[:, None, None]
    across = (y * cosine - x * sine) * shape.elongation[:, None, None]
    axis = ((x * cosine + y * sine).square() + across.square()).sqrt()
    return torch.where(segment, axis, 0.0).amax((1, 2)).double()
