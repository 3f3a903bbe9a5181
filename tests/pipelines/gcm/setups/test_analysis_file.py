"""Reading one time of a file of global fields: also from files too large to be read whole."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.setups import analysis_file
from sciml.pipelines.progress import Progress
from sciml.pipelines.readers import netcdf


def a_file(path, **changes):
    """Two times of a uniform atmosphere; returns the path."""
    sizes = {"time": 2, "level": 3, "latitude": 6, "longitude": 12}
    dims, rng = tuple(sizes), np.random.default_rng(0)
    shape = tuple(sizes.values())
    ds = xr.Dataset(
        {
            "temperature": (dims, 10 + rng.normal(size=shape), {"units": "degC"}),
            "geopotential_height": (dims, np.broadcast_to(np.array([9000.0, 5500, 100])[:, None, None], shape), {"units": "m"}),
        },
        {
            "time": np.array(["2020-01-01", "2020-01-02"], "datetime64[ns]"), "level": [300, 500, 1000],
            "latitude": np.linspace(75, -75, 6), "longitude": np.arange(12) * 30.0,
        },
    )  # fmt: skip
    ds.rename(changes.get("rename", {})).to_netcdf(path, engine="h5netcdf")
    return Path(path)


def test_a_file_too_large_to_be_read_whole_gives_the_same(tmp_path, monkeypatch):
    path = a_file(tmp_path / "a.nc")
    found = []
    for limit in (netcdf.LOAD_BELOW, 1):
        monkeypatch.setattr(netcdf, "LOAD_BELOW", limit)
        ds, time = analysis_file.one_time(analysis_file.opened(path), path, "2020-01-02", Progress())
        found.append([analysis_file.columns(ds, name, path) for name in ("temperature", "geopotential")])
        assert time == np.datetime64("2020-01-02")
    for whole, lazy in zip(*found, strict=True):
        np.testing.assert_allclose(lazy, whole, rtol=1e-12)
    assert found[0][0].max() > 275 and found[0][1].max() > 8e4


def test_heights_become_geopotential_of_that_time_only(tmp_path):
    path = a_file(tmp_path / "a.nc")
    ds, _ = analysis_file.one_time(analysis_file.opened(path), path, None, Progress())
    np.testing.assert_allclose(ds.geopotential.isel(level=0), 9000 * analysis_file.GEOPOTENTIAL_METRE)
    assert ds.geopotential.attrs["units"] == "m2 s-2" and "time" not in ds.geopotential.dims


def test_valid_times_are_times(tmp_path):
    path = a_file(tmp_path / "a.nc", rename={"time": "valid_time"})
    ds, time = analysis_file.one_time(analysis_file.opened(path), path, None, Progress())
    assert time == np.datetime64("2020-01-01") and "time" in ds.coords


def test_a_grid_in_disorder_is_refused(tmp_path):
    path = a_file(tmp_path / "a.nc")
    with xr.open_dataset(path, engine="h5netcdf") as file:
        ds = file.load()
    ds.isel(longitude=[0, 5, 3, 1, 2, 4, 6, 7, 8, 9, 10, 11]).to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
    with pytest.raises(DataError, match="unsorted"):
        analysis_file.check_order(analysis_file.opened(tmp_path / "b.nc"), tmp_path / "b.nc")


def test_units_of_another_quantity_are_refused_and_unknown_ones_are_left():
    def said(unit):
        return xr.DataArray([1.0], dims="x", name="temperature", attrs={"units": unit})

    for unit, found in (("K", 1.0), ("degC", 274.15), ("", 1.0), ("furlongs", 1.0)):
        assert analysis_file.in_house_units(np.ones(1), said(unit), "K", Path("a.nc")) == pytest.approx(found)
    with pytest.raises(DataError, match="a.nc: temperature is said to be in Pa, and K is needed"):
        analysis_file.in_house_units(np.ones(1), said("Pa"), "K", Path("a.nc"))


def test_profiles_that_belong_together():
    pressure, temperature = np.array([10.0, 100, 500, 1000]), np.array([230.0, 210, 255, 285])
    between = 0.5 * (temperature[1:] + temperature[:-1]) * np.diff(np.log(pressure))
    geopotential = 287.0 * np.append(np.cumsum(between[::-1])[::-1], 0) + 800
    analysis_file.check_hydrostatic(geopotential, temperature, pressure, Path("a.nc"))
    for wrong in (geopotential / 9.8, geopotential[::-1], geopotential * np.nan):
        with pytest.raises(DataError, match="a.nc: geopotential rises by"):
            analysis_file.check_hydrostatic(wrong, temperature, pressure, Path("a.nc"))
