"""Plates of cutouts: what a model said of each galaxy, and where it looked.

Axes: k object, [y, x, rgb] picture in 0..1, [h, w] heat. A frame and a mark tell right from wrong, so that no one needs
the colour. A plate is one set of matplotlib axes in inches with the cutouts placed on it: an axes for each would take a
second to lay out. matplotlib is imported by the functions that draw, not by this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .figures import BLACK, BLUE, VERMILLION, WIDTH, plain, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 6
_GAP, _LINE = 0.12, 0.17  # [inch] between cutouts, of one line of text
_FONT = 8.5
_DIMMED = 0.75  # brightness of the grey picture: a white core would wash out the colour of the heat


@styled
def cutouts(
    pictures: np.ndarray,
    labels: np.ndarray,
    predicted: np.ndarray,
    probability: np.ndarray,
    classes: Sequence[str],
    *,
    positive: int | None = None,
    columns: int = COLUMNS,
) -> Figure | None:
    """Pictures [k, y, x, rgb] with true class, mark, probability and frame: blue right, orange and dashed wrong.

    probability: [k, c]; that of the positive class of two is written, else that of the predicted class.
    """
    if not len(pictures):
        return None
    figure, axis, corners, side = _plate(len(pictures), columns, above=2 * _LINE)
    for (x, y), picture, true, said, p in zip(corners, pictures, labels, predicted, probability, strict=True):
        _show(axis, picture, x, y, side)
        right, shown = true == said, said if positive is None else positive
        _frame(axis, x, y, side, right)
        text = f"{plain(classes[true], 14)} {'✓' if right else '✗'}\np({plain(classes[shown], 9)}) = {p[shown]:.2f}"
        _write(axis, text, x, y, side, BLACK if right else VERMILLION)
    return figure


@styled
def overlays(pictures: np.ndarray, heat: np.ndarray, titles: Sequence[str], *, columns: int = COLUMNS) -> Figure | None:
    """Each picture [y, x, rgb] above the same picture in grey under the heat [h, w] that the model paid to its parts.

    Pictures without heat (all equal, or not finite) are left out.
    """
    known = [i for i in range(len(pictures)) if np.isfinite(heat[i]).all() and np.ptp(heat[i]) > 0]
    if not known:
        return None
    bar = 0.72
    figure, axis, corners, side = _plate(len(known), columns, above=_LINE, tiles=2, below=bar)
    for (x, y), i in zip(corners, known, strict=True):
        height, width = pictures[i].shape[:2]
        _write(axis, plain(titles[i], 26), x, y, side, BLACK)
        _show(axis, pictures[i], x, y, side)
        lower = y - side - _GAP / 2
        _show(axis, _DIMMED * np.repeat(pictures[i].mean(2, keepdims=True), 3, axis=2), x, lower, side)
        weight = _spread(heat[i] / heat[i].max(), height, width)
        # opaque where it matters: the galaxy stays visible under weak heat
        shown = axis.imshow(
            weight, cmap="inferno", extent=_extent(x, lower, side, weight), alpha=0.1 + 0.55 * weight, vmin=0, vmax=1
        )
    _fit(axis)
    place = axis.inset_axes((0.3, 0.52 / figure.get_figheight(), 0.4, 0.09 / figure.get_figheight()))
    figure.colorbar(shown, cax=place, orientation="horizontal").set_label(
        "relative weight of the place in the decision"
    )
    return figure


def _plate(
    n: int, columns: int, *, above: float, tiles: int = 1, below: float = 0.0
) -> tuple[Figure, Axes, list[tuple[float, float]], float]:
    """An empty plate, the upper left corner of each cutout and its side, in inches from the lower left of the figure.

    above: room for text over a cutout; tiles: cutouts one below the other; below: room under the last row.
    """
    from matplotlib.figure import Figure

    side = (WIDTH - (columns + 1) * _GAP) / columns
    row = above + tiles * side + (tiles - 1) * _GAP / 2 + _GAP
    n_row = -(-n // columns)
    height = n_row * row + below
    figure = Figure(figsize=(WIDTH, height), dpi=100)
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set_axis_off()
    axis.set(xlim=(0, WIDTH), ylim=(0, height))
    corners = [
        (_GAP + (k % columns) * (side + _GAP), height - (k // columns) * row - above - _GAP / 2) for k in range(n)
    ]
    return figure, axis, corners, side


def _fit(axis: Axes) -> None:
    """imshow shrinks the view to its picture: back to the whole plate."""
    width, height = axis.figure.get_size_inches()
    axis.set(xlim=(0, width), ylim=(0, height), aspect="auto")


def _extent(x: float, y: float, side: float, picture: np.ndarray) -> tuple[float, float, float, float]:
    """Where the picture lies in the square with its upper left corner at (x, y), its shape kept."""
    height, width = np.array(picture.shape[:2]) * side / max(picture.shape[:2])
    left, top = x + (side - width) / 2, y - (side - height) / 2
    return left, left + width, top - height, top


def _show(axis: Axes, picture: np.ndarray, x: float, y: float, side: float) -> None:
    axis.imshow(picture, extent=_extent(x, y, side, picture), interpolation="auto")
    _fit(axis)


def _write(axis: Axes, text: str, x: float, y: float, side: float, colour: str) -> None:
    axis.text(x + side / 2, y + 0.04, text, ha="center", va="bottom", fontsize=_FONT, color=colour, linespacing=1.15)


def _frame(axis: Axes, x: float, y: float, side: float, right: bool) -> None:
    from matplotlib.patches import Rectangle

    style = {"edgecolor": BLUE, "lw": 1.3} if right else {"edgecolor": VERMILLION, "lw": 2.2, "ls": (0, (3, 1.5))}
    axis.add_patch(Rectangle((x, y - side), side, side, fill=False, zorder=5, **style))


def _spread(heat: np.ndarray, height: int, width: int) -> np.ndarray:
    """Linear between the middles of the cells, [y, x]."""
    from scipy.ndimage import zoom

    factors = (height / heat.shape[0], width / heat.shape[1])
    return np.clip(zoom(heat, factors, order=1, mode="nearest", grid_mode=True), 0.0, 1.0)
