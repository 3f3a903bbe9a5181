"""Arrays out of any HDF5 file by their path, with handles that survive data-loading worker processes.

Convention: paths are written without a leading "/" ("images/r"). A handle belongs to the process that opened it (HDF5
keeps global state), so it is opened on first use in each process and never pickled.
"""

import os
from pathlib import Path

import h5py
import numpy as np

from sciml.pipelines.errors import DataError, suggest

from . import files


def open_hdf5(path: str | Path) -> h5py.File:
    """Open an HDF5 file for reading; the caller closes it.

    Raises:
        DataError: missing, empty, truncated, or another format.
    """
    path = Path(path)
    kind = files.kind_of(path)
    if kind != "hdf5":
        found = {"netcdf3": "is NetCDF-3, not HDF5", "zarr": "is a Zarr folder, not HDF5"}.get(kind)
        raise DataError(f"{path} {found}", hint="give an HDF5 file") if found else files.refuse(path, kind)
    try:
        return h5py.File(path, "r")
    except files.ENGINE_ERRORS as error:
        raise files.damaged(path, error) from error


def datasets(file: h5py.File) -> dict[str, tuple[int, ...]]:
    """Path and shape of every array in the file, sorted by path."""
    found: dict[str, tuple[int, ...]] = {}

    def visit(name: str, item) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = tuple(item.shape or ())

    try:
        file.visititems(visit)
    except files.ENGINE_ERRORS as error:
        raise files.damaged(Path(file.filename), error) from error
    return dict(sorted(found.items()))


def read(path: str | Path, dataset: str, selection=()) -> np.ndarray:
    """Read one array, or a part of it.

    Args:
        path: HDF5 file.
        dataset: path of the array in the file.
        selection: index, slice, list of ascending indices, or a tuple of these; () reads all.

    Raises:
        DataError: no such array (with the nearest), a selection outside it, or a damaged chunk.
    """
    with open_hdf5(path) as file:
        return read_from(file, dataset, selection)


def read_from(file: h5py.File, dataset: str, selection=()) -> np.ndarray:
    """As `read`, from an open file; text comes back as str."""
    path, name = Path(file.filename), dataset.strip("/")
    try:
        item = file.get(name)
    except files.ENGINE_ERRORS as error:
        raise files.damaged(path, error) from error
    if not isinstance(item, h5py.Dataset):
        found = "is a group" if isinstance(item, h5py.Group) else "is not in the file"
        raise DataError(f"{path}: {dataset!r} {found}", hint=suggest(name, datasets(file)))
    try:
        values = item[selection]
    except (IndexError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: {dataset!r} has shape {item.shape}; {selection!r} cannot be taken: {error}",
            hint="indices are ascending and inside the shape",
        ) from error
    except files.ENGINE_ERRORS as error:
        raise DataError(
            f"{path} is damaged: {dataset!r} cannot be read: {error}", hint="copy or download it again"
        ) from error
    if h5py.check_string_dtype(item.dtype) is not None:
        return (
            np.asarray(values, dtype=object).astype("S").astype(str)
            if not isinstance(values, bytes)
            else np.array(values.decode())
        )
    return np.asarray(values)


class LazyFile:
    """An HDF5 file opened on first use in each process; picklable, the handle stays behind."""

    def __init__(self, path: str | Path):
        """Check that `path` is HDF5 now, so that a wrong name fails before any worker starts."""
        self.path = Path(path).absolute()
        open_hdf5(self.path).close()
        self._file: h5py.File | None = None
        self._process = -1

    def __call__(self) -> h5py.File:
        """The open file of this process."""
        if self._file is None or self._process != os.getpid():
            # After a fork the parent's handle is left alone: closing it here would corrupt the parent's state.
            self._file, self._process = open_hdf5(self.path), os.getpid()
        return self._file

    def read(self, dataset: str, selection=()) -> np.ndarray:
        """As the function `read`, through the kept handle."""
        return read_from(self(), dataset, selection)

    def close(self) -> None:
        """Close the handle of this process; the next use opens it again."""
        if self._file is not None and self._process == os.getpid():
            self._file.close()
        self._file = None

    def __getstate__(self) -> dict:
        return {"path": self.path}

    def __setstate__(self, state: dict) -> None:
        self.path, self._file, self._process = state["path"], None, -1

    def __enter__(self) -> "LazyFile":
        return self

    def __exit__(self, *exception) -> None:
        self.close()
