"""The shapes of station tables."""

from pathlib import Path

import pandas as pd
import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.readers.station_table import match_key, shape, split_unit
from sciml.pipelines.readers.table import read_table


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("기온(°C)", ("기온", "°C")),
        ("t2m [degC]", ("t2m", "degC")),
        ("풍향(16방위)", ("풍향", "16방위")),
        ("t2m", ("t2m", "")),
        ("미세먼지(PM10)", ("미세먼지(PM10)", "")),
        ("roof (north)", ("roof (north)", "")),
        ("wp [%]", ("wp", "%")),
        ("일시(KST)", ("일시", "KST")),
    ],
)
def test_units_in_headers(header, expected):
    assert split_unit(header) == expected


@pytest.mark.parametrize("labels", [("001", 1, 1.0, "1"), ("Seoul", "seoul ", "SEOUL")])
def test_one_key_for_all_spellings(labels):
    assert len({match_key(label) for label in labels}) == 1


def shaped(write, text, stations=None, zone=None):
    notes: list[str] = []
    return shape(read_table(write("obs.csv", text)), Path("obs.csv"), stations, zone, notes), notes


def test_long(write):
    text = "time,station,t2m,lat\n2020-01-02,b,4,37\n2020-01-01,a,1,36\n2020-01-01,b,2,37\n"
    observed, _ = shaped(write, text)
    assert observed.stations == ["b", "a"] and observed.times.is_monotonic_increasing
    assert observed.fields["t2m"][:, 0].tolist() == [2.0, 4.0] and observed.places["latitude"].tolist() == [37.0, 36.0]


@pytest.mark.parametrize("columns", ["wp1,wp2", "wp_1,wp_2", "wp_01,wp_02", "1,2", "1_wp,2_wp"])
def test_wide_by_number(write, columns):
    observed, _ = shaped(write, f"time,{columns}\n2020-01-01,0.1,0.2\n", ["1", "2"])
    assert observed.stations == ["1", "2"] and next(iter(observed.fields.values())).tolist() == [[0.1, 0.2]]


def test_wide_without_known_stations(write):
    observed, _ = shaped(write, "time,wp1,wp2,wp3\n2020-01-01,1,2,3\n")
    assert observed.stations == ["1", "2", "3"] and list(observed.fields) == ["wp"]


def test_wide_by_district(write):
    text = "time,강남구_PM10,강남구_PM25,종로구_PM10,종로구_PM25\n2022-01-01,30,20,31,21\n"
    for stations in (None, ["강남구", "종로구"]):
        observed, _ = shaped(write, text, stations)
        assert observed.stations == ["강남구", "종로구"] and observed.fields["PM25"].tolist() == [[20.0, 21.0]]


def test_numbers_in_variable_names_are_no_stations(write):
    observed, _ = shaped(write, "time,pm10,pm25,u10,v10\n2022-01-01,30,20,1,2\n")
    assert observed.stations == ["site"] and set(observed.fields) == {"pm10", "pm25", "u10", "v10"}


@pytest.mark.parametrize(
    "text",
    [
        "day,time,t2m\n2022-07-01,13,1\n",
        "date,hour,t2m\n20220701,13,1\n",
        "date,time,t2m\n2022-07-01,13:00,1\n",
        "year,month,day,hour,t2m\n2022,7,1,13,1\n",
        "날짜,시간,기온\n2022-07-01,13,1\n",
        "일시,기온\n2022-07-01 13:00,1\n",
        "TM,TA\n202207011300,1\n",
    ],
)
def test_times_in_one_or_more_columns(write, text):
    assert shaped(write, text)[0].times[0] == pd.Timestamp("2022-07-01 13:00")


def test_hour_24(write):
    observed, _ = shaped(write, "day,time,t2m\n2022-06-30,24,1\n2022-07-01,1,2\n", zone="Asia/Seoul")
    assert observed.times[0] == pd.Timestamp("2022-06-30 15:00")


def test_repeats_show_their_lines(write):
    with pytest.raises(DataError, match="lines 2 and 4"):
        shaped(write, "time,station,t2m\n2020-01-01,a,1\n2020-01-01,b,1\n2020-01-01,a,2\n")
    with pytest.raises(DataError, match="lines 2 and 3") as caught:
        shaped(write, "time,t2m\n2020-01-01,1\n2020-01-01,2\n")
    assert "station" in caught.value.hint


def test_no_time_column(write):
    with pytest.raises(DataError, match="no time column; columns: a, b"):
        shaped(write, "a,b\nx,2\n")
