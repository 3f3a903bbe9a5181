"""One small forecast written the way each producer writes it, for tests and for trying a reader.

Truth: 3 issue times 12 h apart, leads 6, 12, 18 h (except where a layout can hold one run only: the first), 2 m
temperature [K] equal to 280 + 0.1 * hours after the first issue + place. The same numbers come back from every layout.
"""

from pathlib import Path

import numpy as np
import xarray as xr

from sciml.pipelines.errors import SettingsError, suggest

START = np.datetime64("2019-06-01T00", "ns")
LEADS = np.array([6, 12, 18])
LATITUDE, LONGITUDE = np.array([35.0, 36.0, 37.0]), np.array([126.0, 127.0, 128.0, 129.0])


def truth(*, grid: bool, runs: int = 3, members: int = 0) -> xr.Dataset:
    """The canonical content: dims (time, prediction_timedelta[, number], station) or (..., latitude, longitude)."""
    issues = np.arange(runs) * 12
    hours = issues[:, None] + LEADS[None, :] + 0.5 * issues[:, None] / 12
    places = {"latitude": LATITUDE, "longitude": LONGITUDE} if grid else {"station": np.array(["1", "2"])}
    shape = tuple(len(values) for values in places.values())
    field = 280.0 + 0.1 * hours.reshape(hours.shape + (1,) * len(shape)) + np.arange(np.prod(shape)).reshape(shape)
    dims = ["time", "prediction_timedelta", *places]
    coords = {"time": START + issues.astype("timedelta64[h]"), "prediction_timedelta": _spans(LEADS), **places}
    if members:
        field = np.stack([field + 0.01 * k for k in range(members)], axis=2)
        dims.insert(2, "number")
        coords["number"] = np.arange(members)
    return xr.Dataset({"2m_temperature": (dims, field.astype(np.float32), {"units": "K"})}, coords)


def _spans(hours: np.ndarray) -> np.ndarray:
    return (np.asarray(hours) * 3600).astype("timedelta64[s]").astype("timedelta64[ns]")


def forecast_like(path: str | Path, *, layout: str = "sciml") -> xr.Dataset:
    """Write `truth` to `path` in a producer's layout; returns what a reader should give back.

    Args:
        path: NetCDF file (a folder for the Zarr layout).
        layout: one of `LAYOUTS`.

    Raises:
        SettingsError: unknown layout.
    """
    if layout not in LAYOUTS:
        raise SettingsError(f"unknown forecast layout {layout!r}", hint=suggest(layout, LAYOUTS))
    return LAYOUTS[layout](Path(path))


def observations_like(path: str | Path) -> xr.Dataset:
    """Write a NetCDF file of observations at the valid times of `truth`, (time, station) [degC]; returns it in K."""
    times = START + (np.arange(0, 48, 6) * 3600).astype("timedelta64[s]")
    kelvin = 281.0 + 0.1 * np.arange(times.size)[:, None] + np.arange(2)[None, :]
    coords = {"time": times, "station": np.array([1, 2])}
    raw = xr.Dataset({"t2m": (("time", "station"), kelvin - 273.15, {"units": "degC"})}, coords)
    raw.to_netcdf(path, engine="h5netcdf")
    return xr.Dataset(
        {"2m_temperature": (("time", "station"), kelvin, {"units": "K"})}, {"time": times, "station": ["1", "2"]}
    )


def _write(ds: xr.Dataset, path: Path, *, engine: str = "h5netcdf", lead: str | None = None) -> None:
    encoding = {lead: {"units": "hours", "dtype": "int32"}} if lead else {}
    if lead and engine == "scipy":
        ds[lead].attrs.pop("dtype", None)
    ds.to_netcdf(path, engine=engine, encoding=encoding)


def _sciml(path: Path) -> xr.Dataset:
    ds = truth(grid=False)
    _write(ds, path, lead="prediction_timedelta")
    return ds


def _zarr(path: Path) -> xr.Dataset:
    ds = truth(grid=False)
    ds.to_zarr(path, mode="w")
    return ds


def _cfgrib(path: Path, runs: int = 3) -> xr.Dataset:
    """time, step, valid_time, latitude north to south, a scalar height, member dimension."""
    ds = truth(grid=True, runs=runs, members=2)
    raw = ds.rename({"2m_temperature": "t2m", "prediction_timedelta": "step"}).isel(latitude=slice(None, None, -1))
    raw["t2m"].attrs |= {"GRIB_shortName": "2t", "long_name": "2 metre temperature"}
    raw = raw.isel(time=0) if runs == 1 else raw
    raw = raw.assign_coords(valid_time=raw["time"] + raw["step"], heightAboveGround=2.0)
    raw["latitude"].attrs["units"], raw["longitude"].attrs["units"] = "degrees_north", "degrees_east"
    _write(raw, path, lead="step")
    return ds


def _cfgrib_one_run(path: Path) -> xr.Dataset:
    return _cfgrib(path, runs=1)


def _cds(path: Path) -> xr.Dataset:
    """New Climate Data Store: forecast_reference_time, forecast_period in hours, expver, longitude below zero."""
    ds = truth(grid=True)
    raw = ds.rename(
        {"2m_temperature": "t2m", "prediction_timedelta": "forecast_period", "time": "forecast_reference_time"}
    )
    raw = raw.assign_coords(forecast_period=("forecast_period", LEADS.astype(float), {"units": "hours"}))
    valid = ds["time"].values[:, None] + ds["prediction_timedelta"].values[None, :]
    raw = raw.assign_coords(valid_time=(("forecast_reference_time", "forecast_period"), valid))
    raw = raw.assign_coords(expver="0001", longitude=raw["longitude"] - 360.0)
    _write(raw.isel(latitude=slice(None, None, -1)), path)
    return ds


def _weatherbench(path: Path) -> xr.Dataset:
    """WeatherBench2: long names, (time, prediction_timedelta, longitude, latitude)."""
    ds = truth(grid=True)
    _write(ds.transpose("time", "prediction_timedelta", "longitude", "latitude"), path, lead="prediction_timedelta")
    return ds


def _climpred(path: Path) -> xr.Dataset:
    """init, lead as plain numbers with the unit in attributes, member."""
    ds = truth(grid=False, members=2)
    raw = ds.rename({"time": "init", "prediction_timedelta": "lead", "number": "member", "2m_temperature": "tas"})
    _write(raw.assign_coords(lead=("lead", LEADS, {"units": "hours"})), path)
    return ds


def _verif(path: Path) -> xr.Dataset:
    """Verif: seconds since 1970 and hours, both without units; fcst beside obs; the unit is a global attribute."""
    ds = truth(grid=False)
    celsius = ds["2m_temperature"].values.astype(np.float64) - 273.15
    raw = xr.Dataset(
        {"fcst": (("time", "leadtime", "location"), celsius), "obs": (("time", "leadtime", "location"), celsius + 0.5)}
    )
    seconds = ds["time"].values.astype("datetime64[s]").astype(np.int64)
    raw = raw.assign_coords(time=seconds, leadtime=LEADS.astype(np.float32), location=np.array([1, 2]))
    raw = raw.assign_attrs(standard_name="air_temperature", units="^oC", long_name="Temperature")
    _write(raw, path, engine="scipy")
    return ds


def _stations_cf(path: Path) -> xr.Dataset:
    """CF discrete sampling geometry: dimension `site`, text identifiers with cf_role, reftime and lead in seconds."""
    ds = truth(grid=False)
    raw = ds.rename(
        {"station": "site", "time": "reftime", "prediction_timedelta": "lead_time", "2m_temperature": "air"}
    )
    raw["air"].attrs |= {"standard_name": "air_temperature", "GRIB_shortName": "2t"}
    raw = raw.drop_vars("site").assign(station_id=("site", np.array(["1", "2"]), {"cf_role": "timeseries_id"}))
    raw = raw.assign(
        lat=("site", [37.5, 37.6], {"units": "degrees_north"}), lon=("site", [127.0, 127.1], {"units": "degrees_east"})
    )
    raw = raw.assign_coords(lead_time=("lead_time", LEADS * 3600, {"units": "s", "standard_name": "forecast_period"}))
    _write(raw.assign_attrs(featureType="timeSeries"), path)
    return ds.assign_coords(latitude=("station", [37.5, 37.6]), longitude=("station", [127.0, 127.1]))


def _wgrib2(path: Path) -> xr.Dataset:
    """wgrib2 -netcdf: valid times with the issue time as an attribute, TMP_2maboveground, undeclared names, one run."""
    ds = truth(grid=True, runs=1)
    valid = (ds["time"].values[0] + ds["prediction_timedelta"].values).astype("datetime64[s]").astype(np.int64)
    attrs = {"units": "seconds since 1970-01-01 00:00:00.0 0:00", "reference_date": "2019.06.01 00:00:00 UTC"}
    field = ds["2m_temperature"].values[0]
    raw = xr.Dataset(
        {
            "TMP_2maboveground": (
                ("time", "latitude", "longitude"),
                field,
                {"units": "K", "short_name": "TMP_2maboveground"},
            )
        }
    )
    raw = raw.assign_coords(time=("time", valid.astype(float), attrs), latitude=LATITUDE, longitude=LONGITUDE)
    _write(raw, path, engine="scipy")
    return ds


def _wrf(path: Path) -> xr.Dataset:
    """wrfout: Times as characters, XLAT and XLONG per time, T2, RAINC and RAINNC, staggered U; NetCDF-3, one run."""
    ds = truth(grid=True, runs=1)
    valid = (ds["time"].values[0] + ds["prediction_timedelta"].values).astype("datetime64[s]")
    dims = ("Time", "south_north", "west_east")
    lon, lat = np.meshgrid(LONGITUDE, LATITUDE)
    stack = {"XLAT": np.stack([lat] * 3), "XLONG": np.stack([lon] * 3), "T2": ds["2m_temperature"].values[0]}
    stack |= {"RAINC": np.ones((3, 3, 4)) * np.arange(3)[:, None, None], "RAINNC": np.ones((3, 3, 4))}
    units = {"T2": "K", "XLAT": "degree_north", "XLONG": "degree_east", "RAINC": "mm", "RAINNC": "mm"}
    raw = xr.Dataset({name: (dims, v.astype(np.float32), {"units": units[name]}) for name, v in stack.items()})
    raw["Times"] = ("Time", np.array([str(t).replace("T", "_") for t in valid], dtype="S19"))
    raw["U"] = (("Time", "south_north", "west_east_stag"), np.zeros((3, 3, 5), np.float32))
    raw.attrs = {"TITLE": "OUTPUT FROM WRF V4", "SIMULATION_START_DATE": "2019-06-01_00:00:00"}
    _write(raw, path, engine="scipy")
    return ds


LAYOUTS = {
    "sciml": _sciml,
    "zarr": _zarr,
    "cfgrib": _cfgrib,
    "cfgrib_one_run": _cfgrib_one_run,
    "cds": _cds,
    "weatherbench": _weatherbench,
    "climpred": _climpred,
    "verif": _verif,
    "stations_cf": _stations_cf,
    "wgrib2": _wgrib2,
    "wrf": _wrf,
}
