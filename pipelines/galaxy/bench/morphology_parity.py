"""Our morphology beside statmorph's on real cutouts: HST/ACS, KiDS and SDSS, as far as their files are there.

The simulated cases, which need no files, are in `measurements`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sciml.pipelines.compute.threads import using
from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy.bench_settings import BenchGalaxy
from sciml.pipelines.galaxy.morphology.bench import run_case
from sciml.pipelines.galaxy.morphology.cases import real
from sciml.pipelines.progress import Progress


def measure(settings: BenchGalaxy, progress: Progress | None = None) -> Iterator[dict[str, Any]]:
    """`rows` as the command asks for them; DataError if the folder holds no real set."""
    progress = progress or Progress()
    if importlib.util.find_spec("statmorph") is None:
        progress.note("statmorph is not installed here: pip install statmorph adds it to the table")
        return
    found = rows(settings.data, settings.galaxies, min(settings.repeats, settings.galaxies), progress)
    if not found:
        raise DataError(f"{settings.data}: none of the real sets is here", hint="hst_cosmos, kids_profit or gz2_sample")
    yield from found


def rows(data: Path, n: int = 32, rounds: int = 3, progress: Progress | None = None) -> list[dict[str, Any]]:
    """A row of `run_case` for each real set in `data`, at most n galaxies each; none where statmorph is not installed."""
    if importlib.util.find_spec("statmorph") is None:
        return []
    with using(1):
        return [run_case(case, rounds=rounds, progress=progress or Progress()) for case in real(Path(data), n)]
