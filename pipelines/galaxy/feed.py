"""Batches of a catalog for a model: images from memory or a memory map, table rows prepared once; no work per object in Python.

Axes: n object, m of them, b band, y x pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .augment import view
from .catalog import Catalog, ImageSource
from .pixels import Pixels
from .tabular.batch import TableBatch
from .tabular.preprocess import Preprocessor

IN_MEMORY = 2 * 2**30  # bytes of images that are kept as a tensor


@dataclass(frozen=True)
class Sample:
    """A batch: image [m, b, y, x] in the images' own unit or None, table rows or None, which have an image, a row (None: all)."""

    image: Tensor | None
    table: TableBatch | None
    image_present: Tensor | None = None
    table_present: Tensor | None = None


class Feed:
    """Objects of a catalog on a device, as one model needs them.

    `pixels` or `preprocessor` None leaves that modality out; feeds of one catalog that are given the same `share` hold its images once.
    """

    def __init__(
        self,
        catalog: Catalog,
        pixels: Pixels | None,
        preprocessor: Preprocessor | None,
        device: torch.device | str = "cpu",
        share: dict | None = None,
    ):
        self.device, self.pixels = torch.device(device), pixels
        self.n = len(catalog)
        self.source = catalog.images if pixels is not None else None
        self.table = None if preprocessor is None else preprocessor.transform(catalog.table).to(self.device)
        self.present = self.told = None
        if self.table is not None and pixels is not None:
            # a row without any value says nothing beside an image; a model of the table alone has nothing else
            told = ~(self.table.missing.all(1) & (self.table.categorical == 0).all(1))
            self.told = None if told.all() else told
        self._held: Tensor | None = None
        if self.source is not None:
            present = np.asarray(self.source.present, bool)
            self.present = None if present.all() else torch.from_numpy(present).to(self.device)
            if 4 * self.n * int(np.prod(self.source.shape)) <= IN_MEMORY:
                self._held = _held(self.source, self.device, {} if share is None else share)

    def __len__(self) -> int:
        return self.n

    def sample(self, index: Tensor, with_images: bool = True) -> Sample:
        """The objects at `index` int64 [m]."""
        image = None
        if self._held is not None and with_images:
            image = self._held[index.to(self.device)]
        elif self.source is not None and with_images:
            image = torch.from_numpy(self.source.read(index.cpu().numpy())).to(self.device)
        index = index.to(self.device)
        table = None if self.table is None else self.table.rows(index)
        present = None if self.present is None or image is None else self.present[index]
        return Sample(image, table, present, None if self.told is None else self.told[index])

    def ready(self, sample: Sample, kind: int = 0) -> Sample:
        """The same with the image prepared for the network, seen in one of its eight views."""
        if sample.image is None:
            return sample
        return replace(sample, image=self.pixels(view(sample.image, kind)))


def _held(source: ImageSource, device: torch.device, share: dict) -> Tensor:
    key = (id(source), str(device))
    if key not in share:
        share[key] = torch.from_numpy(source.read(np.arange(len(source)))).to(device)
    return share[key]
