"""Real spectra against the survey's catalogue."""

import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy.bench.spectra_check import rows


def test_without_spectra(tmp_path):
    with pytest.raises(DataError, match="sdss_matched10"):
        rows(tmp_path)


def test_lines_and_colours_of_the_catalogue(galaxy_data):
    found = {row["quantity"]: row for row in rows(galaxy_data)}
    assert found["nii_6584 flux ratio"]["median"] == pytest.approx(1.0, abs=0.05)
    assert found["h_alpha error ratio"]["median"] == pytest.approx(1.0, abs=0.3)
    assert abs(found["r - i [mag]"]["median"]) < 0.02
    assert abs(found["dn4000 data - stars"]["median"]) < 0.05
    # the survey divides by its stars at the bottom of the absorption, and leaves too much of H beta in them
    assert found["h_alpha ew ratio"]["median"] < 0.9
    assert found["h_alpha ew ratio, level in the absorption"]["median"] == pytest.approx(1.0, abs=0.06)
    assert abs(found["h_beta ew without emission [A]"]["median"]) < 0.4
    assert found["h_beta ew without emission, survey [A]"]["median"] < -0.6
