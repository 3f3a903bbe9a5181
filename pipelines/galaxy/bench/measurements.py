"""Our morphology beside statmorph's on simulated galaxies and mergers; see `morphology.bench`."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

from sciml.pipelines.compute.devices import choose_device
from sciml.pipelines.compute.threads import using
from sciml.pipelines.galaxy.bench_settings import BenchGalaxy
from sciml.pipelines.galaxy.morphology.bench import run_case
from sciml.pipelines.galaxy.morphology.cases import mergers, simulated
from sciml.pipelines.progress import Progress


def measure(settings: BenchGalaxy, progress: Progress | None = None) -> Iterator[dict[str, Any]]:
    """A row of `run_case` for each of two cases; none where statmorph is not installed."""
    progress = progress or Progress()
    if importlib.util.find_spec("statmorph") is None:
        progress.note("statmorph is not installed here: pip install statmorph adds it to the table")
        return
    device = choose_device(settings.device, progress.note)
    with using(1):
        for case in (simulated(settings.galaxies, seed=1), mergers(settings.galaxies, seed=101)):
            yield run_case(case, device=device, rounds=min(settings.repeats, settings.galaxies), progress=progress)
