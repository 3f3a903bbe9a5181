"""Coordinates under house names."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from sciml.pipelines.readers import coordinates


def renamed(ds: xr.Dataset) -> tuple[xr.Dataset, list[str]]:
    notes: list[str] = []
    return coordinates.rename(ds, notes), notes


def test_two_spellings_of_one_variable():
    ds, notes = renamed(xr.Dataset({"t2m": ("time", [1.0]), "T2": ("time", [2.0])}))
    assert set(ds.data_vars) == {"2m_temperature", "T2"} and "'T2' keeps its name" in notes[0]
    assert ds["2m_temperature"].attrs["original_name"] == "t2m"


def test_issue_time_beside_time():
    """CF: `time` beside forecast_reference_time is the valid time."""
    ds = xr.Dataset(coords={"forecast_reference_time": np.datetime64("2020-01-01", "ns"), "time": ("time", [1, 2])})
    ds, _ = renamed(ds.assign(t2m=("time", [1.0, 2.0])))
    assert ds["time"].ndim == 0 and ds["valid_time"].dims == ("valid_time",)


def test_station_dimension_takes_its_label():
    ds = xr.Dataset({"t2m": ("site", [1.0, 2.0]), "wmo": ("site", [47108, 47112], {"cf_role": "timeseries_id"})})
    ds, _ = renamed(ds)
    assert ds["station"].values.tolist() == [47108, 47112] and ds["2m_temperature"].dims == ("station",)


def test_screen_height_is_no_altitude():
    ds, _ = renamed(xr.Dataset({"tas": ("lat", [1.0])}, {"height": 2.0, "lat": [1.0]}))
    assert "altitude" not in ds.variables
    ds, _ = renamed(xr.Dataset({"height": ("station", [86.0])}, {"station": ["a"]}))
    assert ds["altitude"].item() == 86.0


def test_bounds_are_dropped():
    ds = xr.Dataset(
        {"time_bnds": (("time", "bnds"), np.zeros((1, 2)))}, {"time": ("time", [0], {"bounds": "time_bnds"})}
    )
    assert "time_bnds" not in renamed(ds)[0].variables


def test_levels():
    level = xr.Dataset(coords={"level": ("level", [50000.0, 85000.0], {"units": "Pa"})})
    assert coordinates.levels_to_hpa(level, [])["level"].values.tolist() == [500.0, 850.0]
    notes: list[str] = []
    bare = xr.Dataset(coords={"level": ("level", [50000.0, 85000.0])})
    assert coordinates.levels_to_hpa(bare, notes)["level"].values.tolist() == [500.0, 850.0] and notes


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ([0.0, 90.0, 180.0, 270.0], [0.0, 90.0, 180.0, 270.0]),
        ([-180.0, -90.0, 0.0, 90.0], [180.0, 270.0, 0.0, 90.0]),
        ([126.0, 127.0, 128.0], [126.0, 127.0, 128.0]),
        ([-10.0, -5.0, 0.0, 5.0], [-10.0, -5.0, 0.0, 5.0]),
        ([350.0, 355.0, 0.0, 5.0], [-10.0, -5.0, 0.0, 5.0]),
        ([-100.0, -99.0], [260.0, 261.0]),
        ([360.0], [0.0]),
    ],
)
def test_longitude(given_, expected):
    assert coordinates.wrap_longitude(np.array(given_)).tolist() == expected


@given(st.integers(-180, 179), st.integers(1, 180))
def test_both_ranges_of_longitude_agree(start, count):
    """A regional grid is the same whether written on 0..360 or on -180..180, and ascends without a hole."""
    west_east = np.arange(start, start + count, dtype=float)
    wrapped = [coordinates.wrap_longitude(west_east % 360.0), coordinates.wrap_longitude((west_east + 180) % 360 - 180)]
    assert (wrapped[0] == wrapped[1]).all()
    if count < 80:
        assert (np.diff(wrapped[0]) == 1.0).all()


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_latitude_ascends(order):
    ds = xr.Dataset(
        {"z": (("latitude", "longitude"), np.arange(6.0).reshape(3, 2))},
        {"latitude": [1.0, 2, 3], "longitude": [0.0, 1]},
    )
    assert coordinates.sort_grid(ds.isel(latitude=order)).identical(coordinates.sort_grid(ds))


def test_text_is_decoded():
    ds = xr.Dataset({"name": ("station", np.array([b"Seoul  ", b"Busan\x00\x00"]))})
    assert coordinates.decode_text(ds)["name"].values.tolist() == ["Seoul", "Busan"]
