"""The shipped table: small, with its sources, equal to what the full grids give, and mixing as spectra do."""

import tomllib
from importlib.resources import files

import numpy as np
import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.spectra import compact, dust
from sciml.pipelines.galaxy.spectra.indices import break_strength, lick_index
from sciml.pipelines.galaxy.spectra.photometry import absolute_magnitude
from sciml.pipelines.galaxy.spectra.ssp import SOLAR_LUMINOSITY

TEXT = files("sciml.pipelines.galaxy.spectra").joinpath("compact_table.toml").read_text("utf-8")


def test_a_few_kilobytes_with_sources():
    assert len(TEXT) < 10_000
    for word in ("Bruzual", "BSD-3-Clause", "Byler", "MIT License", "Doi et al."):
        assert word in TEXT.split("\n[stars]")[0]


def test_values_are_physical():
    table = compact.load()
    solar = np.flatnonzero(table.metallicity == 0.02)[0]
    assert (np.diff(table.dn4000[solar]) > 0).all()
    magnitudes = -2.5 * np.log10(table.light[:, 0])
    g_r = magnitudes[0] - magnitudes[1]
    assert g_r[solar, 0] < 0 < 0.7 < g_r[solar, -1] < 1.0
    assert (np.diff(table.ratio["nii/h_alpha"], axis=0) > 0).all()  # more metals, more nitrogen
    assert (np.diff(table.ratio["oiii/h_beta"], axis=1)[:6] > 0).all()  # harder to ionise
    assert np.allclose(table.ratio["h_alpha/h_beta"], np.log10(2.9), atol=0.04)


def test_one_population_is_itself_and_dust_reddens():
    table = compact.load()
    masses = table.weights(np.array([1.434, 1.434]), np.array([0.02, 0.02])) * 1e10
    seen = table.mix(masses, np.zeros(2), np.array([0.0, 1.0]))
    assert seen.dn4000[0] == pytest.approx(table.dn4000[2, 6])
    assert seen.hdelta_a[0] == pytest.approx(table.hdelta_a[2, 6])
    colours = -2.5 * np.log10(seen.light[:, 0] / seen.light[:, 1])
    assert colours[1] - colours[0] == pytest.approx((dust.calzetti(4702.0) - dust.calzetti(6176.0)) / 4.05, abs=1e-6)
    assert seen.continuum["h_alpha"][1] < seen.continuum["h_alpha"][0]


def test_ratios_at_the_nodes_between_and_beyond():
    table = compact.load()
    node = table.line_ratio("nii/h_alpha", np.array([table.log_z[3]]), np.array([table.log_u[2]]))
    assert node[0] == pytest.approx(table.ratio["nii/h_alpha"][3, 2])
    edge = table.line_ratio("nii/h_alpha", np.array([9.0]), np.array([9.0]))
    assert edge[0] == pytest.approx(table.ratio["nii/h_alpha"][-1, -1], abs=1e-6)
    middle = table.line_ratio("oiii/h_beta", np.array([-0.05]), np.array([-2.75]))
    assert middle[0] == pytest.approx(table.ratio["oiii/h_beta"][5:7, 2:4].mean())


def test_unknown_names():
    with pytest.raises(SettingsError, match="no band"):
        compact.load().band("u")
    with pytest.raises(SettingsError, match="line ratio"):
        compact.load().line_ratio("nii", np.zeros(1), np.zeros(1))


def test_it_is_what_the_full_grids_give(bc03, cloudy):
    fresh = tomllib.loads(compact.to_toml(compact.derive(bc03, cloudy)))
    shipped = tomllib.loads(TEXT)
    for section in ("stars", "gas"):
        assert shipped[section].keys() == fresh[section].keys()
        for name, values in shipped[section].items():
            assert np.allclose(values, fresh[section][name], atol=2e-3), name


def test_mixing_the_table_is_measuring_the_mixed_spectrum(bc03):
    """Five star formation histories behind dust at a redshift: through full spectra, and through the table."""
    table, rng = compact.load(), np.random.default_rng(0)
    by_age = rng.dirichlet(np.full(10, 0.5), 5) * 1e10
    metals, redshift, a_v = np.array([0.004, 0.01, 0.02, 0.03, 0.05]), np.full(5, 0.06), np.linspace(0, 1.2, 5)
    masses = table.spread(by_age, metals)
    seen = table.mix(masses, redshift, a_v, ("g", "r", "i"))
    smooth = bc03.on_log_grid(compact.SIGMA)
    spectrum = smooth.composite(masses) * dust.transmission(smooth.wavelength, a_v)
    assert np.abs(break_strength(smooth.wavelength, spectrum).value - seen.dn4000).max() < 0.02
    assert np.abs(lick_index(smooth.wavelength, spectrum).value - seen.hdelta_a).max() < 0.3
    for k, band in enumerate("gri"):
        full = absolute_magnitude(smooth.wavelength, spectrum * SOLAR_LUMINOSITY, band, 0.06)
        assert np.abs(full + 2.5 * np.log10(seen.light[:, k])).max() < 0.03
