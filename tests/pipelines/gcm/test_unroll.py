"""Unrolled rollouts: same numbers as a loop, exact gradients, memory like the square root of the steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.unroll import PLAIN, repeat, segment_length, unroll


@pytest.fixture(autouse=True)
def _quickly():
    """The memory that the compiler plans is looked at, so it does all it can."""


def turn(x):
    """A nonlinear step with plenty of intermediates."""
    y = jnp.roll(x, 1) * jnp.cos(x)
    return 0.99 * x + 0.1 * jnp.sin(y) * jnp.exp(-(y**2))


def loop(x, n):
    for _ in range(n):
        x = turn(x)
    return x


START = jnp.linspace(0.0, 1.0, 7)


@pytest.mark.parametrize("n", [1, 7, PLAIN, 23, 36, 50])
@pytest.mark.parametrize("remat", [True, False])
def test_repeat_is_the_loop(n, remat):
    np.testing.assert_allclose(repeat(turn, START, n, remat=remat), loop(START, n), rtol=1e-5)


@pytest.mark.parametrize(("n", "length"), [(17, 4), (36, 6), (40, 8), (50, 10), (1000, 25), (1009, 31)])
def test_segments_are_near_the_root(n, length):
    assert segment_length(n) == length


@pytest.mark.parametrize(("n", "every"), [(12, 3), (40, 20), (40, 40), (6, 1)])
def test_outputs_come_after_every_interval(n, every):
    end, seen = unroll(turn, START, n, every, output=lambda x: 2 * x)
    assert seen.shape == (n // every, 7)
    np.testing.assert_allclose(end, loop(START, n), rtol=1e-5)
    np.testing.assert_allclose(seen[0], 2 * loop(START, every), rtol=1e-5)
    np.testing.assert_allclose(seen[-1], 2 * end, rtol=1e-6)


@pytest.mark.parametrize(("n", "every"), [(10, None), (40, None), (23, None), (40, 20), (8, 1)])
def test_gradients_are_exact(n, every):
    with jax.enable_x64(True):
        start, way = jnp.linspace(0.0, 1.0, 7), jnp.cos(jnp.arange(7.0))

        def total(x):
            end, seen = unroll(turn, x, n, every)
            return jnp.sum(end**3) + jnp.sum(seen)

        slope = jax.grad(total)(start) @ way
        e = 1e-6
        assert float(slope) == pytest.approx(float(total(start + e * way) - total(start - e * way)) / (2 * e), rel=1e-6)
        assert float(jax.jvp(total, (start,), (way,))[1]) == pytest.approx(float(slope), rel=1e-12)


def held(n, remat=True):
    """Temporary memory [bytes] of the compiled gradient over n steps of a large state."""
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(unroll(turn, x, n, remat=remat)[0])))
    return gradient.lower(jax.ShapeDtypeStruct((100_000,), jnp.float32)).compile().memory_analysis().temp_size_in_bytes


def test_memory_grows_like_the_square_root():
    states = {n: held(n) / 4e5 for n in (64, 256, 1024)}
    for n, count in states.items():
        assert count < 2.5 * np.sqrt(n) + 12, states
    assert held(64, remat=False) / 4e5 > 2 * 64


def test_intervals_must_divide():
    with pytest.raises(SettingsError, match="10 steps with an output every 4"):
        unroll(turn, START, 10, 4)
