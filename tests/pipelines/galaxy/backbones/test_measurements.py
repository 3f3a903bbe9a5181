"""What is measured of one band: finite for a galaxy, NaN for noise, free of distance and exposure."""

import numpy as np
import pytest

from sciml.pipelines.galaxy.backbones.measurements import COLUMNS, measure_band


@pytest.fixture(scope="module")
def measured():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64] - 31.5
    galaxy = 50.0 * np.exp(-np.hypot(x, 1.5 * y) / 4.0)
    noise = rng.normal(0, 0.1, (64, 64))
    images = [galaxy + noise, 30.0 * (galaxy + noise), noise, np.full((64, 64), np.nan), np.zeros((64, 64))]
    return measure_band(np.stack(images).astype(np.float32))


def test_a_galaxy_has_every_measurement_and_noise_has_none(measured):
    assert measured.shape == (5, len(COLUMNS)) and np.isfinite(measured[0]).all()
    assert not np.isfinite(measured[3:]).any()


def test_exposure_does_not_enter(measured):
    assert measured[1] == pytest.approx(measured[0], rel=0.02, abs=0.02)


def test_an_exponential_disc_is_found(measured):
    disc = dict(zip(COLUMNS, measured[0], strict=True))
    assert disc["sersic_n"] == pytest.approx(1.0, abs=0.1)
    assert disc["sersic_ellip"] == pytest.approx(1.0 / 3.0, abs=0.05)
    assert abs(disc["asymmetry"]) < 0.1 and 2.0 < disc["concentration"] < 3.5
