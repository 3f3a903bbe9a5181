"""Whatever the user names, told by its contents: which reader takes it, and what comes out in one form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from sciml.pipelines.errors import DataError
from sciml.pipelines.readers import (
    catalogs,
    cutouts,
    files,
    fits,
    illustris,
    images,
    manga,
    multimodal_universe,
    sdss,
    skirt,
)
from sciml.pipelines.readers.hdf5 import open_hdf5
from sciml.pipelines.readers.images import Cutout
from sciml.pipelines.readers.skipped import Skipped

from .catalog import ArrayImages, ImageSource
from .packed import is_packed, open_packed


@dataclass(frozen=True, eq=False)
class Table:
    """A table with its identifier as an ordinary column; what the reader changed and left out."""

    frame: pd.DataFrame
    notes: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    kind: str = "catalog"


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images before they are joined: unique names, the object each shows, and cutouts or a source in the same order."""

    names: np.ndarray
    objects: np.ndarray
    cutouts: tuple[Cutout, ...] | None = None
    source: ImageSource | None = None
    bands: tuple[str, ...] = ()
    frame: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = field(default_factory=tuple)
    by_row: bool = False  # the images have no names: image i belongs to row i of the first table
    snapshots: range | None = None  # of a simulation, where images exist for some of them only


# --- tables


def open_table(path: str | Path) -> Table:
    """A catalog of any kind: CSV, FITS, HDF5, DAPall, SDSS spectra, MaNGA maps, TNG group catalogue or merger history.

    Raises:
        DataError: nothing readable there.
    """
    path = Path(path)
    if path.is_dir():
        return _table_folder(path)
    if path.name.startswith("spec") and fits.is_fits(path):
        return Table(pd.DataFrame([sdss.features(sdss.read_spectrum(path))]), kind="SDSS spectrum")
    if fits.is_fits(path) and _is_dapall(path):
        return _indexed(manga.read_dapall(path), "MaNGA DAPall")
    if files.kind_of(path) == "hdf5":
        if is_packed(path):
            raise DataError(f"{path} is a packed catalog, not a table", hint=f"give it as --images {path}")
        with open_hdf5(path) as file:
            names = set(file)
            inner = {name for group in file.values() if isinstance(group, h5py.Group) for name in group}
        if "Subhalo" in names:
            return _indexed(illustris.read_subhalos(path)[0], "TNG group catalogue")
        if "SnapNumLastMajorMerger" in names | inner:
            frame = illustris.merger_history(path)
            return _indexed(frame[frame["label"] != ""], "TNG merger history", frame.attrs["sciml_notes"])
        if multimodal_universe.is_collection(path):
            return _indexed(multimodal_universe.read_collection(path)[0], "collection")
    frame = catalogs.read_catalog(path)
    return Table(frame, tuple(frame.attrs["sciml_notes"]))


def _table_folder(path: Path) -> Table:
    if any(path.rglob("spec*.fits*")):
        frame, skipped = sdss.read_spectra(path)
        return Table(frame.reset_index(), skipped=(skipped,), kind="SDSS spectra")
    if any(path.rglob("manga-*-MAPS-*.fits*")):
        frame, skipped = manga.read_maps_folder(path)
        return Table(frame.reset_index(), skipped=(skipped,), kind="MaNGA maps")
    if multimodal_universe.is_collection(path):
        return _indexed(multimodal_universe.read_collection(path)[0], "collection")
    if any(path.glob("fof_subhalo_tab_*.hdf5")):
        return _indexed(illustris.read_subhalos(path)[0], "TNG group catalogue")
    names = sorted(p.name for p in path.iterdir())[:8]
    raise DataError(
        f"{path} is a folder without spectra, maps or group catalogues; it holds {', '.join(names) or 'nothing'}",
        hint="--table takes a file, or a folder of spec-*.fits, manga-*-MAPS-*.fits.gz or fof_subhalo_tab_*.hdf5",
    )


def _indexed(frame: pd.DataFrame, kind: str, notes: Sequence[str] = ()) -> Table:
    notes = (*notes, *frame.attrs.get("sciml_notes", [])) if not notes else tuple(notes)
    name = str(frame.index.name)
    frame = frame.drop(columns=[c for c in frame.columns if c.casefold() == name.casefold()])
    return Table(frame.reset_index(), notes, kind=kind)


def _is_dapall(path: Path) -> bool:
    with fits.open_fits(path) as hdus:
        header = hdus[0].header
        return any(name.startswith(("ELG0", "ELS0")) for name in header) and bool(fits.table_extensions(hdus))


# --- images


def open_images(path: str | Path, pattern: str | None = None, bands: tuple[str, ...] = ()) -> ImageSet:
    """A folder of cutouts, HSC mocks or healpix files, an HDF5 collection, or an .npy stack [n, band, y, x].

    Raises:
        DataError: no images there.
    """
    path = Path(path)
    if path.is_dir():
        return _image_folder(path, pattern, bands)
    files.require_file(path)
    if fits.is_fits(path):
        return _extensions(path)
    if files.kind_of(path) == "hdf5":
        open_hdf5(path).close()  # a damaged file is named as such
        if is_packed(path):
            packed = open_packed(path)
            if packed.images is None:
                raise DataError(f"{path} holds no images, only columns", hint="pack it again with --images")
            return ImageSet(packed.ids, packed.ids, source=packed.images, bands=packed.images.bands)
        if not multimodal_universe.is_collection(path):
            raise DataError(
                f"{path} holds no images",
                hint=f"images of many objects are looked for in {', '.join(multimodal_universe.IMAGE_NAMES[:5])}",
            )
        return _collection(path)
    if files.kind_of(path) == "numpy":
        return _stack(path)
    raise DataError(
        f"{path} is no source of images", hint="--images takes a folder, a packed file, an HDF5 file or an .npy stack"
    )


def _image_folder(path: Path, pattern: str | None, bands: tuple[str, ...]) -> ImageSet:
    if pattern is None and multimodal_universe.is_collection(path):
        return _collection(path)
    if pattern is None and next(path.rglob("shalo_*HSC*.fits*"), None) is not None:
        return _hsc(path)
    found, names, skipped = cutouts.find(path, pattern=pattern, bands=bands)
    extensions = _named_extensions(next(iter(found.values())), bands) if not names else None
    if extensions:
        found, names = {name: Cutout(cutout.paths, extensions) for name, cutout in found.items()}, extensions
    ids = np.array(list(found), dtype=str)
    folders = [cutout.paths[0].parent.name for cutout in found.values()]
    frame = pd.DataFrame({"folder": folders}) if len(set(folders)) > 1 else None
    return ImageSet(ids, ids, tuple(found.values()), bands=names, frame=frame, skipped=(skipped,))


def _named_extensions(cutout: Cutout, bands: tuple[str, ...]) -> tuple[str, ...] | None:
    """The bands, if the first file is FITS and has extensions of these names."""
    if not bands or not fits.is_fits(cutout.paths[0]):
        return None
    with fits.open_fits(cutout.paths[0]) as hdus:
        there = {hdus[i].name.casefold() for i in fits.image_extensions(hdus)}
    return bands if {band.casefold() for band in bands} <= there else None


def _hsc(path: Path) -> ImageSet:
    """One image per galaxy and direction; the object is "snapshot-subhalo"."""
    found, skipped = skirt.find_hsc(path)
    rows = [(f"{name}_v{skirt.hsc_name(p)[2]}", name, p) for name, paths in found.items() for p in paths]
    if not rows:
        raise DataError(f"{path} holds no HSC mocks with snapshot and subhalo in their names")
    with fits.open_fits(rows[0][2]) as hdus:
        there = {hdu.name.upper() for hdu in hdus}
    bands = tuple(band for band in skirt.HSC_BANDS if f"SUBARU_HSC.{band}" in there)
    extensions = tuple(f"SUBARU_HSC.{band}" for band in bands)
    names, objects = (np.array([row[k] for row in rows], dtype=str) for k in (0, 1))
    cut = tuple(Cutout((row[2],), extensions) for row in rows)
    return ImageSet(
        names, objects, cut, bands=tuple(b.lower() for b in bands), skipped=(skipped,), snapshots=skirt.HSC_SNAPSHOTS
    )


def _extensions(path: Path) -> ImageSet:
    """Stamps in the extensions of one FITS file, named by their number."""
    with fits.open_fits(path) as hdus:
        numbers = fits.image_extensions(hdus)
    if not numbers:
        raise DataError(f"{path} holds no images")
    ids = np.array([str(number) for number in numbers])
    return ImageSet(ids, ids, tuple(Cutout((path,), number) for number in numbers))


def _collection(path: Path) -> ImageSet:
    frame, source = multimodal_universe.read_collection(path)
    if source is None:
        raise DataError(f"{path} holds no images, only columns", hint="give it as --table")
    ids = frame.index.to_numpy(str)
    repeated = pd.Index(ids).duplicated()
    if repeated.any():
        raise DataError(
            f"{path}: {int(repeated.sum())} object ids occur more than once, the first is {ids[repeated][0]}"
        )
    return ImageSet(ids, ids, source=source, bands=source.bands, frame=frame.reset_index())


def _stack(path: Path) -> ImageSet:
    """Rows of an array [n, band, y, x], [n, y, x] or [n, y, x, band], named by their number."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except files.ARRAY_ERRORS as error:
        raise files.damaged(path, error) from error
    if array.ndim not in (3, 4) or array.dtype.kind not in "iuf" or 0 in array.shape:
        raise DataError(f"{path} has shape {array.shape} of {array.dtype}; a stack of images is [n, band, y, x]")
    if array.ndim == 3:
        array = array[:, None]
    elif array.shape[3] < min(array.shape[1:3]):
        array = np.moveaxis(array, 3, 1)
    images.check_size(path, *array.shape[2:])
    levels = {"uint8": 255, "uint16": 65535}.get(str(array.dtype), 0)
    source = ArrayImages(array, images.default_bands(array.shape[1], levels), levels=levels)
    ids = np.arange(len(array)).astype(str)
    return ImageSet(ids, ids, source=source, bands=source.bands, by_row=True)
