"""Issue time and lead time of a forecast file, from whatever the producer wrote about them.

Convention: valid time = issue time + lead time. Issue times come from a coordinate (cfgrib, CDS, climpred, Verif, CF),
from attributes (wgrib2 `reference_date`, NCL `initial_time`, WRF `SIMULATION_START_DATE`) or, for known producers,
from the file name. A plain CF `time` without any of these is the valid time: then the lead must be given, or the file
is refused.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from sciml.pipelines.errors import DataError, SettingsError

from . import names, times

_LONGEST_LEAD = np.timedelta64(400, "D")  # seasonal forecasts reach 13 months
_PRODUCERS = (
    "gfs|gefs|gdas|ldaps|gdaps|l015|g512|g768|nam|hrrr|rap|ecmwf|ifs|aifs|wrf|icon|arome|arpege|ukv|hirlam|"
    "harmonie|cosmo"
)
_STAMP = re.compile(r"(?<!\d)((?:19|20)\d{2})-?(\d{2})-?(\d{2})(?:[T_.\-]?t?|\.t)(\d{2})(?:z|Z|00|0000)?(?!\d)")


def with_issue_and_lead(ds: xr.Dataset, path: Path, lead_hours: float | None, notes: list[str]) -> xr.Dataset:
    """The data set with one-dimensional `time` (issue) and `prediction_timedelta`, each its own dimension.

    Args:
        ds: house names, decoded times.
        path: file, for messages and for issue times in its name.
        lead_hours: the lead of every field of a file that has valid times only [h].
        notes: remarks are appended.

    Raises:
        DataError: no issue time or no lead can be found, or they contradict the valid times of the file.
        SettingsError: `lead_hours` given for a file that states its leads.
    """
    ds = _from_wrf(ds, path, notes) if "south_north" in ds.dims or "Times" in ds.variables else ds
    if "prediction_timedelta" in ds.dims and "prediction_timedelta" not in ds.coords:
        raise DataError(
            f"{path}: the lead dimension has no values", hint="write a coordinate for it, with units of hours"
        )
    ds = _issue_from_attributes(ds, path, notes)
    stated = "prediction_timedelta" in ds.coords or ("valid_time" in ds.coords and "time" in ds.coords)
    if stated and lead_hours is not None:
        raise SettingsError(
            f"{path} states its lead times, so a lead of {lead_hours:g} h cannot be given", hint="leave it out"
        )
    if "prediction_timedelta" not in ds.coords:
        ds = _lead_from_valid(ds, path) if stated else _lead_from_setting(ds, path, lead_hours, notes)
    if "time" not in ds.coords:
        raise _no_issue(ds, path)
    return _separate(ds, path)


def _no_issue(ds: xr.Dataset, path: Path) -> DataError:
    found = ", ".join(str(name) for name in ds.coords) or "none"
    return DataError(
        f"{path} has no issue time; coordinates found: {found}",
        hint='accepted names: time, forecast_reference_time, init, reftime, issue, with units "hours since ..."',
    )


def _issue_from_attributes(ds: xr.Dataset, path: Path, notes: list[str]) -> xr.Dataset:
    """Set the issue time of a one-run file that keeps it in an attribute or in its file name."""
    has_lead = "prediction_timedelta" in ds.coords
    if (has_lead and "time" in ds.coords) or ("time" in ds.coords and "valid_time" in ds.coords):
        return ds
    if "time" in ds.coords and _is_issue(ds["time"]):
        return ds
    issue, source = _attribute_issue(ds), "attributes"
    if issue is None:
        issue, source = issue_in_name(path.name), "file name"
    if issue is None:
        return ds
    valid = next((ds[name] for name in ("time", "valid_time") if name in ds.coords), None)
    if valid is None:
        notes.append(f"issue time {_text(issue)} read from the {source}")
        ds = ds.assign_coords(time=issue)
        lead = _attribute_lead(ds)
        return ds if has_lead or lead is None else ds.assign_coords(prediction_timedelta=lead)
    leads = valid.values - issue
    if valid.ndim > 1 or (leads < np.timedelta64(0)).any() or (leads > _LONGEST_LEAD).any():
        return ds
    notes.append(f"issue time {_text(issue)} read from the {source}; `{valid.name}` is the valid time")
    if valid.name == "time" and valid.ndim:
        ds = ds.rename(time="prediction_timedelta")
    elif valid.name == "valid_time" and valid.ndim:
        ds = ds.rename({valid.dims[0]: "prediction_timedelta"})
    ds = ds.drop_vars(["time", "valid_time"], errors="ignore")
    return ds.assign_coords(prediction_timedelta=(valid.dims and ("prediction_timedelta",), leads), time=issue)


def _attribute_issue(ds: xr.Dataset) -> np.datetime64 | None:
    """One issue time common to all variables' attributes, or None."""
    texts: set[str] = set()
    holders = [ds.attrs, *(ds[name].attrs for name in ds.variables)]
    keys = (
        "reference_date",
        "initial_time",
        "forecast_reference_time",
        "init_time",
        "SIMULATION_START_DATE",
        "START_DATE",
    )
    for attrs in holders:
        texts |= {str(attrs[key]) for key in keys if key in attrs}
    issues = {issue for issue in map(_read_issue, texts) if issue is not None}
    return issues.pop() if len(issues) == 1 else None


def _read_issue(text: str) -> np.datetime64 | None:
    """ "2008.07.09 00:00:00 UTC" (wgrib2), "07/09/2008 (00:00)" (NCL), "2008-07-09_00:00:00" (WRF)."""
    american = re.fullmatch(r"\s*(\d{2})/(\d{2})/(\d{4}) \((\d{2}):(\d{2})\)\s*", text)
    if american:
        month, day, year, hour, minute = american.groups()
        text = f"{year}-{month}-{day} {hour}:{minute}"
    try:
        return times.parse_times([text.replace("_", " ")], name="issue time").to_numpy("datetime64[ns]")[0]
    except DataError:
        return None


def _attribute_lead(ds: xr.Dataset) -> np.timedelta64 | None:
    """NCL's `forecast_time` attribute, where all variables agree."""
    leads = set()
    for name in ds.data_vars:
        value, unit = ds[name].attrs.get("forecast_time"), str(ds[name].attrs.get("forecast_time_units", "hours"))
        if value is not None and np.size(value) == 1 and unit in times.NANOSECONDS:
            leads.add(np.timedelta64(int(float(np.ravel(value)[0]) * times.NANOSECONDS[unit]), "ns"))
    return leads.pop() if len(leads) == 1 else None


def issue_in_name(name: str) -> np.datetime64 | None:
    """The issue time in a producer's file name ("gfs_4_20190601_0000_024.nc"), or None.

    Only names with a producer in them count: the date in "era5_2019060100.nc" is a valid time.
    """
    if not re.search(rf"(^|[^a-z])({_PRODUCERS})(out)?([^a-z]|$)", name.lower()):
        return None
    stamps = {match.groups() for match in _STAMP.finditer(name)}
    if len(stamps) != 1:
        return None
    year, month, day, hour = stamps.pop()
    try:
        return np.datetime64(f"{year}-{month}-{day}T{hour}", "ns")
    except ValueError:
        return None


def _is_issue(time: xr.DataArray) -> bool:
    return names.time_role(str(time.attrs.get("original_name", "time")), time.attrs) == "issue"


def _lead_from_valid(ds: xr.Dataset, path: Path) -> xr.Dataset:
    """Leads where the file has issue and valid times: one run, one row per record, or a table [time, k]."""
    valid, issue = ds["valid_time"], ds["time"]
    if issue.ndim == 0 or valid.dims == issue.dims:
        leads = valid.values - issue.values
        if valid.dims == ("valid_time",):
            ds = ds.rename(valid_time="prediction_timedelta").assign_coords(
                prediction_timedelta=("prediction_timedelta", leads)
            )
            return ds
        return ds.assign_coords(prediction_timedelta=(valid.dims, leads))
    if valid.ndim == 2 and issue.dims[0] in valid.dims:
        other = next(dim for dim in valid.dims if dim != issue.dims[0])
        table = valid.transpose(issue.dims[0], other).values - issue.values[:, None]
        if (table == table[0]).all():
            ds = ds.drop_vars("valid_time").rename({other: "prediction_timedelta"})
            return ds.assign_coords(prediction_timedelta=("prediction_timedelta", table[0]))
    raise DataError(
        f"{path}: valid_time {valid.dims} and time {issue.dims} do not give one set of lead times",
        hint="write issue time and lead time as two dimensions",
    )


def _lead_from_setting(ds: xr.Dataset, path: Path, lead_hours: float | None, notes: list[str]) -> xr.Dataset:
    """One lead for the whole file, as the user says."""
    name = next((name for name in ("time", "valid_time") if name in ds.coords), None)
    if name is None:
        raise _no_issue(ds, path)
    time = ds[name]
    if lead_hours is None:
        raise _only_valid(time, path)
    lead = np.timedelta64(round(lead_hours * 3600), "s").astype("timedelta64[ns]")
    if name == "time" and _is_issue(time):
        return ds.assign_coords(prediction_timedelta=lead)
    notes.append(
        f"{time.attrs.get('original_name', name)!r} is read as the valid time; issue time = that - {lead_hours:g} h"
    )
    ds = ds.assign_coords({name: (time.dims, time.values - lead, time.attrs), "prediction_timedelta": lead})
    return ds.rename({name: "time"}) if name != "time" else ds


def _only_valid(time: xr.DataArray, path: Path) -> DataError:
    values = np.atleast_1d(time.values)
    span = f"{_text(values[0])} to {_text(values[-1])}, {values.size} times" if values.size else "no times"
    if _is_issue(time):
        return DataError(
            f"{path} has issue times ({span}) but no lead time", hint="give the lead of the fields in hours (--lead 24)"
        )
    return DataError(
        f"{path} has valid times only ({span}), no issue time and no lead: an analysis or reanalysis, "
        "or a forecast whose issue times were lost",
        hint="if every field is a forecast of one lead, give it in hours (--lead 24); an analysis is no forecast",
    )


def _separate(ds: xr.Dataset, path: Path) -> xr.Dataset:
    """`time` and `prediction_timedelta` as two dimensions, from scalars or from records along one dimension."""
    issue, lead = ds["time"], ds["prediction_timedelta"]
    if issue.ndim > 1 or lead.ndim > 1:
        raise DataError(
            f"{path}: time {issue.dims} or lead {lead.dims} has more than one dimension",
            hint="write issue time and lead time as two dimensions",
        )
    if issue.ndim == 1 and issue.dims == lead.dims:
        return _unstack(ds, issue, lead, path)
    for name, coordinate in (("time", issue), ("prediction_timedelta", lead)):
        if coordinate.ndim == 1 and coordinate.dims[0] != name:
            ds = ds.swap_dims({coordinate.dims[0]: name})
    scalars = [name for name in ("time", "prediction_timedelta") if ds[name].ndim == 0]
    return expand(ds, scalars) if scalars else ds


def expand(ds: xr.Dataset, dims: list[str]) -> xr.Dataset:
    """Add scalar coordinates as dimensions to the variables that vary in time; constant fields are left alone."""
    other = {"time", "prediction_timedelta"} - set(dims)
    static = {"altitude", "land_sea_mask", "geopotential_at_surface"}
    labels = {dim: ds[dim].values.reshape(1) for dim in dims}
    attrs = {dim: ds[dim].attrs for dim in dims}
    ds = ds.drop_vars(dims)
    for name in ds.data_vars:
        varies = not other or other & set(ds[name].dims)
        if varies and name not in static:
            ds[name] = ds[name].expand_dims(dims)
    return ds.assign_coords({dim: (dim, labels[dim], attrs[dim]) for dim in dims})


def _unstack(ds: xr.Dataset, issue: xr.DataArray, lead: xr.DataArray, path: Path) -> xr.Dataset:
    """Records along one dimension to the table [time, lead]."""
    dim = issue.dims[0]
    issues = issue.values
    if dim == "time" and "valid_time" not in ds.coords and not _is_issue(issue):
        # CF: a time coordinate beside forecast_period on the same axis is the valid time.
        issues = issues - lead.values
    pairs = pd.MultiIndex.from_arrays([issues, lead.values], names=["time", "prediction_timedelta"])
    if pairs.has_duplicates:
        first = pairs[pairs.duplicated()][0]
        raise DataError(
            f"{path}: the field issued {first[0]} with lead {first[1]} occurs twice "
            f"({int(pairs.duplicated().sum())} repeats)",
            hint="drop the repeated records",
        )
    ds = (
        ds.rename({dim: "record"})
        if dim in ("time", "prediction_timedelta", "valid_time")
        else ds.rename_dims({dim: "record"} if dim != "record" else {})
    )
    ds = ds.drop_vars(["time", "prediction_timedelta", "valid_time", "record"], errors="ignore")
    labels = xr.Coordinates.from_pandas_multiindex(pairs, "record")
    return ds.assign_coords(labels).unstack("record")


def _from_wrf(ds: xr.Dataset, path: Path, notes: list[str]) -> xr.Dataset:
    """WRF output to (valid time, y, x): map coordinates of the first frame, total rain, earth-relative wind."""
    staggered = [name for name in ds.variables if any(str(dim).endswith("_stag") for dim in ds[name].dims)]
    ds = ds.drop_vars(staggered)
    if staggered:
        notes.append(f"{len(staggered)} staggered WRF variables are left out ({', '.join(map(str, staggered[:4]))})")
    if "Times" in ds.variables and "time" not in ds.coords:
        stamps = times.parse_times(
            [str(t).replace("_", " ") for t in np.atleast_1d(ds["Times"].values)], path=path, name="Times"
        )
        ds = ds.assign_coords(time=("time", stamps.to_numpy("datetime64[ns]")))
    elif "XTIME" in ds.variables and "time" not in ds.coords and ds["XTIME"].dtype.kind == "M":
        ds = ds.assign_coords(time=("time", np.atleast_1d(ds["XTIME"].values)))
    ds = ds.drop_vars(["Times", "XTIME"], errors="ignore")
    for name in ("latitude", "longitude", "altitude"):
        if name in ds.variables and "time" in ds[name].dims:
            ds[name] = ds[name].isel(time=0, drop=True)
    ds = ds.rename({old: new for old, new in (("south_north", "y"), ("west_east", "x")) if old in ds.dims})
    rain = [name for name in ("convective_precipitation", "large_scale_precipitation") if name in ds]
    if len(rain) == 2 and "total_precipitation" not in ds:
        ds["total_precipitation"] = ds[rain[0]] + ds[rain[1]]
        ds["total_precipitation"].attrs = ds[rain[0]].attrs | {"original_name": "RAINC+RAINNC"}
    return _earth_relative(ds, notes)


def _earth_relative(ds: xr.Dataset, notes: list[str]) -> xr.Dataset:
    """Rotate the 10 m wind of a WRF grid to east and north (COSALPHA, SINALPHA of the registry)."""
    u, v = "10m_u_component_of_wind", "10m_v_component_of_wind"
    if not {u, v, "COSALPHA", "SINALPHA"} <= set(ds.variables):
        return ds
    cosine, sine = ds["COSALPHA"], ds["SINALPHA"]
    east, north = ds[u] * cosine - ds[v] * sine, ds[v] * cosine + ds[u] * sine
    for name, wind in ((u, east), (v, north)):
        wind.attrs = ds[name].attrs
        ds[name] = wind.astype(np.float32)
    notes.append("10 m wind rotated from the WRF grid to east and north")
    return ds.drop_vars(["COSALPHA", "SINALPHA"])


def _text(time: np.datetime64) -> str:
    return str(time.astype("datetime64[m]")).replace("T", " ")
