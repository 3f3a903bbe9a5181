"""Measure the morphology of many galaxies at once: images in, one table row per object out.

Objects are sorted by size, cut to stamps, and measured in batches; one that cannot be measured is flagged and named in the
table, it never stops the others.  Axes [n, y, x]; images of different sizes come as a list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch

from sciml.pipelines.errors import DataError, DeviceError, SettingsError, suggest
from sciml.pipelines.progress import Progress

from . import peer
from .batch import Record, measure_batch
from .definitions import BITS, Definitions
from .segmentation import Choices, central_label, find_sources
from .stamps import Cut, Stamps, cut, gather
from .table import COLUMNS, empty_columns, make_table

ENGINES = ("torch", "statmorph")
# Pixels of one part (what a cache or a GPU takes at once) and of one batch (whose centres are searched together).
PART_PIXELS = {"cpu": 2**18, "cuda": 2**24}
BATCH_PIXELS = {"cpu": 2**23, "cuda": 2**26}
# Padding may cost a quarter of a part, and as many pixels more as take the time of another part's calls.
WASTE = 1.25
CALL_PIXELS = {"cpu": 40_000, "cuda": 2**24}
# What broken pixels could make torch, numpy and scipy raise; anything else is a bug.
FAILURES = (RuntimeError, ValueError, IndexError, ArithmeticError)


@dataclass(frozen=True)
class Inputs:
    """What belongs to each object; lists of length n, entries may be None."""

    images: list[np.ndarray]
    segmaps: list[np.ndarray | None]
    labels: list[int | None]
    masks: list[np.ndarray | None]
    weightmaps: list[np.ndarray | None]
    gains: list[float | None]
    psfs: list[np.ndarray | None]
    reasons: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.images)


def measure(
    images,
    segmaps=None,
    *,
    labels: Sequence[int] | None = None,
    masks=None,
    weightmaps=None,
    gain: float | Sequence[float] | None = None,
    psf=None,
    engine: str = "torch",
    device: str = "cpu",
    fit_sersic: bool = True,
    subtract_sky: bool | None = None,
    definitions: Definitions = Definitions(),  # noqa: B008
    choices: Choices = Choices(),  # noqa: B008
    workers: int = 0,
    index=None,
    progress: Progress = Progress(),  # noqa: B008
) -> pd.DataFrame:
    """Table of `table.COLUMNS`, flag, flag_sersic and note, one row per image.

    images: [n, y, x] or n arrays [y, x] of one band, the sky subtracted; any unit, any size, numpy or torch.
    segmaps: the same shapes, integers, 0 is sky; None: found by photutils, and then the sky level is subtracted unless
        `subtract_sky` says otherwise.  labels: the object's number in its segmap (default: the central one).
    masks: bool, True is ignored.  weightmaps: standard deviation per pixel (not variance, not its inverse).
    gain: electrons per unit of the image, one for all or one each, used without weightmaps; without either the sky's scatter
        is the error.  Errors enter sn_per_pixel and the Sersic fit alone.
    psf: [y, x] for all, [n, y, x] or n arrays: convolved with the Sersic model, by which nothing else changes.
    engine: "torch", or "statmorph" (the package itself: the same columns, tens of times slower).
    device: cpu, cuda or cuda:N, of engine "torch".  fit_sersic: False saves a seventh of the time.
    workers: processes for the segmentation and for engine "statmorph"; 0: none but this one.
    definitions, choices: the numbers behind the measurements and the segmentation.  index: of the table, e.g. object ids.

    An object that cannot be measured keeps its row: NaN, flag 4 and a note in words; flag 2 means bad (values are given), 1
    suspect, 0 good, as in Rodriguez-Gomez et al. (2019).  Only what is wrong with the call as a whole raises: SettingsError
    (engine, device name, gain), DataError (numbers of segmaps, masks, ... unlike the images'; a PSF without light),
    DeviceError (no such GPU).
    """
    if engine not in ENGINES:
        raise SettingsError(f'engine "{engine}" is unknown', hint=suggest(engine, ENGINES))
    inputs = _collect(images, segmaps, labels, masks, weightmaps, gain, psf)
    chosen = _check_device(device)
    inputs = _segment(inputs, choices, segmaps is None if subtract_sky is None else subtract_sky, workers)
    with progress.task("morphology", len(inputs), "galaxies") as task:
        if engine == "statmorph":
            columns = _peer_columns(inputs, definitions, workers, task.advance)
        else:
            columns = _torch_columns(inputs, definitions, chosen, fit_sersic, task.advance)
    return make_table(columns, index)


def _check_device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingsError(f'device "{name}" is unknown', hint="accepted: cpu, cuda, cuda:N") from error
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise DeviceError(f"device {name}: torch {torch.__version__} does not see it", hint="use cpu")
    return device


def _per_object(name: str, given, n: int) -> list:
    """One entry per object from None or a sequence of n."""
    if given is None:
        return [None] * n
    if len(given) != n:
        raise DataError(f"{len(given)} {name} for {n} images", hint=f"give one of {name} per image, in the same order")
    return list(given)


def _collect(images, segmaps, labels, masks, weightmaps, gain, psf) -> Inputs:
    found = [_as_image(image) for image in images]
    n = len(found)
    gains = [gain] * n if gain is None or np.ndim(gain) == 0 else _per_object("gains", gain, n)
    for number, entry in enumerate(gains):
        if entry is not None and not (np.isfinite(entry) and entry > 0):
            raise SettingsError(
                f"gain {entry} of object {number}", hint="gain is a positive number of electrons per unit"
            )
    single = isinstance(psf, np.ndarray | torch.Tensor) and psf.ndim == 2
    psfs = [np.asarray(psf, dtype=np.float64)] * n if single else _per_object("psf", psf, n)
    for number, entry in enumerate(psfs):
        if entry is not None and not (np.ndim(entry) == 2 and np.isfinite(entry).all() and np.sum(entry) > 0):
            raise DataError(
                f"the PSF of object {number} is not an image with positive sum", hint="give finite numbers [y, x]"
            )
    inputs = Inputs(
        [image for image, _ in found],
        [None if entry is None else np.asarray(entry) for entry in _per_object("segmaps", segmaps, n)],
        _per_object("labels", labels, n),
        [None if entry is None else np.asarray(entry, dtype=bool) for entry in _per_object("masks", masks, n)],
        [None if entry is None else np.asarray(entry) for entry in _per_object("weightmaps", weightmaps, n)],
        gains,
        psfs,
        [BITS[reason] if reason else 0 for _, reason in found],
    )
    for number in range(n):
        shapes = {entry[number].shape for entry in (inputs.images, inputs.segmaps, inputs.masks, inputs.weightmaps)
                  if entry[number] is not None}  # fmt: skip
        if len(shapes) > 1 and not inputs.reasons[number]:
            inputs.reasons[number] = BITS["shapes_differ"]
    return inputs


def _as_image(given) -> tuple[np.ndarray, str]:
    """A float array [y, x], or an empty one and the reason."""
    if isinstance(given, torch.Tensor):
        given = given.detach().cpu().numpy()
    image = np.asarray(given)
    if image.ndim != 2 or image.size == 0 or image.dtype.kind not in "fiub":
        return np.zeros((1, 1)), "unreadable"
    return (image if image.dtype.kind == "f" else image.astype(np.float64)), ""


def _segment(inputs: Inputs, choices: Choices, subtract: bool, workers: int) -> Inputs:
    """Segmaps and labels where they are missing; objects without a source get a reason."""
    images, segmaps, labels = list(inputs.images), list(inputs.segmaps), list(inputs.labels)
    todo = [i for i in range(len(inputs)) if segmaps[i] is None and not inputs.reasons[i]]
    found = find_sources([images[i] for i in todo], choices, [inputs.masks[i] for i in todo], workers)
    for i, entry in zip(todo, found, strict=True):
        if entry is None:
            inputs.reasons[i] |= BITS["no_source" if np.isfinite(images[i]).any() else "no_data"]
            continue
        segmaps[i], labels[i] = entry.segmap, entry.label
        if subtract:
            images[i] = images[i] - entry.sky
    for i, segmap in enumerate(segmaps):
        if segmap is not None and labels[i] is None and not inputs.reasons[i]:
            labels[i] = central_label(segmap)
            if labels[i] is None:
                inputs.reasons[i] |= BITS["no_source"]
    return Inputs(images, segmaps, labels, *(getattr(inputs, name) for name in _KEPT))


_KEPT = ("masks", "weightmaps", "gains", "psfs", "reasons")


def _peer_columns(inputs: Inputs, definitions: Definitions, workers: int, advance) -> dict[str, np.ndarray]:
    columns = empty_columns(len(inputs))
    columns["reasons"][:] = inputs.reasons
    good = [i for i in range(len(inputs)) if not inputs.reasons[i]]
    sources = [
        peer.Source(
            inputs.images[i], inputs.segmaps[i], inputs.labels[i], inputs.masks[i], inputs.weightmaps[i],
            inputs.gains[i], inputs.psfs[i], definitions,
        )
        for i in good
    ]  # fmt: skip
    for name, values in peer.measure_sources(sources, workers, advance).items():
        columns[name][good] = values
    return columns


@dataclass(frozen=True)
class _Job:
    """One object to be measured: its number in the caller's list and its stamp."""

    number: int
    cut: Cut


def _torch_columns(inputs: Inputs, definitions: Definitions, device: torch.device, fit_sersic: bool, advance) -> dict:
    columns = empty_columns(len(inputs))
    jobs = [job for i in range(len(inputs)) if (job := _job(inputs, i, definitions)) is not None]
    columns["reasons"][:] = inputs.reasons
    advance(len(inputs) - len(jobs))
    # alike in size, and in whether errors, gains and PSFs of one shape are given
    jobs.sort(key=lambda job: (_kind(inputs, job.number), max(job.cut.image.shape), job.cut.extent))
    limits = (sizes[device.type] for sizes in (PART_PIXELS, BATCH_PIXELS, CALL_PIXELS))
    for batch in _batches(jobs, inputs, *limits):
        _measure_safely(batch, inputs, definitions, device, fit_sersic, columns)
        advance(sum(len(part) for part in batch))
    return columns


def _kind(inputs: Inputs, i: int) -> tuple:
    psf = inputs.psfs[i]
    return inputs.weightmaps[i] is not None, inputs.gains[i] is not None, () if psf is None else psf.shape


def _job(inputs: Inputs, i: int, definitions: Definitions) -> _Job | None:
    """The stamp of object i, or None and a reason."""
    if inputs.reasons[i]:
        return None
    found = cut(
        inputs.images[i],
        inputs.segmaps[i],
        inputs.labels[i],
        definitions,
        mask=inputs.masks[i],
        weightmap=inputs.weightmaps[i],
    )
    if found is None:
        inputs.reasons[i] |= BITS["no_source"]
    elif max(found.image.shape) > definitions.largest_cutout:
        inputs.reasons[i] |= BITS["too_large"]
    else:
        return _Job(i, found)
    return None


def _batches(jobs: list[_Job], inputs: Inputs, part_pixels: int, batch_pixels: int, call_pixels: int):
    """Lists of parts; a part is a list of jobs of one kind that fit into part_pixels when padded to one size, without much waste."""
    batch, part, pixels = [], [], 0
    shape, own = (0, 0), 0  # what the part is padded to, and the pixels of its stamps
    for position, job in enumerate(jobs):
        part.append(job)
        shape, own = _wider(shape, job), own + job.cut.image.size
        following = jobs[position + 1] if position + 1 < len(jobs) else None
        end = following is None or _kind(inputs, following.number) != _kind(inputs, job.number)
        if not end:
            height, width = _wider(shape, following)
            wanted = WASTE * (own + following.cut.image.size) + call_pixels
        if end or (len(part) + 1) * height * width > min(part_pixels, wanted):
            pixels += len(part) * shape[0] * shape[1]
            batch.append(part)
            part, shape, own = [], (0, 0), 0
            if end or pixels > batch_pixels:
                yield batch
                batch, pixels = [], 0


def _wider(shape: tuple[int, int], job: _Job) -> tuple[int, int]:
    height, width = job.cut.image.shape
    return max(shape[0], height), max(shape[1], width)


def _measure_safely(
    batch: list[list[_Job]], inputs: Inputs, definitions, device, fit_sersic: bool, columns: dict
) -> None:
    """Measure a batch; should it fail, its objects one by one, so that only the guilty one is flagged "failed"."""
    try:
        _measure_jobs(batch, inputs, definitions, device, fit_sersic, columns)
    except torch.OutOfMemoryError:
        raise
    except FAILURES:
        for job in (job for part in batch for job in part):
            try:
                _measure_jobs([[job]], inputs, definitions, device, fit_sersic, columns)
            except FAILURES:
                columns["reasons"][job.number] |= BITS["failed"]


def _measure_jobs(
    batch: list[list[_Job]],
    inputs: Inputs,
    definitions: Definitions,
    device: torch.device,
    fit_sersic: bool,
    columns: dict,
) -> None:
    """Measure the parts of one batch and write their rows."""
    parts, kept = [], []
    for part in batch:
        stamps = gather([job.cut for job in part], definitions, device)
        good = _positive(stamps, [job.number for job in part], columns["reasons"])
        if good:
            which = torch.tensor(good, device=device)
            parts.append(stamps if len(good) == len(part) else stamps.take(which))
            kept.append([part[position].number for position in good])
    if not parts:
        return

    def stacked(values: list) -> list:
        if values[kept[0][0]] is None:
            return [None] * len(kept)
        return [
            torch.as_tensor(np.stack([values[i] for i in part]), dtype=torch.float64, device=device) for part in kept
        ]

    records = measure_batch(
        parts, definitions, gain=stacked(inputs.gains), psf=stacked(inputs.psfs), fit_sersic=fit_sersic
    )
    for numbers, stamps, record in zip(kept, parts, records, strict=True):
        _write(columns, numbers, record, stamps.unit.cpu().numpy())


def _positive(stamps: Stamps, numbers: list[int], reasons: np.ndarray) -> list[int]:
    """Positions whose source has pixels and a positive flux; the others get a reason."""
    number = stamps.segment.sum((1, 2)).tolist()
    flux = torch.where(stamps.segment, stamps.image, 0.0).sum((1, 2)).tolist()
    for position, i in enumerate(numbers):
        if number[position] == 0:
            reasons[i] |= BITS["no_data"]
        elif not flux[position] > 0:
            reasons[i] |= BITS["no_flux"]
    return [position for position, i in enumerate(numbers) if not reasons[i]]


def _write(columns: dict[str, np.ndarray], numbers: list[int], record: Record, unit: np.ndarray) -> None:
    """Rows of the table, brightnesses back in the caller's units."""
    names = [name for name in COLUMNS if name in record.columns]
    values = torch.stack([record.columns[name].to(torch.float64) for name in names]).cpu().numpy()
    values[~np.isfinite(values)] = np.nan
    for name, row in zip(names, values, strict=True):
        columns[name][numbers] = row * unit if COLUMNS[name][0] == "image" else row
    columns["reasons"][numbers] |= record.reasons.cpu().numpy()
    if "flag_sersic" in record.columns:
        columns["flag_sersic"][numbers] = record.columns["flag_sersic"].cpu().numpy()
