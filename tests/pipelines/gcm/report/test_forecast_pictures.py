"""The pictures of a NeuralGCM forecast: what is drawn from which file, with which contours, without lost members."""

import numpy as np
import pytest
import xarray as xr

from sciml.pipelines.gcm.report import forecast_pictures
from sciml.pipelines.gcm.report.forecast_pictures import QUANTITIES, draw_forecast, values_of

LONGITUDE, LATITUDE = np.arange(0, 360, 15.0), np.linspace(-85, 85, 12)


def forecast(path, members=1, lost=(), **changes):
    """A file as a rollout writes it, with a plausible field in each variable drawn; returns results.json's part."""
    rng = np.random.default_rng(0)
    level, lead = np.array([500, 700, 850]), np.array([0, 24, 48, 72], "timedelta64[h]").astype("timedelta64[ns]")
    warm = np.cos(np.radians(LATITUDE))[:, None] + 0 * LONGITUDE
    dims = ["prediction_timedelta", *(["number"] if members > 1 else []), "level", "latitude", "longitude"]
    shape = (4, *([members] if members > 1 else []), 3, 12, 24)
    noise = rng.normal(size=shape)
    fields = {
        "geopotential": 9.8 * (5000 + 800 * warm + 20 * noise), "temperature": 250 + 40 * warm + noise,
        "specific_humidity": 0.006 * warm**2 + 1e-4 * np.abs(noise), "u_component_of_wind": 10 * noise,
    }  # fmt: skip
    flat = [dim for dim in dims if dim != "level"]
    variables = {name: (dims, x.astype(np.float32)) for name, x in fields.items()}
    p_minus_e = 3e-5 * np.delete(noise, [0, 1], axis=-3).squeeze(-3)
    variables["precipitation_minus_evaporation"] = (flat, p_minus_e.astype(np.float32))
    ds = xr.Dataset(
        {name: x for name, x in variables.items() if name not in changes.get("without", ())},
        {"prediction_timedelta": lead, "level": level, "latitude": LATITUDE, "longitude": LONGITUDE},
    )
    if lost:
        ds = ds.assign_coords(number=np.arange(members))
        ds = ds.where(~ds.number.isin(list(lost)))
    ds.to_netcdf(path, engine="h5netcdf")
    return {
        "output": str(path), "report_frames": [0, 1, 2, 3], "kind": "neural", "forced": False, "spectra": [],
        "lost_members": {str(n): {} for n in lost},
    }  # fmt: skip


METRICS = [
    {"day": d, "global_t850": 281.0 + d, "global_p_minus_e": 1e-6, "max_wind": 60.0, "members": 3} for d in range(4)
]


def test_all_quantities_are_drawn(tmp_path):
    figures = draw_forecast(forecast(tmp_path / "a.nc"), METRICS)
    assert list(figures) == ["z500", "t850", "q700", "p_minus_e", "zonal", "global_means"]
    titles = [axis.get_title(loc="left") for axis in figures["z500"].axes]
    assert "+0 h: 500 hPa geopotential height" in titles and "+72 h: 500 hPa geopotential height" in titles


def test_contours_are_the_same_at_all_lead_times(tmp_path):
    figure = draw_forecast(forecast(tmp_path / "a.nc"), METRICS)["p_minus_e"]
    bars = [axis for axis in figure.axes if axis.get_ylabel() == "mm day⁻¹"]
    assert len(bars) == 4 and len({tuple(axis.get_yticks()) for axis in bars}) == 1


def test_units_are_those_of_weather_maps(tmp_path):
    results = forecast(tmp_path / "a.nc")
    with xr.open_dataset(results["output"]) as ds:
        means = {q.name: float(np.mean(values_of(ds, q, 0))) for q in QUANTITIES}
    assert (
        540 < means["z500"] < 580
        and 260 < means["t850"] < 290
        and 1 < means["q700"] < 6
        and abs(means["p_minus_e"]) < 1
    )


@pytest.mark.parametrize("without", ["geopotential", "specific_humidity", "precipitation_minus_evaporation"])
def test_what_the_file_lacks_is_left_out(tmp_path, without):
    figures = draw_forecast(forecast(tmp_path / "a.nc", without=(without,)), METRICS)
    gone = next(q.name for q in QUANTITIES if q.variable == without)
    assert gone not in figures and len(figures) == 5


def test_lost_members_are_neither_drawn_nor_spread(tmp_path):
    figures = draw_forecast(forecast(tmp_path / "a.nc", members=3, lost=(0,)), METRICS)
    assert "spread" in figures and "z500" in figures
    assert "spread" not in draw_forecast(forecast(tmp_path / "b.nc", members=2, lost=(0,)), METRICS)


def test_fields_beyond_all_contours_get_their_own():
    q = QUANTITIES[1]
    assert forecast_pictures._within(q.levels, np.full((3, 3), 280.0)) == q.levels
    assert forecast_pictures._within(q.levels, np.full((3, 3), 1e4)) == ()
