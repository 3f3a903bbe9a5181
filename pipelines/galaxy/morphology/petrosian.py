"""Petrosian radius and light-fraction radii from curves of growth.

Petrosian (1976): r_p is where the mean surface brightness in an annulus at r is eta = 0.2 of the mean inside r.  Both means
are taken by absolute value over valid pixels.  A coarse outward scan finds the first crossing (profiles need not be
monotonic), repeated subdivision sharpens it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .apertures import Growth

SCAN = 100  # radii of the outward scan
SUBDIVISIONS, PARTS = 5, 16  # each round narrows the bracket 16 times: to 1e-6 of its width


class Petrosian(NamedTuple):
    """radius [b], and where it is wrong (bool [b]): no light inside, below one annulus, beyond the cutout."""

    radius: Tensor
    dark: Tensor
    small: Tensor
    large: Tensor


def refine(function: Callable[[Tensor], Tensor], low: Tensor, high: Tensor) -> Tensor:
    """First sign change of function([b, m]) between low and high, float [b]."""
    share = torch.linspace(0.0, 1.0, PARTS + 1, device=low.device, dtype=low.dtype)
    start = function(low[:, None]) > 0
    for _ in range(SUBDIVISIONS):
        points = low[:, None] + (high - low)[:, None] * share
        changed = (function(points) > 0) != start
        changed[:, -1] = True
        first = changed.to(torch.uint8).argmax(1).clamp(min=1)[:, None]
        low, high = points.gather(1, first - 1)[:, 0], points.gather(1, first)[:, 0]
    return 0.5 * (low + high)


def petrosian_ratio(curve: Growth, radius: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Mean brightness in the annulus over the mean inside at radii [b, m], and where nothing is inside."""
    flux, area = curve.both(radius)
    inner, outer = radius - 0.5 * width, radius + 0.5 * width
    (outer_flux, outer_area), (inner_flux, inner_area) = curve.both(outer), curve.both(inner)
    ring, ring_area = outer_flux - inner_flux, outer_area - inner_area
    tiny = 1e-9
    mean = torch.where(area > tiny, flux / area, 0.0).abs()
    edge = torch.where(ring_area > tiny, ring / ring_area, 0.0).abs()
    dark = mean == 0
    return torch.where(dark, (edge != 0).to(mean.dtype), edge / mean), dark


def petrosian_radius(curve: Growth, largest: Tensor, *, eta: float, width: float) -> Petrosian:
    """The first crossing between one annulus width and `largest` [b]; those limits where there is none."""
    share = torch.linspace(0.0, 1.0, SCAN, device=largest.device, dtype=largest.dtype)
    radius = width + (largest - width)[:, None] * share
    ratio, dark = petrosian_ratio(curve, radius, width)
    below = ratio < eta
    first = below.to(torch.uint8).argmax(1)
    large, small = ~below.any(1), below[:, 0]
    right = first.clamp(min=1)[:, None]
    low, high = radius.gather(1, right - 1)[:, 0], radius.gather(1, right)[:, 0]
    root = refine(lambda r: petrosian_ratio(curve, r, width)[0] - eta, low, high)
    root = torch.where(large, largest, torch.where(small, width, root))
    visited = torch.arange(SCAN, device=dark.device)[None, :] <= torch.where(large, SCAN, first)[:, None]
    return Petrosian(root, (dark & visited).any(1), small, large)


def fraction_radius(curve: Growth, total_radius: Tensor, fraction: float | Tensor) -> tuple[Tensor, Tensor]:
    """Radius [b] that holds `fraction` (a number, or [b, 1]) of the flux inside total_radius [b], and where it is undefined (bool [b])."""
    total = curve.at(curve.flux, total_radius[:, None])
    wrong = ~(total > 0)[:, 0]
    safe = torch.where(total == 0, 1.0, total.abs())

    def excess(radius: Tensor) -> Tensor:
        return curve.at(curve.flux, radius).abs() / safe - fraction

    share = torch.linspace(0.0, 1.0, SCAN, device=safe.device, dtype=safe.dtype)
    radius = total_radius[:, None] * share
    above = excess(radius) > 0
    first = above.to(torch.uint8).argmax(1).clamp(min=1)[:, None]
    root = refine(excess, radius.gather(1, first - 1)[:, 0], radius.gather(1, first)[:, 0])
    return torch.where(total[:, 0] == 0, total_radius, root), wrong | ~(root > 0)
