"""`sciml galaxy`: parse, call the pipeline, print."""

import os
from typing import Any

from sciml.cli.options import Invocation, add_command, new_group
from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy import morphology_settings, training_settings
from sciml.pipelines.galaxy import settings as galaxy

app = new_group("Tell galaxy mergers from image and spectroscopy together (PyTorch).")


def _train(settings: training_settings.Train, given: dict[str, Any], invocation: Invocation) -> None:
    from sciml.pipelines.galaxy.fit import dry_run, train

    console = invocation.console
    if settings.resume is not None and invocation.config is not None:
        raise SettingsError(
            f"--config {invocation.config} beside --resume: a resumed run keeps the settings in its own settings.toml",
            hint="leave --config out, or start a new run without --resume",
        )
    if invocation.dry_run:
        sizes = dry_run(settings, console)
        console.emit(sizes)
        for name in ("objects", "classes", "models", "parameters", "memory_MiB"):
            console.result(f"{name}: {sizes[name]}")
        return
    run = train(settings, given, console)
    if int(os.environ.get("RANK", "0")) > 0:  # under torchrun the first process prints for all
        return
    results = run.read_json("results.json")
    if results is None:  # stopped by --max-minutes
        console.emit({"run": str(run.path), "status": run.status()})
        return
    page = run.path / "report" / "index.html"
    console.emit({"run": str(run.path), "report": str(page), **results})
    _print_results(console, results)
    console.result(f"report: {page}")


def _print_results(console: Any, results: dict[str, Any]) -> None:
    from sciml.pipelines.galaxy import summary

    header, rows = summary.score_table(results)
    console.table(tuple(header), rows, title="Held-out galaxies (95 % intervals)")
    for line in summary.comparison_lines(results):
        console.result(line)


def _data(settings: galaxy.Data, given: dict[str, Any], invocation: Invocation) -> None:
    from sciml.pipelines.galaxy.data import prepare

    console = invocation.console
    found = prepare(settings, console)
    console.emit(found)
    for name, value in found.items():
        if value not in (None, [], {}) and name not in ("columns", "notes"):
            console.result(f"{name.replace('_', ' ')}: {_shown(value)}")
    if found.get("columns"):
        console.table(("column", "role", "missing", "median or values"), [tuple(map(str, r)) for r in found["columns"]])
    for line in found.get("notes", []):
        console.result(f"note: {line}")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(entry)}" for name, entry in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _audit(settings: galaxy.Audit, given: dict[str, Any], invocation: Invocation) -> None:
    from sciml.pipelines.galaxy.data import run_audit

    console = invocation.console
    result = run_audit(settings, console)
    console.emit(result.to_dict())
    console.table(result.header, result.rows(), title="Audit")
    for line in result.summary():
        console.result(line)


def _morphology(settings: morphology_settings.Morphology, given: dict[str, Any], invocation: Invocation) -> None:
    from sciml.pipelines.galaxy.measuring import measure_files

    console = invocation.console
    found = measure_files(settings, console)
    console.emit(found)
    for name, value in found.items():
        console.result(f"{name.replace('_', ' ')}: {_shown(value)}")


def _models(settings: training_settings.Models, given: dict[str, Any], invocation: Invocation) -> None:
    from sciml.pipelines.galaxy.backbones.registry import list_models

    entries = list_models(settings.pattern, settings.pretrained)
    invocation.console.emit([{"name": e.name, "kind": e.kind, "text": e.text} for e in entries])
    invocation.console.table(("backbone", "kind", ""), [(e.name, e.kind, e.text) for e in entries])


def _evaluate(settings: training_settings.Evaluate, given: dict[str, Any], invocation: Invocation) -> None:
    from sciml.pipelines.galaxy.evaluate import evaluate
    from sciml.pipelines.galaxy.summary import between

    console = invocation.console
    found = evaluate(settings, console)
    console.emit(found)
    rows = [(name.replace("_", " "), between(row)) for name, row in found["scores"].items()]
    console.table(("score", "value (95 % interval)"), rows, title=f"{found['arm']}, {found['objects']:,} objects")
    matrix = [(name, *map(str, row)) for name, row in zip(found["classes"], found["confusion"], strict=True)]
    console.table(("true class", *(f"predicted {name}" for name in found["classes"])), matrix)
    for column, bins in found["bins"].items():
        cells = [
            (row["bin"], str(row["n"]), *(between(row["metrics"][m]) if row["metrics"] else "-" for m in ("auc", "accuracy")))
            for row in bins
        ]
        console.table((column, "objects", "AUC", "accuracy"), cells)


def _predict(settings: training_settings.Predict, given: dict[str, Any], invocation: Invocation) -> None:
    from sciml.pipelines.galaxy.predict import predict

    frame = predict(settings, invocation.console)
    counts = {str(name): int(count) for name, count in frame["predicted"].value_counts().items()}
    invocation.console.emit({"file": str(settings.to), "objects": len(frame), "predicted": counts})
    invocation.console.result(f"predicted: {_shown(counts)}")
    invocation.console.result(str(settings.to))


def _explain(settings: training_settings.Explain, given: dict[str, Any], invocation: Invocation) -> None:
    from sciml.pipelines.galaxy.explain import explain
    from sciml.pipelines.galaxy.summary import between, signed

    console = invocation.console
    found = explain(settings, console)
    console.emit(found)
    rows = [
        (row["name"], row["kind"], signed(row["drop"]), f"{signed(row['low'])} to {signed(row['high'])}", row["note"])
        for row in found.get("importance", [])[:20]
    ]
    if rows:
        console.table(("shuffled", "", "drop in AUC", "95 % interval", ""), rows)
    shown = [(row["name"], between(row["metrics"]["auc"])) for row in found.get("ablation", [])]
    if shown:
        console.table(("model sees", "AUC"), shown)
    console.result(str(settings.to))


def _export(settings: training_settings.Export, given: dict[str, Any], invocation: Invocation) -> None:
    from sciml.pipelines.galaxy.export import export

    folder = export(settings, invocation.console)
    invocation.console.emit({"folder": str(folder), "files": sorted(p.name for p in folder.iterdir())})
    invocation.console.result(str(folder))


def _report(settings: training_settings.Report, given: dict[str, Any], invocation: Invocation) -> None:
    from sciml.pipelines.galaxy.report import redraw

    page = redraw(settings.model)
    invocation.console.emit({"report": str(page)})
    invocation.console.result(str(page))


add_command(
    app, "train", training_settings.Train, _train, dry_run=True,
    help="Train on images and tables, alone and together, and compare on held-out galaxies.",
    examples=[
        "sciml galaxy train",
        "sciml galaxy train --images cutouts --table galaxies.csv --id objid --label merger",
        'sciml galaxy train --images cutouts --table gz2.csv --label "gz2_class~(m)" --folds 5 --backbone resnet',
        "sciml galaxy train --images cutouts --table labels.csv --label merger --measure --fusion verdicts --table-encoder mlp --members 3",
        "sciml galaxy train --resume runs/galaxy-train/20260314T091200Z-1f3a",
    ],
)  # fmt: skip
add_command(
    app, "data", galaxy.Data, _data,
    help="Look at files, pack them for fast training, simulate galaxies, label merger histories.",
    examples=[
        "sciml galaxy data --images cutouts --table galaxies.csv --id objid --label merger --pack galaxies.h5",
        "sciml galaxy data --simulate 2000 --pack simulated.h5",
        "sciml galaxy data --merger-history MergerHistory_099.hdf5 --to labels.csv",
    ],
)  # fmt: skip
add_command(
    app, "audit", galaxy.Audit, _audit,
    help="Find what would let a model cheat: confounders, leaks, duplicates, label-bearing columns.",
    examples=["sciml galaxy audit --table galaxies.csv --label merger", "sciml galaxy audit --images galaxies.h5"],
)  # fmt: skip
add_command(
    app, "morphology", morphology_settings.Morphology, _morphology,
    help="Measure concentration, asymmetry, smoothness, Gini, M20, MID, Sersic and more.",
    examples=["sciml galaxy morphology --images cutouts --to morphology.csv",
              "sciml galaxy morphology --images cutouts --engine statmorph --workers 4"],
)  # fmt: skip
add_command(
    app, "models", training_settings.Models, _models, arguments=["pattern"],
    help="List the image encoders.",
    examples=["sciml galaxy models", "sciml galaxy models convnext", "sciml galaxy models 'vit*' --pretrained"],
)  # fmt: skip
add_command(
    app, "evaluate", training_settings.Evaluate, _evaluate,
    help="Score a trained model on held-out or other labelled galaxies.",
    examples=["sciml galaxy evaluate", "sciml galaxy evaluate --images new --table new.csv --label merger"],
)  # fmt: skip
add_command(
    app, "predict", training_settings.Predict, _predict,
    help="Classes, calibrated probabilities and their spread for new galaxies, as CSV or FITS.",
    examples=["sciml galaxy predict --images new --table new.csv --to predictions.csv",
              "sciml galaxy predict --images new --prevalence 0.05 --to predictions.fits"],
)  # fmt: skip
add_command(
    app, "explain", training_settings.Explain, _explain,
    help="Which columns, regions and modalities a model looks at.",
    examples=["sciml galaxy explain", "sciml galaxy explain --images new --table new.csv --label merger --to why"],
)  # fmt: skip
add_command(
    app, "export", training_settings.Export, _export,
    help="Write safetensors, configuration, model card and ONNX.",
    examples=["sciml galaxy export --to galaxy-model", "sciml galaxy export --arm image --onnx"],
)  # fmt: skip
add_command(
    app, "report", training_settings.Report, _report,
    help="Draw the figures and the page of a run again.",
    examples=["sciml galaxy report"],
)  # fmt: skip
