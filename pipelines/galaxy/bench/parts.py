"""The parts of `sciml bench galaxy`: which module measures each, and what of its rows is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sciml.pipelines.galaxy.bench_settings import BenchGalaxy
from sciml.pipelines.progress import Progress
from sciml.pipelines.registry import Registry

_ACCEPTED = ("gini", "m20", "concentration", "asymmetry")
_SHAPES = ("case", "galaxies", "statmorph_ms", "ours_ms", "ratio", "compared", *_ACCEPTED)
_SPEEDS = ("backbone", "implementation", "clock", "images_per_second", "p20", "p80", "ours_to_it")
_NUISANCE = ("seed", "objects", "nuisance_auc", "nuisance_auc_torn", "gaps_auc")
_SCORES = ("model", "objects", "accuracy", "macro_f1", "folds")


@dataclass(frozen=True)
class Part:
    """Title and columns of a table."""

    title: str
    columns: tuple[str, ...]


SHOWN = {
    "throughput": Part("Training", _SPEEDS),
    "morphology": Part("Morphology, time per galaxy and share that agrees", _SHAPES),
    "parity": Part("Morphology of real galaxies, time per galaxy and share that agrees", _SHAPES),
    "spectra": Part("Our measurements beside the survey's, scatter 1.48 MAD", ("quantity", "n", "median", "scatter")),
    "simulator": Part("AUC for mergers, where 0.5 means nothing is known", _NUISANCE),
    "forest": Part("Forests on the folds of `sciml galaxy train`", _SCORES),
}
_MODULES = {
    "throughput": "throughput", "morphology": "measurements", "parity": "morphology_parity", "spectra": "spectra_check",
    "simulator": "simulator_facts", "forest": "table_forest",
}  # fmt: skip
_MEASURES = Registry("part", {part: f"sciml.pipelines.galaxy.bench.{name}:measure" for part, name in _MODULES.items()})


def measure(part: str, settings: BenchGalaxy, progress: Progress) -> Iterator[dict[str, Any]]:
    """The rows of a part, as they are found.

    Raises:
        DataError: files it needs are not there or not usable.
    """
    yield from _MEASURES.get(part)(settings, progress)
