"""The catalog: objects with a table, labels, groups, nuisance columns and images, in one order.

Axes: n objects, m of them, [band, y, x]. The table is what a model sees; labels, groups, nuisance and withheld columns
are not. Every operation keeps all parts in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from sciml.pipelines.errors import DataError, suggest


@runtime_checkable
class ImageSource(Protocol):
    """Images of n objects, read when asked for; `present` [n] is False where an object has none (then it is zero)."""

    bands: tuple[str, ...]
    shape: tuple[int, int, int]
    present: np.ndarray

    def __len__(self) -> int: ...

    def read(self, indices: np.ndarray) -> np.ndarray:
        """float32 [m, band, y, x]."""
        ...


class ArrayImages:
    """Images that are in memory: [n, band, y, x] of any number type; `levels` scales grey levels to 0..1."""

    def __init__(
        self,
        array: np.ndarray,
        bands: tuple[str, ...] | None = None,
        present: np.ndarray | None = None,
        levels: int = 0,
    ):
        if array.ndim != 4:
            raise DataError(f"images have shape {array.shape}; [n, band, y, x] is needed")
        self.array = array
        self.bands = tuple(bands) if bands is not None else tuple(f"band{i}" for i in range(array.shape[1]))
        if len(self.bands) != array.shape[1]:
            raise DataError(f"{len(self.bands)} band names for {array.shape[1]} bands")
        self.shape = tuple(array.shape[1:])
        self.present = np.ones(len(array), bool) if present is None else np.asarray(present, bool)
        self.levels = levels

    def __len__(self) -> int:
        return len(self.array)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """float32 [m, band, y, x]."""
        images = self.array[np.atleast_1d(np.asarray(indices))].astype(np.float32)
        return images / np.float32(self.levels) if self.levels else images


class Subset:
    """Some images of another source, in a new order."""

    def __init__(self, source: ImageSource, indices: np.ndarray):
        if isinstance(source, Subset):  # a chain of subsets would slow every read down
            source, indices = source.source, source.indices[indices]
        self.source = source
        self.indices = np.asarray(indices, np.int64)
        self.bands, self.shape = source.bands, source.shape
        self.present = source.present[self.indices]
        self.levels = getattr(source, "levels", 0)

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """float32 [m, band, y, x]."""
        return self.source.read(self.indices[np.atleast_1d(np.asarray(indices))])


class Middle:
    """The middle of the images of another source, `share` of each side."""

    def __init__(self, source: ImageSource, share: float):
        self.source, self.share = source, share
        n_band, *sides = source.shape
        self.bands, self.present = source.bands, source.present
        self.shape = (n_band, *(max(1, round(share * side)) for side in sides))
        self.levels = getattr(source, "levels", 0)

    def __len__(self) -> int:
        return len(self.source)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """float32 [m, band, y, x]."""
        images = self.source.read(indices)
        height, width = self.shape[1:]
        top, left = (images.shape[2] - height) // 2, (images.shape[3] - width) // 2
        return np.ascontiguousarray(images[:, :, top : top + height, left : left + width])


@dataclass(frozen=True, eq=False)
class Catalog:
    """Objects in one order.

    ids: text [n], unique. table: what a model sees; float64 with NaN, or pandas category. labels: int64 [n] into
    `classes`, or None. groups: text [n] of objects that must stay together, or None. nuisance: columns that must not
    predict the label and are never a model's input. withheld: columns kept out of the table because they bear the label,
    name a file, or say nothing; the audit looks at them. images: one image per object, or None. image_facts: what the
    image files are (bytes, size, sky level, ...), probed by the audit. thumbnails: uint8 [n, 32, 32] and digests, for the
    search for duplicates.
    """

    ids: np.ndarray
    table: pd.DataFrame
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    groups: np.ndarray | None = None
    nuisance: pd.DataFrame = field(default_factory=pd.DataFrame)
    images: ImageSource | None = None
    withheld: pd.DataFrame = field(default_factory=pd.DataFrame)
    image_facts: pd.DataFrame | None = None
    thumbnails: np.ndarray | None = None
    digests: np.ndarray | None = None

    def __post_init__(self):
        ids = np.asarray(self.ids).astype(str)
        object.__setattr__(self, "ids", ids)
        for name in ("table", "nuisance", "withheld"):
            frame = getattr(self, name)
            if len(frame.columns) and len(frame) != len(ids):
                raise DataError(f"{name} has {len(frame)} rows for {len(ids)} objects")
            frame = frame.set_axis(ids, axis=0) if len(frame.columns) else pd.DataFrame(index=ids)
            object.__setattr__(self, name, frame)
        for name in ("labels", "groups", "images", "image_facts", "thumbnails", "digests"):
            part = getattr(self, name)
            if part is not None and len(part) != len(ids):
                raise DataError(f"{name} has {len(part)} entries for {len(ids)} objects")
        self._check_ids(ids)
        self._check_labels()

    @staticmethod
    def _check_ids(ids: np.ndarray) -> None:
        unique, counts = np.unique(ids, return_counts=True)
        if len(unique) < len(ids):
            twice = unique[counts > 1]
            raise DataError(
                f"{len(twice)} ids occur more than once: {', '.join(twice[:3])}", hint="keep one row per object"
            )

    def _check_labels(self) -> None:
        if self.labels is None:
            return
        labels = np.asarray(self.labels)
        object.__setattr__(self, "labels", labels.astype(np.int64))
        if len(labels) and (labels.min() < 0 or labels.max() >= len(self.classes)):
            raise DataError(f"labels run from {labels.min()} to {labels.max()} with {len(self.classes)} classes")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def continuous(self) -> tuple[str, ...]:
        """Names of the numeric columns of the table."""
        return tuple(n for n in self.table.columns if not isinstance(self.table[n].dtype, pd.CategoricalDtype))

    @property
    def categorical(self) -> tuple[str, ...]:
        """Names of the columns of codes."""
        return tuple(n for n in self.table.columns if isinstance(self.table[n].dtype, pd.CategoricalDtype))

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Number of values of each categorical column."""
        return tuple(len(self.table[name].cat.categories) for name in self.categorical)

    def take(self, indices: np.ndarray) -> Catalog:
        """The objects at these positions, in this order."""
        indices = np.asarray(indices)
        if indices.dtype == bool:
            indices = np.flatnonzero(indices)
        parts: dict[str, Any] = {
            name: None if getattr(self, name) is None else getattr(self, name)[indices]
            for name in ("labels", "groups", "thumbnails", "digests")
        }
        frames = {name: getattr(self, name).iloc[indices] for name in ("table", "nuisance", "withheld")}
        facts = None if self.image_facts is None else self.image_facts.iloc[indices]
        images = None if self.images is None else Subset(self.images, indices)
        return replace(self, ids=self.ids[indices], images=images, image_facts=facts, **frames, **parts)

    def without(self, columns: list[str] | tuple[str, ...]) -> Catalog:
        """Move columns of the table to the withheld ones; DataError for a name that is not in the table."""
        for name in columns:
            if name not in self.table.columns:
                raise DataError(f'the table has no column "{name}"; {suggest(name, self.table.columns)}')
        moved = self.table[list(columns)]
        return replace(
            self, table=self.table.drop(columns=list(columns)), withheld=pd.concat([self.withheld, moved], axis=1)
        )

    def counts(self) -> dict[str, int]:
        """Objects per class."""
        if self.labels is None:
            return {}
        return {name: int((self.labels == i).sum()) for i, name in enumerate(self.classes)}

    def require_labels(self) -> np.ndarray:
        """The labels; DataError if there are none, or only one class has objects."""
        if self.labels is None:
            raise DataError("the catalog has no labels", hint="name the column of the class with --label")
        filled = [name for name, count in self.counts().items() if count]
        if len(filled) < 2:
            raise DataError(
                f'all {len(self)} objects have the label "{filled[0] if filled else ""}"',
                hint="a classifier needs at least two classes",
            )
        return self.labels
