"""An analysis on pressure levels (ERA5, WeatherBench2, GFS ...) as the initial state on the model's grid and layers.

The file is read under house names and units, checked, regridded horizontally, and brought from pressure to sigma with
the surface pressure at which its geopotential meets the model's own surface: the spectral orography, not the file's, so
that the state is hydrostatically consistent from the first step. Axes: i longitude, j latitude, k level from the top.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import xarray as xr

from sciml.kernels.sphere import reference
from sciml.kernels.sphere.grids import latitudes
from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.gcm.dynamics.state import CLOUD_ICE, CLOUD_LIQUID, SPECIFIC_HUMIDITY
from sciml.pipelines.gcm.dynamics.vertical import SigmaLevels
from sciml.pipelines.gcm.setups import vertical_regrid
from sciml.pipelines.gcm.setups.case import Atmosphere
from sciml.pipelines.gcm.setups.horizontal import Regridder, regridder
from sciml.pipelines.gcm.setups.initial import coefficients
from sciml.pipelines.progress import Progress
from sciml.pipelines.readers.netcdf import open_dataset

NEEDED = ("u_component_of_wind", "v_component_of_wind", "temperature", "geopotential")
TRACERS = (SPECIFIC_HUMIDITY, CLOUD_ICE, CLOUD_LIQUID)
SURFACE = "geopotential_at_surface"
GEOPOTENTIAL_METRE = 9.80665  # m2 s-2, by definition (WMO)
REFERENCE_TEMPERATURE = 288.0  # K, isothermal as in the released NeuralGCM models: stable for any real profile
# Factor exp(-16 (l / l_max)^8) on the orography. Surface pressure carries its imprint, of which the filter of the time
# step takes the shortest waves away at every step, and mass with them: 0.5 % a day at T42 with the bare truncation,
# 0.0003 % with order 8 (order 16: 0.001 %, 24: 0.013 %).
SMOOTHING, SMOOTHING_ORDER = 16.0, 8
# What a variable can be on Earth between 1 and 1100 hPa, and what the value would be in the unit people forget.
_PLAUSIBLE = {
    "temperature": (100.0, 400.0, "K", "degrees Celsius"),
    "geopotential": (-1e4, 7e5, "m2 s-2", "kilometres"),
    "u_component_of_wind": (-250.0, 250.0, "m s-1", "knots"),
    "v_component_of_wind": (-250.0, 250.0, "m s-1", "knots"),
    SPECIFIC_HUMIDITY: (-0.01, 0.06, "kg kg-1", "g kg-1"),
    CLOUD_ICE: (-0.01, 0.06, "kg kg-1", "g kg-1"),
    CLOUD_LIQUID: (-0.01, 0.06, "kg kg-1", "g kg-1"),
    SURFACE: (-1.5e4, 9e4, "m2 s-2", "metres"),
}


@dataclass(frozen=True)
class Analysed(Atmosphere):
    """An initial state with the time it is valid at, and the land-sea mask [i, j, 1] where a file had one."""

    time: np.datetime64 | None = None
    land_sea_mask: np.ndarray | None = field(default=None)


def read_analysis(
    path: str | Path,
    plan: Plan,
    levels: SigmaLevels,
    *,
    surface: str | Path | None = None,
    start: str | None = None,
    method: str = "conservative",
    progress: Progress | None = None,
) -> Analysed:
    """The analysis in `path` on the grid of `plan` and the layers `levels`.

    `surface` is a file with geopotential_at_surface for an analysis without; `start` picks a time of several (the first
    otherwise); `method` is conservative or bilinear. DataError names file, variable and value; SettingsError the option.
    """
    path, progress = Path(path), progress or Progress()
    ds, time = _one_time(_opened(path), path, start, progress)
    _check_order(ds, path)
    missing = [name for name in NEEDED if name not in ds]
    if missing:
        raise DataError(
            f"{path}: no {', '.join(missing)}; the file holds {', '.join(sorted(map(str, ds.data_vars)))}",
            hint="an analysis on pressure levels with u, v, temperature and geopotential is needed",
        )
    pressure = _pressures(ds, path)
    to_model = _regridder(ds, plan, path, method)
    if method == "conservative" and ds.sizes["longitude"] < plan.truncation.nlon:
        grid = f"{ds.sizes['longitude']} x {ds.sizes['latitude']}"
        progress.note(
            f"{path}: coarser ({grid}) than the model's grid: --regrid bilinear leaves no steps between cells"
        )
    names = [*NEEDED, *(name for name in TRACERS if name in ds and "level" in ds[name].dims)]
    columns = {name: to_model(_columns(ds, name, path)) for name in names}
    ground, mask = _ground(ds, path, surface, plan, method, to_model)
    ps = 100.0 * vertical_regrid.surface_pressure(columns["geopotential"], pressure, ground, logarithmic=True)
    _check_surface_pressure(ps, path, plan)
    on_sigma = {
        name: vertical_regrid.pressure_to_sigma(columns[name], 100.0 * pressure, ps, levels.centers)
        for name in names
        if name != "geopotential"
    }
    u, v, temperature = (on_sigma.pop(name) for name in ("u_component_of_wind", "v_component_of_wind", "temperature"))
    return Analysed(
        title=f"{path.name}, {np.datetime_as_string(time, unit='h') if time is not None else 'no time'}",
        u=u,
        v=v,
        temperature=temperature,
        surface_pressure=ps,
        surface_geopotential=ground,
        reference_temperature=np.full(len(levels), REFERENCE_TEMPERATURE),
        tracers=on_sigma,
        time=time,
        land_sea_mask=mask,
    )


# --- one time


def _one_time(
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


def _opened(path: Path) -> xr.Dataset:
    """The file under house names: geopotential for heights, as in GFS files, and one axis for the time, `time`."""
    ds = open_dataset(path)
    if "time" not in ds.variables and "valid_time" in ds.variables:
        ds = ds.rename(valid_time="time")  # as the Climate Data Store has it since 2024
    for height, name in (("geopotential_height", "geopotential"), ("altitude", SURFACE)):
        if name not in ds and height in ds.variables:
            ds = ds.assign({name: ds[height].reset_coords(drop=True) * GEOPOTENTIAL_METRE})
            ds[name].attrs["units"] = "m2 s-2"
    for name in ("geopotential", SURFACE):
        if name in ds and ds[name].attrs.get("units") == "m":
            ds[name] = (ds[name] * GEOPOTENTIAL_METRE).assign_attrs(units="m2 s-2")
    if "longitude" in ds.dims and "longitude" in ds.coords:
        ds = ds.drop_duplicates("longitude")  # the meridian that closes the circle for plotting
    return ds


def _check_order(ds: xr.Dataset, path: Path) -> None:
    """Refuse a grid whose points were in no order: a sign that values and coordinates have been mixed up."""
    for name in ("latitude", "longitude"):
        jumps = ds[name].attrs.get("unsorted") if name in ds.coords else None
        if jumps:
            raise DataError(
                f"{path}: {name} is unsorted: ... {jumps} ...",
                hint=f"if values and coordinates still belong together, write it anew with ds.sortby('{name}')",
            )


def _pressures(ds: xr.Dataset, path: Path) -> np.ndarray:
    """Pressure levels [k] hPa, ascending like the rows of `_columns`."""
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


def _columns(
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
    data = values.values.astype(np.float64)
    _check_known(data, name, path, values)
    low, high, unit, instead = _PLAUSIBLE[name]
    least, most = float(data.min()), float(data.max())
    if least < low or most > high or (name == "geopotential" and most < 5e4):
        stated = ds[name].attrs.get("units") or "none stated"
        raise DataError(
            f"{path}: {name} runs from {least:.4g} to {most:.4g}, which cannot be {unit} (units of the file: {stated})",
            hint=f"is it in {instead}? correct the values or the attribute units",
        )
    return data


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


# --- grid and surface


def _regridder(ds: xr.Dataset, plan: Plan, path: Path, method: str) -> Regridder:
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


def _ground(
    ds: xr.Dataset, path: Path, surface: str | Path | None, plan: Plan, method: str, to_model: Regridder
) -> tuple[np.ndarray, np.ndarray | None]:
    """(surface geopotential [i, j, 1] m2 s-2 as the truncation carries it, land-sea mask or None)."""
    if surface is not None:
        path = Path(surface)
        ds = _opened(path)
        ds = ds.isel({dim: 0 for dim in ("time",) if dim in ds.dims})
        if SURFACE not in ds and "geopotential" in ds and "level" not in ds["geopotential"].dims:
            ds = ds.assign({SURFACE: ds["geopotential"]})
    if SURFACE not in ds:
        what = "no surface geopotential" if surface is None else f"no {SURFACE}"
        raise DataError(
            f"{path}: {what}; the file holds {', '.join(sorted(map(str, ds.data_vars)))}",
            hint="give a file that has it: --surface FILE (geopotential_at_surface [m2 s-2])",
        )
    if surface is not None:
        to_model = _regridder(ds, plan, path, method)
    flat = ("longitude", "latitude")
    height = _columns(ds, SURFACE, path, flat)
    _check_not_metres(height, ds[SURFACE].attrs.get("units", ""), path)
    height = to_model(height)[..., None]
    mask = None
    if "land_sea_mask" in ds:
        mask = to_model(ds["land_sea_mask"].squeeze(drop=True).transpose(*flat).values.astype(np.float64))[..., None]
    return _smoothed(plan, height), mask


def _check_not_metres(height: np.ndarray, units: str, path: Path) -> None:
    """The Himalaya are 5000 m or 50000 m2 s-2 high: without a unit, what lies between tells which it is."""
    if not units and 1e3 < height.max() < 1e4:
        raise DataError(
            f"{path}: {SURFACE} has no units and reaches {height.max():.4g}, which looks like metres",
            hint="say units m or m2 s-2 in the file, e.g. ncatted -a units,NAME,o,c,m FILE",
        )


def _smoothed(plan: Plan, height: np.ndarray) -> np.ndarray:
    """`height` [i, j, 1] as the truncation carries it, without the shortest waves."""
    t = plan.truncation
    keep = np.exp(-SMOOTHING * (np.arange(t.total) / (t.total - 1)) ** SMOOTHING_ORDER)
    smooth = coefficients(plan, height) * keep[:, None]
    return reference.synthesis(smooth, t.nlon, latitudes(plan.geometry.grid, t.nlat)[0])


def _check_surface_pressure(ps: np.ndarray, path: Path, plan: Plan) -> None:
    bad = ~((ps > 3e4) & (ps < 1.15e5))
    if bad.any():
        i, j, _ = np.argwhere(bad)[0]
        raise DataError(
            f"{path}: its geopotential meets the surface at {ps[i, j, 0] / 100:.4g} hPa at "
            f"{plan.longitude[i]:.4g} E, {plan.latitude[j]:.4g} N",
            hint="do geopotential and surface geopotential belong together, both in m2 s-2?",
        )
