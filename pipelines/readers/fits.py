"""Images and tables out of FITS files (FITS standard 4.0, Pence et al. 2010), damaged ones named.

Convention: images keep the axis order of the data array, last axis along x; row 0 is the bottom of the sky image. Text
cells are stripped of the padding that FITS adds; integer cells equal to TNULL are missing.
"""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.io import fits
from astropy.io.fits.verify import VerifyError
from astropy.utils.exceptions import AstropyWarning
from PIL import Image

from sciml.pipelines.errors import DataError, suggest

from . import files

MAGIC = b"SIMPLE  ="
MOST_PIXELS = Image.MAX_IMAGE_PIXELS or 89_478_485  # Pillow's limit: 128 MB of 24-bit pixels
MOST_SIDE = 16_384  # a longer side is a mosaic, not a cutout
MOST_VALUES = 4 * MOST_PIXELS  # values of one image array of several bands
_MANY, _MOST_BYTES = 8, 2**28  # a file of more extensions, and no more bytes, is read at once
_MOST_ELEMENTS = 64  # a longer vector cell is a spectrum or an image, not columns


def is_fits(path: Path) -> bool:
    """True for a FITS file, gzipped or not."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(9)
        if head[:2] == b"\x1f\x8b":
            with gzip.open(path) as stream:
                head = stream.read(9)
    except (OSError, EOFError):
        return False
    return head == MAGIC


@contextmanager
def open_fits(path: str | Path) -> Iterator[fits.HDUList]:
    """The open file; whatever astropy raises on it inside the `with` becomes a DataError that names the file."""
    path = Path(path)
    files.require_file(path)
    if not is_fits(path):
        raise DataError(f"{path} is not a FITS file", hint="a FITS file starts with SIMPLE  =")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            with fits.open(path, memmap=False, lazy_load_hdus=True) as hdus:
                yield hdus
    except (*files.ENGINE_ERRORS, VerifyError) as error:
        raise files.damaged(path, error) from error


def image_extensions(hdus: fits.HDUList) -> list[int]:
    """Indices of the extensions that hold an image of two or more axes, told from the headers alone."""
    return [i for i, hdu in enumerate(hdus) if hdu.is_image and sum(n > 1 for n in axes(hdu)) >= 2]


def axes(hdu) -> tuple[int, ...]:
    """Shape of the data array, slowest axis first, without reading it."""
    # a compressed image keeps its true size in the header astropy shows
    header = hdu.header
    return tuple(int(header.get(f"NAXIS{axis}", 0)) for axis in range(int(header.get("NAXIS", 0)), 0, -1))


def read_image(path: str | Path, hdu: int | str | None = None) -> np.ndarray:
    """One image array as float32, in the physical units of the file (BSCALE and BZERO applied).

    Args:
        hdu: number or name of the extension; None takes the first that holds an image.

    Raises:
        DataError: no such extension, no image in it, too large, or damaged.
    """
    path = Path(path)
    if isinstance(hdu, int | np.integer) and hdu >= _MANY and path.is_file():
        stat = path.stat()
        if stat.st_size <= _MOST_BYTES:
            found = _stamps(path, stat.st_mtime_ns)
            if int(hdu) in found:
                return found[int(hdu)].copy()
    with open_fits(path) as hdus:
        number = extension_number(path, hdus, hdu, image_extensions(hdus))
        return array_of(hdus[number], path)


@lru_cache(maxsize=2)
def _stamps(path: Path, changed: int) -> dict[int, np.ndarray]:
    """All images of a file of many stamps: finding extension 90 alone means reading 90 headers."""
    found = {}
    with open_fits(path) as hdus:
        for number in image_extensions(hdus):
            try:
                found[number] = array_of(hdus[number], path)
            except (DataError, *files.ENGINE_ERRORS):
                continue  # asked for by itself, it gives its own message
    return found


def check_size(path: Path, height: int, width: int) -> None:
    """DataError for an image without pixels or one that no cutout would be."""
    if height < 1 or width < 1:
        raise DataError(f"{path} has no pixels: {height} x {width}")
    if height * width > MOST_PIXELS or max(height, width) > MOST_SIDE:
        raise DataError(
            f"{path} is {height} x {width} pixels, more than a cutout (at most {MOST_SIDE:,} a side, {MOST_PIXELS:,} in all)",
            hint="cut the galaxies out first",
        )


def array_of(hdu, path: Path) -> np.ndarray:
    """The data of an open extension as float32; DataError if it is empty or larger than memory should hold."""
    shape = axes(hdu)
    if not shape or 0 in shape:
        raise DataError(f"{path} has no pixels: its image is {' x '.join(map(str, shape)) or 'empty'}")
    check_size(path, *sorted((1, *shape))[-2:])
    if np.prod(shape, dtype=np.float64) > MOST_VALUES:
        raise DataError(
            f"{path} is {' x '.join(map(str, shape))} pixels, too large for a cutout", hint="cut it out first"
        )
    data = hdu.data
    if data is None:
        raise DataError(f"{path} has no pixels in the extension {hdu.name or hdu.ver}")
    if np.iscomplexobj(data):
        raise DataError(f"{path} holds complex numbers, not an image")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(data, dtype=np.float32)


def extension_number(path: Path, hdus: fits.HDUList, wanted: int | str | None, candidates: list[int]) -> int:
    """Number of the extension asked for."""
    names = [f"{i} {hdu.name}".strip() for i, hdu in enumerate(hdus)]
    if wanted is None:
        if not candidates:
            raise DataError(f"{path} holds no such data; its extensions: {', '.join(names)}")
        return candidates[0]
    if isinstance(wanted, int | np.integer):
        number = int(wanted)
        if not 0 <= number < len(hdus):
            raise DataError(f"{path} has no extension {number}; it has 0 to {len(hdus) - 1}")
    else:
        found = [i for i, hdu in enumerate(hdus) if hdu.name.casefold() == str(wanted).strip().casefold()]
        if not found:
            raise DataError(f'{path} has no extension "{wanted}"; {suggest(str(wanted), [h.name for h in hdus])}')
        number = found[0]
    if number not in candidates:
        raise DataError(f"{path}: the extension {names[number]} does not hold that kind of data")
    return number


def table_extensions(hdus: fits.HDUList) -> list[int]:
    """Indices of the extensions that are tables."""
    return [i for i, hdu in enumerate(hdus) if isinstance(hdu, fits.BinTableHDU | fits.TableHDU) and not hdu.is_image]


def read_table(path: str | Path, hdu: int | str | None = None, columns: list[str] | None = None) -> pd.DataFrame:
    """A table extension; vector cells of up to 64 elements become columns NAME_0, NAME_1, ...; longer ones are left out.

    Args:
        hdu: number or name; None takes the first table.
        columns: names to read, regardless of case; None reads all.

    Returns:
        The table in file order; `attrs["sciml_notes"]` names what was left out.

    Raises:
        DataError: no table, no such column, or damaged.
    """
    path = Path(path)
    with open_fits(path) as hdus:
        table = hdus[extension_number(path, hdus, hdu, table_extensions(hdus))]
        return frame_of(table, path, columns)


def frame_of(hdu, path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """The open table extension as a DataFrame; see `read_table`."""
    names = list(hdu.columns.names)
    if columns is not None:
        folded = {name.casefold(): name for name in names}
        missing = [name for name in columns if name.casefold() not in folded]
        if missing:
            raise DataError(f'{path} has no column "{missing[0]}"; {suggest(missing[0], names)}')
        names = [folded[name.casefold()] for name in columns]
    data, found, notes = hdu.data, {}, []
    for name in names:
        cells = np.asarray(data[name])
        if cells.dtype == object or cells.ndim > 2 or (cells.ndim == 2 and cells.shape[1] > _MOST_ELEMENTS):
            notes.append(f"column {name} holds arrays of {cells.shape[1:] or 'any length'} and is left out")
            continue
        null = hdu.columns[name].null
        if cells.ndim == 1:
            found[name] = native(cells, null)
        else:
            found |= {f"{name}_{i}": native(cells[:, i], null) for i in range(cells.shape[1])}
    frame = pd.DataFrame(found)
    frame.attrs["sciml_notes"] = notes
    return frame


def native(cells: np.ndarray, null: object = None) -> np.ndarray:
    """Cells in the machine's byte order; text stripped, TNULL integers NaN."""
    if cells.dtype.kind in "SU":
        return np.char.strip(cells.astype(str))
    cells = cells.astype(cells.dtype.newbyteorder("="))
    if cells.dtype.kind in "iu" and isinstance(null, int) and (cells == null).any():
        return np.where(cells == null, np.nan, cells.astype(float))
    return cells
