"""statmorph as an engine: its values, its flags, and its failures."""

import numpy as np
import pytest

pytest.importorskip("statmorph")

from sciml.pipelines.galaxy.morphology.definitions import BITS, flag_of
from sciml.pipelines.galaxy.morphology.peer import Source, measure_source, measure_sources
from sciml.pipelines.galaxy.morphology.table import COLUMNS


def test_rows_hold_every_column(statmorph_rows):
    for row in statmorph_rows:
        assert set(COLUMNS) <= set(row) and flag_of(row["reasons"]) <= 2
        assert 0 < row["gini"] < 1 and -99 not in row.values()


def test_nothing_to_measure_is_catastrophic():
    image, segmap = -np.ones((60, 60)), np.zeros((60, 60), dtype=int)
    segmap[20:40, 20:40] = 1
    row = measure_source(Source(image, segmap, 1, gain=1.0))
    assert row["reasons"] == BITS["no_flux"] and np.isnan(row["gini"]) and row["flag_sersic"] == 4


def test_a_failure_is_a_row():
    row = measure_source(Source(np.ones((20, 20)), np.zeros((20, 20), dtype=int), 1, gain=1.0))
    assert row["reasons"] == BITS["failed"] and np.isnan(row["asymmetry"])


def test_without_errors_the_sky_gives_them(galaxies, statmorph_rows):
    one = Source(galaxies.images[0], galaxies.segmaps[0], galaxies.labels[0])
    counted = []
    columns = measure_sources([one], advance=counted.append)
    assert columns["gini"][0] == pytest.approx(statmorph_rows[0]["gini"]) and counted == [1]
    assert np.isfinite(columns["sersic_n"][0])


@pytest.mark.slow
def test_a_pool_gives_the_same(galaxies, statmorph_rows):
    sources = [
        Source(image, segmap, label, gain=galaxies.gain)
        for image, segmap, label in zip(galaxies.images[:4], galaxies.segmaps[:4], galaxies.labels[:4], strict=True)
    ]
    columns = measure_sources(sources, workers=2)
    assert columns["m20"] == pytest.approx([row["m20"] for row in statmorph_rows[:4]])
