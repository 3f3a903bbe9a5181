"""Labels from a column: its values as they are, or a rule such as "P_MG>0.4" or "gz2_class~(m)".

A label is an int64 position in the class names; -1 means that the object has no label and is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.readers.catalogs import column_of
from sciml.pipelines.readers.skipped import listed

_RULE = re.compile(r"^(?P<column>.+?)\s*(?P<sign>>=|<=|>|<|~)\s*(?P<value>.+)$")
_MOST_CLASSES = 20


@dataclass(frozen=True, eq=False)
class Labels:
    """values int64 [n] with -1 for none; class names; the column they come from; notes."""

    values: np.ndarray
    classes: tuple[str, ...]
    column: str
    notes: tuple[str, ...] = ()


def make_labels(frame: pd.DataFrame, label: str, classes: tuple[str, ...] = (), where: object = "the table") -> Labels:
    """Labels of every row.

    Args:
        label: a column name, or a rule: column>number (also >=, <, <=) or column~text (contains).
        classes: values in class order, each "value" or "value=name"; values not listed have no label.

    Raises:
        DataError: no such column, too many values, or values in `classes` that do not occur.
        SettingsError: a rule that compares with text.
    """
    rule = None if label in frame.columns else _RULE.match(label)
    if rule is not None:
        return _by_rule(frame, rule, classes, where)
    column = column_of(frame, label, where)
    text = _as_text(frame[column])
    present = sorted({value for value in text if value is not None}, key=_by_number)
    if classes:
        wanted = {
            value.strip(): (name or value).strip() for value, _, name in (entry.partition("=") for entry in classes)
        }
        absent = [value for value in wanted if value not in present]
        if absent:
            raise DataError(
                f'{where}: column "{column}" has no value "{absent[0]}"; it has {listed(present, 12)}',
                hint="values as they stand in the file",
            )
    else:
        if len(present) > _MOST_CLASSES:
            raise DataError(
                f'{where}: column "{column}" has {len(present)} values ({listed(present)}), too many to be classes',
                hint=f'name some with --classes, or give a rule: --label "{column}>0.5" or "{column}~text"',
            )
        wanted = {value: value for value in present}
    order = {value: i for i, value in enumerate(wanted)}
    values = np.array([order.get(value, -1) for value in text], np.int64)
    others = sorted({value for value in text if value is not None and value not in order}, key=_by_number)
    notes = [f'{int((values < 0).sum())} rows have no label in "{column}"'] if (values < 0).any() else []
    notes += [f"values that are no class: {listed(others, 6)}"] if others else []
    return Labels(values, tuple(wanted.values()), column, tuple(notes))


def _by_rule(frame: pd.DataFrame, rule: re.Match, classes: tuple[str, ...], where: object) -> Labels:
    column, sign, value = column_of(frame, rule["column"].strip(), where), rule["sign"], rule["value"].strip()
    if len(classes) not in (0, 2):
        raise SettingsError(f"--classes names {len(classes)} classes; a rule makes two")
    names = tuple(entry.partition("=")[2] or entry for entry in classes) or ("no", "yes")
    cells = frame[column]
    if sign == "~":
        text = _as_text(cells)
        values = np.array([-1 if cell is None else int(value in cell) for cell in text], np.int64)
    else:
        try:
            number = float(value)
        except ValueError:
            raise SettingsError(
                f'--label "{rule[0]}": "{value}" is not a number', hint='text is matched with ~: "gz2_class~(m)"'
            ) from None
        if cells.dtype.kind not in "iufb":
            raise DataError(
                f'{where}: column "{column}" holds text, which {sign} cannot compare', hint="text is matched with ~"
            )
        known, x = cells.notna().to_numpy(), cells.to_numpy(float)
        passed = {">": x > number, ">=": x >= number, "<": x < number, "<=": x <= number}[sign]
        values = np.where(known, passed, -1).astype(np.int64)
    missing = int((values < 0).sum())
    return Labels(values, names, column, (f'{missing} rows have no value in "{column}"',) if missing else ())


def _as_text(cells: pd.Series) -> list[str | None]:
    """Values as they would stand in a file: 1.0 of a column of whole numbers is "1"."""
    if cells.dtype.kind == "f" and bool((cells.dropna() == cells.dropna().round()).all()):
        return [None if np.isnan(value) else str(int(value)) for value in cells]
    if cells.dtype.kind == "b":
        return [str(int(value)) for value in cells]
    return [None if pd.isna(value) or not str(value).strip() else str(value).strip() for value in cells]


def _by_number(text: str) -> tuple[int, float, str]:
    try:
        return (0, float(text), text)
    except ValueError:
        return (1, 0.0, text)
