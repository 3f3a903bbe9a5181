"""Matched galaxies have the wanted light; distances are right."""

import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM

from sciml.pipelines.galaxy.simulator import matching, population
from sciml.pipelines.galaxy.spectra import compact

IDS = np.arange(240)


@pytest.fixture(scope="module")
def made():
    state = population.conditions(2, IDS)
    scene = population.scene(2, IDS, state)
    draws = population.numbers(2, IDS, "stars", matching.CANDIDATES * 24)
    return state, scene, matching.matched(draws, state.log_mass, state.redshift, state.light_offset, scene)


def test_distances_agree_with_astropy():
    z = np.array([0.01, 0.05, 0.1, 0.3])
    cosmology = FlatLambdaCDM(70, 0.3)
    assert np.allclose(matching.luminosity_distance(z), cosmology.luminosity_distance(z).value, rtol=1e-6)
    assert np.allclose(matching.kpc_per_arcsec(z), 1 / cosmology.arcsec_per_kpc_proper(z).value, rtol=1e-6)


def test_flux_of_a_known_magnitude():
    z = np.array([0.05])
    modulus = 5 * np.log10(matching.luminosity_distance(z)) + 25
    flux = matching.to_nanomaggies(np.array([[10 ** (0.4 * 21.0)]]), z)
    assert 22.5 - 2.5 * np.log10(flux[0, 0]) == pytest.approx(float(modulus[0]) - 21.0)


def test_dust_brings_every_galaxy_to_the_wanted_light(made):
    state, _, galaxies = made
    light = np.log10(galaxies.light(galaxies.stars.total, ("r",))[:, 0])
    wanted = matching.wanted_light(state.log_mass, state.light_offset)
    exact = np.abs(light - wanted) < 1e-6
    assert exact.mean() > 0.97
    assert (galaxies.a_v >= matching.A_V_RANGE[0]).all() and (galaxies.a_v <= matching.A_V_RANGE[1]).all()
    assert 0.1 < np.median(galaxies.a_v) < 1.0


def test_places_add_up_to_the_galaxy(made):
    galaxies = made[2]
    parts = sum(
        galaxies.light(getattr(galaxies.stars, name), compact.BANDS) for name in ("bulge", "disc", "young", "nucleus")
    )
    assert np.allclose(parts, galaxies.light(galaxies.stars.total, compact.BANDS))


def test_companions_keep_their_own_dust(made):
    state, scene, _ = made
    free = matching.unmatched(population.numbers(2, IDS, "companion", 24), state.log_mass, state.redshift, scene)
    assert np.array_equal(free.a_v, free.make.a_v)
    assert free.stars.total.shape == (len(IDS), 10)
