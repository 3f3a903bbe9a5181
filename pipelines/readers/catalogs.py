"""Catalogs of objects (CSV and relatives, FITS tables, HDF5 columns) as tables whose identifiers survive.

Convention: an identifier is text. SDSS and Gaia numbers have 18 and 19 digits and a float64 keeps 15.9, so a column that
looks like one is never read as a number. Numbers are float64 or int64, missing cells NaN; column names stay as the
survey wrote them. Numbers that stand for "missing" (-99, -999, -9999 and +99, +999 in magnitudes) count as missing only
where they stand alone, far from every other value of their column.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from sciml.pipelines.errors import DataError, suggest

from . import delimited, files, fits
from .hdf5 import open_hdf5
from .skipped import listed

_NUMERIC_SHARE = 0.9  # a column with at least this share of numbers is numeric, and its other cells are mistakes
_EXACT = 2**53  # integers beyond it change when they become float64
_SENTINELS = (-9999.0, -9999.99, -999.0, -999.99, -99.0, -99.9, 99.0, 99.99, 999.0, 9999.0)
# what stands before "id" in names of identifiers; "centroid", "grid" and "ellipsoid" end in id too
_ID_NAME = re.compile(
    r"(?i:^(name|iauname|id_str|plateifu|ident|designation)$"
    r"|(^|_|obj|object|spec|subfind|subhalo|halo|gal|galaxy|asset|image|source|star|target|manga|cata|fits)ids?$)"
    r"|[a-z]ID$"
)


def is_id_name(name: str) -> bool:
    """True for a column whose name says that it identifies objects: objid, dr7objid, SubHaloID, plateifu, id_str ..."""
    return bool(_ID_NAME.search(name.strip()))


def read_catalog(path: str | Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read any table of objects, one row each, in file order.

    Args:
        path: CSV, TSV, blank-separated text, FITS table, or HDF5 with one dataset per column.
        columns: names to keep; None keeps all.

    Returns:
        DataFrame; `attrs["sciml_notes"]` lists what was changed: cells that are no numbers, infinities, sentinels.

    Raises:
        DataError: missing, empty, damaged, of another format, or without rows.
    """
    path = Path(path)
    kind = files.kind_of(path)
    if kind == "hdf5":
        frame = _hdf5(path)
    elif fits.is_fits(path):
        frame = fits.read_table(path)
    elif kind == "text":
        frame = delimited.read(path, keep_text=_is_id)
    elif kind == "parquet":
        frame = _parquet(path)
    else:
        raise _refused(path, kind)
    if frame.empty:
        raise DataError(f"{path} has no rows", hint="check the export")
    notes = frame.attrs.get("sciml_notes", [])
    lonely: dict[str, tuple[float, int]] = {}
    frame = pd.DataFrame({str(name): _clean(str(name), frame[name], notes, lonely) for name in frame.columns})
    notes += _sentinel_notes(lonely)
    if columns is not None:
        frame = select(frame, columns, path)
    frame.attrs["sciml_notes"] = notes
    return frame


def select(frame: pd.DataFrame, columns: list[str], path: Path) -> pd.DataFrame:
    """The named columns; DataError with the nearest name if one is missing."""
    return frame[[column_of(frame, name, path) for name in columns]]


def column_of(frame: pd.DataFrame, name: str, where: object) -> str:
    """The column called `name`, exactly or regardless of case; DataError that names the nearest otherwise."""
    if name in frame.columns:
        return name
    folded = [column for column in frame.columns if column.casefold() == name.strip().casefold()]
    if len(folded) != 1:
        raise DataError(f'{where} has no column "{name}"; {suggest(name, frame.columns)}')
    return folded[0]


def _is_id(name: str, cells: pd.Series) -> bool:
    return is_id_name(name) or looks_like_id(cells)


def _refused(path: Path, kind: str) -> DataError:
    if kind == "gzip":
        return DataError(f"{path} is gzip-compressed", hint="run `gunzip` on it first")
    error = files.refuse(path, kind)
    return DataError(str(error), hint="a catalog is a CSV, a FITS table or an HDF5 file with one dataset per column")


def _parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except ImportError:
        raise DataError(
            f"{path} is Parquet, which needs the package pyarrow", hint="pip install pyarrow, or write a CSV"
        ) from None
    except files.ENGINE_ERRORS as error:
        raise files.damaged(path, error) from error


def looks_like_id(cells: pd.Series) -> bool:
    """Long whole numbers, or whole numbers with a leading zero."""
    text = cells.dropna().astype(str).str.strip()
    return bool(len(text)) and bool(text.str.fullmatch(r"[+-]?(\d{16,}|0\d+)").any())


# --- HDF5


def _hdf5(path: Path) -> pd.DataFrame:
    """One-dimensional datasets of the most common length, in one group or at the root."""
    found: dict[str, np.ndarray] = {}
    notes: list[str] = []
    with open_hdf5(path) as file:
        try:
            sizes = _lengths(file)
            rows = max(set(sizes.values()), key=lambda n: (list(sizes.values()).count(n), n)) if sizes else 0
            for name, size in sizes.items():
                short = name.rsplit("/", 1)[-1]
                if size != rows or short in found:
                    notes.append(f"dataset {name} of length {size} is left out")
                    continue
                cells = file[name][()]
                found[short] = decoded(cells) if cells.dtype.kind in "SO" else fits.native(cells)
        except files.ENGINE_ERRORS as error:
            raise files.damaged(path, error) from error
    if not found:
        raise DataError(f"{path} holds no columns", hint="a catalog in HDF5 has one dataset of one axis per column")
    frame = pd.DataFrame(found)
    frame.attrs["sciml_notes"] = notes
    return frame


def _lengths(file) -> dict[str, int]:
    sizes: dict[str, int] = {}

    def visit(name: str, item) -> None:
        if getattr(item, "ndim", 0) == 1 and item.dtype.kind in "iufbSO":
            sizes[name] = int(item.shape[0])

    file.visititems(visit)
    return sizes


def decoded(cells: np.ndarray) -> np.ndarray:
    """Bytes or objects as stripped text."""
    texts = [cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell) for cell in cells.ravel()]
    return np.array([text.strip("\x00 ") for text in texts], dtype=object).reshape(cells.shape)


# --- cells


def _clean(name: str, cells: pd.Series, notes: list[str], lonely: dict) -> pd.Series:
    """Identifiers as text, numbers without infinities and lonely sentinels, other text as it is."""
    if is_id_name(name):
        return _identifiers(cells)
    if cells.dtype.kind == "b":
        return cells
    if cells.dtype.kind not in "iuf":
        cells = _numbers(name, cells, notes)
        if cells.dtype.kind not in "iuf":
            return cells
    if cells.dtype.kind in "iu":
        if cells.abs().max() > _EXACT:
            return cells.astype(str)
        return _without_sentinels(name, cells, lonely)
    values = cells.astype(np.float64)
    infinite = np.isinf(values)
    if infinite.any():
        notes.append(f"column {name}: {int(infinite.sum())} infinite values count as missing")
        values = values.mask(infinite)
    return _without_sentinels(name, values, lonely)


def _identifiers(cells: pd.Series) -> pd.Series:
    """Text without padding and without the ".0" that a table program adds to whole numbers."""
    if cells.dtype.kind in "iu":
        return cells.astype(str)
    if cells.dtype.kind == "f":
        whole = cells.notna() & (cells == cells.round()) & (cells.abs() < _EXACT)
        text = cells.map(lambda value: f"{value:.17g}")
        return text.mask(whole, cells.where(whole, 0).astype(np.int64).astype(str)).where(cells.notna(), None)
    text = cells.astype(object).where(cells.notna(), None)
    return text.map(lambda value: None if value is None else re.sub(r"^([+-]?\d+)\.0+$", r"\1", str(value).strip()))


def _numbers(name: str, cells: pd.Series, notes: list[str]) -> pd.Series:
    """A column of text as numbers if nearly all of it are numbers; the rest becomes NaN and is named."""
    text = cells.astype(object).where(cells.notna(), None)
    known = text.notna() & (text.map(lambda value: str(value).strip()) != "")
    values = pd.to_numeric(text, errors="coerce")
    good = values.notna() & known
    wrong = text[known & ~good]
    if not known.any() or good.sum() < _NUMERIC_SHARE * known.sum() or looks_like_id(text):
        if len(wrong) and good.sum() > 0.5 * known.sum():
            notes.append(
                f'column {name}: {len(wrong)} of {int(known.sum())} cells are text such as "{wrong.iloc[0]}": taken as categories'
            )
        return text.map(lambda value: None if value is None or str(value).strip() == "" else str(value).strip())
    if len(wrong):
        rows = listed([int(i) + 1 for i in wrong.index])
        notes.append(
            f'column {name}: {len(wrong)} cells are not numbers and count as missing: "{wrong.iloc[0]}" (rows {rows})'
        )
    return values.astype(np.float64)


def _without_sentinels(name: str, values: pd.Series, lonely: dict[str, tuple[float, int]]) -> pd.Series:
    """Values such as -9999 become NaN where every other value of the column is far from them."""
    candidates = values.isin(_SENTINELS)
    if not candidates.any():
        return values
    others = values[~candidates & values.notna()]
    if others.empty:
        return values
    low, high = float(others.min()), float(others.max())
    alone = candidates & ((values < 0) & (low > 0.5 * values) | (values > 0) & (high < 0.5 * values))
    if not alone.any():
        return values
    lonely[name] = (float(values[alone].iloc[0]), int(alone.sum()))
    return values.astype(np.float64).mask(alone)


def _sentinel_notes(lonely: dict[str, tuple[float, int]]) -> list[str]:
    """One line per value that stood for "missing", however many columns use it."""
    lines = []
    for value in sorted({value for value, _ in lonely.values()}):
        names = [name for name, (other, _) in lonely.items() if other == value]
        cells = sum(lonely[name][1] for name in names)
        lines.append(f"{value:g} counts as missing in {len(names)} columns ({listed(names)}): {cells:,} cells")
    return lines
