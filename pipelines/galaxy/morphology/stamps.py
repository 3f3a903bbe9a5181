"""Postage stamps around the sources, gathered into one padded batch: pixels, masks, errors, and which pixels are the source.

Axes [b, y, x]; a stamp fills the corner [0:ny, 0:nx] of its padded array.  Pixels are in single precision and in units of
`unit`, a power of two near the source's brightest pixel: no brightness scale over- or underflows, and nothing is rounded by
it.  Sums, positions and radii are in double precision.  Masked pixels (other sources, the caller's mask,
NaN, outliers) are zero in `image` and False in `valid`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .definitions import Definitions
from .filters import edge_filled, sum3

SKY, SOURCE, OTHER = 0, 1, 2


@dataclass(frozen=True)
class Cut:
    """One stamp on the host: views into the caller's arrays, and where it was cut out."""

    image: np.ndarray  # [y, x]
    segmap: np.ndarray  # int [y, x]
    label: int
    y: int
    x: int
    extent: int  # larger side of the source's bounding box
    mask: np.ndarray | None = None
    weightmap: np.ndarray | None = None


@dataclass(frozen=True)
class Stamps:
    """A batch on the device; float32 and bool [b, y, x]."""

    image: Tensor  # masked pixels are zero
    valid: Tensor  # inside the stamp and not masked
    inside: Tensor  # inside the stamp
    segment: Tensor  # the source's own pixels, not masked
    empty: Tensor  # no source and not masked by the caller: where sky may be measured
    weightmap: Tensor | None  # standard deviation per pixel
    size: Tensor  # int64 [b, 2]: ny, nx
    origin: Tensor  # int64 [b, 2]: y, x of the stamp's corner in the caller's image
    unit: Tensor  # float64 [b]: the caller's image over this one

    def __len__(self) -> int:
        return len(self.image)

    @property
    def diagonal(self) -> Tensor:
        return self.size.double().square().sum(1).sqrt()

    def take(self, which: Tensor) -> Stamps:
        """The stamps `which` (int64 or bool), trimmed to their largest size."""
        size = self.size[which]
        height, width = (int(length) for length in size.amax(0))

        def part(values: Tensor | None) -> Tensor | None:
            return None if values is None else values[which, :height, :width]

        planes = (self.image, self.valid, self.inside, self.segment, self.empty, self.weightmap)
        return Stamps(*(part(plane) for plane in planes), size, self.origin[which], self.unit[which])

    def pixels(self, row: Tensor, column: Tensor) -> Tensor:
        """image[b, row, column]."""
        return self.image[torch.arange(len(self), device=row.device), row, column]


def cut(
    image: np.ndarray,
    segmap: np.ndarray,
    label: int,
    definitions: Definitions,
    *,
    mask: np.ndarray | None = None,
    weightmap: np.ndarray | None = None,
) -> Cut | None:
    """The stamp around `label`, square where the image's border allows it; None if the segmap lacks the label."""
    source = segmap == label
    rows, columns = np.flatnonzero(source.any(axis=1)), np.flatnonzero(source.any(axis=0))
    if len(rows) == 0:
        return None
    (top, left), (bottom, right) = (rows[0], columns[0]), (rows[-1], columns[-1])
    height, width = bottom + 1 - top, right + 1 - left
    half = int(max(height, width) * definitions.cutout_extent / 2.0)
    half = max(half, definitions.smallest_cutout // 2)
    y, x = top + height // 2, left + width // 2
    box = (
        slice(max(0, y - half), min(image.shape[0], y + half)),
        slice(max(0, x - half), min(image.shape[1], x + half)),
    )
    return Cut(
        image[box],
        segmap[box],
        label,
        int(box[0].start),
        int(box[1].start),
        int(max(height, width)),
        None if mask is None else mask[box],
        None if weightmap is None else weightmap[box],
    )


def gather(cuts: Sequence[Cut], definitions: Definitions, device: torch.device | str = "cpu") -> Stamps:
    """One batch; all cuts have a weightmap or none has."""
    size = np.array([entry.image.shape for entry in cuts])
    shape = (len(cuts), *size.max(axis=0))
    image, kind = np.zeros(shape), np.full(shape, SKY, dtype=np.uint8)
    masked = np.zeros(shape, dtype=bool)
    weightmap = None if cuts[0].weightmap is None else np.zeros(shape)
    unit = np.array([_unit(entry) for entry in cuts])
    for index, entry in enumerate(cuts):
        place = (index, slice(0, entry.image.shape[0]), slice(0, entry.image.shape[1]))
        np.divide(entry.image, unit[index], out=image[place])
        kind[place] = np.where(entry.segmap == entry.label, SOURCE, np.where(entry.segmap == 0, SKY, OTHER))
        if entry.mask is not None:
            masked[place] = entry.mask
        if weightmap is not None:
            np.divide(entry.weightmap, unit[index], out=weightmap[place])
    origin = torch.tensor([(entry.y, entry.x) for entry in cuts], dtype=torch.int64)

    def send(array):
        return None if array is None else torch.from_numpy(array).to(device)

    return _mask(
        send(image),
        send(kind),
        send(masked),
        send(weightmap),
        send(size.astype(np.int64)),
        origin.to(device),
        send(unit),
        definitions,
    )


def _unit(entry: Cut) -> float:
    """The power of two below the largest |I| of the source; 1 without one."""
    source = np.abs(entry.image[entry.segmap == entry.label])
    largest = float(np.max(source, where=np.isfinite(source), initial=0.0))
    return 2.0 ** np.clip(np.floor(np.log2(largest)), -1000, 1000) if largest > 0 else 1.0


def _mask(image, kind, masked, weightmap, size, origin, unit, definitions: Definitions) -> Stamps:
    rows = torch.arange(image.shape[1], device=image.device)[None, :, None] < size[:, 0, None, None]
    columns = torch.arange(image.shape[2], device=image.device)[None, None, :] < size[:, 1, None, None]
    inside = rows & columns
    known = torch.isfinite(image)
    image = torch.where(known, image, 0.0)
    if weightmap is not None:
        known = known & torch.isfinite(weightmap)
    bad = masked | ~known | (kind == OTHER)
    if definitions.outlier_sigma > 0:
        bad = bad | outliers(image, size, definitions.outlier_sigma)
    valid = inside & ~bad
    return Stamps(
        image=torch.where(valid, image, 0.0).float(),
        valid=valid,
        inside=inside,
        segment=valid & (kind == SOURCE),
        empty=inside & (kind == SKY) & ~masked,
        weightmap=None if weightmap is None else torch.where(valid, weightmap, 0.0).float(),
        size=size,
        origin=origin,
        unit=unit,
    )


def outliers(image: Tensor, size: Tensor, n_sigma: float) -> Tensor:
    """Pixels further than n_sigma standard deviations from the mean of their eight neighbours (Lotz et al. 2004, sect. 2)."""
    framed = edge_filled(image, size)
    mean = sum3(framed).sub_(image).div_(8.0)
    variance = sum3(framed.square_()).sub_(image.square()).div_(8.0).sub_(mean.square())
    # a negative variance is round-off on a flat patch: its square root is NaN, which is never exceeded
    return mean.sub_(image).abs_() > variance.sqrt_().mul_(n_sigma)


def sort_pixels(values: Tensor) -> Tensor:
    """Rows in increasing order; numpy's vectorised sort is seven times faster than torch's on a CPU."""
    if values.device.type == "cpu":
        return torch.from_numpy(np.sort(values.numpy(), axis=1))
    return values.sort(dim=1).values


def merge(parts: Sequence[Stamps]) -> Stamps:
    """One batch of several, padded to the largest."""
    if len(parts) == 1:
        return parts[0]
    height, width = (max(part.image.shape[axis] for part in parts) for axis in (1, 2))

    def join(planes: list[Tensor | None]) -> Tensor | None:
        if planes[0] is None:
            return None
        return torch.cat([torch.nn.functional.pad(p, (0, width - p.shape[2], 0, height - p.shape[1])) for p in planes])

    names = ("image", "valid", "inside", "segment", "empty", "weightmap")
    planes = [join([getattr(part, name) for part in parts]) for name in names]
    rest = [torch.cat([getattr(part, name) for part in parts]) for name in ("size", "origin", "unit")]
    return Stamps(*planes, *rest)
