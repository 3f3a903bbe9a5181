"""Delimited text of every encoding and habit."""

import unicodedata

import numpy as np
import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.readers.table import read_table

KMA = (
    "지점,지점명,일시,기온(°C),풍속(m/s),강수량(mm)\n"
    "108,서울,2022-07-01 01:00,24.1,2.0,\n"
    "108,서울,2022-07-01 02:00,23.9,1.8,0.5\n"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp949", "euc-kr"])
def test_encodings(write, encoding):
    text = KMA.replace("°C", "℃")
    table = read_table(write("obs.csv", text, encoding))
    assert list(table.columns)[:3] == ["지점", "지점명", "일시"] and table["지점명"].iloc[0] == "서울"
    assert table["기온(℃)"].tolist() == [24.1, 23.9] and table.index.tolist() == [2, 3]


def test_latin_degree_sign(write):
    """ "°C" in latin-1 is also a syllable of cp949."""
    table = read_table(write("obs.csv", "time,t (°C)\n2020-01-01,1\n", "latin-1"))
    assert list(table.columns) == ["time", "t (°C)"]


def test_decomposed_hangul(write):
    table = read_table(write("obs.csv", unicodedata.normalize("NFD", KMA)))
    assert "지점명" in table.columns and table["지점명"].iloc[0] == "서울"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", " ", ", "])
def test_delimiters(write, delimiter):
    rows = [["time", "t2m", "u10"], ["2020-01-01", "1.5", "2"], ["2020-01-02", "2.5", "3"]]
    table = read_table(write("obs.csv", "\n".join(delimiter.join(row) for row in rows)))
    assert table["t2m"].tolist() == [1.5, 2.5] and table["u10"].dtype == np.int64


def test_decimal_comma(write):
    assert read_table(write("obs.csv", "time;t2m\n2020-01-01;1,5\n"))["t2m"].tolist() == [1.5]


def test_quotes_comments_and_blank_lines(write):
    table = read_table(
        write("obs.csv", '# station 108\n\n"time","name, place","t2m"\n"2020-01-01","Seoul, Korea","1"\n\n')
    )
    assert table["name, place"].tolist() == ["Seoul, Korea"] and table.index.tolist() == [4]


@pytest.mark.parametrize("marker", ["", "NA", "NaN", "M", "-999", "-9999.0", "null", "--"])
def test_missing_markers(write, marker):
    table = read_table(write("obs.csv", f"time,t2m,x\n2020-01-01,1.5,1\n2020-01-02,{marker},1\n"))
    assert np.isnan(table["t2m"].iloc[1]) and table["t2m"].dtype == np.float64


def test_cold_days_are_no_missing_marker(write):
    assert read_table(write("obs.csv", "time,t2m\n2020-01-01,-9\n2020-01-02,-99\n"))["t2m"].tolist() == [-9, -99]


def test_trace_of_rain(write):
    table = read_table(write("obs.csv", "time,p01i\n2020-01-01,T\n2020-01-02,0.1\n"))
    assert table["p01i"].tolist() == [0.0, 0.1] and "trace" in table.attrs["sciml_notes"][0]


def test_leading_zeros_are_identifiers(write):
    assert read_table(write("obs.csv", "time,station,t2m\n2020-01-01,047,1\n"))["station"].tolist() == ["047"]


def test_no_break_space(write):
    assert read_table(write("obs.csv", "time,\xa0t2m\n2020-01-01,\xa01.5\n"))["t2m"].tolist() == [1.5]


def test_summary_rows_are_left_out(write):
    table = read_table(write("obs.csv", "station,Date,t\n1,2013-06-30,20.0\n,,11.3\n,,38.9\n"))
    assert len(table) == 1 and "2 rows at the end" in table.attrs["sciml_notes"][0]


def test_uci_table(real_data):
    table = read_table(real_data / "kd" / "ldaps_seoul" / "Bias_correction_ucl.csv")
    assert table.shape == (7750, 25) and "line 7752" in table.attrs["sciml_notes"][0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("time,t2m\n", "no rows"),
        ("", "empty"),
        ("\n\n# c\n", "only blank lines"),
        ("time,t,t\n1,2,3\n", "'t' occurs 2 times"),
        ("time,t2m\n2020-01-01,1\n2020-01-02,1,2,3\n", "line 3 has 4 cells"),
        ("time,t2m\n2020-01-01\n", "line 2 has 1 cells"),
        ("1,2\n3,4\n", "no header"),
        (b"\x89HDF\r\n\x1a\n\0\0", "hdf5"),
        (b"PK\x03\x04", "zip"),
        (b"\x00\x01\x02", "no known"),
        ("time,t2m\n,1\n,2\n", "empty in every row"),
    ],
)
def test_refusals(write, content, words):
    with pytest.raises(DataError, match=words):
        read_table(write("obs.csv", content))
