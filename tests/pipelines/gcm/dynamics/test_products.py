"""Grid-point products: one column by hand, and the thermodynamics of moist air."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.pipelines.gcm.dynamics import vertical
from sciml.pipelines.gcm.dynamics.products import GridState, GridTendency, Humidity, advected, product_tables, products
from sciml.pipelines.gcm.dynamics.state import CLOUD_LIQUID, SPECIFIC_HUMIDITY
from sciml.pipelines.gcm.dynamics.vertical import equidistant
from sciml.pipelines.gcm.scales import ATMOSPHERIC

K = 6
CONSTANTS = ATMOSPHERIC.earth
HUMIDITY = Humidity(
    CONSTANTS.gas_constant_vapor / CONSTANTS.gas_constant - 1,
    CONSTANTS.heat_capacity_vapor / CONSTANTS.heat_capacity - 1,
)


def column(seed=0, **tracers):
    rng = np.random.default_rng(seed)
    vorticity, divergence, u, v, temperature = 0.1 * rng.standard_normal((5, 1, K))
    a, b = 0.1 * rng.standard_normal((2, 1, 1))
    arrays = [jnp.asarray(x) for x in (vorticity, divergence, u, v, 20 * temperature)]
    return GridState(*arrays, tracers, (jnp.asarray(a), jnp.asarray(b)), jnp.array([[0.6]]), jnp.array([[1 / 0.64]]))


def evaluate(grid, humidity=None, force=None, profile=None):
    profile = np.linspace(220.0, 290.0, K) if profile is None else profile
    tables = product_tables(equidistant(K), profile, CONSTANTS, jnp.float64)
    return products(grid, tables, CONSTANTS, humidity, force or GridTendency()), profile


def test_a_column_by_hand():
    with jax.enable_x64(True):
        grid = column(dust=jnp.linspace(0.0, 1.0, K)[None])
        (momentum, temperature, dust), profile = evaluate(grid)
    levels, s = equidistant(K), 1 / 0.64
    zeta, div, u, v, t, q = (
        np.asarray(x)[0]
        for x in (
            grid.vorticity, grid.divergence, grid.cos_lat_u, grid.cos_lat_v, grid.temperature_variation,
            grid.tracers["dust"],
        )
    )  # fmt: skip
    a, b = (float(x[0, 0]) for x in grid.cos_lat_gradient)
    advection = s * (u * a + v * b)
    velocity = np.concatenate([[0], vertical.sigma_velocity(levels) @ (advection + div), [0]])

    def adv(x):
        steps = velocity[1:-1] * np.diff(x) * K
        return -0.5 * (np.append(steps, 0) + np.append(0, steps))

    total = zeta + 2 * CONSTANTS.angular_velocity * 0.6
    expected_u = s * (v * total + adv(u) - CONSTANTS.gas_constant * t * a)
    expected_v = s * (-u * total + adv(v) - CONSTANTS.gas_constant * t * b)
    np.testing.assert_allclose(momentum[0][0], expected_u, rtol=1e-12)
    np.testing.assert_allclose(momentum[1][0], expected_v, rtol=1e-12)
    np.testing.assert_allclose(momentum[2][0], s * (u**2 + v**2) / 2, rtol=1e-12)
    np.testing.assert_allclose(momentum[3][0, 0], -np.sum(advection) / K, rtol=1e-12)
    np.testing.assert_allclose(dust[0][0], s * u * q, rtol=1e-12)
    np.testing.assert_allclose(dust[1][0], s * v * q, rtol=1e-12)
    np.testing.assert_allclose(dust[2][0], q * div + adv(q), rtol=1e-12)
    work = vertical.pressure_velocity(levels)
    by_wind = vertical.advection_of(levels, profile) @ advection
    warming = CONSTANTS.kappa * (profile * (advection - work @ advection) + t * (advection - work @ (advection + div)))
    np.testing.assert_allclose(temperature[2][0], t * div + adv(t) + by_wind + warming, rtol=1e-11)


def test_nothing_passes_the_top_and_the_surface():
    x, weight = jnp.arange(4.0)[None], jnp.array([[0.0, 0.0, 0.0, 0.0]])
    lower, upper = weight.at[0, :-1].set(1.0), weight.at[0, 1:].set(1.0)
    np.testing.assert_array_equal(advected(x, lower, upper), [[1.0, 2.0, 2.0, 1.0]])


def test_moist_air():
    with jax.enable_x64(True):
        grid = column(**{SPECIFIC_HUMIDITY: jnp.full((1, K), 0.01), CLOUD_LIQUID: jnp.full((1, K), 0.002)})
        reference = jnp.full((K,), 250.0)
        t = np.asarray(grid.temperature_variation)
        ratio = 461.0 / (2 / 7 * 1004.0) - 1
        virtual = t * (1 + ratio * 0.01 - 0.002) + 250 * ratio * 0.01  # cloud water does not act on the reference
        np.testing.assert_allclose(HUMIDITY.virtual(grid, reference), virtual, rtol=1e-12)
        heat = 1859.0 / 1004.0 - 1
        warmed = (t * (1 + ratio * 0.01) + 250 * (ratio - heat) * 0.01) / (1 + heat * 0.01)
        np.testing.assert_allclose(HUMIDITY.warmed(grid, reference), warmed, rtol=1e-12)


@pytest.mark.parametrize("name", ["cos_lat_u", "cos_lat_v", "temperature", "log_surface_pressure"])
def test_a_forcing_adds_to_one_term(name):
    with jax.enable_x64(True):
        grid = column()
        width = 1 if name == "log_surface_pressure" else K
        free, _ = evaluate(grid)
        forced, _ = evaluate(grid, force=GridTendency(**{name: jnp.ones((1, width))}))
    where = {"cos_lat_u": (0, 0), "cos_lat_v": (0, 1), "log_surface_pressure": (0, 3), "temperature": (1, 2)}[name]
    size = 1 / 0.64 if name.startswith("cos_lat") else 1.0
    for i, group in enumerate(free):
        for j, x in enumerate(group):
            np.testing.assert_allclose(forced[i][j] - x, size if (i, j) == where else 0.0, atol=1e-12)


def test_the_grid_state_is_a_tree():
    assert len(jax.tree.leaves(column())) == 9
    assert jax.tree.leaves(GridTendency()) == []
