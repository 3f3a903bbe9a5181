"""Cutouts out of JPEG, PNG, TIFF, FITS and NPY files: float32 [band, y, x], whatever the file calls its axes.

Convention: 8- and 16-bit pictures are scaled to 0..1; FITS and NPY keep their physical units. Rows stay in file order (a
FITS image starts at the bottom, a JPEG at the top). What a file is, its first bytes say, not its name. Pillow's
decompression-bomb limit applies to every format.
"""

from __future__ import annotations

import warnings
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from scipy.sparse import csr_array

from sciml.pipelines.errors import DataError

from . import files, fits
from .fits import check_size

MOST_BANDS = 64
_NPY = b"\x93NUMPY"
_RGB = ("red", "green", "blue")


@dataclass(frozen=True)
class Cutout:
    """Where the image of one object lies: one file with all bands, or one file per band.

    `hdu`: extension of a FITS file, or a tuple of extensions, one per band; None takes the first with an image.
    """

    paths: tuple[Path, ...]
    hdu: int | str | tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """The file name, for messages."""
        extension = "" if self.hdu is None or isinstance(self.hdu, tuple) else f"[{self.hdu}]"
        return f"{self.paths[0].name}{extension}" + (f" and {len(self.paths) - 1} more" if len(self.paths) > 1 else "")


def read_cutout(cutout: Cutout) -> tuple[np.ndarray, int]:
    """The image [band, y, x] and its number of grey levels: uint8 or uint16 with 255 or 65535, or float32 with 0.

    Raises:
        DataError: a file is missing, damaged, empty, too large, or its bands have different sizes.
    """
    extensions = cutout.hdu if isinstance(cutout.hdu, tuple) else (cutout.hdu,)
    parts = [read_levels(path, hdu) for path in cutout.paths for hdu in extensions]
    if len(parts) == 1:
        return parts[0]
    sizes = {image.shape[1:] for image, _ in parts}
    if len(sizes) > 1:
        shown = ", ".join(f"{h} x {w}" for h, w in sorted(sizes))
        raise DataError(f"{cutout.name}: the bands have different sizes ({shown})")
    levels = {level for _, level in parts}
    if len(levels) > 1:
        return np.concatenate([scaled(image, level) for image, level in parts]), 0
    return np.concatenate([image for image, _ in parts]), levels.pop()


def scaled(image: np.ndarray, levels: int) -> np.ndarray:
    """Grey levels as float32 0..1; physical images (levels 0) as they are."""
    return image.astype(np.float32, copy=False) if levels == 0 else image.astype(np.float32) / np.float32(levels)


def read_image(path: str | Path, hdu: int | str | None = None) -> np.ndarray:
    """One file as float32 [band, y, x], pictures scaled to 0..1; DataError names a file that cannot be used."""
    return scaled(*read_levels(Path(path), hdu))


def read_levels(path: Path, hdu: int | str | None = None) -> tuple[np.ndarray, int]:
    """As `read_cutout`, for one file."""
    files.require_file(path)
    try:
        with open(path, "rb") as stream:
            head = stream.read(8)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}", hint="check its permissions") from error
    if fits.is_fits(path):
        return _bands_first(fits.read_image(path, hdu), path), 0
    if head[:6] == _NPY:
        return _npy(path)
    if head[:4] == b"PK\x03\x04":
        return _npz(path)
    return _picture(path)


def _picture(path: Path) -> tuple[np.ndarray, int]:
    """A picture that Pillow reads; alpha is dropped, palettes and other colour spaces become RGB."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow warns of is refused, or does not touch the pixels
            with Image.open(path) as picture:
                check_size(path, picture.height, picture.width)
                if picture.mode in ("1", "LA", "La"):
                    picture = picture.convert("L")
                elif picture.mode not in ("L", "RGB", "I", "F") and not picture.mode.startswith("I;16"):
                    picture = picture.convert("RGB")
                pixels = np.asarray(picture)
    except Image.DecompressionBombError as error:
        raise DataError(f"{path} is larger than a cutout: {error}", hint="cut the galaxies out first") from None
    except UnidentifiedImageError:
        raise DataError(f"{path} is not an image", hint="JPEG, PNG, TIFF, FITS and NPY are read") from None
    except files.ARRAY_ERRORS as error:
        text = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError(f"{path} is damaged or truncated: {text}") from None
    pixels = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels), 255
    if pixels.dtype.kind in "iu" and pixels.min() >= 0 and pixels.max() <= 65535:
        return pixels.astype(np.uint16), 65535
    return np.ascontiguousarray(pixels, dtype=np.float32), 0


def _npy(path: Path) -> tuple[np.ndarray, int]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except files.ARRAY_ERRORS as error:
        raise files.damaged(path, error) from error
    return _array(array, path)


def _npz(path: Path) -> tuple[np.ndarray, int]:
    """The only array of an archive, or the one called image, data or arr_0."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            name = next((n for n in ("image", "data", "arr_0") if n in archive.files), None)
            if name is None and len(archive.files) != 1:
                raise DataError(f"{path} holds {len(archive.files)} arrays; call the image `image`")
            name = name or archive.files[0]
            with archive.zip.open(f"{name}.npy") as member:  # a few kB may unpack to gigabytes: the header tells
                values = int(np.prod(_npy_shape(member), dtype=np.float64))
            if values > fits.MOST_VALUES:
                raise DataError(f"{path} unpacks to {values:,} values, more than a cutout has")
            array = archive[name]
    except (*files.ARRAY_ERRORS, zipfile.BadZipFile) as error:
        raise files.damaged(path, error) from error
    return _array(array, path)


def _npy_shape(stream) -> tuple[int, ...]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(stream)[0]


def _array(array: np.ndarray, path: Path) -> tuple[np.ndarray, int]:
    if array.dtype.kind not in "iufb":
        raise DataError(f"{path} holds {array.dtype}, not pixels")
    levels = 255 if array.dtype == np.uint8 else 65535 if array.dtype == np.uint16 else 0
    image = _bands_first(array, path)
    return (np.ascontiguousarray(image), levels) if levels else (np.ascontiguousarray(image, dtype=np.float32), 0)


def _bands_first(array: np.ndarray, path: Path) -> np.ndarray:
    """[y, x], [band, y, x] or [y, x, band] as [band, y, x]; axes of length one are dropped first."""
    shape = tuple(n for n in array.shape if n != 1)
    if 0 in shape:
        raise DataError(f"{path} has no pixels: {' x '.join(map(str, array.shape))}")
    if array.ndim <= 2:
        shape = array.shape
    if len(shape) == 1 and array.ndim == 3:  # one band of a single row or column
        shape = array.shape
    if len(shape) not in (2, 3):
        raise DataError(f"{path} has {len(shape)} axes ({' x '.join(map(str, array.shape))}); an image has 2 or 3")
    image = array.reshape(shape if len(shape) == 3 else (1, *shape))
    if image.shape[2] < image.shape[0] and image.shape[2] < image.shape[1]:
        image = np.moveaxis(image, 2, 0)
    if image.shape[0] > MOST_BANDS:
        raise DataError(f"{path} has {image.shape[0]} planes; a cutout has at most {MOST_BANDS} bands")
    check_size(path, *image.shape[1:])
    return image


# --- one shape for all


def default_bands(n_band: int, levels: int) -> tuple[str, ...]:
    """Names of the bands where nobody gave any: red, green, blue of a picture, else band0, band1, ..."""
    if levels and n_band == 3:
        return _RGB
    return ("grey",) if n_band == 1 and levels else tuple(f"band{i}" for i in range(n_band))


def fill_missing(image: np.ndarray) -> tuple[np.ndarray, float]:
    """Pixels that are NaN or infinite take the median of their band; also returns their share.

    A band without any finite pixel becomes zero.
    """
    bad = ~np.isfinite(image)
    share = float(bad.mean())
    if share == 0.0:
        return image, 0.0
    image = image.copy()
    for band, gaps in zip(image, bad, strict=True):
        band[gaps] = np.median(band[~gaps]) if not gaps.all() else 0.0
    return image, share


def fit(image: np.ndarray, height: int, width: int, how: str = "resize") -> np.ndarray:
    """An image [band, y, x] of another size.

    how: "resize" averages over the area (mean surface brightness is kept, the shorter side fills the frame and the rest
    is cut); "crop" keeps the pixel scale and cuts or pads with the median of the border around the centre.
    """
    if image.shape[1:] == (height, width):
        return image
    if how == "resize":
        factor = max(height / image.shape[1], width / image.shape[2])
        inner = max(1, round(height / factor)), max(1, round(width / factor))
        image = _cut(image, *(min(a, b) for a, b in zip(inner, image.shape[1:], strict=True)))
        # sparse: a dense product starts threads that cost more than a cutout is worth
        rows, columns = _weights(image.shape[1], height), _weights(image.shape[2], width)
        return np.stack([columns.dot(rows.dot(band).T).T for band in image]).astype(np.float32)
    image = _cut(image, min(height, image.shape[1]), min(width, image.shape[2]))
    return _padded(image, height, width)


def central(image: np.ndarray, share: float) -> np.ndarray:
    """The middle of an image [band, y, x], `share` of each side, at least one pixel."""
    return _cut(image, *(max(1, round(share * n)) for n in image.shape[1:]))


def _cut(image: np.ndarray, height: int, width: int) -> np.ndarray:
    top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
    return image[:, top : top + height, left : left + width]


def _padded(image: np.ndarray, height: int, width: int) -> np.ndarray:
    if image.shape[1:] == (height, width):
        return np.ascontiguousarray(image, dtype=np.float32)
    out = np.empty((len(image), height, width), np.float32)
    out[:] = [[[np.median(border(band))]] for band in image]
    top, left = (height - image.shape[1]) // 2, (width - image.shape[2]) // 2
    out[:, top : top + image.shape[1], left : left + image.shape[2]] = image
    return out


def border(band: np.ndarray) -> np.ndarray:
    """The outermost pixels of an image [y, x], a sixteenth of its size wide: mostly sky in a cutout."""
    edge = max(1, min(band.shape) // 16)
    inner = np.zeros(band.shape, bool)
    inner[edge:-edge, edge:-edge] = True
    return band[~inner]


@lru_cache(maxsize=64)
def _weights(source: int, target: int) -> csr_array:
    """Matrix [target, source] of a triangle filter as wide as the larger pixel; rows sum to one."""
    scale = max(source / target, 1.0)
    centre = (np.arange(target) + 0.5) * source / target - 0.5
    distance = np.abs(np.arange(source)[None, :] - centre[:, None]) / scale
    weight = np.clip(1.0 - distance, 0.0, None)
    return csr_array((weight / weight.sum(axis=1, keepdims=True)).astype(np.float32))
