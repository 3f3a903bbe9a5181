"""Multimode M, intensity I and deviation D.

Freeman et al. (2013), sect. 4: the segment is grown from the brightest pixel down to the brightness that is eta times the mean
above it.  M = A2 / A1, the areas of the two largest regions above the threshold where A2^2 / A1 is largest; I = the flux of
the second brightest over that of the brightest peak, each with the pixels whose steepest ascent ends there; D = the distance
of the brightest peak from the centre of light over sqrt(area / pi) (Peth et al. 2016).  Axes [b, y, x] of a window around the
source, at least MARGIN pixels wider than it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .components import areas_above, compiled, means_above, region_at, two_largest
from .filters import apply, gaussian_matrix, sum3
from .moments import centroid
from .stamps import Stamps, sort_pixels

MARGIN = 5  # pixels around the source: the reach of the smoothing
LEVELS = 50  # thresholds of the coarse search, 0.02 apart in the order of pixel values
FINE = 20  # of the fine search around the best one


class Window(NamedTuple):
    """The source alone, negative pixels set to zero [b, y, x]; the window's corner [b]; its pixels in order and their number."""

    light: Tensor
    row: Tensor
    column: Tensor
    ordered: Tensor  # [b, pixels]: first the pixels outside the source, then the source's in increasing order
    number: Tensor


def _extent(flags: Tensor) -> tuple[Tensor, Tensor]:
    """First and last True of each row [b, n]."""
    length = flags.shape[1]
    last = length - 1 - flags.flip(1).to(torch.uint8).argmax(1)
    return flags.to(torch.uint8).argmax(1), last


def source_window(stamps: Stamps) -> Window:
    """The bounding box of the source with a margin of zeros; the same size for the whole batch."""
    top, bottom = _extent(stamps.segment.any(2))
    left, right = _extent(stamps.segment.any(1))
    height = int((bottom - top).max()) + 1 + 2 * MARGIN
    width = int((right - left).max()) + 1 + 2 * MARGIN
    row, column = top - MARGIN, left - MARGIN
    rows = row[:, None] + torch.arange(height, device=row.device)
    columns = column[:, None] + torch.arange(width, device=row.device)
    source = _pick(stamps.segment, rows, columns).bool()
    light = torch.where(source, _pick(stamps.image, rows, columns).clamp(min=0.0), 0.0)
    ordered = sort_pixels(torch.where(source, light, -1.0).flatten(1))
    return Window(light, row, column, ordered, source.sum((1, 2)))


def in_window(flags: Tensor, window: Window) -> Tensor:
    """The window's part of a map [b, y, x] of the stamp; False outside the stamp."""
    rows = window.row[:, None] + torch.arange(window.light.shape[1], device=flags.device)
    columns = window.column[:, None] + torch.arange(window.light.shape[2], device=flags.device)
    return _pick(flags, rows, columns).bool()


def _pick(values: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """values[b, rows[b], columns[b]], zero beyond the stamp."""
    height, width = values.shape[1:]
    known = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    rows = rows.clamp(0, height - 1)[:, :, None].expand(-1, -1, width)
    columns = columns.clamp(0, width - 1)[:, None, :].expand(-1, rows.shape[1], -1)
    return values.gather(1, rows).gather(2, columns) * known


def _value_at(ordered: Tensor, number: Tensor, rank: Tensor) -> Tensor:
    """The pixel of the source with the given rank (0 is the faintest): ordered [b, n], number [b], rank [b, m]."""
    return ordered.gather(1, (ordered.shape[1] - number)[:, None] + rank)


class Growing(NamedTuple):
    """The segment [b, y, x], where it never reaches the wanted contrast, and where the brightest pixel had to be added."""

    pixels: Tensor
    undefined: Tensor
    added: Tensor


def mid_segment(window: Window, eta: float) -> Growing:
    """Grow the region around the brightest pixel until its faintest pixel is eta times its mean."""
    light, number = window.light, window.number
    width, tiny = light.shape[2], torch.finfo(light.dtype).tiny
    peak = light.flatten(1).argmax(1)
    row, column = peak // width, peak % width

    def level_at(rank: Tensor) -> Tensor:
        return _value_at(window.ordered, number, rank[:, None])[:, 0]

    def region_above(level: Tensor) -> Tensor:
        # the source's own pixels alone: no level below the smallest positive number
        return region_at(light >= level.clamp(min=tiny)[:, None, None], row, column)

    means = means_above(light, number) if compiled(light) else None

    def contrast(rank: Tensor) -> Tensor:
        level = level_at(rank)
        if means is not None:
            mean = means.gather(1, rank[:, None])[:, 0]
        else:
            inside = region_above(level).to(light.dtype).flatten(1)
            mean = torch.linalg.vecdot(light.flatten(1), inside) / inside.sum(1).clamp(min=1)
        return torch.where(mean > 0, level / mean, 1.0) - eta

    low, high = torch.zeros_like(number), (number - 1).clamp(min=0)
    undefined = contrast(low) > 0
    for _ in range(int(number.max()).bit_length()):
        middle = (low + high) // 2
        above = contrast(middle) > 0
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    region = region_above(level_at(low))
    framed = torch.nn.functional.pad(region.to(light.dtype), (1, 1, 1, 1))
    smooth = sum3(framed) > 4.5  # more than half of 3 x 3
    index = torch.arange(len(light), device=light.device)
    added = ~smooth[index, row, column]
    smooth[index, row, column] = True
    return Growing(region_at(smooth, row, column), undefined, added)


def _clump_areas(light: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
    """Areas of the two largest regions above the increasing levels [b, m], as [b, m]; zero where the level is not positive."""
    light = light[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    new = (levels > 0) & (torch.cat([torch.zeros_like(levels[:, :1]), levels[:, :-1]], 1) < levels)
    if compiled(light):
        first, second = (torch.where(new, area, 0).to(light.dtype) for area in areas_above(light, levels))
        return first, second
    owner, column = new.nonzero().unbind(1)
    stack = light[owner] >= levels[owner, column][:, None, None]
    areas = light.new_zeros(2, *levels.shape)
    areas[:, owner, column] = torch.stack(two_largest(stack)).to(light.dtype)
    return areas[0], areas[1]


def trim(light: Tensor) -> Tensor:
    """The same light in the smallest array that holds it with its margin; each object moves towards the corner."""
    lit = light > 0
    top, bottom = _extent(lit.any(2))
    left, right = _extent(lit.any(1))
    height, width = (int((last - first).max()) + 1 + 2 * MARGIN for first, last in ((top, bottom), (left, right)))
    rows = (top - MARGIN)[:, None] + torch.arange(height, device=light.device)
    columns = (left - MARGIN)[:, None] + torch.arange(width, device=light.device)
    return _pick(light, rows, columns)


def multimode(light: Tensor, number: Tensor) -> Tensor:
    """M [b] of the light inside the MID segment [b, y, x]; number [b]: pixels of the whole source, to which ranks refer.

    The source's pixels outside the segment count as zeros in the order of values.
    """
    values = sort_pixels(light.flatten(1))
    zeros = values.new_zeros(len(values), max(0, int(number.max()) - values.shape[1]))
    ordered = torch.cat([zeros, values], 1)
    last = (number - 1).clamp(min=0).double()[:, None]

    def scores(quantile: Tensor) -> tuple[Tensor, Tensor]:
        first, second = _clump_areas(light, _value_at(ordered, number.clamp(min=1), (quantile * last).long()))
        ratio = second / first.clamp(min=1)
        return ratio * second, ratio

    step = 1.0 / LEVELS
    coarse = (torch.arange(LEVELS, device=light.device, dtype=torch.float64) * step).expand(len(light), -1)
    score, ratio = scores(coarse)
    best = score.argmax(1, keepdim=True)
    fine = (best * step + torch.linspace(-step, step, FINE, device=light.device, dtype=torch.float64)).clamp(0.0, 1.0)
    fine_score, fine_ratio = scores(fine)
    score, ratio = torch.cat([score, fine_score], 1), torch.cat([ratio, fine_ratio], 1)
    return ratio.gather(1, score.argmax(1, keepdim=True))[:, 0]


class Peaks(NamedTuple):
    """Intensity I [b] and the position (x, y) [b, 2] of the peak with the most flux; `none` where there is no light."""

    intensity: Tensor
    position: Tensor
    none: Tensor


def steepest_ascent(light: Tensor) -> Tensor:
    """Flat index [b, y * x] of the peak that each pixel's steepest ascent over 8 neighbours reaches."""
    height, width = light.shape[1:]
    framed = torch.nn.functional.pad(light, (1, 1, 1, 1), value=-torch.inf)
    best, target = light.clone(), torch.zeros_like(light, dtype=torch.int64)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            other = framed[:, 1 + down : 1 + down + height, 1 + right : 1 + right + width]
            higher = other > best
            best = torch.where(higher, other, best)
            target = torch.where(higher, down * width + right, target)
    target = target.flatten(1) + torch.arange(height * width, device=light.device)
    for _ in range((height + width).bit_length() + 1):
        target = target.gather(1, target)
    return target


def brightest_peaks(light: Tensor, sigma: float) -> Peaks:
    """Fluxes of the peaks of the light [b, y, x] smoothed by a Gaussian of `sigma` pixels."""
    height, width = light.shape[1:]
    spread = light.new_full((len(light),), sigma)
    smooth = apply(gaussian_matrix(spread, height), light, gaussian_matrix(spread, width))
    flux = torch.zeros_like(light.flatten(1)).scatter_add_(1, steepest_ascent(smooth), smooth.flatten(1))
    top = flux.topk(2, dim=1)
    none = top.values[:, 0] <= 0
    intensity = torch.where(none, 0.0, top.values[:, 1] / top.values[:, 0])
    peak = top.indices[:, 0]
    return Peaks(intensity, torch.stack([peak % width, peak // width], 1).to(light.dtype), none)


def deviation(light: Tensor, area: Tensor, peak: Tensor) -> Tensor:
    """D [b] from the peak (x, y) [b, 2] and the segment's area [b]; NaN without light."""
    centre, total = centroid(light)
    distance = (peak - centre).square().sum(1).sqrt()
    return torch.where((total > 0) & (area > 0), (torch.pi / area).sqrt() * distance, torch.nan)
