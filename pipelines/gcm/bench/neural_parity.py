"""How far the forecasts of a NeuralGCM checkpoint are from the original package's, variable by variable and hour by hour.

Each model runs in a process of its own, so that the largest of them fit: the original writes the analysis it starts from
and its decoded fields, ours reads that analysis and writes its own. Both start from jax.random.key(seed).

    relative_l2 = |ours - theirs| / |theirs|, over the sphere's grid points and all levels
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.bench.neural import (
    Original,
    Ours,
    demonstration,
    in_new_process,
    load_analysis,
    save_analysis,
)
from sciml.pipelines.gcm.neural.checkpoint import papers, store
from sciml.pipelines.progress import Progress

# Largest relative L2 difference of a decoded field in float32.
TOLERANCES = {
    "temperature": 1e-5, "geopotential": 1e-5, "u_component_of_wind": 1e-4, "v_component_of_wind": 1e-4,
    "specific_humidity": 1e-4, "specific_cloud_ice_water_content": 1e-3, "specific_cloud_liquid_water_content": 1e-3,
    "surface_pressure": 1e-5,
}  # fmt: skip
COLUMNS = ("model", "weights", "seed", "time_h", "variable", "relative_l2", "tolerance", "command")
_SAME = ("model", "weights", "seed")  # what a row is of
_WHO = ("neuralgcm", "ours")


def forecast(path: str, who: str, folder: str, hours: Sequence[int], seed: int) -> None:
    """Write the decoded fields of one model at each of `hours` to WHO.HOUR.npz in `folder`.

    who: neuralgcm, which also writes the analysis, or ours, which reads it.
    """
    place = Path(folder)
    if who == "ours":
        one: Any = Ours(path, *load_analysis(place / "analysis.npz"), seed=seed)
    else:
        one = Original(path, seed)
        save_analysis(place / "analysis.npz", one.inputs, one.forcings)
    state, now = one.start(), 0
    for hour in hours:
        state, now = one.hours(state, hour - now), hour
        np.savez(place / f"{who}.{hour}.npz", **one.output(state))


def relative_l2(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Relative L2 difference of every field of TOLERANCES that the original gives; infinite where ours lacks it."""
    found = {}
    for name in TOLERANCES:
        if name in theirs:
            x = np.asarray(theirs[name], np.float64)
            apart = np.asarray(ours[name], np.float64).reshape(x.shape) - x if name in ours else np.inf
            found[name] = float(np.linalg.norm(apart) / np.linalg.norm(x))
    return found


def model_name(path: Path) -> str:
    """Name of the published model whose settings a checkpoint has, or that of the file."""
    settings = store.load(path).config
    return next((name for name in papers.NAMES if papers.config(name) == settings), path.name.partition(".")[0])


def measure(
    checkpoint: Path | None, hours: Sequence[int], seed: int = 0, command: str = "", progress: Progress | None = None
) -> Iterator[dict[str, Any]]:
    """Rows of COLUMNS, of each hour when it is compared; `weights` is the file's name.

    SettingsError without the original's package, DataError for a file that is no checkpoint.
    """
    path, progress = checkpoint or demonstration(), progress or Progress()
    demonstration()
    about = {"model": model_name(path), "weights": path.name, "seed": seed}
    hours = tuple(sorted(set(hours)))
    with tempfile.TemporaryDirectory() as folder:
        for who in _WHO:
            progress.note(f"{path.name}: {who} to {hours[-1]} h")
            in_new_process(forecast, str(path), who, folder, hours, seed)
        for hour in hours:
            theirs, ours = (dict(np.load(Path(folder) / f"{who}.{hour}.npz")) for who in _WHO)
            for name, value in relative_l2(ours, theirs).items():
                row = {"time_h": hour, "variable": name, "relative_l2": value, "tolerance": TOLERANCES[name]}
                yield {**about, **row, "command": command}


def merged(path: Path, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the table at `path`, those of the same model, weights and seed replaced by `rows`.

    DataError if the file is another table.
    """
    if not path.is_file():
        return [dict(row) for row in rows]
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(line for line in file if not line.startswith("#"))
        kept = list(reader)
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise DataError(f"{path}: not a table of {', '.join(COLUMNS)}", hint="give a new --csv")
    new = {tuple(str(row[name]) for name in _SAME) for row in rows}
    kept = [row for row in kept if tuple(row[name] for name in _SAME) not in new]
    return [*kept, *map(dict, rows)]
