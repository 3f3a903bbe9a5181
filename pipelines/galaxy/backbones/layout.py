"""What every image encoder returns, whatever its own layout: tokens on a grid and one pooled vector.

Layouts of feature maps: NCHW (convolutions), NHWC (Swin and its kin), tokens with or without leading class and register
tokens (ViT). Here always tokens [b, n, d] in rows from the first pixel row on, n = grid height x grid width.

Axes: b batch, n image token, d width, y x pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sciml.pipelines.errors import SettingsError


class ImageFeatures(NamedTuple):
    """tokens [b, n, d] and pooled [b, d]; `grid` (height, width) with height x width = n, or None if there is none."""

    tokens: Tensor
    pooled: Tensor
    grid: tuple[int, int] | None = None


def unify(features: Tensor, width: int, n_prefix: int = 0, layout: str | None = None) -> tuple[Tensor, tuple | None]:
    """(tokens [b, n, d], grid or None) of a feature map in any layout.

    Args:
        features: [b, d, y, x], [b, y, x, d], [b, prefix + n, d] or [b, d].
        width: d, by which an unnamed layout is recognized.
        n_prefix: leading tokens that are no part of the image.
        layout: "NCHW" or "NHWC" where the model says so.
    """
    if features.ndim == 2:
        return features[:, None], (1, 1)
    if features.ndim == 4:
        channels_last = layout == "NHWC" or (layout is None and features.shape[1] != width)
        if (features.shape[-1] if channels_last else features.shape[1]) != width:
            raise SettingsError(f"a feature map of shape {list(features.shape)} has no axis of width {width}")
        grid = tuple(features.shape[1:3]) if channels_last else tuple(features.shape[2:])
        return (features if channels_last else features.permute(0, 2, 3, 1)).flatten(1, 2), grid
    tokens = features[:, n_prefix:]
    side = math.isqrt(tokens.shape[1])
    if side**2 + 1 == tokens.shape[1] and not n_prefix and side > 1:
        # a class token the model does not declare
        tokens = tokens[:, 1:]
    return tokens, (side, side) if side**2 == tokens.shape[1] else None


class BandNorm(nn.Module):
    """image [b, band, y, x] -> (image - mean) / std per band; mean and std are numbers of the training split."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        if not all(s > 0 and math.isfinite(s) for s in std) or not all(map(math.isfinite, mean)):
            raise SettingsError(f"band statistics must be finite with positive std, got mean {mean}, std {std}")
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32)[:, None, None])
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32)[:, None, None])

    def forward(self, image: Tensor) -> Tensor:
        if image.ndim != 4 or image.shape[1] != len(self.mean):
            raise SettingsError(
                f"the image encoder was built for images [b, {len(self.mean)} bands, y, x], got {list(image.shape)}"
            )
        return (image - self.mean) / self.std


def band_statistics(
    n_bands: int, mean: Sequence[float] | None, std: Sequence[float] | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Statistics for n bands from those of another number: equal counts as they are, else their average repeated."""
    mean, std = tuple(mean or (0.0,)), tuple(std or (1.0,))
    if len(mean) != n_bands:
        mean = (sum(mean) / len(mean),) * n_bands
    if len(std) != n_bands:
        std = (sum(std) / len(std),) * n_bands
    return mean, std


def resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    """image [b, band, y, x] resampled to `size` where it has another one; bilinear, antialiased when shrinking."""
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    return F.interpolate(image, size=size, mode="bilinear", align_corners=False, antialias=True)
