"""Figures draw whatever arrays they are given, and show what they should."""

import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure

from sciml.pipelines.gcm.report import figures
from sciml.pipelines.gcm.report.figures import Panel

LONGITUDE, LATITUDE = np.arange(32) * 11.25, np.linspace(-86, 86, 16)
WAVE = 1000 + 20 * np.cos(np.deg2rad(LATITUDE))[:, None] * np.sin(3 * np.deg2rad(LONGITUDE))


def drawn(figure: Figure) -> Figure:
    """Rendering must not warn: a missing letter or a level outside shows up here."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.canvas.draw()
    return figure


def maps_of(figure):
    return [axis for axis in figure.axes if axis.get_title(loc="left")]


def test_maps_reach_both_edges_and_the_chosen_latitudes():
    rows = [[Panel(WAVE, "pressure", "hPa"), Panel(WAVE - 1000, "vorticity", "s⁻¹", "RdBu_r", centred=True)]] * 2
    axes = maps_of(drawn(figures.maps(rows, LONGITUDE, LATITUDE, south=0.0)))
    assert len(axes) == 4 and all(axis.get_xlim() == (0, 360) and axis.get_ylim() == (0, 90) for axis in axes)
    assert [tick.get_text() for tick in axes[2].get_xticklabels()][:4] == ["0°", "60°E", "120°E", "180°"]


@pytest.mark.parametrize(
    "values", [np.full((16, 32), 288.0), np.zeros((16, 32)), WAVE * 1e-12, np.full((16, 32), np.nan)]
)
@pytest.mark.filterwarnings("ignore")
def test_constant_and_odd_fields_are_drawn(values):
    figures.maps([[Panel(values, "a", "K")]], LONGITUDE, LATITUDE).canvas.draw()
    figures.maps([[Panel(values, "a", "K", centred=True)]], LONGITUDE, LATITUDE).canvas.draw()


def test_noise_of_round_off_is_no_signal():
    levels = figures._levels(np.array([[100000.0, 100000.001]]), False)
    assert levels[1] - levels[0] > 10


def test_centred_levels_are_symmetric():
    levels = figures._levels(np.array([[-1.0, 3.0]]), True)
    np.testing.assert_allclose(levels, -levels[::-1], atol=1e-12)
    assert abs(levels).min() > 0 and levels[-1] >= 3 - np.diff(levels)[0]


def test_spectra_are_logarithmic_with_two_guides():
    k = np.arange(44)
    values = np.where(k > 0, np.maximum(k, 1.0) ** -3.0, 0)
    figure = drawn(figures.spectra([("day 1", values * 0.1), ("day 10", values)]))
    (axis,) = figure.axes
    assert axis.get_xscale() == axis.get_yscale() == "log" and len(axis.lines) == 4
    slopes = [np.polyfit(np.log(line.get_xdata()), np.log(line.get_ydata()), 1)[0] for line in axis.lines[2:]]
    assert slopes == pytest.approx([-3, -5 / 3])


def test_series_show_every_panel():
    days = np.arange(5.0)
    panels = [("mass", {"mass": days * 1e-8}), ("wind", {"wind": days}), ("T", {"lowest": days, "highest": days + 9})]
    figure = drawn(figures.series(days, panels))
    visible = [axis for axis in figure.axes if axis.get_visible()]
    assert [axis.get_title(loc="left") for axis in visible] == ["mass", "wind", "T"]
    assert len(visible[2].lines) == 2 and visible[2].get_legend() is not None


@pytest.mark.parametrize("name", ["level", "sigma"])
def test_cross_sections_have_the_surface_below(name):
    vertical = np.linspace(0.05, 0.98, 9) * (1000 if name == "level" else 1)
    wind = 30 * np.cos(np.deg2rad(LATITUDE)) * np.ones((9, 1))
    figure = drawn(figures.cross_sections(wind, 250 + wind, LATITUDE, vertical, name, "day 10"))
    assert figure.axes[0].get_ylim()[0] > figure.axes[0].get_ylim()[1]


def test_the_users_own_style_changes_nothing():
    import matplotlib

    with matplotlib.rc_context({"font.size": 40}):
        figure = figures.spectra([("day 1", np.arange(1.0, 40.0))])
    assert figure.axes[0].xaxis.label.get_size() == 9.5
