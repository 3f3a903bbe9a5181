"""Learned physics: what becomes of wind tendencies, members one by one, the previous state, and the original."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere import operators, transform
from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.neural import features, physics, radiation, readings
from sciml.pipelines.gcm.scales import ATMOSPHERIC

ORBIT = radiation.orbit(np.datetime64("1979-01-01T00"))
HOUR = ATMOSPHERIC.nondim(1.0, "hour")
run = jax.jit(lambda made, *given: made.nodal(*given))


@pytest.fixture(scope="module")
def made(little):
    one = little()
    surface = readings.surface_fields(one.plan, one.surface)
    return physics.physics(one.settings, one.plan, surface, ORBIT, HOUR)


def weather(little, states, members=1, seed=0):
    """(state, moment, previous state)."""
    one = little()
    layers = one.settings.model.levels.layers
    now, before = (states.random(one.plan, layers, seed=seed + i, members=(members,))[0] for i in (0, 7))
    return now, readings.Moment(jnp.float32(5.0), one.forcing), before


def test_solid_rotation_speeds_up_the_vorticity_only(made, little, states):
    plan = little().plan
    state, _, _ = weather(little, states)
    cosine = jnp.broadcast_to(plan.cos_lat, (*plan.nodal_shape, 1))[..., None]
    zero = jnp.zeros_like(cosine)
    given = {"u": cosine, "v": zero, "temperature_variation": zero, **dict.fromkeys(state.tracers, zero)}
    tendency = made.modal(state, given)
    sine = jnp.broadcast_to(plan.sin_lat, (*plan.nodal_shape, 1))[..., None]
    np.testing.assert_allclose(transform.synthesis(plan, tendency.vorticity), 2 * sine, atol=1e-5)
    assert float(jnp.abs(tendency.divergence).max()) < 1e-5
    assert tendency.log_surface_pressure is None and sorted(tendency.tracers) == sorted(state.tracers)


def test_the_filter_damps_and_the_largest_wavenumber_of_the_wind_is_cut(made, little, states):
    plan = little().plan
    state, _, _ = weather(little, states)
    rng = np.random.default_rng(0)
    names = ("u", "v", "temperature_variation", *state.tracers)
    given = {name: jnp.asarray(rng.normal(size=(*plan.nodal_shape, 1, 1)), jnp.float32) for name in names}
    tendency = made.modal(state, given)
    largest = plan.total_wavenumber >= plan.truncation.total - 1
    assert float(jnp.abs(tendency.vorticity[largest]).max()) == 0
    raw = transform.analysis(plan, given["temperature_variation"])
    small = (plan.total_wavenumber <= 0.4 * (plan.truncation.total - 1)) & plan.mask
    np.testing.assert_allclose(tendency.temperature_variation[small], raw[small], rtol=1e-5, atol=1e-7)
    high = (plan.total_wavenumber == plan.truncation.total - 1) & plan.mask
    np.testing.assert_allclose(tendency.temperature_variation[high], raw[high] * np.exp(-15.0), rtol=1e-3, atol=1e-9)


def test_members_are_independent(made, little, states):
    params = little().params["physics"]
    one, moment, before = weather(little, states)
    two, _, other = weather(little, states, seed=3)
    both = lambda *trees: jax.tree.map(lambda *x: jnp.concatenate(x, -2), *trees)  # noqa: E731
    alone = [run(made, params, one, moment, before), run(made, params, two, moment, other)]
    together = run(made, params, both(one, two), moment, both(before, other))
    for name, x in together.items():
        for member in range(2):
            np.testing.assert_allclose(x[..., member, :], alone[member][name][..., 0, :], rtol=2e-4, atol=1e-8)


@pytest.mark.slow
def test_blocks_of_rows_do_not_change_it(made, little, states, monkeypatch):
    params, given = little().params["physics"], weather(little, states)
    found = run(made, params, *given)
    monkeypatch.setattr(features, "BLOCK_ROWS", 1 << 20)
    whole = jax.jit(lambda made, *given: made.nodal(*given))(made, params, *given)
    for name, x in found.items():
        np.testing.assert_allclose(x, whole[name], rtol=2e-4, atol=1e-8)


def test_outputs_stand_in_the_order_of_the_original(made, little):
    names = list(made.network.outputs)
    assert names == ["temperature_variation", *sorted(little().settings.tracers), "u", "v"]
    node = replace(little().settings.step.physics, predicted=("temperature_variation",))
    settings = replace(little().settings, step=replace(little().settings.step, physics=node))
    with pytest.raises(SettingsError, match="vorticity and divergence are needed"):
        physics.physics(settings, little().plan, {}, ORBIT, HOUR)


@pytest.mark.slow
def test_everything_has_a_gradient(made, little, states):
    params, (state, moment, before) = little().params["physics"], weather(little, states)

    def loss(params):
        return sum(jnp.sum(x**2) for x in made.nodal(params, state, moment, before).values())

    for path, gradient in jax.tree_util.tree_leaves_with_path(jax.jit(jax.grad(loss))(params)):
        assert np.isfinite(gradient).all() and float(jnp.abs(gradient).max()) > 0, path


def test_tendency_is_the_analysis_of_the_nodal_one(made, little, states):
    params, (state, moment, before) = little().params["physics"], weather(little, states)
    nodal = run(made, params, state, moment, before)
    tendency = jax.jit(lambda made, *given: made(*given))(made, params, state, moment, before)
    plan = little().plan
    vorticity, _ = operators.vorticity_divergence(plan, nodal["u"], nodal["v"])
    expected = made.filters[0](None, vorticity)
    error = jnp.linalg.norm(tendency.vorticity - expected) / jnp.linalg.norm(expected)
    assert float(error) < 1e-5
