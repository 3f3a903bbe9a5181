"""Images joined to a catalog: matched by name or position, looked at once, brought to one number of bands and one size."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from sciml.pipelines.errors import DataError
from sciml.pipelines.progress import Progress
from sciml.pipelines.readers import catalogs, cutouts, images
from sciml.pipelines.readers.skipped import Skipped, listed

from . import roles
from .catalog import Catalog, Middle, Subset
from .joining import Match, match_ids, match_positions, nothing_matched
from .settings import Choice
from .sources import ImageSet
from .splits import ranked

ROW = "row of the stack"  # column of the numbers that images without names go by
_MOST_THREADS = 8


def attach(
    catalog: Catalog, frame: pd.DataFrame, pictures: ImageSet, choice: Choice, made, progress: Progress, cores: int
) -> Catalog:
    """The catalog with images; `made` takes notes and what is left out.

    Raises:
        DataError: no image matches, or too many are unusable.
    """
    match = _match(catalog, frame, pictures, choice, made)
    if choice.table:
        made.notes += match.lines("images", "table")
    _warn_of_snapshots(frame, pictures, made)
    catalog, image_of = _rows(catalog, match, pictures, choice.unmatched)
    if choice.limit is not None and choice.limit < len(catalog):  # before the images are read: that is what takes time
        keep = np.sort(ranked(catalog, choice.seed)[: choice.limit])
        made.notes.append(f"--limit: {choice.limit:,} of {len(catalog):,} objects")
        catalog, image_of = catalog.take(keep), image_of[keep]
    if pictures.cutouts is None:
        return _from_source(catalog, pictures, image_of, choice.field)
    return _from_files(catalog, pictures, image_of, choice, made, progress, min(choice.workers or cores, _MOST_THREADS))


def _warn_of_snapshots(frame: pd.DataFrame, pictures: ImageSet, made) -> None:
    """Say how many rows can have no image because none was made of their snapshot."""
    column = next((name for name in frame.columns if roles.nuisance_kind(name) == "snapshot"), None)
    if pictures.snapshots is None or column is None:
        return
    outside = frame[column].dropna().loc[lambda cells: ~cells.astype(int).isin(list(pictures.snapshots))]
    if len(outside):
        counts = ", ".join(f"{int(n)}: {count:,}" for n, count in outside.value_counts().sort_index().items())
        first, last = pictures.snapshots[0], pictures.snapshots[-1]
        made.notes.append(
            f"{len(outside):,} rows lie in snapshots without mocks, which exist for {first} to {last} ({counts})"
        )


def _match(catalog: Catalog, frame: pd.DataFrame, pictures: ImageSet, choice: Choice, made) -> Match:
    """Images (left) to rows (right)."""
    column, keys = _image_keys(catalog, frame, pictures, choice)
    match = match_ids(pictures.objects, keys, column)
    if len(match.left):
        if column not in made.roles or made.roles[column].startswith("input"):
            made.roles[column] = "image"
        return replace(match, right_only=tuple(catalog.ids[np.setdiff1d(np.arange(len(catalog)), match.right)]))
    place = (choice.ra, choice.dec) if choice.ra else roles.position_columns(frame.columns)
    if place is not None and pictures.cutouts is not None:
        seen = np.array([cutouts.sky_position(cutout) for cutout in pictures.cutouts], float).reshape(-1, 2)
        if np.isfinite(seen).all(axis=1).any():
            table = tuple(frame[catalogs.column_of(frame, name, "the table")].to_numpy(float) for name in place)
            match = match_positions((seen[:, 0], seen[:, 1]), table, choice.match_radius, (pictures.names, catalog.ids))
    if not len(match.left):
        raise nothing_matched(keys, pictures.objects, f'table (column "{column}")', "images")
    return match


def _image_keys(catalog: Catalog, frame: pd.DataFrame, pictures: ImageSet, choice: Choice) -> tuple[str, np.ndarray]:
    """The column whose values, or the stems of the files they name, are most often the name of an image."""
    objects = set(pictures.objects)
    if choice.image_id is not None:
        column = catalogs.column_of(frame, choice.image_id, "the table")
        return column, _keys(frame[column], objects)
    if ROW in frame:
        return ROW, frame[ROW].to_numpy(str)
    best, keys = "id", catalog.ids
    most = len(objects & set(keys))
    for column in frame.columns:
        if frame[column].dtype.kind == "f" or frame[column].nunique() < 0.5 * len(frame):
            continue
        found = _keys(frame[column], objects)
        hits = len(objects & set(found))
        if hits > most:
            best, keys, most = column, found, hits
    return best, keys


def _keys(cells: pd.Series, objects: set[str]) -> np.ndarray:
    text = [str(value).strip() if pd.notna(value) else "" for value in cells]
    return np.array([t if t in objects or not t else cutouts.stem(Path(t)) for t in text], dtype=str)


def _rows(catalog: Catalog, match: Match, pictures: ImageSet, unmatched: str) -> tuple[Catalog, np.ndarray]:
    """One row per image, in the order of the table; several views of an object become rows of one group."""
    order = np.argsort(match.right, kind="stable")
    rows, shown = match.right[order], match.left[order]
    if unmatched == "keep":
        absent = np.setdiff1d(np.arange(len(catalog)), rows)
        rows, shown = np.concatenate([rows, absent]), np.concatenate([shown, np.full(len(absent), -1)])
        order = np.argsort(rows, kind="stable")
        rows, shown = rows[order], shown[order]
    if len(np.unique(rows)) == len(rows):
        return catalog.take(rows), shown
    # views: the rows repeat, so the ids must say which view they are, and the object is the group
    names = np.where(shown >= 0, pictures.names[np.maximum(shown, 0)], catalog.ids[rows])
    parts = {n: None if getattr(catalog, n) is None else getattr(catalog, n)[rows] for n in ("labels", "groups")}
    frames = {n: getattr(catalog, n).iloc[rows] for n in ("table", "nuisance", "withheld")}
    parts["groups"] = catalog.ids[rows] if parts["groups"] is None else parts["groups"]
    return Catalog(ids=names, classes=catalog.classes, **parts, **frames), shown


def _from_source(catalog: Catalog, pictures: ImageSet, image_of: np.ndarray, field: float) -> Catalog:
    whole = pictures.source
    source = Subset(whole if field == 1.0 else Middle(whole, field), np.maximum(image_of, 0))
    source.present = source.present & (image_of >= 0)
    return replace(catalog, images=source)


def _from_files(
    catalog: Catalog, pictures: ImageSet, image_of: np.ndarray, choice: Choice, made, progress: Progress, workers: int
) -> Catalog:
    """Each file is read once here; those that cannot be used go, with their rows unless these are kept."""
    wanted = {catalog.ids[row]: pictures.cutouts[i] for row, i in enumerate(image_of) if i >= 0}
    with progress.task("look at images", len(wanted), "images") as task:
        facts, skipped = cutouts.inspect_all(wanted, workers=workers, advance=task.advance)
    _same_bands(facts, wanted, skipped)
    if len(skipped):
        made.skipped.append(skipped)
    skipped.refuse_beyond(choice.most_skipped, len(wanted))
    shape = _shape(facts, choice, made)
    levels = {fact.levels for fact in facts.values()}
    level = levels.pop() if len(levels) == 1 else 0
    if choice.unmatched == "drop":
        catalog = catalog.take(np.array([name in facts for name in catalog.ids], bool))
    bands = choice.bands or pictures.bands or images.default_bands(shape[0], level)
    source = cutouts.CutoutFiles(
        [wanted[name] if name in facts else None for name in catalog.ids],
        bands,
        shape,
        how=choice.fit,
        levels=level,
        field=choice.field,
    )
    filled = [name for name, fact in facts.items() if fact.missing]
    if filled:
        made.notes.append(
            f"{len(filled)} images have NaN or infinite pixels, which take the median of their band ({listed(filled)})"
        )
    rows = [facts.get(name) for name in catalog.ids]
    return replace(
        catalog,
        images=source,
        image_facts=_fact_table(rows, source.bands),
        thumbnails=_thumbnails(rows),
        digests=_digests(rows),
    )


def _same_bands(facts: dict[str, cutouts.Facts], wanted: dict, skipped: Skipped) -> None:
    """Leave out images with another number of bands than most."""
    counts = Counter(fact.shape[0] for fact in facts.values())
    if len(counts) < 2:
        return
    usual = counts.most_common(1)[0][0]
    for name in [name for name, fact in facts.items() if fact.shape[0] != usual]:
        skipped.add(f"{facts[name].shape[0]} bands, most have {usual}", wanted[name].name)
        del facts[name]


def _shape(facts: dict[str, cutouts.Facts], choice: Choice, made) -> tuple[int, int, int]:
    """One shape for all: --image-size, else the most common size, else (no common one) a square of the median side."""
    if not facts:
        raise DataError("no image can be used", hint="look at one of them with another program")
    n_band = next(iter(facts.values())).shape[0]
    sizes = Counter(tuple(max(1, round(choice.field * n)) for n in fact.shape[1:]) for fact in facts.values())
    (height, width), count = sizes.most_common(1)[0]
    if choice.image_size is not None:
        height = width = choice.image_size
    elif count < 0.5 * len(facts):
        height = width = int(np.median([max(size) for size in sizes.elements()]))
    others = len(facts) - sizes.get((height, width), 0)
    if others:
        verb = "resampled" if choice.fit == "resize" else "cut or padded"
        shown = listed([f"{h} x {w}" for (h, w), _ in sizes.most_common(4)], 3)
        made.notes.append(f"{others} images of {len(sizes)} sizes ({shown}) are {verb} to {height} x {width} pixels")
    return n_band, height, width


def _fact_table(rows: list[cutouts.Facts | None], bands: tuple[str, ...]) -> pd.DataFrame:
    """What the files are, one row per object; NaN where there is no image."""
    plain = {
        "file bytes": [np.nan if f is None else f.bytes for f in rows],
        "image height": [np.nan if f is None else f.shape[1] for f in rows],
        "image width": [np.nan if f is None else f.shape[2] for f in rows],
        "missing pixels": [np.nan if f is None else f.missing for f in rows],
    }
    for k, band in enumerate(bands):
        plain[f"sky {band}"] = [np.nan if f is None else f.sky[k] for f in rows]
        plain[f"sky noise {band}"] = [np.nan if f is None else f.sky_sd[k] for f in rows]
    return pd.DataFrame(plain, dtype=np.float64)


def _thumbnails(rows: list[cutouts.Facts | None]) -> np.ndarray:
    blank = np.zeros((cutouts.THUMBNAIL, cutouts.THUMBNAIL), np.uint8)
    return np.stack([blank if fact is None else fact.thumbnail for fact in rows])


def _digests(rows: list[cutouts.Facts | None]) -> np.ndarray:
    return np.array(["" if fact is None else fact.digest for fact in rows])
