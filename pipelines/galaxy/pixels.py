"""Pixels as a network sees them: fluxes compressed by asinh, pictures as they are; fitted to the training images.

    p = asinh(x / s) / asinh(m / s)         (Lupton et al. 1999, doi:10.1086/301004)

per band, s the noise of the sky (1.4826 times the median absolute deviation on the border of the cutouts), m the brightness of the
peaks: noise stays linear, a galaxy ends near 1. What is not finite counts as sky.

Axes: n object, b band, y x pixels.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciml.pipelines.errors import DataError

from .catalog import ImageSource

_LOOKED_AT = 512  # images the fit looks at
_MAD = 1.4826  # of a normal distribution to its standard deviation


@dataclass(frozen=True)
class Pixels:
    """noise: of the sky per band, in the images' unit; peak: per band, 0 where nothing is compressed; mean, std: of the result."""

    bands: tuple[str, ...]
    noise: tuple[float, ...]
    peak: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def compressed(self) -> bool:
        """Whether asinh is applied."""
        return any(self.peak)

    def __call__(self, images: Tensor) -> Tensor:
        """[n, b, y, x] float32 -> the same shape."""
        images = torch.nan_to_num(images, nan=0.0, posinf=0.0, neginf=0.0)
        if not self.compressed:
            return images
        per_band = lambda values: images.new_tensor(values)[:, None, None]  # noqa: E731
        noise, peak = per_band(self.noise), per_band(self.peak)
        return torch.asinh(images / noise) / torch.asinh(peak / noise)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {name: list(value) for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Pixels:
        """The inverse of `to_json`; DataError if something is absent."""
        try:
            return cls(**{name: tuple(plain[name]) for name in cls.__dataclass_fields__})
        except (KeyError, TypeError) as error:
            raise DataError(f"this does not describe how pixels are prepared: {error}") from None


def fit(source: ImageSource, indices: np.ndarray, stretch: str = "auto") -> Pixels:
    """From the training images at `indices`; stretch "auto" compresses fluxes and leaves pictures (grey levels) alone."""
    chosen = np.asarray(indices)[source.present[np.asarray(indices)]]
    if not len(chosen):
        raise DataError("no training object has an image")
    chosen = chosen[:: max(1, len(chosen) // _LOOKED_AT)][:_LOOKED_AT]
    images = np.nan_to_num(source.read(chosen), nan=0.0, posinf=0.0, neginf=0.0)
    asinh = stretch == "asinh" or (stretch == "auto" and not getattr(source, "levels", 0))
    noise = _sky_noise(images)
    peak = np.zeros(images.shape[1])
    if asinh:
        peak = np.maximum(np.median(np.quantile(images, 0.999, axis=(2, 3)), axis=0), 10.0 * noise)
    plain = Pixels(source.bands, _floats(noise), _floats(peak), (0.0,) * len(noise), (1.0,) * len(noise))
    seen = plain(torch.from_numpy(images)).double()
    mean, std = seen.mean((0, 2, 3)), seen.std((0, 2, 3))
    std = torch.where(std > 1e-8, std, torch.ones_like(std))  # a band without any contrast
    return Pixels(source.bands, plain.noise, plain.peak, _floats(mean), _floats(std))


def _sky_noise(images: np.ndarray) -> np.ndarray:
    """Noise per band [b]: the median over the images, of the pixels on their borders."""
    edge = max(1, min(images.shape[2:]) // 12)
    border = np.ones(images.shape[2:], bool)
    border[edge:-edge, edge:-edge] = False
    pixels = images[:, :, border]
    spread = _MAD * np.median(np.abs(pixels - np.median(pixels, axis=2, keepdims=True)), axis=2)
    noise = np.median(spread, axis=0)
    fallback = images.std(axis=(0, 2, 3)) / 30.0  # borders without noise: simulated or masked
    return np.where(noise > 0, noise, np.where(fallback > 0, fallback, 1.0))


def _floats(values) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
