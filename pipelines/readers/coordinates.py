"""Coordinates of a foreign data set under house names: times, leads, stations, members, levels, latitude and longitude.

Convention: names of `names.py`; times are naive UTC datetime64[ns], leads timedelta64[ns], levels hPa, latitude
ascending, longitude ascending and in [0, 360) unless a regional domain crosses Greenwich (then it starts in [-180,
180)).
"""

import numpy as np
import xarray as xr

from sciml.pipelines.errors import DataError

from . import names, times, units

# Variables whose dimensions end in one of these hold cell bounds, not data.
BOUNDS_DIMS = ("bnds", "nv", "nb2", "bounds", "nbnd", "ncl2", "bound")


def text_attr(variable: xr.DataArray, key: str) -> str:
    """An attribute as text: bytes decoded, anything else through str; "" when absent."""
    value = variable.attrs.get(key, "")
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def rename(ds: xr.Dataset, notes: list[str]) -> xr.Dataset:
    """Give dimensions, coordinates and variables their house names; `original_name` and `original_units` are kept.

    Two spellings of one house name: the first (or the dimension's own coordinate) gets it, the other keeps its own,
    with a note.
    """
    ds = _drop_bounds(ds)
    for name in ds.variables:
        ds[name].attrs.setdefault("original_name", str(name))
        ds[name].attrs.setdefault("original_units", text_attr(ds[name], "units"))
    wanted = _wanted_coordinates(ds)
    ds, wanted = _swap_to_labels(ds, wanted)
    taken = set(ds.variables) | set(ds.dims)
    mapping: dict[str, str] = {}
    for name, house in wanted.items():
        if name == house or house in mapping.values() or (house in taken and house not in wanted):
            continue
        mapping[name] = house
    for name in ds.data_vars:
        if name in mapping or name in wanted or any(str(dim).startswith("lv_HTGL") for dim in ds[name].dims):
            continue
        house = names.house_name(str(name), ds[name].attrs)
        if house == name:
            continue
        if house in mapping.values() or house in taken:
            notes.append(f"{name!r} keeps its name: {house!r} is taken by another variable")
            continue
        mapping[name] = house
    ds = ds.rename(mapping)
    coordinates = {house for house in wanted.values() if house in ds.variables}
    return ds.set_coords([name for name in coordinates if name in ds.data_vars])


def _drop_bounds(ds: xr.Dataset) -> xr.Dataset:
    listed = {text_attr(ds[name], key) for name in ds.variables for key in ("bounds", "climatology", "grid_mapping")}
    bounds = [name for name in ds.variables if name in listed or (ds[name].ndim and ds[name].dims[-1] in BOUNDS_DIMS)]
    return ds.drop_vars(bounds)


def _wanted_coordinates(ds: xr.Dataset) -> dict[str, str]:
    """Names in the file (variables first, then bare dimensions) that become a house coordinate, best claim first."""
    found: dict[str, str] = {}
    for name in [*ds.dims, *(name for name in ds.variables if name not in ds.dims)]:
        variable = ds.get(name) if name in ds.variables else None
        house = names.coordinate_name(str(name), variable.attrs if variable is not None else {})
        if variable is not None and text_attr(variable, "cf_role") == "timeseries_id":
            house = "station"
        if house and (variable is None or _fits(ds, name, house)):
            found[name] = house
    found |= _wanted_times(ds)
    # A file that already uses the house name for one of them settles the matter.
    return {name: house for name, house in found.items() if name == house or found.get(house) != house}


def _fits(ds: xr.Dataset, name: str, house: str) -> bool:
    """Whether the variable can be that coordinate at all, by its shape."""
    variable = ds[name]
    horizontal = [
        dim for dim in variable.dims if names.coordinate_name(str(dim)) in ("station", "latitude", "longitude")
    ]
    if house == "altitude":
        # "height" is also the 2 m of the thermometer screen (a scalar) and a vertical axis (its own dimension).
        return name not in ds.dims and (bool(horizontal) or variable.ndim == 2 or _is_wrf(ds) or str(name) == house)
    if house in ("number", "level", "prediction_timedelta"):
        return variable.ndim <= 1 or name == house
    if house == "station":
        return variable.ndim <= 1
    return True


def _is_wrf(ds: xr.Dataset) -> bool:
    return "south_north" in ds.dims or "Times" in ds.variables


def _wanted_times(ds: xr.Dataset) -> dict[str, str]:
    """Issue time -> `time`; a plain "time" beside it -> `valid_time`."""
    roles: dict[str, list[str]] = {"issue": [], "valid": [], "any": []}
    for name in [*ds.dims, *(name for name in ds.variables if name not in ds.dims)]:
        variable = ds[name] if name in ds.variables else None
        role = names.time_role(str(name), variable.attrs if variable is not None else {})
        if role and (variable is None or _may_be_time(variable)):
            roles[role].append(name)
    found: dict[str, str] = {}
    # Of several spellings (NCL writes the issue time as text and as numbers) the one that decodes is taken.
    issues = sorted(
        roles["issue"], key=lambda name: not (name in ds.variables and times.is_since(text_attr(ds[name], "units")))
    )
    if issues:
        found[issues[0]] = "time"
    plain = [name for name in roles["any"] if name not in found]
    valid = roles["valid"] + (plain if issues else [])
    if not issues and plain:
        found[next((name for name in plain if name in ds.dims), plain[0])] = "time"
    if not issues and not plain and valid:
        found[valid.pop(0)] = "valid_time"
    elif valid:
        found[valid[0]] = "valid_time"
    return found


def _may_be_time(variable: xr.DataArray) -> bool:
    """A variable that can hold times: dates, text, CF units, or whole numbers without a unit."""
    unit = text_attr(variable, "units")
    if variable.dtype.kind in "MSUO" or times.is_since(unit):
        return variable.ndim <= 2
    return (
        variable.ndim <= 1 and variable.dtype.kind in "iuf" and (not unit or "%Y" in unit or unit in times.NANOSECONDS)
    )


def _swap_to_labels(ds: xr.Dataset, wanted: dict[str, str]) -> tuple[xr.Dataset, dict[str, str]]:
    """Where a dimension and a variable along it claim one house name, the variable becomes the label."""
    for name, house in list(wanted.items()):
        if name not in ds.dims or (name in ds.variables and name == house):
            continue
        labels = [other for other, h in wanted.items() if other != name and h == house and other in ds.variables]
        labels = [other for other in labels if ds[other].dims == (name,)]
        if not labels or name in ds.variables:
            continue
        role = [other for other in labels if text_attr(ds[other], "cf_role")]
        label = (role or [other for other in labels if other == house] or labels)[0]
        ds = ds.set_coords(label).swap_dims({name: label})
        wanted = {other: h for other, h in wanted.items() if other != name}
        wanted = {label: house} | wanted
    return ds, wanted


def decode_times(ds: xr.Dataset, notes: list[str], path) -> xr.Dataset:
    """Numbers and text that are times or leads to datetime64[ns] and timedelta64[ns].

    Raises:
        DataError: a time cannot be decoded; the message names the variable and its units.
    """
    for name in list(ds.variables):
        variable = ds[name]
        where = f"{path}: {variable.attrs.get('original_name', name)!r}"
        unit = text_attr(variable, "units")
        if times.is_since(unit) and variable.dtype.kind in "iuf":
            decoded = times.decode_since(variable.values, unit, text_attr(variable, "calendar"), where=where)
        elif name == "prediction_timedelta" and variable.dtype.kind in "iuf":
            decoded = times.decode_duration(variable.values, _lead_unit(unit, where, notes), where=where)
        elif name == "prediction_timedelta" and variable.dtype.kind != "m":
            found = np.atleast_1d(variable.values).ravel()[:3].tolist()
            raise DataError(f"{where} holds no lead times: {found}", hint="write them as numbers with units of hours")
        elif name in ("time", "valid_time") and variable.dtype.kind not in "Mm":
            decoded = _undeclared_times(variable, notes, path)
            if decoded is None:
                continue
        else:
            continue
        attrs = {key: value for key, value in variable.attrs.items() if key not in ("units", "calendar", "dtype")}
        ds = ds.assign_coords({name: (variable.dims, decoded, attrs)})
    return ds


def _lead_unit(unit: str, where: str, notes: list[str]) -> str:
    if unit.strip() in ("", "1"):
        notes.append(f"{where} states no unit: leads are taken as hours")
        return "hours"
    return unit


def _undeclared_times(variable: xr.DataArray, notes: list[str], path) -> np.ndarray | None:
    """Times without CF units: text, YYYYMMDDHH, seconds since 1970; None for plain indices."""
    name = str(variable.attrs.get("original_name", variable.name))
    if variable.dtype.kind in "SUO":
        texts = [str(text).replace("_", " ") for text in variable.values.ravel()]
        return times.parse_times(texts, path=path, name=name).to_numpy("datetime64[ns]").reshape(variable.shape)
    decoded = times.decode_stamps(variable.values)
    if decoded is None:
        unit = text_attr(variable, "units")
        raise DataError(
            f"{path}: {name!r} holds numbers ({variable.values.ravel()[:3].tolist()}) with units {unit!r}, not times",
            hint='give it units such as "hours since 2020-01-01" (ncatted -a units,time,o,c,"hours since ...")',
        )
    notes.append(f"{path}: {name!r} states no units: read as {np.atleast_1d(decoded).ravel()[0]} onwards")
    return decoded


def decode_text(ds: xr.Dataset) -> xr.Dataset:
    """Bytes to text in variables and labels; padding removed."""
    for name in list(ds.variables):
        if ds[name].dtype.kind not in "SO":
            continue
        values = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in ds[name].values.ravel()]
        if all(isinstance(v, str) for v in values):
            texts = np.array([v.strip().strip("\x00") for v in values], dtype=str).reshape(ds[name].shape)
            attrs = ds[name].attrs
            ds = (
                ds.assign_coords({name: (ds[name].dims, texts, attrs)})
                if name in ds.coords
                else ds.assign({name: (ds[name].dims, texts, attrs)})
            )
    return ds


def levels_to_hpa(ds: xr.Dataset, notes: list[str]) -> xr.Dataset:
    """Pressure levels in hPa, from Pa or from values that can only be Pa."""
    if "level" not in ds.coords or ds["level"].dtype.kind not in "iuf":
        return ds
    level, unit = ds["level"], units.canonical(text_attr(ds["level"], "units"))
    if unit is None and level.size and float(level.max()) > 2000.0:
        unit = "Pa"
        notes.append("levels above 2000 without a unit are taken as Pa")
    if unit in ("Pa", "kPa"):
        values = units.convert(level.values.astype(float), unit, "hPa")
        ds = ds.assign_coords(level=(level.dims, np.round(values, 6), level.attrs | {"units": "hPa"}))
    elif unit in (None, "hPa"):
        ds["level"].attrs["units"] = "hPa"
    return ds


def sort_grid(ds: xr.Dataset) -> xr.Dataset:
    """Latitude ascending, longitude on one range and ascending; other grids stay as they are.

    A coordinate that was in no order at all, not even that of a circle begun elsewhere, gets the attribute `unsorted`.
    """
    if "latitude" in ds.dims and "latitude" in ds.coords and ds.sizes["latitude"] > 1:
        latitude = ds["latitude"].values
        if (np.diff(latitude) < 0).all():
            ds = ds.isel(latitude=slice(None, None, -1))
        elif not (np.diff(latitude) > 0).all():
            ds = ds.isel(latitude=np.argsort(latitude, kind="stable"))
            ds["latitude"].attrs["unsorted"] = _disorder(latitude)
    for name in ("longitude",):
        if name not in ds.coords or ds[name].dtype.kind not in "iuf" or not np.isfinite(ds[name].values).all():
            continue
        wrapped = wrap_longitude(ds[name].values)
        ds = ds.assign_coords({name: (ds[name].dims, wrapped, ds[name].attrs)})
        if ds[name].dims == (name,) and (np.diff(wrapped) < 0).any():
            ds = ds.isel({name: np.argsort(wrapped, kind="stable")})
            around = np.diff(wrapped, append=wrapped[:1])
            if min((around < 0).sum(), (around > 0).sum()) > 1:
                ds[name].attrs["unsorted"] = _disorder(wrapped)
    return ds


def _disorder(values: np.ndarray) -> str:
    """The first three values around the first change of direction."""
    turns = np.flatnonzero(np.diff(np.sign(np.diff(values))))
    first = int(turns[0]) if turns.size else 0
    return ", ".join(f"{value:g}" for value in values[first : first + 3])


def wrap_longitude(longitude: np.ndarray) -> np.ndarray:
    """Longitudes [any] on [0, 360), or from a start in [-180, 180) where the domain crosses Greenwich."""
    if longitude.size and longitude.min() >= 0.0 and longitude.max() < 360.0:
        values = longitude.astype(np.float64, copy=False)
    else:
        # Subtraction keeps digits that a float remainder would smear: -0.1 % 360 is 359.9.
        values = np.where(
            longitude < 0.0, longitude + 360.0, np.where(longitude >= 360.0, longitude - 360.0, longitude)
        )
        values = np.round(values % 360.0, 9) % 360.0
    circle = np.unique(values)
    if circle.size < 2:
        return values
    gaps = np.diff(np.append(circle, circle[0] + 360.0))
    widest = int(np.argmax(gaps))
    crosses = widest != circle.size - 1 and gaps[widest] > 3.0 * np.median(gaps) and gaps[-1] < gaps[widest] / 2.0
    if not crosses:
        return values
    start = circle[widest + 1]
    return np.where(values >= start, np.round(values - 360.0, 9), values)
