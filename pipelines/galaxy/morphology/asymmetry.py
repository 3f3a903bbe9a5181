"""Rotational asymmetry: A = sum |I - I_180| / sum |I| less the sky's own, with the centre that minimises it.

Conselice, Bershady & Jangren (2000); Lotz, Primack & Madau (2004), eq. 10.  Half a turn about (xc, yc) is
I_180(x) = I(2 c - x), interpolated linearly.  A pixel counts when neither it nor its partner is masked.  The centre starts at
the centroid and is found by Nelder-Mead within a circle of 1.5 Petrosian radii that moves with it.
The squared root-mean-square asymmetry is eq. 27 of Sazonova et al. (2024), the outer asymmetry Wen et al. (2014), the shape
asymmetry Pawlik et al. (2016).  Axes [b, y, x]; centres are (x, y).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .apertures import pixel_lines
from .simplex import minimize
from .stamps import Stamps, merge

try:
    from . import _half_turn
except ImportError:  # not built: no compiler where the package was installed
    _half_turn = None

REFUSED = 100.0  # value that turns the minimiser back
GROUP_RATIO = 1.3  # of the largest to the smallest window of a group
SMALL_GROUP = 8  # below this the calls cost more than the pixels
X_TOLERANCE = 4e-3  # [px] spans of the last simplex: A changes by some 1e-4


class _Plane(NamedTuple):
    """A stack of images with a margin of zeros, and the same turned by half a turn about the middle of the array."""

    image: Tensor
    turned: Tensor
    margin: int


def _plane(image: Tensor, margin: int) -> _Plane:
    wide = torch.nn.functional.pad(image, (margin, margin, margin, margin))
    return _Plane(wide, torch.flip(wide, (1, 2)).contiguous(), margin)


def _windows(images: Tensor, which: np.ndarray, row: np.ndarray, column: np.ndarray, side: int) -> Tensor:
    """[m, side, side] squares images[which, row:row + side, column:column + side]."""
    if images.device.type == "cpu":  # copying views one by one takes half the time of a gather
        source, squares = images.numpy(), torch.empty(len(which), side, side, dtype=images.dtype)
        target = squares.numpy()
        for index, (i, y, x) in enumerate(zip(which.tolist(), row.tolist(), column.tolist(), strict=True)):
            target[index] = source[i, y : y + side, x : x + side]
        return squares
    place = torch.from_numpy(np.stack([which, row, column])).to(images.device)[:, :, None, None]
    step = torch.arange(side, device=images.device)
    return images[place[0], place[1] + step[:, None], place[2] + step]


class Pair(NamedTuple):
    """Windows [m, s, s] of the image and of its half turn, the pixels that count (None: all), the windows' corner (x, y)."""

    image: Tensor
    half_turn: Tensor
    allowed: Tensor | None
    corner: np.ndarray


class HalfTurn:
    """Evaluates I and I_180 in square windows around any centre of any stamp of the batch."""

    def __init__(self, stamps: Stamps, half: int):
        """half: half side of the windows [px]; the batch's largest stamp side is always enough."""
        self.half = half
        self.size = stamps.size.cpu().numpy()
        self.plane = _plane(stamps.image, half + 4)
        masked = stamps.inside & ~stamps.valid
        self.mask = _plane(masked.to(torch.uint8), half + 4) if bool(masked.any()) else None

    def at(self, which: np.ndarray, centre: np.ndarray) -> Pair:
        """Windows around centre [m, 2] of stamps which [m]; pixels outside the stamp never count."""
        margin, side = self.plane.margin, 2 * self.half + 1
        corner = np.floor(centre + 0.5).astype(np.int64) - self.half  # (x, y) of the window in the stamp
        last = np.array(self.plane.image.shape[:0:-1]) - 1  # of the padded array
        shift = last - 2.0 * centre + (corner - margin)
        whole = np.floor(shift).astype(np.int64)
        part = self._send(shift - whole)[:, :, None, None]
        image = _windows(self.plane.image, which, corner[:, 1] + margin, corner[:, 0] + margin, side)
        half_turn = _windows(self.plane.turned, which, whole[:, 1], whole[:, 0], side + 1)
        half_turn = torch.lerp(half_turn[:, :-1], half_turn[:, 1:], part[:, 1])
        half_turn = torch.lerp(half_turn[:, :, :-1], half_turn[:, :, 1:], part[:, 0])
        allowed = None
        if self.mask is not None:
            nearest = np.floor(shift + 0.5).astype(np.int64)
            allowed = _windows(self.mask.image, which, corner[:, 1] + margin, corner[:, 0] + margin, side)
            allowed = (allowed | _windows(self.mask.turned, which, nearest[:, 1], nearest[:, 0], side)) == 0
        return Pair(image, half_turn, allowed, corner)

    def circle(self, which: np.ndarray, pair: Pair, centre: np.ndarray, radius: np.ndarray) -> Tensor:
        """Weights [m, s, s] of a circle about the centre: 0 outside the stamp and where a pixel or its partner is masked.

        clamp(1/2 + (r^2 - d^2) / (2 r), 0, 1): the ramp of `apertures.part_inside` near the edge, without a root.
        """
        place = pair.corner[:, :, None] + np.arange(2 * self.half + 1)  # [m, 2, s]: x, y
        outside = (place < 0) | (place >= self.size[which, ::-1][:, :, None])
        away = np.square(place - centre[:, :, None]) * (0.5 / radius)[:, None, None]
        away[outside] = 1e12
        away[:, 1] = (0.5 + 0.5 * radius)[:, None] - away[:, 1]
        lines = self._send(away)
        weight = (lines[:, 1, :, None] - lines[:, 0, None, :]).clamp_(0.0, 1.0)
        return weight if pair.allowed is None else weight.mul_(pair.allowed)

    def _send(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(self.plane.image)


class CompiledHalfTurn:
    """The three sums of `HalfTurn` by the compiled `_half_turn`, for images on a CPU."""

    def __init__(self, stamps: Stamps, radius: np.ndarray):
        self.image = stamps.image.contiguous()
        self.mask = _mask_plane(stamps)
        self.size = np.ascontiguousarray(stamps.size.numpy())
        self.radius = np.ascontiguousarray(radius, dtype=np.float64)

    def sums(self, which: np.ndarray, centre: np.ndarray) -> np.ndarray:
        """Weighted area, sum |I| and sum |I_180 - I| [3, m] in the circles of stamps which [m] about centre [m, 2]."""
        out = np.empty((len(which), 3))
        which, centre = which.astype(np.int64), np.ascontiguousarray(centre)
        arrays = (self.size, which, centre, self.radius, out)
        mask = 0 if self.mask is None else self.mask.data_ptr()
        _half_turn.sums(
            self.image.data_ptr(), mask, *(entry.ctypes.data for entry in arrays), *self.image.shape[1:], len(which)
        )
        return out.T


def _sums(weight: Tensor, pair: Pair) -> Tensor:
    """Weighted area, sum |I| and sum |I_180 - I|, float64 [3, m]."""
    flat = weight.flatten(1)[:, None, :]
    light = torch.bmm(flat, pair.image.abs().flatten(1)[:, :, None])[:, 0, 0]
    change = torch.bmm(flat, (pair.half_turn - pair.image).abs_().flatten(1)[:, :, None])[:, 0, 0]
    return torch.stack([flat.sum((1, 2)), light, change]).double()


class Centre(NamedTuple):
    """Position (x, y) [b, 2] in the stamp and what happened on the way (bool [b])."""

    position: Tensor
    left: Tensor
    dark: Tensor
    drifted: Tensor
    lost: Tensor


def half_window(radius: Tensor, shape: tuple[int, ...]) -> int:
    """Half side that holds every circle, or the whole stamp."""
    return int(min(float(radius.max().ceil()) + 1, max(shape[1:])))


class Search(NamedTuple):
    """What the search for the centre needs of a set of stamps, [b] or (x, y) [b, 2]."""

    sky: Tensor  # asymmetry of the sky per pixel, NaN: none
    radius: Tensor  # of the circle
    centroid: Tensor
    brightest: Tensor
    reach: Tensor  # drift from the start beyond which the other start, and then the centroid itself, is taken

    def take(self, which: Tensor) -> Search:
        return Search(*(entry[which] for entry in self))


def find_centres(parts: list[Stamps], searches: list[Search]) -> list[Centre]:
    """Centres of least asymmetry of several parts of a batch.

    Without the compiled sums, stamps are searched in groups of similar circles: the largest sets the windows of its group.
    """
    masked = torch.cat([_masked_near(part, search) for part, search in zip(parts, searches, strict=True)])
    stamps, search = merge(parts), Search(*(torch.cat(entries) for entries in zip(*searches, strict=True)))
    if _compiled(stamps):
        groups = [which for which in (masked.nonzero()[:, 0], (~masked).nonzero()[:, 0]) if len(which)]
    else:
        half = torch.minimum(search.radius.ceil() + 1, search.radius.new_full((), max(stamps.image.shape[1:])))
        groups = _similar(half, masked)
    found = [_search(stamps.take(which), search.take(which)) for which in groups]
    order = torch.argsort(torch.cat(groups))
    whole = Centre(*(torch.cat(entries)[order] for entries in zip(*found, strict=True)))
    lengths = [len(part) for part in parts]
    return [Centre(*entries) for entries in zip(*(entry.split(lengths) for entry in whole), strict=True)]


def _masked_near(stamps: Stamps, search: Search) -> Tensor:
    """Whether a masked pixel lies where the circle may come, bool [b]."""
    reach = search.radius + search.reach + 0.05 * stamps.diagonal + 2
    x, y = pixel_lines(*stamps.image.shape[1:], stamps.image)
    centre, reach = search.centroid.to(x.dtype), reach.to(x.dtype)
    square = (x - centre[:, 0, None, None]).square() + (y - centre[:, 1, None, None]).square()
    return (stamps.inside & ~stamps.valid & (square < reach.square()[:, None, None])).flatten(1).any(1)


def _similar(half: Tensor, masked: Tensor) -> list[Tensor]:
    """Indices in groups alike in `masked` and in the size of their windows."""
    groups = []
    for members in (masked.nonzero()[:, 0], (~masked).nonzero()[:, 0]):
        sizes, order = torch.sort(half[members])
        start, sizes = 0, sizes.tolist()
        for stop in range(1, len(sizes) + 1):
            ratio = GROUP_RATIO if stop - start >= SMALL_GROUP else 1.5 * GROUP_RATIO
            if stop == len(sizes) or sizes[stop] > ratio * sizes[start]:
                groups.append(members[order[start:stop]])
                start = stop
    return groups


def _compiled(stamps: Stamps) -> bool:
    return _half_turn is not None and stamps.image.device.type == "cpu"


def _circle_sums(stamps: Stamps, radius: np.ndarray) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Function of stamps which [m] and centres [m, 2]: area, sum |I| and sum |I_180 - I| [3, m] in circles of `radius` [b]."""
    if _compiled(stamps):
        return CompiledHalfTurn(stamps, radius).sums
    pairs = HalfTurn(stamps, half_window(torch.from_numpy(radius), stamps.image.shape))

    def sums(which: np.ndarray, centre: np.ndarray) -> np.ndarray:
        pair = pairs.at(which, centre)
        return _sums(pairs.circle(which, pair, centre, radius[which]), pair).cpu().numpy()

    return sums


def _search(stamps: Stamps, search: Search) -> Centre:
    """The search itself."""
    if not bool(_masked_near(stamps, search).any()):
        stamps = replace(stamps, valid=stamps.inside)  # no mask to carry along
    sky, radius, centroid, brightest, reach = (entry.cpu().numpy() for entry in search)
    sums = _circle_sums(stamps, radius)
    sky, limit = np.nan_to_num(sky), stamps.size.cpu().numpy()[:, ::-1]
    left, dark = np.zeros(len(stamps), dtype=bool), np.zeros(len(stamps), dtype=bool)

    def asymmetry(which: np.ndarray, point: np.ndarray) -> np.ndarray:
        out = ((point < 0) | (point >= limit[which])).any(1)
        safe = np.clip(point, 0, limit[which] - 1)
        area, light, change = sums(which, safe)
        empty = (light == 0) & ~out
        left[which] |= out
        dark[which] |= empty
        return np.where(out | empty, REFUSED, (change - area * sky[which]) / np.where(empty, 1.0, light))

    position = minimize(asymmetry, centroid, x_tolerance=X_TOLERANCE)
    drifted = np.linalg.norm(position - centroid, axis=1) > reach
    lost, again = np.zeros_like(drifted), np.flatnonzero(drifted)
    if len(again):
        start = brightest[again]
        second = minimize(lambda which, point: asymmetry(again[which], point), start, x_tolerance=X_TOLERANCE)
        lost[again] = np.linalg.norm(second - start, axis=1) > reach[again]
        position[again] = np.where(lost[again][:, None], centroid[again], second)
    return Centre(
        *(torch.from_numpy(entry).to(search.radius.device) for entry in (position, left, dark, drifted, lost))
    )


class Asymmetries(NamedTuple):
    """A and A_rms^2 within the circle, [b] each."""

    asymmetry: Tensor
    rms_asymmetry2: Tensor


def circular_asymmetry(stamps: Stamps, sky: Tensor, sky_sigma: Tensor, radius: Tensor, centre: Tensor) -> Asymmetries:
    """A (less the sky's) and the squared rms asymmetry (less the noise's) within circles of `radius` about `centre`."""
    pairs = HalfTurn(stamps, half_window(radius, stamps.image.shape))
    which, point = np.arange(len(stamps)), centre.cpu().numpy()
    pair = pairs.at(which, point)
    weight = pairs.circle(which, pair, point, radius.cpu().numpy())
    area, light, change = _sums(weight, pair)
    noise = area * torch.nan_to_num(sky_sigma).square()
    square = (weight * pair.image.square()).sum((1, 2)).double()
    change_square = (weight * (pair.half_turn - pair.image).square()).sum((1, 2)).double()
    value = torch.where(light == 0, torch.nan, (change - area * torch.nan_to_num(sky)) / light)
    return Asymmetries(value, (change_square - 2.0 * noise) / (square - noise))


def weighted_asymmetry(stamps: Stamps, image: Tensor, weight: Tensor, sky: Tensor, centre: Tensor) -> Tensor:
    """A of any image [b, y, x] under any aperture weights [b, y, x]; NaN where the aperture holds no light."""
    area, light, change = _weighted_sums(stamps, image, weight, centre)
    return torch.where(light == 0, torch.nan, (change - area * torch.nan_to_num(sky)) / light)


def _weighted_sums(stamps: Stamps, image: Tensor, weight: Tensor, centre: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weighted area, sum |I| and sum |I_180 - I|, float64 [b]."""
    if _compiled(stamps):
        image, weight, centre, size = (entry.contiguous() for entry in (image, weight, centre.double(), stamps.size))
        mask, out = _mask_plane(stamps), torch.empty(len(stamps), 3, dtype=torch.float64)
        pointers = (0 if entry is None else entry.data_ptr() for entry in (image, mask, size, centre, weight, out))
        _half_turn.weighted(*pointers, *image.shape[1:], len(image))
        return out.unbind(1)
    half_turn, allowed = turned(stamps, image, centre)
    weight = weight * allowed
    light, change = weight * image.abs(), weight * (half_turn - image).abs()
    return tuple(entry.sum((1, 2)).double() for entry in (weight, light, change))


def _mask_plane(stamps: Stamps) -> Tensor | None:
    """Masked pixels of the stamps, uint8 [b, y, x]; None where nothing is masked."""
    masked = stamps.inside & ~stamps.valid
    return masked.to(torch.uint8).contiguous() if bool(masked.any()) else None


def turned(stamps: Stamps, image: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    """I_180 on the pixels of the stamps and which pixels count, both [b, y, x]."""
    half_turn, masked = image, (stamps.inside & ~stamps.valid).to(torch.uint8)
    partners = bool(masked.any())
    for axis, coordinate in ((1, centre[:, 1]), (2, centre[:, 0])):
        source = 2.0 * coordinate[:, None] - torch.arange(image.shape[axis], device=image.device)
        low = source.floor().long()
        part = (source - low).to(image.dtype).unsqueeze(3 - axis)
        half_turn = torch.lerp(_lines(half_turn, low, axis), _lines(half_turn, low + 1, axis), part)
        if partners:
            masked = _lines(masked, (source + 0.5).floor().long(), axis)
    return half_turn, stamps.valid & (masked == 0) if partners else stamps.valid


def _lines(image: Tensor, index: Tensor, axis: int) -> Tensor:
    """Rows (axis 1) or columns (axis 2) of the image in the order index [b, n]; zero outside."""
    known = ((index >= 0) & (index < image.shape[axis])).unsqueeze(3 - axis)
    shape = [-1, -1, image.shape[2]] if axis == 1 else [-1, image.shape[1], -1]
    return torch.gather(image, axis, index.clamp(0, image.shape[axis] - 1).unsqueeze(3 - axis).expand(shape)) * known
