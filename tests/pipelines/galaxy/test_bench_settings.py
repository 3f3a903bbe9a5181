"""Settings of the bench are checked when they are made."""

from pathlib import Path

import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.bench_settings import BenchGalaxy


@pytest.mark.parametrize(
    "given, words",
    [
        ({"parts": ("speed",)}, "--parts speed: expected any of throughput, morphology"),
        ({"steps": 0}, "--steps 0"),
        ({"workers": -1}, "--workers -1"),
        ({"backbones": ()}, "at least one"),
        ({"parts": ("spectra",)}, "--parts spectra: name the folder of real galaxies with --data"),
        ({"parts": ("forest",), "table": Path("t.csv")}, "with --table and its class with --label"),
        ({"folds": 1}, "--folds 1"),
        ({"seeds": ()}, "--seeds"),
    ],
)
def test_what_cannot_be_measured_is_refused(given, words):
    with pytest.raises(SettingsError, match=words):
        BenchGalaxy(**given)


def test_rows_of_several_parts_are_files_beside_each_other():
    assert BenchGalaxy().file_of("throughput") is None
    assert BenchGalaxy(parts=("simulator",), csv=Path("a/b.csv")).file_of("simulator") == Path("a/b.csv")
    assert BenchGalaxy(csv=Path("a/b.csv")).file_of("morphology") == Path("a/b-morphology.csv")
