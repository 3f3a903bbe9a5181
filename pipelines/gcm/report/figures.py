"""The pictures of a rollout: maps at chosen days, spectra, conservation, zonal means, ensemble spread.

Convention: every function takes plain arrays in the units it prints and returns a matplotlib Figure. Maps are latitude
[degrees_north, ascending] by longitude [degrees_east, 0 to 360]. Colour maps are perceptually uniform; a diverging one is
used only where zero means something, and is then centred on it. matplotlib is imported by the functions that draw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, BLACK = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#000000"
DAYS = (BLUE, GREEN, ORANGE, VERMILLION, PURPLE, BLACK)
WIDTH = 9.0  # [inch], 900 px at 100 dpi: the width of the page
_STYLE = {
    "font.family": "DejaVu Sans", "font.size": 9.5, "axes.titlesize": 10, "axes.labelsize": 9.5, "legend.fontsize": 9,
    "legend.frameon": False, "text.usetex": False, "figure.facecolor": "white", "axes.facecolor": "white",
    "axes.axisbelow": True, "grid.color": "#dddddd", "grid.linewidth": 0.6, "lines.solid_capstyle": "round",
    "contour.negative_linestyle": "solid",
}  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """One map: values [latitude, longitude] with what its colours need."""

    values: np.ndarray
    title: str
    unit: str
    colours: str = "viridis"
    levels: tuple[float, ...] = ()  # contour levels; none: chosen from the range
    centred: bool = False
    lines: bool = True  # whether contour lines are drawn over the colours


def _styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw with our style whatever the user's matplotlibrc says."""

    @wraps(draw)
    def drawn(*arguments: Any, **options: Any) -> Figure:
        import matplotlib

        with matplotlib.rc_context(_STYLE):
            return draw(*arguments, **options)

    return drawn


def _figure(height: float, width: float = WIDTH) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=100)
    figure.get_layout_engine().set(w_pad=0.07, h_pad=0.05)
    return figure


# ---------------------------------------------------------------------------------------------------------------------
# Maps
# ---------------------------------------------------------------------------------------------------------------------
@_styled
def maps(
    rows: Sequence[Sequence[Panel]],
    longitude: np.ndarray,
    latitude: np.ndarray,
    south: float = -90.0,
    north: float = 90.0,
) -> Figure:
    """A grid of maps between two latitudes; rows of equal length, each panel with its own colour bar."""
    columns = len(rows[0])
    width = WIDTH / columns - 1.0
    figure = _figure(len(rows) * (width * (north - south) / 360 + 0.75))
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, line in zip(axes, rows, strict=True):
        for axis, panel in zip(row, line, strict=True):
            _map(figure, axis, panel, longitude, latitude, (south, north))
    for axis in axes[:-1].ravel():
        axis.tick_params(labelbottom=False)
    for axis in axes[:, 1:].ravel():
        axis.tick_params(labelleft=False)
    return figure


def _map(
    figure: Figure, axis: Axes, panel: Panel, longitude: np.ndarray, latitude: np.ndarray, span: tuple[float, float]
) -> None:
    east, north, values = _closed(longitude, latitude, panel.values)
    inside = (north >= span[0] - 4) & (north <= span[1] + 4)
    values = values[inside]
    levels = panel.levels or _levels(values, panel.centred)
    filled = axis.contourf(
        east, north[inside], values, levels=levels, cmap=panel.colours, extend="both", norm=_norm(levels, panel.colours)
    )
    if panel.lines:
        axis.contour(east, north[inside], values, levels=levels, colors="#00000080", linewidths=0.4)
    bar = figure.colorbar(filled, ax=axis, pad=0.015, aspect=14, shrink=0.95, ticks=_few(levels), format="%.7g")
    bar.set_label(panel.unit, fontsize=8.5)
    bar.ax.tick_params(labelsize=8)
    axis.set_title(panel.title, loc="left", fontsize=9.5)
    axis.set_xlim(0, 360)
    axis.set_ylim(*span)
    axis.set_xticks(range(0, 361, 60), [_degrees(x, "E", "W") for x in range(0, 361, 60)])
    step = 30
    ticks = [y for y in range(-90, 91, step) if span[0] <= y <= span[1]]
    axis.set_yticks(ticks, [_degrees(y, "N", "S") for y in ticks])
    axis.tick_params(labelsize=8, length=2.5)


def _norm(levels: Sequence[float], colours: str) -> object | None:
    """One colour per interval where the levels are not equidistant; None for matplotlib's own where they are."""
    steps = np.diff(levels)
    if np.ptp(steps) <= 1e-6 * np.abs(steps).max():
        return None
    from matplotlib import colormaps
    from matplotlib.colors import BoundaryNorm

    return BoundaryNorm(levels, colormaps[colours].N, extend="both")


def _closed(longitude: np.ndarray, latitude: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, ...]:
    """With the first meridian again at the right edge and the poles, which a Gaussian grid leaves out."""
    around = np.concatenate([values, values[:, :1]], axis=1)
    south, north = (np.full((1, around.shape[1]), values[row].mean()) for row in (0, -1))
    inner = bool(latitude[0] > -89.9), bool(latitude[-1] < 89.9)
    rows = [south] * inner[0] + [around] + [north] * inner[1]
    poles = np.concatenate([[-90.0] * inner[0], latitude, [90.0] * inner[1]])
    return np.append(longitude, longitude[0] + 360.0), poles, np.concatenate(rows)


def _few(levels: Sequence[float]) -> np.ndarray:
    """At most seven labels of a colour bar, all of them between levels that differ by factors."""
    steps = np.diff(levels)
    if np.ptp(steps) > 1e-6 * np.abs(steps).max() and len(levels) <= 12:
        return np.asarray(levels)
    return np.asarray(levels)[:: -(-len(levels) // 7)]


def _degrees(value: float, positive: str, negative: str) -> str:
    if positive == "E":
        value = (value + 180) % 360 - 180
        return (
            "0°" if value == 0 else "180°" if value == -180 else f"{abs(value):g}°{positive if value > 0 else negative}"
        )
    return "EQ" if value == 0 else f"{abs(value):g}°{positive if value > 0 else negative}"


def _levels(values: np.ndarray, centred: bool) -> np.ndarray:
    """About ten round contour levels over the range; symmetric about zero if `centred`."""
    from matplotlib.ticker import MaxNLocator

    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if not np.isfinite([low, high]).all():
        return np.linspace(0.0, 1.0, 3)
    if centred:
        # between the two contours next to zero lies what is undisturbed; one at zero would trace its noise
        high = max(abs(low), abs(high), 1e-30)
        step = np.diff(MaxNLocator(nbins=10, steps=[1, 2, 2.5, 5, 10]).tick_values(-high, high))[0]
        half = (np.arange(np.ceil(high / step)) + 0.5) * step
        return np.concatenate([-half[::-1], half])
    scale = max(abs(low), abs(high), 1e-30)
    if high - low < 1e-6 * scale:  # constant to round-off: contours of noise would look like a signal
        low, high = low - 1e-3 * scale, high + 1e-3 * scale
    return MaxNLocator(nbins=10, steps=[1, 2, 2.5, 5, 10], min_n_ticks=4).tick_values(low, high)


# ---------------------------------------------------------------------------------------------------------------------
# Spectra
# ---------------------------------------------------------------------------------------------------------------------
@_styled
def spectra(found: Sequence[tuple[str, np.ndarray]]) -> Figure:
    """Kinetic energy per total wavenumber [m2 s-2] of each (label, values from wavenumber 0 on), with two guides."""
    figure = _figure(4.2, 6.6)
    axis = figure.subplots()
    top = 0.0
    for (label, values), colour in zip(found, DAYS * (1 + len(found) // len(DAYS)), strict=False):
        wavenumber = np.arange(1, len(values))
        shown = np.where(values[1:] > 0, values[1:], np.nan)
        axis.loglog(wavenumber, shown, color=colour, lw=1.8, label=label)
        top = max(top, np.nanmax(shown, initial=0.0))
    last = len(found[-1][1]) - 1
    guides = [_guide(axis, found[-1][1], -3, "k$^{-3}$", last), _guide(axis, found[-1][1], -5 / 3, "k$^{-5/3}$", last)]
    top = max(top, *guides)
    axis.set_xlim(1, last * 1.1)
    axis.set_ylim(max(top, 1e-30) * 1e-9, max(top, 1e-30) * 3)
    axis.set_xlabel("total wavenumber")
    axis.set_ylabel("kinetic energy per wavenumber [m² s⁻²]")
    axis.grid(True)
    axis.legend(loc="lower left")
    return figure


def _guide(axis: Axes, values: np.ndarray, slope: float, label: str, last: int) -> float:
    """A straight line of the slope, above the spectrum's middle; returns its upper end."""
    first = min(max(4, last // 6), last)
    place = slice(first, max(last // 2, first + 1))
    reference = float(np.nanmax(values[place] * np.arange(first, first + len(values[place])) ** -slope, initial=0.0))
    if reference <= 0:
        return 0.0
    wavenumber = np.array([first, max(last * 0.8, first + 1)])
    line = 3.0 * reference * wavenumber**slope
    axis.loglog(wavenumber, line, "--", color="#666666", lw=1)
    axis.annotate(
        label, (wavenumber[-1], line[-1]), (3, 2), textcoords="offset points", fontsize=9, color="#444444", ha="left"
    )
    return float(line[0])


# ---------------------------------------------------------------------------------------------------------------------
# Series
# ---------------------------------------------------------------------------------------------------------------------
@_styled
def series(days: np.ndarray, panels: Sequence[tuple[str, Mapping[str, np.ndarray]]]) -> Figure:
    """Small panels over time; each (axis label with unit, line label -> values)."""
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    figure = _figure(2.1 * rows + 0.2)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis, (label, lines) in zip(axes.ravel(), panels, strict=False):
        for (name, values), colour in zip(lines.items(), DAYS, strict=False):
            axis.plot(days, values, color=colour, lw=1.6, label=name, marker="." if len(days) < 3 else None)
        axis.set_title(label, loc="left", fontsize=9)
        axis.grid(True)
        axis.spines[["top", "right"]].set_visible(False)
        axis.margins(x=0)
        axis.ticklabel_format(axis="y", useOffset=False, style="sci", scilimits=(-3, 5))
        axis.yaxis.get_offset_text().set_fontsize(8)
        axis.tick_params(labelsize=8.5)
        if len(lines) > 1:
            axis.legend(loc="best", fontsize=8.5)
    for axis in axes.ravel()[len(panels) :]:
        axis.set_visible(False)
    for column in axes.T:
        [axis for axis in column if axis.get_visible()][-1].set_xlabel("time [days]")
    return figure


# ---------------------------------------------------------------------------------------------------------------------
# Zonal means
# ---------------------------------------------------------------------------------------------------------------------
@_styled
def cross_sections(
    wind: np.ndarray, temperature: np.ndarray, latitude: np.ndarray, vertical: np.ndarray, name: str, when: str
) -> Figure:
    """Zonal means [level, latitude] of eastward wind [m s-1] and temperature [K], against pressure or sigma."""
    figure = _figure(3.8)
    left, right = figure.subplots(1, 2, sharey=True)
    _section(figure, left, wind, latitude, vertical, "eastward wind", "m s⁻¹", "RdBu_r", centred=True)
    _section(figure, right, temperature, latitude, vertical, "temperature", "K", "plasma", centred=False)
    right.set_title(when, loc="right", fontsize=8.5, color="#555555")
    left.set_ylabel("pressure [hPa]" if name == "level" else "sigma = pressure / surface pressure")
    left.set_ylim(float(vertical.max()), float(vertical.min()))
    return figure


def _section(
    figure: Figure, axis: Axes, values: np.ndarray, latitude: np.ndarray, vertical: np.ndarray, title: str, unit: str,
    colours: str, *, centred: bool,
) -> None:  # fmt: skip
    step = 5.0 if centred else 10.0
    low, high = np.floor(np.nanmin(values) / step) * step, np.ceil(np.nanmax(values) / step) * step
    if centred:
        high = max(abs(low), abs(high), step)
        low = -high
    while (high - low) / step > 24:
        step *= 2
        low, high = np.floor(low / step) * step, np.ceil(high / step) * step
    levels = np.arange(low, high + step / 2, step)
    levels = levels if len(levels) > 1 else np.array([low, low + step])
    filled = axis.contourf(latitude, vertical, values, levels=levels, cmap=colours, extend="both")
    lines = axis.contour(latitude, vertical, values, levels=levels, colors="#000000a0", linewidths=0.5)
    axis.clabel(lines, lines.levels[::2], fontsize=7.5, fmt="%g")
    bar = figure.colorbar(filled, ax=axis, pad=0.015, aspect=24)
    bar.set_label(unit, fontsize=8.5)
    bar.ax.tick_params(labelsize=8)
    axis.set_title(f"zonal mean {title}", loc="left")
    axis.set_xlim(float(latitude[0]), float(latitude[-1]))
    axis.set_xticks(range(-60, 61, 30), [_degrees(y, "N", "S") for y in range(-60, 61, 30)])
