"""What identifies an object: one column, several joined by "-", a snapshot with its subhalo, or the number of the row.

An identifier is text. Rows without one, and all but the first of rows that repeat one, are left out and named; rows that
repeat one with different labels are all left out, for nobody knows which of them is right.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sciml.pipelines.readers import catalogs
from sciml.pipelines.readers.galaxy_zoo import check_ids
from sciml.pipelines.readers.skipped import Skipped

from . import roles
from .labels import make_labels
from .settings import Choice
from .sources import ImageSet

ID = "id"


def identified(frame: pd.DataFrame, choice: Choice, pictures: ImageSet | None, made) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows with an identifier of their own, and the identifiers; `made` takes notes, roles and what is left out.

    Raises:
        DataError: identifiers that lost digits, or more rows left out than --most-skipped allows.
    """
    ids, name = _ids(frame, choice, pictures, made)
    check_ids(ids, name, choice.table[0] if choice.table else "the set of images")
    for part in name.split("+"):
        if part in frame and roles.nuisance_kind(part) is None:
            made.roles[part] = "identifier"
    rows = Skipped("rows")
    known = (ids.notna() & (ids != "")).to_numpy(bool)
    for i in np.flatnonzero(~known):
        rows.add(f"no {name}", f"row {i + 1}")
    keep = known & ~ids.duplicated(keep="first").to_numpy(bool)
    if (known & ~keep).any():
        label = None if choice.label is None else make_labels(frame, choice.label, choice.classes).values
        keep &= ~_repeated(ids, name, known, label, rows)
    rows.refuse_beyond(choice.most_skipped, len(frame))
    if len(rows):
        made.skipped.append(rows)
    return frame[keep].reset_index(drop=True), ids[keep].to_numpy(str)


def _repeated(ids: pd.Series, name: str, known: np.ndarray, label: np.ndarray | None, rows: Skipped) -> np.ndarray:
    """True for rows whose identifier comes with several labels; every repetition is entered in `rows`."""
    contradicts = np.zeros(len(ids), bool)
    several = known & ids.duplicated(keep=False).to_numpy(bool)
    for value, here in ids[several].groupby(ids[several], sort=False).indices.items():
        place = np.flatnonzero(several)[here]
        if label is not None and len(set(label[place])) > 1:
            rows.add(f"the same {name} with different labels", value)
            contradicts[place] = True
        else:
            rows.add(f"a repeated {name}; the first is kept", value)
    return contradicts


def _ids(frame: pd.DataFrame, choice: Choice, pictures: ImageSet | None, made) -> tuple[pd.Series, str]:
    """The identifier of each row, and the name of its column; several columns are joined by "-"."""
    if choice.id is not None:
        where = choice.table[0] if choice.table else "the set of images"
        names = [catalogs.column_of(frame, part.strip(), where) for part in choice.id.split("+")]
        return text(frame, names), "+".join(names)
    named = [c for c in frame.columns if c == ID or catalogs.is_id_name(c)]
    snapshot = next((c for c in frame.columns if roles.nuisance_kind(c) == "snapshot"), None)
    choices = [[c] for c in named] + ([[snapshot, c] for c in named] if snapshot is not None else [])
    if pictures is not None and named:
        objects = set(pictures.objects)
        hits = [len(objects & set(text(frame, names).dropna())) for names in choices]
        best = choices[int(np.argmax(hits))]
        if max(hits) and not text(frame, best).duplicated().any():
            return text(frame, best), "+".join(best)
    for names in choices:
        if not text(frame, names).dropna().duplicated().any():
            if len(names) > 1:
                made.notes.append(f"{names[1]} repeats between snapshots: objects are called {snapshot}-{names[1]}")
            return text(frame, names), "+".join(names)
    if named:
        return text(frame, named[:1]), named[0]
    made.notes.append("no column identifies the objects: they are called by their row number (--id names one)")
    return pd.Series([f"row{i + 1}" for i in range(len(frame))], index=frame.index, dtype=object), "row"


def text(frame: pd.DataFrame, names: list[str]) -> pd.Series:
    """The cells of some columns as text, joined by "-"; None where one is missing."""
    parts = [frame[name].astype(object).where(frame[name].notna(), None) for name in names]
    rows = [
        None if any(v is None for v in row) else "-".join(_cell(v) for v in row) for row in zip(*parts, strict=True)
    ]
    return pd.Series(rows, index=frame.index, dtype=object)


def _cell(value: object) -> str:
    """A float64 column of whole numbers is a column of integers with gaps."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
