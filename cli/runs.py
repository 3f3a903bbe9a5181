"""`sciml runs`: list, show and compare run folders; reads their files only, so no framework is loaded."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from sciml.cli.console import Console
from sciml.cli.options import CONTEXT, SHARED_PANEL, Json, epilog, new_group
from sciml.pipelines.errors import DataError, SettingsError, suggest
from sciml.pipelines.run import Run, find_runs

app = new_group("List, show and compare the runs under runs/.")

Root = Annotated[
    Path, typer.Option("--root", metavar="DIR", help="Folder that holds the runs.", rich_help_panel=SHARED_PANEL)
]
_ROOT = Path("runs")


@app.command(
    "list",
    context_settings=CONTEXT,
    epilog=epilog(["sciml runs list", "sciml runs list --root /archive/runs --json"]),
)
def list_runs(root: Root = _ROOT, json: Json = False) -> None:
    """Every run with its state, start and headline score, oldest first."""
    console = Console(json=json)
    summaries = [summary(run) for run in find_runs(root)]
    console.emit({"root": root, "runs": summaries})
    if not summaries:
        console.result(f"no runs under {root}")
        return
    rows = [(s["run"], s["state"], s["started"], _headline(s["headline"])) for s in summaries]
    console.table(("run", "state", "started", "headline"), rows)


@app.command(
    "show",
    context_settings=CONTEXT,
    epilog=epilog(["sciml runs show 20260314T0912", "sciml runs show runs/kd-fit/20260314T091200Z-1f3a"]),
)
def show(
    run: Annotated[str, typer.Argument(help="Run folder, or the beginning of its name.")],
    root: Root = _ROOT,
    json: Json = False,
) -> None:
    """Settings, status, last metrics and files of one run."""
    console = Console(json=json)
    found = find(run, root)
    facts = summary(found)
    settings, metrics, files = found.settings(), found.read_metrics(), _files(found)
    last = metrics[-1] if metrics else {}
    console.emit(
        {**facts, "settings": settings, "status": found.status(), "last_metrics": last, "files": files}
        | {"environment": found.environment()}
    )
    status = [(key, value) for key, value in found.status().items() if key not in ("state", "pid", "host")]
    head = [(key, facts[key]) for key in ("run", "path", "state")] + [("headline", _headline(facts["headline"]))]
    console.table(("status", ""), [*head, *((key, _text(value)) for key, value in status)])
    for title, rows in (("setting", settings), ("last metrics", last)):
        if rows:
            console.result()
            console.table((title, ""), [(key, _text(value)) for key, value in rows.items()])
    console.result()
    console.table(("file", "bytes"), [(entry["name"], entry["bytes"]) for entry in files])


@app.command(
    "compare",
    context_settings=CONTEXT,
    epilog=epilog(["sciml runs compare 20260314T0912 20260315T1001"]),
)
def compare(
    runs: Annotated[list[str], typer.Argument(help="Two or more run folders, or the beginnings of their names.")],
    root: Root = _ROOT,
    json: Json = False,
) -> None:
    """The settings that differ, and the headline scores side by side."""
    if len(runs) < 2:
        raise SettingsError("runs compare: one run is no comparison", hint="sciml runs compare FIRST SECOND")
    console = Console(json=json)
    found = [find(name, root) for name in runs]
    differing = _differing([run.settings() for run in found])
    summaries = [summary(run) for run in found]
    console.emit({"runs": summaries, "differing_settings": differing})
    rows = [("state", *(s["state"] for s in summaries)), ("headline", *(_headline(s["headline"]) for s in summaries))]
    rows += [(key, *map(_text, values)) for key, values in differing.items()]
    console.table(("", *(run.name for run in found)), rows)
    if not differing:
        console.result("the settings are equal")


def summary(run: Run) -> dict[str, Any]:
    """What `list` says of one run; a file that cannot be read shows as state "damaged"."""
    try:
        status, results = run.status(), run.read_json("results.json")
    except DataError:
        status, results = {"state": "damaged"}, None
    headline = results.get("headline") if isinstance(results, dict) else None
    return {
        "run": run.name,
        "path": str(run.path),
        "state": _state(status),
        "started": status.get("started", ""),
        "headline": headline if isinstance(headline, dict) else None,
    }


def find(name: str, root: Path) -> Run:
    """The run whose folder is `name`, or whose name begins with it; SettingsError if none or several do."""
    path = Path(name)
    if (path / "status.json").is_file():
        return Run(path)
    known = find_runs(root)
    matching = [run for run in known if run.name.startswith(name) or run.path.name.startswith(name)]
    exact = [run for run in matching if name in (run.name, run.path.name)]
    if len(exact or matching) == 1:
        return (exact or matching)[0]
    if not matching:
        names = [run.name for run in known] if "/" in name else [run.path.name for run in known]
        raise SettingsError(f'no run "{name}" under {root}; {suggest(name, names)}', hint="sciml runs list")
    raise SettingsError(
        f'"{name}" begins {len(matching)} runs: {", ".join(run.name for run in matching)}', hint="type more of the name"
    )


def _state(status: dict[str, Any]) -> str:
    """The recorded state, but "killed" for a run said to be running whose process is gone."""
    state, pid = str(status.get("state", "unknown")), status.get("pid")
    if state != "running" or status.get("host") != platform.node() or not isinstance(pid, int):
        return state
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "killed"
    except PermissionError:
        pass
    return state


def _differing(settings: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    keys = list(dict.fromkeys(key for one in settings for key in one))
    values = {key: [one.get(key) for one in settings] for key in keys}
    return {key: row for key, row in values.items() if any(value != row[0] for value in row)}


def _files(run: Run) -> list[dict[str, Any]]:
    paths = sorted(path for path in run.path.rglob("*") if path.is_file())
    return [{"name": path.relative_to(run.path).as_posix(), "bytes": path.stat().st_size} for path in paths]


def _headline(headline: dict[str, Any] | None) -> str:
    if not headline:
        return "-"
    parts = (headline.get("name"), _text(headline.get("value")), headline.get("units"))
    return " ".join(str(part) for part in parts if part not in (None, ""))


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return "-" if value is None else str(value)
