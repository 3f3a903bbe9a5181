"""Sums over circular and elliptical apertures: which part of a pixel lies inside, and the curve of growth.

Ellipses share centre, elongation e = a / b and orientation theta; the coordinate of a point is the semi-major axis
g = sqrt(u^2 + e^2 v^2) of the ellipse through it (u, v along the axes).  Over a unit pixel g has the mean g + lap(g) / 24 and
the variance m^2 / 12 with m = |grad g| and lap(g) = (1 + e^2 - m^2) / g; the part of the pixel inside g = a is taken as that
of a uniform distribution with these two moments, clamp(1/2 + (a - mean) / m, 0, 1).  Axes [b, y, x].
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

try:
    from . import _growth
except ImportError:  # not built: no compiler where the package was installed
    _growth = None

CORE, SPLIT = 5, 4  # pixels within CORE of the centre are split SPLIT x SPLIT for the curve of growth
BINS = 2048


class Ellipses(NamedTuple):
    """A family of concentric ellipses per object: centre (x, y) float [b, 2], elongation [b], orientation [b] in radians."""

    centre: Tensor
    elongation: Tensor
    theta: Tensor

    @classmethod
    def circles(cls, centre: Tensor) -> Ellipses:
        return cls(centre, torch.ones_like(centre[:, 0]), torch.zeros_like(centre[:, 0]))


class Coordinates(NamedTuple):
    """Per pixel: the mean of the semi-major axis g, and its gradient m in g per pixel."""

    axis: Tensor
    gradient: Tensor


def coordinates(shape: Ellipses, x: Tensor, y: Tensor, pixel: float = 1.0) -> Coordinates:
    """At x [b, 1, x] and y [b, y, 1] (or any shapes that broadcast with [b, 1, 1]); `pixel` is the side of the cells."""
    shape = Ellipses(*(entry.to(x.dtype) for entry in shape))
    x = x - shape.centre[:, 0, None, None]
    y = y - shape.centre[:, 1, None, None]
    if bool((shape.elongation == 1).all()):
        distance = (x.square() + y.square()).sqrt()
        return Coordinates(
            distance + pixel**2 / (24.0 * distance.clamp(min=0.5 * pixel)), torch.ones_like(distance[:1, :1, :1])
        )
    cosine, sine = torch.cos(shape.theta)[:, None, None], torch.sin(shape.theta)[:, None, None]
    along = (x * cosine + y * sine).square_()
    across = (y * cosine - x * sine).square_() * shape.elongation.square()[:, None, None]
    axis = (along + across).sqrt_()
    steep = across.mul_(shape.elongation.square()[:, None, None]).add_(along).sqrt_()  # g m
    axis_safe = axis.clamp(min=0.5 * pixel)
    gradient = steep.div_(axis_safe).clamp_(min=1.0)
    bend = gradient.square().neg_().add_(1.0 + shape.elongation.square()[:, None, None])  # g lap(g)
    return Coordinates(axis.add_(bend.mul_(pixel**2 / 24.0).div_(axis_safe)), gradient)


def pixel_lines(height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """x [1, 1, width] and y [1, height, 1] of the pixel centres."""
    x = torch.arange(width, device=like.device, dtype=like.dtype)
    y = torch.arange(height, device=like.device, dtype=like.dtype)
    return x[None, None, :], y[None, :, None]


def part_inside(where: Coordinates, radius: Tensor) -> Tensor:
    """Part of each pixel inside the ellipse of semi-major axis `radius` [b]: float [b, y, x] in 0..1."""
    return (radius.to(where.axis.dtype)[:, None, None] - where.axis).div_(where.gradient).add_(0.5).clamp_(0.0, 1.0)


class Growth(NamedTuple):
    """Sum of the pixel values and of the valid area inside the semi-major axes k * step, k = 0..BINS: [b], [b, k], [b, k]."""

    step: Tensor
    flux: Tensor
    area: Tensor

    def at(self, curve: Tensor, radius: Tensor) -> Tensor:
        """A curve at the radii [b, m], linear between its nodes, constant beyond the last."""
        return self._between(curve, *self._place(radius))

    def both(self, radius: Tensor) -> tuple[Tensor, Tensor]:
        """Flux and area at the radii [b, m]."""
        place = self._place(radius)
        return self._between(self.flux, *place), self._between(self.area, *place)

    def _place(self, radius: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The nodes before and behind the radii, and the part of the way between them."""
        place = (radius / self.step[:, None]).clamp(0.0, BINS - 1e-6)
        left = place.long()
        return left, left + 1, place - left

    @staticmethod
    def _between(curve: Tensor, left: Tensor, right: Tensor, part: Tensor) -> Tensor:
        low = curve.gather(1, left)
        return low + (curve.gather(1, right) - low) * part


def together(*curves: Growth) -> Growth:
    """The curves of several batches as those of one."""
    return Growth(*(torch.cat(parts) for parts in zip(*curves, strict=True)))


def _core(image: Tensor, valid: Tensor, centre: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pixels around the centre, split: their values and validity [b, c, c] and sub-pixel positions x, y."""
    height, width = image.shape[1:]
    step = torch.arange(-CORE, CORE + 1, device=image.device)
    column = (centre[:, 0] + 0.5).floor().long()[:, None] + step
    row = (centre[:, 1] + 0.5).floor().long()[:, None] + step
    known = ((row >= 0) & (row < height))[:, :, None] & ((column >= 0) & (column < width))[:, None, :]
    index = torch.arange(len(image), device=image.device)[:, None, None]
    at = (index, row.clamp(0, height - 1)[:, :, None], column.clamp(0, width - 1)[:, None, :])
    fine = (torch.arange(SPLIT, device=image.device, dtype=image.dtype) + 0.5) / SPLIT - 0.5
    x = (column[:, :, None] + fine).flatten(1)[:, None, :]
    y = (row[:, :, None] + fine).flatten(1)[:, :, None]
    return torch.where(known, image[at], 0.0), valid[at] & known, x, y


def _deposit(curves: Tensor, where: Coordinates, values: Tensor, valid: Tensor, step: Tensor, pixel: float) -> None:
    """Add both edges of every pixel's ramp to curves [4, b, bins]: slope and slope * edge, for flux and area.

    The curves are in double precision whatever the pixels are: `growth` takes differences of their sums.
    """
    step = step.to(values.dtype)
    slope = pixel / where.gradient
    half = (0.5 * pixel) * where.gradient
    flux, area = (values * slope).flatten(1), (valid * slope).flatten(1)
    for sign in (1.0, -1.0):
        edge = (where.axis - sign * half).flatten(1)
        bin_ = (edge / step[:, None]).clamp_(0, BINS - 1).long()
        for row, weight in ((0, flux), (2, area)):
            weight = weight if sign > 0 else -weight
            curves[row].scatter_add_(1, bin_, weight.double())
            curves[row + 1].scatter_add_(1, bin_, (weight * edge).double())


def growth(image: Tensor, valid: Tensor, shape: Ellipses, size: Tensor) -> Growth:
    """Curve of growth of flux and area.

    image, valid: [b, y, x].  size: int64 [b, 2] of the stamps.  The last node lies beyond the farthest corner.
    """
    count, height, width = image.shape
    far = torch.maximum(shape.centre, size.flip(1) - 1 - shape.centre).square().sum(1).sqrt()
    step = (far * shape.elongation + shape.elongation + 2.0).double() / BINS
    if _growth is not None and image.device.type == "cpu" and image.dtype == torch.float32:
        return _compiled_growth(image, valid, shape, step)
    curves = image.new_zeros(4, count, BINS, dtype=torch.float64)
    x, y = pixel_lines(height, width, image)
    core = (x - (shape.centre[:, 0] + 0.5).floor()[:, None, None]).abs() <= CORE
    outer = ~(core & ((y - (shape.centre[:, 1] + 0.5).floor()[:, None, None]).abs() <= CORE))
    _deposit(curves, coordinates(shape, x, y), image * outer, (valid & outer).to(image.dtype), step, 1.0)

    values, known, x, y = _core(image, valid, shape.centre)
    split = [entry.repeat_interleave(SPLIT, 1).repeat_interleave(SPLIT, 2) for entry in (values, known.to(image.dtype))]
    _deposit(curves, coordinates(shape, x, y, 1.0 / SPLIT), *split, step, 1.0 / SPLIT)

    # the sum of ramps that started before a node: node * (sum of slopes) - (sum of slope * edge)
    curves = torch.nn.functional.pad(curves.cumsum_(2), (1, 0))
    node = torch.arange(BINS + 1, device=image.device) * step[:, None]
    return Growth(step, node * curves[0] - curves[1], node * curves[2] - curves[3])


def _compiled_growth(image: Tensor, valid: Tensor, shape: Ellipses, step: Tensor) -> Growth:
    image, valid = image.contiguous(), valid.contiguous()
    known = torch.cat([shape.centre, shape.elongation[:, None], shape.theta[:, None]], 1).double().contiguous()
    flux, area = torch.empty(2, len(image), BINS + 1, dtype=torch.float64)
    arrays = (image, valid, known, step, flux, area)
    _growth.growth(*(entry.data_ptr() for entry in arrays), *image.shape, CORE, SPLIT, BINS)
    return Growth(step, flux, area)
