"""Shallow-water states: balance in the equations of the paper and in those of the model."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.gcm.dynamics.shallow_water import shallow_water
from sciml.pipelines.gcm.scales import ATMOSPHERIC, EARTH
from sciml.pipelines.gcm.setups import fluids
from sciml.pipelines.gcm.setups.case import Where
from sciml.pipelines.gcm.setups.initial import fluid, reference_potential

LATITUDE = np.linspace(-1.5, 1.5, 61)


def along(make, latitude):
    """(u, height) [j] of a case on its first meridian opposite to any bump."""
    found = make(Where(np.array([np.pi]), np.asarray(latitude), np.ones(1)))
    return found.u[0, :, 0], found.height[0, :, 0]


@pytest.mark.parametrize("make", [fluids.williamson2, fluids.galewsky])
def test_the_wind_balances_the_height(make, slope):
    """u (2 Omega sin(lat) + u tan(lat) / a) = -g d h / d lat / a."""
    u = along(make, LATITUDE)[0]
    turning = u * (2 * EARTH.angular_velocity * np.sin(LATITUDE) + u * np.tan(LATITUDE) / EARTH.radius)
    fine = np.sort((LATITUDE[:, None] + 2e-3 * np.arange(-2, 3)).ravel())
    h = along(make, fine)[1].reshape(-1, 5)
    rise = (8 * (h[:, 3] - h[:, 1]) - h[:, 4] + h[:, 0]) / (12 * 2e-3)
    np.testing.assert_allclose(turning, -EARTH.gravity * rise / EARTH.radius, atol=2e-4 * abs(turning).max())


@pytest.mark.parametrize(("name", "truncation", "limit"), [("williamson2", "T21", 1e-12), ("galewsky", "T85", 1e-3)])
def test_the_model_keeps_the_balance(name, truncation, limit, exact):
    """The tendency of the balanced flow is round-off, or what is not resolved, beside its largest term."""
    plan = exact if truncation == "T21" else make_plan(truncation, precision="float64")
    initial = getattr(fluids, name)(Where.of(plan))
    if name == "galewsky":  # without the bump, of which the far side has none
        far = initial.height[plan.truncation.nlon // 2]
        initial = replace(initial, height=np.broadcast_to(far, initial.height.shape))
    equation = shallow_water(plan, reference_potential(plan, initial))
    state = fluid(plan, initial)
    a, b = equation.explicit(state), equation.implicit(state)
    largest = float(abs(b.divergence).max())
    assert abs(a.divergence + b.divergence).max() < limit * largest
    assert abs(a.vorticity).max() < limit * largest
    assert abs(a.potential + b.potential).max() < limit * largest


def test_facts_of_williamson(globe):
    two, five = fluids.williamson2(globe.where), fluids.williamson5(globe.where)
    assert two.u.max() == pytest.approx(38.61, abs=0.1) and EARTH.gravity * along(fluids.williamson2, [0.0])[
        1
    ] == pytest.approx(2.94e4)
    assert five.u.max() == pytest.approx(20, abs=0.1) and along(fluids.williamson5, [0.0])[1] == pytest.approx(5960)
    top = fluids.williamson5(Where(np.radians([270.0, 290.0, 270.0]), np.radians([30.0, 50.0]), np.ones(1))).bottom[
        ..., 0
    ]
    np.testing.assert_allclose(top, [[2000, 0], [0, 0], [2000, 0]], atol=1e-9)
    assert (five.height > five.bottom + 2500).all()


def test_facts_of_galewsky(globe):
    found = fluids.galewsky(globe.where)
    u, _ = along(fluids.galewsky, np.radians([45.0, 25.0, 70.0, -45.0]))
    np.testing.assert_allclose(u, [80, 0, 0, 0], rtol=1e-12)
    bump = found.height - found.height[32:33]
    mean = np.einsum("ij,j->", (found.height - bump)[..., 0], globe.weights) / 64
    assert mean == pytest.approx(10000, abs=1)
    assert bump.min() > -1e-9 and np.unravel_index(bump[..., 0].argmax(), (64, 32))[0] == 0
    place = Where(np.array([0.0, 1 / 3, np.pi]), np.array([np.pi / 4]), np.ones(1))
    height = fluids.galewsky(place).height[:, 0, 0]
    np.testing.assert_allclose(height[:2] - height[2], 120 * np.cos(np.pi / 4) * np.array([1, np.exp(-1)]), rtol=1e-6)
    assert found.height[32, 0, 0] - found.height[32, -1, 0] > 1000  # low pressure poleward of the westerlies


def test_the_jet_is_that_of_dinosaur(globe):
    peer = pytest.importorskip("dinosaur.shallow_water_states")
    parameters = jax.tree.map(lambda one: float(one.to_base_units().magnitude), peer.get_default_parameters())
    found, lat = fluids.galewsky(globe.where), globe.where.latitude
    np.testing.assert_allclose(
        found.u[0, :, 0], peer.get_zonal_velocity(jnp.asarray(lat), parameters), rtol=2e-5, atol=1e-30
    )
    bump = peer.get_height(globe.where.longitude[:, None], lat[None], parameters)
    np.testing.assert_allclose((found.height - found.height[32:33])[..., 0], bump, atol=1e-3)


def test_members_and_precision_have_nothing_to_do_with_it(plan):
    """In float32 the mean potential is that of float64, rounded once."""
    initial = fluids.williamson2(Where.of(plan))
    state = fluid(plan, initial)
    mean = np.asarray(state.potential)[(plan.total_wavenumber == 0) & plan.mask]
    assert abs(mean).max() < 1e-12 and jax.tree.leaves(state)[0].dtype == np.float32
    depth = ATMOSPHERIC.dim(reference_potential(plan, initial), "m2 s-2") / EARTH.gravity
    assert depth == pytest.approx(2.94e4 / EARTH.gravity - 635.1, abs=0.5)
