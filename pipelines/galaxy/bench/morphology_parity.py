"""Our morphology beside statmorph's on real cutouts: HST/ACS, KiDS and SDSS, as far as their files are there.

The simulated cases, which need no files, are in `measurements`.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from sciml.pipelines.compute.threads import using
from sciml.pipelines.galaxy.morphology.bench import run_case
from sciml.pipelines.galaxy.morphology.cases import real
from sciml.pipelines.progress import Progress


def rows(data: Path, n: int = 32, rounds: int = 3, progress: Progress | None = None) -> list[dict[str, Any]]:
    """A row of `run_case` for each real set in `data`, at most n galaxies each; none where statmorph is not installed."""
    if importlib.util.find_spec("statmorph") is None:
        return []
    with using(1):
        return [run_case(case, rounds=rounds, progress=progress or Progress()) for case in real(Path(data), n)]
