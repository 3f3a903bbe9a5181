"""What is handed to the figures: levels, days, and which pressure."""

import numpy as np
import pytest
import xarray as xr

from sciml.pipelines.gcm.output.files import Layout, open_output
from sciml.pipelines.gcm.report import pictures


def frames(tmp_path, **changes):
    given = {
        "variables": ("temperature", "surface_pressure", "mean_sea_level_pressure"), "longitude": np.arange(8) * 45.0,
        "latitude": np.linspace(-60, 60, 4), "start": np.datetime64("2000-01-01T00"), "interval_seconds": 43200,
        "frames": 3, "pressures": (500.0, 830.0, 1000.0),
    }  # fmt: skip
    layout = Layout(**{**given, **changes})
    output = open_output(tmp_path / "a.nc", layout)
    output.create()
    for number in range(3):
        output.append({name: np.full(layout.shape(name), 100.0 + number) for name in layout.variables})
    return output


def test_frames_are_opened_in_every_form(tmp_path):
    output = frames(tmp_path)
    with pictures.open_frames(output.path) as ds:
        running = ds.load()
    output.finish()
    with pictures.open_frames(output.path) as ds:
        xr.testing.assert_identical(ds.load(), running)


def test_the_nearest_level_is_named(tmp_path):
    with pictures.open_frames(frames(tmp_path).path) as ds:
        assert pictures.nearest_level(ds, 850.0) == ({"level": 1}, "830 hPa")
        assert pictures.day_of(ds, 1) == "day 0.5"
    with pictures.open_frames(frames(tmp_path, pressures=None, sigma=(0.1, 0.86)).path) as ds:
        assert pictures.nearest_level(ds, 850.0) == ({"sigma": 1}, "sigma 0.86")


def test_over_mountains_pressure_is_reduced_to_sea_level(tmp_path):
    with pictures.open_frames(frames(tmp_path).path) as ds:
        assert pictures._pressure(ds) == "surface_pressure"
    hills = {"geopotential_at_surface": 1e3 * np.arange(32.0).reshape(4, 8)}
    with pictures.open_frames(frames(tmp_path, surface=hills).path) as ds:
        assert pictures._pressure(ds) == "mean_sea_level_pressure"
        assert pictures._pressure(ds.drop_vars("mean_sea_level_pressure")) == "surface_pressure"
        assert pictures._pressure(ds[["temperature"]]) is None


@pytest.mark.parametrize(
    ("low", "high", "step"), [(943.0, 1019.0, 10.0), (999.8, 1000.2, 0.1), (996.0, 1003.0, 1.0), (1000.0, 1000.0, 0.1)]
)
def test_no_pressure_contour_lies_at_1000(low, high, step):
    levels = np.array(pictures._pressure_levels(np.array([low, high])))
    np.testing.assert_allclose(np.diff(levels), step, rtol=1e-9)
    assert len(levels) >= 3 and levels[0] <= low + step and levels[-1] >= high - step
    assert min(abs(levels - 1000)) == pytest.approx(step / 2)


def test_pressure_over_mountains_is_drawn_with_levels_of_its_own():
    assert pictures._pressure_levels(np.array([500.0, 1030.0])) == ()


def test_climate_means_begin_after_spin_up(tmp_path, monkeypatch):
    said = {}
    monkeypatch.setattr(pictures.figures, "cross_sections", lambda *a: said.update(when=a[-1], wind=a[0]))
    variables = ("u_component_of_wind", "temperature")
    output = frames(tmp_path, variables=variables, interval_seconds=150 * 86400)
    with pictures.open_frames(output.path) as ds:
        pictures.zonal_means(ds, {"forced": True})
        assert said["when"] == "day 300" and (said["wind"] == 102).all()
        monkeypatch.setattr(pictures, "_SPIN_UP_DAYS", 150.0)
        pictures.zonal_means(ds, {"forced": True})
        assert said["when"] == "mean of days 150 to 300" and (said["wind"] == 101.5).all()
        pictures.zonal_means(ds, {"forced": False})
        assert said["when"] == "day 300"
