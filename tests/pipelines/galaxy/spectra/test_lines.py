"""Lines of spectra whose lines are known, and of real ones against the SDSS catalogue."""

import numpy as np
import pytest

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.galaxy.spectra.continuum import fit_continuum
from sciml.pipelines.galaxy.spectra.lines import LINES, TIED, measure_lines
from sciml.pipelines.galaxy.spectra.spectrum import LIGHT_SPEED, log_grid, to_rest

FLUX = {"h_beta": 30.0, "oiii_5007": 50.0, "h_alpha": 100.0, "nii_6584": 35.0, "sii_6717": 20.0, "sii_6731": 15.0}


def spectrum(velocity=60.0, sigma=120.0, level=5.0):
    wave = log_grid(4700, 6900)
    flux = np.full(len(wave), level)
    fluxes = FLUX | {name: share * FLUX[leader] for name, (leader, share) in TIED.items()}
    for name, area in fluxes.items():
        center = LINES[name] * np.exp(velocity / LIGHT_SPEED)
        width = center * sigma / LIGHT_SPEED
        flux += area * np.exp(-0.5 * ((wave - center) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    return wave, flux


def test_a_noiseless_spectrum_gives_back_what_went_in():
    wave, flux = spectrum(sigma=np.hypot(120.0, 65.0))
    found = measure_lines(wave, flux, np.full(len(wave), 0.1), instrument=65.0)
    for name, area in FLUX.items():
        assert found[name].flux == pytest.approx(area, rel=2e-3)
        assert found[name].ew == pytest.approx(area / 5.0, rel=3e-3)
        assert found[name].sigma == pytest.approx(120.0, abs=1.0)
        assert found[name].velocity == pytest.approx(60.0, abs=1.0)
    assert found["oiii_4959"].flux == pytest.approx(50.0 / 2.98, rel=2e-3)


def test_both_sign_conventions():
    wave, flux = spectrum()
    error = np.full(len(wave), 0.1)
    emission = measure_lines(wave, flux, error)["h_alpha"]
    absorption = measure_lines(wave, flux, error, positive="absorption")["h_alpha"]
    assert emission.ew == pytest.approx(-absorption.ew) and emission.ew > 0
    assert emission.flux == absorption.flux
    with pytest.raises(SettingsError, match="sign"):
        measure_lines(wave, flux, error, positive="up")


def test_errors_are_what_they_say():
    wave, flux = spectrum()
    rng = np.random.default_rng(1)
    pulls = []
    for _ in range(40):
        found = measure_lines(wave, flux + rng.normal(0, 0.5, len(wave)), np.full(len(wave), 0.5))
        pulls.append([(found[name].flux - area) / found[name].flux_error for name, area in FLUX.items()])
    pulls = np.array(pulls)
    assert np.abs(pulls.mean(0)).max() < 0.6
    assert 0.8 < pulls.std() < 1.35  # a little over one: the widths are searched as well


def test_what_is_not_covered_is_absent_and_bad_pixels_do_not_matter():
    wave, flux = spectrum()
    error = np.full(len(wave), 0.1)
    blue = wave < 5200
    assert set(measure_lines(wave[blue], flux[blue], error[blue])) == {"h_beta", "oiii_4959", "oiii_5007"}
    assert measure_lines(wave[:50], flux[:50], error[:50]) == {}
    spoiled = flux.copy()
    bad = np.abs(wave - 6573.0) < 2.0
    spoiled[bad], error[bad] = np.nan, np.nan
    assert measure_lines(wave, spoiled, error)["h_alpha"].flux == pytest.approx(100.0, rel=0.01)


def test_a_stellar_model_takes_absorption_away():
    wave, flux = spectrum()
    stars = 5.0 - 1.5 * np.exp(-0.5 * ((wave - 4862.68) / 6.0) ** 2)
    error = np.full(len(wave), 0.1)
    with_model = measure_lines(wave, flux - 5.0 + stars, error, continuum=stars)
    assert with_model["h_beta"].flux == pytest.approx(30.0, rel=0.01)
    assert with_model["h_beta"].ew == pytest.approx(6.0, rel=0.02)
    assert measure_lines(wave, flux - 5.0 + stars, error)["h_beta"].flux < 25.0


def test_what_is_refused():
    wave, flux = spectrum()
    with pytest.raises(SettingsError, match="no line"):
        measure_lines(wave, flux, flux, names=("h_gama",))
    with pytest.raises(DataError, match="shape"):
        measure_lines(wave, flux, flux[:-1])


def test_real_spectra_against_the_catalogue(sdss, bc03):
    """SPZLINE of ten SDSS spectra: metal lines to the noise; Balmer lines to the stellar absorption beneath them, which the survey's
    pipeline models less deeply. LINEEW is per observed angstrom."""
    names = {"h_alpha": "H_alpha", "oiii_5007": "[O_III] 5007", "nii_6584": "[N_II] 6583", "sii_6717": "[S_II] 6716"}
    compared = 0
    for one in sdss:
        good = one.ivar > 0
        error = np.where(good, 1 / np.sqrt(np.where(good, one.ivar, 1.0)), np.nan)
        wave, flux, error = to_rest(one.wavelength, one.flux, one.redshift, error)
        sigma = max(float(one.row["VDISP"]), 60.0)
        stars = fit_continuum(wave, flux, error, bc03, sigma=sigma)
        found = measure_lines(wave, flux, error, continuum=stars.flux, instrument=65.0)
        for name, official in names.items():
            row = one.lines.loc[official]
            if not row["LINEAREA"] > 5 * row["LINEAREA_ERR"]:
                continue
            compared += 1
            slack = 0.2 if name == "h_alpha" else 0.05
            assert abs(found[name].flux - row["LINEAREA"]) < 1.5 * row["LINEAREA_ERR"] + slack * row["LINEAREA"]
            rest_ew = row["LINEEW"] / (1 + one.redshift)
            assert abs(found[name].ew - rest_ew) < 1.5 * row["LINEEW_ERR"] + (slack + 0.05) * rest_ew
            assert found[name].flux_error == pytest.approx(row["LINEAREA_ERR"], rel=0.35)
    assert compared >= 16
