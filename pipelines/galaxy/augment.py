"""Changes of a training image that the sky does not mind: a galaxy has no preferred direction, and could be a little farther away.

    flip      one of the eight flips and quarter turns, exact
    rotate    any angle (bilinear)
    shift     up to 4 % of the side: the centre of a merger is a matter of definition
    zoom      larger or smaller by a factor, the same number of times in each octave; a galaxy may be nearer or just be larger
    psf       a Gaussian up to 1 pixel wide (standard deviation): worse seeing
    noise     more sky noise, up to 0.7 of what is there
    redshift  up to 1.5 times as far away: smaller, fainter by the square of that, with the same sky noise

All happens on fluxes, before `pixels` compresses them. Every number is drawn for the whole batch of all processes and each takes
its rows, so that a shared batch is the same batch.

Axes: b object, c band, y x pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

AUGMENTED = ("flip", "rotate", "shift", "zoom", "psf", "noise", "redshift")

Draw = Callable[..., Tensor]  # shape -> uniform numbers [b, *shape]


def drawer(seed: int, count: int, rows: slice = slice(None)) -> Draw:
    """Uniform numbers for `rows` of a batch of `count` objects, a pure function of the seed and the order of the calls."""
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.rand(count, *shape, generator=generator)[rows]


def augment(
    images: Tensor, kinds: Collection[str], noise: Sequence[float], draw: Draw, largest_zoom: float = 1.12
) -> Tensor:
    """images [b, c, y, x] changed; `noise` [c] is the sky's, in the images' unit; `largest_zoom` a factor of at least 1."""
    moved = _matrix(kinds, draw, images, largest_zoom)
    farther = 1.0 + 0.5 * draw().to(images) if "redshift" in kinds else None
    if farther is not None:
        moved = moved * farther[:, None, None]
    if moved is not None and any(kind in kinds for kind in ("rotate", "shift", "zoom", "redshift")):
        images = _resampled(images, moved)
    if "flip" in kinds:
        images = dihedral(images, (draw() * 8).long().clamp_(max=7).to(images.device))
    if farther is not None:
        images = _fainter(images, farther, noise, draw)
    if "psf" in kinds:
        images = blurred(images, draw().to(images))
    if "noise" in kinds:
        strength = 0.7 * draw().to(images)
        images = images + strength[:, None, None, None] * _sky(images, noise, draw)
    return images


def dihedral(images: Tensor, which: Tensor) -> Tensor:
    """Each image turned by which % 4 quarter turns, and mirrored where which > 3."""
    out = torch.empty_like(images)
    for kind in which.unique().tolist():
        chosen = (which == kind).nonzero()[:, 0]
        out[chosen] = view(images[chosen], kind)
    return out


def view(images: Tensor, kind: int) -> Tensor:
    """The flip or quarter turn number `kind` of 8, of square images."""
    turned = images.rot90(kind % 4, (-2, -1))
    return turned.flip(-1) if kind > 3 else turned


def _matrix(kinds: Collection[str], draw: Draw, like: Tensor, largest_zoom: float) -> Tensor:
    """[b, 2, 3] from a pixel of the result to a pixel of the image, in units of half the side."""
    angle = 2 * math.pi * draw() if "rotate" in kinds else torch.zeros(len(like))
    zoom = torch.exp((2 * draw() - 1) * math.log(largest_zoom)) if "zoom" in kinds else torch.ones(len(like))
    shift = 0.08 * (2 * draw(2) - 1) if "shift" in kinds else torch.zeros(len(like), 2)
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    rows = torch.stack((cos, -sin, shift[:, 0], sin, cos, shift[:, 1]), 1)
    return rows.view(-1, 2, 3).to(like)


def _resampled(images: Tensor, matrix: Tensor) -> Tensor:
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    # corners turned in are filled by the sky that is nearest
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _fainter(images: Tensor, farther: Tensor, noise: Sequence[float], draw: Draw) -> Tensor:
    """Surface brightness stays (an image that shrinks by f is f^2 fainter); averaging the sky made it quieter by f."""
    missing = torch.sqrt(1.0 - farther**-2)
    return images + missing[:, None, None, None] * _sky(images, noise, draw)


def _sky(images: Tensor, noise: Sequence[float], draw: Draw) -> Tensor:
    # Box and Muller, so that every draw is uniform and belongs to one object
    u = draw(2, *images.shape[1:])
    normal = torch.sqrt(-2.0 * torch.log1p(-u[:, 0])) * torch.cos(2 * math.pi * u[:, 1])
    return normal.to(images) * images.new_tensor(noise)[:, None, None]


def blurred(images: Tensor, sigma: Tensor) -> Tensor:
    """Each image [c, y, x] convolved with a Gaussian of its own sigma [b], in pixels."""
    reach = 3
    offsets = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma.clamp_min(0.1)[:, None]) ** 2)
    kernel = kernel / kernel.sum(1, keepdim=True)
    b, c, height, width = images.shape
    weights = kernel.repeat_interleave(c, 0)[:, None]
    rows = F.pad(images, (reach,) * 4, mode="reflect").reshape(1, b * c, height + 2 * reach, width + 2 * reach)
    rows = F.conv2d(rows, weights[:, :, None], groups=b * c)
    return F.conv2d(rows, weights[..., None], groups=b * c).view(b, c, height, width)
