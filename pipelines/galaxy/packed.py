"""The packed form: images, table, labels and groups of a catalog in one HDF5 file that trains fast.

Layout: `images` [n, band, y, x] contiguous and uncompressed, so that a batch is read through a memory map without HDF5;
`ids`, `labels`, `groups`, `present`; `table/<column>`, `nuisance/<column>`, `withheld/<column>` (numbers, or text with
the attribute `categories`); `facts/<column>`, `thumbnails`, `digests`. Attributes of the root: format, version, bands,
classes, levels (images are divided by it; 0: physical units), reading (JSON: how its files were read, so that a model trained
on it reads others alike).
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from sciml.pipelines.errors import DataError
from sciml.pipelines.progress import Progress
from sciml.pipelines.readers import files
from sciml.pipelines.readers.hdf5 import open_hdf5

from .catalog import Catalog

FORMAT, VERSION = "sciml-galaxy", 1
_BLOCK_BYTES = 32 * 2**20  # images written at a time
_FRAMES = ("table", "nuisance", "withheld")


class PackedImages:
    """Images of a packed file through a memory map; pickles into worker processes, which open their own map."""

    def __init__(self, path: Path, offset: int, dtype: np.dtype, shape: tuple[int, ...], bands, present, levels: int):
        self.path, self.offset, self.dtype, self.full_shape = Path(path), offset, np.dtype(dtype), shape
        self.bands, self.shape, self.present, self.levels = tuple(bands), tuple(shape[1:]), present, levels
        self._map: np.memmap | None = None

    def __len__(self) -> int:
        return self.full_shape[0]

    def read_levels(self, indices: np.ndarray) -> np.ndarray:
        """As stored, [m, band, y, x]; divide by `levels` where it is not 0."""
        if self._map is None:
            try:
                self._map = np.memmap(self.path, self.dtype, "r", self.offset, self.full_shape)
            except (OSError, ValueError) as error:
                raise DataError(f"{self.path} can no longer be read: {error}") from error
        return self._map[np.atleast_1d(np.asarray(indices))]

    def read(self, indices: np.ndarray) -> np.ndarray:
        """float32 [m, band, y, x]."""
        images = self.read_levels(indices).astype(np.float32)
        return np.divide(images, np.float32(self.levels), out=images) if self.levels else images

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_map": None}


def is_packed(path: str | Path | None) -> bool:
    """True for a file that `write` made; False for a folder, and where nothing was given."""
    if path is None or not Path(path).is_file():
        return False
    try:
        with h5py.File(path, "r") as file:
            return _text(file.attrs.get("format", "")) == FORMAT
    except files.ENGINE_ERRORS:
        return False


def reading(path: str | Path) -> dict:
    """How the files in a packed file were read: settings by name, as plain values; empty where it does not say."""
    with open_hdf5(path) as file:
        return json.loads(_text(file.attrs.get("reading", "{}")))


def write(
    path: str | Path,
    catalog: Catalog,
    *,
    store: str = "auto",
    overwrite: bool = False,
    progress: Progress | None = None,
    reading: dict | None = None,
) -> Path:
    """Write a catalog; the file appears under its name only when it is whole.

    Args:
        store: pixel type: uint8, uint16, float16, float32; "auto" keeps pictures at their grey levels and writes
            float32 otherwise.
        reading: how its files were read, as plain values; see `reading`.

    Raises:
        DataError: the file exists and `overwrite` is False, or it cannot be written.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise DataError(f"{path} exists already", hint="choose another name, or add --overwrite")
    waiting = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(waiting, "w", libver="latest") as file:
            _write_columns(file, catalog)
            file.attrs["reading"] = json.dumps(reading or {})
            if catalog.images is not None:
                _write_images(file, catalog, store, progress or Progress())
        os.replace(waiting, path)
    except OSError as error:
        raise DataError(
            f"{path} cannot be written: {error.strerror or error}", hint="choose a writable folder with space"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            waiting.unlink()
    return path


def _write_columns(file: h5py.File, catalog: Catalog) -> None:
    text = h5py.string_dtype()
    file.attrs.update({"format": FORMAT, "version": VERSION})
    file.attrs["classes"] = np.array(catalog.classes, dtype=object) if catalog.classes else np.array([], "S1")
    file.create_dataset("ids", data=catalog.ids.astype(object), dtype=text)
    if catalog.labels is not None:
        file["labels"] = catalog.labels
    for name in ("groups", "digests"):
        if getattr(catalog, name) is not None:
            file.create_dataset(name, data=np.asarray(getattr(catalog, name)).astype(str).astype(object), dtype=text)
    if catalog.thumbnails is not None:
        file["thumbnails"] = catalog.thumbnails
    frames = {name: getattr(catalog, name) for name in _FRAMES} | {"facts": catalog.image_facts}
    for group, frame in frames.items():
        if frame is not None:
            _write_frame(file.create_group(group, track_order=True), frame)


def _write_frame(group: h5py.Group, frame: pd.DataFrame) -> None:
    """Columns as numbered datasets: a survey's name may hold a slash, which HDF5 takes for a folder."""
    for number, name in enumerate(frame.columns):
        cells = frame[name]
        if isinstance(cells.dtype, pd.CategoricalDtype):
            item = group.create_dataset(f"{number:04d}", data=cells.cat.codes.to_numpy(np.int32))
            item.attrs["categories"] = np.array([str(value) for value in cells.cat.categories], dtype=object)
        elif cells.dtype.kind in "iufb":
            item = group.create_dataset(f"{number:04d}", data=cells.to_numpy())
        else:
            texts = cells.astype(object).where(cells.notna(), "").astype(str).to_numpy(object)
            item = group.create_dataset(f"{number:04d}", data=texts, dtype=h5py.string_dtype())
        item.attrs["name"] = str(name)


def _write_images(file: h5py.File, catalog: Catalog, store: str, progress: Progress) -> None:
    source = catalog.images
    levels = getattr(source, "levels", 0)
    if store == "auto":
        store = {255: "uint8", 65535: "uint16"}.get(levels, "float32")
    levels = {"uint8": 255, "uint16": 65535}.get(store, 0)
    shape = (len(catalog), *source.shape)
    space = h5py.h5s.create_simple(shape)
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_layout(h5py.h5d.CONTIGUOUS)
    made.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)  # the offset in the file must exist, even for no images
    item = h5py.Dataset(h5py.h5d.create(file.id, b"images", h5py.h5t.py_create(np.dtype(store)), space, made))
    file.attrs["bands"] = np.array(source.bands, dtype=object)
    file.attrs["levels"] = levels
    file["present"] = source.present
    block = max(1, int(_BLOCK_BYTES / max(1, 4 * np.prod(source.shape))))
    with progress.task("pack", len(catalog), "images") as task:
        for start in range(0, len(catalog), block):
            rows = np.arange(start, min(start + block, len(catalog)))
            item[rows[0] : rows[-1] + 1] = _stored(source.read(rows), store, levels)
            task.advance(len(rows))


def _stored(images: np.ndarray, store: str, levels: int) -> np.ndarray:
    if levels:
        if images.size and (images.min() < -1e-6 or images.max() > 1 + 1e-6):
            raise DataError(
                f"pixels run from {images.min():g} to {images.max():g}; {store} holds pictures of 0..1",
                hint="use --store float32",
            )
        return np.round(images * levels).astype(store)
    if store == "float16" and images.size and np.abs(images).max() > 65504:
        raise DataError(f"pixels reach {np.abs(images).max():g}, float16 ends at 65504", hint="use --store float32")
    return images.astype(store)


def open_packed(path: str | Path) -> Catalog:
    """The catalog in a packed file; images stay on disk.

    Raises:
        DataError: missing, damaged, another format, or written by a newer version.
    """
    path = Path(path)
    with open_hdf5(path) as file:
        try:
            return _read(file, path.absolute())
        except files.ENGINE_ERRORS as error:
            raise files.damaged(path, error) from error


def _read(file: h5py.File, path: Path) -> Catalog:
    if _text(file.attrs.get("format", "")) != FORMAT:
        raise DataError(f"{path} is not a packed catalog", hint="make one with: sciml galaxy data --pack FILE")
    if int(file.attrs["version"]) > VERSION:
        raise DataError(
            f"{path} has version {file.attrs['version']}, this sciml reads up to {VERSION}", hint="update sciml"
        )
    facts = _frame(file["facts"]) if "facts" in file else None
    return Catalog(
        ids=_texts(file["ids"]),
        classes=tuple(_text(name) for name in file.attrs["classes"]),
        labels=file["labels"][()] if "labels" in file else None,
        groups=_texts(file["groups"]) if "groups" in file else None,
        digests=_texts(file["digests"]) if "digests" in file else None,
        thumbnails=file["thumbnails"][()] if "thumbnails" in file else None,
        image_facts=facts,
        images=_images(file, path) if "images" in file else None,
        **{name: _frame(file[name]) for name in _FRAMES},
    )


def _images(file: h5py.File, path: Path) -> PackedImages:
    item = file["images"]
    offset = item.id.get_offset()
    size = int(np.prod(item.shape)) * item.dtype.itemsize
    if item.shape[0] and (offset is None or offset + size > path.stat().st_size):
        raise DataError(f"{path} is truncated: its images end beyond the end of the file", hint="pack it again")
    bands = [_text(name) for name in file.attrs["bands"]]
    return PackedImages(
        path, offset or 0, item.dtype, item.shape, bands, file["present"][()], int(file.attrs["levels"])
    )


def _frame(group: h5py.Group) -> pd.DataFrame:
    columns = {}
    for number in sorted(group):
        item = group[number]
        name = _text(item.attrs["name"])
        if "categories" in item.attrs:
            names = [_text(value) for value in item.attrs["categories"]]
            columns[name] = pd.Categorical.from_codes(item[()], names)
        else:
            columns[name] = _texts(item) if h5py.check_string_dtype(item.dtype) else item[()]
    return pd.DataFrame(columns)


def _texts(item: h5py.Dataset) -> np.ndarray:
    return np.array([_text(value) for value in item[()]], dtype=object).astype(str)


def _text(value: object) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
