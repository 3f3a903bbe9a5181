"""The normal-mode solve inverts the linear terms, on even and uneven levels, in both precisions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.dynamics.implicit import gravity_waves, normal_modes
from sciml.pipelines.gcm.dynamics.vertical import SigmaLevels, equidistant
from sciml.pipelines.gcm.scales import ATMOSPHERIC

UNEVEN = SigmaLevels((0.0, 0.02, 0.06, 0.15, 0.3, 0.42, 0.6, 0.78, 0.9, 0.97, 1.0))
R, KAPPA = ATMOSPHERIC.earth.gas_constant, ATMOSPHERIC.earth.kappa
EIGENVALUES = -np.arange(64.0) * (np.arange(64.0) + 1)


def profiles(levels):
    return {"isothermal": np.full(len(levels), 288.0), "lapse rate": np.maximum(300 * levels.centers**0.19, 210.0)}


def right_side(levels, dtype, members=()):
    rng = np.random.default_rng(1)
    shape = (64, *members)
    temperature, divergence = rng.standard_normal((2, *shape, len(levels)))
    return [jnp.asarray(x, dtype) for x in (temperature, rng.standard_normal((*shape, 1)), 0.01 * divergence)]


@pytest.mark.parametrize("levels", [equidistant(2), equidistant(8), equidistant(32), UNEVEN], ids=len)
@pytest.mark.parametrize("profile", ["isothermal", "lapse rate"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(jnp.float64, 1e-12), (jnp.float32, 2e-6)])
def test_solve_inverts(levels, profile, dtype, tolerance):
    with jax.enable_x64(dtype == jnp.float64):
        waves = gravity_waves(levels, profiles(levels)[profile], R, KAPPA, dtype)
        eigenvalues = jnp.asarray(EIGENVALUES[:, None], dtype)
        temperature, pressure, divergence = right_side(levels, dtype)
        for eta in (0.1, -0.3, 0.0):
            d, t, p = waves.solve(eigenvalues, temperature, pressure, divergence, eta)
            dd, dt, dp = waves.tendency(eigenvalues, t, p, d)
            # In units in which the terms are comparable: what eta L does to a unit vector grows with l.
            for x, dx, r in ((d, dd, divergence), (t, dt, temperature), (p, dp, pressure)):
                size = float(jnp.max(jnp.abs(x)) + abs(eta) * jnp.max(jnp.abs(dx)))
                np.testing.assert_allclose((x - eta * dx - r) / size, 0, atol=tolerance)


def test_eta_may_be_traced_and_differentiated():
    levels = equidistant(6)
    waves = gravity_waves(levels, np.full(6, 250.0), R, KAPPA, jnp.float32)
    eigenvalues = jnp.asarray(EIGENVALUES[:, None], jnp.float32)
    fields = right_side(levels, jnp.float32, members=(3,))
    eigenvalues = eigenvalues[:, None]

    def total(eta):
        return sum(jnp.sum(x**2) for x in waves.solve(eigenvalues, *fields, eta))

    assert float(jax.jit(total)(0.2)) == pytest.approx(float(total(0.2)), rel=1e-5)
    slope = (float(total(0.205)) - float(total(0.195))) / 0.01
    assert float(jax.grad(total)(0.2)) == pytest.approx(slope, rel=2e-2)


@pytest.mark.parametrize("levels", [equidistant(8), equidistant(64), UNEVEN], ids=len)
def test_modes_are_real_and_the_fastest_is_the_lamb_wave(levels):
    for profile in profiles(levels).values():
        with jax.enable_x64(True):
            waves = gravity_waves(levels, profile, R, KAPPA, jnp.float64)
            speed = ATMOSPHERIC.dim(np.sqrt(np.asarray(waves.speed2)), "m s-1")
        assert np.all(speed > 0) and np.all(np.diff(speed) < 0)
        assert 290 < speed[0] < 350  # sqrt(R T / (1 - kappa)) = 340 m/s at 288 K


def test_an_unstable_reference_profile_is_refused():
    levels = equidistant(8)
    with pytest.raises(SettingsError, match="stably stratified"):
        gravity_waves(levels, 400 * levels.centers**0.9, R, KAPPA, jnp.float32)


def test_complex_modes_are_refused():
    with pytest.raises(SettingsError, match="normal modes"):
        normal_modes(np.array([[0.0, 1.0], [-1.0, 0.0]]))
