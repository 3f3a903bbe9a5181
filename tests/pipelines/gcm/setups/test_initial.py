"""From fields to coefficients: analytic wind, exact surface pressure in float32, all precisions and grids."""

import jax
import numpy as np
import pytest

from sciml.kernels.sphere import layout, transform
from sciml.kernels.sphere.grids import GRIDS
from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.gcm.dynamics.vertical import equidistant
from sciml.pipelines.gcm.scales import ATMOSPHERIC, EARTH
from sciml.pipelines.gcm.setups import initial
from sciml.pipelines.gcm.setups.baroclinic import steady_state
from sciml.pipelines.gcm.setups.case import Atmosphere, Where


def test_the_surface_pressure_is_exact_in_float32(plan):
    """1000 hPa to 0.5 Pa everywhere, synthesis in float32 included."""
    where = Where.of(plan, equidistant(4))
    state = initial.atmosphere(plan, steady_state(where))
    ps = ATMOSPHERIC.dim(np.exp(np.asarray(transform.synthesis(plan, state.log_surface_pressure), np.float64)), "Pa")
    assert abs(ps - 1e5).max() < 0.5


@pytest.mark.parametrize("kind", GRIDS)
def test_solid_body_rotation(kind):
    """Vorticity 2 w sin(lat), divergence 0; about any axis, so that wind blows across the poles."""
    small = make_plan("T21", grid=kind)
    where = Where.of(small)
    u, v = np.sin(0.4) * np.sin(where.lat) * np.cos(where.lon), -np.sin(0.4) * np.sin(where.lon)
    u, v = where.flat(np.cos(0.4) * np.cos(where.lat) + u), where.flat(v)
    vorticity, divergence = initial.vorticity_divergence(small, u, v)
    expected = 2 * (np.cos(0.4) * np.sin(where.lat) - np.sin(0.4) * np.cos(where.lat) * np.cos(where.lon))
    np.testing.assert_allclose(vorticity, initial.modal(small, where.flat(expected)), atol=1e-9)
    assert abs(divergence).max() < 1e-9


def test_coefficients_bring_back_the_field(plan):
    rng = np.random.default_rng(0)
    x = np.where(plan.mask[..., None], rng.normal(size=(*plan.modal_shape, 3)), 0)
    with jax.enable_x64(True):
        exact = make_plan("T21", precision="float64")
        field = layout.to_standard(exact, np.asarray(transform.synthesis(exact, x)))
    np.testing.assert_allclose(initial.modal(plan, field), x, atol=1e-12)


def test_orography_is_a_height(plan):
    where = Where.of(plan)
    height = np.asarray(initial.orography(plan, where.flat(EARTH.gravity * 1000 * (1 + np.sin(where.lat)))))
    mean = height[(plan.total_wavenumber == 0) & plan.mask]
    np.testing.assert_allclose(ATMOSPHERIC.dim(mean, "m") / np.sqrt(4 * np.pi), 1000, rtol=1e-12)


def test_all_parts_of_a_state(plan):
    where = Where.of(plan, equidistant(3))
    still = steady_state(where)
    tracers = {"b": where.full(0.02), "a": where.full(0.01)}
    state = initial.atmosphere(plan, Atmosphere(**{**vars(still), "tracers": tracers}))
    assert list(state.tracers) == ["a", "b"]
    for x in jax.tree.leaves(state):
        assert x.dtype == np.float32 and x.shape[:-1] == plan.modal_shape
    assert state.log_surface_pressure.shape[-1] == 1 and state.vorticity.shape[-1] == 3
    mean = np.asarray(state.tracers["b"])[(plan.total_wavenumber == 0) & plan.mask]
    np.testing.assert_allclose(mean / np.sqrt(4 * np.pi), 0.02, rtol=1e-6)
    warm = layout.to_standard(plan, np.asarray(transform.synthesis(plan, state.temperature_variation)))
    np.testing.assert_allclose(warm + still.reference_temperature, still.temperature, atol=0.5)
    assert not np.asarray(state.vorticity)[~plan.mask].any()
