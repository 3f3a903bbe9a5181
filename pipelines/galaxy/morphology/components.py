"""Connected regions of a stack of masks (8-connected within a plane), their areas, and the region around a pixel.

Axes [n, y, x].  On a CPU scipy labels the stack as one volume whose planes do not touch; elsewhere labels spread as the
maximum over neighbours, with pointer jumping, until nothing changes.
"""

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

try:
    from . import _regions
except ImportError:  # not built: no compiler where the package was installed
    _regions = None

# Neighbours within a plane only.
_IN_PLANE = np.zeros((3, 3, 3), dtype=bool)
_IN_PLANE[1] = True


def label_regions(mask: Tensor) -> Tensor:
    """Integers [n, y, x]: 0 outside the mask, otherwise a number that is unique in the whole stack and grows with the plane."""
    if mask.device.type == "cpu":
        labels, _ = ndimage.label(mask.numpy(), structure=_IN_PLANE)
        return torch.from_numpy(labels)
    return spread_labels(mask)


def spread_labels(mask: Tensor) -> Tensor:
    """The same regions on any device; a region's number is 1 + the largest flat index in it."""
    number = torch.arange(1, mask.numel() + 1, device=mask.device, dtype=torch.float64).view(mask.shape)
    labels = torch.where(mask, number, 0.0)
    while True:
        wider = torch.nn.functional.max_pool2d(labels[:, None], 3, stride=1, padding=1)[:, 0]
        wider = torch.where(mask, wider, 0.0)
        flat = torch.cat([wider.new_zeros(1), wider.reshape(-1)])
        for _ in range(2):  # the label of my label's pixel
            flat = flat[flat.long()]
        jumped = torch.where(mask, flat[1:].view(mask.shape), 0.0)
        if torch.equal(jumped, labels):
            return labels.long()
        labels = jumped


def region_at(mask: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """The region of each plane that holds the pixel (row, column), int64 [n]; empty where the pixel is outside the mask."""
    labels = label_regions(mask)
    wanted = labels[torch.arange(len(labels), device=labels.device), row, column]
    return labels == torch.where(wanted > 0, wanted, -1)[:, None, None]


def two_largest(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Areas of the largest and second largest region of each plane, int64 [n] each; 0 where there is none."""
    if len(mask) == 0:  # nothing to label, and no plane to reshape
        return mask.new_zeros(0, dtype=torch.int64), mask.new_zeros(0, dtype=torch.int64)
    labels = label_regions(mask).view(len(mask), -1)
    area = torch.bincount(labels.view(-1))
    area[0] = 0
    # numbers grow with the plane: the largest number so far tells where each plane's numbers end
    end = torch.cummax(labels.amax(1).long(), 0).values
    number = area.nonzero()[:, 0]
    area, plane = area[number], torch.searchsorted(end, number)
    order = torch.argsort(plane * (mask[0].numel() + 1) + area)  # by plane, then by area
    area, plane = area[order], plane[order]
    index = torch.arange(len(mask), device=mask.device)
    start, stop = torch.searchsorted(plane, index), torch.searchsorted(plane, index, right=True)
    padded = torch.cat([area, area.new_zeros(2)])
    return torch.where(stop > start, padded[stop - 1], 0), torch.where(stop - 1 > start, padded[stop - 2], 0)


def compiled(light: Tensor) -> bool:
    """Whether `means_above` and `areas_above` can take these images."""
    return _regions is not None and light.device.type == "cpu" and light.dtype == torch.float32


def means_above(light: Tensor, number: Tensor) -> Tensor:
    """Mean light of the brightest pixel's region above the value of each rank: float64 [b, most].

    light: float32 [b, y, x], at most number[b] of its pixels positive: the others of that number have the lowest ranks.
    """
    light, number = light.contiguous(), number.contiguous()
    means = torch.zeros(len(light), max(1, int(number.max())), dtype=torch.float64)
    _regions.means(light.data_ptr(), number.data_ptr(), means.data_ptr(), *light.shape, means.shape[1])
    return means


def areas_above(light: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
    """Areas int64 [b, m] of the two largest regions of positive light at or above increasing levels [b, m]."""
    light, levels = light.contiguous(), levels.contiguous()
    first, second = torch.empty(2, *levels.shape, dtype=torch.int64)
    pointers = (entry.data_ptr() for entry in (light, levels, first, second))
    _regions.two_largest(*pointers, *light.shape, levels.shape[1])
    return first, second
