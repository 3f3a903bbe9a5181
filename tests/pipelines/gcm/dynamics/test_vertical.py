"""Vertical matrices: against closed forms, by their laws, and against dinosaur where it is installed."""

import numpy as np
import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.dynamics import vertical
from sciml.pipelines.gcm.dynamics.vertical import SigmaLevels, equidistant

UNEVEN = SigmaLevels((0.0, 0.02, 0.06, 0.15, 0.3, 0.42, 0.6, 0.78, 0.9, 0.97, 1.0))
CASES = [equidistant(1), equidistant(5), equidistant(24), UNEVEN]


@pytest.mark.parametrize("edges", [(0.0, 0.5), (0.1, 1.0), (0.0, 0.6, 0.4, 1.0), (0.0,), ((0.0, 1.0), (0.0, 1.0))])
def test_bad_boundaries_are_named(edges):
    with pytest.raises(SettingsError, match="sigma boundaries"):
        SigmaLevels(edges)


def test_no_levels():
    with pytest.raises(SettingsError, match="levels = 0"):
        equidistant(0)


def test_levels_are_values():
    assert equidistant(4) == SigmaLevels(np.linspace(0, 1, 5)) and hash(equidistant(4)) == hash(equidistant(4))
    assert len(equidistant(4)) == 4
    np.testing.assert_allclose(equidistant(4).centers, [0.125, 0.375, 0.625, 0.875])


@pytest.mark.parametrize("levels", CASES, ids=len)
def test_no_flow_through_top_and_surface(levels):
    """A uniform g is divergence that surface pressure takes up alone: nothing crosses an inner boundary."""
    np.testing.assert_allclose(vertical.sigma_velocity(levels) @ np.ones(len(levels)), 0, atol=1e-15)


@pytest.mark.parametrize("levels", CASES[1:], ids=len)
def test_advection_of_a_column_conserves_its_integral(levels):
    """sum of dsigma adv x = sum of x (sigma-dot_{k+1/2} - sigma-dot_{k-1/2}) on even levels: a flux form."""
    rng = np.random.default_rng(0)
    g, x = rng.standard_normal((2, len(levels)))
    velocity = np.concatenate([[0], vertical.sigma_velocity(levels) @ g, [0]])
    lower, upper = vertical.advection_weights(levels)
    adv = (lower @ g) * np.append(np.diff(x), 0) + (upper @ g) * np.append(0, np.diff(x))
    np.testing.assert_allclose(adv, vertical.advection_of(levels, x) @ g, rtol=1e-12)
    if np.allclose(levels.thickness, levels.thickness[0]):
        np.testing.assert_allclose(levels.thickness @ adv - x @ np.diff(velocity), 0, atol=1e-14)


def test_geopotential_of_an_isothermal_atmosphere():
    levels = equidistant(200)
    height = vertical.geopotential(levels, gas_constant=287.0) @ np.full(200, 250.0)
    np.testing.assert_allclose(height, -287.0 * 250.0 * np.log(levels.centers), rtol=1e-12)


@pytest.mark.parametrize("levels", CASES[1:], ids=len)
def test_reference_warming_is_that_of_the_pressure_velocity(levels):
    """Of an isothermal profile nothing is advected: H is kappa T W."""
    warming = vertical.temperature_implicit(levels, np.full(len(levels), 300.0), 2 / 7)
    np.testing.assert_allclose(warming, 2 / 7 * 300 * vertical.pressure_velocity(levels), rtol=1e-13)


@pytest.mark.parametrize("levels", CASES[1:], ids=len)
def test_energy_is_exchanged_not_made(levels):
    """Work of the pressure force is the warming it causes: sum dsigma (R T W g - (G T) g) = 0 for every T and g."""
    thickness = np.diag(levels.thickness)
    work = thickness @ vertical.pressure_velocity(levels)
    np.testing.assert_allclose(work, (thickness @ vertical.geopotential(levels, 1.0)).T, atol=1e-14)


@pytest.mark.parametrize("levels", CASES[1:], ids=len)
def test_matrices_are_those_of_dinosaur(levels):
    pe = pytest.importorskip("dinosaur.primitive_equations")
    sigma = pytest.importorskip("dinosaur.sigma_coordinates").SigmaCoordinates(np.array(levels.boundaries))
    profile = np.linspace(210.0, 300.0, len(levels))
    ours = vertical.geopotential(levels, 287.0)
    np.testing.assert_allclose(ours, pe.get_geopotential_weights_sigma(sigma, 287.0), rtol=1e-12)
    theirs = pe.get_temperature_implicit_weights_sigma(sigma, profile, 2 / 7)
    np.testing.assert_allclose(vertical.temperature_implicit(levels, profile, 2 / 7), theirs, rtol=1e-10, atol=1e-12)
