"""A lost member is found, named and made NaN; the others keep their numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.gcm.neural import rollout_guard as guard

SIGMA = np.array([0.2, 0.5, 0.8])


@pytest.fixture(scope="module")
def plan():
    return make_plan("T21")


@pytest.fixture
def state(plan, states):
    found, _ = states.random(plan, 3, members=(3,))
    return jax.tree.map(lambda x: 0.05 * x, found)


def test_all_are_sound_at_first(plan, state):
    assert guard.sound_members(plan, state, 350.0).all()


@pytest.mark.parametrize("fault", ["nan", "wind"])
def test_the_lost_one_is_found_and_named(plan, state, fault):
    factor = np.array([1.0, np.nan if fault == "nan" else 1e4, 1.0], np.float32)[:, None]
    broken = jax.tree.map(lambda x: x * factor, state)
    assert guard.sound_members(plan, broken, 350.0).tolist() == [True, False, True]
    words = guard.what_happened(plan, broken, 1, SIGMA, 350.0)
    assert ("not finite" in words) if fault == "nan" else ("wind of" in words and "level" in words)


def test_the_others_keep_their_numbers(plan, state):
    left = guard.without(state, jnp.array([False, True, False]))
    for before, after in zip(jax.tree.leaves(state), jax.tree.leaves(left), strict=True):
        assert np.isnan(after[..., 1, :]).all()
        np.testing.assert_array_equal(after[..., ::2, :], before[..., ::2, :])
    alive = guard.members(left, np.array([True, False, True]))
    assert alive.vorticity.shape[-2] == 2 and np.isfinite(alive.vorticity).all()
    assert guard.numbered([1]) == "member 1" and guard.numbered([1, 2]) == "members 1, 2"
