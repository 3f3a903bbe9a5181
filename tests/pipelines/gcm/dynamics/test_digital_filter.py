"""Digital-filter initialisation: facts of its weights, and that it takes fast waves away."""

import jax.numpy as jnp
import numpy as np
import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.dynamics.digital_filter import initialise, lanczos_weights, weighted_sum


def test_weights():
    weights = lanczos_weights(10, 10, 0.1)
    assert len(weights) == 50
    assert np.all(np.diff(weights) < 0) and weights[0] < 1 and weights[-1] == pytest.approx(0, abs=1e-3)
    n = np.arange(1, 51)
    np.testing.assert_allclose(weights, np.sinc(n / 51) * np.sinc(2 * n * 0.1 / 10))


def test_weights_are_those_of_dinosaur():
    integration = pytest.importorskip("dinosaur.time_integration")
    for arguments in ((10, 10, 0.1), (6, 8, 0.25), (3, 2, 0.2)):
        np.testing.assert_allclose(lanczos_weights(*arguments), integration._dfi_lanczos_weights(*arguments))


def test_a_window_shorter_than_two_steps():
    with pytest.raises(SettingsError, match="at least two steps"):
        lanczos_weights(0.1, 0.1, 0.2)


def test_weighted_sum_counts_from_the_first_step():
    total = weighted_sum(lambda x: x + 1, jnp.array(0.0), np.array([1.0, 10.0, 100.0]))
    assert float(total) == 321.0


@pytest.mark.parametrize(("period", "least", "most"), [(50.0, 0.95, 1.0), (1.0, -0.02, 0.02)])
def test_slow_waves_stay_and_fast_ones_go(period, least, most):
    """A rotation by exp(2 pi i t / period), filtered over 6 units of time with that cutoff."""
    dt = 0.02
    turn = 2 * np.pi * dt / period

    def rotate(angle):
        return lambda u: (jnp.cos(angle) * u[0] - jnp.sin(angle) * u[1], jnp.sin(angle) * u[0] + jnp.cos(angle) * u[1])

    state = (jnp.array(1.0), jnp.array(0.0))
    x, y = initialise(rotate(turn), rotate(-turn), state, lanczos_weights(6, 6, dt))
    assert least <= float(x) <= most and float(y) == pytest.approx(0, abs=1e-4)
