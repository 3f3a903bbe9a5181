"""`sciml galaxy export`: model.safetensors, config.json, a model card, and model.onnx on request.

Of several models (folds, members) each has a folder of its own beside the card: model-FOLD or model-FOLD-MEMBER.

model.onnx has the inputs `image` [b, band, y, x] (prepared as config.json's "pixels" says), `continuous` [b, c], `missing` [b, c] and
`categorical` [b, k] (as "columns" says), as far as the model sees them, and the output `logits` [b, class].
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from sciml.pipelines.checkpoint import plain, save_tensors, write_atomic
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.progress import Progress
from sciml.pipelines.run import Run

from .bundle import FORMAT, PREFIX, Bundle, exported_models, find_bundles, run_folder
from .tabular.batch import TableBatch
from .training_settings import Export
from .using import measures

_FILES = ("config.json", "model.safetensors", "model.onnx")


def export(settings: Export, progress: Progress | None = None) -> Path:
    """Write the folder `settings.to`; returns it."""
    progress = progress or Progress()
    bundles, folder = find_bundles(settings.model, settings.arm), settings.to
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not settings.overwrite):
        raise SettingsError(f"{folder}: exists and is not an empty folder", hint="give another --to, or --overwrite")
    if settings.onnx and importlib.util.find_spec("onnx") is None:
        raise SettingsError("--onnx needs the package onnx", hint="pip install 'sciml[onnx]'")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be made: {error.strerror}", hint="give another --to") from None
    source = None if exported_models(settings.model) else run_folder(settings.model)
    results = None if source is None else Run(source).read_json("results.json")
    for old in exported_models(folder):  # another number of models may have been there
        for name in _FILES:
            (old / name).unlink(missing_ok=True)
        if old != folder and not any(old.iterdir()):
            old.rmdir()
    for bundle in bundles:
        _export_one(bundle, folder if len(bundles) == 1 else folder / _name(bundle, bundles), settings.onnx)
    _write(folder / "README.md", model_card(bundles[0], results, len(bundles)))
    progress.note(f"wrote {folder}" + (f" with {len(bundles)} models, whose probabilities are averaged" if len(bundles) > 1 else ""))
    return folder


def _export_one(bundle: Bundle, folder: Path, onnx: bool) -> None:
    folder.mkdir(exist_ok=True)
    tensors = {f"model.{n}": v.detach().cpu().numpy() for n, v in bundle.model.state_dict().items()}
    if bundle.preprocessor is not None:
        tensors |= {f"columns.{n}": a for n, a in bundle.preprocessor.arrays.items()}
    save_tensors(folder / "model.safetensors", tensors, {"format": FORMAT})
    config = {name: value for name, value in bundle.header().items() if name != "curves"}
    _write(folder / "config.json", json.dumps(plain(config), indent=1, ensure_ascii=False))
    if onnx:
        write_onnx(bundle, folder / "model.onnx")


def _name(bundle: Bundle, bundles: list[Bundle]) -> str:
    members = any(one.facts.get("member", 0) for one in bundles)
    return f"{PREFIX}{bundle.facts['fold']}" + (f"-{bundle.facts.get('member', 0)}" if members else "")


def _write(path: Path, text: str) -> None:
    write_atomic(path, text.encode())


def model_card(bundle: Bundle, results: dict | None, models: int = 1) -> str:
    """README.md with the hub's front matter: what it is, what it was trained on, how it scored, how to use it, limits.

    bundle: one of `models` of the same arm.
    """
    shape, facts = bundle.model.shape, bundle.facts
    sees = {"fusion": "cutout and table", "image": "cutout", "table": "table"}[bundle.arm]
    lines = [
        "---", "library_name: sciml", "pipeline_tag: image-classification", "tags: [astronomy, galaxies, mergers]", "---", "",
        f"# {', '.join(bundle.classes)} from {sees}", "",
        (f"{models} models, whose probabilities are averaged, of {facts['parameters']:,} parameters each"
         if models > 1 else f"{facts['parameters']:,} parameters")
        + (f", image encoder `{shape.backbone}` for {shape.image_size} px in {', '.join(facts['bands'])}" if shape.backbone else "")
        + (f", table encoder `{shape.table}` for {len(bundle.preprocessor.columns)} columns" if shape.table else "")
        + (f", fusion `{shape.fusion}`" if shape.backbone and shape.table else "") + ".", "",
        "## Use", "", "```",
        "sciml galaxy predict --model {this folder}"
        + (" --images DIR" if shape.backbone or measures(bundle) else "")
        + (" --table FILE.csv" if shape.table and not measures(bundle, alone=True) else "") + " --to predictions.csv",
        "```", "",
    ]  # fmt: skip
    if measures(bundle, alone=True):
        lines += ["The table is measured on the cutouts.", ""]
    elif bundle.preprocessor is not None:
        lines += [f"Columns: {', '.join(bundle.preprocessor.columns)}; empty cells are allowed.", ""]
    if shape.n_stored:
        lines += [f"The file holds the {shape.n_stored:,} training rows and their classes: predictions are votes of those most alike.", ""]
    if results is not None:
        lines += _scores(bundle, results)
    lines += [
        "## Limits", "",
        "Trained for these classes, bands and columns, and for galaxies like those it was trained on: redshift, depth and seeing matter. "
        f"Probabilities are calibrated for a share of {', '.join(f'{n} {s:.0%}' for n, s in zip(bundle.classes, facts['prior'], strict=True))}; "
        "correct them with `--prevalence` where another share is expected.",
    ]  # fmt: skip
    if facts["simulated"]:
        lines += ["", "Trained on simulated galaxies: a demonstration, no instrument for surveys."]
    return "\n".join(lines) + "\n"


def _scores(bundle: Bundle, results: dict) -> list[str]:
    scores = results["arms"][bundle.arm]["metrics"]["test"]
    counts = ", ".join(f"{name} {count:,}" for name, count in results["counts"].items())
    lines = ["## Training data and held-out scores", "", f"{counts}; {results['n']['test']:,} of them held out.", ""]
    lines += ["| score | value | 95 % interval |", "|---|---|---|"]
    for name in ("auc", "average_precision", "accuracy", "f1", "ece"):
        row = scores[name]
        if row["value"] is not None:
            lines.append(f"| {name.replace('_', ' ')} | {row['value']:.3f} | {row['low']:.3f} to {row['high']:.3f} |")
    return [*lines, ""]


class _Whole(nn.Module):
    """The model with plain tensors as inputs."""

    def __init__(self, bundle: Bundle):
        super().__init__()
        self.model, self.image, self.table = bundle.model, bundle.pixels is not None, bundle.preprocessor is not None

    def forward(self, *inputs: Tensor) -> Tensor:
        image = inputs[0] if self.image else None
        table = TableBatch(*inputs[-3:]) if self.table else None
        return self.model(image, table)


def write_onnx(bundle: Bundle, path: Path) -> None:
    """The network alone: pixels and columns are prepared outside."""
    shape, inputs, names = bundle.model.shape, [], []
    if bundle.pixels is not None:
        inputs.append(torch.zeros(2, shape.n_bands, shape.image_size, shape.image_size))
        names.append("image")
    if bundle.preprocessor is not None:
        inputs += [torch.zeros(2, shape.n_continuous), torch.zeros(2, shape.n_continuous, dtype=torch.bool)]
        inputs.append(torch.zeros(2, len(shape.cardinalities), dtype=torch.int64))
        names += ["continuous", "missing", "categorical"]
    axes = {name: {0: "b"} for name in (*names, "logits")}
    whole = _Whole(bundle).eval()
    torch.onnx.export(
        whole, tuple(inputs), str(path), input_names=names, output_names=["logits"], dynamic_axes=axes, dynamo=False
    )
