"""The results of a `kd fit` run in rows and plain sentences, the same for the terminal, the page and the figures.

Convention: errors are against observations in the unit of the target; what is unknown is NaN in rows and "-" in words.
Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import isfinite, nan
from statistics import fmean, median
from typing import Any

STANDALONE = ("alone", "alone_own")
TAUGHT = ("distilled", "residual")
# Methods that see the fresh forecast when they predict: a direct student does not.
SEES_FORECAST = ("nwp", "operator", "mos", "mos_ar", "mos_all")
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def readable_unit(unit: str) -> str:
    """Exponents raised: "m s-1" becomes "m s⁻¹"."""
    return re.sub(r"(?<=[A-Za-z])-?\d+(?=\s|$)", lambda found: found[0].translate(_SUPERSCRIPT), unit)


def number(value: float | None, digits: int = 3) -> str:
    """`digits` significant digits without an exponent for everyday sizes; "-" for what is unknown."""
    if value is None or not isfinite(value):
        return "-"
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}"
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2]) if value else digits - 1
    return f"{value:,.{max(digits - 1 - exponent, 0)}f}"


def with_spread(value: float | None, spread: float | None, decimals: int | None = None) -> str:
    """As in 3.04 ± 0.03: with at least `decimals`, and as many as show the first digit of the spread."""
    if value is None or spread is None or not isfinite(value) or not isfinite(spread):
        return number(value) if decimals is None else fixed(value, decimals)
    if spread == 0 or not 1e-4 <= abs(value) < 1e6:
        return f"{number(value)} ± {number(spread, 1)}"
    least = len(number(value).partition(".")[2]) if decimals is None else decimals
    decimals = max(least, len(number(spread, 1).partition(".")[2]) if spread >= 1e-4 else 0)
    return f"{value:,.{decimals}f} ± {spread:,.{decimals}f}"


def fixed(value: float | None, decimals: int | None) -> str:
    """With so many decimals, for columns; None writes each value as `number` does."""
    if value is None or decimals is None or not isfinite(value):
        return number(value)
    return f"{round(value, decimals) + 0.0:,.{decimals}f}"


def column_decimals(values: Iterable[float | None]) -> int | None:
    """Decimals that show three digits of the smallest value; None where a value needs an exponent."""
    known = [number(abs(value)) for value in values if value is not None and isfinite(value) and value]
    if any("e" in said for said in known):
        return None
    return max((len(said.partition(".")[2]) for said in known), default=2)


def reference_name(results: Mapping[str, Any]) -> str:
    """What the errors are against."""
    return "the teacher's shortest lead" if results["data"]["self_taught"] else "observations"


def method_label(row: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    """A method's name; in residual mode the taught student is named for what it does."""
    if row["method"] in TAUGHT and results.get("mode") == "residual":
        return "student correcting the forecast"
    return str(row["label"])


def taught_arm(results: Mapping[str, Any]) -> str | None:
    """The arm that had the teacher, or None if none was trained."""
    arms = {row["arm"] for row in results.get("curves") or ()} | {row["method"] for row in results["scores"]}
    return next((arm for arm in TAUGHT if arm in arms), None)


def race_sentence(race: Mapping[str, Any], epochs: int) -> str:
    """When the taught student meets its goal: "reached at epoch 12 instead of 80: 6.7x fewer epochs ...".

    race: comparison["train"] or comparison["validation"] of the results.
    """
    seeds = race["seeds"]
    met = [entry for entry in seeds if entry["epoch"] is not None]
    some = f" (in {len(met)} of {len(seeds)} seeds)" if 0 < len(met) < len(seeds) else ""
    if race["epoch"] is None:
        return f"not reached within {epochs} epochs{some}"
    goal, epoch, ratio = median(entry["goal_epoch"] for entry in seeds), race["epoch"], race["ratio"]
    medians = f" (medians over {len(seeds)} seeds)" if len(seeds) > 1 and not some else some
    if epoch == 0:
        return f"reached before the first epoch over the observations instead of at epoch {goal:g}{medians}"
    start = f"reached at epoch {epoch:g} instead of {goal:g}: "
    if ratio is None or abs(ratio - 1) < 0.05:
        return f"{start}about as many epochs over the observations{medians}"
    more = f"{ratio:.1f}\N{MULTIPLICATION SIGN} fewer" if ratio > 1 else f"{1 / ratio:.1f}\N{MULTIPLICATION SIGN} more"
    return f"{start}{more} epochs over the observations{medians}"


def pretraining_epochs(results: Mapping[str, Any]) -> list[int]:
    """Epochs of pre-training on the teacher's record, one number a seed; empty without pre-training."""
    last: dict[str, int] = {}
    for row in results.get("curves") or ():
        if row["stage"] == "archive" and row["arm"] in TAUGHT:
            last[row["job"]] = max(last.get(row["job"], 0), row["epoch"])
    return sorted(last.values())


def score_rows(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a method, in the order of the results.

    Keys: method, label, kind ("baseline" or "student"), rmse, rmse_sd (None for one seed), mae, bias, skill, crps (None
    without a probabilistic head).
    """
    kept = ("rmse", "mae", "bias", "skill")
    return [
        {"method": row["method"], "label": method_label(row, results), "kind": row["kind"]}
        | {name: _known(row[name]) for name in kept}
        | {"rmse_sd": row.get("rmse_sd"), "crps": row.get("crps")}
        for row in results["scores"]
    ]


def lead_rows(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a method with lists over results["lead_hours"]: rmse, mae, bias, skill."""
    return [
        {"method": row["method"], "label": method_label(row, results), "kind": row["kind"]}
        | {name: [_known(value) for value in row["by_lead"][name]] for name in ("rmse", "mae", "bias", "skill")}
        for row in results["scores"]
    ]


def _known(value: float | None) -> float:
    return nan if value is None else value


def comparison_lines(results: Mapping[str, Any]) -> list[str]:
    """What the teacher brought, at what cost, and what else to hold against it: one sentence a line."""
    comparison = results.get("comparison") or {}
    if not comparison:
        return ["Only the student alone was trained: there is nothing to compare it with.", *_lowest(results)]
    lines = [_ended(comparison["verdict"]["text"])]
    lines += _goals(comparison, results)
    if results.get("base"):
        lines.append(base_sentence(results))
    if comparison.get("cost"):
        lines.append(cost_sentence(comparison["cost"]))
    if comparison.get("control"):
        lines.append(control_sentence(results))
    lines += _lowest(results)
    if comparison.get("against_soft_target"):
        lines.append(soft_target_sentence(results))
    return lines


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else sentence + "."


def _goals(comparison: Mapping[str, Any], results: Mapping[str, Any]) -> list[str]:
    unit, lines = readable_unit(results["unit"]), []
    names = {
        "train": f"Training RMSE of the student alone after {results['epochs']} epochs",
        "validation": "Best validation RMSE of the student alone",
    }
    for block, name in names.items():
        race = comparison.get(block)
        if race and race["seeds"]:
            goal = fmean(entry["goal"] for entry in race["seeds"])
            lines.append(f"{name}, {number(goal)} {unit}: {race_sentence(race, results['epochs'])}.")
    return lines


def base_sentence(results: Mapping[str, Any]) -> str:
    """Where a residual student started, and whether it stayed there."""
    base, unit, seeds = results["base"], readable_unit(results["unit"]), len(results["seeds"])
    line = f"The student starts at {base['label']}"
    trials = base["trials"]
    if trials:
        seen = f"on the parts of the training block that a student had not seen, {number(trials['base_rmse'])} {unit}"
        if not trials["leave"]:
            return f"{line}, and stays there: {seen}, none was clearly better."
        line += f" ({seen}; with its correction {number(trials['rmse'])})"
    if base["left"] == seeds:
        return f"{line}, and leaves it."
    return f"{line}, and leaves it in {base['left']} of {seeds} seeds: in the others no validation was clearly better."


def cost_sentence(cost: Mapping[str, Any]) -> str:
    """Steps and CPU time, the pre-training counted."""
    alone, taught = cost["alone"], cost["distilled"]
    before = ""
    if taught.get("archive_steps"):
        steps, seconds = number(taught["archive_steps"]), number(taught["archive_cpu_seconds"])
        before = f" ({steps} steps and {seconds} s of it pre-training on the teacher's record)"
    return (
        f"Compute with the teacher: {number(taught['steps'])} steps, {number(taught['cpu_seconds'])} s of CPU{before}, "
        f"against {number(alone['steps'])} steps, {number(alone['cpu_seconds'])} s alone: "
        f"{cost['steps_ratio']:.2f} times the steps, {cost['cpu_ratio']:.2f} times the CPU time."
    )


def control_sentence(results: Mapping[str, Any]) -> str:
    """What a teacher brings that knows nothing about the day."""
    value, unit = results["comparison"]["control"]["rmse"], readable_unit(results["unit"])
    return f"Control: with the teacher's forecasts shuffled in time, the held-out RMSE is {number(value)} {unit}."


def soft_target_sentence(results: Mapping[str, Any]) -> str:
    """The distance from the teacher, kept apart from the scores."""
    soft, unit = results["comparison"]["against_soft_target"], readable_unit(results["unit"])
    parts = [
        f"{number(soft[arm])} {unit} {word}"
        for arm, word in (("distilled", "distilled"), ("alone", "alone"))
        if soft.get(arm) is not None
    ]
    return (
        f"RMSE against the soft target on the training block: {', '.join(parts)}; it measures the distance from the "
        "teacher, not from the weather, and compares with no other number here."
    )


def _lowest(results: Mapping[str, Any]) -> list[str]:
    """The best method of all, if that is not the taught student, and why."""
    known = [row for row in results["scores"] if row["rmse"] is not None]
    best = min(known, key=lambda row: row["rmse"], default=None)
    if best is None or best["method"] in TAUGHT:
        return []
    unit = readable_unit(results["unit"])
    line = f"Lowest held-out RMSE of all: {method_label(best, results)}, {number(best['rmse'])} {unit}"
    if best["method"] in SEES_FORECAST and results.get("mode") != "residual":
        line += "; it sees the fresh forecast, which a direct student does not (the residual mode lets it)"
    return [line + "."]


def station_names(results: Mapping[str, Any], most: int = 3) -> str:
    """ "station 108", "stations 108 and 159", or their number."""
    names = [str(name) for name in results["stations"]]
    if len(names) > most:
        return f"{len(names)} stations"
    return f"station{'s' if len(names) > 1 else ''} {' and '.join(filter(None, (', '.join(names[:-1]), names[-1])))}"
