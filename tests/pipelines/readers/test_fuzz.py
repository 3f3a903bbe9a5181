"""Whatever a file holds, only an error with a message comes out."""

import contextlib
import random
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sciml.pipelines.errors import ScimlError
from sciml.pipelines.readers.forecast import open_forecast
from sciml.pipelines.readers.layouts import forecast_like
from sciml.pipelines.readers.stations import read_observations

FAST = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MAGIC = st.sampled_from(
    [b"", b"CDF\x01", b"CDF\x02", b"\x89HDF\r\n\x1a\n", b"time,t2m\n", b"\xff\xfe", b"GRIB", b"PK\x03\x04"]
)


def only_sciml_errors(read, path) -> None:
    with contextlib.suppress(ScimlError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read(path)


@FAST
@given(MAGIC, st.binary(max_size=400))
def test_random_bytes(tmp_path, magic, content):
    path = tmp_path / "x"
    path.write_bytes(magic + content)
    only_sciml_errors(open_forecast, path)
    only_sciml_errors(read_observations, path)


@pytest.mark.parametrize("layout", ["wrf", "sciml", "verif"])
def test_damaged_netcdf(tmp_path, layout):
    """Truncations of both formats; flipped bytes of NetCDF-3 headers (HDF5 guards its own metadata)."""
    forecast_like(tmp_path / "x.nc", layout=layout)
    sound = (tmp_path / "x.nc").read_bytes()
    dice = random.Random(0)
    for _ in range(25):
        damaged = bytearray(sound[: dice.randrange(8, len(sound))])
        if layout != "sciml" and dice.random() < 0.6:
            damaged = bytearray(sound)
            for _ in range(3):
                damaged[dice.randrange(4, min(900, len(damaged)))] = dice.randrange(256)
        (tmp_path / "y.nc").write_bytes(damaged)
        only_sciml_errors(open_forecast, tmp_path / "y.nc")
        only_sciml_errors(read_observations, tmp_path / "y.nc")


CELLS = st.sampled_from(
    [
        "",
        "1",
        "-3.5",
        "NaN",
        "1e400",
        "T",
        "2020-01-01",
        "2020-01-01 24:00",
        "x",
        "0x1F",
        '"',
        "1,5",
        "기온",
        "-999",
        "inf",
    ]
)
HEADERS = st.lists(
    st.sampled_from(
        ["time", "date", "hour", "station", "t2m", "기온(°C)", "wp1", "wp2", "lat", "", "year", "month", "day"]
    ),
    min_size=1,
    max_size=5,
)


@FAST
@given(HEADERS, st.lists(st.lists(CELLS, min_size=1, max_size=5), max_size=6), st.sampled_from([",", ";", "\t", " "]))
def test_tables(tmp_path, header, rows, delimiter):
    path = tmp_path / "x.csv"
    path.write_text("\n".join(delimiter.join(row) for row in [header, *rows]), encoding="utf-8")
    only_sciml_errors(read_observations, path)
    only_sciml_errors(lambda p: read_observations(p, stations=["1", "2"], zone="Asia/Seoul"), path)


@FAST
@given(st.data())
def test_mutations_of_a_sound_table(tmp_path, data):
    text = list(
        "valid_time,station,t2m [degC]\n2020-01-01 00:00,1,3.5\n2020-01-01 01:00,1,3.0\n2020-01-01 00:00,2,NA\n"
    )
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.characters(codec="utf-8"))
    path = tmp_path / "x.csv"
    path.write_text("".join(text), encoding="utf-8")
    only_sciml_errors(read_observations, path)


def test_sound_files_pass_through_the_same_door(tmp_path):
    forecast_like(tmp_path / "x.nc")
    assert np.isfinite(open_forecast(tmp_path / "x.nc")["2m_temperature"]).all()
