"""The ground of encoder and decoder: base, learned correction, filters, and errors that name what is missing."""

import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere import layout
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.gcm.neural.checkpoint import config
from sciml.pipelines.gcm.neural.surface_height import surface_height
from sciml.pipelines.gcm.scales import ATMOSPHERIC, EARTH

BASE = config.FilteredCustomOrography()


def test_the_base_is_the_height_of_the_field(little):
    plan, fields = little().plan, little().surface
    height = surface_height(BASE, plan, plan, fields).nodal(plan, {})
    found = ATMOSPHERIC.dim(np.asarray(layout.to_standard(plan, height))[..., 0, 0], "m") * EARTH.gravity
    np.testing.assert_allclose(found, fields["geopotential_at_surface"], atol=2e-4 * 2e4)


def test_what_was_learned_is_added(little):
    plan, fields = little().plan, little().surface
    ground = surface_height(config.LearnedOrography(BASE, 0.5), plan, plan, fields)
    values = jnp.zeros(int(plan.mask.sum())).at[0].set(2.0)
    change = ground.modal(plan, {"orography": {"correction": values}}) - ground.base
    mean = (plan.total_wavenumber == 0) & plan.mask
    np.testing.assert_allclose(change[mean], 1.0, rtol=1e-6)
    assert float(jnp.abs(change).sum()) == pytest.approx(1.0)


def test_filters_act_on_the_base(little):
    plan, fields = little().plan, little().surface
    smooth = config.FilteredCustomOrography((config.DataExponentialFilter(3.0, 1, 0.0), config.DataNoFilter()))
    raw, damped = (surface_height(node, plan, plan, fields).base for node in (BASE, smooth))
    factor = np.exp(-3.0 * (plan.total_wavenumber / (plan.truncation.total - 1)) ** 2)
    np.testing.assert_allclose(damped[..., 0], raw[..., 0] * factor, atol=1e-9)


def test_refusals(little):
    plan = little().plan
    with pytest.raises(DataError, match="geopotential_at_surface is needed"):
        surface_height(BASE, plan, plan, {"land_sea_mask": np.zeros((64, 32))})
    with pytest.raises(SettingsError, match="PerVariableDataFilter"):
        surface_height(
            config.FilteredCustomOrography((config.PerVariableDataFilter(()),)), plan, plan, little().surface
        )
