"""Plates of cutouts: each picture in its place, right and wrong told apart without colour."""

import io

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from sciml.pipelines.galaxy import plates


def pictures(k, height=8, width=8):
    return np.random.default_rng(0).random((k, height, width, 3))


def words(figure):
    figure.savefig(io.BytesIO(), format="png", dpi=30)
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_what_stands_above_a_cutout():
    p = np.array([[0.1, 0.9], [0.3, 0.7]])
    figure = plates.cutouts(pictures(2), np.array([1, 0]), np.array([1, 1]), p, ["non", "merger"], positive=1)
    assert words(figure) == ["merger ✓\np(merger) = 0.90", "non ✗\np(merger) = 0.70"]
    right, wrong = figure.findobj(Rectangle)[:2] if len(figure.findobj(Rectangle)) == 2 else figure.axes[0].patches
    assert right.get_linestyle() != wrong.get_linestyle() and right.get_edgecolor() != wrong.get_edgecolor()


def test_beyond_two_classes_the_predicted_one_is_named():
    p = np.array([[0.2, 0.5, 0.3]])
    figure = plates.cutouts(pictures(1), np.array([2]), np.array([1]), p, ["non", "pre", "$post$"])
    assert words(figure) == ["\\$post\\$ ✗\np(pre) = 0.50"]


@pytest.mark.parametrize("k", [1, 6, 7, 13])
def test_every_cutout_lies_inside_and_none_on_another(k):
    p = np.full((k, 2), 0.5)
    figure = plates.cutouts(pictures(k, 6, 9), np.zeros(k, int), np.zeros(k, int), p, ["a", "b"])
    width, height = figure.get_size_inches()
    boxes = [image.get_extent() for image in figure.axes[0].images]
    assert len(boxes) == k
    for n, (left, right, low, top) in enumerate(boxes):
        assert 0 <= left < right <= width and 0 <= low < top <= height
        assert (right - left) / (top - low) == pytest.approx(9 / 6)
        for other in boxes[:n]:
            assert right <= other[0] or other[1] <= left or top <= other[2] or other[3] <= low
    assert figure.axes[0].get_xlim() == (0, width) and figure.axes[0].get_ylim() == (0, height)


def test_heat_lies_on_its_picture():
    heat = np.zeros((2, 4, 4))
    heat[0, 0, 3] = 2.0
    figure = plates.overlays(pictures(2), heat, ["merger", "nothing"])
    assert words(figure)[0] == "merger" and "nothing" not in words(figure)  # no heat, nothing to show
    above, below, shown = figure.axes[0].images
    assert above.get_extent()[2] > below.get_extent()[3] and shown.get_extent() == below.get_extent()
    weight = shown.get_array()
    assert weight.shape == (8, 8) and weight.max() == 1 and np.unravel_index(weight.argmax(), (8, 8))[0] <= 1
    assert plates.overlays(pictures(1), np.full((1, 2, 2), np.nan), ["a"]) is None


def test_nothing_to_show():
    assert plates.cutouts(pictures(0), np.zeros(0, int), np.zeros(0, int), np.zeros((0, 2)), ["a", "b"]) is None
