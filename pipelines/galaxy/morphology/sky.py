"""The sky of a stamp: the first empty square in reading order, and clipped statistics of an annulus.

The square has 32 pixels a side, halved until one fits.  The mode is 2.5 median - 1.5 mean (Bertin & Arnouts 1996), clipped
at 3 sigma until nothing changes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .stamps import Stamps, sort_pixels


class Skybox(NamedTuple):
    """Corner and side of each square (int64 [b], side 0: none found) and its mean, median, sigma, asymmetry (float [b])."""

    row: Tensor
    column: Tensor
    side: Tensor
    mean: Tensor
    median: Tensor
    sigma: Tensor
    asymmetry: Tensor

    @property
    def found(self) -> Tensor:
        return self.side > 0


def _corners(empty: Tensor, size: Tensor, side: int) -> Tensor:
    """bool [b, y, x]: an empty square of `side` pixels starts here; the last row and column are not tried."""
    taken = torch.zeros(len(empty), empty.shape[1] + 1, empty.shape[2] + 1, device=empty.device)
    taken[:, 1:, 1:] = (~empty).float().cumsum(1).cumsum(2)
    if side >= min(empty.shape[1:]):
        return torch.zeros_like(empty)
    inner = taken[:, side:, side:] - taken[:, :-side, side:] - taken[:, side:, :-side] + taken[:, :-side, :-side]
    free = torch.zeros_like(empty)
    free[:, : inner.shape[1], : inner.shape[2]] = inner == 0
    rows = torch.arange(empty.shape[1], device=empty.device)[None, :, None] < size[:, 0, None, None] - side
    columns = torch.arange(empty.shape[2], device=empty.device)[None, None, :] < size[:, 1, None, None] - side
    return free & rows & columns


def find_skybox(stamps: Stamps, largest: int) -> Skybox:
    """Statistics of the first empty square of each stamp; NaN where there is none."""
    count, width = len(stamps), stamps.image.shape[2]
    side = torch.zeros(count, dtype=torch.int64, device=stamps.image.device)
    corner = torch.zeros_like(side)
    trial = largest
    while trial >= 2 and bool((side == 0).any()):
        flat = _corners(stamps.empty, stamps.size, trial).flatten(1)
        first = flat.to(torch.uint8).argmax(1)
        new = (side == 0) & flat.any(1)
        side, corner = torch.where(new, trial, side), torch.where(new, first, corner)
        trial //= 2
    row, column = corner // width, corner % width
    return Skybox(row, column, side, *_statistics(box_pixels(stamps, row, column, largest), side))


def box_pixels(stamps: Stamps, row: Tensor, column: Tensor, largest: int) -> Tensor:
    """[b, largest, largest] pixels from the corner on; the part beyond a smaller square is not to be used."""
    step = torch.arange(largest, device=row.device)
    rows = (row[:, None] + step).clamp(max=stamps.image.shape[1] - 1)[:, :, None]
    columns = (column[:, None] + step).clamp(max=stamps.image.shape[2] - 1)[:, None, :]
    return stamps.image[torch.arange(len(row), device=row.device)[:, None, None], rows, columns]


def in_box(side: Tensor, largest: int) -> Tensor:
    """bool [b, largest, largest]: the pixels of squares of `side` pixels."""
    step = torch.arange(largest, device=side.device)[None, :] < side[:, None]
    return step[:, :, None] & step[:, None, :]


def _statistics(box: Tensor, side: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    largest, box = box.shape[1], box.double()
    inside = in_box(side, largest)
    number = inside.sum((1, 2)).to(box.dtype)  # 0 gives NaN below: there is no sky
    mean = torch.where(inside, box, 0.0).sum((1, 2)) / number
    sigma = (torch.where(inside, box - mean[:, None, None], 0.0).square().sum((1, 2)) / number).sqrt()
    ordered = sort_pixels(torch.where(inside, box, torch.inf).flatten(1))
    middle = torch.stack([(number - 1).clamp(min=0) // 2, number.clamp(max=largest**2 - 1) // 2], 1).long()
    median = ordered.gather(1, middle).mean(1)
    step = torch.arange(largest, device=box.device)
    turned = (side[:, None] - 1 - step).clamp(min=0)  # half a turn of the square about its centre
    index = torch.arange(len(box), device=box.device)[:, None, None]
    half_turn = box[index, turned[:, :, None], turned[:, None, :]]
    asymmetry = torch.where(inside, (half_turn - box).abs(), 0.0).sum((1, 2)) / number
    return mean, torch.where(side > 0, median, torch.nan), sigma, asymmetry


class _Sorted:
    """Pixel values of each stamp in order, with prefix sums: clipping is a narrowing of the index range [low, high)."""

    def __init__(self, values: Tensor, chosen: Tensor):
        self.number = chosen.flatten(1).sum(1)
        ordered = sort_pixels(torch.where(chosen, values, torch.inf).flatten(1))
        self.ordered = ordered[:, : max(1, int(self.number.max()))].double().contiguous()
        finite = torch.where(torch.isfinite(self.ordered), self.ordered, 0.0)
        zero = finite.new_zeros(len(finite), 1)
        self.shift = finite.sum(1, keepdim=True) / self.number.clamp(min=1)[:, None]  # keeps the variance exact
        moved = torch.where(torch.isfinite(self.ordered), self.ordered - self.shift, 0.0)
        self.first = torch.cat([zero, moved.cumsum(1)], 1)
        self.second = torch.cat([zero, moved.square().cumsum(1)], 1)

    def moments(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """mean, median and standard deviation of the range."""
        number = (high - low).clamp(min=1).to(self.ordered.dtype)
        ends = torch.stack([low, high], 1)
        mean = self.first.gather(1, ends).diff(dim=1)[:, 0] / number
        square = self.second.gather(1, ends).diff(dim=1)[:, 0] / number
        last = self.ordered.shape[1] - 1
        middle = torch.stack([(low + high - 1) // 2, (low + high) // 2], 1).clamp(0, last)
        median = self.ordered.gather(1, middle).mean(1)
        return mean + self.shift[:, 0], median, (square - mean.square()).clamp(min=0).sqrt()

    def between(self, least: Tensor, most: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        start = torch.searchsorted(self.ordered, least[:, None])[:, 0]
        stop = torch.searchsorted(self.ordered, most[:, None], right=True)[:, 0]
        return torch.maximum(start, low), torch.minimum(stop, high)


def _mode_after_clipping(values: _Sorted, low: Tensor, high: Tensor) -> Tensor:
    """2.5 median - 1.5 mean after at most ten cuts at 3 sigma about the median."""
    for _ in range(10):
        _, median, sigma = values.moments(low, high)
        new = values.between(median - 3 * sigma, median + 3 * sigma, low, high)
        if torch.equal(new[0], low) and torch.equal(new[1], high):
            break
        low, high = new
    mean, median, _ = values.moments(low, high)
    return 2.5 * median - 1.5 * mean


def clipped_mode(image: Tensor, chosen: Tensor, *, most_rounds: int = 100) -> tuple[Tensor, Tensor]:
    """Mode and standard deviation (float [b]) of the chosen pixels after clipping at 3 sigma about the mode."""
    values = _Sorted(image, chosen)
    low, high = torch.zeros_like(values.number), values.number
    for _ in range(most_rounds):
        centre = _mode_after_clipping(values, low, high)
        sigma = values.moments(low, high)[2]
        new = values.between(centre - 3 * sigma, centre + 3 * sigma, low, high)
        new = (new[0], torch.maximum(new[0], new[1]))
        if torch.equal(new[0], low) and torch.equal(new[1], high):
            break
        low, high = new
    mean, median, sigma = values.moments(low, high)
    return 2.5 * median - 1.5 * mean, sigma
