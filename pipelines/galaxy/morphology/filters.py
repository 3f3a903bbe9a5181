"""Smoothing of a batch of stamps whose kernels and sizes differ: each axis is a banded matrix, out = M_y image M_x^T.

Axes [b, y, x]; a stamp fills the corner [0:ny, 0:nx] of its padded array.
"""

import torch
from torch import Tensor


def gaussian_matrix(sigma: Tensor, length: int) -> Tensor:
    """[b, length, length] rows of a normalised Gaussian cut at 4 sigma; light outside the array counts as zero.

    sigma: float [b], in pixels.
    """
    scale, reach = sigma.clamp(min=1e-12)[:, None], torch.floor(4.0 * sigma + 0.5)[:, None]

    def kernel(offset: Tensor) -> Tensor:
        return torch.exp(-0.5 * (offset / scale) ** 2) * (offset.abs() <= reach)

    # normalised over the whole kernel, also where part of it lies outside the array
    wide = torch.arange(1, int(reach.max().clamp(max=1e6)) + 1, device=sigma.device, dtype=sigma.dtype)
    line = kernel(torch.arange(1 - length, length, device=sigma.device, dtype=sigma.dtype))
    line = line / (1.0 + 2.0 * kernel(wide).sum(1, keepdim=True))
    return line.unfold(1, length, 1).flip(1)  # row i: the line from the offset -i on


def box_matrix(width: Tensor, count: Tensor, length: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """[b, length, length] rows of a running mean of `width` pixels over the first `count`, mirrored at both ends.

    An even window reaches one pixel further to the left.  width, count: int64 [b]; a width below 2 changes nothing.
    """
    width = width.clamp(min=1)
    widest = int(width.max())
    target = torch.arange(length, device=width.device)[None, :, None]
    step = torch.arange(widest, device=width.device)[None, None, :]
    source = target - (width // 2)[:, None, None] + step
    period = (2 * count)[:, None, None].clamp(min=1)
    folded = torch.remainder(source, period)
    folded = torch.minimum(folded, period - 1 - folded).clamp(0, length - 1)  # half-sample mirror, any distance
    weight = (step < width[:, None, None]).to(dtype) / width[:, None, None]
    matrix = torch.zeros(len(width), length, length, dtype=dtype, device=width.device)
    return matrix.scatter_add_(2, folded, weight.expand(-1, length, -1).contiguous())


def apply(rows: Tensor, image: Tensor, columns: Tensor) -> Tensor:
    """rows [b, y, y] image [b, y, x] columns [b, x, x]^T."""
    return rows @ image @ columns.transpose(1, 2)


def edge_filled(image: Tensor, size: Tensor) -> Tensor:
    """[b, y + 2, x + 2]: the stamp with its border pixels repeated outward; size int64 [b, 2] is (ny, nx)."""
    line = [torch.arange(-1, length + 1, device=image.device) for length in image.shape[1:]]
    row = torch.minimum(line[0].clamp(min=0)[None, :], size[:, :1] - 1)
    column = torch.minimum(line[1].clamp(min=0)[None, :], size[:, 1:] - 1)
    tall = torch.gather(image, 1, row[:, :, None].expand(-1, -1, image.shape[2]))
    return torch.gather(tall, 2, column[:, None, :].expand(-1, tall.shape[1], -1))


def sum3(framed: Tensor) -> Tensor:
    """Sums over 3 x 3 pixels of an array framed by one pixel: [b, y + 2, x + 2] -> [b, y, x]."""
    tall = (framed[:, :-2] + framed[:, 1:-1]).add_(framed[:, 2:])
    return (tall[:, :, :-2] + tall[:, :, 1:-1]).add_(tall[:, :, 2:])
