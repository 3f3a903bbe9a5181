"""A mixture that is known comes back, under lines and noise."""

import numpy as np
import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy.spectra.continuum import fit_continuum, line_mask
from sciml.pipelines.galaxy.spectra.dust import transmission
from sciml.pipelines.galaxy.spectra.lines import LINES
from sciml.pipelines.galaxy.spectra.spectrum import log_grid
from sciml.pipelines.galaxy.spectra.ssp import SspGrid

WAVE = log_grid(3850, 7200)


def grid() -> SspGrid:
    wave = np.arange(3500.0, 8000.0, 1.0)
    dips = np.sin(wave / 7.0) * np.sin(wave / 90.0)
    flux = [(wave / 5500) ** slope * (1 + depth * dips) for slope, depth in ((-2.5, 0.02), (-1.0, 0.1), (0.5, 0.3))]
    return SspGrid(wave, np.array([0.1, 1.0, 10.0]), np.array([0.02]), np.array([flux]), "toy")


def test_the_mixture_comes_back_through_dust_lines_and_noise():
    stars = grid()
    shares = np.array([0.2, 0.0, 0.8])
    clean = np.interp(WAVE, stars.wavelength, shares @ stars.flux[0]) * transmission(WAVE, 0.6)
    rng = np.random.default_rng(0)
    flux = clean + rng.normal(0, 0.02, len(WAVE)) + 3 * np.exp(-0.5 * ((WAVE - LINES["h_alpha"]) / 3) ** 2)
    fit = fit_continuum(WAVE, flux, np.full(len(WAVE), 0.02), stars, sigma=20.0)
    assert np.abs(fit.flux / clean - 1).max() < 0.03
    assert fit.chi2 == pytest.approx(1.0, abs=0.15)
    assert fit.weights.sum() == pytest.approx(1.0) and (fit.weights >= 0).all()


def test_lines_are_masked_and_the_rest_is_not():
    mask = line_mask(WAVE)
    assert not mask[np.abs(WAVE - LINES["h_beta"]).argmin()]
    assert mask[np.abs(WAVE - 5300).argmin()]


def test_too_little_overlap_is_refused():
    far = log_grid(9000, 9500)
    with pytest.raises(DataError, match="good pixels overlap"):
        fit_continuum(far, np.ones(len(far)), np.ones(len(far)), grid())


def test_dust_of_a_real_mixture(bc03):
    clean = bc03.composite(bc03.weights(np.array([1.0]), np.array([0.02])))[0]
    clean = np.interp(WAVE, bc03.wavelength, clean / clean.mean()) * transmission(WAVE, 0.8)
    flux = clean + np.random.default_rng(1).normal(0, 0.03, len(WAVE))
    fit = fit_continuum(WAVE, flux, np.full(len(WAVE), 0.03), bc03, sigma=5.0, degree=0)
    assert fit.a_v == pytest.approx(0.8, abs=0.25)
    assert np.nanmax(np.abs(fit.flux - clean)) < 0.05
