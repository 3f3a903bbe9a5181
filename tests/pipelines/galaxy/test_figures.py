"""Figures of curves: they show the numbers they are given, and nothing where there is nothing to show."""

import io

import matplotlib
import numpy as np
import pytest

from sciml.pipelines.galaxy import calibrate, figures, ranking


def predictions(c=2, n=120, seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, c, n)
    logits = random.normal(size=(n, c)) + 1.2 * np.eye(c)[labels]
    return labels, logits, calibrate.apply(logits)


def drawn(figure):
    """Every text of a figure that was drawn, so that a layout that fails is found."""
    figure.set_dpi(30)
    figure.savefig(io.BytesIO(), format="png", dpi=30)
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text)]


def test_curves_are_the_points():
    labels, _, p = predictions()
    figure = figures.ranking_curves(labels, {"fusion": p, "image": 0.5 * p + 0.25}, ["non", "merger"], n_bootstrap=20)
    left, right = figure.axes
    curve = ranking.roc(labels == 1, p[:, 1])
    np.testing.assert_array_equal(left.lines[0].get_xdata(), curve["false_positive_rate"])
    np.testing.assert_array_equal(left.lines[0].get_ydata(), curve["true_positive_rate"])
    assert right.lines[0].get_xdata()[0] > 0  # precision 1 at recall 0 is a convention, not a measurement
    words = drawn(figure)
    assert "image + table" in words and "image only" in words and f"chance: {labels.mean():.2f}" in words
    styles = {(line.get_color(), line.get_linestyle()) for line in left.lines[:2]}
    assert len({colour for colour, _ in styles}) == len({style for _, style in styles}) == 2


def test_a_row_of_panels_for_each_of_three_classes():
    labels, _, p = predictions(c=3)
    figure = figures.ranking_curves(labels, {"image": p}, ["non", "pre", "post"], n_bootstrap=0)
    assert len(figure.axes) == 6 and "post against the rest" in drawn(figure)


def test_one_class_has_no_curves():
    _, _, p = predictions()
    assert figures.ranking_curves(np.zeros(120, int), {"image": p}, ["non", "merger"]) is None


@pytest.mark.parametrize("c", [2, 3])
def test_calibration_before_and_after(c):
    labels, logits, p = predictions(c)
    figure = figures.calibration(labels, calibrate.apply(4 * logits), p, ["non", "$m_1$", "post"][:c])
    words = drawn(figure)
    shown = [word for word in words if "ECE" in word]
    assert len(shown) == 2 and float(shown[0][-5:]) > float(shown[1][-5:])
    assert (r"predicted probability of \$m_1\$" in words) == (c == 2)


def test_confusion_holds_counts_and_shares():
    figure = figures.confusion(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), ["non", "merger"])
    words = drawn(figure)
    assert {"67 %\n2", "33 %\n1", "0 %\n0", "100 %\n1", "non\n(3)", "merger\n(1)"} <= set(words)
    assert figures.confusion(np.zeros(0, int), np.zeros(0, int), ["a", "b"]) is None


def test_a_true_class_that_does_not_occur_is_no_division_by_zero():
    assert "0 %\n0" in drawn(figures.confusion(np.array([1]), np.array([1]), ["a", "b"]))


def test_training_curves_mark_the_epoch_that_was_kept():
    rows = [{"epoch": e, "train_loss": 1 / e, "validation_loss": 1 / e + 0.1, "validation_auc": None if e == 1 else 0.8}
            for e in (1, 2, 3)]  # fmt: skip
    figure = figures.training_curves({"image": {"curves": rows, "best_epoch": 2}, "table": {"curves": []}})
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert dots[0].get_xdata()[0] == 2 and dots[0].get_ydata()[0] == pytest.approx(0.6)
    assert np.isnan(figure.axes[1].lines[0].get_ydata()[0])
    drawn(figure)
    assert figures.training_curves({"table": {"curves": []}}) is None


def test_a_style_of_the_user_changes_nothing():
    labels, _, p = predictions()
    with matplotlib.rc_context({"axes.facecolor": "black", "text.usetex": True, "lines.linewidth": 9}):
        figure = figures.confusion(labels, p.argmax(1), ["a", "b"])
    assert figure.axes[0].get_facecolor()[:3] == (1, 1, 1)


def test_names_are_neither_mathematics_nor_endless():
    assert figures.plain("$x$") == r"\$x\$" and len(figures.plain("n" * 99)) == 44
    assert np.isnan(figures.known(None)) and figures.known(1) == 1.0
