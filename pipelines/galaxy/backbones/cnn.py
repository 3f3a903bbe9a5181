"""A small convolutional network for cutouts of 48 to 128 pixels and a few hundred of them, trained from scratch.

Beside each band the network sees what the band looks like without its symmetric part, the image that rotational
asymmetry is measured on (Conselice et al. 2000, doi:10.1086/308300):

    residual(x) = image(x) - image(-x)

NOTE: the residual is signed and taken about the centre of the cutout, not about the centre of least asymmetry.
Downsampling is antialiased with a binomial filter (Zhang 2019, arXiv:1904.11486), so that features move with the galaxy.

Axes: b batch, n image token, d width, y x pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sciml.pipelines.errors import SettingsError

from .layout import BandNorm, ImageFeatures, band_statistics

FINE = {"widths": (24, 48, 96, 160), "stride": 2}  # arguments of `cnn_fine`
SMALLEST = 16  # pixels: below it the last feature map would be a single point


class Blur(nn.Module):
    """Halve the resolution: binomial filter [1 2 1] x [1 2 1] / 16, then every second pixel."""

    def __init__(self, channels: int):
        super().__init__()
        row = torch.tensor([1.0, 2.0, 1.0]) / 4.0
        self.register_buffer("kernel", (row[:, None] * row).expand(channels, 1, 3, 3).contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.kernel, stride=2, padding=1, groups=len(self.kernel))


class Residual(nn.Module):
    """x + conv(conv(x)), batch norm after each convolution, the second starting at zero; `widen` by a 1 x 1 layer."""

    def __init__(self, before: int, after: int):
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(after)
        self.second = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(after)
        self.widen = nn.Conv2d(before, after, 1, bias=False) if before != after else nn.Identity()
        nn.init.zeros_(self.second_norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.first_norm(self.first(x)))
        return torch.relu(self.widen(x) + self.second_norm(self.second(y)))


class CutoutNet(nn.Module):
    """image [b, band, y, x] -> ImageFeatures(tokens [b, n, d_image], pooled [b, d_image]), n about (y / 8) (x / 8) / stride^2.

    Args:
        n_bands: number of bands.
        widths: channels of the stem and of the three stages behind it.
        stride: of the stem; 2 sees fine detail, such as two nuclei close together, at a quarter of the cost.
        mean, std: band statistics of the training split; 0 and 1 where they are None.
        asymmetry: whether the residual under rotation by 180 degrees is shown as well.
        dropout: rate on whole channels of the last map.
    """

    def __init__(
        self,
        n_bands: int,
        *,
        widths: Sequence[int] = (24, 48, 96, 192),
        stride: int = 1,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        asymmetry: bool = True,
        dropout: float = 0.1,
    ):
        super().__init__()
        self.norm = BandNorm(*band_statistics(n_bands, mean, std))
        self.asymmetry = asymmetry
        # 1.2 times as fast forward and backward on a CPU with AVX2
        self.memory_format = torch.channels_last
        stem, *stages = widths
        self.stride = stride
        seen = n_bands * (2 if asymmetry else 1)
        self.stem = nn.Conv2d(seen, stem, 2 * stride + 1, stride=stride, padding=stride, bias=False)
        self.stem_norm = nn.BatchNorm2d(stem)
        pairs = zip(widths[:-1], stages, strict=True)
        self.stages = nn.ModuleList([nn.Sequential(Blur(before), Residual(before, after)) for before, after in pairs])
        self.dropout = nn.Dropout2d(dropout)
        self.d_image = stages[-1]
        self.pool = nn.Linear(2 * self.d_image, self.d_image)

    def forward(self, image: Tensor) -> ImageFeatures:
        return self.read(self.encode(image))

    def encode(self, image: Tensor) -> Tensor:
        """The last feature map [b, d_image, y, x]."""
        if min(image.shape[-2:]) < SMALLEST * self.stride:
            least = SMALLEST * self.stride
            raise SettingsError(f"the backbone cnn needs cutouts of at least {least} px here, got {list(image.shape)}")
        x = self.norm(image)
        if self.asymmetry:
            x = torch.cat((x, x - x.flip(-1, -2)), dim=1)
        x = x.contiguous(memory_format=self.memory_format)
        x = torch.relu(self.stem_norm(self.stem(x)))
        for stage in self.stages:
            x = stage(x)
        return self.dropout(x)

    def read(self, x: Tensor) -> ImageFeatures:
        """Features of a feature map."""
        tokens, grid = self.tokens_of(x)
        # a merger shows in its brightest feature as well as in the mean
        pooled = torch.relu(self.pool(torch.cat((x.mean((2, 3)), x.amax((2, 3))), dim=1)))
        return ImageFeatures(tokens, pooled, grid)

    def tokens_of(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """(tokens [b, n, d_image], grid) of a feature map."""
        return x.flatten(2).transpose(1, 2), tuple(x.shape[2:])

    def token_grid(self, image_size: int) -> tuple[int, int]:
        """Grid of the image tokens for square cutouts of `image_size` pixels."""
        side = -(-image_size // self.stride)
        for _ in self.stages:
            side = (side + 1) // 2
        return side, side

    def depth_of(self, name: str) -> tuple[int, int]:
        """(layer of the parameter `name`, number of layers), the stem being layer 0: for layer-wise rates."""
        part = name.split(".")
        n_stages = len(self.stages)
        if part[0] == "stages":
            return 1 + int(part[1]), n_stages + 2
        return (n_stages + 1 if part[0] == "pool" else 0), n_stages + 2
