"""Means over days or months of a run's output, kept while the model runs and written when a period is over.

A mean is over samples at equal distances; a sample belongs to the day or month of its valid time. Only whole periods are
written: a month of which the run holds some days is no month. Sums are float64, travel in the checkpoint, and so a
resumed or extended run gives the same means, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.output.files import Layout, open_output

_UNIT = {"daily": "D", "monthly": "M"}


def whole_periods(period: str, start: np.datetime64, hours: int, sample_hours: int) -> list[int]:
    """Lead [h] of the first sample of every whole period in a run of `hours` from `start`, samples every `sample_hours`.

    A sample at the very end of the run counts as the first of the next period.
    """
    leads = np.arange(0, hours + 1, sample_hours)
    keys = (start.astype("datetime64[h]") + leads).astype(f"datetime64[{_UNIT[period]}]")
    found = []
    for key in np.unique(keys):
        members = leads[keys == key]
        if len(members) == _samples(key, sample_hours):
            found.append(int(members[0]))
    return found


def _samples(key: np.datetime64, sample_hours: int) -> int:
    """Samples in the whole period `key`."""
    span = (key + 1).astype("datetime64[h]") - key.astype("datetime64[h]")
    return int(span / np.timedelta64(1, "h")) // sample_hours


class Means:
    """The means of one period, in a file beside the frames."""

    def __init__(self, period: str, frames: Path, layout: Layout, hours: int, sample_hours: int):
        """`frames` is the file of frames, `layout` its layout; `hours` and `sample_hours` as in `whole_periods`."""
        self.period, self.sample_hours, self.start = period, sample_hours, layout.start
        leads = tuple(whole_periods(period, layout.start, hours, sample_hours))
        method = f"time: mean (interval: {sample_hours} hours comment: {period}, the lead is that of the first sample)"
        self.path = frames.with_name(f"{frames.stem}.{period}{frames.suffix}")
        self.layout = replace(layout, leads=leads, frames=len(leads), interval_seconds=3600, cell_methods=method)
        self.output: Any = open_output(self.path, self.layout) if leads else None
        self._clear()

    def _clear(self) -> None:
        self.sums: dict[str, np.ndarray] = {}
        self.count, self.first = 0, -1

    def create(self) -> None:
        """Make the file, without means."""
        self._clear()
        if self.output is not None:
            self.output.create()

    def add(self, hours: int, fields: Mapping[str, np.ndarray]) -> None:
        """Take the sample at a lead [h]; writes the mean of the period it completes."""
        if self.output is None:
            return
        key = self._key(hours)
        if self.count and key != self._key(self.first):
            self._clear()
        if not self.count:
            self.first, self.sums = hours, {name: np.zeros(x.shape) for name, x in fields.items()}
        for name, x in fields.items():
            self.sums[name] += x
        self.count += 1
        if self.count == _samples(key, self.sample_hours) and self.first in self.layout.leads:
            if self.output.frames != self.layout.leads.index(self.first):
                raise DataError(f"{self.path}: holds {self.output.frames} means where others belong")
            self.output.append({name: (x / self.count).astype(np.float32) for name, x in self.sums.items()})
            self._clear()

    def _key(self, hours: int) -> np.datetime64:
        return (self.start.astype("datetime64[h]") + hours).astype(f"datetime64[{_UNIT[self.period]}]")

    def tensors(self) -> dict[str, np.ndarray]:
        """What a checkpoint keeps."""
        if self.output is None:
            return {}
        found = {f"means.{self.period}.sum.{name}": x for name, x in self.sums.items()}
        found[f"means.{self.period}.counts"] = np.array([self.count, self.first, self.output.frames])
        return found

    def restore(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Go on from what `tensors` gave; means beyond it are dropped from the file."""
        if self.output is None:
            return
        counts = tensors.get(f"means.{self.period}.counts")
        if counts is None:  # the run was too short for a whole period and has been extended
            raise DataError(
                f"{self.path}: the run kept no {self.period} means until now", hint="start a new run without --resume"
            )
        self.count, self.first, frames = (int(x) for x in counts)
        start = f"means.{self.period}.sum."
        self.sums = {name.removeprefix(start): np.array(x) for name, x in tensors.items() if name.startswith(start)}
        self.output.reopen(frames)

    def finish(self) -> str:
        """Complete the file; returns a warning if it could not be packed."""
        return "" if self.output is None else self.output.finish()

    def close(self) -> None:
        """Leave the file as it is."""
        if self.output is not None:
            self.output.close()
