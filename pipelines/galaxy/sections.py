"""The sections of a training run's page, each from the results and the pictures that were drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sciml.pipelines.page import folded, heading, paragraph, picture, repeat, table, whole

from .summary import (
    HEADLINE,
    METRICS,
    SIMULATED,
    arm_label,
    audit_sentence,
    bounds,
    comparison_table,
    main_arm,
    majority_sentence,
    number,
    positive_of,
    sample_sentence,
    score_table,
    shown_classes,
    signed,
)

Pictures = Mapping[str, bytes]
_REST = ("balanced_accuracy", "log_loss", "brier", "ece")
_INTERVAL = "Below each value: 95 % bootstrap interval over the test objects"


def page(folder: Path, results: Mapping[str, Any], pictures: Pictures) -> str:
    """The HTML of the whole page."""
    title = f"Galaxies: {' / '.join(map(str, results['classes']))}"
    parts = (_head, _scores, _galaxies, _calibration, _reliance, _bins, _fraction, _audit, _training)
    return whole(
        title,
        [
            *(part(results, pictures) if part is not _head else _head(title, results) for part in parts),
            _repeat(folder, results),
        ],
    )


def _value(row: Mapping[str, float | None]) -> tuple[str, str]:
    """A cell: the value, its interval below."""
    return number(row["value"]), bounds(row)


def _difference(row: Mapping[str, float | None]) -> tuple[str, str]:
    return signed(row["value"]), bounds(row, sign=True)


def _head(title: str, results: Mapping[str, Any]) -> str:
    rows = [r for r in results.get("comparison") or () if r["arm"] == "fusion" or r["against"] == "fusion"]
    gains = [
        sorted((1 if r["arm"] == "fusion" else -1) * (r["metrics"]["auc"][k] or 0.0) for k in ("low", "high"))
        for r in rows
    ]
    kind = (
        ""
        if not rows
        else " good"
        if all(low > 0 for low, _ in gains)
        else " bad"
        if any(high < 0 for _, high in gains)
        else ""
    )
    parts = [heading(title, 1), paragraph(sample_sentence(results), "sub")]
    parts.append(paragraph(results.get("verdict") or "", f"verdict{kind}"))
    if results.get("simulated") and "simulated" not in (results.get("verdict") or ""):
        parts.append(paragraph(SIMULATED, "note"))
    worst = (results.get("audit") or {}).get("worst")
    if worst in ("leak", "suspect"):
        parts.append(
            paragraph(f"{audit_sentence(results)} See the audit below before quoting a number.", "verdict bad")
        )
    return "".join(parts)


def _scores(results: Mapping[str, Any], pictures: Pictures) -> str:
    arm, folds = main_arm(results), results.get("folds", 1)
    main = [name == arm for name in results["arms"]]
    positive = positive_of(results)
    what = (
        f'average precision and F1 are those of "{results["classes"][positive]}"'
        if positive is not None
        else "AUC, average precision and F1 are means over the classes, each against the rest"
    )
    note = f"{_INTERVAL}{' of all folds' if folds > 1 else ''}; {what}."
    html = heading("Scores on held-out galaxies")
    head, rows = score_table(results, write=_value)
    html += table(head, rows, note, main=main)
    html += paragraph(majority_sentence(results))
    head, rows = comparison_table(results, write=_difference)
    html += table(
        head, rows, "Differences on the same resamples of the same objects: one that excludes 0 is beyond chance."
    )
    alternative = "ROC and precision-recall curves of every arm with bootstrap bands"
    html += picture(pictures, "ranking", alternative, "Shaded: 95 % bootstrap band. Dotted: chance.")
    html += picture(
        pictures, "confusion", "confusion matrix in counts and shares of the true class",
        f"Confusion of the {arm_label(arm)} model{_threshold(results, arm)}.", narrow=True,
    )  # fmt: skip
    head, rows = score_table(results, _REST, write=_value)
    lower = "Log loss, Brier score and ECE (expected calibration error) are better the lower they are."
    return html + folded("More scores", table(head, rows, lower, main=main))


def _threshold(results: Mapping[str, Any], arm: str) -> str:
    value, positive = results["arms"][arm].get("threshold"), positive_of(results)
    if value is None or positive is None:
        return ""
    name = results["classes"][positive]
    return (
        f': "{name}" from a probability of {value:.2f} on, the threshold with the largest F1 on the validation objects'
    )


def _galaxies(results: Mapping[str, Any], pictures: Pictures) -> str:
    seen = (
        f"Above each cutout: its true class, \u2713 right or \u2717 wrong (dashed frame), and what the "
        f"{arm_label(main_arm(results))} model says."
    )
    plates = (
        ("sample", "A sample of the test galaxies", "From the most to the least likely of each class."),
        ("mistakes", "Hardest mistakes", "Wrong, the true class least likely first: look for wrong labels here too."),
        ("uncertain", "Most uncertain", "The two likeliest classes are closest."),
        ("heat", "Where the model looked", "Grad-CAM: parts that raised the predicted class."),
    )
    html = "".join(
        heading(title, 3) + picture(pictures, name, f"cutouts: {title.lower()}", caption)
        for name, title, caption in plates
        if name in pictures
    )
    return heading("Galaxies") + paragraph(seen, "note") + html if html else ""


def _calibration(results: Mapping[str, Any], pictures: Pictures) -> str:
    rows = [(arm_label(arm), number(facts.get("temperature"))) for arm, facts in results["arms"].items()]
    return (
        heading("Calibration")
        + picture(
            pictures, "calibration", "observed share against predicted probability, before and after temperature scaling",
            f"Test objects, {arm_label(main_arm(results))} model; bars: 95 % Wilson interval. On the dotted line a "
            "probability means what it says.",
        )
        + table(["model sees", "temperature"], rows, "Fitted on validation objects; above 1 the model was too sure of itself.")
    )  # fmt: skip


def _reliance(results: Mapping[str, Any], pictures: Pictures) -> str:
    html = ""
    if results.get("importance"):
        html += picture(
            pictures,
            "importance",
            "drop in AUC when a column or modality is shuffled",
            "Lines: 95 % bootstrap interval.",
        )
        rows = [
            (row["name"], _difference({"value": row["drop"], **row}), row.get("note", ""))
            for row in results["importance"]
        ]
        html += folded("Drop in AUC in numbers", table(["shuffled", "drop in AUC", "note"], rows, long=(2,)))
        if any(row.get("note") for row in results["importance"]):
            html += paragraph(
                "Columns that say the same thing stand in for each other: shuffling one of them costs little, shuffling "
                "them together shows what they carry.",
                "note",
            )
    if results.get("ablation"):
        html += _ablation(results["ablation"])
    return heading("What the model relies on") + html if html else ""


def _ablation(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows {"name", "metrics"}, or {"name", "drop", "low", "high"}."""
    scored = [row for row in rows if row.get("metrics")]
    body = [(row["name"], *(_value(row["metrics"][name]) for name in HEADLINE)) for row in scored]
    html = table(
        ["the same model, shown", *(METRICS[name] for name in HEADLINE)], body, "Modalities hidden at prediction time."
    )
    plain = [(row["name"], _difference({"value": row["drop"], **row})) for row in rows if "drop" in row]
    return html + table(["hidden at prediction time", "drop in AUC"], plain)


def _bins(results: Mapping[str, Any], pictures: Pictures) -> str:
    if not results.get("bins"):
        return ""
    html = heading("Scores by redshift, mass, magnitude" if len(results["bins"]) > 1 else "Scores in bins")
    html += picture(
        pictures, "by_bin", "scores in bins of a quantity", f"Lines: 95 % bootstrap interval. {_model(results)}"
    )
    names = ("auc", "average_precision", "f1")
    for column, rows in results["bins"].items():
        body = [
            (
                row["bin"],
                row["n"],
                *(_value(row["metrics"][n]) if row.get("metrics") else "-" for n in names),
                row.get("note", ""),
            )
            for row in rows
        ]
        head = [column.replace("_", " "), "objects", *(METRICS[name] for name in names), "note"]
        html += folded(f"{column.replace('_', ' ')} in numbers", table(head, body, text=(5,)))
    return html


def _model(results: Mapping[str, Any]) -> str:
    return f"Model: {arm_label(main_arm(results))}."


def _fraction(results: Mapping[str, Any], pictures: Pictures) -> str:
    found = results.get("fraction")
    if not found:
        return ""
    head = ["class", "counted", "corrected by confusion", "corrected by prior shift", "true", "in the labelled sample"]
    body = [
        (
            name,
            *(_value(row[how]) for how in ("counted", "confusion", "em")),
            number(row.get("truth")),
            number(row["labelled"]),
        )
        for name, row in ((name, found["shares"][name]) for name in shown_classes(results))
    ]
    n = found["n"]
    note = (
        f"{n['target']:,} test objects, corrected with {n['labelled']:,} validation objects; bootstrap of both. Valid where "
        "galaxies of a class look alike in both samples and only their shares differ."
    )
    html = heading("Share of each class") + picture(
        pictures, "fraction", "share of each class, counted and corrected", note
    )
    return html + table(head, body) + "".join(paragraph(text, "note") for text in found.get("notes", ()))


def _audit(results: Mapping[str, Any], pictures: Pictures) -> str:
    found = results.get("audit")
    if not found:
        return heading("Audit") + paragraph("This run was not audited.", "note")
    html = heading("Audit: could a model score without looking at the galaxy?") + paragraph(audit_sentence(results))
    html += picture(
        pictures, "audit", "AUC of every probe of the audit",
        "Each bar: how well nuisance columns, missing cells, file properties or one column alone predict the class.",
    )  # fmt: skip
    grave = [f for f in found["findings"] if f["verdict"] in ("leak", "suspect")]
    rest = [f for f in found["findings"] if f["verdict"] not in ("leak", "suspect")]
    html += _findings(grave)
    return html + (folded(f"{len(rest)} probes without doubts", _findings(rest)) if rest else "")


def _findings(found: Sequence[Mapping[str, Any]]) -> str:
    body = []
    for f in found:
        score = number(f["auc"]) if f.get("auc") is not None else "-" if f.get("count") is None else f"{f['count']:,}"
        chance = "-" if f.get("p") is None else "<0.001" if f["p"] < 0.001 else number(f["p"])
        verdict = f"{f['verdict']}, kept out" if f.get("kept_out") and f["verdict"] == "leak" else f["verdict"]
        advice = f" What to do: {f['advice']}." if f.get("advice") else ""
        body.append((f["probe"], verdict, score, chance, f"{f['detail']}.{advice}"))
    return table(["probe", "verdict", "AUC or count", "p", "finding"], body, text=(1,), long=(4,))


def _training(results: Mapping[str, Any], pictures: Pictures) -> str:
    body = [
        (
            arm_label(arm), f"{facts['parameters']:,}" if facts.get("parameters") is not None else "-",
            facts.get("best_epoch", "-"), number(facts.get("seconds"), 1),
            _value(facts["metrics"].get("validation", {}).get("auc", {"value": None})),
            number(facts["metrics"]["test"]["auc"]["value"]),
        )
        for arm, facts in results["arms"].items()
    ]  # fmt: skip
    head = ["model sees", "parameters", "epoch kept", "training [s]", "validation AUC", "test AUC"]
    first = " of the first fold" if results.get("folds", 1) > 1 else ""
    caption = f"Loss and validation AUC{first}; circle: the epoch that was kept."
    return (
        heading("Training") + picture(pictures, "training_curves", "loss and AUC by epoch", caption) + table(head, body)
    )


def _repeat(folder: Path, results: Mapping[str, Any]) -> str:
    """The command, with the settings and the versions it ran with."""
    html = repeat(folder, "galaxy train", results.get("command"))
    for note in results.get("notes") or ():
        html += paragraph(str(note), "note")
    return html
