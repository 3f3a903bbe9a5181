"""The learned output: plain interpolation under zero corrections, hydrostatic geopotential, and what goes in comes out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere import transform
from sciml.pipelines.gcm.neural import decoder, encoder, physics, radiation, readings
from sciml.pipelines.gcm.scales import ATMOSPHERIC

ORBIT = radiation.orbit(np.datetime64("1979-01-01T00"))
run = jax.jit(lambda made, *given: made(*given))


@pytest.fixture(scope="module")
def made(little):
    one = little()
    return decoder.decoder(one.settings, one.plan, one.surface, ORBIT)


def silent(params):
    """The parameters with networks that answer zero."""
    zero = lambda path, x: 0 * x if "decode'" in jax.tree_util.keystr(path) else x  # noqa: E731
    return jax.tree_util.tree_map_with_path(zero, params)


@pytest.fixture
def moment(little):
    return readings.Moment(jnp.float32(5.0), little().forcing)


def test_an_analysis_comes_back(made, little, moment):
    """Encoded and decoded without corrections, on the levels between the outermost layers."""
    one = little()
    into = encoder.encoder(one.settings, one.plan, one.surface, ORBIT)
    params = silent(one.params)
    state, _ = run(into, params, one.weather, moment)
    found = run(made, params["decoder"], state, moment)
    assert sorted(found) == sorted(one.weather)
    for name, size in (("u", 2.0), ("v", 2.0)):
        difference = ATMOSPHERIC.dim(np.asarray(found[name] - one.weather[name]), "m s-1")[..., 2:6]
        assert np.sqrt(np.mean(difference**2)) < size, name
    assert np.abs(np.asarray(found["t"] - one.weather["t"]))[..., 3:6].mean() < 3


def test_geopotential_is_hydrostatic(made, little, states):
    """Between two layers of the same temperature T: R T ln(p2 / p1)."""
    plan, layers = little().plan, len(made.sigma)
    state, _ = states.random(plan, layers, members=(1,))
    nothing = jax.tree.map(jnp.zeros_like, state)
    fields, surface = made.on_layers(nothing, jnp.zeros((*plan.nodal_shape, 1, 1)))
    np.testing.assert_allclose(surface, 1.0, rtol=1e-6)
    np.testing.assert_allclose(
        fields["t"][..., 0, :], jnp.broadcast_to(made.reference, (*plan.nodal_shape, layers)), rtol=1e-6
    )
    thick = np.asarray(fields["z"][..., -2] - fields["z"][..., -1])
    mean = float(made.reference[-2:].mean())
    expected = ATMOSPHERIC.earth.gas_constant * mean * np.log(made.sigma[-1] / made.sigma[-2])
    np.testing.assert_allclose(thick, expected, rtol=2e-3)


def test_the_correction_is_added(made, little, moment, states):
    plan, params = little().plan, little().params["decoder"]
    state, _ = states.random(plan, len(made.sigma), members=(1,))
    whole, plain = run(made, params, state, moment), run(made, silent(params), state, moment)
    change = jax.jit(encoder.corrections)(made, params, plain, state, moment)
    for name, x in change.items():
        np.testing.assert_allclose(whole[name] - plain[name], x, atol=1e-5 * float(jnp.abs(whole[name]).max()))
        assert float(jnp.abs(x).max()) > 0


def test_outputs_stand_in_the_order_of_the_original(made, little):
    assert list(made.network.outputs) == ["t", *sorted(little().settings.tracers), "u", "v", "z"]


def test_solid_rotation_comes_out_as_wind(made, little, states):
    plan = little().plan
    state, _ = states.random(plan, len(made.sigma), members=(1,))
    sine = jnp.broadcast_to(plan.sin_lat, (*plan.nodal_shape, len(made.sigma)))[..., None, :]
    nothing = jax.tree.map(jnp.zeros_like, state)
    rotating = type(state)(
        transform.analysis(plan, 2 * sine), *(nothing.divergence,) * 2, nothing.log_surface_pressure, nothing.tracers
    )
    fields, _ = made.on_layers(rotating, jnp.zeros((*plan.nodal_shape, 1, 1)))
    np.testing.assert_allclose(fields["u"][..., 0], jnp.broadcast_to(plan.cos_lat, (*plan.nodal_shape, 1)), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["neuralgcm-1.4", "neuralgcm-ens-1.4"])
def test_every_published_model_goes_in_and_out(little, name):
    """Filters per variable, constant embeddings, learned ground and named random fields: all of it stays finite."""
    one = little(name)
    surface = readings.surface_fields(one.plan, one.surface)
    into = encoder.encoder(one.settings, one.plan, one.surface, ORBIT)
    out = decoder.decoder(one.settings, one.plan, one.surface, ORBIT)
    law = physics.physics(one.settings, one.plan, surface, ORBIT, ATMOSPHERIC.nondim(0.5, "hour"))
    names = getattr(one.settings.encoder.randomness, "names", ())
    draws = {name: jnp.ones((*one.plan.nodal_shape, 2, 1)) for name in names}
    moment = readings.Moment(jnp.float32(5.0), one.forcing, draws)
    state, memory = run(into, one.params, one.weather, moment)
    tendency = run(law, one.params["physics"], state, moment, memory)
    found = run(out, one.params["decoder"], state, moment)
    members = 2 if names else 1
    assert (memory is None) == bool(names) and found["t"].shape == (*one.plan.nodal_shape, members, 7)
    for x in jax.tree.leaves((state, memory, tendency, found)):
        assert np.isfinite(x).all() and float(jnp.abs(x).max()) > 0
