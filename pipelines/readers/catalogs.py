"""Catalogs of objects (CSV and relatives, FITS tables, HDF5 columns) as tables whose identifiers survive.

Convention: an identifier is text. SDSS and Gaia numbers have 18 and 19 digits and a float64 keeps 15.9, so a column that
looks like one is never read as a number. Numbers are float64 or int64, missing cells NaN; column names stay as the
survey wrote them. Numbers that stand for "missing" (-99, -999, -9999 and +99, +999 in magnitudes) count as missing only
where they stand alone, far from every other value of their column.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd

from sciml.pipelines.errors import DataError, suggest

from . import files, fits
from .hdf5 import open_hdf5
from .skipped import listed

MISSING_WORDS = [
    "--",
    "-",
    "\\N",
    "masked",
    "missing",
    "nan",
    "NaN",
    "null",
    "NULL",
    "none",
    "None",
    "N/A",
    "n/a",
    "NA",
    "<NA>",
]
_NUMERIC_SHARE = 0.9  # a column with at least this share of numbers is numeric, and its other cells are mistakes
_EXACT = 2**53  # integers beyond it change when they become float64
_SAMPLE = 300  # lines looked at to tell identifiers from numbers
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
        frame = _text(path)
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


# --- text


def _text(path: Path) -> pd.DataFrame:
    """CSV and relatives: comments skipped, delimiter told from the header, identifiers kept as text."""
    text, notes = _decoded(path), []
    header, delimiter, body = _layout(text, path)
    names = _unique(header, notes)
    sample = _parse(path, "\n".join(body[:_SAMPLE]), names, delimiter, str, notes=None)
    kept = {name: str for name in names if is_id_name(name) or _looks_like_id(sample[name])}
    frame = _parse(path, "\n".join(body), names, delimiter, kept, notes)
    frame.attrs["sciml_notes"] = notes
    return frame


def _decoded(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}", hint="check its permissions") from error
    for encoding in ("utf-16",) if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "latin-1"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text
    raise DataError(f"{path} is not text: it holds zero bytes", hint="give a CSV, a FITS table or an HDF5 file")


def _layout(text: str, path: Path) -> tuple[list[str], str, list[str]]:
    """Column names, delimiter, lines of the body. A comment line just before the data may be the header (TOPCAT)."""
    lines = [line for line in text.splitlines() if line.strip()]
    first = next((i for i, line in enumerate(lines) if not line.lstrip().startswith("#")), None)
    if first is None:
        raise DataError(f"{path} holds no table: only blank lines and comments", hint="check the export")
    delimiter = _delimiter(lines[first])
    header = _cells(lines[first], delimiter)
    if all(map(_is_number, header)):
        commented = _cells(lines[first - 1].lstrip("# "), _delimiter(lines[first - 1].lstrip("# "))) if first else []
        if len(commented) != len(header) or all(map(_is_number, commented)):
            raise DataError(
                f"{path} has no header line: it starts with {listed(header, 4)}", hint="write the column names first"
            )
        header, first = commented, first - 1
    body = [line for line in lines[first + 1 :] if not line.lstrip().startswith("#")]
    if not body:
        raise DataError(f"{path} has a header line and no rows", hint="check the export")
    return header, delimiter, body


def _delimiter(line: str) -> str:
    counts = {mark: line.count(mark) for mark in (",", "\t", ";", "|")}
    best = max(counts, key=counts.get)
    return best if counts[best] else (" " if len(line.split()) > 1 else ",")


def _cells(line: str, delimiter: str) -> list[str]:
    cells = line.split() if delimiter == " " else line.strip("\r\n").split(delimiter)
    return [cell.strip().strip('"').strip() for cell in cells]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _unique(header: list[str], notes: list[str]) -> list[str]:
    """Names made unique: a join in a database often yields `ra, dec, ra, dec`."""
    names: list[str] = []
    for i, name in enumerate(header):
        name = name or f"column_{i + 1}"
        new, n = name, 1
        while new in names:
            n += 1
            new = f"{name}.{n}"
        if new != name:
            notes.append(f'column name "{name}" occurs more than once; the later one is called "{new}"')
        names.append(new)
    return names


def _parse(path: Path, body: str, names: list[str], delimiter: str, types, notes: list[str] | None) -> pd.DataFrame:
    """The body as a DataFrame; rows with too many cells are left out and noted."""
    options = dict(
        sep=r"\s+" if delimiter == " " else delimiter, header=None, names=names, dtype=types, na_values=MISSING_WORDS,
        skipinitialspace=True, index_col=False,
    )  # fmt: skip
    try:
        # one row too many cells wide moves pandas to index columns, so the width is checked here
        return pd.read_csv(io.StringIO(body), low_memory=False, on_bad_lines="error", **options)
    except pd.errors.ParserError:
        pass
    except (ValueError, OverflowError) as error:
        raise files.damaged(path, error) from error
    bad: list[str] = []
    try:
        frame = pd.read_csv(io.StringIO(body), engine="python", on_bad_lines=lambda row: bad.append(row[0]), **options)
    except (ValueError, OverflowError) as error:
        raise files.damaged(path, error) from error
    if notes is not None and bad:
        notes.append(f"{len(bad)} rows with more cells than the {len(names)} columns are left out: {listed(bad)}")
    return frame


def _looks_like_id(cells: pd.Series) -> bool:
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
    if not known.any() or good.sum() < _NUMERIC_SHARE * known.sum() or _looks_like_id(text):
        if good.sum() > 0.5 * known.sum():
            wrong = text[known & ~good]
            notes.append(
                f'column {name}: {len(wrong)} of {int(known.sum())} cells are text such as "{wrong.iloc[0]}": taken as categories'
            )
        return text.map(lambda value: None if value is None or str(value).strip() == "" else str(value).strip())
    wrong = text[known & ~good]
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
