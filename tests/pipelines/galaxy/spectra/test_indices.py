"""Breaks and Lick indices of spectra with closed forms, their errors, and real populations."""

import numpy as np
import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.spectra.indices import LICK, break_strength, equivalent_width, lick_index, shares
from sciml.pipelines.galaxy.spectra.spectrum import air_to_vacuum

WAVE = np.arange(3700.0, 5500.0, 0.5)


def test_breaks_of_power_laws():
    assert break_strength(WAVE, WAVE**-2.0).value == pytest.approx(1.0)  # flat in f_nu
    # f_nu proportional to w: ratio of the bands' mean wavelengths
    bands = [np.mean(air_to_vacuum(np.array(band))) for band in ((3850, 3950), (4000, 4100))]
    assert break_strength(WAVE, 1 / WAVE).value == pytest.approx(bands[1] / bands[0], rel=1e-4)
    step = np.where(WAVE > 3975, 1.8, 1.0) / WAVE**2
    assert break_strength(WAVE, step).value == pytest.approx(1.8)
    assert break_strength(WAVE, step, name="d4000").value == pytest.approx(1.8)


def test_an_absorption_box_has_its_own_width():
    line = 2.0 + 1e-3 * (WAVE - 4000)
    deep = np.where(np.abs(WAVE - 4104.0) < 5.0, 0.4, 1.0)
    width = (deep < 1).sum() * 0.5
    assert lick_index(WAVE, line * deep).value == pytest.approx(0.6 * width, rel=1e-6)
    assert lick_index(WAVE, line * (2 - deep)).value == pytest.approx(-0.6 * width, rel=1e-6)  # emission
    assert lick_index(WAVE, 3.0 * line * deep).value == pytest.approx(0.6 * width, rel=1e-6)


@pytest.mark.parametrize("name", LICK)
def test_a_straight_continuum_has_no_index(name):
    assert abs(lick_index(WAVE, 5.0 - 5e-4 * WAVE, name=name).value) < 1e-4  # a cut pixel counts with its mean


def test_bands_cut_pixels_and_move_with_the_medium():
    assert shares(WAVE, np.array([4000.1, 4000.9])).sum() == pytest.approx(0.8)
    dip = 1 - 0.5 * np.exp(-0.5 * ((WAVE - 4121.0) / 1.0) ** 2)
    assert lick_index(WAVE, dip, vacuum=True).value != pytest.approx(
        lick_index(WAVE, dip, vacuum=False).value, abs=0.05
    )


def test_errors_match_many_realisations():
    rng = np.random.default_rng(0)
    flux = (1.0 + 0.3 * (WAVE > 3980)) * (1 - 0.4 * np.exp(-0.5 * ((WAVE - 4103) / 6) ** 2))
    error = np.full(len(WAVE), 0.1)
    noisy = flux + rng.normal(0, 0.1, (400, len(WAVE)))
    for measure in (break_strength, lick_index):
        one, many = measure(WAVE, flux, error), measure(WAVE, noisy)
        assert many.value.std() == pytest.approx(one.error, rel=0.15)
        assert many.value.mean() == pytest.approx(one.value, abs=3 * one.error / 20 + 0.02 * abs(one.value))


def test_gaps_and_coverage():
    flux = np.ones(len(WAVE))
    flux[np.abs(WAVE - 4500) < 10] = np.nan
    assert np.isfinite(break_strength(WAVE, flux).value)
    flux[np.abs(WAVE - 4050) < 1] = np.nan
    assert np.isnan(break_strength(WAVE, flux).value)
    red = WAVE > 4060
    assert np.isnan(lick_index(WAVE[red], np.ones(red.sum())).value)
    assert np.isnan(equivalent_width(WAVE[:50], np.ones((2, 50)), bands=LICK["hdelta_a"]).value).all()


def test_unknown_names():
    with pytest.raises(SettingsError, match="no index"):
        lick_index(WAVE, WAVE, name="hdelta")
    with pytest.raises(SettingsError, match="no break"):
        break_strength(WAVE, WAVE, name="dn400")


def test_real_populations_and_spectra(bc03, sdss):
    hdelta = lick_index(bc03.wavelength, bc03.flux[2]).value
    assert bc03.age[hdelta.argmax()] == pytest.approx(0.286) and 9 < hdelta.max() < 12  # A stars
    assert hdelta[-1] < 0
    found = {}
    for one in sdss:
        wave = one.wavelength / (1 + one.redshift)
        forming = one.lines.loc["H_alpha", "LINEEW"] > 5
        found.setdefault(bool(forming), []).append(break_strength(wave, one.flux).value)
    assert max(found[True]) < 1.6 < np.median(found[False])
