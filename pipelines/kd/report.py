"""The page of a `kd fit` run: verdict, learning curves, scores, comparison, data and settings in one HTML file.

Convention: report/index.html holds its pictures itself and asks the network for nothing; the same pictures lie beside
it as PNG. Everything on the page is read from the run folder, so that it can be drawn again at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sciml.pipelines.page import as_png, heading, newest, paragraph, picture, repeat, table, whole
from sciml.pipelines.page import write as write_page
from sciml.pipelines.run import Run

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


def redraw(model: Path) -> Path:
    """Draw the page of a run again; `model` is a run folder, or a folder of runs (the newest finished one is taken).

    Raises DataError if there is no finished run.
    """
    first = "sciml kd fit --teacher nwp.nc"
    return write_report(*newest(model, "kd fit", first, lambda results: {"scores", "curves", "data"} <= results.keys()))


def write_report(folder: Path, results: Mapping[str, Any]) -> Path:
    """Write report/index.html and its pictures into the run folder; returns the page."""
    pictures = _pictures(results)
    return write_page(folder, _page(Path(folder), results, pictures), pictures)


def _pictures(results: Mapping[str, Any]) -> dict[str, bytes]:
    """PNG files by name."""
    from .figures import draw_all

    return as_png(draw_all(results), DPI)


def _page(folder: Path, results: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    title = _title(results)
    parts = [
        _head(results, title),
        picture(pictures, "training_curves", "learning curves of the students", _curves_caption(results)),
        _scores(results, pictures),
        _comparison(results, pictures),
        _example(results, pictures),
        _data(folder, results),
        repeat(folder, "kd fit"),
    ]
    return whole(title, parts)


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
    html = heading(title, 1) + paragraph(about, "sub")
    html += paragraph(verdict, f"verdict {'good' if helped else 'bad'}")
    if results["data"]["self_taught"]:
        html += paragraph(
            "No observations were given: the teacher's shortest lead stands in their place, so every error below is a "
            "distance from the teacher.",
            "note",
        )
    if residual and helped is not None:
        html += paragraph(
            "The student that corrects the forecast sees the fresh forecast and the student alone does not: hold it "
            "against raw NWP and linear MOS as well, which see the forecast too.",
            "note",
        )
    return html + "".join(paragraph(line, "note") for line in others if line.startswith("Lowest"))


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
    students, decimals = [row["kind"] == "student" for row in rows], column_decimals(row["rmse"] for row in rows)
    several = any(row["rmse_sd"] is not None for row in rows)
    note = (
        f"Test block, against {reference_name(results)}; all methods on the same elements"
        f"{', ± one standard deviation over seeds' if several else ''}. bias = mean of forecast - observed; skill = "
        "1 - MSE / MSE of climatology. Baselines and students are fitted on the same training observations."
    )
    html = heading("Scores on held-out data") + _score_table(rows, unit, decimals, note, students)
    html += picture(pictures, "scores_by_lead", "held-out RMSE of every method", "")
    if len(results["lead_hours"]) > 1:
        leads = [f"{lead:g} h" for lead in results["lead_hours"]]
        body = [(row["label"], *(fixed(value, decimals) for value in row["rmse"])) for row in lead_rows(results)]
        html += table(["method", *leads], body, f"RMSE by lead time [{unit}]", main=students)
    return html + _by_target(results, rows, students)


def _by_target(results: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], students: Sequence[bool]) -> str:
    if len(results["targets"]) < 2:
        return ""
    html, unknown = "", {"rmse": None, "mae": None, "bias": None}
    for target in results["targets"]:
        own = [scored["by_target"].get(target["name"], unknown) for scored in results["scores"]]
        named = [{"label": row["label"]} | values for row, values in zip(rows, own, strict=True)]
        decimals = column_decimals(values["rmse"] for values in own)
        caption = f"{_words(target['name'])}, all leads"
        html += _score_table(named, readable_unit(target["units"]), decimals, caption, students)
    if results["unit"] == "standard deviations":
        html += paragraph(
            "The targets have different units: where they are pooled, each error is divided by the standard deviation "
            "of its target.",
            "note",
        )
    return html


def _score_table(
    rows: Sequence[Mapping[str, Any]], unit: str, decimals: int, note: str, students: Sequence[bool]
) -> str:
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
    return table(["method", *(name for name, _ in columns)], body, note, main=students)


def _comparison(results: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    comparison = results.get("comparison") or {}
    if not comparison:
        return ""
    html = heading("What the teacher brought")
    titles = {
        "train": "To the training RMSE that the student alone has after its last epoch",
        "validation": "To the best validation RMSE of the student alone",
    }
    for block, title in titles.items():
        if comparison.get(block):
            html += _race_table(comparison[block], title, results)
    if comparison.get("cost"):
        html += paragraph(cost_sentence(comparison["cost"]))
        html += picture(pictures, "cost", "training steps and CPU time", "Whole training, mean over seeds.")
    if comparison.get("control"):
        meaning = "What the shuffled teacher gains as well does not come from its forecasts."
        html += paragraph(f"{control_sentence(results)} {meaning}")
    if comparison.get("against_soft_target"):
        html += paragraph(soft_target_sentence(results))
    return html


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
    return table(head, body, f"{title}: {race_sentence(race, results['epochs'])}.", text=(1,))


def _example(results: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    if "example_series" not in pictures:
        return ""
    example = results["example"]
    caption = (
        f"Station {example['station']}, {_words(example['target'])}, lead {example['lead_hours']:g} h: the last "
        "forecasts of the test block; students of the first seed."
    )
    shown = picture(pictures, "example_series", "observed and forecast values over time", caption)
    return heading("Example") + shown


def _data(folder: Path, results: Mapping[str, Any]) -> str:
    data, inputs = results["data"], Run(folder).environment().get("inputs", {})
    files = []
    for role in ("teacher", "observations"):
        if data.get(role):
            known = inputs.get(role, {})
            size = f"{known['bytes']:,}" if "bytes" in known else "-"
            files.append((role, data[role], size, known.get("sha256", "-")[:16]))
    html = heading("Data") + table(["file", "path", "bytes", "SHA-256 begins with"], files, "", text=(1, 3))
    names = {"train": "training", "validation": "validation", "test": "test", "archive": "teacher's record"}
    blocks = [
        (name, _day(block.get("start")), _day(block.get("end")), f"{block.get('issues', 0):,}")
        for key, name in names.items()
        if (block := data["blocks"].get(key))
    ]
    html += table(["block", "first issue time", "last issue time", "issue times"], blocks, "")
    members = f", {data['members']} members" if data.get("members") else ""
    said = (
        f"Past of {data['history']} steps of {data['cadence_hours']:g} h, {_count(data['horizon'], 'lead')}{members}; "
        f"{station_names(results, most=12)}; observation operator: {results['operator']}. "
        f"{data['dropped']:,} issue times were left out because their past or their target is not observed."
    )
    if "held_out_elements" in results:
        said += f" {results['held_out_elements']:,} held-out values are scored."
    return html + paragraph(said)


def _signed(value: float, decimals: int) -> str:
    said = fixed(value, decimals)
    return said if said.startswith("-") else f"+{said}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _day(moment: str | None) -> str:
    return (moment or "-")[:10]
