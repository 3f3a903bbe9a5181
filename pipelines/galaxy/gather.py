"""From files to a catalog: tables joined, images matched and looked at, each column given its role, everything counted.

Order of the work: tables -> identifiers -> labels -> roles -> images -> measurements. What is left out stands in `Gathered.skipped`, what
was changed or decided in `Gathered.notes`; a share of losses above --most-skipped is an error.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from sciml.pipelines.compute.threads import convolutions, probe, using
from sciml.pipelines.errors import DataError
from sciml.pipelines.progress import Progress
from sciml.pipelines.readers import catalogs
from sciml.pipelines.readers.skipped import Skipped, listed

from . import labels as labelling
from . import roles
from .catalog import Catalog
from .identifiers import ID, identified, text
from .joining import match_ids, match_positions
from .measured import COLUMNS, with_measurements
from .near_copies import GROUP_OPTION, find_near_copies, grouped_by_copies
from .packed import is_packed, open_packed
from .pictures import ROW, attach
from .settings import Choice
from .sources import ImageSet, Table, open_images, open_table
from .splits import ranked

# options that a packed file has answered already
_DECIDED = (
    "id", "image_id", "pattern", "bands", "image_size", "label", "classes", "group", "inputs", "categorical", "nuisance", "ra",
)  # fmt: skip


@dataclass(eq=False)
class Gathered:
    """A catalog and how it came about."""

    catalog: Catalog
    notes: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    roles: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Everything left out or decided, one line each."""
        return [*(line for part in self.skipped for line in part.lines()), *self.notes]

    def to_dict(self) -> dict:
        """For JSON."""
        left_out = {part.kind: part.to_dict() for part in self.skipped if len(part)}
        return {"notes": self.notes, "left_out": left_out, "roles": self.roles}


def gather(choice: Choice, progress: Progress | None = None) -> Gathered:
    """Read what a command was given.

    Raises:
        DataError: nothing usable, nothing matches, or more was left out than --most-skipped allows.
    """
    progress = progress or Progress()
    if is_packed(choice.images) and not choice.table:
        return _measured(_limited(_packed(choice), choice), choice, progress)
    if choice.images is None and not choice.table:
        raise DataError("neither images nor a table were given", hint="name them with --images and --table")
    made = Gathered(Catalog(np.array([], str), pd.DataFrame()))
    pictures = open_images(choice.images, choice.pattern, choice.bands) if choice.images is not None else None
    if pictures is not None:
        made.notes += pictures.notes
        made.skipped += [part for part in pictures.skipped if len(part)]
    frame = _tables(choice, pictures, made)
    frame, ids = identified(frame, choice, pictures, made)
    frame, ids, label = _labelled(frame, ids, choice, made)
    catalog = _roles(frame, ids, label, choice, made)
    if pictures is not None:
        catalog = attach(catalog, frame, pictures, choice, made, progress, os.cpu_count() or 1)
    return _measured(_limited(Gathered(catalog, made.notes, made.skipped, made.roles), choice), choice, progress)


def gather_in_threads(choice: Choice, progress: Progress, threads: int | None = None) -> Gathered:
    """`gather` where nothing has set the threads of torch: measuring takes as many as pay, unless `threads` says."""
    if not choice.measure:
        return gather(choice, progress)
    with using(threads or probe(convolutions())):
        return gather(choice, progress)


def _packed(choice: Choice) -> Gathered:
    """A packed file brings its own labels and roles; columns may still be left out."""
    made = Gathered(open_packed(choice.images))
    given = [f"--{name.replace('_', '-')}" for name in _DECIDED if getattr(choice, name)]
    given += ["--field"] * (choice.field != 1.0)
    if given:
        made.notes.append(f"{choice.images.name} is packed: {', '.join(given)} were decided when it was made")
    if choice.leave_out:
        made.catalog = made.catalog.without(choice.leave_out)
    return made


def _measured(made: Gathered, choice: Choice, progress: Progress) -> Gathered:
    """With the measurements that --measure asks for; a packed file brings those it was made with."""
    if choice.measure:
        made.catalog, notes = with_measurements(made.catalog, progress)
        made.notes += notes
        if made.roles:
            made.roles |= dict.fromkeys(COLUMNS, "input")
    return made


# --- tables


def _tables(choice: Choice, pictures: ImageSet | None, made: Gathered) -> pd.DataFrame:
    """All tables as one; without any, what the images bring (folder names, columns of their file)."""
    if not choice.table:
        frame = pd.DataFrame({ID: pictures.objects})
        if pictures.frame is not None:
            frame = pd.concat([frame, pictures.frame.drop(columns=[ID], errors="ignore")], axis=1)
        return frame.drop_duplicates(ID, ignore_index=True)
    opened = [open_table(path) for path in choice.table]
    for path, table in zip(choice.table, opened, strict=True):
        made.notes += [f"{path.name}: {note}" for note in table.notes]
        made.skipped += [part for part in table.skipped if len(part)]
        for part in table.skipped:
            part.refuse_beyond(choice.most_skipped, len(part) + len(table.frame))
    frame = opened[0].frame
    if pictures is not None and pictures.by_row and choice.image_id is None:
        if len(frame) != len(pictures.names):
            raise DataError(
                f"{choice.images} holds {len(pictures.names)} images and {choice.table[0]} {len(frame)} rows",
                hint="a stack goes by the row of the first table; name a column of row numbers with --image-id otherwise",
            )
        frame, made.roles[ROW] = frame.assign(**{ROW: pictures.names}), "image"
    for path, table in zip(choice.table[1:], opened[1:], strict=True):
        frame = _joined(frame, table, choice, path.name, made)
    if pictures is not None and pictures.frame is not None:
        extra = Table(pictures.frame.assign(**{ID: pictures.objects}) if ID not in pictures.frame else pictures.frame)
        if choice.label is not None and choice.label not in frame and choice.label in extra.frame:
            frame = _joined(frame, extra, choice, "the images", made)
    return frame


def _joined(left: pd.DataFrame, other: Table, choice: Choice, name: str, made: Gathered) -> pd.DataFrame:
    """`left` with the columns of another table, by a shared identifier or by position; rows without a partner go."""
    right = other.frame
    pair = _shared_id(left, right, choice.id)
    if pair is not None:
        mine, its = text(left, [pair[0]]).fillna(""), text(right, [pair[1]]).fillna("")
        keep = (~its.duplicated() & (its != "")).to_numpy(bool)
        if not keep.all():
            made.notes.append(f"{name}: {int((~keep).sum())} rows repeat or lack {pair[1]}; the first of each is used")
        right = right[keep].reset_index(drop=True)
        match = match_ids(mine.to_numpy(str), its[keep].to_numpy(str), f"{pair[0]} = {pair[1]}")
    else:
        mine, its = _positions(left, choice), roles.position_columns(right.columns)
        if mine is None or its is None:
            raise DataError(
                f"{name} cannot be joined: it shares neither an identifier nor a position with {choice.table[0].name}",
                hint=f"its columns are {listed(right.columns, 8)}; name the shared one with --id",
            )
        match = match_positions(
            (left[mine[0]].to_numpy(float), left[mine[1]].to_numpy(float)),
            (right[its[0]].to_numpy(float), right[its[1]].to_numpy(float)),
            choice.match_radius,
        )
    if not len(match.left):
        raise DataError(
            f"{name}: nothing matches {choice.table[0].name} by {match.by}", hint="check --id or --match-radius"
        )
    made.notes += match.lines(choice.table[0].name, name)
    new = [column for column in right.columns if column.casefold() not in {c.casefold() for c in left.columns}]
    parts = [left.iloc[match.left].reset_index(drop=True), right[new].iloc[match.right].reset_index(drop=True)]
    return pd.concat(parts, axis=1)


def _shared_id(left: pd.DataFrame, right: pd.DataFrame, wanted: str | None) -> tuple[str, str] | None:
    """The pair of identifier columns with most values in common; None if none has any."""
    best, most = None, 0
    names = [wanted] if wanted in left.columns else [c for c in left.columns if catalogs.is_id_name(c) or c == ID]
    for a in names:
        values = set(text(left, [a]).dropna())
        for b in right.columns:
            if not (catalogs.is_id_name(b) or b.casefold() == a.casefold() or b == ID):
                continue
            common = len(values & set(text(right, [b]).dropna()))
            if common > most:
                best, most = (a, b), common
    return best


def _positions(frame: pd.DataFrame, choice: Choice) -> tuple[str, str] | None:
    if choice.ra is not None:
        return catalogs.column_of(frame, choice.ra, "the table"), catalogs.column_of(frame, choice.dec, "the table")
    return roles.position_columns(frame.columns)


# --- labels


def _labelled(
    frame: pd.DataFrame, ids: np.ndarray, choice: Choice, made: Gathered
) -> tuple[pd.DataFrame, np.ndarray, labelling.Labels | None]:
    """Rows with a label."""
    if choice.label is None:
        return frame, ids, None
    where = choice.table[0].name if choice.table else "the set of images"
    label = labelling.make_labels(frame, choice.label, choice.classes, where)
    made.notes += label.notes
    made.roles[label.column] = "label"
    keep = label.values >= 0
    if not keep.any():
        raise DataError(f"{where}: no row has a label in {choice.label}")
    label = labelling.Labels(label.values[keep], label.classes, label.column)
    return frame[keep].reset_index(drop=True), ids[keep], label


# --- roles


def _roles(
    frame: pd.DataFrame, ids: np.ndarray, label: labelling.Labels | None, choice: Choice, made: Gathered
) -> Catalog:
    """A catalog without images: each column is an input, a nuisance, withheld, or ignored."""
    where = choice.table[0].name if choice.table else "the set of images"
    known = {option: [catalogs.column_of(frame, n, where) for n in getattr(choice, option, ())]
             for option in ("inputs", "nuisance", "leave_out", "categorical", "auxiliary")}  # fmt: skip
    asked = choice.group is not None and not _by_copies(frame, choice)
    group = catalogs.column_of(frame, choice.group, where) if asked else _tracked(frame, made)
    position = _positions(frame, choice) or ()
    why: dict[str, list[str]] = {}
    for name in frame.columns:
        role = made.roles.get(name) or _role(name, frame, known, group, position, choice)
        made.roles[name] = role
        if role.startswith("withheld: "):
            why.setdefault(role.removeprefix("withheld: "), []).append(name)
    made.notes += [f"not shown to the model ({reason}): {', '.join(names)}" for reason, names in why.items()]
    chosen = lambda *starts: [n for n in frame.columns if made.roles[n].startswith(starts)]  # noqa: E731
    table = pd.DataFrame({n: _input(n, frame[n], known["categorical"], n in known["inputs"]) for n in chosen("input")})
    nuisance = pd.DataFrame({n: _plain(frame[n]) for n in chosen("nuisance", "position")})
    withheld = frame[[n for n in chosen("withheld") if frame[n].notna().any()]]
    catalog = Catalog(
        ids=ids,
        table=table,
        labels=None if label is None else label.values,
        classes=() if label is None else label.classes,
        groups=None if group is None else _groups(frame, group, ids),
        nuisance=nuisance,
        withheld=withheld,
    )
    return _together(catalog, made) if choice.group is not None and not asked else catalog


def _by_copies(frame: pd.DataFrame, choice: Choice) -> bool:
    """Whether --group asks for near copies; a column of that name comes first."""
    return choice.group == GROUP_OPTION and GROUP_OPTION not in frame.columns


def _together(catalog: Catalog, made: Gathered) -> Catalog:
    """Near copies among the rows in one group."""
    copies = find_near_copies(catalog.table)
    catalog = grouped_by_copies(catalog, copies)
    _, sizes = np.unique(catalog.groups, return_counts=True)
    made.notes.append(
        f"near copies stay together in every split: {copies.rows:,} of {len(catalog):,} rows have one; "
        f"{(sizes > 1).sum():,} groups of several rows, the largest of {sizes.max()}"
    )
    return catalog


def _tracked(frame: pd.DataFrame, made: Gathered) -> str | None:
    """The object column of ids made of snapshot and object: the same object in two snapshots is no independent one."""
    parts = [name for name, role in made.roles.items() if role == "identifier"]
    if len(parts) != 1 or not frame[parts[0]].duplicated().any():
        return None
    made.notes.append(f"rows with the same {parts[0]} stay together in every split (--group names another column)")
    return parts[0]


def _groups(frame: pd.DataFrame, group: str, ids: np.ndarray) -> np.ndarray:
    """Group names; an object without one is a group of its own."""
    names = text(frame, [group])
    return np.where(names.notna(), names.fillna("").astype(str), np.char.add("alone ", ids)).astype(str)


def _role(
    name: str, frame: pd.DataFrame, known: dict[str, list[str]], group: str | None, position, choice: Choice
) -> str:
    if name in known["leave_out"]:
        return "left out"
    if name in known["auxiliary"]:
        return "withheld: learned beside the label"
    if name in known["inputs"]:
        return "input" if frame[name].notna().any() else "withheld: every cell is missing"
    if name == group:
        return "group"
    if name in known["nuisance"]:
        return "nuisance"
    if name in position:
        return "position"
    # a label is told from its name before a nuisance is: votes are neither
    reason = roles.why_withheld(name, frame[name], frame.columns) if name not in known["categorical"] else None
    if reason is not None:
        return f"withheld: {reason}"
    kind = roles.nuisance_kind(name, frame.columns)
    if kind:
        return f"nuisance: {kind}"
    return "withheld: not among --inputs" if choice.inputs else "input"


def _input(name: str, cells: pd.Series, categorical: list[str], asked_for: bool) -> pd.Series:
    """Numbers as float64, codes and words as categories."""
    if cells.dtype.kind in "iufb" and name not in categorical:
        return cells.astype(np.float64)
    text = pd.Series(labelling._as_text(cells), index=cells.index, dtype=object)
    if asked_for and text.nunique() > roles._MOST_VALUES:
        raise DataError(
            f'column "{name}" holds text such as "{text.dropna().iloc[0]}", {text.nunique()} different values, where numbers belong',
            hint="mend the column, or take it out of --inputs",
        )
    return text.astype("category")


def _plain(cells: pd.Series) -> pd.Series:
    return (
        cells.astype(np.float64)
        if cells.dtype.kind in "iufb"
        else cells.astype(object).where(cells.notna(), "").astype(str)
    )


def _limited(made: Gathered, choice: Choice) -> Gathered:
    """At most --limit objects, each class in proportion, chosen by the hash of their ids."""
    n = len(made.catalog)
    if choice.limit is None or choice.limit >= n:
        return made
    keep = ranked(made.catalog, choice.seed)[: choice.limit]
    made.catalog = made.catalog.take(np.sort(keep))
    made.notes.append(f"--limit: {choice.limit:,} of {n:,} objects")
    return made
