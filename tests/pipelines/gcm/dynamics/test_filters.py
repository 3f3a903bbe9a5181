"""Filters against their formulas and against dinosaur's."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.dynamics.filters import (
    EXPONENTIAL_TAU,
    diffusion_factor,
    exponential,
    exponential_factor,
    fix_global_mean,
    horizontal_diffusion,
)
from sciml.pipelines.gcm.scales import ATMOSPHERIC


@pytest.fixture(scope="module")
def plan():
    return make_plan("T21")


def test_formula_of_the_exponential_filter():
    k = np.linspace(0, 1, 11)
    factor = exponential_factor(k, 16.0, 2, cutoff=0.4)
    np.testing.assert_array_equal(factor[:5], 1.0)
    np.testing.assert_allclose(factor[-1], np.exp(-16))
    np.testing.assert_allclose(factor[7], np.exp(-16 * 0.5**4))


def test_the_default_damps_by_e16_in_twenty_minutes(plan):
    dt = ATMOSPHERIC.nondim(20, "min")
    assert dt / EXPONENTIAL_TAU == pytest.approx(16, rel=1e-4)
    factor = exponential(plan, dt).factor
    smallest = factor[plan.total_wavenumber == plan.truncation.total - 1]
    np.testing.assert_allclose(smallest, np.exp(-dt / EXPONENTIAL_TAU), rtol=1e-5)
    np.testing.assert_array_equal(factor[plan.total_wavenumber < plan.truncation.total // 3], 1.0)


def test_formula_of_the_diffusion(plan):
    """The shortest wave decays by e in tau; a wave of half the wavenumber 2^(2 order) times slower."""
    factor = diffusion_factor(np.arange(65.0), 64, strength=1.0, order=2)
    assert factor[0] == 1 and factor[64] == pytest.approx(np.exp(-1))
    assert np.log(factor[32]) == pytest.approx(-((32 * 33 / (64 * 65)) ** 2))
    damping = horizontal_diffusion(plan, dt=0.1, tau=0.2, order=2).factor
    np.testing.assert_allclose(damping[plan.total_wavenumber == 22], np.exp(-0.5), rtol=1e-6)


def test_filters_are_those_of_dinosaur(peer, states):
    with jax.enable_x64(True):
        plan = make_plan("T21", precision="float64")
        grid = peer.spherical_harmonic.Grid.T21(radius=1.0)
        x = states.random_field(plan, np.random.default_rng(0), 3, 1.0) + 1.0 * plan.mask[..., None]
        rows = peer.to_rows(plan, x)
        cases = [
            (exponential(plan, 0.05), peer.time_integration.exponential_step_filter(grid, 0.05)),
            (
                exponential(plan, 0.05, 0.00875, 1.5, 0.8),
                peer.time_integration.exponential_step_filter(grid, 0.05, 0.00875, 1.5, 0.8),
            ),
            (
                horizontal_diffusion(plan, 0.05, 0.3, 2),
                peer.time_integration.horizontal_diffusion_step_filter(grid, 0.05, 0.3, 2),
            ),
        ]
        for ours, theirs in cases:
            np.testing.assert_allclose(peer.to_rows(plan, ours(x, x)), theirs(rows, rows), rtol=1e-12, atol=1e-13)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Two:
    log_surface_pressure: jax.Array
    other: jax.Array


def test_the_global_mean_is_kept_and_nothing_else(plan, states):
    rng = np.random.default_rng(1)
    before, after = (Two(*(states.random_field(plan, rng, 1, 1.0, members=(2,)) for _ in range(2))) for _ in range(2))
    fixed = jax.jit(lambda f, old, new: f(old, new))(fix_global_mean(plan), before, after)
    mean = (plan.total_wavenumber == 0) & plan.mask
    assert mean.sum() == 1
    kept, old, new = (x.log_surface_pressure for x in (fixed, before, after))
    np.testing.assert_array_equal(kept[mean], old[mean])
    np.testing.assert_array_equal(kept[~mean], new[~mean])
    np.testing.assert_array_equal(fixed.other, after.other)
    other = fix_global_mean(plan, "other")(before, replace(after, log_surface_pressure=old))
    np.testing.assert_array_equal(other.other[mean], before.other[mean])


def test_what_is_spared_is_not_diffused(plan, states):
    x = Two(*(states.random_field(plan, np.random.default_rng(n), 1, 1.0) for n in range(2)))
    found = horizontal_diffusion(plan, 0.05, 0.1, 2, ("log_surface_pressure",))(x, x)
    np.testing.assert_array_equal(found.log_surface_pressure, x.log_surface_pressure)
    np.testing.assert_array_equal(found.other, horizontal_diffusion(plan, 0.05, 0.1, 2)(x, x).other)
    assert abs(found.other - x.other).max() > 0.01


def test_filters_are_arguments_not_constants(plan):
    damping = exponential(plan, 0.05)
    assert [x.shape for x in jax.tree.leaves(damping)] == [plan.modal_shape]
    out = jax.jit(lambda f, x: f(x, x))(damping, {"a": jnp.ones((*plan.modal_shape, 2, 3))})
    assert out["a"].shape == (*plan.modal_shape, 2, 3)


@pytest.mark.parametrize(
    ("options", "message"), [({"tau": 0.0}, "time scale is 0.0"), ({"cutoff": 1.0}, "cutoff is 1.0")]
)
def test_bad_options_are_named(plan, options, message):
    with pytest.raises(SettingsError, match=message):
        exponential(plan, 0.05, **options)
