"""Bars and points of a training run: importance, audit, scores in bins, class shares.

Convention: as in figures.py; every function takes rows of the results and returns a Figure, or None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .figures import BLACK, BLUE, GREEN, GREY, LIGHT, ORANGE, PURPLE, SKY, VERMILLION, known, new_figure, plain, styled
from .summary import METRICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VERDICTS = {"ok": LIGHT, "note": SKY, "suspect": ORANGE, "leak": VERMILLION}
KINDS = {
    "modality": (BLUE, "whole modality"),
    "columns": (PURPLE, "correlated columns together"),
    "column": (GREEN, "one column"),
}
MOST_BARS = 24


@styled
def importance(rows: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Drop in AUC when a modality or a column is shuffled, largest on top of each kind."""
    kept = [row for row in rows if np.isfinite(known(row["drop"]))]
    kept = sorted(kept, key=lambda row: (list(KINDS).index(row["kind"]), -row["drop"]))[:MOST_BARS]
    if not kept:
        return None
    figure = new_figure(0.9 + 0.27 * len(kept))
    axis = figure.subplots()
    seen = set()
    for place, row in enumerate(kept):
        colour, name = KINDS[row["kind"]]
        _bar(axis, place, row["drop"], row, colour, name if name not in seen else None)
        seen.add(name)
    _named_bars(axis, [plain(row["name"]) for row in kept])
    axis.axvline(0, color=BLACK, lw=0.8)
    axis.set_xlabel("drop in AUC when shuffled among the test objects")
    axis.legend(loc="lower right")
    return figure


@styled
def audit_bars(findings: Sequence[Mapping[str, Any]]) -> Figure | None:
    """How well each probe of the audit predicts the label without looking at the galaxy, by verdict."""
    kept = [f for f in findings if f.get("auc") is not None and np.isfinite(f["auc"])]
    order = list(VERDICTS)
    kept = sorted(kept, key=lambda f: (bool(f.get("kept_out")), -order.index(f["verdict"]), -f["auc"]))[:MOST_BARS]
    if not kept:
        return None
    from matplotlib.patches import Patch

    figure = new_figure(1.1 + 0.27 * len(kept))
    axis = figure.subplots()
    for place, found in enumerate(kept):
        out = bool(found.get("kept_out"))
        colour = VERDICTS[found["verdict"]]
        axis.barh(
            place, found["auc"] - 0.5, left=0.5, height=0.66, color="white" if out else colour, edgecolor=colour,
            hatch="////" if out else None,
        )  # fmt: skip
        end = (max(found["auc"], 0.5), place)
        axis.annotate(f"{found['auc']:.2f}", end, (4, 0), textcoords="offset points", va="center", fontsize=8.5)
    _named_bars(axis, [plain(f["probe"]) for f in kept])
    axis.axvline(0.5, color=BLACK, lw=0.8)
    axis.set(
        xlim=(min(0.45, min(f["auc"] for f in kept) - 0.02), 1.04), xlabel="AUC of the probe alone (0.5 is chance)"
    )
    present = {f["verdict"] for f in kept}
    handles = [Patch(color=colour, label=name) for name, colour in VERDICTS.items() if name in present]
    if any(f.get("kept_out") for f in kept):
        handles.append(Patch(facecolor="white", edgecolor=GREY, hatch="////", label="not given to the model"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _bar(axis: Axes, place: int, value: float, row: Mapping[str, Any], colour: str, label: str | None) -> None:
    axis.barh(place, value, height=0.66, color=colour, label=label)
    low, high = known(row.get("low")), known(row.get("high"))
    if np.isfinite(low) and np.isfinite(high):
        axis.plot([low, high], [place, place], color=BLACK, lw=1.3)


def _named_bars(axis: Axes, names: Sequence[str]) -> None:
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.grid(False, axis="y")
    axis.tick_params(axis="y", length=0)


@styled
def by_bin(bins: Mapping[str, Sequence[Mapping[str, Any]]], names: Sequence[str] = ("auc", "f1")) -> Figure | None:
    """Scores in bins of redshift, mass, magnitude ...: one panel a quantity."""
    panels = {column: [row for row in rows if row.get("metrics")] for column, rows in bins.items()}
    panels = {column: rows for column, rows in panels.items() if rows}
    if not panels:
        return None
    across = min(3, len(panels))
    n_row = -(-len(panels) // across)
    figure = new_figure(3.3 * n_row + 0.3)
    axes = figure.subplots(n_row, across, squeeze=False, sharey=True)
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, (column, rows) in zip(axes.flat, panels.items(), strict=False):
        for n, name in enumerate(names):
            _bin_points(axis, rows, name, n)
        texts = [f"{row['bin']}\n(n = {row['n']})".replace(" to ", "\nto ") for row in rows]
        axis.set_xticks(range(len(rows)), texts, fontsize=8)
        axis.set_xlim(-0.5, len(rows) - 0.5)
        axis.set_xlabel(plain(column.replace("_", " ")))
        axis.grid(False, axis="x")
    axes[0, 0].set_ylabel("score on test objects")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def _bin_points(axis: Axes, rows: Sequence[Mapping[str, Any]], name: str, n: int) -> None:
    colour, marker = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"))[n % 3]
    values = np.array([[known(row["metrics"][name][key]) for key in ("value", "low", "high")] for row in rows])
    x = np.arange(len(rows)) + 0.14 * n - 0.07
    axis.plot(x, values[:, 0], marker, color=colour, ms=6, label=METRICS[name])
    axis.vlines(x, values[:, 1], values[:, 2], color=colour, lw=1.5)


@styled
def shares(found: Mapping[str, Any], names: Sequence[str]) -> Figure | None:
    """Share of the named classes in the target sample: counted, corrected both ways, and the truth where it is known."""
    rows = [(name, found["shares"][name]) for name in names]
    ways = (("counted", "counted", ORANGE, "s"), ("confusion", "corrected by confusion", GREEN, "^"))
    ways += (("em", "corrected by prior shift", BLUE, "o"),)
    figure = new_figure(1.2 + 0.62 * len(rows))
    axis = figure.subplots()
    for place, (_, row) in enumerate(rows):
        for n, (key, label, colour, marker) in enumerate(ways):
            value, low, high = (known(row[key][name]) for name in ("value", "low", "high"))
            y = place + 0.2 * (n - 1)
            axis.plot([low, high], [y, y], color=colour, lw=1.6)
            axis.plot(value, y, marker, color=colour, ms=7, mec="white", label=None if place else label)
        if row.get("truth") is not None:
            axis.plot(
                [row["truth"]] * 2, [place - 0.38, place + 0.38], color=BLACK, lw=1.6, label=None if place else "true"
            )
        axis.plot(
            [row["labelled"]] * 2,
            [place - 0.38, place + 0.38],
            ":",
            color=GREY,
            lw=1.6,
            label=None if place else "in the labelled sample",
        )
    _named_bars(axis, [plain(name) for name, _ in rows])
    axis.set(xlim=(-0.02, 1.02), xlabel="share of the sample")
    figure.legend(loc="outside lower center", ncols=5, columnspacing=1.2, handletextpad=0.5)
    return figure
