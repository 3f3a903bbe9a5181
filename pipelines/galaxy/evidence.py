"""What the audit looks at: patterns of missing cells, image files and sky, columns that were worked on before the split.

A value at its floor is as good as a missing one: a logarithm of zero written as -4 tells apart what was measured from
what was not. A column of mean 0 and standard deviation 1 to eight digits was scaled over all rows, a non-integer value
that fills many cells and equals the mean of the others was imputed over all rows: the test rows took part in both.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from sciml.pipelines.progress import Progress
from sciml.pipelines.readers import cutouts, images

from .catalog import Catalog

_SHARE = 0.01  # of the rows at the same end of a column make a floor or a ceiling
_BLOCK = 64
MOST_IMAGES = 5_000  # images of a source without files that are read for the audit


def missing_pattern(table: pd.DataFrame) -> pd.DataFrame:
    """One 0/1 column per pattern: "X is missing", "X at its floor (-4)", for columns where some but not all rows show it."""
    found: dict[str, np.ndarray] = {}
    for name in table.columns:
        cells = table[name]
        gone = cells.isna().to_numpy()
        if 0 < gone.sum() < len(gone):
            found[f"{name} is missing"] = gone
        if cells.dtype.kind != "f" or cells.nunique() <= 20:
            continue
        values = cells.to_numpy()
        for word, end in (("floor", np.nanmin(values)), ("ceiling", np.nanmax(values))):
            there = values == end
            if there.sum() >= max(5, _SHARE * len(values)):
                found[f"{name} at its {word} ({end:g})"] = there
    return pd.DataFrame(found, index=table.index, dtype=np.float64)


def worked_on(table: pd.DataFrame) -> dict[str, list[str]]:
    """Columns that look scaled or imputed over the whole file, by what was done to them."""
    found: dict[str, list[str]] = {"standardised": [], "scaled to 0..1": [], "imputed": []}
    for name in table.columns:
        if table[name].dtype.kind != "f" or table[name].nunique() <= 20:
            continue
        values = table[name].dropna().to_numpy()
        with np.errstate(over="ignore"):
            deviations = values.std(), values.std(ddof=1)  # of scikit-learn and of pandas
        if abs(values.mean()) < 1e-6 and min(abs(deviation - 1) for deviation in deviations) < 1e-6:
            found["standardised"].append(name)
        elif abs(values.min()) < 1e-12 and abs(values.max() - 1) < 1e-12:
            found["scaled to 0..1"].append(name)
        if _imputed(values):
            found["imputed"].append(name)
    if len(found["scaled to 0..1"]) < 2:  # one fraction may run from 0 to 1 by itself
        found["scaled to 0..1"] = []
    return {how: names for how, names in found.items() if names}


def _imputed(values: np.ndarray) -> bool:
    """One odd value that fills many cells, and is the mean or the median of the others."""
    kinds, counts = np.unique(values, return_counts=True)
    usual, most = kinds[counts.argmax()], counts.max()
    if most < max(5, _SHARE * len(values)) or usual == round(usual) or usual in (kinds[0], kinds[-1]):
        return False
    others = values[values != usual]
    if abs(others.mean() - usual) < 1e-6 * abs(usual):
        return True
    # rounded measurements repeat too, but then their neighbours do as well
    return bool(abs((others < usual).sum() - (others > usual).sum()) <= 1 and most > 3 * np.sort(counts)[-2])


def fitted_on(statistics: dict[str, float], table: pd.DataFrame, train: np.ndarray) -> list[str]:
    """Columns whose fitted mean is that of all rows and not that of the training rows, to float32 precision."""
    wrong = []
    for name, mean in statistics.items():
        if name not in table or table[name].dtype.kind != "f" or table[name].iloc[train].isna().all():
            continue
        values = table[name].to_numpy(np.float64)
        everything, mine = np.nanmean(values), np.nanmean(values[train])
        reach = 1e-6 * (np.nanstd(values) + abs(everything) + 1e-300)
        if abs(mean - everything) <= reach < abs(mean - mine):
            wrong.append(name)
    return wrong


def with_image_facts(catalog: Catalog, progress: Progress) -> Catalog:
    """The catalog with sky levels, thumbnails and digests of its images, read once where the catalog has none."""
    source = catalog.images
    if source is None or catalog.thumbnails is not None or len(catalog) > MOST_IMAGES:
        return catalog
    rows: list[dict[str, float]] = []
    thumbnails = np.zeros((len(catalog), cutouts.THUMBNAIL, cutouts.THUMBNAIL), np.uint8)
    digests = np.full(len(catalog), "", dtype=object)
    with progress.task("look at images", len(catalog), "images") as task:
        for start in range(0, len(catalog), _BLOCK):
            here = np.arange(start, min(start + _BLOCK, len(catalog)))
            for i, image in zip(here, source.read(here), strict=True):
                rows.append(_facts(image, source.bands) if source.present[i] else {})
                if source.present[i]:
                    clean = images.fill_missing(image)[0]
                    thumbnails[i], digests[i] = cutouts.thumbnail(clean, flux=not getattr(source, "levels", 0)), cutouts.digest(image)
            task.advance(len(here))
    facts = (
        catalog.image_facts
        if catalog.image_facts is not None
        else pd.DataFrame(rows, index=range(len(rows)), dtype=np.float64)
    )
    return replace(catalog, image_facts=facts, thumbnails=thumbnails, digests=digests.astype(str))


def _facts(image: np.ndarray, bands: tuple[str, ...]) -> dict[str, float]:
    clean, missing = images.fill_missing(image)
    level, noise = cutouts.sky_of(clean)
    found = {"missing pixels": missing}
    for band, a, b in zip(bands, level, noise, strict=True):
        found |= {f"sky {band}": a, f"sky noise {band}": b}
    return found
