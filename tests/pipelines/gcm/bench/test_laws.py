"""The laws at sizes for a test; at their own sizes, marked slow."""

import numpy as np
import pytest

from sciml.pipelines.gcm import bench_settings as settings
from sciml.pipelines.gcm.bench import laws, peer

SMALL = laws.Sizes("T21", 8, 8, 20.0, 3, 2)


def broken(rows):
    return [row for row in rows if not row["kept"]]


@pytest.mark.parametrize("name", ["pressure", "rest", "williamson2", "williamson5", "dinosaur"])
def test_small(name):
    if name == "dinosaur" and not peer.installed():
        pytest.skip("dinosaur is not installed")
    rows = list(laws.measure((name,), SMALL))
    assert rows and broken(rows) == []
    assert all(0 <= row["value"] < 1 for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize("name", laws.LAWS)
def test_at_their_own_size(name):
    if name == "dinosaur" and not peer.installed():
        pytest.skip("dinosaur is not installed")
    rows = list(laws.measure((name,)))
    assert rows and broken(rows) == []


def test_settings_know_the_laws():
    assert tuple(laws.LAWS) == settings.LAWS and set(laws.QUICK) <= set(settings.LAWS)
    assert settings.BenchDycore().laws == laws.QUICK
    assert settings.BenchDycore(laws=("all",)).chosen_laws == settings.LAWS
    assert settings.BenchDycore(laws=("none",)).chosen_laws == ()


def test_a_coarse_jet_breaks_the_limits():
    """They are for T42 with 26 levels: a quarter of the grid points leaves them within hours."""
    assert len(broken(laws.measure(("jet",), SMALL))) == 4


@pytest.mark.slow
def test_the_climate_of_a_few_days():
    """Averages come out by level and latitude, whatever they are so early."""
    rows = list(laws.measure(("held-suarez",), laws.Sizes(spin_up_days=1, climate_days=2, climate=("T21", 5))))
    assert len(rows) == 8 and all(np.isfinite(row["value"]) for row in rows)
    warm = {row["what"]: row["value"] for row in rows}
    assert 280 < warm["equatorial surface temperature"] < 300


def climate(jet=30.0, latitude_of_jet=45.0, surface=300.0):
    latitude = np.linspace(-87, 87, 32)
    height = np.linspace(0, 1, 20)[:, None]  # 0 at the top
    wind = jet * np.exp(-(((np.abs(latitude) - latitude_of_jet) / 12) ** 2)) * np.exp(-(((height - 0.25) / 0.3) ** 2))
    wind = wind - 8 * height**4 * np.exp(-((latitude / 15) ** 2))
    heat = np.maximum(200, (surface - 45 * np.sin(np.radians(latitude)) ** 2) * np.maximum(height, 0.01) ** (2 / 7))
    return wind, heat, latitude


@pytest.mark.parametrize(
    ("changes", "whats"),
    [
        ({}, set()),
        ({"jet": 60.0}, {"northern jet", "southern jet"}),
        ({"latitude_of_jet": 25.0}, {"northern jet's latitude", "southern jet's latitude"}),
        ({"surface": 330.0}, {"equatorial surface temperature", "polar surface temperature"}),
    ],
)
def test_the_climate_is_judged(changes, whats):
    rows = list(laws.climate_rows(*climate(**changes), "analytic"))
    assert {row["what"] for row in broken(rows)} >= whats and (whats or not broken(rows)), rows
