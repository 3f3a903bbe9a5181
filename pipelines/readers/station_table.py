"""The shapes in which people keep station observations in a table, all brought to [time, station].

Long: one row per time and station. Wide: one row per time and one column per station ("wp1 ... wp7", "Seoul_PM10").
Single: no station at all. Times stand in one column or in two (day, hour); "24" is the end of the day.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sciml.pipelines.errors import DataError

from . import names, units
from .forecast import station_id
from .table import is_time_column
from .times import parse_times

SINGLE = "site"  # label of the one station of a table or forecast that names none


@dataclass(frozen=True)
class Observed:
    """Fields [time, station] by column name; `attrs` of each: original_name and the unit its header states."""

    times: pd.DatetimeIndex
    stations: list[str]
    fields: dict[str, np.ndarray]
    stated_units: dict[str, str]
    places: dict[str, np.ndarray]


def match_key(label: object) -> str:
    """What two spellings of one station share: "001", 1 and 1.0; "Seoul" and "seoul "."""
    text = station_id(label).casefold()
    return text.lstrip("0") or "0" if text.isdigit() else text


def split_unit(header: str) -> tuple[str, str]:
    """ "기온(°C)" -> ("기온", "°C"); "t2m [degC]" -> ("t2m", "degC"); brackets that are no unit stay in the name."""
    match = re.fullmatch(r"(.+?)\s*[(\[]\s*([^()\[\]]+?)\s*[)\]]", header)
    if match is None:
        return header, ""
    name, bracket = match.groups()
    known = names.house_name(name, station_table=True) != name or is_time_column(name)
    if units.canonical(bracket) or (known and names.house_name(header, station_table=True) == header):
        return name, bracket
    return header, ""


def shape(
    table: pd.DataFrame, path: Path, stations: Sequence[str] | None, zone: str | None, notes: list[str]
) -> Observed:
    """Bring a table of any of the three shapes to [time, station].

    Args:
        table: from `read_table`; its attrs carry nothing that is needed here.
        stations: the ids to look for in column names, or None.

    Raises:
        DataError: no time column, repeated rows, no numeric column.
    """
    table = table.rename(columns={name: name.strip() for name in table.columns})
    times, used = _times(table, path, zone)
    station_column = _station_column(table, stations, used)
    rest = [name for name in table.columns if name not in used]
    if station_column is not None:
        return _long(table, times, station_column, rest, path, notes)
    bad = [name for name in rest if not pd.api.types.is_numeric_dtype(table[name]) and spoilt(table[name])]
    numeric = [name for name in rest if pd.api.types.is_numeric_dtype(table[name])]
    groups = _wide_groups([name for name in rest if name in numeric or name in bad], stations)
    for column in (column for group in groups.values() for column in group.values() if column in bad):
        raise not_numeric(table[column], column, path)
    if groups:
        return _wide(table, times, groups, path, notes)
    label = station_id(stations[0]) if stations is not None and len(stations) == 1 else SINGLE
    ids = pd.Series(label, index=table.index)
    return _pivot(table, times, ids, rest, path, notes)


def spoilt(column: pd.Series) -> bool:
    """Whether most cells of a text column are numbers, but not all: a slip of the pen, not words."""
    texts = column.dropna()
    numbers = pd.to_numeric(texts, errors="coerce").notna()
    return bool(len(texts)) and bool(0.5 <= numbers.mean() < 1.0)


def not_numeric(column: pd.Series, name: str, path: Path) -> DataError:
    """The error that names the first cell of a column that is no number."""
    texts = column.dropna()
    if texts.empty:
        return DataError(f"{path}: column {name!r} has no values", hint="choose another variable")
    bad = texts[pd.to_numeric(texts, errors="coerce").isna()]
    line = f"line {bad.index[0]}: {bad.iloc[0]!r}" if len(bad) else "its numbers have leading zeros"
    return DataError(
        f"{path}: column {name!r} is not numeric ({line})",
        hint="write numbers, leave missing cells empty, or name the columns to predict with --target",
    )


def _times(table: pd.DataFrame, path: Path, zone: str | None) -> tuple[pd.DatetimeIndex, list[str]]:
    """UTC times of the rows and the columns they came from."""
    folded = {split_unit(name)[0].strip().casefold(): name for name in reversed(table.columns)}
    if {"year", "month", "day"} <= set(folded):
        parts = [table[folded[key]].map(lambda cell: f"{float(cell):02.0f}") for key in ("year", "month", "day")]
        hour = folded.get("hour", folded.get("hr"))
        days = parts[0] + "-" + parts[1] + "-" + parts[2]
        used = [folded["year"], folded["month"], folded["day"], *([hour] if hour else [])]
        texts = days + " " + table[hour].map(_clock) if hour else days
        return parse_times(texts, zone=zone, path=path, name="year-month-day"), used
    day = next((folded[key] for key in names.DAY_COLUMNS if key in folded), None)
    hour = next((folded[key] for key in names.HOUR_COLUMNS if key in folded and folded[key] != day), None)
    if day is not None and hour is not None and _is_clock(table[hour]):
        texts = table[day].map(lambda cell: _day(cell)) + " " + table[hour].map(_clock)
        return parse_times(texts, zone=zone, path=path, name=f"{day} + {hour}"), [day, hour]
    found = [folded[key] for key in names.TIME_COLUMNS if key in folded]
    if not found:
        raise DataError(
            f"{path} has no time column; columns: {', '.join(map(str, table.columns))[:300]}",
            hint="name it valid_time (accepted too: time, date, datetime, timestamp, valid, tm, 일시, 날짜)",
        )
    return parse_times(table[found[0]], zone=zone, path=path, name=found[0]), found[:1]


def _is_clock(column: pd.Series) -> bool:
    """Hours 0-24 as numbers, or HH:MM."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return bool(column.between(0, 24).all())
    return bool(column.astype(str).str.fullmatch(r"\d{1,2}(:\d{2}){0,2}").all())


def _clock(cell: object) -> str:
    return f"{int(float(cell)):02d}:00" if re.fullmatch(r"\d{1,2}(\.0*)?", str(cell)) else str(cell)


def _day(cell: object) -> str:
    return "" if cell != cell else station_id(cell)


def _station_column(table: pd.DataFrame, stations: Sequence[str] | None, used: list[str]) -> str | None:
    """The column of station ids: of several, the one that knows most of the wanted stations."""
    found = [
        name for name in table.columns if name not in used and names.coordinate_name(split_unit(name)[0]) == "station"
    ]
    if not found:
        return None
    wanted = {match_key(label) for label in stations or ()}
    return max(found, key=lambda name: len(wanted & {match_key(label) for label in table[name].dropna().unique()}))


def _long(table, times, station_column: str, rest: list[str], path: Path, notes: list[str]) -> Observed:
    ids = table[station_column]
    if ids.isna().any():
        line = table.index[int(np.argmax(ids.isna()))]
        raise DataError(
            f"{path}: line {line} has no station in column {station_column!r}", hint="fill it in, or drop the row"
        )
    others = [name for name in rest if names.coordinate_name(split_unit(name)[0]) == "station"]
    return _pivot(table, times, ids.map(station_id), [name for name in rest if name not in others], path, notes)


def _pivot(table, times, ids: pd.Series, rest: list[str], path: Path, notes: list[str]) -> Observed:
    """One row per (time, station) to fields [time, station]."""
    rows, stamps = pd.factorize(times, sort=True)
    columns, labels = pd.factorize(ids.to_numpy())
    _refuse_repeats(times, ids, rows * len(labels) + columns, table.index, path, several=len(labels) > 1)
    if not times.is_monotonic_increasing and len(labels) == 1:
        notes.append("times were not in order: sorted")
    places, values, stated = {}, {}, {}
    for name in rest:
        plain, unit = split_unit(name)
        if not pd.api.types.is_numeric_dtype(table[name]):
            values[plain] = table[name]
            continue
        field = np.full((len(stamps), len(labels)), np.nan)
        field[rows, columns] = table[name].to_numpy(float)
        place = names.coordinate_name(plain)
        if place in ("latitude", "longitude", "altitude") and place not in places:
            places[place] = pd.Series(table[name].to_numpy(float)).groupby(columns).first().to_numpy()
            continue
        values[plain], stated[plain] = field, unit
    return Observed(pd.DatetimeIndex(stamps), [str(label) for label in labels], values, stated, places)


def _refuse_repeats(times, ids: pd.Series, keys: np.ndarray, lines: pd.Index, path: Path, *, several: bool) -> None:
    """DataError for a time (and station) that occurs twice."""
    repeated = pd.Series(keys).duplicated().to_numpy()
    if not repeated.any():
        return
    second = int(np.argmax(repeated))
    first = int(np.argmax(keys == keys[second]))
    at = f" at station {ids.iloc[second]!r}" if several else ""
    several_hint = "" if several else "; a table of several stations needs a column named station"
    raise DataError(
        f"{path}: {times[second]}{at} occurs more than once: lines {lines[first]} and {lines[second]} "
        f"({int(repeated.sum())} repeated rows in all)",
        hint=f"drop or average the repeats{several_hint}",
    )


def _wide_groups(columns: list[str], stations: Sequence[str] | None) -> dict[str, dict[str, str]]:
    """{variable: {station: column}} where column names carry the station; {} for a single station."""
    if stations is not None and len(stations) > 1:
        return _by_station_names(columns, [station_id(label) for label in stations])
    if stations is not None:
        return {}
    numbered: dict[str, dict[str, str]] = {}
    named: dict[str, dict[str, str]] = {}
    for column in columns:
        plain = split_unit(column)[0]
        match = re.fullmatch(r"(.*\D)(\d+)", plain)
        # "pm10" and "u10" end in a number that is part of the name.
        if match and names.house_name(plain, station_table=True) == plain:
            numbered.setdefault(match[1].rstrip("_-. "), {})[match[2]] = column
        head, _, tail = plain.rpartition("_")
        if head and names.house_name(tail, station_table=True) != tail:
            named.setdefault(tail, {})[head] = column
    runs = {name: group for name, group in numbered.items() if len(group) > 1 and _consecutive(group)}
    if runs:
        return runs
    return {name: group for name, group in named.items() if len(group) > 1}


def _consecutive(group: dict[str, str]) -> bool:
    numbers = sorted(int(number) for number in group)
    return numbers == list(range(numbers[0], numbers[0] + len(numbers))) and numbers[0] in (0, 1)


def _by_station_names(columns: list[str], stations: list[str]) -> dict[str, dict[str, str]]:
    """Columns that are a station, or a station and a variable joined by "_", "-", ".", a blank or nothing."""
    groups: dict[str, dict[str, str]] = {}
    for column in columns:
        plain = split_unit(column)[0]
        for station in sorted(stations, key=len, reverse=True):
            id_ = re.escape(station.lstrip("0") or "0") if station.isdigit() else re.escape(station)
            zeros = "0*" if station.isdigit() else ""
            match = re.fullmatch(
                rf"(?P<before>.*?)[_\-. ]?(?<!\d){zeros}{id_}(?!\d)[_\-. ]?(?P<after>.*)", plain, re.IGNORECASE
            )
            if match is None or (match["before"] and match["after"]):
                continue
            variable = match["before"] or match["after"] or "value"
            if station.isdigit() and names.house_name(plain, station_table=True) != plain:
                continue
            groups.setdefault(variable, {})[station] = column
            break
    return {name: group for name, group in groups.items() if len(group) > 1 or len(groups) == 1}


def _wide(table, times, groups: dict[str, dict[str, str]], path: Path, notes: list[str]) -> Observed:
    """One column per station to fields [time, station]."""
    labels = list(dict.fromkeys(station for group in groups.values() for station in group))
    keys = pd.factorize(times)[0]
    _refuse_repeats(times, pd.Series("", index=table.index), keys, table.index, path, several=False)
    order = np.argsort(times.to_numpy(), kind="stable")
    if (order != np.arange(order.size)).any():
        notes.append("times were not in order: sorted")
    fields, stated = {}, {}
    for variable, group in groups.items():
        field = np.full((len(table), len(labels)), np.nan)
        for station, column in group.items():
            field[:, labels.index(station)] = table[column].to_numpy(float)
            stated[variable] = split_unit(column)[1]
        fields[variable] = field[order]
    used = {column for group in groups.values() for column in group.values()}
    left = [
        name
        for name in table.columns
        if pd.api.types.is_numeric_dtype(table[name]) and name not in used and not is_time_column(name)
    ]
    if left:
        notes.append(f"columns without a station in their name are left out: {', '.join(left[:8])}")
    return Observed(times[order], labels, fields, stated, {})
