"""Delimited text to a table: any encoding, delimiter and decimal mark in use at weather services.

Convention: column names and cells in Unicode NFC (macOS writes Hangul decomposed); the index, named "line", is the
line number in the file, so that every later message can point at it. Numbers become float64 or int64, missing markers
NaN.
"""

import codecs
import csv
import io
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd

from sciml.pipelines.errors import DataError

from . import files, names
from .times import parse_times

__all__ = ["parse_times", "read_table"]

MISSING_WORDS = {"", "na", "n/a", "#n/a", "nan", "null", "none", "m", "-", "--", ".", "missing", "#value!", "결측"}
# Numbers that only ever stand for "missing"; -9 and -99 are left alone: they are temperatures.
MISSING_NUMBERS = (-999.0, -999.9, -9999.0, -9999.9, -99999.0)
_DELIMITERS = (",", ";", "\t", "|")
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table with one header line.

    Args:
        path: CSV and its relatives; lines that start with "#" are comments.

    Returns:
        Table indexed by line number; `attrs["sciml_notes"]` lists rows dropped and markers replaced.

    Raises:
        DataError: missing, empty or binary file; no rows; repeated column names; a row of another length (with its
            line).
    """
    path = Path(path)
    kind = files.kind_of(path)
    if kind in ("hdf5", "netcdf3", "zarr"):
        raise DataError(f"{path} is a {kind} data set, not a table", hint="a table is text: CSV with one header line")
    if kind != "text":
        raise files.refuse(path, kind)
    notes: list[str] = []
    rows, lines, delimiter = _split(_decode(path), path)
    header = _header(rows[0], path)
    body = _rectangular(rows[1:], lines[1:], len(header), path)
    if not body:
        raise DataError(f"{path} has a header line and no rows", hint="check the export")
    table = pd.DataFrame(body, columns=header, index=pd.Index(lines[1:], name="line"), dtype=object)
    table = table.loc[:, [not (name.startswith("column ") and (table[name] == "").all()) for name in header]]
    table = _without_summary(table, path, notes)
    columns = {name: _typed(table[name], delimiter == ";", notes) for name in table.columns}
    table = pd.DataFrame(columns, index=table.index)
    table.attrs["sciml_notes"] = notes
    return table


def _decode(path: Path) -> str:
    """The text of the file in NFC; byte order marks decide, then UTF-8, Korean, western European."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}", hint="check its permissions") from error
    encoding = next((name for mark, name in _BOMS if raw.startswith(mark)), None) or _guess(raw)
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not {encoding} text: byte {error.start} cannot be read", hint="save it as UTF-8"
        ) from error
    if "\x00" in text:
        raise DataError(
            f"{path} holds zero bytes: it is binary, or text in an unmarked UTF-16", hint="save it as UTF-8"
        )
    text = text.replace("\xa0", " ").replace("\ufeff", "").replace("\u200b", "")
    return unicodedata.normalize("NFC", text)


def _guess(raw: bytes) -> str:
    """utf-8, euc_kr, cp949 or latin-1.

    "°C" in latin-1 is also a rare Hangul syllable in cp949, so cp949 must show mostly everyday syllables (those of KS
    X 1001).
    """
    for encoding in ("utf-8", "euc_kr", "cp949"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding != "cp949":
            return encoding
        hangul = [char for char in text if "가" <= char <= "힣"]
        everyday = [char for char in hangul if len(char.encode("euc_kr", "ignore")) == 2]
        if len(everyday) > 0.5 * len(hangul):
            return encoding
    return "latin-1"


def _split(text: str, path: Path) -> tuple[list[list[str]], list[int], str]:
    """Rows of trimmed cells, their line numbers, and the delimiter; comments and blank lines are skipped."""
    numbered = [
        (i, line)
        for i, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not numbered:
        raise DataError(f"{path} holds no table: only blank lines and comments", hint="check the export")
    delimiter = _delimiter([line for _, line in numbered[:30]])
    if delimiter == " ":
        return [line.split() for _, line in numbered], [i for i, _ in numbered], delimiter
    if '"' not in text:
        rows = [[cell.strip() for cell in line.split(delimiter)] for _, line in numbered]
        return rows, [i for i, _ in numbered], delimiter
    return _split_quoted(text, delimiter, path)


def _split_quoted(text: str, delimiter: str, path: Path) -> tuple[list[list[str]], list[int], str]:
    """As `_split`, where quoted cells may hold delimiters and line breaks."""
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    rows, lines, start = [], [], 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells) and not cells[0].startswith("#"):
                rows.append(cells)
                lines.append(start)
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path}: line {reader.line_num} cannot be read: {error}", hint="check its quotation marks"
        ) from error
    if not rows:
        raise DataError(f"{path} holds no table: only blank lines and comments", hint="check the export")
    return rows, lines, delimiter


def _delimiter(sample: list[str]) -> str:
    """The delimiter that splits header and rows into the same number of cells; "," for a single column."""
    best, most = "", 0
    for delimiter in _DELIMITERS:
        try:
            counts = [len(row) for row in csv.reader(sample, delimiter=delimiter, skipinitialspace=True)]
        except csv.Error:
            continue
        agree = sum(count == counts[0] for count in counts) if counts else 0
        if counts and counts[0] > 1 and agree >= 0.5 * len(counts) and counts[0] * agree > most:
            best, most = delimiter, counts[0] * agree
    if best:
        return best
    widths = [len(line.split()) for line in sample]
    if widths[0] > 1 and sum(width == widths[0] for width in widths) >= 0.8 * len(widths):
        return " "
    # A comma-separated header above ragged rows: the row check gives the better message.
    return next((delimiter for delimiter in _DELIMITERS if delimiter in sample[0]), ",")


def _header(cells: list[str], path: Path) -> list[str]:
    header = [cell.strip().strip('"').strip() or f"column {i + 1}" for i, cell in enumerate(cells)]
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise DataError(
            f"{path}: column name {repeated[0]!r} occurs {header.count(repeated[0])} times", hint="rename one of them"
        )
    if all(_is_number(name) for name in header):
        raise DataError(
            f"{path} has no header line: it starts with {', '.join(header[:4])}", hint="write the column names first"
        )
    return header


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _rectangular(rows: list[list[str]], lines: list[int], width: int, path: Path) -> list[list[str]]:
    """Rows of one width; empty cells beyond the header are cut."""
    for i, row in enumerate(rows):
        if len(row) > width and not any(row[width:]):
            rows[i] = row[:width]
        elif len(row) != width:
            raise DataError(
                f"{path}: line {lines[i]} has {len(row)} cells, the header has {width}: {', '.join(row[:5])[:80]}",
                hint="quote cells that hold the delimiter, or drop the line",
            )
    return rows


def _without_summary(table: pd.DataFrame, path: Path, notes: list[str]) -> pd.DataFrame:
    """Drop rows at the end whose time and station are both empty: minima, maxima, totals, signatures."""
    if table.empty:
        raise DataError(f"{path} holds no table: every cell is empty", hint="check the export")
    keys = [name for name in table.columns if is_time_column(name) or names.coordinate_name(name) == "station"]
    keys = keys or list(table.columns[:1])
    empty = table[keys].map(lambda cell: cell.casefold() in MISSING_WORDS).all(axis=1).to_numpy()
    kept = len(empty) - int(np.argmin(empty[::-1])) if not empty.all() else 0
    if kept == 0:
        raise DataError(f"{path}: column {keys[0]!r} is empty in every row", hint="check the export")
    if kept < len(table):
        first = table.index[kept]
        notes.append(
            f"{len(table) - kept} rows at the end without {' and '.join(keys)} are left out (from line {first})"
        )
    return table.iloc[:kept]


def is_time_column(name: str) -> bool:
    """True for the header of a time, date or hour column."""
    return name.strip().casefold() in {*names.TIME_COLUMNS, *names.DAY_COLUMNS, *names.HOUR_COLUMNS}


def _typed(cells: pd.Series, decimal_comma: bool, notes: list[str]) -> pd.Series:
    """Numbers where every cell is a number or missing; text otherwise."""
    folded = cells.str.casefold()
    missing = folded.isin(MISSING_WORDS).to_numpy()
    trace = folded.isin({"t", "trace"}).to_numpy()
    texts = cells.str.replace(",", ".", regex=False) if decimal_comma else cells
    # float() would also take "1_000" and "0x1F"; numbers with a leading zero are identifiers or dates.
    numeric = texts.str.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?").to_numpy(dtype=bool, na_value=False)
    padded = texts.str.fullmatch(r"0\d+").to_numpy(dtype=bool, na_value=False)
    if missing.all():
        return pd.Series(np.nan, index=cells.index, name=cells.name)
    if padded.any() or not (numeric | missing | trace).all() or not numeric.any():
        return cells.mask(missing, np.nan)
    values = pd.to_numeric(texts.where(numeric), errors="coerce").astype(float)
    values = values.where(np.isfinite(values))
    if trace.any():
        notes.append(f"column {cells.name!r}: {int(trace.sum())} trace amounts are taken as 0")
        values[trace] = 0.0
    stand_in = values.isin(MISSING_NUMBERS)
    if stand_in.any():
        notes.append(
            f"column {cells.name!r}: {int(stand_in.sum())} values like {values[stand_in].iloc[0]:g} count as missing"
        )
        values = values.mask(stand_in)
    whole = (
        not values.isna().any() and not texts.str.contains(r"[.eE]", regex=True).any() and values.abs().max() < 2**53
    )
    return values.astype(np.int64) if whole else values
