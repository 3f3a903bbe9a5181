"""Delimited text: CSV, TSV, blank-separated columns, with comments and quotes, as a table of strings and numbers.

The delimiter is told from the header line, which may be a comment just before the data (TOPCAT writes it so). A row with
more cells than the header is left out and noted; one with fewer is noted, its last cells are missing.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from sciml.pipelines.errors import DataError

from . import files
from .skipped import listed

MISSING_WORDS = [
    "--", "-", "\\N", "masked", "missing", "nan", "NaN", "null", "NULL", "none", "None", "N/A", "n/a", "NA", "<NA>",
]  # fmt: skip
_SAMPLE = 300  # lines looked at to tell text from numbers


def read(path: Path, keep_text: Callable[[str, pd.Series], bool]) -> pd.DataFrame:
    """The table; `attrs["sciml_notes"]` names what was left out.

    Args:
        keep_text: of a column's name and its first cells: True keeps the column as text.

    Raises:
        DataError: not text, no header, or no rows.
    """
    text, notes = _decoded(path), []
    try:
        header, delimiter, body = _layout(text, path)
        names = _unique(header, notes)
        body = _of_width(body, len(names), delimiter, notes)
    except csv.Error as error:
        raise files.damaged(path, error) from error
    if not body:
        raise DataError(f"{path}: {notes[-1]}; no row is left", hint="does the header belong to these rows?")
    sample = _parse(path, body[:_SAMPLE], names, delimiter, str)
    kept = {name: str for name in names if keep_text(name, sample[name])}
    frame = _parse(path, body, names, delimiter, kept)
    for name in names:
        if frame[name].dtype.kind == "O":
            frame[name] = frame[name].map(lambda cell: cell.strip() if isinstance(cell, str) else cell)
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
    if delimiter == " ":
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line.strip("\r\n")], delimiter=delimiter, skipinitialspace=True))]


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


def _of_width(body: list[str], width: int, delimiter: str, notes: list[str]) -> list[str]:
    """Lines with at most `width` cells; a delimiter at the end of a line counts for nothing."""
    if any(line.count('"') % 2 for line in body):
        body = _unfolded(body, delimiter)
    kept, wide, short = [], [], 0
    for number, line in enumerate(body, 1):
        if delimiter != " " and line.count(delimiter) == width - 1:
            kept.append(line)
            continue
        cells = _cells(line, delimiter)
        if len(cells) == width + 1 and not cells[-1] and line.rstrip().endswith(delimiter):
            kept.append(line.rstrip()[: -len(delimiter)])
        elif len(cells) > width:
            wide.append(number)
        else:
            kept.append(line)
            short += len(cells) < width
    if wide:
        notes.append(f"{len(wide)} rows with more cells than the {width} columns are left out (rows {listed(wide)})")
    if short:
        notes.append(f"{short} rows have fewer cells than the {width} columns: their last cells are missing")
    return kept


def _unfolded(body: list[str], delimiter: str) -> list[str]:
    """Rows whose quoted cells run over several lines, each as one line."""
    lines = []
    for row in csv.reader(io.StringIO("\n".join(body)), delimiter=delimiter, skipinitialspace=True):
        line = io.StringIO()
        csv.writer(line, delimiter=delimiter, lineterminator="").writerow(" ".join(cell.split()) for cell in row)
        lines.append(line.getvalue())
    return lines


def _parse(path: Path, body: list[str], names: list[str], delimiter: str, types) -> pd.DataFrame:
    options = dict(
        sep=r"\s+" if delimiter == " " else delimiter, header=None, names=names, dtype=types, na_values=MISSING_WORDS,
        skipinitialspace=True, index_col=False, low_memory=False,
    )  # fmt: skip
    try:
        return pd.read_csv(io.StringIO("\n".join(body)), **options)
    except (ValueError, OverflowError) as error:  # a ParserError is a ValueError
        raise files.damaged(path, error) from error
