"""A trained model with all it needs to be used: weights, how pixels and columns are prepared, classes, calibration.

One safetensors file with a JSON header. A run keeps one bundle for each arm, fold and member; those of one arm are used together,
their probabilities averaged.

Axes: n object, v view, c class.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sciml.pipelines.checkpoint import load_tensors, save_tensors
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.run import find_runs

from .model import GalaxyModel, ModelShape, rebuild
from .pixels import Pixels
from .tabular.preprocess import Preprocessor

FORMAT = "sciml-galaxy-1"
PREFIX = "model-"


@dataclass(frozen=True)
class Bundle:
    """`facts` are plain values: arm, fold, member, classes, positive, temperature, threshold, prior, views, and how data were chosen."""

    model: GalaxyModel
    pixels: Pixels | None
    preprocessor: Preprocessor | None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def arm(self) -> str:
        """fusion, image or table."""
        return self.facts["arm"]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in the order of the logits."""
        return tuple(self.facts["classes"])

    def probability(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated probabilities [n, v, c] of logits [n, v, c]."""
        z = logits / self.facts["temperature"]
        z = z - z.max(-1, keepdims=True)
        p = np.exp(z)
        return p / p.sum(-1, keepdims=True)

    def save(self, path: Path) -> None:
        """Write the file."""
        tensors = {f"model.{n}": v.detach().cpu().numpy() for n, v in self.model.state_dict().items()}
        save_tensors(path, tensors | self._arrays(), self.header())

    def header(self) -> dict[str, Any]:
        """Everything but numbers in arrays, as plain values."""
        return {
            "format": FORMAT,
            "shape": self.model.shape.to_dict(),
            "pixels": None if self.pixels is None else self.pixels.to_json(),
            "columns": None if self.preprocessor is None else self.preprocessor.to_json(),
            **self.facts,
        }

    def _arrays(self) -> dict[str, np.ndarray]:
        return {} if self.preprocessor is None else {f"columns.{n}": a for n, a in self.preprocessor.arrays.items()}


def common_threshold(facts: list[dict[str, Any]]) -> float | None:
    """The threshold of several models of one arm: the median over folds, each that of its last member."""
    of_fold = {one["fold"]: one["threshold"] for one in sorted(facts, key=lambda one: one.get("member", 0))}
    values = list(of_fold.values())
    return None if values[0] is None else float(np.median(values))


def load_bundle(path: Path, config: dict[str, Any] | None = None) -> Bundle:
    """What `save` wrote; `config` where the header is in a file of its own (an exported model)."""
    tensors, header = load_tensors(path)
    header = config or header
    if header.get("format") != FORMAT:
        raise DataError(
            f"{path}: configuration of format {header.get('format')!r}, expected {FORMAT!r}",
            hint="was it written by another sciml version, or by another program?",
        )
    part = lambda prefix: {n[len(prefix) :]: a for n, a in tensors.items() if n.startswith(prefix)}  # noqa: E731
    model = rebuild(ModelShape.from_dict(header.pop("shape")))
    try:
        model.load_state_dict({n: torch.from_numpy(np.array(a)) for n, a in part("model.").items()})
    except RuntimeError as error:
        raise DataError(
            f"{path}: weights and configuration do not fit: {str(error).splitlines()[-1].strip()}"
        ) from None
    pixels, columns = header.pop("pixels"), header.pop("columns")
    facts = {name: value for name, value in header.items() if name != "format"}
    return Bundle(
        model.eval(),
        None if pixels is None else Pixels.from_json(pixels),
        None if columns is None else Preprocessor.from_json(columns, part("columns.")),
        facts,
    )


def find_bundles(path: Path, arm: str = "auto", images: bool = True, table: bool = True) -> list[Bundle]:
    """The models of one arm, all folds and members: from a run folder, an exported folder, or a folder of runs (its newest finished run).

    Args:
        arm: fusion, image, table, or auto: the one trained on what is given now, else fusion.

    Raises:
        DataError: nothing trained there. SettingsError: the run has no such arm.
    """
    path = Path(path)
    if exported := exported_models(path):
        return [_load_exported(folder) for folder in exported]
    folder = run_folder(path)
    files = {}
    for file in sorted((folder / "checkpoints").glob(f"{PREFIX}*.safetensors"), key=lambda file: file.stem):
        name, _, _ = file.stem.removeprefix(PREFIX).partition("-")
        files.setdefault(name, []).append(file)
    wanted = arm
    if arm == "auto":
        preferred = "fusion" if images and table else "image" if images else "table"
        wanted = next((name for name in (preferred, "fusion", "image", "table") if name in files), "fusion")
    if wanted not in files:
        raise SettingsError(f"{folder} has no {wanted} model; it has {', '.join(files)}", hint="choose one with --arm")
    return [load_bundle(file) for file in files[wanted]]


def exported_models(path: Path) -> list[Path]:
    """The folders with config.json and model.safetensors: `path` itself, or one below it for each of several models."""
    folders = [path, *sorted(path.glob(f"{PREFIX}*"))] if path.is_dir() else []
    found = [f for f in folders if (f / "config.json").is_file() and (f / "model.safetensors").is_file()]
    return found[:1] if path in found else found


def _load_exported(folder: Path) -> Bundle:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{folder / 'config.json'}: not valid JSON: {error}") from None
    return load_bundle(folder / "model.safetensors", config)


def run_folder(path: Path) -> Path:
    """The run folder at `path`, or the newest finished training run below it."""
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such run or model", hint="train one: sciml galaxy train")
    if (path / "checkpoints").is_dir():
        if not list((path / "checkpoints").glob(f"{PREFIX}*.safetensors")):
            raise DataError(
                f"{path}: the run has no trained model yet", hint=f"finish it: sciml galaxy train --resume {path}"
            )
        return path
    runs = [run.path for run in find_runs(path) if list((run.path / "checkpoints").glob(f"{PREFIX}*.safetensors"))]
    if not runs:
        raise DataError(
            f"{path}: neither a run folder, nor an exported model, nor a folder with a finished run",
            hint="list runs: sciml runs list",
        )
    return max(runs, key=lambda p: p.name)
