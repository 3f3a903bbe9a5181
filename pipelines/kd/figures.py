"""The pictures of a `kd fit` run, drawn from its results.json: learning curves, scores, an example and the cost.

Convention: every function takes the results and returns a matplotlib Figure, or None where the results hold nothing to
draw; errors are against observations, in the unit of the target. Colours are those of Okabe and Ito (2008), which
readers with any colour vision tell apart. matplotlib is imported by the functions that draw, not by this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import wraps
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from .summary import (
    SEES_FORECAST,
    STANDALONE,
    TAUGHT,
    method_label,
    number,
    race_sentence,
    readable_unit,
    taught_arm,
    with_spread,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLACK, GREY = "#000000", "#8a8a8a"
ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE = "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7"
COLOURS = {
    "alone": VERMILLION, "alone_own": ORANGE, "shuffled": PURPLE, "distilled": BLUE, "residual": BLUE,
    "nwp": SKY, "operator": SKY, "mos": GREEN, "mos_ar": GREEN, "mos_all": GREEN,
}  # fmt: skip
LINES = {"climatology": ":", "ar": "-.", "mos_ar": "--", "mos_all": ":", "shuffled": ":", "alone_own": "--"}
MARKERS = {"nwp": "s", "mos": "^", "mos_ar": "v", "mos_all": "D", "persistence": "x", "ar": "+", "shuffled": "P"}

WIDTH = 9.0  # [inch], 900 px at 100 dpi: the width of the page
LOG_FROM = 10.0  # ratio of the largest to the smallest RMSE from which the axis is logarithmic
_STYLE = {
    "font.family": "DejaVu Sans", "font.size": 9.5, "axes.titlesize": 10, "axes.labelsize": 9.5, "legend.fontsize": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "grid.color": "#dddddd", "grid.linewidth": 0.6, "legend.frameon": False, "text.usetex": False,
    "figure.facecolor": "white", "axes.facecolor": "white", "lines.solid_capstyle": "round", "hatch.linewidth": 0.6,
}  # fmt: skip


def _styled(draw: Callable[..., Figure | None]) -> Callable[..., Figure | None]:
    """Draw with our style whatever the user's matplotlibrc says."""

    @wraps(draw)
    def drawn(*arguments: Any, **options: Any) -> Figure | None:
        import matplotlib

        with matplotlib.rc_context(_STYLE):
            return draw(*arguments, **options)

    return drawn


def draw_all(results: Mapping[str, Any]) -> dict[str, Figure]:
    """Every figure that the results allow, by the name of its file."""
    made = {draw.__name__: draw(results) for draw in (training_curves, scores_by_lead, example_series, cost)}
    return {name: figure for name, figure in made.items() if figure is not None}


# ---------------------------------------------------------------------------------------------------------------------
# Learning curves
# ---------------------------------------------------------------------------------------------------------------------
@_styled
def training_curves(results: Mapping[str, Any]) -> Figure | None:
    """RMSE against the epoch over the observations, alone and distilled: training block and held-out validation block.

    The comparison of Yoo and Jung's figure 2, against observations on both sides. Mean over seeds, band from the lowest
    to the highest.
    """
    if not any(row["stage"] == "fit" for row in results.get("curves") or ()):
        return None
    figure = _figure(4.5)
    axes = figure.subplots(1, 2)
    comparison = results.get("comparison") or {}
    panels = (
        ("train", "Training block"),
        ("validation", "Validation block (held out)"),
    )
    for axis, (block, title) in zip(axes, panels, strict=True):
        race = comparison.get(block)
        _learning_panel(axis, results, f"{block}_rmse")
        if race:
            _mark_goal(axis, race)
            _closer(axis, results, f"{block}_rmse", race)
        said = race_sentence(race, results["epochs"]) if race else ""
        axis.set_title(_wrapped(said), loc="left", fontsize=9, color="#333333")
        axis.annotate(
            title, (0, 1), (0, 34), xycoords="axes fraction", textcoords="offset points", weight="bold", fontsize=10.5
        )
        axis.set_ylabel(f"RMSE [{readable_unit(results['unit'])}]")
        axis.set_xlabel("epoch over the observations")
        axis.set_xlim(-0.02 * results["epochs"], 1.03 * results["epochs"])
    _reference(axes[1], results)
    handles = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3)
    return figure


def _figure(height: float) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained", dpi=100)
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.06)
    return figure


def _wrapped(text: str, width: int = 56) -> str:
    """In at most two lines of about `width` characters, so that both panels keep the same height."""
    if len(text) <= width:
        return text + "\n"
    cut = text.rfind(" ", 0, width)
    return f"{text[:cut]}\n{text[cut + 1 :]}"


def fit_curves(results: Mapping[str, Any], arm: str, key: str) -> list[tuple[list[int], list[float]]]:
    """(epochs, RMSE) of every seed of an arm while it fits the observations; epoch 0 is before the first pass."""
    by_seed: dict[int, dict[int, float]] = {}
    for row in results["curves"]:
        if row["arm"] == arm and row["stage"] == "fit" and row[key] is not None:
            by_seed.setdefault(row["seed"], {})[row["epoch"]] = row[key]
    return [(sorted(curve), [curve[epoch] for epoch in sorted(curve)]) for _, curve in sorted(by_seed.items())]


def _curves_of_panel(axis: Axes, results: Mapping[str, Any], key: str) -> list[float]:
    """Draw every arm; returns the values drawn."""
    labels = {row["method"]: method_label(row, results) for row in results["scores"]}
    curves = {arm: fit_curves(results, arm, key) for arm in ("alone", "alone_own", "shuffled", *TAUGHT)}
    curves = {arm: found for arm, found in curves.items() if found}
    goal = (lambda values: values[-1]) if key == "train_rmse" else min
    reached = {arm: fmean(goal(v) for _, v in curves[arm]) for arm in STANDALONE if arm in curves}
    stronger = min(reached, key=reached.__getitem__, default=None)
    for arm, found in curves.items():
        _seeds(axis, found, arm, labels.get(arm, arm), main=arm in TAUGHT or arm == stronger)
    return [value for found in curves.values() for _, seed in found for value in seed]


def _learning_panel(axis: Axes, results: Mapping[str, Any], key: str) -> None:
    values = _curves_of_panel(axis, results, key)
    low, high = min(values), max(values)
    if low > 0 and high > LOG_FROM * low:
        _logarithmic(axis)
        axis.set_ylim(low / 1.12, high * 1.08)
    else:
        margin = 0.06 * (high - low) or 0.05 * high
        axis.set_ylim(low - margin, high + margin)


def _seeds(axis: Axes, found: list[tuple[list[int], list[float]]], arm: str, label: str, *, main: bool) -> None:
    """One arm: the mean as long as every seed trains, the seeds themselves beyond that."""
    colour, strength = COLOURS.get(arm, GREY), 1.0 if main else 0.55
    line, width = LINES.get(arm, "-"), 2.2 if main else 1.2
    shared = sorted(set.intersection(*(set(epochs) for epochs, _ in found)))
    each = [[dict(zip(*curve, strict=True))[epoch] for epoch in shared] for curve in found]
    mean = [fmean(values) for values in zip(*each, strict=True)]
    axis.plot(shared, mean, line, color=colour, lw=width, alpha=strength, label=label, zorder=3 + main)
    if len(found) > 1 and main:
        band = list(zip(*each, strict=True))
        axis.fill_between(shared, [min(v) for v in band], [max(v) for v in band], color=colour, alpha=0.18, lw=0)
    for epochs, values in found:
        tail = [(epoch, value) for epoch, value in zip(epochs, values, strict=True) if epoch >= shared[-1]]
        if len(tail) > 1:
            axis.plot(*zip(*tail, strict=True), line, color=colour, lw=0.9, alpha=0.6 * strength, zorder=3)


def _mark_goal(axis: Axes, race: Mapping[str, Any]) -> None:
    """The goal as a level, and the epochs at which each student meets it as posts below it."""
    goal = fmean(entry["goal"] for entry in race["seeds"])
    axis.axhline(goal, color=BLACK, lw=1, ls="--", zorder=2, label="goal set by the student alone")
    arms = {entry["goal_arm"] for entry in race["seeds"]}
    colour = COLOURS.get(arms.pop(), GREY) if len(arms) == 1 else BLACK
    posts = [(median(entry["goal_epoch"] for entry in race["seeds"]), colour)]
    if race["epoch"] is not None:
        posts.append((race["epoch"], BLUE))
    bottom = axis.get_ylim()[0]
    for epoch, colour in posts:
        axis.plot([epoch, epoch], [bottom, goal], ":", color=colour, lw=1.4, zorder=2, scaley=False)
        axis.plot(epoch, goal, "o", color=colour, mec="white", ms=7, zorder=6, clip_on=False)
        axis.annotate(
            f"{epoch:g}", (epoch, goal), (0, 7), textcoords="offset points", ha="center", color=colour, weight="bold",
            bbox={"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none", "alpha": 0.8}, zorder=7,
        )  # fmt: skip
    axis.set_ylim(bottom=bottom)


def _closer(axis: Axes, results: Mapping[str, Any], key: str, race: Mapping[str, Any]) -> None:
    """A second look at where the taught student meets the goal, if a poor start squeezes it and there is room."""
    goal, (low, high) = fmean(entry["goal"] for entry in race["seeds"]), axis.get_ylim()
    taught = [curve for arm in TAUGHT for curve in fit_curves(results, arm, key)]
    drawn = [curve for arm in ("alone", "alone_own", "shuffled") for curve in fit_curves(results, arm, key)] + taught
    beside = [value for curve in drawn for epoch, value in zip(*curve, strict=True) if epoch > 0.3 * results["epochs"]]
    near = [value for _, values in taught for value in values] + [goal]
    squeezed = axis.get_yscale() == "linear" and max(near) - low < 0.3 * (high - low)
    already = race["epoch"] == 0
    if already or not taught or not squeezed or not beside or max(beside) > low + 0.45 * (high - low):
        return
    inset = axis.inset_axes((0.4, 0.53, 0.6, 0.39))
    margin = 0.15 * (max(near) - min(near)) or 0.02 * goal
    _curves_of_panel(inset, results, key)
    inset.set_ylim(min(near) - margin, max(near) + margin)
    inset.set_xlim(axis.get_xlim())
    inset.axhline(goal, color=BLACK, lw=1, ls="--", zorder=2)
    inset.tick_params(labelsize=8)
    inset.set_title("near the goal", fontsize=8.5, loc="right", pad=2)
    inset.spines[["top", "right"]].set_visible(True)


def _reference(axis: Axes, results: Mapping[str, Any]) -> None:
    """The raw forecast's error, where it lies within the panel's range; it is known for the test block only."""
    nwp = next((row["rmse"] for row in results["scores"] if row["method"] == "nwp"), None)
    low, high = axis.get_ylim()
    if nwp is not None and low <= nwp <= high:
        axis.axhline(nwp, color=SKY, lw=1.2, zorder=1, label="raw NWP (test block)")


def _logarithmic(axis: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())


# ---------------------------------------------------------------------------------------------------------------------
# Scores
# ---------------------------------------------------------------------------------------------------------------------
@_styled
def scores_by_lead(results: Mapping[str, Any]) -> Figure | None:
    """Held-out RMSE of every method: against lead time if there are several leads, else as sorted bars."""
    rows = [row for row in results["scores"] if row["rmse"] is not None]
    if not rows:
        return None
    return _score_lines(rows, results) if len(results["lead_hours"]) > 1 else _score_bars(rows, results)


def _score_lines(rows: list[Mapping[str, Any]], results: Mapping[str, Any]) -> Figure:
    figure = _figure(4.4)
    axis = figure.subplots()
    leads = results["lead_hours"]
    for row in sorted(rows, key=lambda row: -row["rmse"]):
        method, student = row["method"], row["kind"] == "student"
        values = [float("nan") if value is None else value for value in row["by_lead"]["rmse"]]
        axis.plot(
            leads, values, LINES.get(method, "-"), color=COLOURS.get(method, GREY), lw=2.2 if student else 1.3,
            marker=MARKERS.get(method, "o") if len(leads) <= 12 else None, ms=5, label=method_label(row, results),
            zorder=4 if student else 3,
        )  # fmt: skip
    axis.set_xlabel("lead time [h]")
    axis.set_ylabel(f"held-out RMSE [{readable_unit(results['unit'])}]")
    _lead_ticks(axis, leads)
    figure.legend(loc="outside right center", title="by mean RMSE, largest first", title_fontsize=8.5)
    return figure


def _lead_ticks(axis: Axes, leads: list[float]) -> None:
    from matplotlib.ticker import MultipleLocator

    if len(leads) <= 8:
        axis.set_xticks(leads, [f"{lead:g}" for lead in leads])
        return
    step = next((step for step in (3, 6, 12, 24, 48, 72) if (leads[-1] - leads[0]) / step <= 10), 120)
    axis.xaxis.set_major_locator(MultipleLocator(step))


def _score_bars(rows: list[Mapping[str, Any]], results: Mapping[str, Any]) -> Figure:
    from matplotlib.patches import Patch

    figure = _figure(0.9 + 0.29 * len(rows))
    axis = figure.subplots()
    rows = sorted(rows, key=lambda row: -row["rmse"])
    for place, row in enumerate(rows):
        spread = row.get("rmse_sd")
        axis.barh(place, row["rmse"], color=_bar_colour(row), height=0.68)
        if spread is not None:
            axis.errorbar(row["rmse"], place, xerr=spread, color=BLACK, lw=1.2, capsize=3)
        end, weight = (row["rmse"] + (spread or 0), place), "bold" if row["kind"] == "student" else "normal"
        said = with_spread(row["rmse"], spread)
        axis.annotate(said, end, (5, 0), textcoords="offset points", va="center", fontsize=9, weight=weight)
    axis.set_yticks(range(len(rows)), [method_label(row, results) for row in rows])
    for text, row in zip(axis.get_yticklabels(), rows, strict=True):
        text.set_weight("bold" if row["kind"] == "student" else "normal")
    axis.grid(False, axis="y")
    axis.tick_params(axis="y", length=0)
    axis.set_xlim(0, 1.15 * max(row["rmse"] + (row.get("rmse_sd") or 0) for row in rows))
    axis.set_xlabel(f"held-out RMSE [{readable_unit(results['unit'])}]")
    keys = [Patch(color=SKY, label="sees the fresh forecast"), Patch(color="#b5b5b5", label="sees observations only")]
    students = "student (observations only)" if results.get("mode") != "residual" else "student"
    keys += [Patch(color=BLUE, label=f"{students}, with the teacher"), Patch(color=VERMILLION, label="without it")]
    figure.legend(handles=keys, loc="outside lower center", ncols=4, handlelength=1.2, columnspacing=1.4)
    return figure


def _bar_colour(row: Mapping[str, Any]) -> str:
    if row["kind"] == "student":
        return COLOURS.get(row["method"], GREY)
    return SKY if row["method"] in SEES_FORECAST else "#b5b5b5"


# ---------------------------------------------------------------------------------------------------------------------
# Example and cost
# ---------------------------------------------------------------------------------------------------------------------
@_styled
def example_series(results: Mapping[str, Any]) -> Figure | None:
    """Observed and forecast values over the last stretch of the held-out block at one station and lead."""
    example = results.get("example") or {}
    times = [datetime.fromisoformat(time) for time in example.get("valid_time", ())]
    if not times:
        return None
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    figure = _figure(3.6)
    axis = figure.subplots()
    labels = {row["method"]: method_label(row, results) for row in results["scores"]}
    labels["observed"] = "shortest lead, in place of observations" if results["data"]["self_taught"] else "observed"
    taught = next((arm for arm in TAUGHT if arm in example), "distilled")
    drawn = (("alone", 1.5, None), ("nwp", 1.3, None), (taught, 2.0, None), ("observed", 0.8, "o"))
    for order, (name, width, marker) in enumerate(drawn):
        values = [float("nan") if value is None else value for value in example.get(name) or ()]
        if any(value == value for value in values):
            colour = COLOURS.get(name, BLACK)
            label = labels.get(name, name)
            axis.plot(times, values, color=colour, lw=width, marker=marker, ms=3.2, label=label, zorder=order + 2)
    target = next((entry for entry in results["targets"] if entry["name"] == example["target"]), {"units": ""})
    axis.set_ylabel(f"{example['target'].replace('_', ' ')} [{readable_unit(target['units'])}]")
    axis.set_xlabel("valid time (UTC)")
    where = f"{_plain_station(example['station'])}lead time {example['lead_hours']:g} h"
    axis.set_title(f"{where}, {min(times):%Y-%m-%d} to {max(times):%Y-%m-%d}", loc="left")
    locator = AutoDateLocator(minticks=4, maxticks=10)
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
    axis.margins(x=0.01)
    figure.legend(loc="outside lower center", ncols=4)
    return figure


def _plain_station(station: str) -> str:
    """Station names in scripts that the figure's font lacks stand in the page's caption only."""
    name = str(station).replace("$", r"\$")
    return f"station {name}, " if all(ord(letter) < 0x250 for letter in name) else ""


@_styled
def cost(results: Mapping[str, Any]) -> Figure | None:
    """Training steps and CPU seconds of the student alone and of the taught one, its pre-training counted."""
    spent = (results.get("comparison") or {}).get("cost")
    taught = taught_arm(results)
    if not spent or taught is None:
        return None
    labels = {row["method"]: method_label(row, results) for row in results["scores"]}
    figure = _figure(2.0)
    bars = (("alone", "alone"), (taught if taught in spent else "distilled", taught))
    quantities = (("steps", "training steps"), ("cpu_seconds", "CPU time [s]"))
    for axis, (quantity, title) in zip(figure.subplots(1, 2, sharey=True), quantities, strict=True):
        for place, (key, arm) in enumerate(bars):
            total, before = spent[key][quantity], spent[key].get(f"archive_{quantity}") or 0.0
            axis.barh(place, before, color="white", edgecolor=COLOURS[arm], hatch="////", height=0.6, lw=1)
            axis.barh(place, total - before, left=before, color=COLOURS[arm], edgecolor=COLOURS[arm], height=0.6, lw=1)
            axis.annotate(number(total), (total, place), (5, 0), textcoords="offset points", va="center")
        axis.set_yticks((0, 1), [labels.get(arm, arm) for _, arm in bars])
        axis.set_ylim(1.6, -0.6)
        axis.set_xlim(0, 1.2 * max(spent[key][quantity] for key, _ in bars))
        axis.set_xlabel(title)
        axis.grid(False, axis="y")
        axis.tick_params(axis="y", length=0)
    _cost_key(figure)
    return figure


def _cost_key(figure: Figure) -> None:
    from matplotlib.patches import Patch

    hatched = Patch(facecolor="white", edgecolor="#555555", hatch="////", label="pre-training on the teacher's record")
    figure.legend(
        handles=[hatched, Patch(color="#555555", label="fitting the observations")], loc="outside lower center", ncols=2
    )
