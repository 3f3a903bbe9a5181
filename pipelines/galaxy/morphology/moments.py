"""First and second moments of the light: centroid, ellipticity 1 - b/a, elongation a/b and orientation.

Axes [b, y, x].  The orientation is half the angle of (x2 - y2, 2 xy), counter-clockwise from the x axis; a covariance
thinner than a pixel's own variance of 1/12 is widened until it is not (SExtractor manual, eqs. 21 and 43).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .apertures import pixel_lines


def centroid(image: Tensor) -> tuple[Tensor, Tensor]:
    """Centre of light (x, y) [b, 2] and total flux [b]; NaN or infinite where the flux is zero."""
    x, y = pixel_lines(*image.shape[1:], image)
    over_y, over_x = image.sum(2).double(), image.sum(1).double()
    total = over_y.sum(1)
    centre = torch.stack([(over_x * x[:, 0]).sum(1), (over_y * y[:, :, 0]).sum(1)], 1)
    return centre / total[:, None], total


def second_moments(image: Tensor, centre: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sums of I dx^2, I dx dy and I dy^2 about the centre (x, y) [b, 2]; [b] each."""
    x, y = pixel_lines(*image.shape[1:], image)
    dx, dy = x[:, 0] - centre[:, :1], y[:, :, 0] - centre[:, 1:]
    over_y, over_x = image.sum(2).double(), image.sum(1).double()
    along_x = torch.bmm(image, dx.to(image.dtype)[:, :, None])[:, :, 0].double()
    return (over_x * dx.square()).sum(1), (along_x * dy).sum(1), (over_y * dy.square()).sum(1)


class Shape(NamedTuple):
    """Ellipse with the source's second moments [b]; `doubtful` where a second moment is not positive."""

    ellipticity: Tensor
    elongation: Tensor
    orientation: Tensor
    doubtful: Tensor


def ellipse(image: Tensor, centre: Tensor) -> Shape:
    """Shape of the light about the centre (x, y) [b, 2]; the flux must be positive."""
    total = image.sum((1, 2))
    x2, xy, y2 = (entry / total for entry in second_moments(image, centre))
    doubtful = (x2 <= 0) | (y2 <= 0)
    pixel = 1.0 / 12.0
    for _ in range(8):
        thin = (x2 * y2 - xy.square()).abs() < pixel**2
        if not bool(thin.any()):
            break
        x2 = torch.where(thin, x2 + torch.where(x2 >= 0, pixel, -pixel), x2)
        y2 = torch.where(thin, y2 + torch.where(y2 >= 0, pixel, -pixel), y2)
    half_sum, half_difference = 0.5 * (x2 + y2), 0.5 * (x2 - y2)
    root = (half_difference.square() + xy.square()).sqrt()
    axes = torch.stack([(half_sum + root).abs(), (half_sum - root).abs()], 1)
    long, short = axes.amax(1).sqrt(), axes.amin(1).sqrt()
    return Shape(1.0 - short / long, long / short, 0.5 * torch.atan2(2.0 * xy, x2 - y2), doubtful)
