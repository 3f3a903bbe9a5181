"""Field by field and all at once are the same numbers in the same places."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.gcm.dynamics import batches


@pytest.mark.parametrize("members", [(), (2,)])
def test_both_ways_agree(members, states, monkeypatch):
    plan = make_plan("T21")
    rng = np.random.default_rng(0)
    fields = [states.random_field(plan, rng, k, 1.0, members=members) for k in (3, 1, 4)]
    found = {}
    for by_field in (True, False):
        monkeypatch.setattr(batches, "by_field", lambda plan, chosen=by_field: chosen)
        values = batches.synthesise(plan, fields)
        found[by_field] = values, batches.analyse(plan, [values[:2], values[2:]])
    assert [x.shape[-1] for x in found[True][0]] == [3, 1, 4]
    assert [[x.shape[-1] for x in group] for group in found[False][1]] == [[3, 1], [4]]
    for a, b in zip(jax.tree.leaves(found[True]), jax.tree.leaves(found[False]), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    for x, (back,) in zip(fields[2:], found[True][1][1:], strict=True):
        np.testing.assert_allclose(back, x, atol=1e-5)


def test_a_processor_goes_field_by_field_and_an_accelerator_does_not():
    assert batches.by_field(make_plan("T21", platform="cpu"))
    assert not batches.by_field(make_plan("T21", platform="cuda"))


def test_devices_that_share_the_coefficients_get_one_call():
    mesh = jax.make_mesh((1,), ("m",))
    assert not batches.by_field(make_plan("T21", platform="cpu", mesh=mesh))
    assert jnp.dtype(make_plan("T21").dtype) == jnp.float32
