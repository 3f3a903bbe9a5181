"""`sciml gcm`: parse, call the pipeline, print."""

from typing import Any

from sciml.cli.options import Invocation, add_command, new_group
from sciml.pipelines.gcm import export_settings
from sciml.pipelines.gcm import settings as gcm

app = new_group("Integrate the atmosphere on the sphere: a dynamical core, and NeuralGCM models (JAX).")


def _rollout(settings: gcm.Rollout, given: dict[str, Any], invocation: Invocation) -> None:
    from sciml.pipelines.gcm.rollout import dry_run, rollout

    console = invocation.console
    if invocation.dry_run:
        sizes = dry_run(settings, console)
        console.emit(sizes)
        console.table(("", ""), [(name.replace("_", " "), _shown(value)) for name, value in sizes["sizes"].items()])
        return
    run = rollout(settings, given, console)
    results = run.read_json("results.json")
    if results is None or run.status()["state"] != "finished":  # stopped by --max-minutes
        console.emit({"run": str(run.path), "status": run.status()})
        return
    page = run.path / "report" / "index.html"
    console.emit({"run": str(run.path), "report": str(page) if page.exists() else None, **results})
    _print_results(console, results)
    console.result(f"output: {results['output']}")
    if page.exists():
        console.result(f"report: {page}")


def _print_results(console: Any, results: dict[str, Any]) -> None:
    from sciml.pipelines.gcm.report.page import result_rows

    title = f"{results['title']}, {results['days']:g} day{'' if results['days'] == 1 else 's'}"
    console.table(("", ""), result_rows(results), title=title)


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_shown(item) for item in value)
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def _report(settings: gcm.Report, given: dict[str, Any], invocation: Invocation) -> None:
    from sciml.pipelines.gcm.report.page import redraw

    page = redraw(settings.run)
    invocation.console.emit({"report": str(page)})
    invocation.console.result(str(page))


def _export(settings: export_settings.Export, given: dict[str, Any], invocation: Invocation) -> None:
    from sciml.pipelines.gcm.neural.checkpoint.export import export
    from sciml.pipelines.gcm.neural.checkpoint.store import count

    folder, checkpoint = export(settings, invocation.console)
    files = sorted(path.name for path in folder.iterdir())
    sizes = {"folder": str(folder), "files": files, "parameters": count(checkpoint.params)}
    invocation.console.emit({**sizes, **checkpoint.provenance})
    invocation.console.result(str(folder))


add_command(
    app, "rollout", gcm.Rollout, _rollout, dry_run=True,
    help="Integrate from a classical case or an analysis, or run a NeuralGCM model; write CF NetCDF and a report.",
    examples=[
        "sciml gcm rollout --days 10",
        "sciml gcm rollout --checkpoint stochastic_1_4_deg.pkl --initial era5.nc --days 10 --members 8 --to forecast.nc",
        "sciml gcm rollout --checkpoint neuralgcm-2.8 --initial era5.zarr --sea-surface sst.nc --days 365 --means daily,monthly",
        "sciml gcm rollout --model neuralgcm-2.8 --random-weights --days 0.25 --every-hours 1",
        "sciml gcm rollout --days 5 --initial era5.nc --surface surface.nc",
        "sciml gcm rollout --days 15 --initial williamson5 --to mountain.zarr",
        "sciml gcm rollout --days 1000 --initial held_suarez --truncation T21",
        "sciml gcm rollout --days 10 --members 8 --perturbation 1 --dry-run",
        "sciml gcm rollout --resume runs/gcm-rollout/20260314T091200Z-1f3a --days 20",
    ],
)  # fmt: skip
add_command(
    app, "report", gcm.Report, _report, arguments=["run"],
    help="Draw the figures and the page of a run again.",
    examples=["sciml gcm report", "sciml gcm report runs/gcm-rollout/20260314T091200Z-1f3a"],
)  # fmt: skip
add_command(
    app, "export", export_settings.Export, _export, arguments=["checkpoint"],
    help="Convert a NeuralGCM checkpoint into safetensors, settings and a model card; nothing in the file is executed.",
    examples=["sciml gcm export stochastic_1_4_deg.pkl --to neuralgcm-ens-1.4"],
)  # fmt: skip
