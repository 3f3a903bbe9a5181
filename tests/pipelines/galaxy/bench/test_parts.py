"""Every part the settings accept is measured by a function and shown by columns its rows have."""

import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy.bench import parts
from sciml.pipelines.galaxy.bench_settings import PARTS, BenchGalaxy
from sciml.pipelines.progress import Progress


def test_every_part_has_a_function_and_columns():
    assert tuple(parts.SHOWN) == PARTS == parts._MEASURES.names()
    assert all(callable(parts._MEASURES.get(part)) for part in PARTS)


def test_columns_are_those_of_the_rows():
    settings = BenchGalaxy(parts=("simulator",), simulate=80, seeds=(4,))
    (row,) = parts.measure("simulator", settings, Progress())
    assert set(parts.SHOWN["simulator"].columns) <= row.keys()


@pytest.mark.parametrize(
    "part, words", [("parity", "real sets"), ("spectra", "sdss_matched10"), ("forest", "no such file")]
)
def test_files_that_are_not_there_are_named(tmp_path, part, words):
    if part == "parity":
        pytest.importorskip("statmorph")
    settings = BenchGalaxy(parts=(part,), data=tmp_path, table=tmp_path / "t.csv", label="kind")
    with pytest.raises(DataError, match=words):
        list(parts.measure(part, settings, Progress()))
