"""A folder of cutouts: which files there are, what each holds, and all of them as one array source.

Axes: m objects, [band, y, x]. Every image is opened once before anything is trained on it, so a damaged one is found
now and not in epoch three. Objects are named by the stem of their file, or by what a pattern such as
"{id}_{band}.fits" takes from it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.wcs import WCS

from sciml.pipelines.errors import DataError, SettingsError

from . import fits, images
from .images import Cutout
from .skipped import Skipped

_FITS = (".fits", ".fit", ".fts")
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", *_FITS, ".npy", ".npz")
_PACKED = tuple(f"{name}{end}" for name in _FITS for end in (".gz", ".fz"))
THUMBNAIL = 32  # pixels a side
_WAVELENGTH_ORDER = "ugrizy"  # SDSS, Pan-STARRS, HSC, LSST
_MOST_MISSING = 0.5  # an image with a larger share of NaN pixels is left out


@dataclass(frozen=True)
class Facts:
    """What one image is: shape (band, height, width), grey levels, bytes on disk, share of missing pixels, median and
    robust standard deviation of its border in each band, digest of its pixels, thumbnail uint8 [32, 32]."""

    shape: tuple[int, int, int]
    levels: int
    bytes: int
    missing: float
    sky: tuple[float, ...]
    sky_sd: tuple[float, ...]
    digest: str
    thumbnail: np.ndarray


def find(
    folder: str | Path, *, pattern: str | None = None, bands: Sequence[str] = ()
) -> tuple[dict[str, Cutout], tuple[str, ...], Skipped]:
    """Cutouts by object id in a folder and its subfolders, the bands a pattern found, and what is no image.

    Args:
        pattern: file name with {id}, and {band} where each band has its own file; None takes the stem.
        bands: names and order of the bands of a pattern; default: all found, by wavelength where they are ugrizy.

    Raises:
        DataError: no such folder, or no image in it.
        SettingsError: a pattern without {id}.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(
            f"{folder} is not a folder", hint="--images is a folder of JPEG, PNG, FITS or NPY cutouts, or a packed file"
        )
    skipped = Skipped("files")
    paths = [p for p in sorted(folder.rglob("*")) if is_image_name(p.relative_to(folder)) and p.is_file()]
    if pattern is None:
        found, names = _by_stem(paths, skipped), ()
    else:
        found, names = _by_pattern(paths, folder, pattern, tuple(bands), skipped)
    if not found:
        raise DataError(
            f"{folder} holds no images" + (f' that match "{pattern}"' if pattern else ""),
            hint=f"{len(paths)} files end in {', '.join(SUFFIXES[:9])}",
        )
    return found, names, skipped


def is_image_name(path: Path) -> bool:
    """True for a file that ends as an image does; hidden files and folders are not looked at."""
    return path.name.lower().endswith((*SUFFIXES, *_PACKED)) and not any(part.startswith(".") for part in path.parts)


def stem(path: Path) -> str:
    """File name without its suffixes: 'a.fits.gz' -> 'a', 'M51.v2.jpg' -> 'M51.v2'."""
    name = path.name
    for suffix in (".gz", ".fz", *SUFFIXES):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            name = name[: -len(suffix)]
    return name


def _by_stem(paths: list[Path], skipped: Skipped) -> dict[str, Cutout]:
    found: dict[str, Cutout] = {}
    for path in paths:
        name = stem(path)
        if name in found:
            skipped.add(f"another file has the same name ({found[name].paths[0].name})", path.name)
        else:
            found[name] = Cutout((path,))
    return found


def _by_pattern(
    paths: list[Path], folder: Path, pattern: str, bands: tuple[str, ...], skipped: Skipped
) -> tuple[dict[str, Cutout], tuple[str, ...]]:
    if "{id}" not in pattern:
        raise SettingsError(f'--pattern "{pattern}": needs {{id}}', hint='for example "{id}_{band}.fits"')
    parts = re.split(r"(\{id\}|\{band\}|\*)", pattern)
    known = {"{id}": r"(?P<id>.+?)", "{band}": r"(?P<band>[^/]+?)", "*": ".*?"}
    seen: set[str] = set()
    expression = ""
    for part in parts:
        expression += f"(?P={part[1:-1]})" if part in seen else known.get(part, re.escape(part))
        seen |= {part} if part in ("{id}", "{band}") else set()
    table: dict[str, dict[str, Path]] = {}
    for path in paths:
        target = path.relative_to(folder).as_posix() if "/" in pattern else path.name
        match = re.fullmatch(expression, target)
        if match is None:
            skipped.add(f'name unlike "{pattern}"', path.name)
            continue
        table.setdefault(match["id"], {})[match["band"] if "{band}" in pattern else ""] = path
    order = (
        bands if bands and "{band}" in pattern else sorted({b for row in table.values() for b in row}, key=_wavelength)
    )
    found = {}
    for name, row in table.items():
        missing = [band for band in order if band not in row]
        if missing:
            skipped.add(f"no file of band {', '.join(missing)}", name)
        else:
            found[name] = Cutout(tuple(row[band] for band in order))
    return found, tuple(order) if "{band}" in pattern else ()


def _wavelength(band: str) -> tuple[int, str]:
    letter = band.strip().casefold()[-1:]
    return (_WAVELENGTH_ORDER.find(letter) if letter in _WAVELENGTH_ORDER else len(_WAVELENGTH_ORDER), band)


# --- looking at every image once


def inspect(cutout: Cutout) -> Facts:
    """Read one cutout and describe it; DataError if it cannot be used (damaged, blank, mostly NaN)."""
    image, levels = images.read_cutout(cutout)
    pixels, missing = images.fill_missing(images.scaled(image, levels))
    if missing > _MOST_MISSING:
        raise DataError(f"{missing:.0%} of its pixels are NaN or infinite")
    if all(float(band.min()) == float(band.max()) for band in pixels):
        raise DataError(f"every pixel has the same value ({float(pixels.flat[0]):g})")
    size = sum(path.stat().st_size for path in cutout.paths)
    return Facts(image.shape, levels, size, missing, *sky_of(pixels), digest(image), thumbnail(pixels, flux=not levels))


def digest(image: np.ndarray) -> str:
    """Text that is equal for equal pixels."""
    shape = str(image.shape).encode()[:16]
    return hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=16, person=shape).hexdigest()


def sky_of(image: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Median and robust standard deviation (1.4826 MAD) of the border of each band of an image [band, y, x]."""
    pixels = [images.border(band) for band in image]
    medians = [float(np.median(edge)) for edge in pixels]
    deviations = [1.4826 * float(np.median(np.abs(edge - m))) for edge, m in zip(pixels, medians, strict=True)]
    return tuple(medians), tuple(deviations)


def thumbnail(image: np.ndarray, flux: bool = False) -> np.ndarray:
    """The mean of all bands as uint8 [32, 32], stretched between its darkest and brightest pixel.

    Pictures by a square root; fluxes by asinh in units of three times the noise of the border, so that the sky of two
    compact galaxies differs.
    """
    small = images.fit(image.mean(axis=0, keepdims=True, dtype=np.float32), THUMBNAIL, THUMBNAIL)[0]
    if flux:
        edge = images.border(small)
        noise = 1.4826 * float(np.median(np.abs(edge - np.median(edge))))
        if noise > 0:
            small = np.arcsinh((small - np.median(edge)) / (3 * noise))
    low, high = float(small.min()), float(small.max())
    shown = np.clip((small - low) / max(high - low, 1e-30), 0, 1)
    return np.round(255 * (shown if flux else np.sqrt(shown))).astype(np.uint8)


def inspect_all(
    cutouts: Mapping[str, Cutout], *, workers: int = 2, advance: Callable[[], object] = lambda: None
) -> tuple[dict[str, Facts], Skipped]:
    """Facts of every readable cutout by id, and those left out with the reason; decoding releases the GIL."""
    skipped = Skipped("images")

    def look(item: tuple[str, Cutout]) -> tuple[str, Facts | str]:
        name, cutout = item
        try:
            return name, inspect(cutout)
        except DataError as error:
            return name, _reason(str(error), cutout)
        finally:
            advance()

    found: dict[str, Facts] = {}
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for name, result in pool.map(look, cutouts.items()):
            if isinstance(result, str):
                skipped.add(result, cutouts[name].name)
            else:
                found[name] = result
    return found, skipped


def _reason(message: str, cutout: Cutout) -> str:
    """The message without the path, so that equal reasons are counted together."""
    for path in cutout.paths:
        message = message.replace(str(path), "").replace(path.name, "")
    return message.strip().removeprefix("is ").strip() or "unreadable"


def sky_position(cutout: Cutout) -> tuple[float, float]:
    """Right ascension and declination [deg] of the centre of a FITS cutout, from its WCS, else from RA and DEC of its
    header; NaN where it has neither, or is no FITS file."""
    nowhere = (float("nan"), float("nan"))
    try:
        with fits.open_fits(cutout.paths[0]) as hdus:
            first = cutout.hdu[0] if isinstance(cutout.hdu, tuple) else cutout.hdu
            number = fits.extension_number(cutout.paths[0], hdus, first, fits.image_extensions(hdus))
            header, shape = hdus[number].header, fits.axes(hdus[number])
            frame = WCS(header).celestial
            if frame.has_celestial:
                ra, dec = frame.wcs_pix2world([[(shape[-1] - 1) / 2, (shape[-2] - 1) / 2]], 0)[0]
                return float(ra) % 360.0, float(dec)
            return float(header["RA"]), float(header["DEC"])
    except (DataError, KeyError, TypeError, ValueError):
        return nowhere


class CutoutFiles:
    """All cutouts of a folder as one source of images [m, band, y, x], read when asked for.

    `field` is the share of each side that is used, about the centre; `how` the rest is fitted to `shape`. `present` is False
    where an object has no image; such images are zero. Pickles into worker processes.
    """

    def __init__(
        self, cutouts: Sequence[Cutout | None], bands: Sequence[str], shape: tuple[int, int, int], *, how: str = "resize",
        levels: int = 0, field: float = 1.0,
    ):  # fmt: skip
        if len(bands) != shape[0]:
            raise SettingsError(f"--bands names {len(bands)} bands, the images have {shape[0]}")
        self.cutouts = list(cutouts)
        self.bands = tuple(bands)
        self.shape = tuple(int(n) for n in shape)
        self.present = np.array([cutout is not None for cutout in cutouts], bool)
        self.how = how
        self.levels = levels
        self.field = field

    def __len__(self) -> int:
        return len(self.cutouts)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """float32 [m, band, y, x]; DataError if a file can no longer be read."""
        indices = np.atleast_1d(np.asarray(indices))
        out = np.zeros((len(indices), *self.shape), np.float32)
        for row, index in enumerate(indices):
            if self.cutouts[index] is not None:
                out[row] = self._one(self.cutouts[index])
        return out

    def _one(self, cutout: Cutout) -> np.ndarray:
        image = images.fill_missing(images.scaled(*images.read_cutout(cutout)))[0]
        if len(image) != self.shape[0]:
            raise DataError(f"{cutout.name} has {len(image)} bands, the others {self.shape[0]}")
        return images.fit(images.central(image, self.field), *self.shape[1:], self.how)
