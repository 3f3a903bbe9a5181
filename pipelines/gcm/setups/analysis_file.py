"""A file of global fields on pressure levels (ERA5, WeatherBench2, GFS ...), read under house names and checked.

Whoever starts a model from an analysis reads it here: one time of it, its levels, its columns, and the map from its grid
to the model's. What is missing or impossible is named with its value and place. Axes: i longitude, j latitude, k level.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import xarray as xr

from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.gcm.dynamics.state import CLOUD_ICE, CLOUD_LIQUID, SPECIFIC_HUMIDITY
from sciml.pipelines.gcm.scales import EARTH
from sciml.pipelines.gcm.setups.horizontal import Regridder, regridder
from sciml.pipelines.progress import Progress
from sciml.pipelines.readers import units
from sciml.pipelines.readers.netcdf import open_dataset

SURFACE = "geopotential_at_surface"
GEOPOTENTIAL_METRE = 9.80665  # m2 s-2, by definition (WMO)
_SAME_UNIT = {("J kg-1", "m2 s-2")}  # other names of a unit
_HYDROSTATIC = 0.25  # relative error of the thickness of the whole column that is still an atmosphere
# What a variable can be on Earth between 1 and 1100 hPa, and what the value would be in the unit people forget.
PLAUSIBLE = {
    "temperature": (100.0, 400.0, "K", "degrees Celsius"),
    "geopotential": (-1e4, 7e5, "m2 s-2", "kilometres"),
    "u_component_of_wind": (-250.0, 250.0, "m s-1", "knots"),
    "v_component_of_wind": (-250.0, 250.0, "m s-1", "knots"),
    SPECIFIC_HUMIDITY: (-0.01, 0.06, "kg kg-1", "g kg-1"),
    CLOUD_ICE: (-0.01, 0.06, "kg kg-1", "g kg-1"),
    CLOUD_LIQUID: (-0.01, 0.06, "kg kg-1", "g kg-1"),
    SURFACE: (-1.5e4, 9e4, "m2 s-2", "metres"),
}


# --- one time


def one_time(
    ds: xr.Dataset, path: Path, start: str | None, progress: Progress
) -> tuple[xr.Dataset, np.datetime64 | None]:
    """The data set at one valid time, and that time."""
    if "prediction_timedelta" in ds.dims:
        progress.note(f"{path}: the shortest of {ds.sizes['prediction_timedelta']} leads is taken")
        ds = ds.isel(prediction_timedelta=0)
    if "number" in ds.dims:
        progress.note(f"{path}: the first of {ds.sizes['number']} members is taken")
        ds = ds.isel(number=0)
    if "time" in ds.coords:
        index = _index_of(np.atleast_1d(ds["time"].values), path, start)
        ds = ds.isel(time=index) if "time" in ds.dims else ds
        progress.note(f"{path}: starting at {_minutes(ds['time'].values)}")
    elif "time" in ds.dims:
        ds = ds.isel(time=0)
    ds = with_geopotential(ds)
    if "time" not in ds.coords:
        return ds, None
    time = ds["time"].values.astype("datetime64[s]")
    if "prediction_timedelta" in ds.coords:
        time = time + ds["prediction_timedelta"].values.astype("timedelta64[s]")
    return ds, time


def _index_of(times: np.ndarray, path: Path, start: str | None) -> int:
    if start is None:
        return 0
    wanted = datetime.fromisoformat(start)
    if wanted.tzinfo is not None:
        wanted = wanted.astimezone(UTC).replace(tzinfo=None)
    away = np.abs(times - np.datetime64(wanted, "ns"))
    nearest = int(away.argmin())
    if away[nearest] == np.timedelta64(0, "ns"):
        return nearest
    what = f"{len(times)} times from {_minutes(times[0])} to {_minutes(times[-1])}"
    raise SettingsError(
        f"--start {start}: {path} holds {what if len(times) > 1 else f'the time {_minutes(times[0])}'}",
        hint=f"the nearest is --start {_minutes(times[nearest])}",
    )


def _minutes(time: np.datetime64) -> str:
    return str(np.datetime_as_string(time, unit="m"))


# --- variables


def opened(path: Path) -> xr.Dataset:
    """The file under house names, with one axis for the time, `time`; beyond 2 GB it stays on disk."""
    ds = open_dataset(path)
    if "time" not in ds.variables and "valid_time" in ds.variables:
        ds = ds.rename(valid_time="time")  # as the Climate Data Store has it since 2024
    if "longitude" in ds.dims and "longitude" in ds.coords:
        ds = ds.drop_duplicates("longitude")  # the meridian that closes the circle for plotting
    return ds


def with_geopotential(ds: xr.Dataset) -> xr.Dataset:
    """`ds` with geopotential [m2 s-2] where it has heights, as GFS files do. Reads what it converts: one time only."""
    for height, name in (("geopotential_height", "geopotential"), ("altitude", SURFACE)):
        if name not in ds and height in ds.variables:
            ds = ds.assign({name: ds[height].reset_coords(drop=True) * GEOPOTENTIAL_METRE})
            ds[name].attrs["units"] = "m2 s-2"
    for name in ("geopotential", SURFACE):
        if name in ds and ds[name].attrs.get("units") == "m":
            ds[name] = (ds[name] * GEOPOTENTIAL_METRE).assign_attrs(units="m2 s-2")
    return ds


def check_order(ds: xr.Dataset, path: Path) -> None:
    """Refuse a grid whose points were in no order: a sign that values and coordinates have been mixed up."""
    for name in ("latitude", "longitude"):
        jumps = ds[name].attrs.get("unsorted") if name in ds.coords else None
        if jumps:
            raise DataError(
                f"{path}: {name} is unsorted: ... {jumps} ...",
                hint=f"if values and coordinates still belong together, write it anew with ds.sortby('{name}')",
            )


def pressures(ds: xr.Dataset, path: Path) -> np.ndarray:
    """Pressure levels [k] hPa, ascending like the rows of `columns`."""
    if "level" not in ds.coords or "level" not in ds["temperature"].dims:
        raise DataError(
            f"{path}: temperature has dimensions {', '.join(map(str, ds['temperature'].dims))} and no pressure level",
            hint="an analysis on pressure levels is needed, with a coordinate level in hPa",
        )
    pressure = np.sort(np.asarray(ds["level"].values, dtype=np.float64))
    if len(pressure) < 3 or len(np.unique(pressure)) < len(pressure):
        raise DataError(
            f"{path}: pressure levels {pressure.tolist()} hPa; at least three different ones are needed",
            hint="the 13 levels of WeatherBench2 or more serve best",
        )
    if not (pressure[0] > 0 and 500 <= pressure[-1] <= 1200):
        raise DataError(
            f"{path}: levels from {pressure[0]:g} to {pressure[-1]:g} are no pressures in hPa down to the ground",
            hint="give the coordinate level the units hPa or Pa; model levels are not read",
        )
    return pressure


def columns(
    ds: xr.Dataset, name: str, path: Path, dims: Sequence[str] = ("longitude", "latitude", "level")
) -> np.ndarray:
    """Values [i, j, k] float64 from the top down, checked."""
    values = ds[name]
    extra = [dim for dim in values.dims if dim not in dims]
    if any(values.sizes[dim] > 1 for dim in extra) or any(dim not in values.dims for dim in dims):
        raise DataError(
            f"{path}: {name} has dimensions {dict(values.sizes)}", hint=f"expected {', '.join(dims)} and at most time"
        )
    values = values.squeeze(extra, drop=True).transpose(*dims)
    if "level" in dims:
        values = values.sortby("level")
    data = in_house_units(values.values.astype(np.float64), ds[name], units.house_units(name), path)
    _check_known(data, name, path, values)
    low, high, unit, instead = PLAUSIBLE[name]
    least, most = float(data.min()), float(data.max())
    if least < low or most > high or (name == "geopotential" and most < 5e4):
        stated = ds[name].attrs.get("units") or "none stated"
        raise DataError(
            f"{path}: {name} runs from {least:.4g} to {most:.4g}, which cannot be {unit} (units of the file: {stated})",
            hint=f"is it in {instead}? correct the values or the attribute units",
        )
    return data


def in_house_units(data: np.ndarray, variable: xr.DataArray, house: str | None, path: Path) -> np.ndarray:
    """`data` of `variable` in the unit `house`: files beyond 2 GB are opened in their own.

    DataError where the file states the unit of another quantity. Without a unit, or one we do not know, as it is.
    """
    words = str(variable.attrs.get("units", ""))
    stated = units.canonical(words)
    if stated is None or not house or stated == house or (stated, house) in _SAME_UNIT:
        return data
    if not units.compatible(stated, house):
        raise DataError(
            f"{path}: {variable.name} is said to be in {words}, and {house} is needed",
            hint="correct the attribute units, or take the right variable",
        )
    return units.convert(data, stated, house)


def check_hydrostatic(geopotential: np.ndarray, temperature: np.ndarray, pressure: np.ndarray, path: Path) -> None:
    """DataError unless both mean profiles [k] at `pressure` [k] belong together: dz = -R T d(ln p).

    What is left apart is moisture (1 %) and the curve of T between levels; heights taken for geopotential are 90 % off.
    """
    rise = float(geopotential[0] - geopotential[-1])
    expected = EARTH.gas_constant * float(np.trapezoid(temperature, np.log(pressure)))
    if not abs(rise / expected - 1) <= _HYDROSTATIC:
        raise DataError(
            f"{path}: geopotential rises by {rise:.4g} m2 s-2 from {pressure[-1]:g} to {pressure[0]:g} hPa, and the "
            f"temperature between would make it {expected:.4g}",
            hint="is it height in m, or do the levels have each other's names? correct the values or the attribute units",
        )


def _check_known(data: np.ndarray, name: str, path: Path, values: xr.DataArray) -> None:
    unknown = ~np.isfinite(data)
    if not unknown.any():
        return
    index = np.argwhere(unknown)[-1]
    place = ", ".join(f"{dim} {float(values[dim][i]):g}" for dim, i in zip(values.dims, index, strict=True))
    raise DataError(
        f"{path}: {name} has {unknown.sum():,} of {data.size:,} values missing, e.g. at {place}",
        hint="analyses go on below the ground with extrapolated values; fill the missing ones so, or take ERA5 as published",
    )


# --- grid


def grid_map(ds: xr.Dataset, plan: Plan, path: Path, method: str) -> Regridder:
    """The map from the grid of `ds`, checked to be global, to that of `plan`."""
    for name in ("longitude", "latitude"):
        if name not in ds.coords or ds[name].dims != (name,):
            raise DataError(f"{path}: no coordinate {name} of one dimension", hint="a regular global grid is needed")
    lon, lat = ds["longitude"].values.astype(np.float64), ds["latitude"].values.astype(np.float64)
    gaps = np.diff(np.concatenate([lon, lon[:1] + 360.0]))
    if len(lon) < 4 or gaps.max() > 1.5 * np.median(gaps):
        raise DataError(
            f"{path}: longitudes from {lon[0]:g} to {lon[-1]:g} with a gap of {gaps.max():g} degrees do not go around",
            hint="a global analysis is needed",
        )
    step = np.median(np.diff(lat)) if len(lat) > 3 else 90.0
    if len(lat) < 4 or lat[0] > -90 + 1.5 * step or lat[-1] < 90 - 1.5 * step:
        raise DataError(
            f"{path}: latitudes from {lat[0]:g} to {lat[-1]:g} do not reach the poles",
            hint="a global analysis is needed",
        )
    try:
        return regridder((lon, lat), (plan.longitude, plan.latitude), method)
    except ValueError as error:
        raise DataError(f"{path}: {error}", hint="sort the grid, and drop doubled meridians") from None
