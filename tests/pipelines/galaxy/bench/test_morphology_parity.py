"""Agreement with statmorph on a few real galaxies."""

import pytest

from sciml.pipelines.galaxy.bench.morphology_parity import rows


def test_without_files_there_is_nothing_to_compare(tmp_path):
    assert rows(tmp_path) == []


@pytest.mark.slow
def test_real_galaxies_agree(galaxy_data):
    pytest.importorskip("statmorph")
    found = rows(galaxy_data, n=4, rounds=1)
    assert found and all(row["galaxies"] <= 4 and row["gini"] >= 0.75 for row in found if row["compared"])
