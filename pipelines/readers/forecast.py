"""A forecast file in one layout: issue time x lead time x member x place, whatever model and converter it comes from.

Convention: dims (time, prediction_timedelta[, number][, level], station) or (..., latitude, longitude); map
projections keep (..., y, x) with two-dimensional latitude and longitude. `time` is the issue time (UTC), valid time =
time + prediction_timedelta.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from sciml.pipelines.errors import DataError

from . import names, netcdf, units
from .accumulation import accumulated, deaccumulate
from .issue import with_issue_and_lead

__all__ = ["accumulated", "deaccumulate", "open_forecast", "station_id"]

_ORDER = ("time", "prediction_timedelta", "number", "level", "station", "latitude", "longitude", "y", "x")
_STATIC = ("altitude", "land_sea_mask", "geopotential_at_surface")
# Verif keeps observations and probabilities beside the forecast: a teacher must not carry the answer.
_VERIF_EXTRA = ("obs", "cdf", "pit", "x", "crps", "threshold", "quantile")


def open_forecast(path: str | Path, *, lead_hours: float | None = None) -> xr.Dataset:
    """Open a forecast file of any supported layout.

    Args:
        path: NetCDF or Zarr of cfgrib, CDS (old and new), WeatherBench2, WRF, wgrib2, NCL, climpred, Verif, CF
            stations, or sciml.
        lead_hours: lead of every field, for a file with valid times only [h].

    Returns:
        Data set as in the module docstring: `time` datetime64[ns] sorted and unique, `prediction_timedelta`
            timedelta64[ns]
        ascending, `station` text; coords latitude, longitude, altitude where known; house names and units;
        `attrs["sciml_notes"]` lists what was assumed or left out.

    Raises:
        DataError: damaged file, no issue time or lead, repeated issue times, nothing but missing values.
        SettingsError: `lead_hours` for a file that states its leads.
    """
    path = Path(path)
    ds = netcdf.open_dataset(path)
    notes: list[str] = list(ds.attrs.pop("sciml_notes"))
    try:
        ds = _without_verif(ds, notes)
        ds = _merge_expver(ds)
        ds = with_issue_and_lead(ds, path, lead_hours, notes)
        ds = _check_valid_time(ds, path)
        ds = _places(ds, path)
        ds = _plain_variables(ds, path, notes)
        ds = _sorted(ds, path, notes)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        raise DataError(
            f"{path} cannot be laid out as issue time x lead time: {error}", hint="see `ncdump -h`"
        ) from error
    _note_missing(ds, path, notes)
    ds.attrs["sciml_notes"] = notes
    return ds


def _without_verif(ds: xr.Dataset, notes: list[str]) -> xr.Dataset:
    """Name the forecast of a Verif file by its global attributes and leave its observations out."""
    fields = [name for name in ("fcst", "ens") if name in ds.data_vars]
    if not fields:
        return ds
    extra = [name for name in _VERIF_EXTRA if name in ds.variables]
    if "obs" in extra:
        notes.append("the observations in the file are left out of the forecast")
    ds = ds.drop_vars(extra)
    # The ensemble carries all that `fcst`, its mean or control, can tell.
    keep = "ens" if "ens" in fields else "fcst"
    ds = ds.drop_vars([name for name in fields if name != keep])
    name = verif_name(ds, keep)
    ds = ds.rename({keep: name})
    return ds.assign({name: verif_units(ds[name], ds.attrs)})


def verif_name(ds: xr.Dataset, fallback: str) -> str:
    """House name of a Verif file's quantity, from its global attributes."""
    if ds.attrs.get("standard_name") == "air_temperature":
        return "2m_temperature"
    for key in ("standard_name", "long_name"):
        text = str(ds.attrs.get(key, "")).strip()
        house = names.house_name(text.replace(" ", "_"), station_table=True)
        if house != text.replace(" ", "_") or units.house_units(house):
            return house
    return fallback


def verif_units(field: xr.DataArray, attrs: dict) -> xr.DataArray:
    """The field in house units, from the unit in the global attributes ("^oC" is Verif's LaTeX degree)."""
    stated = str(field.attrs.get("units") or attrs.get("units", ""))
    unit = units.canonical(stated)
    house = units.house_units(str(field.name))
    if field.attrs.get("original_units") or unit is None:
        return field
    target = house if house and units.compatible(unit, house) else unit
    converted = field.copy(data=units.convert(field.values, unit, target))
    return converted.assign_attrs(field.attrs | {"units": target, "original_units": stated})


def _merge_expver(ds: xr.Dataset) -> xr.Dataset:
    """ERA5 (expver 1) continued by ERA5T (expver 5): one record, the final version first."""
    if "expver" not in ds.dims:
        return ds.drop_vars("expver", errors="ignore")
    merged = ds.isel(expver=0, drop=True)
    for i in range(1, ds.sizes["expver"]):
        merged = merged.fillna(ds.isel(expver=i, drop=True))
    return merged


def _check_valid_time(ds: xr.Dataset, path: Path) -> xr.Dataset:
    """Refuse a file whose valid times contradict issue time + lead; drop the redundant coordinate."""
    if "valid_time" not in ds.variables:
        return ds
    valid = ds["valid_time"]
    if valid.dtype.kind == "M" and set(valid.dims) <= {"time", "prediction_timedelta"}:
        expected, stated = xr.broadcast(ds["time"] + ds["prediction_timedelta"], valid)
        wrong = (expected.values != stated.transpose(*expected.dims).values) & ~np.isnat(
            stated.transpose(*expected.dims).values
        )
        if wrong.any():
            i, j = (int(axis[0]) for axis in np.nonzero(wrong))
            raise DataError(
                f"{path}: valid_time {stated.transpose(*expected.dims).values[i, j]} contradicts issue time "
                f"{ds['time'].values[i]} + lead {hours_text(ds['prediction_timedelta'].values[j])}",
                hint="find out which of the two the file means, and drop the other",
            )
    return ds.drop_vars("valid_time")


def _places(ds: xr.Dataset, path: Path) -> xr.Dataset:
    """One horizontal layout: station, latitude x longitude, or y x x with two-dimensional coordinates."""
    if "latitude" in ds.coords and ds["latitude"].ndim == 2:
        y, x = ds["latitude"].dims
        return ds.rename({old: new for old, new in ((y, "y"), (x, "x")) if old != new})
    if "latitude" in ds.coords and ds["latitude"].ndim == 1 and "station" not in ds.dims:
        along = ds["latitude"].dims[0]
        # Latitude and longitude on one shared dimension are a list of places, not a grid.
        if "longitude" in ds.coords and ds["longitude"].dims == (along,):
            ds = ds.rename_dims({along: "station"}) if along != "latitude" else ds.rename({along: "station"})
    if "station" not in ds.dims and not {"latitude", "longitude"} & set(ds.dims) and "y" not in ds.dims:
        label = station_id(ds["station"].values[()]) if "station" in ds.coords and ds["station"].ndim == 0 else "site"
        ds = ds.drop_vars("station", errors="ignore")
        ds = ds.assign({name: ds[name].expand_dims(station=[label]) for name in ds.data_vars})
        for name in ("latitude", "longitude", "altitude"):
            if name in ds.coords and ds[name].ndim == 0:
                ds = ds.assign_coords({name: ("station", ds[name].values.reshape(1))})
    if "station" in ds.dims:
        if "station" not in ds.coords:
            ds = ds.assign_coords(station=[str(i + 1) for i in range(ds.sizes["station"])])
        ds = ds.assign_coords(station=("station", np.array([station_id(v) for v in ds["station"].values], dtype=str)))
    return ds


def station_id(value: object) -> str:
    """A station number or name as text: 1, 1.0, b"1 " -> "1"."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)
    return str(value).strip()


def _plain_variables(ds: xr.Dataset, path: Path, notes: list[str]) -> xr.Dataset:
    """Keep numeric variables that depend on issue and lead time, in one order of dimensions."""
    single = [d for d in ds.dims if ds.sizes[d] == 1 and d not in _ORDER]
    ds = ds.squeeze(single, drop=True)
    for name in list(ds.data_vars):
        variable = ds[name]
        timed = {"time", "prediction_timedelta"} & set(variable.dims)
        if variable.dtype.kind not in "iuf" or not variable.ndim:
            ds = ds.drop_vars(name)
        elif not timed and name in _STATIC:
            ds = ds.set_coords(name)
        elif len(timed) < 2:
            notes.append(f"{name!r} is left out: its dimensions {variable.dims} lack issue time or lead time")
            ds = ds.drop_vars(name)
        elif variable.dtype.kind != "f":
            ds[name] = variable.astype(np.float64)
    kept = {"time", "prediction_timedelta", "number", "level", "station", "latitude", "longitude", *_STATIC}
    ds = ds.drop_vars([name for name in ds.coords if name not in kept and name not in ds.dims])
    ds = ds.drop_vars([name for name in ("number", "level") if name in ds.coords and name not in ds.dims])
    if not ds.data_vars:
        raise DataError(
            f"{path} holds no forecast variable", hint="variables need an issue time and a lead time dimension"
        )
    order = [dim for dim in _ORDER if dim in ds.dims] + [dim for dim in ds.dims if dim not in _ORDER]
    return ds.transpose(*order)


def _sorted(ds: xr.Dataset, path: Path, notes: list[str]) -> xr.Dataset:
    """Ascending and unique issue times, leads and stations."""
    for name, what in (("time", "issue time"), ("prediction_timedelta", "lead time"), ("station", "station")):
        if name not in ds.dims:
            continue
        index = pd.Index(ds[name].values)
        if index.hasnans:
            raise DataError(
                f"{path}: {what} {int(np.argmax(index.isna())) + 1} of {len(index)} is missing",
                hint="drop the records without a time",
            )
        if not index.is_unique:
            repeated = index[index.duplicated()]
            first = hours_text(repeated[0]) if name == "prediction_timedelta" else repeated[0]
            raise DataError(
                f"{path}: {what} {first} occurs more than once ({len(repeated)} repeats of {len(index)})",
                hint="drop the repeats, for example with ds.drop_duplicates in xarray",
            )
        if name != "station" and not index.is_monotonic_increasing:
            notes.append(f"{what}s were not in order: sorted")
            ds = ds.sortby(name)
    if ds.sizes["time"] == 0 or ds.sizes["prediction_timedelta"] == 0:
        raise DataError(
            f"{path} holds no forecast: its issue time or lead time dimension is empty",
            hint="check how the file was written",
        )
    return ds


def _note_missing(ds: xr.Dataset, path: Path, notes: list[str]) -> None:
    """Note variables and leads without any value, and constants; refuse a file without any value at all."""
    empty = []
    for name in ds.data_vars:
        values = ds[name].values
        finite = np.isfinite(values)
        if not finite.any():
            empty.append(str(name))
            notes.append(f"{name!r} has no value at all")
            continue
        axis = ds[name].dims.index("prediction_timedelta")
        leads = finite.any(axis=tuple(i for i in range(values.ndim) if i != axis))
        if not leads.all():
            missing = ", ".join(hours_text(lead) for lead in ds["prediction_timedelta"].values[~leads][:6])
            notes.append(f"{name!r} has no value at lead {missing}")
        if finite.sum() > 1 and np.nanmin(values) == np.nanmax(values):
            notes.append(f"{name!r} is constant ({float(np.nanmin(values)):g})")
    if len(empty) == len(ds.data_vars):
        raise DataError(
            f"{path}: no variable has a single value ({', '.join(empty)} are missing throughout)",
            hint="check the converter, and the fill value attributes",
        )


def hours_text(lead) -> str:
    """A lead as text, "24 h"."""
    return f"{pd.Timedelta(lead) / pd.Timedelta(hours=1):g} h"
