"""`sciml galaxy morphology`: the cutouts of a folder or file measured, one row per galaxy and band.

A galaxy that cannot be read or measured is named in the table with its flag; it never stops the others.
"""

from __future__ import annotations

import os
import time

import numpy as np
import pandas as pd

from sciml.pipelines.compute.devices import choose_device
from sciml.pipelines.compute.threads import convolutions, probe, using
from sciml.pipelines.errors import DataError, SettingsError, suggest
from sciml.pipelines.progress import Progress
from sciml.pipelines.readers.images import read_cutout, read_image
from sciml.pipelines.readers.skipped import Skipped

from .morphology.measure import measure
from .morphology_settings import Morphology
from .packed import is_packed, open_packed
from .predict import write_table
from .sources import ImageSet, open_images
from .using import target_path

_AT_ONCE = 512  # galaxies read and measured before the next are read


def measure_files(settings: Morphology, progress: Progress) -> dict:
    """Write the table; returns counts and time as plain values."""
    target_path(settings.to, settings.overwrite)
    device = choose_device(settings.device)
    names, bands, read = _reader(settings)
    chosen = list(settings.bands) or list(bands)
    for band in chosen:
        if band not in bands:
            raise SettingsError(f"--bands {band}: the images have {suggest(band, bands)}")
    psf = None if settings.psf is None else np.squeeze(read_image(settings.psf))
    workers = settings.workers or (os.cpu_count() or 1)
    skipped, tables, begin = Skipped("images"), [], time.perf_counter()
    threads = settings.threads or (probe(convolutions()) if device == "cpu" else 1)
    for start in range(0, len(names), _AT_ONCE):
        block = np.arange(start, min(start + _AT_ONCE, len(names)))
        images = _read_block(block, names, read, skipped)
        skipped.refuse_beyond(settings.most_skipped, len(names))
        for band in chosen:
            k = bands.index(band)
            with using(threads):
                table = measure(
                    [image[k] for image in images.values()], psf=psf, gain=settings.gain, engine=settings.engine,
                    device=device, fit_sersic=settings.sersic, workers=workers,
                    index=pd.Index([names[i] for i in images], name="id"), progress=progress,
                )  # fmt: skip
            table.insert(0, "band", band)
            tables.append(table)
    frame = pd.concat(tables) if tables else pd.DataFrame()
    write_table(frame.reset_index(), settings.to)
    for line in skipped.lines():
        progress.warn(line)
    flags = frame["flag"].value_counts().sort_index() if len(frame) else {}
    return {
        "table": str(settings.to), "galaxies": len(names) - len(skipped), "bands": chosen, "engine": settings.engine,
        "flags": {str(flag): int(count) for flag, count in dict(flags).items()}, "skipped": len(skipped),
        "seconds": round(time.perf_counter() - begin, 1),
    }  # fmt: skip


def _reader(settings: Morphology):
    """(names, bands, function of a position -> [band, y, x])."""
    if is_packed(settings.images):
        catalog = open_packed(settings.images)
        if catalog.images is None:
            raise DataError(f"{settings.images} holds no images")
        keep = np.flatnonzero(catalog.images.present)[: settings.limit]
        return list(catalog.ids[keep]), list(catalog.images.bands), lambda i: catalog.images.read(keep[[i]])[0]
    found: ImageSet = open_images(settings.images, settings.pattern, ())
    for part in found.skipped:
        part.refuse_beyond(settings.most_skipped, len(part) + len(found.names))
    names = list(found.names)[: settings.limit]
    if not names:
        raise DataError(f"{settings.images}: holds no images")
    if found.cutouts is not None:
        first = _first(found, len(names))
        bands = list(found.bands) or [f"band{k}" for k in range(first.shape[0])] if first.shape[0] > 1 else ["image"]
        bands = _picture_bands(bands, first)
        return names, bands, lambda i: read_cutout(found.cutouts[i])[0]
    return names, list(found.source.bands), lambda i: found.source.read(np.array([i]))[0]


def _first(found: ImageSet, n: int) -> np.ndarray:
    """The first readable cutout: it says how many bands there are."""
    trouble = None
    for i in range(min(n, 20)):
        try:
            return read_cutout(found.cutouts[i])[0]
        except DataError as error:
            trouble = error
    raise trouble


def _picture_bands(bands: list[str], image: np.ndarray) -> list[str]:
    return bands if len(bands) == len(image) else [f"band{k}" for k in range(len(image))]


def _read_block(block: np.ndarray, names: list[str], read, skipped: Skipped) -> dict[int, np.ndarray]:
    images, shape = {}, None
    for i in block:
        try:
            image = read(i)
        except DataError as error:
            skipped.add("unreadable", f"{names[i]}: {error}")
            continue
        shape = shape or len(image)
        if len(image) != shape:
            skipped.add("another number of bands", names[i])
            continue
        images[int(i)] = np.asarray(image, np.float32)
    return images
