"""The learned analysis: plain interpolation under zero corrections, filters, members, and refusals."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere import transform
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.gcm.neural import encoder, pressure_levels, radiation, readings
from sciml.pipelines.gcm.neural.checkpoint import config

ORBIT = radiation.orbit(np.datetime64("1979-01-01T00"))
run = jax.jit(lambda made, *given: made(*given))


@pytest.fixture(scope="module")
def made(little):
    one = little()
    return encoder.encoder(one.settings, one.plan, one.surface, ORBIT)


def silent(params):
    """The parameters with networks that answer zero and no learned orography."""

    def zero(path, x):
        return 0 * x if {"decode", "correction"} & {step.key for step in path} else x

    return jax.tree_util.tree_map_with_path(zero, params)


def moment(little, **given):
    return readings.Moment(jnp.float32(5.0), little().forcing, **given)


def test_without_correction_it_is_the_interpolation(made, little):
    one = little()
    state, memory = run(made, silent(one.params), one.weather, moment(little))
    plan, ground = one.plan, made.ground.nodal(one.plan, silent(one.params)["encoder"])
    surface = jnp.exp(transform.synthesis(plan, state.log_surface_pressure))
    expected = pressure_levels.surface_pressure(one.weather["z"], np.asarray(made.pressures), ground * 72.36408283)
    # the filter smooths what the ground leaves in the fields: compare in the mean
    assert float(jnp.sqrt(jnp.mean((surface / expected - 1) ** 2))) < 5e-3
    t = transform.synthesis(plan, state.temperature_variation) + made.reference
    there = pressure_levels.to_sigma(one.weather, np.asarray(made.pressures), expected, np.asarray(made.sigma))["t"]
    assert float(jnp.sqrt(jnp.mean((t - there) ** 2))) < 0.3
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), state, memory)


def test_memory_has_weights_of_its_own(made, little):
    state, memory = run(made, little().params, little().weather, moment(little))
    assert float(jnp.abs(state.vorticity - memory.vorticity).max()) > 1e-6


def test_the_filter_cuts_the_largest_wavenumber(made, little):
    state, _ = run(made, little().params, little().weather, moment(little))
    plan = little().plan
    for x in jax.tree.leaves(state):
        assert float(jnp.abs(x[plan.total_wavenumber >= plan.truncation.total - 1]).max()) == 0


def test_random_fields_make_members(little):
    one = little("neuralgcm-ens-1.4")
    made = encoder.encoder(one.settings, one.plan, one.surface, ORBIT)
    names = one.settings.encoder.randomness.names
    draws = {name: jnp.asarray([[0.0], [1.0]]) * jnp.ones((*one.plan.nodal_shape, 2, 1)) for name in names}
    state, memory = run(made, one.params, one.weather, moment(little, randomness=draws))
    assert memory is None and state.vorticity.shape[-2] == 2
    assert float(jnp.abs(state.vorticity[..., 0, :] - state.vorticity[..., 1, :]).max()) > 1e-6


def test_refusals(made, little):
    one = little()
    with pytest.raises(DataError, match="the analysis lacks z"):
        made(one.params, {name: x for name, x in one.weather.items() if name != "z"}, moment(little))
    data = replace(one.settings.data, grid=config.Grid.of_gaussian(63, 32))
    with pytest.raises(SettingsError, match="grid has 64 x 32 points, that of its data 128 x 64"):
        encoder.encoder(replace(one.settings, data=data), one.plan, one.surface, ORBIT)


def test_short_names():
    assert encoder.ABBREVIATED["geopotential"] == "z" and set(encoder.ABBREVIATED.values()) == set(encoder.DATA)
