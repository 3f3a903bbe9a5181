"""Issue and lead times wherever a producer put them."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.readers.issue import issue_in_name, with_issue_and_lead

HOURS = (np.arange(4) * 3600 * 10**9).astype("timedelta64[ns]")
START = np.datetime64("2019-06-01T00", "ns")
PATH = Path("x.nc")


def laid_out(ds, lead_hours=None, path=PATH):
    notes: list[str] = []
    return with_issue_and_lead(ds, path, lead_hours, notes), notes


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gfs_4_20190601_0000_024.nc", "2019-06-01T00"),
        ("ldaps_2019060106.nc", "2019-06-01T06"),
        ("l015_v070_erlo_unis_h012.2019060112.nc", "2019-06-01T12"),
        ("gfs.20190601.t06z.nc", "2019-06-01T06"),
        ("wrfout_d01_2019-06-01_18:00:00", "2019-06-01T18"),
        ("era5_2019060100.nc", None),
        ("nwp.nc", None),
        ("gfs_20191301_00.nc", None),
    ],
)
def test_file_names(name, expected):
    assert issue_in_name(name) == (np.datetime64(expected, "ns") if expected else None)


def test_valid_time_only_is_refused():
    ds = xr.Dataset({"t": ("time", np.zeros(4))}, {"time": START + HOURS})
    with pytest.raises(DataError, match="valid times only") as caught:
        laid_out(ds)
    assert "--lead" in caught.value.hint and "analysis" in caught.value.hint


def test_valid_time_with_a_lead():
    ds, notes = laid_out(xr.Dataset({"t": ("time", np.zeros(4))}, {"time": START + HOURS}), lead_hours=24)
    assert (
        ds["time"].values[0] == START - np.timedelta64(24, "h")
        and ds["t"].dims == ("time", "prediction_timedelta")
        or notes
    )
    assert ds["prediction_timedelta"].values.tolist() == [24 * 3600 * 10**9] and "valid time" in notes[0]


def test_issue_time_with_a_lead():
    attrs = {"standard_name": "forecast_reference_time"}
    ds = xr.Dataset({"t": ("time", np.zeros(4))}, {"time": ("time", START + HOURS, attrs)})
    with pytest.raises(DataError, match="no lead time"):
        laid_out(ds)
    assert laid_out(ds, lead_hours=24)[0]["time"].values[0] == START


def test_a_lead_that_is_stated_cannot_be_given():
    ds = xr.Dataset({"t": ("prediction_timedelta", np.zeros(4))}, {"time": START, "prediction_timedelta": HOURS})
    with pytest.raises(SettingsError, match="states its lead"):
        laid_out(ds, lead_hours=24)


def test_no_issue_time():
    with pytest.raises(DataError, match="no issue time"):
        laid_out(xr.Dataset({"t": ("prediction_timedelta", np.zeros(4))}, {"prediction_timedelta": HOURS}))


def test_issue_time_of_the_file_name():
    ds = xr.Dataset({"t": ("prediction_timedelta", np.zeros(4))}, {"prediction_timedelta": HOURS})
    ds, notes = laid_out(ds, path=Path("gfs_2019060100.nc"))
    assert ds["time"].values.tolist() == [START.astype(int)] and "file name" in notes[0]


def test_ncl_attributes():
    attrs = {
        "initial_time": "06/01/2019 (00:00)",
        "forecast_time": np.array([12], np.int32),
        "forecast_time_units": "hours",
    }
    ds, _ = laid_out(xr.Dataset({"t": ("latitude", np.zeros(3), attrs)}))
    assert ds["time"].values[0] == START and ds["prediction_timedelta"].values[0] == np.timedelta64(12, "h")


def test_records_become_a_table():
    """Reference and lead along one dimension, one field each (CF, Met Office)."""
    issue = np.repeat(START + np.array([0, 12]).astype("timedelta64[h]"), 2)
    lead = np.tile(np.array([6, 12]).astype("timedelta64[h]"), 2).astype("timedelta64[ns]")
    coords = {"time": ("record", issue), "prediction_timedelta": ("record", lead)}
    ds, _ = laid_out(xr.Dataset({"t": ("record", [0.0, 1.0, 2.0, 3.0])}, coords))
    assert ds["t"].transpose("time", "prediction_timedelta").values.tolist() == [[0.0, 1.0], [2.0, 3.0]]
    with pytest.raises(DataError, match="occurs twice"):
        laid_out(xr.Dataset({"t": ("record", np.zeros(4))}, coords | {"time": ("record", np.repeat(START, 4))}))


def test_table_of_valid_times():
    valid = (START + np.array([0, 12]).astype("timedelta64[h]"))[:, None] + HOURS[None, :]
    ds = xr.Dataset(
        {"t": (("time", "k"), np.zeros((2, 4)))}, {"time": valid[:, 0], "valid_time": (("time", "k"), valid)}
    )
    assert (laid_out(ds)[0]["prediction_timedelta"].values == HOURS).all()


def test_one_run_by_valid_time():
    ds = xr.Dataset({"t": ("valid_time", np.arange(4.0))}, {"time": START, "valid_time": START + HOURS})
    assert (laid_out(ds)[0]["prediction_timedelta"].values == HOURS).all()
