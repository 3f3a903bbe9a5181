"""The forcing: its equilibrium, its rates, and the same tendency as dinosaur's."""

import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere import layout
from sciml.pipelines.gcm.core import Forced
from sciml.pipelines.gcm.dynamics.primitive_equations import primitive_equations
from sciml.pipelines.gcm.dynamics.products import GridState
from sciml.pipelines.gcm.dynamics.steppers import combine
from sciml.pipelines.gcm.dynamics.vertical import SigmaLevels, equidistant
from sciml.pipelines.gcm.scales import ATMOSPHERIC
from sciml.pipelines.gcm.setups.baroclinic import baroclinic_wave
from sciml.pipelines.gcm.setups.case import Where
from sciml.pipelines.gcm.setups.held_suarez import equilibrium_temperature, held_suarez
from sciml.pipelines.gcm.setups.initial import atmosphere, orography


def test_equilibrium_temperature():
    """315 K at the equator's surface, 255 K at the poles', never under 200 K; the tropics are stable."""
    sin_lat = jnp.array([0.0, 1.0, -1.0, np.sqrt(0.5)])
    np.testing.assert_allclose(equilibrium_temperature(sin_lat, 1.0), [315, 255, 255, 285], rtol=1e-6)
    np.testing.assert_allclose(equilibrium_temperature(sin_lat, 0.05), 200.0, rtol=1e-6)
    half = (315 + 10 * np.log(2)) * 0.5 ** (2 / 7)
    np.testing.assert_allclose(equilibrium_temperature(jnp.zeros(1), 0.5), half, rtol=1e-6)
    pressure = np.linspace(0.05, 1.1, 60)
    theta = np.asarray(equilibrium_temperature(0.0, pressure)) * pressure ** (-2 / 7)
    assert (np.diff(theta) < 0).all()


def grid(temperature, wind=0.0, sin_lat=0.0, pressure=1e5):
    """One column of the grid state."""
    k = len(temperature)
    lnps = jnp.full((1, 1), np.log(ATMOSPHERIC.nondim(pressure, "Pa")))
    zero, wind = jnp.zeros((1, k)), jnp.full((1, k), wind)
    temperature = jnp.asarray(temperature)[None]
    return GridState(zero, zero, wind, -wind, temperature, {}, (lnps, lnps), jnp.full((1, 1), sin_lat), zero, lnps)


class Equation:
    """What the forcing asks of an equation."""

    reference_temperature = 0.0
    constants = ATMOSPHERIC.earth


# centres 0.35, 0.75 and 0.9: without friction, a sixth and two thirds of it
LAYERS = SigmaLevels((0.0, 0.7, 0.8, 1.0))
DAY = ATMOSPHERIC.nondim(1.0, "day")


def test_friction():
    found = held_suarez(LAYERS).grid_tendency(Equation, grid([300.0] * 3, wind=0.02))
    np.testing.assert_allclose(found.cos_lat_u[0] * DAY, -0.02 * np.array([0, 1 / 6, 2 / 3]), rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(found.cos_lat_v, -found.cos_lat_u)


@pytest.mark.parametrize("sin_lat", [0.0, 0.5, -0.5, 1.0])
def test_cooling_relaxes_to_equilibrium(sin_lat):
    """40 days aloft, 4 days at the tropical surface; at the poles 40 everywhere. Pressure is the column's own."""
    pressure = np.float32(0.8) * LAYERS.centers
    wanted = np.asarray(equilibrium_temperature(sin_lat, pressure))
    forcing = held_suarez(LAYERS)
    still = forcing.grid_tendency(Equation, grid(wanted, sin_lat=sin_lat, pressure=0.8e5))
    assert abs(still.temperature).max() * DAY < 1e-4
    warm = forcing.grid_tendency(Equation, grid(wanted + 10.0, sin_lat=sin_lat, pressure=0.8e5))
    cos4 = (1 - sin_lat**2) ** 2
    rates = 1 / 40 + (1 / 4 - 1 / 40) * np.array([0, 1 / 6, 2 / 3]) * cos4
    np.testing.assert_allclose(warm.temperature[0] * DAY, -10 * rates, rtol=1e-3)


def test_the_tendency_is_that_of_dinosaur(plan):
    peer = pytest.importorskip("dinosaur.held_suarez")
    harmonics, sigma, systems, equations, scales = (
        pytest.importorskip(f"dinosaur.{name}")
        for name in ("spherical_harmonic", "sigma_coordinates", "coordinate_systems", "primitive_equations", "scales")
    )
    levels = equidistant(5)
    wave = baroclinic_wave(Where.of(plan, levels))
    equation = primitive_equations(plan, levels, wave.reference_temperature, orography(plan, wave.surface_geopotential))
    state = atmosphere(plan, wave)
    forced = Forced(equation, held_suarez(levels)).explicit(state)
    mine = combine((1, forced), (-1, equation.explicit(state)))

    def rows(x):
        return jnp.moveaxis(layout.modal_to_rows(plan, x), -1, 0)

    names = ("vorticity", "divergence", "temperature_variation", "log_surface_pressure")
    coords = systems.CoordinateSystem(harmonics.Grid.T21(), sigma.SigmaCoordinates.equidistant(5))
    specs = equations.PrimitiveEquationsSpecs.from_si(scale=scales.ATMOSPHERIC_SCALE)
    theirs = peer.HeldSuarezForcingSigma(coords, specs, jnp.asarray(wave.reference_temperature))
    expected = theirs.explicit_terms(equations.State(*(rows(getattr(state, name)) for name in names)))
    for name in names:
        found, wanted = (np.asarray(x)[..., :-1] for x in (rows(getattr(mine, name)), getattr(expected, name)))
        largest = max(abs(wanted).max(), 1e-6)
        # a difference of two full tendencies in float32
        np.testing.assert_allclose(found, wanted, atol=2e-4 * largest + 3e-8, err_msg=name)
