"""Concentration C = 5 log10(r80 / r20) and smoothness (clumpiness) S.

Conselice (2003); Lotz, Primack & Madau (2004), eqs. 9 and 11: S is the positive part of the image less its running mean over a box
of r_p / 4, summed between r_p / 4 and 1.5 r_p and divided by the flux there, less the same of the sky.  Axes [b, y, x].
"""

from __future__ import annotations

import torch
from torch import Tensor

from .apertures import Ellipses, coordinates, part_inside, pixel_lines
from .filters import apply, box_matrix
from .sky import Skybox, box_pixels, in_box
from .stamps import Stamps


def concentration(r20: Tensor, r80: Tensor) -> Tensor:
    """C [b] from the radii that hold 20 and 80 % of the light."""
    return 5.0 * torch.log10(r80 / r20)


def clumps(image: Tensor, width: Tensor, size: Tensor) -> Tensor:
    """Positive part of the image less its running mean over `width` [b] pixels."""
    height, length = image.shape[1:]
    rows, columns = (box_matrix(width, size[:, axis], (height, length)[axis], image.dtype) for axis in (0, 1))
    mean = apply(rows, image, columns)
    return (image - mean).clamp_(min=0.0)


def sky_clumps(stamps: Stamps, sky: Skybox, width: Tensor, largest: int) -> Tensor:
    """Mean of the same over the empty square of sky [b]; NaN without one."""
    inside = in_box(sky.side, largest)
    box = torch.where(inside, box_pixels(stamps, sky.row, sky.column, largest), 0.0)
    side = sky.side.clamp(min=1)
    rough = clumps(box, width, torch.stack([side, side], 1))
    return torch.where(inside, rough, 0.0).sum((1, 2)).double() / sky.side.square()


def smoothness(
    stamps: Stamps, sky: Skybox, centre: Tensor, petrosian: Tensor, *, smoothing: float, extent: float, largest: int
) -> Tensor:
    """S [b]; NaN where the annulus holds no positive flux."""
    width = (smoothing * petrosian).long()
    rough = clumps(stamps.image, width, stamps.size)
    where = coordinates(Ellipses.circles(centre), *pixel_lines(*rough.shape[1:], rough))
    inner, outer = smoothing * petrosian, extent * petrosian
    weight = (part_inside(where, outer) - part_inside(where, inner)) * stamps.inside
    flux, excess = ((weight * light).sum((1, 2)).double() for light in (stamps.image, rough))
    background = torch.nan_to_num(sky_clumps(stamps, sky, width, largest))
    area = torch.pi * (outer.square() - inner.square())
    return torch.where(flux > 0, (excess - area * background) / flux, torch.nan)
