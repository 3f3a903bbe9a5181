"""`sciml kd export`: a folder that a model hub takes as it is, and ONNX for runtimes without Python.

Files: model.safetensors, config.json (architecture and reading options), normalization.json, README.md (model card), and on request
model.onnx with input `past` [l, c, b] (feature-major, see windows) and output [k, v, q, b] in normalised units.
"""

from __future__ import annotations

import importlib.util
import json
import warnings
from pathlib import Path

import torch
from torch import nn

from sciml.pipelines.checkpoint import save_tensors, write_atomic
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.progress import Progress
from sciml.pipelines.run import Run

from .base import Base
from .model import Model, load_model
from .settings import Export


def export(settings: Export, progress: Progress | None = None) -> Path:
    """Write the folder `settings.to`; returns it."""
    progress = progress or Progress()
    model = load_model(settings.model)
    folder = settings.to
    if folder.is_file() or folder.is_dir() and any(folder.iterdir()):
        raise SettingsError(f"{folder}: exists and is not an empty folder", hint="give another --to")
    if settings.onnx:
        _require_onnx()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be made: {error.strerror}", hint="give another --to") from None
    tensors = {n: p.detach().cpu().numpy() for n, p in model.student.state_dict().items()}
    save_tensors(folder / "model.safetensors", tensors, {"format": model.config["format"]})
    _write(folder / "config.json", json.dumps(model.config, indent=1, ensure_ascii=False))
    scaling = {"targets": model.config["targets"], "stations": model.config["stations"], **model.config["scaling"]}
    _write(folder / "normalization.json", json.dumps(scaling, indent=1, ensure_ascii=False))
    results = Run(model.folder).read_json("results.json") if (model.folder / "results.json").is_file() else None
    _write(folder / "README.md", model_card(model, results, settings.licence))
    if settings.onnx:
        write_onnx(model, folder / "model.onnx")
    progress.note(f"wrote {folder}")
    return folder


def _write(path: Path, text: str) -> None:
    write_atomic(path, text.encode())


def model_card(model: Model, results: dict | None, licence: str) -> str:
    """README.md with the hub's front matter: what it is, how it was trained and scored, how to use it, limits."""
    config, shape = model.config, model.student.shape
    count = sum(p.numel() for p in model.student.parameters())
    leads = ", ".join(f"{h:g}" for h in config["lead_hours"])
    lines = [
        "---", "library_name: sciml", "pipeline_tag: time-series-forecasting", f"license: {licence}",
        "tags: [weather, knowledge-distillation, lstm]", "---", "",
        f"# {shape.kind} for {', '.join(config['targets'])}", "",
        f"A student of {count:,} parameters, {config['mode']} mode, schedule `{config['schedule']}`. It reads the last {config['history']} observations "
        f"({config['cadence_hours']:g} h apart) and predicts leads of {leads} h for {len(config['stations'])} station(s).", "",
        *(_first_guess(model) if model.residual else []), "## Use", "", "```",
        f"sciml kd predict --model {{this folder}} --observations obs.csv{' --teacher nwp.nc' if model.residual else ''} --to forecast.nc",
        "```", "",
    ]  # fmt: skip
    if results:
        blocks = results["data"]["blocks"]
        lines += ["## Training data", ""]
        lines += [
            f"- {name}: {b['start']} to {b['end']}, {b['issues']} issue times"
            for name, b in blocks.items()
            if b["issues"]
        ]
        lines += [
            "",
            "## Held-out scores",
            "",
            f"| method | RMSE [{results['unit']}] | MAE | bias | skill |",
            "|---|---|---|---|---|",
        ]
        for row in results["scores"]:
            spread = "" if row["rmse_sd"] is None else f" ± {row['rmse_sd']:.2g}"
            lines.append(
                f"| {row['label']} | {row['rmse']:.4g}{spread} | {row['mae']:.4g} | {row['bias']:+.3g} | {row['skill']:.3f} |"
            )
        verdict = (results.get("comparison") or {}).get("verdict")
        lines += ["", verdict["text"] if verdict else "", ""]
    lines += [
        "## Limits", "",
        "Trained for the stations, leads and variables named in config.json; not for others. A direct student cannot know weather that its past "
        "observations do not show; where a fresh forecast is at hand, the residual mode or linear MOS is better.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _first_guess(model: Model) -> list[str]:
    """What the input `anchor` is, for a runtime without this package."""
    base = Base.from_dict(model.config["base"]) if "base" in model.config else Base()
    return [
        f"Its forecast is a correction of a first guess: {base.label}. The guess is the input `anchor` [k, v, b], normalised: "
        "(guess - center) / scale, with center and scale of normalization.json; `operator` and `base` of config.json hold the numbers: "
        "operator: slope x forecast + offset, or the curve; base: weight[0] x that + weight[1:] x last observations (newest first, "
        "target by target; `fill` where one is missing) + offset.", "",
    ]  # fmt: skip


def _require_onnx() -> None:
    if importlib.util.find_spec("onnx") is None:
        raise SettingsError("--onnx needs the package onnx", hint="pip install 'sciml[onnx]'")


class _Plain(nn.Module):
    """The student through torch's own LSTM, which exporters know."""

    def __init__(self, model: Model):
        super().__init__()
        self.student = model.student
        for part in ("encoder", "decoder"):
            if hasattr(self.student, part):
                setattr(self, f"{part}_lstm", getattr(self.student, part).as_torch())

    def forward(self, past: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        future, anchor = rest if rest else (None, None)
        student = self.student
        if not hasattr(student, "encoder"):
            return student(past, future, anchor)
        latent = self.encoder_lstm(past.transpose(1, 2))[0][-1].t()
        if not hasattr(student, "decoder"):
            return student.decode(latent, future, anchor)
        repeated = latent.unsqueeze(0).expand(student.shape.horizon, -1, -1)
        joined = repeated if future is None else torch.cat((repeated, future), 1)
        states = self.decoder_lstm(joined.transpose(1, 2))[0].transpose(1, 2)
        out = (student.head.weight @ states + student.head.bias.unsqueeze(1)).unflatten(
            1, (student.shape.targets, student.shape.outputs)
        )
        return out if anchor is None else student._anchored(out, anchor)


def write_onnx(model: Model, path: Path) -> None:
    """Export with a free batch size."""
    shape, batch = model.student.shape, 4
    inputs = [torch.zeros(shape.length, shape.channels, batch)]
    names, free = ["past"], [{2: "batch"}]
    if model.residual:
        inputs += [
            torch.zeros(shape.horizon, shape.predictors, batch),
            torch.zeros(shape.horizon, shape.targets, batch),
        ]
        names += ["future", "anchor"]
        free += [{2: "batch"}, {2: "batch"}]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about its own internals
        torch.onnx.export(
            _Plain(model).eval(), tuple(inputs), str(path), input_names=names, output_names=["forecast"], dynamo=False,
            dynamic_axes={n: axes for n, axes in zip(names, free, strict=True)} | {"forecast": {3: "batch"}},
        )  # fmt: skip
