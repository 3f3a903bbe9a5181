"""Station observations by valid time, [time, station], from a table or NetCDF, under house names and in house units.

Convention: valid times in UTC; units come from the caller, the header ("기온(°C)", "t2m [degC]") or the attributes, in
this order; where none is stated the numbers stay as they are and `original_units` is "".
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from sciml.pipelines.errors import DataError, SettingsError, suggest

from . import coordinates, files, names, netcdf, units
from .forecast import station_id, verif_name
from .station_table import SINGLE, Observed, match_key, not_numeric, shape, spoilt
from .table import read_table
from .times import zone_of

_PLACES = ("latitude", "longitude", "altitude")


def read_observations(
    path: str | Path,
    *,
    stations: Sequence[object] | None = None,
    zone: str | None = None,
    units: Mapping[str, str] | None = None,
    variables: Sequence[str] | None = None,
    needed: Sequence[str] | None = None,
) -> xr.Dataset:
    """Read observations.

    Args:
        path: table (long, wide or of a single station) or NetCDF with dims (time[, station]), Verif included.
        stations: ids that the result shall have, in this order; None keeps those of the file.
        zone: time zone of times that state none ("Asia/Seoul", "+09:00"); None means UTC.
        units: unit by column or house name, for files that state none (overrides what they state).
        variables: columns or house names to read; None reads every numeric one.
        needed: columns or house names in which a text cell among numbers is an error; None: in all of them.

    Returns:
        Dims (time, station), float64; attrs per variable: original_name, original_units, units. Stations without
        observations are NaN; `attrs["sciml_notes"]` lists what was left out.

    Raises:
        DataError: no time column, unreadable time or number (with its line), repeated (time, station), no station in
            common, no values.
        SettingsError: a name in `units` that is not in the file.
    """
    path = Path(path)
    ids = None if stations is None else [station_id(label) for label in stations]
    if files.kind_of(path) in ("hdf5", "netcdf3", "zarr"):
        observed, notes = _from_netcdf(path, zone)
    else:
        table = read_table(path)
        notes = list(table.attrs["sciml_notes"])
        observed = shape(table, path, ids, zone, notes)
    fields = _chosen(observed, path, variables, needed, notes)
    ds = _dataset(observed, fields, path, dict(units or {}), notes)
    ds = _at_stations(ds, ids, path, notes) if ids is not None else ds
    ds.attrs["sciml_notes"] = notes
    return ds


def _from_netcdf(path: Path, zone: str | None) -> tuple[Observed, list[str]]:
    """Numeric variables [time(, station)] of a NetCDF file."""
    ds = netcdf.open_dataset(path, convert_units=False)
    notes: list[str] = list(ds.attrs["sciml_notes"])
    if "prediction_timedelta" in ds.dims:
        ds = _verif_observations(ds, path)
    time = next((name for name in ("time", "valid_time") if name in ds.coords and ds[name].ndim == 1), None)
    if time is None:
        raise DataError(
            f"{path} has no time coordinate; found: {', '.join(map(str, ds.coords)) or 'none'}", hint="name it time"
        )
    stamped = str(ds[time].attrs.get("original_units", ""))
    ds = ds.rename({ds[time].dims[0]: "time"} if ds[time].dims[0] != "time" else {})
    ds = ds.rename({time: "time"}) if time not in ("time",) and time in ds.variables else ds
    ds = ds.drop_vars("station") if "station" in ds.coords and ds["station"].ndim == 0 else ds
    single = [dim for dim in ds.dims if dim not in ("time", "station") and ds.sizes[dim] == 1]
    ds = ds.squeeze(single, drop=True)
    index = pd.DatetimeIndex(ds["time"].values)
    if index.has_duplicates:
        first = index[index.duplicated()][0]
        raise DataError(
            f"{path}: time {first} occurs more than once ({int(index.duplicated().sum())} repeats)",
            hint="drop the repeats",
        )
    if index.hasnans:
        raise DataError(
            f"{path}: time {int(np.argmax(index.isna())) + 1} is missing", hint="drop the records without a time"
        )
    if not index.is_monotonic_increasing:
        notes.append("times were not in order: sorted")
        ds = ds.sortby("time")
    return _observed(ds, path, _shifted(pd.DatetimeIndex(ds["time"].values), zone, stamped), notes), notes


def _observed(ds: xr.Dataset, path: Path, times: pd.DatetimeIndex, notes: list[str]) -> Observed:
    """The fields [time, station] of a data set with these dimensions."""
    fields, stated = {}, {}
    for name in ds.data_vars:
        if ds[name].dtype.kind not in "iuf" or not {"time"} <= set(ds[name].dims) <= {"time", "station"}:
            notes.append(f"{name!r} is left out: it is no number by time and station")
            continue
        original = str(ds[name].attrs.get("original_name", name))
        values = ds[name].transpose("time", ...).values.astype(np.float64)
        fields[original] = values.reshape(values.shape[0], -1)
        stated[original] = coordinates.text_attr(ds[name], "units")
    if not fields:
        raise DataError(
            f"{path} holds no observations by time (and station); dimensions: {dict(ds.sizes)}",
            hint="pick stations out of gridded data first",
        )
    labels = [SINGLE]
    if "station" in ds.dims:
        labels = (
            [station_id(v) for v in ds["station"].values]
            if "station" in ds.coords
            else list(map(str, range(1, ds.sizes["station"] + 1)))
        )
    fields = {name: np.broadcast_to(field, (len(times), len(labels))) for name, field in fields.items()}
    places = {
        name: np.atleast_1d(ds[name].values)
        for name in _PLACES
        if name in ds.coords and ds[name].dims in ((), ("station",))
    }
    return Observed(times, labels, fields, stated, {k: v for k, v in places.items() if v.size == len(labels)})


def _shifted(times: pd.DatetimeIndex, zone: str | None, stamped: str) -> pd.DatetimeIndex:
    """Wall-clock times of `zone` to UTC, unless the file's units state a zone."""
    if zone is None or any(mark in stamped.split("since")[-1] for mark in ("Z", "UTC", "GMT", "+")):
        return times
    return (
        times.tz_localize(zone_of(zone), ambiguous="NaT", nonexistent="shift_forward")
        .tz_convert("UTC")
        .tz_localize(None)
        .as_unit("ns")
    )


def _verif_observations(ds: xr.Dataset, path: Path) -> xr.Dataset:
    """`obs` [issue, lead, station] of a Verif file by valid time: pairs of one valid time carry one observation."""
    if "obs" not in ds.data_vars:
        raise DataError(
            f"{path} is a forecast (it has lead times), not observations",
            hint="give the observations as a file by valid time",
        )
    obs = ds["obs"].transpose("time", "prediction_timedelta", ...)
    valid = (ds["time"].values[:, None] + ds["prediction_timedelta"].values[None, :]).ravel()
    flat = obs.values.reshape(valid.size, -1)
    columns = pd.DataFrame(flat).groupby(valid).first()
    dims = ("time", "station") if "station" in obs.dims else ("time",)
    values = columns.to_numpy() if "station" in obs.dims else columns.to_numpy()[:, 0]
    name = verif_name(ds, "obs")
    attrs = {"original_name": "obs" if name == "obs" else name, "units": str(ds.attrs.get("units", ""))}
    kept = {key: ds[key] for key in ("station", *_PLACES) if key in ds.coords and ds[key].dims in ((), ("station",))}
    return xr.Dataset({name: (dims, values, attrs)}, {"time": columns.index.to_numpy("datetime64[ns]"), **kept})


def _chosen(
    observed: Observed,
    path: Path,
    variables: Sequence[str] | None,
    needed: Sequence[str] | None,
    notes: list[str],
) -> dict[str, str]:
    """{column: house name} of the columns to read."""
    house = {name: names.house_name(name, station_table=True) for name in observed.fields}
    numeric = [name for name in observed.fields if isinstance(observed.fields[name], np.ndarray)]
    if variables is not None:
        chosen = [_find(wanted, house, path) for wanted in variables]
        for name in chosen:
            if name not in numeric:
                raise not_numeric(observed.fields[name], name, path)
    else:
        text = [name for name in observed.fields if name not in numeric]
        _refuse_spoilt({name: observed.fields[name] for name in text}, house, path, needed)
        if text:
            notes.append(f"columns without numbers are left out: {', '.join(text[:8])}")
        empty = [name for name in numeric if not np.isfinite(observed.fields[name]).any()]
        if empty and len(empty) < len(numeric):
            notes.append(f"columns without a single value are left out: {', '.join(empty[:8])}")
            numeric = [name for name in numeric if name not in empty]
        chosen = numeric
    if not chosen and variables is None and text:
        raise not_numeric(observed.fields[text[0]], text[0], path)
    if not chosen:
        raise DataError(
            f"{path} has no numeric column besides time and station", hint=f"columns: {', '.join(house) or 'none'}"
        )
    return _unique_house_names({name: house[name] for name in chosen}, notes)


def _find(wanted: str, house: Mapping[str, str], path: Path) -> str:
    """The column a caller means by its own or its house name."""
    for name, house_name in house.items():
        if wanted in (name, house_name):
            return name
    alias = names.house_name(wanted, station_table=True)
    for name, house_name in house.items():
        if alias == house_name:
            return name
    raise DataError(f"{path} has no variable {wanted!r}", hint=suggest(wanted, house))


def _refuse_spoilt(columns: Mapping[str, pd.Series], house: Mapping[str, str], path: Path, needed) -> None:
    """DataError for a needed column of numbers in which some cells are text."""
    wanted = (
        None
        if needed is None
        else {form for name in needed for form in (name, names.house_name(name, station_table=True))}
    )
    for name, column in columns.items():
        if spoilt(column) and (wanted is None or {name, house[name]} & wanted):
            raise not_numeric(column, name, path)


def _unique_house_names(chosen: dict[str, str], notes: list[str]) -> dict[str, str]:
    """Two columns of one house name: the first gets it."""
    taken: set[str] = set()
    result = {}
    for name, house in chosen.items():
        if house in taken:
            notes.append(f"{name!r} keeps its name: {house!r} is taken by another column")
        result[name] = name if house in taken else house
        taken.add(house)
    return result


def _dataset(
    observed: Observed, fields: dict[str, str], path: Path, given: dict[str, str], notes: list[str]
) -> xr.Dataset:
    """Fields in house units."""
    for key in given:
        if key not in fields and key not in fields.values():
            raise SettingsError(
                f"units are given for {key!r}, which {path} does not have",
                hint=suggest(key, [*fields, *fields.values()]),
            )
    variables = {}
    for name, house in fields.items():
        values = observed.fields[name]
        if not np.isfinite(values).any():
            raise DataError(
                f"{path}: column {name!r} has no value at all",
                hint="choose another variable, or check the missing marker",
            )
        stated = given.get(
            name, given.get(house, observed.stated_units.get(name, "") or names.UNITS_IN_NAME.get(name.casefold(), ""))
        )
        values, unit = _converted(
            values, stated, house, name in given or house in given, f"{path}: column {name!r}", notes
        )
        attrs = {"original_name": name, "original_units": stated, "units": unit}
        variables[house] = (("time", "station"), values, attrs)
    coords = {"time": observed.times.to_numpy("datetime64[ns]"), "station": np.array(observed.stations, dtype=str)}
    coords |= {name: ("station", values) for name, values in observed.places.items()}
    return xr.Dataset(variables, coords)


def _converted(
    values: np.ndarray, stated: str, house: str, given: bool, where: str, notes: list[str]
) -> tuple[np.ndarray, str]:
    """Values and their unit after conversion to the house unit, where that is possible."""
    unit, target = units.canonical(stated), units.house_units(house)
    if given and unit is None and target:
        raise DataError(f"{where}: unknown unit {stated!r}; {house!r} is measured in {target!r}", hint="check the unit")
    if unit is None or not target:
        return values, unit or stated
    if not units.compatible(unit, target):
        if {unit, target} == {"W m-2", "J m-2"}:
            return values, unit
        if given:
            raise DataError(
                f"{where}: unit {stated!r} given for {house!r}, which is measured in {target!r}", hint="check the unit"
            )
        notes.append(f"{where} stays in {unit!r}: {house!r} is measured in {target!r}")
        return values, unit
    return units.convert(np.asarray(values, dtype=np.float64), unit, target), target


def _at_stations(ds: xr.Dataset, wanted: list[str], path: Path, notes: list[str]) -> xr.Dataset:
    """The wanted stations in their order; those without observations are NaN."""
    found = {match_key(label): str(label) for label in ds["station"].values}
    if list(found.values()) == [SINGLE] or (len(wanted) == 1 and wanted[0] == SINGLE and len(found) == 1):
        if len(wanted) > 1:
            raise DataError(
                f"{path} names no station, but there are {len(wanted)}: {', '.join(wanted[:8])}",
                hint="add a column named station, or one column per station",
            )
        return ds.assign_coords(station=np.array(wanted, dtype=str))
    matched = [label for label in wanted if match_key(label) in found]
    if not matched:
        listed = ", ".join(list(found.values())[:12])
        raise DataError(
            f"{path} and the forecast have no station in common: {listed}",
            hint=f"{wanted[0]!r}: {suggest(wanted[0], found.values())}",
        )
    absent = [label for label in wanted if match_key(label) not in found]
    extra = [label for key, label in found.items() if key not in {match_key(label) for label in wanted}]
    if absent:
        guess = f" ({suggest(absent[0], extra)})" if extra else ""
        notes.append(f"no observations at {len(absent)} stations: {', '.join(absent[:8])}{guess}")
    if extra:
        notes.append(f"{len(extra)} stations of {path.name} are not in the forecast: {', '.join(extra[:8])}")
    labels = {label: found.get(match_key(label), f"\x00{label}") for label in wanted}
    return ds.reindex(station=list(labels.values())).assign_coords(station=np.array(wanted, dtype=str))
