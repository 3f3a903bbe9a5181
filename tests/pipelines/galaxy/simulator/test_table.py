"""The table measured on an object: right without noise, with honest errors and detection limits."""

import numpy as np
import pytest

from sciml.pipelines.galaxy.simulator import matching, population, table
from sciml.pipelines.galaxy.simulator.table import BPT, CATEGORICAL, CONTINUOUS, bpt_class, measure, truth

IDS = np.arange(1200)


@pytest.fixture(scope="module")
def objects():
    state = population.conditions(4, IDS)
    scene = population.scene(4, IDS, state)
    stars = population.numbers(4, IDS, "stars", matching.CANDIDATES * 24)
    galaxies = matching.matched(stars, state.log_mass, state.redshift, state.light_offset, scene)
    return state, scene, truth(population.numbers(4, IDS, "truth", 12), galaxies, scene)


def observed(real, quality, magnitude=17.0, name="a"):
    draws = population.numbers(4, IDS, name, 40)
    return measure(draws, real, np.full(len(IDS), magnitude), np.full(len(IDS), 0.06), np.full(len(IDS), quality))


def test_columns_and_types(objects):
    seen = observed(objects[2], 1.0)
    assert list(seen.columns) == [*CONTINUOUS, *CATEGORICAL, "spectrum_snr"]
    assert tuple(seen["bpt"].cat.categories) == BPT
    assert all(seen[name].dtype == np.float64 for name in CONTINUOUS)


def test_a_perfect_spectrum_measures_the_object(objects):
    real = objects[2]
    seen = observed(real, 1e5)
    here = seen["dn4000"].notna()
    for name in ("dn4000", "hdelta_a", "ew_halpha", "ew_hbeta", "g_r", "sigma_gas"):
        slack = 0.05 if name == "g_r" else 1e-2 * real[name].abs()[here].max()
        assert np.abs(seen[name] - real[name])[here].max() < slack
    assert np.allclose(10 ** seen["log_halpha_hbeta"][here], real["flux_ratio"][here], rtol=0.01)
    assert np.allclose(10 ** seen["log_nii_halpha"][here], real["nii/h_alpha"][here], rtol=0.01)
    assert np.allclose(seen["log_sfr"][here], real["log_sfr"][here], atol=0.02)


def test_errors_fall_with_signal_to_noise(objects):
    real = objects[2]
    spread = [np.nanstd(observed(real, quality)["hdelta_a"] - real["hdelta_a"]) for quality in (0.5, 1.0, 4.0)]
    assert spread[0] == pytest.approx(2 * spread[1], rel=0.15) and spread[2] == pytest.approx(spread[1] / 4, rel=0.15)
    assert 0.5 < spread[1] < 1.5  # angstrom at S/N 15
    assert observed(real, 1.0)["spectrum_snr"].iloc[0] == pytest.approx(15.0)


def test_faint_lines_are_missing_by_their_faintness_not_by_the_label(objects):
    state, _, real = objects
    shallow, deep = observed(real, 0.3), observed(real, 30.0)
    assert shallow["log_oiii_hbeta"].isna().mean() > deep["log_oiii_hbeta"].isna().mean() + 0.05
    lost = deep["dn4000"].isna()
    assert lost.mean() == pytest.approx(table.MISSING_SPECTRUM, abs=0.012)
    rates = [lost[state.label == k].mean() for k in range(3)]
    assert np.ptp(rates) < 0.03
    assert (deep.loc[lost, "bpt"] == "unclassified").all() and deep.loc[lost, "g_r"].notna().all()


def test_physics_of_the_sample(objects):
    state, scene, real = objects
    assert np.corrcoef(real["dn4000"], real["log_sfr"] - real["log_stellar_mass"])[0, 1] < -0.7
    assert np.corrcoef(real["dn4000"], real["g_r"])[0, 1] > 0.4
    assert 0.3 < (real["ew_halpha"] > 10).mean() < 0.95
    control = state.label == 0
    young = scene.interacts & (scene.since_coalescence > 0.2) & (scene.since_coalescence < 0.7)
    # strong H_delta for little H_alpha: the signature of a burst that has ended
    excess = real["hdelta_a"] - np.polyval(
        np.polyfit(real["dn4000"][control], real["hdelta_a"][control], 2), real["dn4000"]
    )
    assert excess[young].mean() > excess[control].mean() + 0.2
    assert real["sigma_gas"][scene.interacts].mean() > real["sigma_gas"][control].mean()


def test_diagram_of_known_points():
    x, y = np.array([-0.8, -0.1, 0.2, np.nan]), np.array([0.0, -0.3, 0.8, 0.0])
    assert list(bpt_class(x, y)) == ["star-forming", "composite", "agn", "unclassified"]
