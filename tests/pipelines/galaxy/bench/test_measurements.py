"""The rows of the morphology bench come from both engines, or not at all."""

import pytest

from sciml.pipelines.galaxy.bench import measurements
from sciml.pipelines.galaxy.bench_settings import BenchGalaxy


@pytest.mark.slow
def test_rows():
    pytest.importorskip("statmorph")
    rows = list(measurements.measure(BenchGalaxy(galaxies=4, repeats=2)))
    assert len(rows) == 2 and all(r["galaxies"] == 4 and r["ratio"] > 1 for r in rows)


def test_without_statmorph_there_are_none(monkeypatch):
    monkeypatch.setattr(measurements.importlib.util, "find_spec", lambda name: None)
    assert list(measurements.measure(BenchGalaxy())) == []
