"""The bridge to dinosaur: states survive the way there and back."""

import jax
import numpy as np
import pytest

from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.gcm.bench import peer
from sciml.pipelines.gcm.core import make_core
from sciml.pipelines.gcm.dynamics.primitive_equations import primitive_equations
from sciml.pipelines.gcm.dynamics.vertical import equidistant


@pytest.mark.parametrize("transform", peer.CLASSES)
def test_states_return(transform, states):
    pytest.importorskip("dinosaur")
    plan = make_plan("T21")
    state, orography = states.random(plan, 4)
    core = make_core(primitive_equations(plan, equidistant(4), 280.0, orography), 0.1)
    there = peer.dinosaur(core, tuple(state.tracers), transform)
    rows = {"real": 43, "fast": 44}[transform]
    encoded = there.encode(state)
    assert encoded.vorticity.shape == (4, rows, 23) and encoded.log_surface_pressure.shape == (1, rows, 23)
    for a, b in zip(jax.tree.leaves(there.decode(encoded)), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(a, b)


def test_installed_says_so():
    assert peer.installed() == (peer.importlib.util.find_spec("dinosaur") is not None)
