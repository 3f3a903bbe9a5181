"""Numbers and text to UTC."""

import contextlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciml.pipelines.errors import DataError, ScimlError
from sciml.pipelines.readers import times

NOON = np.datetime64("2020-01-01T12:00", "ns")


@pytest.mark.parametrize(
    ("value", "units"),
    [
        (12, "hours since 2020-01-01"),
        (12.0, "hours since 2020-01-01 00:00:00"),
        (12, "hours since 2020-01-01 00:00:00 +00:00"),
        (12, "hours since 2020-01-01 00:00:00 UTC"),
        (12, "hours since 2020-01-01T00:00:00Z"),
        (12, "hours since 2020-01-01 00:00:00.0 0:00"),
        (12, "hours since 2020-01-01 09:00:00 +09:00"),
        (0.5, "days since 2020-1-1"),
        (720, "minutes since 2020-01-01 00:00"),
        (1577880000, "seconds since 1970-01-01"),
        (1577880000000, "milliseconds since 1970-01-01"),
        (1051908, "hours since 1900-01-01 00:00:00.0"),
        (12, "Hours since 20200101"),
    ],
)
def test_cf_units(value, units):
    assert times.decode_since(np.array(value), units) == NOON


def test_cf_standard_calendar_is_julian_before_1582():
    """ "days since 1-1-1" of NOAA files: two days between the calendars."""
    assert times.decode_since(np.array(737426), "days since 0001-01-01", "standard") == np.datetime64("2020-01-03") - 2
    gregorian = times.decode_since(np.array(737424), "days since 0001-01-01", "proleptic_gregorian")
    assert gregorian == np.datetime64("2020-01-01")


def test_months_since():
    decoded = times.decode_since(np.array([0, 13]), "months since 2019-01-01")
    assert decoded.astype("datetime64[M]").tolist() == np.array(["2019-01", "2020-02"], "datetime64[M]").tolist()
    with pytest.raises(DataError, match="fixed length"):
        times.decode_since(np.array([0.5]), "months since 2019-01-01")


def test_missing_times_are_nat():
    assert np.isnat(times.decode_since(np.array([0.0, np.nan]), "hours since 2020-01-01")).tolist() == [False, True]


@pytest.mark.parametrize("calendar", ["360_day", "noleap", "julian"])
def test_model_calendars_are_refused(calendar):
    with pytest.raises(DataError, match=calendar):
        times.decode_since(np.array([0]), "days since 2020-01-01", calendar)


@pytest.mark.parametrize("units", ["hours since yesterday", "hours since 2020-13-40", "fortnights since 2020-01-01"])
def test_undecodable_units_are_named(units):
    with pytest.raises(DataError, match="t2m.nc"):
        times.decode_since(np.array([0]), units, where="t2m.nc: 'time'")


def test_times_out_of_range():
    with pytest.raises(DataError, match="1678"):
        times.decode_since(np.array([9.0e9]), "days since 2020-01-01")


def test_durations():
    assert times.decode_duration(np.array([1, 24]), "hours", where="x")[1] == np.timedelta64(1, "D")
    with pytest.raises(DataError, match="parsecs"):
        times.decode_duration(np.array([1]), "parsecs", where="x")


@pytest.mark.parametrize("stamp", [20200101, 2020010112, 202001011200, 1577880000])
def test_stamps_without_units(stamp):
    expected = np.datetime64("2020-01-01", "ns") if stamp == 20200101 else NOON
    assert times.decode_stamps(np.array([stamp]))[0] == expected


@pytest.mark.parametrize("values", [[0, 1, 2], [0.5], [np.nan], []])
def test_plain_indices_are_no_times(values):
    assert times.decode_stamps(np.array(values)) is None


@pytest.mark.parametrize(
    "text",
    [
        "2020-01-01 12:00",
        "2020-01-01T12:00:00",
        "2020-01-01T12:00Z",
        "2020-01-01 12:00 UTC",
        "2020-01-01T21:00+09:00",
        "2020-01-01T21:00+0900",
        "2020-01-01 21:00 KST",
        "2020/01/01 12:00",
        "2020.01.01 12:00",
        "2020-1-1 12:00:00.000",
        "2020010112",
        "202001011200",
        "20200101T1200",
        "20200101 12:00",
        "2020년 1월 1일 12시",
        "1577880000",
        "1577880000000",
        "2020-01-01 12",
        "2020010112.0",
    ],
)
def test_text(text):
    assert times.parse_times([text])[0] == pd.Timestamp(NOON)


def test_hour_24_is_the_next_day():
    parsed = times.parse_times(["2019-12-31 23:00", "2019-12-31 24:00", "2020-01-01 01:00"])
    assert parsed[1] == pd.Timestamp("2020-01-01") and parsed.is_monotonic_increasing


def test_dates_with_numbers():
    assert times.parse_times(pd.Series([20200101, 20200102]))[1] == pd.Timestamp("2020-01-02")


@pytest.mark.parametrize("zone", ["Asia/Seoul", "KST", "+09:00", "+9", "+0900"])
def test_naive_times_of_a_zone(zone):
    assert times.parse_times(["2020-01-01 21:00"], zone=zone)[0] == pd.Timestamp(NOON)


def test_stated_zone_wins_over_the_option():
    assert times.parse_times(["2020-01-01T12:00Z"], zone="Asia/Seoul")[0] == pd.Timestamp(NOON)


def test_mixed_zones_show_both_rows():
    with pytest.raises(DataError, match="mixes") as caught:
        times.parse_times(["2020-01-01 00:00", "2020-01-01 01:00Z"], path="obs.csv", name="valid_time")
    assert "row 1" in str(caught.value) and "row 2" in str(caught.value)


def test_unread_cell_has_its_line():
    column = pd.Series(["2020-01-01", "yesterday"], index=pd.Index([2, 5], name="line"))
    with pytest.raises(DataError, match=r"'yesterday' \(line 5\)"):
        times.parse_times(column, path="obs.csv", name="date")


@pytest.mark.parametrize("text", ["2020-02-30", "2020-01-01 25:00", "31/01/2020", "", "2020-13-01", "99"])
def test_no_times(text):
    with pytest.raises(DataError):
        times.parse_times(["2020-01-01", text])


def test_unknown_zone_suggests():
    with pytest.raises(DataError, match="Asia/Soul") as caught:
        times.parse_times(["2020-01-01"], zone="Asia/Soul")
    assert "Asia/Seoul" in caught.value.hint


def test_clock_change():
    """02:30 occurs twice on 25 October 2020 in Berlin: alone it cannot be told, in a full series it can."""
    with pytest.raises(DataError, match="clock change"):
        times.parse_times(["2020-10-25 02:30"], zone="Europe/Berlin")
    series = ["2020-10-25 01:00", "2020-10-25 02:00", "2020-10-25 02:00", "2020-10-25 03:00"]
    parsed = times.parse_times(series, zone="Europe/Berlin")
    assert parsed.hour.tolist() == [23, 0, 1, 2]


@given(st.datetimes(pd.Timestamp("1900-01-01").to_pydatetime(), pd.Timestamp("2100-01-01").to_pydatetime()))
def test_iso_round_trip(moment):
    moment = moment.replace(microsecond=0)
    assert times.parse_times([moment.isoformat()])[0] == pd.Timestamp(moment)


@given(st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_any_text_ends_in_times_or_a_data_error(texts):
    with contextlib.suppress(ScimlError):
        times.parse_times(texts)
