"""The results of a training run in rows and plain sentences, the same for the terminal, the page and the figures.

Convention: a value with its interval is written 0.912 (0.890 to 0.931); what is unknown is "-". Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import isfinite, nan
from typing import Any

ARMS = {"fusion": "image + table", "image": "image only", "table": "table only"}
METRICS = {
    "auc": "AUC", "average_precision": "average precision", "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy", "f1": "F1", "log_loss": "log loss", "brier": "Brier score", "ece": "ECE",
}  # fmt: skip
HEADLINE = ("auc", "average_precision", "accuracy", "f1")
LOWER_IS_BETTER = ("log_loss", "brier", "ece")
SIMULATED = (
    "All galaxies here are simulated, and what the image and the table can each know was designed. These numbers show "
    "that the method works as intended; they are not evidence of how well it does on a survey."
)


def number(value: float | None, digits: int = 3) -> str:
    """With so many decimals; "-" for what is unknown."""
    return "-" if value is None or not isfinite(value) else f"{round(value, digits) + 0.0:.{digits}f}"


def signed(value: float | None, digits: int = 3) -> str:
    """As `number`, with a sign."""
    said = number(value, digits)
    return said if said.startswith("-") else f"+{said}"


def bounds(row: Mapping[str, float | None], digits: int = 3, *, sign: bool = False) -> str:
    """The interval of a value: "0.890 to 0.931"; empty where it is unknown."""
    write = signed if sign else number
    low, high = write(row.get("low"), digits), write(row.get("high"), digits)
    return "" if "-" in (low[-1], high[-1]) else f"{low} to {high}"


def between(row: Mapping[str, float | None], digits: int = 3, *, sign: bool = False) -> str:
    """A value and its interval: "0.912 (0.890 to 0.931)", without bounds where there are none."""
    value, around = (signed if sign else number)(row["value"], digits), bounds(row, digits, sign=sign)
    return f"{value} ({around})" if around else value


def arm_label(arm: str) -> str:
    """What the arm sees."""
    return ARMS.get(arm, arm.replace("_", " "))


def main_arm(results: Mapping[str, Any]) -> str:
    """The arm that the page shows in detail: fusion where it was trained."""
    return "fusion" if "fusion" in results["arms"] else next(iter(results["arms"]))


def positive_of(results: Mapping[str, Any]) -> int | None:
    """Position of the positive class of two; None beyond two."""
    if len(results["classes"]) != 2:
        return None
    return 1 if results.get("positive") is None else results["positive"]


def shown_classes(results: Mapping[str, Any]) -> list[str]:
    """Classes whose share is told: of two only the positive one, since the other is the rest."""
    positive = positive_of(results)
    return list(results["classes"]) if positive is None else [results["classes"][positive]]


def score_rows(results: Mapping[str, Any], part: str = "test") -> list[dict[str, Any]]:
    """One row an arm: {"arm", "label", and every metric as {"value", "low", "high"}}."""
    unknown = {"value": nan, "low": nan, "high": nan}
    return [
        {"arm": arm, "label": arm_label(arm)} | {name: facts["metrics"][part].get(name) or unknown for name in METRICS}
        for arm, facts in results["arms"].items()
    ]


def score_table(
    results: Mapping[str, Any], names: Sequence[str] = HEADLINE, part: str = "test", write: Callable = between
) -> tuple[list[str], list[tuple]]:
    """Header and cells of the table that a run ends with; write: turns {"value", "low", "high"} into a cell."""
    rows = [(row["label"], *(write(row[name]) for name in names)) for row in score_rows(results, part)]
    return ["model sees", *(METRICS[name] for name in names)], rows


def comparison_table(
    results: Mapping[str, Any], names: Sequence[str] = HEADLINE, write: Callable | None = None
) -> tuple[list[str], list[tuple]]:
    """Header and cells of the paired differences between arms."""
    write = write or partial(between, sign=True)
    rows = [
        (
            f"{arm_label(row['arm'])} minus {arm_label(row['against'])}",
            *(write(row["metrics"][name]) for name in names),
        )
        for row in results.get("comparison") or ()
    ]
    return ["difference", *(METRICS[name] for name in names)], rows


def comparison_lines(results: Mapping[str, Any]) -> list[str]:
    """The verdict, and what else to hold against it: one sentence a line."""
    lines = [results["verdict"]] if results.get("verdict") else []
    if results.get("simulated") and not any("simulated" in line for line in lines):
        lines.append(SIMULATED)
    lines += filter(None, (majority_sentence(results), fraction_sentence(results), audit_sentence(results)))
    return lines


def majority_sentence(results: Mapping[str, Any]) -> str:
    """What calling everything the most common class would score."""
    value = (results.get("majority") or {}).get("accuracy")
    if value is None:
        return ""
    return f"Calling every object the most common class would be right for {100 * value:.1f} % of the test objects."


def fraction_sentence(results: Mapping[str, Any]) -> str:
    """The corrected share of the positive class, against the plain count and the truth."""
    found, positive = results.get("fraction"), positive_of(results)
    if not found or positive is None:
        return ""
    name = results["classes"][positive]
    share = found["shares"][name]
    text = f'Share of "{name}" corrected for prevalence: {between(share["em"])}, counted {number(share["counted"]["value"])}'
    return text + (f", true {number(share['truth'])}." if share.get("truth") is not None else ".")


def audit_sentence(results: Mapping[str, Any]) -> str:
    """What the audit found, in one sentence."""
    found = results.get("audit")
    if not found:
        return ""
    grave = [f for f in found["findings"] if f["verdict"] in ("leak", "suspect") and not f.get("kept_out")]
    if not grave:
        return "The audit found nothing that would let a model score without looking at the galaxy."
    words = [f"{sum(f['verdict'] == verdict for f in grave)} {verdict}" for verdict in ("leak", "suspect")]
    said = ", ".join(word for word in words if not word.startswith("0 "))
    return (
        f"The audit has doubts ({said}): {', '.join(f['probe'] for f in grave[:4])}{' ...' if len(grave) > 4 else ''}."
    )


def sample_sentence(results: Mapping[str, Any]) -> str:
    """How many objects trained, validated and tested, and how."""
    n, folds = results["n"], results.get("folds", 1)
    counts = ", ".join(f"{name}: {count:,}" for name, count in results["counts"].items())
    if folds > 1:
        how = (
            f"{folds}-fold cross-validation, {n['train']:,} objects train and {n['validation']:,} validate each fold; the "
            f"{n['test']:,} test predictions of all folds are pooled, each made by a model that had not seen the object"
        )
    else:
        how = f"{n['train']:,} objects train, {n['validation']:,} validate, {n['test']:,} are held out for the test"
    if (members := results.get("members", 1)) > 1:
        how += f"; each prediction is the average of {members} models"
    return f"{counts}. {how[0].upper()}{how[1:]}."
