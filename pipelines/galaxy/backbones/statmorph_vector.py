"""Morphology measurements as the image encoder: each measurement of a cutout is a token.

The measurements (concentration, asymmetry, Gini, M20, ...) have no gradient and are cached by the content of the
cutout, so that epochs after the first are free unless an augmentation changes the pixels. A measurement that failed is
a learned token of its own.

Axes: b batch, n measurement, d width, y x pixels.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.tabular.batch import TableBatch
from sciml.pipelines.galaxy.tabular.embeddings import ColumnTokenizer

from .layout import ImageFeatures

# images [n, y, x] -> measurements [n, column], NaN where one failed
Measure = Callable[[np.ndarray], np.ndarray]
_REMEMBERED = 200_000  # cutouts; about 150 bytes each
_FAR = 8.0  # standard deviations: a measurement further out is a failure that was not flagged


class Memory(OrderedDict):
    """Measurements by the hash of a cutout; a copy of the module (an average of its weights) shares them."""

    def __deepcopy__(self, memo: dict) -> Memory:
        return self


class StatmorphVector(nn.Module):
    """image [b, band, y, x] -> ImageFeatures with one token per measurement and band.

    Args:
        measure: the measurements of one band; must return len(columns) numbers per cutout.
        columns: their names.
        n_bands: number of bands, each measured on its own.
        d_image: width of the tokens.
        center, spread: [n_bands * len(columns)], statistics of the training split; see `fit`.
    """

    def __init__(
        self,
        measure: Measure,
        columns: Sequence[str],
        n_bands: int,
        *,
        d_image: int = 64,
        center: Sequence[float] | None = None,
        spread: Sequence[float] | None = None,
    ):
        super().__init__()
        self.measure, self.columns, self.n_bands, self.d_image = measure, tuple(columns), n_bands, d_image
        size = n_bands * len(self.columns)
        self.register_buffer("center", torch.zeros(size) if center is None else torch.tensor(center).float())
        self.register_buffer("spread", torch.ones(size) if spread is None else torch.tensor(spread).float())
        self.tokenizer = ColumnTokenizer(size, (), d_image)
        self.pool = nn.Sequential(nn.Linear(2 * size, 2 * d_image), nn.ReLU(), nn.Linear(2 * d_image, d_image))
        self._known = Memory()

    def forward(self, image: Tensor) -> ImageFeatures:
        return self.encode(self.measured(image).to(image.device))

    def encode(self, values: Tensor) -> ImageFeatures:
        """Features of measurements [b, n_bands * columns] made elsewhere, NaN where one failed."""
        z = ((values - self.center) / self.spread).to(self.center.dtype)
        missing = ~(z.abs() <= _FAR)
        z = torch.where(missing, 0.0, z)
        tokens = self.tokenizer(TableBatch(z, missing, missing.new_zeros(len(z), 0, dtype=torch.int64)))
        pooled = self.pool(torch.cat((z, missing.to(z.dtype)), dim=1))
        return ImageFeatures(tokens, pooled, None)

    def measured(self, image: Tensor) -> Tensor:
        """Measurements [b, n_bands * columns] float32 of the cutouts, on the CPU."""
        if image.ndim != 4 or image.shape[1] != self.n_bands:
            raise SettingsError(
                f"the encoder was built for images [b, {self.n_bands} bands, y, x], got {list(image.shape)}"
            )
        pixels = image.detach().float().cpu().numpy()
        keys = [hashlib.blake2b(np.ascontiguousarray(one), digest_size=16).digest() for one in pixels]
        new = {key: index for index, key in enumerate(keys) if key not in self._known}
        if new:
            chosen = pixels[list(new.values())]
            bands = [np.asarray(self.measure(np.ascontiguousarray(chosen[:, band]))) for band in range(self.n_bands)]
            for key, row in zip(new, np.concatenate(bands, axis=1).astype(np.float32), strict=True):
                self._known[key] = row
        rows = torch.from_numpy(np.stack([self._known[key] for key in keys]))
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return rows

    @torch.no_grad()
    def fit(self, image: Tensor) -> StatmorphVector:
        """Set center and spread from the cutouts of the training split [n, band, y, x]; returns itself."""
        values = self.measured(image).double().numpy()
        for place, column in enumerate(values.T):
            known = column[np.isfinite(column)]
            if len(known):
                low, center, high = np.quantile(known, (0.16, 0.5, 0.84))
                self.center[place] = center
                self.spread[place] = (high - low) / 2.0 if high > low else 1.0
        return self

    def token_grid(self, image_size: int) -> None:
        """Measurements lie on no grid."""
        return None

    def depth_of(self, name: str) -> tuple[int, int]:
        """(layer of the parameter, number of layers): there is one."""
        return 0, 1
