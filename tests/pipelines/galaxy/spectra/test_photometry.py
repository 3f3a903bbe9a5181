"""AB magnitudes of sources with known ones, and synthetic magnitudes of real spectra."""

import numpy as np
import pytest

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.galaxy.spectra.photometry import (
    LIGHT_SPEED_A,
    SDSS,
    absolute_magnitude,
    colour,
    magnitude,
    mean_level,
    read_response,
)

WAVE = np.arange(2800.0, 11500.0, 2.0)
FLAT = 3.6307805e-20 * LIGHT_SPEED_A / WAVE**2  # f_nu of AB magnitude zero, per angstrom


@pytest.mark.parametrize("band", SDSS)
def test_the_ab_source_has_magnitude_zero(band):
    assert magnitude(WAVE, FLAT, band) == pytest.approx(0.0, abs=1e-4)
    assert magnitude(WAVE, np.stack((FLAT, 100 * FLAT)), band)[1] == pytest.approx(-5.0, abs=1e-4)


def test_colours_and_the_k_correction():
    assert colour(WAVE, FLAT, ("g", "r")) == pytest.approx(0.0, abs=1e-4)
    assert colour(WAVE, FLAT * WAVE, ("g", "r")) == pytest.approx(2.5 * np.log10(6180 / 4720), abs=0.02)
    near, far = (absolute_magnitude(WAVE, FLAT, "r", z) for z in (0.0, 0.1))
    assert near - far == pytest.approx(2.5 * np.log10(1.1), abs=1e-3)  # flat f_nu: K = -2.5 log(1 + z)


def test_beyond_the_spectrum_there_is_no_magnitude():
    blue = WAVE < 9000
    assert np.isnan(magnitude(WAVE[blue], FLAT[blue], "z"))
    assert np.isfinite(magnitude(WAVE[blue], FLAT[blue], "i"))
    assert mean_level(WAVE, WAVE, 5000.0, 100.0) == pytest.approx(5000.0)


def test_a_user_curve(tmp_path):
    path = tmp_path / "v.txt"
    path.write_text("# A response\n5000 0\n5200 1\n5800 1\n6000 0\n")
    assert magnitude(WAVE, FLAT, "v", {"v": read_response(path)}) == pytest.approx(0.0, abs=1e-4)
    path.write_text("5000\n")
    with pytest.raises(DataError, match="response curve"):
        read_response(path)
    path.write_text("5000 0\n4000 1\n6000 0\n")
    with pytest.raises(DataError, match="increase"):
        read_response(path)
    with pytest.raises(SettingsError, match="no band"):
        magnitude(WAVE, FLAT, "v")


def test_synthetic_magnitudes_of_real_spectra(sdss):
    """SPECTROSYNFLUX (u g r i z nanomaggies) is the survey's own integration of the spectrum; its g starts before the spectrum does."""
    differences = []
    for one in sdss:
        official = 22.5 - 2.5 * np.log10(np.array([one.row[f"SPECTROSYNFLUX_{band}"] for band in range(5)], float))
        flux = np.nan_to_num(one.flux) * 1e-17
        mine = [float(magnitude(one.wavelength, flux, band)) for band in "gri"]
        differences.append((mine[0] - mine[1] - official[1] + official[2], mine[1] - mine[2] - official[2] + official[3],
                            mine[1] - official[2]))  # fmt: skip
    g_r, r_i, r = np.array(differences).T
    assert np.abs(r_i).max() < 0.015 and np.abs(r).max() < 0.02
    assert np.abs(np.median(g_r)) < 0.04 and np.abs(g_r).max() < 0.08
