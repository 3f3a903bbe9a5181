"""`sciml kd`: parse, call the pipeline, print."""

import os
from typing import Any

from sciml.cli.options import Invocation, add_command, new_group
from sciml.pipelines.errors import SettingsError
from sciml.pipelines.kd import settings as kd

app = new_group("Distil a numerical weather model into a light student (PyTorch).")


def _fit(settings: kd.Fit, given: dict[str, Any], invocation: Invocation) -> None:
    if settings.resume is not None and invocation.config is not None:
        raise SettingsError(
            f"--config {invocation.config} beside --resume: a resumed run keeps the settings in its own settings.toml",
            hint="leave --config out, or start a new run without --resume",
        )
    named = [settings.observations, settings.resume, settings.init_from, settings.teacher if settings.resume is None else None]
    refused = any(path is not None and not path.exists() for path in named)  # what is wrong, is said below
    alone = settings.workers == 1 or "RANK" in os.environ or invocation.dry_run
    if settings.device in ("auto", "cpu") and not alone and not refused:
        # the workers' imports go on beside our own
        from sciml.pipelines.compute.workers import warm

        warm("sciml.pipelines.kd.pool")
    from sciml.pipelines.kd.fit import dry_run, fit

    console = invocation.console
    if invocation.dry_run:
        sizes = dry_run(settings, console)
        console.emit(sizes)
        for name in ("parameters", "windows", "memory_MiB", "jobs"):
            console.result(f"{name}: {sizes[name]}")
        return
    run = fit(settings, given, console)
    if int(os.environ.get("RANK", "0")) > 0:  # under torchrun the first process prints for all
        return
    results = run.read_json("results.json")
    if results is None:  # stopped by --max-minutes
        console.emit({"run": str(run.path), "status": run.status()})
        return
    console.emit({"run": str(run.path), "report": str(run.path / "report" / "index.html"), **results})
    _print_results(console, results)
    console.result(f"report: {run.path / 'report' / 'index.html'}")


def _print_results(console: Any, results: dict[str, Any]) -> None:
    from sciml.pipelines.kd.report import comparison_lines, lead_rows, score_rows

    unit = results["unit"]
    rows = [
        (r["label"], _pm(r["rmse"], r["rmse_sd"]), f"{r['mae']:.3f}", f"{r['bias']:+.3f}", f"{r['skill']:.3f}")
        for r in score_rows(results)
    ]
    console.table(("method", f"RMSE [{unit}]", "MAE", "bias", "skill"), rows, title="Held-out scores")
    by_lead = lead_rows(results)
    if len(results["lead_hours"]) > 1:
        leads = _some(results["lead_hours"])
        columns = ("RMSE by lead", *(f"{results['lead_hours'][k]:g} h" for k in leads))
        console.table(columns, [(r["label"], *(f"{r['rmse'][k]:.3f}" for k in leads)) for r in by_lead])
    for line in comparison_lines(results):
        console.result(line)


def _some(leads: list[float], most: int = 8) -> list[int]:
    """At most `most` leads, evenly spaced, first and last included."""
    if len(leads) <= most:
        return list(range(len(leads)))
    return sorted({round(n * (len(leads) - 1) / (most - 1)) for n in range(most)})


def _pm(value: float, spread: float | None) -> str:
    return f"{value:.3f}" if spread is None else f"{value:.3f} ± {spread:.3f}"


def _data(settings: kd.Data, given: dict[str, Any], invocation: Invocation) -> None:
    console = invocation.console
    if settings.synthesize:
        from sciml.pipelines.kd.fit import synthesize

        nwp, obs = synthesize(settings, console)
        console.emit({"teacher": str(nwp), "observations": str(obs)})
        console.result(f"next: sciml kd fit --teacher {nwp} --observations {obs}")
        return
    from sciml.pipelines.kd.survey import survey

    found = survey(settings)
    console.emit(found)
    for part in ("teacher", "observations"):
        facts = found.get(part)
        if facts:
            _print_facts(console, part, facts)
    for text in found["notes"]:
        console.result(f"note: {text}")
    for text in found["warnings"]:
        console.result(f"warning: {text}")
    if not found["warnings"]:
        console.result("nothing doubtful found")


def _print_facts(console: Any, part: str, facts: dict[str, Any]) -> None:
    plain = [(name.replace("_", " "), _shown(value)) for name, value in facts.items() if name != "variables"]
    console.table((part, ""), plain)
    rows = [(name, *(_shown(value) for value in entry.values())) for name, entry in facts.get("variables", {}).items()]
    if rows:
        names = next(iter(facts["variables"].values()))
        console.table(("variable", *(n.replace("_", " ") for n in names)), rows)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        head = ", ".join(_shown(v) for v in value[:6])
        return head + (f", ... ({len(value)})" if len(value) > 6 else "")
    return "-" if value is None else str(value)


def _evaluate(settings: kd.Evaluate, given: dict[str, Any], invocation: Invocation) -> None:
    from sciml.pipelines.kd.evaluate import evaluate

    console = invocation.console
    found = evaluate(settings, console)
    console.emit(found)
    rows = [
        (r["label"], f"{r['rmse']:.3f}", f"{r['mae']:.3f}", f"{r['bias']:+.3f}", f"{r['skill']:.3f}")
        for r in found["scores"]
    ]
    title = f"{found['model']}, issued {found['issues'][0]} to {found['issues'][1]}"
    console.table(("method", f"RMSE [{found['unit']}]", "MAE", "bias", "skill"), rows, title=title)
    last = found["scores"][-1]
    if "crps" in last:
        console.result(
            f"CRPS {last['crps']:.3f}, {last['nominal_coverage']:.0%} interval covers {last['coverage']:.1%}"
        )


def _predict(settings: kd.Predict, given: dict[str, Any], invocation: Invocation) -> None:
    from sciml.pipelines.kd.predict import predict

    console = invocation.console
    ds = predict(settings, console)
    console.emit(
        {"file": str(settings.to), "issues": int(ds.sizes["time"]), "leads": int(ds.sizes["prediction_timedelta"])}
    )
    console.result(str(settings.to))


def _export(settings: kd.Export, given: dict[str, Any], invocation: Invocation) -> None:
    from sciml.pipelines.kd.export import export

    folder = export(settings, invocation.console)
    invocation.console.emit({"folder": str(folder), "files": sorted(p.name for p in folder.iterdir())})
    invocation.console.result(str(folder))


def _report(settings: kd.Report, given: dict[str, Any], invocation: Invocation) -> None:
    from sciml.pipelines.kd.report import redraw

    page = redraw(settings.model)
    invocation.console.emit({"report": str(page)})
    invocation.console.result(str(page))


add_command(
    app, "fit", kd.Fit, _fit, dry_run=True,
    help="Train a student with and without the numerical teacher, and say what the teacher brought.",
    examples=[
        "sciml kd fit --teacher nwp.nc",
        "sciml kd fit --teacher nwp.nc --observations obs.csv",
        "sciml kd fit --teacher nwp.nc --observations obs.csv --mode residual",
        "sciml kd fit --resume runs/kd-fit/20260314T091200Z-1f3a",
    ],
)  # fmt: skip
add_command(
    app, "data", kd.Data, _data,
    help="Check forecast and observation files, or write a realistic pair.",
    examples=["sciml kd data --synthesize", "sciml kd data --teacher nwp.nc --observations obs.csv"],
)  # fmt: skip
add_command(
    app, "evaluate", kd.Evaluate, _evaluate,
    help="Score a trained student on held-out or other data.",
    examples=["sciml kd evaluate", "sciml kd evaluate --model kd-model --observations obs.csv --start 2014-01-01"],
)  # fmt: skip
add_command(
    app, "predict", kd.Predict, _predict,
    help="Forecast from the newest observations, as NetCDF.",
    examples=["sciml kd predict", "sciml kd predict --model kd-model --observations obs.csv --to forecast.nc"],
)  # fmt: skip
add_command(
    app, "export", kd.Export, _export,
    help="Write safetensors, configuration, model card and ONNX.",
    examples=["sciml kd export --to kd-model", "sciml kd export --model runs/kd-fit/20260314T091200Z-1f3a --onnx"],
)  # fmt: skip
add_command(
    app, "report", kd.Report, _report,
    help="Draw the figures and the page of a run again.",
    examples=["sciml kd report", "sciml kd report --model runs/kd-fit/20260314T091200Z-1f3a"],
)  # fmt: skip
