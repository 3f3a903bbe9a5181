"""Closed forms: air and vacuum, conservation of flux, Gaussians that stay Gaussians."""

import numpy as np
import pytest

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.galaxy.spectra.spectrum import (
    LIGHT_SPEED,
    SDSS_STEP,
    air_to_vacuum,
    broaden,
    instrument_sigma,
    log_grid,
    resample,
    to_rest,
    vacuum_to_air,
)


def test_air_and_vacuum_wavelengths_of_known_lines():
    # H_beta, [O III], H_alpha: air and vacuum as tabulated by NIST and SDSS
    assert np.allclose(air_to_vacuum([4861.33, 5006.84, 6562.80]), [4862.68, 5008.24, 6564.61], atol=0.02)
    waves = np.linspace(3000, 10000, 50)
    assert np.allclose(vacuum_to_air(air_to_vacuum(waves)), waves, rtol=0, atol=1e-8)


def test_rest_frame_keeps_line_fluxes():
    wave = np.linspace(6000, 7000, 4001)
    flux = np.exp(-0.5 * ((wave - 6500) / 5) ** 2)
    rest, scaled, error = to_rest(wave, flux, 0.1, np.ones_like(flux))
    assert np.trapezoid(scaled, rest) == pytest.approx(np.trapezoid(flux, wave))
    assert error[0] == pytest.approx(1.1)


def test_resampling_conserves_flux_and_marks_what_is_beyond():
    rng = np.random.default_rng(0)
    wave = np.linspace(4000, 5000, 1001)
    flux = rng.random((3, 1001))
    target = np.arange(4100.5, 4900, 7.3)
    new = resample(wave, flux, target)
    inside = (wave > target[0] - 3.65) & (wave < target[-1] + 3.65)
    assert np.allclose(new.sum(-1) * 7.3, flux[:, inside].sum(-1), rtol=2e-3)
    assert np.isnan(resample(wave, flux, np.array([3990.0, 4000.0, 4010.0]))[:, 0]).all()
    assert np.allclose(resample(wave, np.full(1001, 2.0), target), 2.0)


def test_broadening_is_a_gaussian_in_velocity():
    wave = log_grid(4000, 7000)
    line = np.zeros(len(wave))
    line[3000 // 2] = 1.0
    smooth = broaden(line, 200.0)
    velocity = LIGHT_SPEED * np.log(wave / wave[1500])
    assert smooth.sum() == pytest.approx(1.0)
    assert np.sqrt((smooth * velocity**2).sum()) == pytest.approx(200.0, rel=1e-3)
    assert np.allclose(broaden(broaden(line, 120.0), 160.0), smooth, atol=1e-9)  # dispersions add in quadrature
    assert np.allclose(broaden(np.full(500, 3.0), 300.0), 3.0)
    both = broaden(np.stack((line, line)), np.array([0.0, 200.0]))
    assert np.allclose(both, np.stack((line, smooth)), atol=1e-9)


def test_what_is_refused():
    with pytest.raises(SettingsError, match="negative"):
        broaden(np.ones(10), -1.0)
    with pytest.raises(SettingsError, match="empty"):
        log_grid(5000, 4000)
    with pytest.raises(DataError, match="increasing"):
        resample(np.array([2.0, 1.0]), np.ones(2), np.array([1.0, 2.0]))


def test_sdss_pixel_and_resolution():
    assert LIGHT_SPEED * np.log(10) * SDSS_STEP == pytest.approx(69.03, abs=0.01)
    assert instrument_sigma(2000) == pytest.approx(63.66, abs=0.01)
