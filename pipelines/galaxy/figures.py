"""Figures of a training run from plain values: learning, ranking and calibration curves, confusion.

Convention: every function returns a matplotlib Figure, or None where there is nothing to draw; shaded bands and bars are
bootstrap intervals of 95 %. Colours are those of Okabe and Ito (2008), which readers with any colour vision tell apart, and
each arm has its own line style as well. matplotlib is imported by the functions that draw, not by this module.
Axes: n object, c class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np

from . import metrics, ranking
from .summary import arm_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLACK, GREY, LIGHT = "#000000", "#6e6e6e", "#b5b5b5"
ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE = "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7"
COLOURS = {"fusion": BLUE, "image": VERMILLION, "table": GREEN}
LINES = {"fusion": "-", "image": "--", "table": "-."}
WIDTH = 9.0  # [inch], 900 px at 100 dpi: the width of the page
MOST_CLASSES = 4
_STYLE = {
    "font.family": "DejaVu Sans", "font.size": 9.5, "axes.titlesize": 10, "axes.labelsize": 9.5, "legend.fontsize": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "grid.color": "#dddddd", "grid.linewidth": 0.6, "legend.frameon": False, "text.usetex": False,
    "figure.facecolor": "white", "axes.facecolor": "white", "lines.solid_capstyle": "round", "lines.linewidth": 1.8,
}  # fmt: skip


def styled(draw: Callable[..., Figure | None]) -> Callable[..., Figure | None]:
    """Draw with our style whatever the user's matplotlibrc says."""

    @wraps(draw)
    def drawn(*arguments: Any, **options: Any) -> Figure | None:
        import matplotlib

        with matplotlib.rc_context(_STYLE):
            return draw(*arguments, **options)

    return drawn


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure that belongs to no window; height and width in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=100)
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.06)
    return figure


def known(value: float | None) -> float:
    """NaN for what JSON calls null."""
    return float("nan") if value is None else float(value)


def plain(name: object, most: int = 44) -> str:
    """A name as matplotlib shows it: no mathematics, not too long."""
    text = str(name).replace("$", r"\$")
    return text if len(text) <= most else text[: most - 1] + "…"


# ---------------------------------------------------------------------------------------------------------------------
# Held-out predictions
# ---------------------------------------------------------------------------------------------------------------------
@styled
def ranking_curves(
    labels: np.ndarray,
    probabilities: Mapping[str, np.ndarray],
    classes: Sequence[str],
    *,
    positive: int | None = None,
    groups: np.ndarray | None = None,
    n_bootstrap: int = 300,
) -> Figure | None:
    """ROC and precision-recall curves of every arm with their bands; a row of panels per class beyond two classes."""
    wanted = range(len(classes)) if len(classes) > 2 else [1 if positive is None else positive]
    kinds = [k for k in wanted if 0 < (labels == k).sum() < len(labels)][:MOST_CLASSES]
    if not kinds:
        return None
    figure = new_figure(3.9 * len(kinds) + 0.3)
    for row, k in zip(figure.subplots(len(kinds), 2, squeeze=False), kinds, strict=True):
        for arm, probability in probabilities.items():
            _arm_curves(row, labels == k, probability[:, k], arm, groups, n_bootstrap)
        name = f"{classes[k]} against the rest" if len(classes) > 2 else str(classes[k])
        _finish_curves(row, float((labels == k).mean()), plain(name))
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    return figure


def _arm_curves(row, positive: np.ndarray, score: np.ndarray, arm: str, groups, n_bootstrap: int) -> None:
    style = {"color": COLOURS.get(arm, PURPLE), "ls": LINES.get(arm, ":"), "label": arm_label(arm), "zorder": 3}
    band = ranking.bands(positive, score, groups=groups, n_bootstrap=n_bootstrap)
    curve, points = ranking.roc(positive, score), ranking.precision_recall(positive, score)
    row[0].plot(curve["false_positive_rate"], curve["true_positive_rate"], **style)
    # the convention of precision 1 at recall 0 is no measurement
    row[1].plot(points["recall"][1:], points["precision"][1:], drawstyle="steps-pre", **style)
    for axis, name in zip(row, ("roc", "precision_recall"), strict=True):
        if name in band:
            axis.fill_between(*band[name].values(), color=style["color"], alpha=0.15, lw=0, zorder=2)


def _finish_curves(row, share: float, name: str) -> None:
    row[0].plot([0, 1], [0, 1], ":", color=GREY, lw=1)
    row[1].axhline(share, ls=":", color=GREY, lw=1)
    row[0].annotate("chance", (0.62, 0.58), color=GREY, fontsize=8.5, rotation=40, ha="center", va="center")
    row[1].annotate(f"chance: {share:.2f}", (0.01, share), (0, 3), textcoords="offset points", color=GREY, fontsize=8.5)
    row[0].set(xlabel="false positive rate", ylabel="true positive rate (completeness)")
    row[1].set(xlabel="recall (completeness)", ylabel="precision (purity)")
    for axis in row:
        axis.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
        axis.set_title(name, loc="left")


@styled
def calibration(
    labels: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    classes: Sequence[str],
    *,
    positive: int | None = None,
) -> Figure | None:
    """Observed share against predicted probability before and after temperature scaling, and how often each was said."""
    if not len(labels):
        return None
    figure = new_figure(3.9)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1))
    left.plot([0, 1], [0, 1], ":", color=GREY, lw=1, label="perfect")
    marks = (("before", before, ORANGE, "s", "--", -0.006), ("after", after, BLUE, "o", "-", 0.006))
    for name, probability, colour, marker, line, shift in marks:
        found = metrics.calibration_curve(labels, probability, positive=positive)
        scores = metrics.score(labels, probability, list(classes), positive=positive, n_bootstrap=0)
        said, seen = found["predicted"] + shift, found["observed"]
        spread = [np.maximum(seen - found["low"], 0), np.maximum(found["high"] - seen, 0)]
        left.errorbar(
            said, seen, yerr=spread, color=colour, marker=marker, ls=line, ms=5, lw=1.4, elinewidth=0.9, capsize=2,
            label=f"{name}: ECE {scores['ece']['value']:.3f}",
        )  # fmt: skip
        claimed = (
            probability.max(1) if probability.shape[1] > 2 else probability[:, 1 if positive is None else positive]
        )
        right.hist(claimed, bins=20, range=(0, 1), histtype="step", color=colour, ls=line, lw=1.8, label=name)
    what = "the likeliest class" if len(classes) > 2 else str(classes[1 if positive is None else positive])
    what = plain(what)
    left.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=f"predicted probability of {what}")
    left.set_ylabel("share that is right" if len(classes) > 2 else f"share that is {what}")
    right.set(xlabel=f"predicted probability of {what}", ylabel="test objects")
    right.set_ylim(top=1.35 * right.get_ylim()[1])  # the legend stands above the highest bar
    left.legend(loc="upper left")
    right.legend(title="temperature scaling", loc="upper center", ncols=2)
    return figure


@styled
def confusion(labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> Figure | None:
    """Counts and shares of each true class by predicted class."""
    if not len(labels):
        return None
    counts = metrics.confusion_matrix(labels, predicted, len(classes))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = min(2.3 + 0.85 * len(classes), 8.0)
    figure = new_figure(side * 0.85, side)
    axis = figure.subplots()
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for true, said in np.ndindex(counts.shape):
        text = f"{100 * shares[true, said]:.0f} %\n{counts[true, said]:,}"
        colour = "white" if shares[true, said] > 0.55 else BLACK
        axis.text(said, true, text, ha="center", va="center", color=colour, fontsize=10)
    names = [plain(name, 20) for name in classes]
    axis.set_xticks(range(len(classes)), names, rotation=30 if max(map(len, names)) > 12 else 0)
    axis.set_yticks(range(len(classes)), [f"{name}\n({n:,})" for name, n in zip(names, counts.sum(1), strict=True)])
    axis.set(xlabel="predicted class", ylabel="true class")
    axis.grid(False)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    figure.colorbar(image, ax=axis, label="share of the true class", shrink=0.85)
    return figure


# ---------------------------------------------------------------------------------------------------------------------
# Training
# ---------------------------------------------------------------------------------------------------------------------
@styled
def training_curves(arms: Mapping[str, Mapping[str, Any]]) -> Figure | None:
    """Loss of every arm on training and validation objects, and validation AUC, with the epoch that was kept.

    arms: {arm: {"curves": [{"epoch", "train_loss", "validation_loss", "validation_auc"}], "best_epoch"}}.
    """
    drawn = {arm: facts for arm, facts in arms.items() if facts.get("curves")}
    if not drawn:
        return None
    figure = new_figure(3.5)
    left, right = figure.subplots(1, 2)
    for arm, facts in drawn.items():
        colour, curve = COLOURS.get(arm, PURPLE), facts["curves"]
        column = lambda name, curve=curve: [known(row.get(name)) for row in curve]  # noqa: E731
        epochs = column("epoch")
        left.plot(epochs, column("train_loss"), ":", color=colour, lw=1.3)
        left.plot(epochs, column("validation_loss"), LINES.get(arm, ":"), color=colour)
        right.plot(epochs, column("validation_auc"), LINES.get(arm, ":"), color=colour, label=arm_label(arm))
        for axis, name in ((left, "validation_loss"), (right, "validation_auc")):
            kept = [known(row.get(name)) for row in curve if row["epoch"] == facts.get("best_epoch")]
            axis.plot([facts.get("best_epoch")] * len(kept), kept, "o", color=colour, mec="white", ms=7, zorder=5)
    left.plot([], [], ":", color=GREY, lw=1.3, label="training")
    left.plot([], [], "-", color=GREY, label="validation")
    left.plot([], [], "o", color=GREY, mec="white", ms=7, label="epoch kept")
    left.legend(loc="upper right")
    left.set(xlabel="epoch", ylabel="loss")
    right.set(xlabel="epoch", ylabel="validation AUC")
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=len(drawn))
    return figure
