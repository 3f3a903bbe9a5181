"""Forecast files of every kind in one layout."""

import time

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from sciml.pipelines.errors import DataError
from sciml.pipelines.readers.forecast import open_forecast, station_id
from sciml.pipelines.readers.stations import read_observations


@pytest.fixture
def raw():
    """A sound forecast file's content: 4 issues, leads 1-3 h, 2 stations."""
    return xr.Dataset(
        {"t2m": (("time", "step", "station"), 280.0 + np.arange(24.0).reshape(4, 3, 2), {"units": "K"})},
        {"time": pd.date_range("2020-01-01", periods=4), "step": pd.to_timedelta([1, 2, 3], "h"), "station": [1, 2]},
    )


def opened(ds: xr.Dataset, tmp_path, **options) -> xr.Dataset:
    ds.to_netcdf(tmp_path / "nwp.nc", engine="h5netcdf")
    return open_forecast(tmp_path / "nwp.nc", **options)


def test_sound(raw, tmp_path):
    ds = opened(raw, tmp_path)
    assert ds["2m_temperature"].dims == ("time", "prediction_timedelta", "station")
    assert ds["station"].values.tolist() == ["1", "2"] and ds.attrs["sciml_notes"] == []


def test_unsorted_is_sorted(raw, tmp_path):
    ds = opened(raw.isel(time=[2, 0, 1, 3], step=[1, 0, 2]), tmp_path)
    assert np.array_equal(ds["2m_temperature"].values, raw["t2m"].values) and len(ds.attrs["sciml_notes"]) == 2


def test_repeated_issue_times(raw, tmp_path):
    with pytest.raises(DataError, match=r"issue time 2020-01-02.* more than once \(1 repeats of 5\)"):
        opened(xr.concat([raw, raw.isel(time=[1])], "time"), tmp_path)


def test_repeated_stations_and_leads(raw, tmp_path):
    with pytest.raises(DataError, match="station 1"):
        opened(raw.assign_coords(station=[1, 1]), tmp_path)
    with pytest.raises(DataError, match="lead time 1 h"):
        opened(raw.isel(step=[0, 0, 1]), tmp_path)


def test_contradicting_valid_time(raw, tmp_path):
    with pytest.raises(DataError, match="contradicts issue time"):
        opened(raw.assign_coords(valid_time=raw["time"] + raw["step"] + np.timedelta64(9, "h")), tmp_path)


def test_missing_lead_and_constant_are_noted(raw, tmp_path):
    raw["t2m"][:, 1] = np.nan
    raw["sp"] = raw["t2m"].copy(data=np.full((4, 3, 2), 1e5)).assign_attrs(units="Pa")
    notes = " ".join(opened(raw, tmp_path).attrs["sciml_notes"])
    assert "no value at lead 2 h" in notes and "constant" in notes


def test_nothing_but_missing(raw, tmp_path):
    with pytest.raises(DataError, match="no variable has a single value"):
        opened(raw * np.nan, tmp_path)


def test_missing_issue_time(raw, tmp_path):
    raw = raw.assign_coords(time=("time", [0.0, 24.0, np.nan, 72.0], {"units": "hours since 2020-01-01"}))
    with pytest.raises(DataError, match="issue time 3 of 4 is missing"):
        opened(raw, tmp_path)


def test_static_and_foreign_variables(raw, tmp_path):
    raw["orog"] = ("station", [10.0, 20.0], {"units": "m"})
    raw["name"] = ("station", ["a", "b"])
    raw["climatology"] = (("time", "station"), np.zeros((4, 2)))
    ds = opened(raw, tmp_path)
    assert set(ds.data_vars) == {"2m_temperature"} and ds["altitude"].values.tolist() == [10.0, 20.0]
    assert any("climatology" in note for note in ds.attrs["sciml_notes"])


def test_scalar_point(raw, tmp_path):
    point = raw.isel(station=0, drop=True).assign_coords(latitude=37.5, longitude=127.0)
    ds = opened(point, tmp_path)
    assert ds["station"].values.tolist() == ["site"] and ds["latitude"].values.tolist() == [37.5]


def test_list_of_places_without_names(raw, tmp_path):
    places = (
        raw.drop_vars("station")
        .rename_dims(station="obs")
        .assign_coords(lat=("obs", [37.0, 38.0]), lon=("obs", [127.0, 128.0]))
    )
    ds = opened(places, tmp_path)
    assert ds["station"].values.tolist() == ["1", "2"] and ds["latitude"].dims == ("station",)


def test_expver_is_merged(raw, tmp_path):
    both = xr.concat([raw.where(raw["time"] < raw["time"][2]), raw.where(raw["time"] >= raw["time"][2])], "expver")
    ds = opened(both.assign_coords(expver=[1, 5]), tmp_path)
    assert np.array_equal(ds["2m_temperature"].values, raw["t2m"].values)


def test_verif_answer_is_left_out(raw, tmp_path):
    verif = raw.rename(t2m="fcst", step="leadtime", station="location")
    verif["obs"] = verif["fcst"] + 1.0
    ds = opened(verif.assign_attrs(standard_name="air_temperature", units="K"), tmp_path)
    assert set(ds.data_vars) == {"2m_temperature"}


SINCE = {"units": "hours since 2020-01-01"}
VALID = ("time", [6, 12, 18], SINCE | {"standard_name": "time"})
PERIOD = ("time", [6, 12, 18], {"units": "hours"})


@pytest.mark.parametrize(
    ("coords", "issues", "leads"),
    [
        ({"time": VALID, "forecast_period": PERIOD, "forecast_reference_time": ((), 0, SINCE)}, 1, [6, 12, 18]),
        ({"time": VALID, "forecast_period": PERIOD}, 1, [6, 12, 18]),
        (
            {
                "time": ("time", [0, 24, 48], SINCE),
                "step": ((), 24, {"units": "hours"}),
                "valid_time": ("time", [24, 48, 72], SINCE),
            },
            3,
            [24],
        ),
        ({"time": ((), 0, SINCE), "step": ((), 1, {"units": "days"}), "x": ("time", [1, 2, 3])}, 1, [24]),
    ],
    ids=["reference and period", "period alone", "one lead", "both scalar"],
)
def test_times_along_one_dimension(coords, issues, leads, tmp_path):
    dim = "x" if "x" in coords else "time"
    coords = {k: v for k, v in coords.items() if k != "x"}
    ds = opened(xr.Dataset({"t2m": (dim, [1.0, 2.0, 3.0])}, coords), tmp_path)
    assert ds.sizes["time"] == issues
    assert (ds["prediction_timedelta"].values / np.timedelta64(1, "h")).tolist() == leads


@pytest.mark.parametrize(
    ("lead", "words"),
    [(("lead", ["a", "b"]), "no lead times"), (("lead", [1, 2], {"units": "months"}), "fixed length")],
)
def test_leads_that_are_none(lead, words, tmp_path):
    raw = xr.Dataset({"t2m": (("init", "lead"), np.zeros((2, 2)))}, {"init": ("init", [0, 24], SINCE), "lead": lead})
    with pytest.raises(DataError, match=words):
        opened(raw, tmp_path)


def test_pressure_levels_stay(tmp_path):
    dims = ("time", "step", "isobaricInhPa", "latitude", "longitude")
    raw = xr.Dataset(
        {"t": (dims, np.random.default_rng(0).normal(size=(1, 2, 2, 2, 2)))},
        {
            "time": ("time", [0], SINCE),
            "step": ("step", [1, 2], {"units": "hours"}),
            "isobaricInhPa": [500, 850],
            "latitude": [2.0, 1.0],
            "longitude": [1.0, 2.0],
        },
    )
    ds = opened(raw, tmp_path)
    assert ds["temperature"].dims == ("time", "prediction_timedelta", "level", "latitude", "longitude")


@pytest.mark.parametrize("value", [1, 1.0, np.float32(1), b"1 ", " 1", np.int64(1)])
def test_station_ids(value):
    assert station_id(value) == "1"


@pytest.mark.parametrize(
    ("folder", "shape"),
    [
        ("magdeburg", (4461, 1, 50, 1)),
        ("gefcom2012_wind", (2184, 48, 7)),
        ("ldaps_seoul", (310, 1, 25)),
        ("dmi_hourly", (1824, 36, 1)),
    ],
)
def test_real_pairs(real_data, folder, shape):
    start = time.perf_counter()
    nwp = open_forecast(real_data / "kd" / folder / "nwp.nc")
    obs = read_observations(real_data / "kd" / folder / "obs.csv", stations=nwp["station"].values)
    assert time.perf_counter() - start < 4.0
    assert next(iter(nwp.data_vars.values())).shape == shape and obs.sizes["station"] == nwp.sizes["station"]
    valid = (nwp["time"] + nwp["prediction_timedelta"]).values.ravel()
    assert np.isin(valid, obs["time"].values).mean() > 0.5


def test_magdeburg_has_the_published_error(real_data):
    """ECMWF ensemble mean against the station: 1.60 K at 24 h."""
    nwp = open_forecast(real_data / "kd" / "magdeburg" / "nwp.nc")["2m_temperature"].mean("number").squeeze()
    obs = read_observations(real_data / "kd" / "magdeburg" / "obs.csv", units={"t2m": "degC"})[
        "2m_temperature"
    ].squeeze()
    error = nwp.values - obs.reindex(time=nwp["time"].values + np.timedelta64(24, "h")).values
    assert np.sqrt(np.nanmean(error**2)) == pytest.approx(1.60, abs=0.03)
