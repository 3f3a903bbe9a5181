"""The page of a `kd fit` run: verdict, learning curves, scores, comparison, data and settings in one HTML file.

Convention: report/index.html holds its pictures itself and asks the network for nothing; the same pictures lie beside
it as PNG. Everything on the page is read from the run folder, so that it can be drawn again at any time.
"""

from __future__ import annotations

import base64
import io
import shlex
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from sciml.pipelines.checkpoint import write_atomic
from sciml.pipelines.errors import DataError
from sciml.pipelines.run import Run, find_runs

from .summary import (
    column_decimals,
    comparison_lines,
    control_sentence,
    cost_sentence,
    fixed,
    lead_rows,
    number,
    pretraining_epochs,
    race_sentence,
    readable_unit,
    reference_name,
    score_rows,
    soft_target_sentence,
    station_names,
    with_spread,
)

DPI = 180  # twice the page's 900 px, for fine screens and print
_STYLE = """
:root { color-scheme: light dark; --ink: #1d1d1f; --paper: #fff; --soft: #667; --line: #d9d9df; --row: #eef4fa;
  --good: #00795a; --bad: #b34700; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6ea; --paper: #17181b; --soft: #a3a5b0; --line: #3a3c44;
  --row: #22303d; --good: #3cc79c; --bad: #ff9d5c; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 900px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin-bottom: .3rem; }
h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
.verdict { border-left: 5px solid var(--bad); padding: .4rem 1rem; margin: 1rem 0; font-size: 1.08rem; }
.verdict.helped { border-color: var(--good); }
.sub, figcaption, caption, .note { color: var(--soft); font-size: .9rem; }
figure { margin: 1.2rem 0; }
figure img { width: 100%; height: auto; background: #fff; border-radius: 4px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .8rem 0; font-size: .93rem; }
caption { text-align: left; padding-bottom: .3rem; }
th, td { padding: .25rem .8rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: .3rem; }
thead th { border-bottom: 2px solid var(--line); }
tbody th { font-weight: normal; }
th.text, td.text { text-align: left; }
tr.student { background: var(--row); }
tr.student th { font-weight: 600; }
pre { overflow-x: auto; border: 1px solid var(--line); border-radius: 4px; padding: .7rem; font-size: .85rem; }
code { font-size: .92em; overflow-wrap: anywhere; }
summary { cursor: pointer; }
@media print { body { margin: 0; max-width: none; } figure, table { break-inside: avoid; } }
"""


def redraw(model: Path) -> Path:
    """Draw the page of a run again; `model` is a run folder, or a folder of runs (the newest finished one is taken).

    Raises DataError if there is no finished run.
    """
    model = Path(model)
    if not model.exists():
        raise DataError(f"{model}: no such run", hint="make one: sciml kd fit --teacher nwp.nc")
    here = [model] if (model / "results.json").is_file() else []
    runs = here or [run.path for run in find_runs(model) if (run.path / "results.json").is_file()]
    if not runs:
        raise DataError(
            f"{model}: no results.json here or in a run below: a report needs a finished run, not an exported model",
            hint=f"finish it: sciml kd fit --resume {model}"
            if (model / "status.json").is_file()
            else "sciml runs list",
        )
    folder = max(runs, key=lambda path: path.name)
    results = Run(folder).read_json("results.json")
    if not isinstance(results, dict) or not {"scores", "curves", "data"} <= results.keys():
        raise DataError(f"{folder / 'results.json'}: not the results of a `kd fit` run")
    return write_report(folder, results)


def write_report(folder: Path, results: Mapping[str, Any]) -> Path:
    """Write report/index.html and its pictures into the run folder; returns the page."""
    target = Path(folder) / "report"
    target.mkdir(parents=True, exist_ok=True)
    pictures = _pictures(results)
    for name, data in pictures.items():
        write_atomic(target / f"{name}.png", data)
    page = target / "index.html"
    write_atomic(page, _page(Path(folder), results, pictures).encode())
    return page


def _pictures(results: Mapping[str, Any]) -> dict[str, bytes]:
    """PNG files by name."""
    from .figures import draw_all

    made = {}
    for name, figure in draw_all(results).items():
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=DPI, metadata={"Software": "sciml"})
        made[name] = file.getvalue()
    return made


def _page(folder: Path, results: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    title = _title(results)
    parts = [
        _head(results, title),
        _picture(pictures, "training_curves", "learning curves of the students", _curves_caption(results)),
        _scores(results, pictures),
        _comparison(results, pictures),
        _example(results, pictures),
        _data(folder, results),
        _settings(folder),
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n{''.join(parts)}</main>\n</body>\n</html>\n"
    )


# ---------------------------------------------------------------------------------------------------------------------
# Sections
# ---------------------------------------------------------------------------------------------------------------------
def _title(results: Mapping[str, Any]) -> str:
    names = [_words(target["name"]) for target in results["targets"]]
    what = ", ".join(names) if len(names) <= 4 else f"{len(names)} variables"
    return f"Distillation of {what}, {station_names(results)}"


def _head(results: Mapping[str, Any], title: str) -> str:
    leads, seeds, residual = results["lead_hours"], len(results["seeds"]), results["mode"] == "residual"
    span = f"lead {leads[0]:g} h" if len(leads) == 1 else f"{len(leads)} leads, {leads[0]:g} to {leads[-1]:g} h"
    sees = "past observations and the fresh forecast" if residual else "past observations only"
    about = (
        f"Student {results['student']['kind']}, schedule {results['schedule']}, {results['mode']} mode (at prediction "
        f"time it sees {sees}); {span}; {_count(seeds, 'seed')}, {results['epochs']} epochs over the observations."
    )
    verdict, *others = comparison_lines(results)
    helped = ((results.get("comparison") or {}).get("verdict") or {}).get("helped")
    page = f'<h1>{escape(title)}</h1>\n<p class="sub">{escape(about)}</p>\n'
    page += f'<p class="verdict{" helped" if helped else ""}"><strong>{escape(verdict)}</strong></p>\n'
    if results["data"]["self_taught"]:
        page += _note(
            "No observations were given: the teacher's shortest lead stands in their place, so every error below is a "
            "distance from the teacher."
        )
    if residual and helped is not None:
        page += _note(
            "The student that corrects the forecast sees the fresh forecast and the student alone does not: hold it "
            "against raw NWP and linear MOS as well, which see the forecast too."
        )
    return page + "".join(_note(line) for line in others if line.startswith("Lowest"))


def _curves_caption(results: Mapping[str, Any]) -> str:
    before, seeds = pretraining_epochs(results), len(results["seeds"])
    text = [f"RMSE against {reference_name(results)} while the students learn: training block and validation block."]
    if seeds > 1:
        text.append(
            f"Lines are means over {seeds} seeds, bands reach from the lowest to the highest seed; a thin line is a "
            "seed that trains on after another was stopped early."
        )
    text.append("Epoch 0 is the student before its first pass over the observations.")
    if before:
        span = _count(before[-1], "epoch") if before[0] == before[-1] else f"{before[0]} to {before[-1]} epochs"
        text.append(
            f"The distilled student has then seen {span} of pre-training on the teacher's record, which this axis does "
            "not count."
        )
    if results.get("comparison"):
        text.append(
            "Dashed: the goal that the stronger student without a teacher sets, by its training RMSE after the last "
            "epoch and by its best validation RMSE, each seed's own, averaged. Dots: the epochs at which it is met."
        )
    return " ".join(text)


def _scores(results: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    unit, rows = readable_unit(results["unit"]), score_rows(results)
    kinds, decimals = [row["kind"] for row in rows], column_decimals(row["rmse"] for row in rows)
    several = any(row["rmse_sd"] is not None for row in rows)
    note = (
        f"Test block, against {reference_name(results)}; all methods on the same elements"
        f"{', ± one standard deviation over seeds' if several else ''}. bias = mean of forecast - observed; skill = "
        "1 - MSE / MSE of climatology. Baselines and students are fitted on the same training observations."
    )
    page = "<h2>Scores on held-out data</h2>\n" + _score_table(rows, unit, decimals, note, kinds)
    page += _picture(pictures, "scores_by_lead", "held-out RMSE of every method", "")
    if len(results["lead_hours"]) > 1:
        leads = [f"{lead:g} h" for lead in results["lead_hours"]]
        body = [(row["label"], *(fixed(value, decimals) for value in row["rmse"])) for row in lead_rows(results)]
        page += _table(["method", *leads], body, f"RMSE by lead time [{unit}]", kinds)
    return page + _by_target(results, rows, kinds)


def _by_target(results: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], kinds: Sequence[str]) -> str:
    if len(results["targets"]) < 2:
        return ""
    page, unknown = "", {"rmse": None, "mae": None, "bias": None}
    for target in results["targets"]:
        own = [scored["by_target"].get(target["name"], unknown) for scored in results["scores"]]
        named = [{"label": row["label"]} | values for row, values in zip(rows, own, strict=True)]
        decimals = column_decimals(values["rmse"] for values in own)
        caption = f"{_words(target['name'])}, all leads"
        page += _score_table(named, readable_unit(target["units"]), decimals, caption, kinds)
    if results["unit"] == "standard deviations":
        page += _note(
            "The targets have different units: where they are pooled, each error is divided by the standard deviation "
            "of its target."
        )
    return page


def _score_table(rows: Sequence[Mapping[str, Any]], unit: str, decimals: int, note: str, kinds: Sequence[str]) -> str:
    """Columns: method, RMSE ± spread, MAE, bias, and CRPS and skill where they are known."""
    columns = [
        (f"RMSE [{unit}]", lambda row: with_spread(row["rmse"], row.get("rmse_sd"), decimals)),
        (f"MAE [{unit}]", lambda row: fixed(row["mae"], decimals)),
        (f"bias [{unit}]", lambda row: _signed(row["bias"], decimals)),
    ]
    if any(row.get("crps") is not None for row in rows):
        columns.append((f"CRPS [{unit}]", lambda row: fixed(row["crps"], decimals)))
    if any("skill" in row for row in rows):
        columns.append(("skill", lambda row: fixed(row["skill"], 3)))
    body = [(row["label"], *(write(row) for _, write in columns)) for row in rows]
    return _table(["method", *(name for name, _ in columns)], body, note, kinds)


def _comparison(results: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    comparison = results.get("comparison") or {}
    if not comparison:
        return ""
    page = "<h2>What the teacher brought</h2>\n"
    titles = {
        "train": "To the training RMSE that the student alone has after its last epoch",
        "validation": "To the best validation RMSE of the student alone",
    }
    for block, title in titles.items():
        if comparison.get(block):
            page += _race_table(comparison[block], title, results)
    if comparison.get("cost"):
        page += f"<p>{escape(cost_sentence(comparison['cost']))}</p>\n"
        page += _picture(pictures, "cost", "training steps and CPU time", "Whole training, mean over seeds.")
    if comparison.get("control"):
        meaning = "What the shuffled teacher gains as well does not come from its forecasts."
        page += f"<p>{escape(control_sentence(results))} {meaning}</p>\n"
    if comparison.get("against_soft_target"):
        page += f"<p>{escape(soft_target_sentence(results))}</p>\n"
    return page


def _race_table(race: Mapping[str, Any], title: str, results: Mapping[str, Any]) -> str:
    labels = {row["method"]: row["label"] for row in score_rows(results)}
    head = ["seed", "goal set by", f"goal [{readable_unit(results['unit'])}]", "at epoch", "taught student at", "ratio"]
    body = [
        (
            entry["seed"],
            labels.get(entry["goal_arm"], entry["goal_arm"]),
            number(entry["goal"]),
            entry["goal_epoch"],
            "not met" if entry["epoch"] is None else entry["epoch"],
            "-" if entry["ratio"] is None else f"{entry['ratio']:.1f}",
        )
        for entry in race["seeds"]
    ]
    return _table(head, body, f"{title}: {race_sentence(race, results['epochs'])}.", text=(1,))


def _example(results: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    if "example_series" not in pictures:
        return ""
    example = results["example"]
    caption = (
        f"Station {example['station']}, {_words(example['target'])}, lead {example['lead_hours']:g} h: the last "
        "forecasts of the test block; students of the first seed."
    )
    shown = _picture(pictures, "example_series", "observed and forecast values over time", caption)
    return "<h2>Example</h2>\n" + shown


def _data(folder: Path, results: Mapping[str, Any]) -> str:
    data, inputs = results["data"], Run(folder).environment().get("inputs", {})
    files = []
    for role in ("teacher", "observations"):
        if data.get(role):
            known = inputs.get(role, {})
            size = f"{known['bytes']:,}" if "bytes" in known else "-"
            files.append((role, data[role], size, known.get("sha256", "-")[:16]))
    page = "<h2>Data</h2>\n" + _table(["file", "path", "bytes", "SHA-256 begins with"], files, "", text=(1, 3))
    names = {"train": "training", "validation": "validation", "test": "test", "archive": "teacher's record"}
    blocks = [
        (name, _day(block.get("start")), _day(block.get("end")), f"{block.get('issues', 0):,}")
        for key, name in names.items()
        if (block := data["blocks"].get(key))
    ]
    page += _table(["block", "first issue time", "last issue time", "issue times"], blocks, "")
    members = f", {data['members']} members" if data.get("members") else ""
    said = (
        f"Past of {data['history']} steps of {data['cadence_hours']:g} h, {_count(data['horizon'], 'lead')}{members}; "
        f"{station_names(results, most=12)}; observation operator: {results['operator']}. "
        f"{data['dropped']:,} issue times were left out because their past or their target is not observed."
    )
    if "held_out_elements" in results:
        said += f" {results['held_out_elements']:,} held-out values are scored."
    return page + f"<p>{escape(said)}</p>\n"


def _settings(folder: Path) -> str:
    """How to repeat the run, with the settings and the versions it ran with."""
    stored, environment = folder / "settings.toml", Run(folder).environment()
    page = f"<h2>Repeat this run</h2>\n<pre>sciml kd fit -c {escape(shlex.quote(str(stored)))}</pre>\n"
    if stored.is_file():
        text = escape(stored.read_text(encoding="utf-8"))
        page += f"<details><summary>Settings</summary><pre>{text}</pre></details>\n"
    rows = list(environment.get("versions", {}).items())
    rows += [(name, environment[name]) for name in ("commit", "platform", "device", "created") if environment.get(name)]
    if rows:
        table = _table(["name", "value"], rows, "", text=(1,))
        page += f"<details><summary>Versions and machine</summary>{table}</details>\n"
    return page


# ---------------------------------------------------------------------------------------------------------------------
# Pieces of HTML; all text is escaped here
# ---------------------------------------------------------------------------------------------------------------------
def _table(
    head: Sequence[str],
    body: Iterable[Sequence[object]],
    note: str,
    kinds: Sequence[str] = (),
    text: Sequence[int] = (),
) -> str:
    """The first column names the row; columns in `text` hold words; rows of kind "student" stand out."""
    side = ["" if place not in text else ' class="text"' for place in range(len(head))]
    rows = []
    for place, (name, *cells) in enumerate(body):
        mark = ' class="student"' if place < len(kinds) and kinds[place] == "student" else ""
        inner = "".join(f"<td{side[n]}>{escape(str(cell))}</td>" for n, cell in enumerate(cells, start=1))
        rows.append(f'<tr{mark}><th scope="row">{escape(str(name))}</th>{inner}</tr>\n')
    top = "".join(f'<th scope="col"{side[n]}>{escape(name)}</th>' for n, name in enumerate(head))
    start = f"<caption>{escape(note)}</caption>\n" if note else ""
    start += f"<thead><tr>{top}</tr></thead>\n"
    return f'<div class="wide"><table>{start}<tbody>\n{"".join(rows)}</tbody></table></div>\n'


def _picture(pictures: Mapping[str, bytes], name: str, alternative: str, caption: str) -> str:
    if name not in pictures:
        return ""
    data = base64.b64encode(pictures[name]).decode()
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure><img src="data:image/png;base64,{data}" alt="{escape(alternative)}">{below}</figure>\n'


def _note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>\n'


def _signed(value: float, decimals: int) -> str:
    said = fixed(value, decimals)
    return said if said.startswith("-") else f"+{said}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _day(moment: str | None) -> str:
    return (moment or "-")[:10]
