"""Reading populations and mixing them."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.galaxy.spectra.indices import break_strength
from sciml.pipelines.galaxy.spectra.spectrum import air_to_vacuum
from sciml.pipelines.galaxy.spectra.ssp import SspGrid, read_bc03, read_fsps


def write(folder, z, age, flux, **header):
    unit = fits.PrimaryHDU(np.asarray(flux, float))
    unit.header.update({"Z": z, "AGE": age, "CRVAL1": 4000.0, "CDELT1": 1.0, "CRPIX1": 1.0} | header)
    unit.writeto(folder / f"p_{z}_{age}.fits", overwrite=True)


@pytest.fixture
def folder(tmp_path):
    for z in (0.01, 0.02):
        for age in (0.1, 1.0, 10.0):
            write(tmp_path, z, age, np.full(300, z * 100 + age))
    return tmp_path


def test_a_folder_becomes_a_grid_in_vacuum(folder):
    grid = read_bc03(folder)
    assert grid.flux.shape == (2, 3, 300)
    assert grid.wavelength[0] == pytest.approx(air_to_vacuum(4000.0))
    assert grid.flux[1, 2, 0] == pytest.approx(12.0)


def test_interpolation_is_linear_in_log_age_and_metallicity(folder):
    grid = read_bc03(folder)
    assert grid.spectrum(1.0, 0.02)[0, 0] == pytest.approx(3.0)
    assert grid.spectrum(np.sqrt(10.0), 0.02)[0, 0] == pytest.approx((3.0 + 12.0) / 2)
    assert grid.spectrum(1.0, np.sqrt(2e-4))[0, 0] == pytest.approx((2.0 + 3.0) / 2)
    assert grid.spectrum(99.0, 0.5)[0, 0] == pytest.approx(12.0)  # the edges hold
    masses = np.zeros((1, 2, 3))
    masses[0, 0, 0], masses[0, 1, 2] = 2.0, 3.0
    assert grid.composite(masses)[0, 5] == pytest.approx(2 * 1.1 + 3 * 12.0)


def test_what_is_wrong_with_a_folder_is_named(folder, tmp_path):
    with pytest.raises(DataError, match="no population"):
        read_bc03(tmp_path / "nothing")
    (folder / "p_0.02_1.0.fits").unlink()
    with pytest.raises(DataError, match="no spectrum for Z = 0.02, age = 1 Gyr"):
        read_bc03(folder)
    write(folder, 0.02, 1.0, np.ones(299))
    with pytest.raises(DataError, match="other wavelengths"):
        read_bc03(folder)
    fits.PrimaryHDU(np.ones(300)).writeto(folder / "p_0.02_1.0.fits", overwrite=True)
    with pytest.raises(DataError, match="no population spectrum"):
        read_bc03(folder)


def test_a_grid_checks_itself():
    with pytest.raises(DataError, match="shape"):
        SspGrid(np.arange(3.0), np.ones(1), np.ones(1), np.ones((1, 2, 3)), "here")


def test_fsps_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsps", None)
    with pytest.raises(SettingsError, match="fsps") as caught:
        read_fsps()
    assert "pip install fsps" in caught.value.hint


def test_fsps_is_read_through_its_own_interface(monkeypatch):
    class Population:
        solar_metallicity = 0.0142

        def __init__(self, **options):
            self.options, self.params = options, {}

        def get_spectrum(self, tage, peraa):
            assert peraa and self.options["sfh"] == 0
            return np.linspace(3000, 9000, 50), np.full(50, tage + 10 * self.params["logzsol"])

    monkeypatch.setitem(sys.modules, "fsps", SimpleNamespace(StellarPopulation=Population))
    grid = read_fsps(age=(1.0, 5.0), log_z=(-0.3, 0.0), imf_type=1)
    assert grid.flux[1, 1, 0] == pytest.approx(5.0)
    assert grid.metallicity[1] == pytest.approx(0.0142)


def test_real_populations_age(bc03):
    assert bc03.flux.shape == (4, 10, 5969)
    solar = break_strength(bc03.wavelength, bc03.flux[2]).value
    assert (np.diff(solar) > 0).all() and solar[-1] == pytest.approx(2.1, abs=0.05)
    smooth = bc03.on_log_grid(150.0)
    assert np.isfinite(smooth.flux).all() and smooth.flux.shape[:2] == (4, 10)
