"""The forecast file: whole or not at all, and readable as a teacher."""

import numpy as np
import pytest
import xarray as xr

from sciml.pipelines.errors import DataError
from sciml.pipelines.kd.predict import write
from sciml.pipelines.readers.forecast import open_forecast


def forecast():
    time = np.datetime64("2020-01-01", "ns") + np.arange(3) * np.timedelta64(1, "D")
    lead = np.array([24, 48], "timedelta64[h]").astype("timedelta64[ns]")
    values = np.arange(12.0, dtype=np.float32).reshape(3, 2, 2) + 280
    return xr.Dataset(
        {"2m_temperature": (("time", "prediction_timedelta", "station"), values, {"units": "K"})},
        {"time": ("time", time, {"standard_name": "forecast_reference_time"}), "prediction_timedelta": lead, "station": np.array(["a", "b"], object)},
    )  # fmt: skip


def test_what_is_written_reads_back_as_a_forecast(tmp_path):
    write(forecast(), tmp_path / "new" / "f.nc")
    ds = open_forecast(tmp_path / "new" / "f.nc")
    np.testing.assert_array_equal(
        ds["2m_temperature"].transpose("time", "prediction_timedelta", "station"), forecast()["2m_temperature"]
    )
    assert list(ds.station.values) == ["a", "b"] and not list((tmp_path / "new").glob("*.tmp"))


def test_no_half_file(tmp_path):
    (tmp_path / "f.nc").mkdir()  # a folder is in the way
    (tmp_path / "f.nc" / "x").touch()
    with pytest.raises(DataError, match="cannot be written"):
        write(forecast(), tmp_path / "f.nc")
    assert not list(tmp_path.glob("*.tmp"))
