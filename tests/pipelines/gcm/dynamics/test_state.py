"""A state is a pytree: every operation on trees works on it."""

import jax
import jax.numpy as jnp

from sciml.pipelines.gcm.dynamics.state import CLOUD_ICE, CLOUD_LIQUID, SPECIFIC_HUMIDITY, State


def test_a_state_is_a_tree():
    one = jnp.ones((2, 3))
    state = State(one, 2 * one, 3 * one, one[:, :1], {SPECIFIC_HUMIDITY: 5 * one})
    doubled = jax.jit(lambda s: jax.tree.map(lambda x: 2 * x, s))(state)
    assert float(doubled.tracers[SPECIFIC_HUMIDITY][0, 0]) == 10.0
    assert len(jax.tree.leaves(state)) == 5
    assert jax.tree.structure(State(one, one, one, one)) != jax.tree.structure(state)
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(state)]
    assert names[0] == ".vorticity" and names[-1] == ".tracers['specific_humidity']"


def test_names_are_those_of_the_released_models():
    assert (SPECIFIC_HUMIDITY, CLOUD_ICE, CLOUD_LIQUID) == (
        "specific_humidity",
        "specific_cloud_ice_water_content",
        "specific_cloud_liquid_water_content",
    )
