"""Every producer's layout holds the same numbers."""

import numpy as np
import pytest
import xarray as xr

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.readers.forecast import open_forecast
from sciml.pipelines.readers.layouts import LAYOUTS, forecast_like, observations_like


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_mean_the_same(layout, tmp_path):
    if layout == "zarr":
        pytest.importorskip("zarr")
    expected = forecast_like(tmp_path / "nwp.nc", layout=layout)
    found = open_forecast(tmp_path / "nwp.nc")
    variable = found["2m_temperature"]
    wanted = expected["2m_temperature"].transpose(
        *[
            d
            for d in ("time", "prediction_timedelta", "number", "station", "latitude", "longitude")
            if d in expected.dims
        ]
    )
    assert variable.dims[:2] == ("time", "prediction_timedelta") and variable.shape == wanted.shape
    assert np.allclose(variable.values, wanted.values, atol=1e-3) and variable.attrs["units"] == "K"
    assert (found["time"].values == expected["time"].values).all() and found["time"].dtype == "datetime64[ns]"
    assert (found["prediction_timedelta"].values == expected["prediction_timedelta"].values).all()
    for name in ("latitude", "longitude", "station"):
        if name in expected.coords and layout != "wrf":
            assert (found[name].values == expected[name].values).all(), name


def test_wrf_extras(tmp_path):
    forecast_like(tmp_path / "wrfout.nc", layout="wrf")
    found = open_forecast(tmp_path / "wrfout.nc")
    rain = found["total_precipitation"]
    assert rain.attrs["units"] == "m" and np.allclose(rain[0, :, 0, 0], [0.001, 0.002, 0.003])
    assert (
        found["latitude"].dims == ("y", "x")
        and "U" not in found
        and any("staggered" in n for n in found.attrs["sciml_notes"])
    )


def test_unknown_layout(tmp_path):
    with pytest.raises(SettingsError, match="wrff") as caught:
        forecast_like(tmp_path / "x.nc", layout="wrff")
    assert '"wrf"' in caught.value.hint


def test_observations(tmp_path):
    expected = observations_like(tmp_path / "obs.nc")
    assert isinstance(expected, xr.Dataset) and expected["2m_temperature"].dims == ("time", "station")
