"""NetCDF-4, NetCDF-3 and Zarr, sound and damaged."""

import h5py
import numpy as np
import pytest
import xarray as xr

from sciml.pipelines.errors import DataError
from sciml.pipelines.readers import netcdf


@pytest.fixture
def field():
    """Two days of 2 m temperature [degC] as packed integers would come out."""
    values = np.linspace(-5.0, 25.0, 48)
    return xr.Dataset(
        {"t2m": ("time", values, {"units": "degC"})},
        {"time": ("time", np.arange(48), {"units": "hours since 2020-01-01 00:00:00 +09:00"})},
    )


def saved(ds: xr.Dataset, tmp_path, engine="h5netcdf", **options):
    path = tmp_path / "x.nc"
    ds.to_netcdf(path, engine=engine, **options)
    return path


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
def test_house_names_units_and_utc(field, tmp_path, engine):
    ds = netcdf.open_dataset(saved(field, tmp_path, engine))
    variable = ds["2m_temperature"]
    assert variable.attrs["original_name"] == "t2m" and variable.attrs["original_units"] == "degC"
    assert variable.attrs["units"] == "K" and np.allclose(variable, field["t2m"] + 273.15)
    assert ds["time"].values[0] == np.datetime64("2019-12-31T15:00") and ds.attrs["sciml_notes"] == []


def test_zarr(field, tmp_path):
    pytest.importorskip("zarr")
    field.to_zarr(tmp_path / "x.zarr")
    assert netcdf.open_dataset(tmp_path / "x.zarr")["2m_temperature"].attrs["units"] == "K"


def test_zarr_without_zarr(field, tmp_path, monkeypatch):
    pytest.importorskip("zarr")
    field.to_zarr(tmp_path / "x.zarr")
    monkeypatch.setattr(netcdf.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError) as caught:
        netcdf.open_dataset(tmp_path / "x.zarr")
    assert "sciml[zarr]" in caught.value.hint


def test_units_can_stay(field, tmp_path):
    assert netcdf.open_dataset(saved(field, tmp_path), convert_units=False)["2m_temperature"].attrs["units"] == "degC"


def test_packed_integers(field, tmp_path):
    encoding = {"t2m": {"dtype": "int16", "scale_factor": 0.01, "add_offset": 10.0, "_FillValue": -32767}}
    field["t2m"][3] = np.nan
    ds = netcdf.open_dataset(saved(field, tmp_path, encoding=encoding))
    assert np.isnan(ds["2m_temperature"][3]) and abs(float(ds["2m_temperature"][0]) - 268.15) < 0.01


@pytest.mark.parametrize("fill", [1e20, 9.999e20, 9.96921e36, np.inf, -9999.0, -999.0])
def test_undeclared_fill(field, tmp_path, fill):
    field["t2m"][5] = fill
    ds = netcdf.open_dataset(saved(field, tmp_path, encoding={"t2m": {"_FillValue": None}}))
    assert int(np.isnan(ds["2m_temperature"]).sum()) == 1 and "missing" in ds.attrs["sciml_notes"][0]


def test_mean_flux_keeps_its_unit(tmp_path):
    ds = netcdf.open_dataset(saved(xr.Dataset({"ssrd": ("time", [1.0], {"units": "W/m2"})}), tmp_path))
    assert ds["surface_solar_radiation_downwards"].attrs["units"] == "W m-2"


def test_unknown_units_stay(tmp_path):
    ds = netcdf.open_dataset(saved(xr.Dataset({"t2m": ("time", [1.0], {"units": "furlong"})}), tmp_path))
    assert ds["2m_temperature"].attrs["units"] == "furlong" and float(ds["2m_temperature"][0]) == 1.0


def test_model_calendar(tmp_path):
    raw = xr.Dataset(coords={"time": ("time", [0, 1], {"units": "days since 2020-01-01", "calendar": "360_day"})})
    with pytest.raises(DataError, match="360_day"):
        netcdf.open_dataset(saved(raw.assign(t2m=("time", [1.0, 2.0])), tmp_path))


def test_numbers_that_are_no_times(tmp_path):
    raw = xr.Dataset({"t2m": ("time", [1.0, 2.0])}, {"time": [0, 1]})
    with pytest.raises(DataError, match="not times"):
        netcdf.open_dataset(saved(raw, tmp_path))


def test_groups_are_named(tmp_path):
    with h5py.File(tmp_path / "x.nc", "w") as file:
        file.create_dataset("forecast/t2m", data=[1.0])
    with pytest.raises(DataError, match="no variables") as caught:
        netcdf.open_dataset(tmp_path / "x.nc")
    assert "forecast" in caught.value.hint


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.95])
def test_truncated(field, tmp_path, engine, share):
    path = saved(field, tmp_path, engine)
    content = path.read_bytes()
    path.write_bytes(content[: max(16, int(share * len(content)))])
    with pytest.raises(DataError, match=r"x\.nc"):
        netcdf.open_dataset(path)


def test_damaged_chunk_names_the_variable(tmp_path):
    noise = np.random.default_rng(0).normal(size=20000)
    path = saved(xr.Dataset({"t2m": ("time", noise)}), tmp_path, encoding={"t2m": {"zlib": True}})
    content = bytearray(path.read_bytes())
    start = content.rfind(b"\x78", 0, len(content) // 2)
    content[start + 2000 : start + 4000] = b"\xff" * 2000
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        netcdf.open_dataset(path)


@pytest.mark.parametrize(
    ("content", "words"), [(b"<html></html>", "HTML"), (b"GRIB\0\0", "GRIB"), (b"a,b\n1,2\n", "text file")]
)
def test_other_formats(write, content, words):
    with pytest.raises(DataError, match=words):
        netcdf.open_dataset(write("x.nc", content))


def test_large_files_stay_on_disk(field, tmp_path, monkeypatch):
    monkeypatch.setattr(netcdf, "LOAD_BELOW", 10)
    ds = netcdf.open_dataset(saved(field, tmp_path))
    assert "lazily" in ds.attrs["sciml_notes"][-1] and float(ds["2m_temperature"][0]) == -5.0


def test_gridded_analysis(real_data):
    ds = netcdf.open_dataset(real_data / "gcm" / "era5_tl31_19590102T00.nc")
    assert ds["level"].attrs["units"] == "hPa" and ds.sizes["level"] == 37 and ds["temperature"].attrs["units"] == "K"
    assert (np.diff(ds["latitude"]) > 0).all() and ds["time"].values == np.datetime64("1959-01-02")
