"""`--measure`: the morphology of each cutout as columns of the table, so that images alone bring image and table.

An image network sees a small, augmented cutout; concentration, asymmetry, Gini, M20 ... (as Rodriguez-Gomez et al. 2019, on the
mean of the bands) and what surrounds the galaxy (`morphology.surroundings`) are taken from the file at its own size, the whole frame.
What the flag calls bad keeps its values, with the flag beside them: that a galaxy cannot be measured tells of a merger. NaN where
there is no image, or no value.

Axes: n object, b band, y x pixels.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sciml.pipelines.checkpoint import write_atomic
from sciml.pipelines.compute.threads import cores
from sciml.pipelines.errors import DataError
from sciml.pipelines.progress import Progress
from sciml.pipelines.readers import images
from sciml.pipelines.readers.cutouts import CutoutFiles
from sciml.pipelines.readers.skipped import listed

from .backbones import measurements
from .catalog import Catalog, ImageSource, Middle, Subset
from .morphology import surroundings
from .morphology.definitions import CATASTROPHIC
from .morphology.measure import FAILURES, measure

PREFIX = "measured "
FLAG = PREFIX + "flag"
COLUMNS = (*(PREFIX + name for name in measurements.COLUMNS), FLAG, *(PREFIX + name for name in surroundings.COLUMNS))
LARGEST = 4096  # pixels a side; a larger image is a field, whose segmentation would need more memory than the run
_AT_ONCE, _PIXELS_AT_ONCE = 4096, 2**27  # images of a block, and their pixels in all bands
_WORTH_PROCESSES = 128  # galaxies for each: a process takes as long to start as to measure 100 cutouts of 224 px
_WORTH_A_THREAD = 16
_NOTHING = np.zeros((1, 0, 0))


def is_measured(name: str) -> bool:
    """True for a column that `--measure` made."""
    return name in COLUMNS


def with_measurements(
    catalog: Catalog, progress: Progress | None = None, kept: Path | None = None
) -> tuple[Catalog, list[str]]:
    """The catalog with COLUMNS in its table, and notes; a catalog that has them already comes back as it is.

    Args:
        kept: a file (.npz) of what was measured on these objects before, written where it is not there.

    Raises:
        DataError: it has no images.
    """
    if set(COLUMNS) <= set(catalog.table.columns):
        return catalog, ["the table holds measurements already: they are kept"]
    if catalog.images is None:
        raise DataError("--measure: there are no images to measure", hint="give them with --images")
    frame = _stored(kept, catalog.ids)
    if frame is None:
        frame = measure_source(catalog.images, catalog.images.present, progress)
        if kept is not None:
            buffer = io.BytesIO()
            np.savez(buffer, ids=catalog.ids.astype(str), values=frame.to_numpy())
            write_atomic(kept, buffer.getvalue())
    failed = np.flatnonzero(catalog.images.present & frame.drop(columns=FLAG).isna().all(axis=1).to_numpy())
    others = catalog.table.drop(columns=list(COLUMNS), errors="ignore")
    whole = pd.concat([others.reset_index(drop=True), frame], axis=1)
    notes = [f"measured {int(catalog.images.present.sum()):,} cutouts: {len(COLUMNS)} columns more"]
    if len(failed):
        notes.append(
            f"{len(failed):,} cutouts could not be measured ({listed([catalog.ids[i] for i in failed])}); their cells are empty"
        )
    return replace(catalog, table=whole), notes


def _stored(kept: Path | None, ids: np.ndarray) -> pd.DataFrame | None:
    """What is in the file, unless it is of other objects."""
    if kept is None or not kept.exists():
        return None
    with np.load(kept, allow_pickle=False) as file:
        if not np.array_equal(file["ids"], ids.astype(str)):
            return None
        return pd.DataFrame(file["values"], columns=list(COLUMNS))


def without_measurements(catalog: Catalog) -> Catalog:
    """The catalog with COLUMNS that are empty, where it lacks them: objects that come without images."""
    lacking = {name: np.full(len(catalog), np.nan) for name in COLUMNS if name not in catalog.table}
    return replace(catalog, table=catalog.table.assign(**lacking))


def measure_source(source: ImageSource, present: np.ndarray, progress: Progress | None = None) -> pd.DataFrame:
    """COLUMNS of n objects.

    One that cannot be read or measured never stops the others.
    """
    values = np.full((len(source), len(COLUMNS)), np.nan)
    read, rows = whole_frame(source), np.flatnonzero(present)
    with (progress or Progress()).task("measure", len(rows), "galaxies") as task:
        for block, shown in _blocks(rows, read):
            values[block] = _measured(shown)
            task.advance(len(block))
    return pd.DataFrame(values, columns=list(COLUMNS))


def whole_frame(source: ImageSource) -> Callable[[int], np.ndarray]:
    """position -> [b, y, x] as the file has it, whatever size and field the network is shown."""
    if isinstance(source, Subset):
        inner, indices = whole_frame(source.source), source.indices
        return lambda i: inner(int(indices[i]))
    if isinstance(source, Middle):
        return whole_frame(source.source)
    if isinstance(source, CutoutFiles):
        return lambda i: images.scaled(*images.read_cutout(source.cutouts[i]))
    return lambda i: source.read(np.array([i]))[0]


def mean_of_bands(image: np.ndarray) -> np.ndarray:
    """[y, x] of [b, y, x]: a pixel that lacks a band is missing, a band without any pixel is left out."""
    seen = np.isfinite(image).any(axis=(1, 2))
    return image[seen if seen.any() else slice(None)].mean(axis=0, dtype=np.float64)


def _blocks(rows: np.ndarray, read: Callable[[int], np.ndarray]) -> Iterator[tuple[list[int], list[np.ndarray]]]:
    """(positions, images [b, y, x]) of as many as memory should hold; an empty image for one that cannot be used."""
    block, shown, pixels = [], [], 0
    for i in rows:
        try:
            image = read(int(i))
        except DataError:
            image = _NOTHING
        if max(image.shape) > LARGEST:
            image = _NOTHING
        block.append(int(i))
        shown.append(image)
        pixels += image.size
        if len(block) == _AT_ONCE or pixels > _PIXELS_AT_ONCE:
            yield block, shown
            block, shown, pixels = [], [], 0
    if block:
        yield block, shown


def _measured(shown: list[np.ndarray]) -> np.ndarray:
    """[m, len(COLUMNS)] of images [b, y, x]; should the block fail, its objects one by one."""
    try:
        return _numbers(shown, min(cores(), len(shown) // _WORTH_PROCESSES))
    except torch.OutOfMemoryError:
        raise
    except FAILURES:
        return np.concatenate([_alone(image) for image in shown])


def _alone(image: np.ndarray) -> np.ndarray:
    try:
        return _numbers([image], 0)
    except FAILURES:
        nothing = np.full((1, len(COLUMNS)), np.nan)
        nothing[0, COLUMNS.index(FLAG)] = CATASTROPHIC
        return nothing


def _numbers(shown: list[np.ndarray], workers: int) -> np.ndarray:
    table = measure([mean_of_bands(image) for image in shown], workers=workers)
    with ThreadPoolExecutor(max(1, min(cores(), len(shown) // _WORTH_A_THREAD))) as threads:  # its time is spent in NumPy and SciPy
        around = np.stack(list(threads.map(surroundings.surroundings, shown)))
    return np.column_stack([measurements.without_scale(table), table["flag"].to_numpy(np.float64), around])
