"""SKIRT: native instrument files, and the IllustrisTNG mocks of Hyper Suprime-Cam made with it.

Axes: [wavelength, y, x]. Native files (Camps & Baes 2020, SKIRT 9): a primary cube, BUNIT its unit, CDELT and CUNIT of
axes 1 and 2 the pixel, wavelengths in a table extension "Z-axis coordinate values", column GRID_POINTS. Mocks (Bottrell
et al. 2024, MNRAS 527, 6506): extensions SUBARU_HSC.G to .Y with images, "... VARIANCE", "... MASK" and "... PSF" beside
them, and REDSHIFT, RA, DEC, APMAG in their headers; the file is called shalo_SSS-ID_vV_HSC_GRIZY.fits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from sciml.pipelines.errors import DataError

from . import files, fits
from .skipped import Skipped

HSC_BANDS = "GRIZY"
HSC_SNAPSHOTS = range(72, 92)  # the mocks exist for these snapshots of TNG50-1 and TNG100-1
_TO_MICRON = {"micron": 1.0, "um": 1.0, "m": 1e6, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "angstrom": 1e-4, "a": 1e-4}


@dataclass(frozen=True, eq=False)
class Cube:
    """values float32 [wavelength, y, x] in `unit`; wavelengths [micron] (empty for a single frame); pixel (width, unit)."""

    values: np.ndarray
    unit: str
    wavelengths: np.ndarray
    pixel: tuple[float, str]
    name: str


def read_cube(path: str | Path) -> Cube:
    """A native SKIRT image or data cube, such as run_instrument_total.fits.

    Raises:
        DataError: no cube, or as many wavelengths as frames are missing.
    """
    path = Path(path)
    with fits.open_fits(path) as hdus:
        values = fits.array_of(hdus[0], path)
        header = hdus[0].header
        unit = str(header.get("BUNIT", "")).strip()
        pixel = (abs(float(header.get("CDELT1", np.nan))), str(header.get("CUNIT1", "")).strip())
        wavelengths, scale = _wavelengths(hdus)
    if values.ndim == 2:
        values = values[None]
    if values.ndim != 3:
        raise DataError(f"{path} has {values.ndim} axes; a SKIRT instrument writes 2 or 3")
    if len(wavelengths) not in (0, len(values)):
        raise DataError(f"{path} has {len(values)} frames and {len(wavelengths)} wavelengths")
    if len(wavelengths) and scale is None:
        raise DataError(f"{path} gives its wavelengths in an unknown unit", hint=f"known are {', '.join(_TO_MICRON)}")
    return Cube(values, unit, wavelengths * (scale or 1.0), pixel, re.sub(r"\.fits(\.gz)?$", "", path.name))


def _wavelengths(hdus) -> tuple[np.ndarray, float | None]:
    """Grid points of the third axis, and the factor that makes them micron."""
    for i in fits.table_extensions(hdus):
        names = [name.upper() for name in hdus[i].columns.names]
        if "GRID_POINTS" in names:
            column = hdus[i].columns[names.index("GRID_POINTS")]
            unit = str(column.unit or hdus[0].header.get("CUNIT3", "micron")).strip().casefold()
            return np.asarray(hdus[i].data[column.name], float).ravel(), _TO_MICRON.get(unit)
    return np.empty(0), 1.0


def read_sed(path: str | Path) -> pd.DataFrame:
    """A spectral energy distribution (*_sed.dat); columns are named by its lines "# column N: name (unit)"."""
    path = Path(path)
    files.require_file(path)
    try:
        text = path.read_text(encoding="utf-8", errors="strict")
        names = re.findall(r"^#\s*column\s+\d+:\s*(.+?)\s*$", text, re.MULTILINE | re.IGNORECASE)
        rows = [
            [float(cell) for cell in line.split()]
            for line in text.splitlines()
            if line.strip() and not line.startswith("#")
        ]
    except (UnicodeDecodeError, ValueError) as error:
        raise DataError(f"{path} is not a SKIRT spectrum: {error}") from None
    if not rows or len({len(row) for row in rows}) > 1 or len(names) != len(rows[0]):
        raise DataError(
            f"{path} is not a SKIRT spectrum: {len(names)} column names, {len(rows)} rows", hint="give a *_sed.dat file"
        )
    return pd.DataFrame(rows, columns=names)


# --- IllustrisTNG mocks


@dataclass(frozen=True, eq=False)
class HscMock:
    """One galaxy from one direction: image, variance float32 [band, y, x] (variance None if absent), psf by band, mask
    [band, y, x] or None; id "snapshot-subhalo", view 0..3, header facts."""

    id: str
    snapshot: int
    subhalo: int
    view: int
    bands: tuple[str, ...]
    image: np.ndarray
    variance: np.ndarray | None = None
    mask: np.ndarray | None = None
    psf: dict[str, np.ndarray] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)


def read_hsc(path: str | Path) -> HscMock:
    """An HSC mock, idealised or realistic.

    Raises:
        DataError: no SUBARU_HSC extension, bands of different sizes, or a name without snapshot and subhalo.
    """
    path = Path(path)
    snapshot, subhalo, view = hsc_name(path)
    with fits.open_fits(path) as hdus:
        there = {hdu.name.upper(): hdu for hdu in hdus}
        bands = [b for b in HSC_BANDS if f"SUBARU_HSC.{b}" in there]
        if not bands:
            raise DataError(
                f"{path} has no extension SUBARU_HSC.G ... .Y; it has {', '.join(n for n in there if n) or 'none'}"
            )
        planes = {
            b: {k: _plane(there, f"SUBARU_HSC.{b}{k}", path) for k in ("", " VARIANCE", " MASK", " PSF")} for b in bands
        }
        header = there[f"SUBARU_HSC.{bands[0]}"].header
        facts = {
            k.lower(): float(header[k])
            for k in ("REDSHIFT", "RA", "DEC", "APMAG", "FOVARC")
            if _is_float(header.get(k))
        }
    sizes = {planes[b][""].shape for b in bands}
    if len(sizes) > 1:
        raise DataError(f"{path}: the bands have different sizes {sorted(sizes)}")
    psf = {b: planes[b][" PSF"] for b in bands if planes[b][" PSF"] is not None}
    mask = _stack(planes, " MASK")
    return HscMock(
        f"{snapshot}-{subhalo}", snapshot, subhalo, view, tuple(bands), _stack(planes, ""), _stack(planes, " VARIANCE"),
        None if mask is None else mask != 0, psf, facts,
    )  # fmt: skip


def _stack(planes: dict[str, dict[str, np.ndarray | None]], kind: str) -> np.ndarray | None:
    """[band, y, x], or None where a band lacks it."""
    parts = [planes[band][kind] for band in planes]
    return None if any(part is None for part in parts) else np.stack(parts)


def _plane(there: dict, name: str, path: Path) -> np.ndarray | None:
    if name not in there:
        return None
    values = fits.array_of(there[name], path)
    return values.reshape(values.shape[-2:])


def _is_float(value: object) -> bool:
    return isinstance(value, int | float) and np.isfinite(value)


def hsc_name(path: Path) -> tuple[int, int, int]:
    """Snapshot, subhalo and view of a mock, from its name; DataError if it does not say."""
    match = re.search(r"(\d{2,3})-(\d+)_v(\d)", path.name)
    if match is None:
        raise DataError(
            f"{path} does not name its subhalo", hint="the mocks are called shalo_091-123_v0_HSC_GRIZY.fits"
        )
    return int(match[1]), int(match[2]), int(match[3])


def find_hsc(folder: str | Path, view: int | None = None) -> tuple[dict[str, list[Path]], Skipped]:
    """Mocks by "snapshot-subhalo", all views or one; the views of a galaxy must stay together in a split."""
    skipped, found = Skipped("mocks"), {}
    for path in sorted(Path(folder).rglob("*HSC*.fits*")):
        try:
            snapshot, subhalo, direction = hsc_name(path)
        except DataError:
            skipped.add("the name has no snapshot, subhalo and view", path.name)
            continue
        if view is None or direction == view:
            found.setdefault(f"{snapshot}-{subhalo}", []).append(path)
    return found, skipped
