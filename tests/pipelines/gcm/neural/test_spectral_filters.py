"""Filters of the settings: factors by their law, in order, per variable, and nothing where nothing is asked."""

import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.gcm.neural import spectral_filters as sf
from sciml.pipelines.gcm.neural.checkpoint import config
from sciml.pipelines.gcm.scales import ATMOSPHERIC

NAMES = (*sf.VARIABLES, "specific_humidity")


@pytest.fixture(scope="module")
def plan():
    return make_plan("T21")


def law(plan, strength, order, cutoff):
    k = plan.total_wavenumber / (plan.truncation.total - 1)
    return np.where(k > cutoff, np.exp(-strength * (np.maximum(k - cutoff, 0) / (1 - cutoff)) ** (2 * order)), 1.0)


def test_a_clip_takes_the_largest_wavenumbers(plan):
    factor = sf.clip_factor(plan, 2)
    assert set(np.unique(factor)) == {0, 1}
    assert plan.total_wavenumber[factor == 1].max() == plan.truncation.total - 3


def test_step_filters_in_their_order(plan, states):
    node = config.SequentialStepFilter(
        (
            config.ExponentialFilter(240.0, 10, 0.4),
            config.NoFilter(),
            config.ClipFilter(1),
            config.FixGlobalMeanFilter(),
        )
    )
    dt = ATMOSPHERIC.nondim(1.0, "hour")
    first, clip, fixed = sf.step_filters(node, plan, dt)
    np.testing.assert_allclose(first.factor[plan.mask], law(plan, 15.0, 10, 0.4)[plan.mask], rtol=1e-5, atol=1e-12)
    before, after = (states.random(plan, 2, seed=seed)[0] for seed in (0, 1))
    found = fixed(before, clip(before, after))
    mean = (plan.total_wavenumber == 0) & plan.mask
    np.testing.assert_array_equal(found.log_surface_pressure[mean], before.log_surface_pressure[mean])
    assert sf.step_filters(None, plan, dt) == () == sf.step_filters(config.NoFilter(), plan, dt)


def test_encoder_factors_multiply_per_variable(plan):
    humid = config.VariableFilter("specific_humidity", config.DataExponentialFilter(14.0, 2, 0.62))
    wind = config.VariableFilter("vorticity", config.DataNoFilter())
    node = config.EncoderCombinedTransform(
        (config.InputClipTransform(1), config.EncoderFilterTransform((config.PerVariableDataFilter((humid, wind)),)))
    )
    factors = sf.encoder_factors(node, plan, NAMES)
    assert sorted(factors) == sorted(NAMES)
    clip = sf.clip_factor(plan, 1)
    np.testing.assert_allclose(factors["vorticity"], clip)
    np.testing.assert_allclose(
        factors["specific_humidity"][plan.mask], (clip * law(plan, 14.0, 2, 0.62))[plan.mask], rtol=1e-5, atol=1e-9
    )
    assert sf.encoder_factors(config.EncoderIdentityTransform(), plan, NAMES) == {}


def test_scaled_multiplies_what_it_names(plan, states):
    state, _ = states.random(plan, 2, seed=3, members=(2,))
    half = jnp.full(plan.modal_shape, 0.5)
    found = sf.scaled({"vorticity": half, "specific_humidity": half}, state)
    np.testing.assert_allclose(found.vorticity, 0.5 * state.vorticity)
    np.testing.assert_allclose(found.tracers["specific_humidity"], 0.5 * state.tracers["specific_humidity"])
    np.testing.assert_array_equal(found.divergence, state.divergence)


@pytest.mark.parametrize(("attenuation", "order", "cutoff"), [(5.0, 15, 0.0), (14.0, 2, 0.62)])
def test_against_the_original(plan, peer, attenuation, order, cutoff):
    node = config.EncoderFilterTransform((config.DataExponentialFilter(attenuation, order, cutoff),))
    factor = sf.encoder_factors(node, plan, ("vorticity",))["vorticity"]
    grid = peer.spherical_harmonic.Grid.T21()
    ones = np.ones((1, *grid.modal_shape), np.float32) * grid.mask
    expected = peer.filtering.exponential_filter(grid, attenuation, order, cutoff)(ones)
    found = peer.to_rows(plan, (factor * plan.mask)[..., None])
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-9)
    assert np.linalg.norm(found - expected) <= 1e-6 * np.linalg.norm(expected)
