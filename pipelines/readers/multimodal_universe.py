"""MultimodalUniverse and other HDF5 files that hold images, spectra and columns of many objects side by side.

Axes: n objects, [band, y, x]. MultimodalUniverse (Angeloudi et al. 2024, arXiv:2412.02527): folders healpix=NNN with
HDF5 files whose datasets are object_id, ra, dec, image_array or image_flux [n, band, y, x], image_band [n, band],
image_ivar, image_mask, image_psf_fwhm, image_scale, spectrum_flux, spectrum_lambda, spectrum_ivar [n, pixel], Z, VDISP
and further columns. Galaxy10 DECaLS (Leung & Bovy; Walmsley et al. 2022): images uint8 [n, y, x, 3], ans, ra, dec,
redshift, pxscale; ans 0 = disturbed, 1 = merging.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from sciml.pipelines.errors import DataError

from . import files, fits, images
from .catalogs import decoded
from .hdf5 import LazyFile, open_hdf5

IMAGE_NAMES = ("image_array", "image_flux", "image/array", "image/flux", "images", "image", "rgb_image", "cutouts")
_ID_NAMES = ("object_id", "objid", "id", "ids", "iauname", "targetid")
GALAXY10_CLASSES = (
    "disturbed", "merging", "round smooth", "in-between round smooth", "cigar shaped smooth", "barred spiral",
    "unbarred tight spiral", "unbarred loose spiral", "edge-on without bulge", "edge-on with bulge",
)  # fmt: skip


@dataclass(frozen=True)
class _Piece:
    """Rows first..first + count of the whole lie in this dataset."""

    file: LazyFile
    dataset: str
    first: int
    count: int


class Hdf5Images:
    """Images of one or several HDF5 files, read when asked for; pickles into worker processes."""

    def __init__(
        self, pieces: list[_Piece], shape: tuple[int, int, int], bands: tuple[str, ...], levels: int, last: bool
    ):
        self._pieces, self.shape, self.bands, self.levels, self._last = pieces, shape, bands, levels, last
        self.present = np.ones(sum(piece.count for piece in pieces), bool)

    def __len__(self) -> int:
        return len(self.present)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """float32 [m, band, y, x]; pixels that are NaN or infinite take the median of their band."""
        indices = np.atleast_1d(np.asarray(indices))
        out = np.empty((len(indices), *self.shape), np.float32)
        for piece in self._pieces:
            here = np.flatnonzero((indices >= piece.first) & (indices < piece.first + piece.count))
            if not len(here):
                continue
            rows, back = np.unique(indices[here] - piece.first, return_inverse=True)  # h5py wants ascending rows
            values = piece.file.read(piece.dataset, rows)[back]
            if self._last:
                values = np.moveaxis(values, -1, 1)
            values = values.reshape(len(here), *self.shape)
            out[here] = [images.fill_missing(image)[0] for image in images.scaled(values, self.levels)]
        return out


def is_collection(path: str | Path) -> bool:
    """True for an HDF5 file with images of many objects, or a folder of healpix=... files."""
    path = Path(path)
    if path.is_dir():
        return any(path.glob("**/healpix=*/*.h*5"))
    try:
        with h5py.File(path, "r") as file:
            return _image_name(file) is not None
    except files.ENGINE_ERRORS:
        return False


def read_collection(path: str | Path) -> tuple[pd.DataFrame, Hdf5Images | None]:
    """Columns of all objects, indexed by object id (text), and their images or None.

    Objects without an id are called by file and row. Vectors of up to 16 elements become columns NAME_0, NAME_1, ...

    Raises:
        DataError: no file, no objects, or files whose images differ in shape.
    """
    path = Path(path)
    paths = sorted(path.glob("**/healpix=*/*.h*5")) if path.is_dir() else [path]
    if not paths:
        raise DataError(f"{path} holds no healpix=*/*.hdf5 files", hint="name the folder above the healpix folders")
    frames, pieces, kinds, first = [], [], {}, 0
    for part in paths:
        with open_hdf5(part) as file:
            try:
                frame = _columns(file, part)
                name = _image_name(file)
                if name is not None:
                    kinds[part] = (_layout(file[name], part), _bands(file, name))
                    pieces.append(_Piece(LazyFile(part), name, first, len(frame)))
            except files.ENGINE_ERRORS as error:
                raise files.damaged(part, error) from error
        frames.append(frame)
        first += len(frame)
    frame = pd.concat(frames)
    if not len(frame):
        raise DataError(f"{path} holds no objects")
    return frame, _source(pieces, kinds, len(paths))


def _source(pieces: list[_Piece], kinds: dict, n_files: int) -> Hdf5Images | None:
    if not pieces:
        return None
    if len(pieces) < n_files:
        raise DataError(
            f"{n_files - len(pieces)} of {n_files} files have no images", hint="read the surveys one by one"
        )
    (shape, levels, last), bands = next(iter(kinds.values()))
    for part, (layout, other) in kinds.items():
        if layout != (shape, levels, last) or other != bands:
            raise DataError(
                f"{part}: images {layout[0]} in bands {other or '?'} unlike {shape} in {bands or '?'} of the first file"
            )
    return Hdf5Images(pieces, shape, bands or images.default_bands(shape[0], levels), levels, last)


def _image_name(file: h5py.File) -> str | None:
    return next((n for n in IMAGE_NAMES if isinstance(file.get(n), h5py.Dataset) and file[n].ndim in (3, 4)), None)


def _layout(item: h5py.Dataset, part: Path) -> tuple[tuple[int, int, int], int, bool]:
    """Shape [band, y, x], grey levels, and whether the bands are the last axis."""
    levels = {"uint8": 255, "uint16": 65535}.get(str(item.dtype), 0)
    if item.dtype.kind not in "iuf":
        raise DataError(f"{part}: {item.name} holds {item.dtype}, not pixels")
    inner = item.shape[1:]
    if len(inner) == 2:
        inner = (1, *inner)
        last = False
    else:
        last = inner[2] < inner[0] and inner[2] < inner[1]
        inner = (inner[2], inner[0], inner[1]) if last else inner
    images.check_size(part, *inner[1:])
    return tuple(int(n) for n in inner), levels, last


def _bands(file: h5py.File, name: str) -> tuple[str, ...] | None:
    """Names of the bands, from the dataset image_band of the first object."""
    for key in ("image_band", "image/band"):
        item = file.get(key)
        if isinstance(item, h5py.Dataset) and item.ndim == 2 and item.shape[0]:
            return tuple(str(band) for band in decoded(np.asarray(item[0])))
    return None


def _columns(file: h5py.File, part: Path) -> pd.DataFrame:
    """Datasets with one cell, or a short vector, per object."""
    n = _count(file, part)
    found: dict[str, np.ndarray] = {}

    def visit(name: str, item) -> None:
        if not isinstance(item, h5py.Dataset) or not item.shape or item.shape[0] != n or item.ndim > 2:
            return
        if name.startswith(("image", "spectrum", "lightcurve")):
            return
        if item.ndim == 2 and (item.shape[1] > 16 or item.dtype.kind not in "iuf"):
            return
        cells = item[()]
        cells = decoded(cells) if cells.dtype.kind in "SO" else fits.native(cells)
        found.update({name: cells} if cells.ndim == 1 else {f"{name}_{i}": cells[:, i] for i in range(cells.shape[1])})

    file.visititems(visit)
    folded = {name.casefold(): name for name in found}
    key = next((folded[n] for n in _ID_NAMES if n in folded), None)
    ids = found.pop(key) if key else [f"{part.stem}-{row}" for row in range(n)]
    return pd.DataFrame(found, index=pd.Index([str(value).strip() for value in ids], name="object_id"))


def _count(file: h5py.File, part: Path) -> int:
    for name in (*_ID_NAMES, "ra", _image_name(file) or ""):
        if name and isinstance(file.get(name), h5py.Dataset) and file[name].shape:
            return int(file[name].shape[0])
    raise DataError(f"{part} holds neither object_id nor images")


def read_spectra(path: str | Path, objects: list[str] | None = None) -> dict[str, dict[str, np.ndarray]]:
    """Spectra by object id: wavelength [A], flux, ivar, each [pixel]; pixels with a wavelength of -1 or 0 are padding.

    Args:
        objects: ids to read; None reads all.

    Raises:
        DataError: the file holds no spectra.
    """
    path = Path(path)
    with open_hdf5(path) as file:
        try:
            prefix = next((p for p in ("spectrum_", "spectrum/") if f"{p}flux" in file and f"{p}lambda" in file), None)
            if prefix is None:
                raise DataError(f"{path} holds no spectra (spectrum_flux and spectrum_lambda)")
            ids = list(_columns(file, path).index)
            rows = [i for i, name in enumerate(ids) if objects is None or name in set(objects)]
            arrays = {k: file[f"{prefix}{k}"] for k in ("lambda", "flux", "ivar") if f"{prefix}{k}" in file}
            found = {}
            for row in rows:
                wavelength = np.asarray(arrays["lambda"][row], float)
                good = wavelength > 0
                found[ids[row]] = {"wavelength": wavelength[good]} | {
                    k: np.asarray(item[row], float)[good] for k, item in arrays.items() if k != "lambda"
                }
            return found
        except files.ENGINE_ERRORS as error:
            raise files.damaged(path, error) from error
