"""Times as numbers with CF units and as text with or without a zone, both to naive UTC datetime64[ns].

Convention: CF section 4.4 "<unit> since <reference> [zone]"; a numeric offset is what to subtract to reach UTC (ISO
8601). Text: ISO 8601, its "/" and blank variants, compact YYYYMMDD[HH[MM[SS]]], and "24:00" for the end of a day.
"""

import re
import zoneinfo
from datetime import UTC, timedelta, timezone, tzinfo

import numpy as np
import pandas as pd

from sciml.pipelines.errors import DataError, suggest

NANOSECONDS = {
    unit: scale
    for scale, units in (
        (1, "ns nanosecond nanoseconds nanosec nanosecs"),
        (10**3, "us microsecond microseconds microsec microsecs"),
        (10**6, "ms msec msecs millisecond milliseconds millisec millisecs"),
        (10**9, "s sec secs second seconds"),
        (60 * 10**9, "min mins minute minutes"),
        (3600 * 10**9, "h hr hrs hour hours"),
        (86400 * 10**9, "d day days"),
        (7 * 86400 * 10**9, "week weeks"),
    )
    for unit in units.split()
}
_REAL_CALENDARS = ("standard", "gregorian", "proleptic_gregorian", "")
_ZONES = {"KST": "Asia/Seoul", "JST": "Asia/Tokyo", "GMT": "UTC", "Z": "UTC", "UT": "UTC"}
# wgrib2 and UDUNITS write a zero offset without its sign ("00:00:00.0 0:00").
_ZONE = r"(Z|UTC|GMT|KST|JST|[+-]\d{1,2}:\d{2}|[+-]\d{4}|[+-]\d{1,2}|0{1,2}:00)?"
_REFERENCE = re.compile(
    r"^(-?\d{1,4})-(\d{1,2})-(\d{1,2})(?:[T\s]+(\d{1,2})(?::(\d{1,2})(?::(\d{1,2}(?:\.\d*)?))?)?)?\s*" + _ZONE + r"$"
)
_SEPARATED = (
    r"^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})\.?(?:[T\s]+(\d{1,2})(?::(\d{1,2}))?(?::(\d{1,2}))?(?:[.,](\d{1,9}))?)?\s*"
    + _ZONE
    + r"$"
)
_COMPACT = r"^(\d{4})(\d{2})(\d{2})(?:[T\s_]?(\d{2}):?(\d{2})?:?(\d{2})?)?()\s*" + _ZONE + r"$"
_EARLIEST, _LATEST = np.datetime64("1678-01-01"), np.datetime64("2262-01-01")


def is_since(units: object) -> bool:
    """True for CF time units such as "hours since 2020-01-01"."""
    return isinstance(units, str) and re.match(r"\s*[A-Za-z]+\s+since\s+\S", units) is not None


def decode_since(values: np.ndarray, units: str, calendar: str = "", *, where: str = "time") -> np.ndarray:
    """CF times to datetime64[ns] in UTC; NaN and masked become NaT.

    Args:
        values: numbers, any shape.
        units: "<unit> since <reference> [zone]".
        calendar: CF calendar; only those of the real world can be paired with observations.
        where: file and variable, for messages.

    Raises:
        DataError: unit, reference or calendar cannot be used, or a time lies outside 1678-2262.
    """
    calendar = str(calendar).lower()
    if calendar not in _REAL_CALENDARS:
        raise DataError(
            f"{where}: calendar {calendar!r} has days that the real calendar has not",
            hint="convert it first, for example with `cdo setcalendar,standard` or xarray's convert_calendar",
        )
    unit, reference = re.split(r"\s+since\s+", units.strip(), maxsplit=1)
    start = _reference(reference, calendar, where=f"{where}: units {units!r}")
    unit = unit if unit in NANOSECONDS else unit.lower()
    if unit.rstrip("s") in ("month", "year"):
        return _calendar_steps(values, unit.rstrip("s"), start, where=f"{where}: units {units!r}")
    if unit not in NANOSECONDS:
        raise DataError(
            f"{where}: unknown time unit in {units!r}", hint=suggest(unit, ["seconds", "minutes", "hours", "days"])
        )
    offsets, missing = _offsets(np.asarray(values), NANOSECONDS[unit])
    return _bounded(start, offsets, missing, where)


def _offsets(values: np.ndarray, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """Microseconds after the reference, and the mask of missing values."""
    if values.dtype.kind in "iu":
        if scale >= 1000:
            return values.astype(np.int64) * (scale // 1000), np.zeros(values.shape, bool)
        return values.astype(np.int64) // (1000 // scale), np.zeros(values.shape, bool)
    numbers = values.astype(np.float64)
    missing = ~np.isfinite(numbers) | (np.abs(numbers) >= 9e18)  # fill values
    # Float days carry about a microsecond of rounding, float32 hours more: whole milliseconds are meant.
    milliseconds = np.rint(np.where(missing, 0.0, numbers) * (scale / 10**6))
    return np.clip(milliseconds, -9e15, 9e15).astype(np.int64) * 1000, missing


def _bounded(start: np.datetime64, offsets: np.ndarray, missing: np.ndarray, where: str) -> np.ndarray:
    """start + offsets [us] as datetime64[ns]."""
    times = start + offsets.astype("timedelta64[us]")
    outside = ~missing & ((times < _EARLIEST) | (times >= _LATEST))
    if outside.any():
        example = np.atleast_1d(times[outside] if times.ndim else times)[0]
        raise DataError(
            f"{where}: {example} lies outside 1678-2262", hint="check the units attribute and the missing values"
        )
    times = np.where(missing, np.datetime64("NaT"), times)
    return times.astype("datetime64[ns]")


def _reference(text: str, calendar: str, *, where: str) -> np.datetime64:
    """The reference instant in UTC, datetime64[us]."""
    compact = re.fullmatch(r"(\d{4})(\d{2})(\d{2})(.*)", text.strip())
    match = _REFERENCE.match("-".join(compact.groups()[:3]) + compact[4] if compact else text.strip())
    if match is None:
        raise DataError(
            f"{where}: the reference time cannot be read", hint='accepted: "hours since 2020-01-01 00:00:00"'
        )
    year, month, day, hour, minute = (int(match[i] or 0) for i in range(1, 6))
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour <= 24):
        raise DataError(f"{where}: the reference time is no date", hint='accepted: "hours since 2020-01-01 00:00:00"')
    start = np.datetime64(f"{year:04d}-{month:02d}", "D") + np.timedelta64(day - 1, "D")
    if calendar != "proleptic_gregorian" and (year, month, day) < (1582, 10, 15):
        # The CF standard calendar is Julian before 15 October 1582; numpy's is Gregorian throughout.
        start = np.datetime64(_julian_day(year, month, day) - 2440588, "D")
    microseconds = ((hour * 60 + minute) * 60 + float(match[6] or 0)) * 1e6
    offset = offset_of(match[7]) if match[7] else timedelta(0)
    return start.astype("datetime64[us]") + np.timedelta64(round(microseconds), "us") - np.timedelta64(offset)


def _julian_day(year: int, month: int, day: int) -> int:
    """Julian day number of a date of the Julian calendar (Meeus 1998, chapter 7)."""
    if month <= 2:
        year, month = year - 1, month + 12
    return int(np.floor(365.25 * (year + 4716))) + int(30.6001 * (month + 1)) + day - 1524


def _calendar_steps(values: np.ndarray, unit: str, start: np.datetime64, *, where: str) -> np.ndarray:
    """Whole months or years after a reference on the first of a month."""
    numbers = np.asarray(values, dtype=np.float64)
    if not np.isfinite(numbers).all() or (numbers != np.rint(numbers)).any() or start != start.astype("datetime64[M]"):
        raise DataError(f"{where}: fractional {unit}s have no fixed length", hint="write the times in days")
    months = numbers.astype(np.int64) * (12 if unit == "year" else 1)
    return (start.astype("datetime64[M]") + months.astype("timedelta64[M]")).astype("datetime64[ns]")


def decode_duration(values: np.ndarray, units: str, *, where: str) -> np.ndarray:
    """Numbers with a unit of time to timedelta64[ns], any shape."""
    unit = units.strip() if units.strip() in NANOSECONDS else units.strip().lower()
    if unit.rstrip("s") in ("month", "year", "season"):
        raise DataError(f"{where}: {unit} have no fixed length", hint="write the lead times in days or hours")
    if unit not in NANOSECONDS:
        raise DataError(
            f"{where}: unknown unit {units!r} of a lead time",
            hint=suggest(unit, ["seconds", "minutes", "hours", "days"]),
        )
    offsets, missing = _offsets(np.asarray(values), NANOSECONDS[unit])
    spans = np.where(missing, np.timedelta64("NaT"), offsets.astype("timedelta64[us]"))
    if (np.abs(offsets) > 9.2e15).any():
        raise DataError(
            f"{where}: a lead time exceeds 290 years", hint="check the units attribute and the missing values"
        )
    return spans.astype("timedelta64[ns]")


def decode_stamps(values: np.ndarray) -> np.ndarray | None:
    """Integers YYYYMMDD[HH[MM]] or seconds since 1970 to datetime64[ns]; None where they are neither."""
    numbers = np.asarray(values, dtype=np.float64)
    if (
        numbers.size == 0
        or not np.isfinite(numbers).all()
        or (numbers < 1e7).any()
        or (numbers != np.rint(numbers)).any()
    ):
        return None
    texts = pd.Series([str(int(number)) for number in numbers.ravel()])
    fields = _fields(texts, _COMPACT)
    if fields is not None:
        stamps = _instants(fields)
        if not np.isnat(stamps).any():
            return stamps.reshape(numbers.shape)
    if (numbers < 1e8).any() or (numbers > 4e9).any():
        return None
    return numbers.astype("int64").astype("datetime64[s]").astype("datetime64[ns]")


def offset_of(zone: str) -> timedelta:
    """A zone suffix ("Z", "+09:00", "KST") as the offset from UTC."""
    if zone in _ZONES or zone == "UTC":
        return timedelta(hours=9) if zone in ("KST", "JST") else timedelta(0)
    match = re.fullmatch(r"([+-]?)(\d{1,2}):?(\d{2})?", zone)
    minutes = int(match[2]) * 60 + int(match[3] or 0)
    return timedelta(minutes=-minutes if match[1] == "-" else minutes)


def zone_of(zone: str) -> tzinfo:
    """A zone option: "Asia/Seoul", "KST", "UTC" or "+09:00".

    Raises:
        DataError: no such zone.
    """
    text = str(zone).strip()
    if re.fullmatch(r"[+-]\d{1,2}(:?\d{2})?", text) and abs(offset_of(text)) < timedelta(days=1):
        return timezone(offset_of(text))
    if _ZONES.get(text.upper(), text.upper()) == "UTC":
        return UTC
    try:
        return zoneinfo.ZoneInfo(_ZONES.get(text.upper(), text))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        known = sorted(zoneinfo.available_timezones() | set(_ZONES))
        raise DataError(
            f"unknown time zone {zone!r}", hint=f'{suggest(text, known)}; or an offset such as "+09:00"'
        ) from error


def parse_times(column, *, zone: str | None = None, path="", name: str = "time") -> pd.DatetimeIndex:
    """Read a column of times as naive UTC.

    Args:
        column: text or numbers [n]; the index of a Series named "line" gives line numbers for messages.
        zone: zone of the times that carry none; None means UTC.
        path: file, for messages.
        name: column, for messages.

    Raises:
        DataError: unknown zone; a cell is empty or no time; some times carry a zone and others do not; a wall-clock
            time that occurs twice or never in the zone.
    """
    texts = _texts(column)
    where = f"{path}: column {name!r}" if str(path) else f"column {name!r}"
    tz = zone_of(zone) if zone is not None else None
    if len(texts) == 0:
        return pd.DatetimeIndex([], dtype="datetime64[ns]")
    best = _best_fields(texts)
    if best is None:
        return _epoch(texts, where)
    stamps = _instants(best)
    _refuse_unread(texts, np.isnat(stamps), where)
    suffixes = best[7].fillna("")
    aware = (suffixes != "").to_numpy()
    if aware.any() and not aware.all():
        first, second = int(np.argmax(aware)), int(np.argmin(aware))
        raise DataError(
            f"{where} mixes times with and without a zone: {_row(texts, first)} and {_row(texts, second)}",
            hint="write one form throughout",
        )
    if aware.all():
        offsets = {text: np.timedelta64(offset_of(text)) for text in suffixes.unique()}
        return pd.DatetimeIndex(stamps - suffixes.map(offsets).to_numpy("timedelta64[ns]"))
    return _to_utc(pd.DatetimeIndex(stamps), tz, texts, where, zone)


def _texts(column) -> pd.Series:
    """Cells as trimmed text; whole floats without ".0"."""
    series = column if isinstance(column, pd.Series) else pd.Series(np.asarray(column))
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return series.map(lambda value: "" if pd.isna(value) else pd.Timestamp(value).isoformat(sep=" "))
    if pd.api.types.is_numeric_dtype(series.dtype):
        return series.map(
            lambda value: "" if pd.isna(value) else f"{value:.0f}" if float(value).is_integer() else str(value)
        )
    texts = series.map(lambda value: "" if value is None or value is pd.NA or value != value else str(value).strip())
    # "2022년 7월 1일 13시" and a trailing ".0" of times that passed through floats
    texts = (
        texts.str.replace(r"[년월]\s*", "-", regex=True).str.replace("일", " ").str.replace(r"시\s*", ":00", regex=True)
    )
    return texts.str.replace(r"^(\d{8,14})\.0+$", r"\1", regex=True).str.strip()


def _fields(texts: pd.Series, pattern: str) -> pd.DataFrame | None:
    """Year, month, day, hour, minute, second, fraction, zone as text [n, 8]; None if nothing matches."""
    found = texts.astype(object).str.extract(pattern, flags=re.IGNORECASE)
    found.columns = range(8)
    if found[0].isna().all():
        return None
    found[7] = found[7].str.upper()
    return found


def _best_fields(texts: pd.Series) -> pd.DataFrame | None:
    """The reading, separated or compact, that understands more cells; None for epoch seconds."""
    readings = [fields for fields in (_fields(texts, _SEPARATED), _fields(texts, _COMPACT)) if fields is not None]
    if not readings:
        return None if texts.str.fullmatch(r"\d{9,13}(\.\d+)?").all() else _fields_of_nothing(texts)
    best = max(readings, key=lambda fields: int(fields[0].notna().sum()))
    if texts.str.fullmatch(r"\d{10}").all() and np.isnat(_instants(best)).any():
        return None
    return best


def _fields_of_nothing(texts: pd.Series) -> pd.DataFrame:
    return pd.DataFrame(None, index=texts.index, columns=range(8), dtype=object)


def _instants(fields: pd.DataFrame) -> np.ndarray:
    """Wall-clock datetime64[ns]; NaT where a field is missing or out of range. Hour 24 is the next day's 00."""
    numbers = {i: pd.to_numeric(fields[i].fillna("0" if i > 2 else ""), errors="coerce") for i in range(6)}
    dates = pd.to_datetime(pd.DataFrame({"year": numbers[0], "month": numbers[1], "day": numbers[2]}), errors="coerce")
    hour, minute, second = (numbers[i].to_numpy(float) for i in (3, 4, 5))
    valid = (hour < 24) & (minute < 60) & (second < 61) | ((hour == 24) & (minute == 0) & (second == 0))
    fraction = fields[6].fillna("").map(lambda digits: int((str(digits) + "000000000")[:9])).to_numpy("int64")
    seconds = np.where(valid, hour * 3600 + minute * 60 + second, 0).astype("int64")
    instants = dates.to_numpy("datetime64[ns]") + (seconds * 10**9 + fraction).astype("timedelta64[ns]")
    instants[~valid] = np.datetime64("NaT")
    return instants


def _epoch(texts: pd.Series, where: str) -> pd.DatetimeIndex:
    """Seconds (or, with 13 digits, milliseconds) since 1970-01-01 UTC."""
    numbers = texts.astype(float).to_numpy()
    if (numbers >= 1e11).all():
        numbers = numbers / 1000.0
    if (numbers >= 4.2e9).any():
        raise DataError(
            f"{where}: {_row(texts, int(np.argmax(numbers)))} is no time", hint="write times as 2022-07-01 13:00"
        )
    return pd.DatetimeIndex((np.rint(numbers * 1000).astype("int64") * 10**6).astype("datetime64[ns]"))


def _refuse_unread(texts: pd.Series, bad: np.ndarray, where: str) -> None:
    if not bad.any():
        return
    first = int(np.argmax(bad))
    found = (
        "is empty" if texts.iloc[first] == "" else f"is no time ({int(bad.sum())} of {len(bad)} cells cannot be read)"
    )
    raise DataError(
        f"{where}: {_row(texts, first)} {found}", hint='accepted: "2022-07-01 13:00", "2022-07-01T13:00Z", "2022070113"'
    )


def _to_utc(
    wall: pd.DatetimeIndex, tz: tzinfo | None, texts: pd.Series, where: str, zone: str | None
) -> pd.DatetimeIndex:
    """Wall-clock times of a zone as naive UTC."""
    if tz is None:
        return wall
    try:
        # Both passes through the repeated hour are present and in order: their order tells them apart.
        local = wall.tz_localize(tz, ambiguous="infer", nonexistent="raise")
    except ValueError:
        local = wall.tz_localize(tz, ambiguous="NaT", nonexistent="NaT")
    bad = np.asarray(local.isna())
    if bad.any():
        raise DataError(
            f"{where}: {_row(texts, int(np.argmax(bad)))} occurs twice or never in {zone} (clock change)",
            hint='write the times in UTC, or with their offset ("2022-10-30 02:30+01:00")',
        )
    return local.tz_convert("UTC").tz_localize(None).as_unit("ns")


def _row(texts: pd.Series, position: int) -> str:
    """The cell and where it stands, for messages."""
    label = f"line {texts.index[position]}" if texts.index.name == "line" else f"row {position + 1}"
    return f"{texts.iloc[position]!r} ({label})"
