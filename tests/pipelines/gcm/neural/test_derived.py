"""Derived fields against laws: what each must be for states whose answer is known."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere import layout, transform
from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.gcm.dynamics.primitive_equations import primitive_equations
from sciml.pipelines.gcm.dynamics.state import SPECIFIC_HUMIDITY
from sciml.pipelines.gcm.dynamics.vertical import equidistant
from sciml.pipelines.gcm.neural import derived
from sciml.pipelines.gcm.scales import ATMOSPHERIC, EARTH

LEVELS = 8


@pytest.fixture(scope="module")
def plan():
    return make_plan("T21")


@pytest.fixture
def moist(plan, states):
    """(equation, state) with two members over hills."""
    levels = equidistant(LEVELS)
    state, hills = states.random(plan, LEVELS, members=(2,))
    return primitive_equations(plan, levels, 288.0, hills), state


def test_the_names_that_can_be_derived():
    for name in (
        "surface_pressure",
        "vertical_velocity",
        "temperature_on_sigma",
        "temperature_tendency_due_to_physics",
    ):
        assert derived.derivable(name)
    assert not derived.derivable("temperature") and not derived.derivable("total_precipitation")
    assert derived.needs_physics(["precipitation_minus_evaporation"]) and not derived.needs_physics(
        ["surface_pressure"]
    )


def test_water_that_leaves_the_column_is_precipitation(plan):
    """1 g/kg a day out of a column of 1000 hPa is 10.2 mm a day."""
    rates = {SPECIFIC_HUMIDITY: jnp.full((*plan.nodal_shape, 1, LEVELS), -1e-3 / 86400)}
    thickness = np.full(LEVELS, 1 / LEVELS)
    found = derived.water_budget(rates, jnp.full((*plan.nodal_shape, 1, 1), 1e5), thickness)
    np.testing.assert_allclose(86400 * found, 1e5 / EARTH.gravity * 1e-3, rtol=1e-5)


def test_the_water_budget_is_that_of_the_original(plan, states):
    """(E - P) = (ps / g) sum of the tendencies of vapour and cloud, all without dimension, as the original has it."""
    sigma = pytest.importorskip("dinosaur.sigma_coordinates")
    tendency, _ = states.random(plan, LEVELS, seed=3, members=(1,))
    equation = primitive_equations(plan, equidistant(LEVELS), 288.0)
    state, _ = states.random(plan, LEVELS, members=(1,))
    name = derived.P_MINUS_E
    found = derived.derived(equation, state, tendency, [name], [500.0])[name][..., 0, 0]
    total = sum(layout.to_standard(plan, transform.synthesis(plan, x[..., 0, :])) for x in tendency.tracers.values())
    ps = jnp.exp(layout.to_standard(plan, transform.synthesis(plan, state.log_surface_pressure[..., 0, :])))[..., 0]
    column = sigma.sigma_integral(
        jnp.moveaxis(total, -1, 0), sigma.SigmaCoordinates.equidistant(LEVELS), keepdims=False
    )
    wanted = -ATMOSPHERIC.dim(ps / ATMOSPHERIC.earth.gravity * column, "kg m-2 s-1")
    np.testing.assert_allclose(layout.to_standard(plan, found), wanted, rtol=2e-4, atol=1e-6 * float(abs(wanted).max()))


def test_tendencies_of_the_dynamics_are_the_slope_of_a_tiny_step(moist, plan):
    """Whatever the scheme, (x(t + h) - x(t)) / h tends to explicit plus implicit."""
    equation, state = moist
    tendency = derived.dynamics_tendency(equation, state)
    h = 1e-3
    after = jax.tree.map(lambda a, b: a + h * b, state, tendency)
    before, later = (derived.derived(equation, x, None, ["temperature_on_sigma", "surface_pressure"], [500.0])
                     for x in (state, after))  # fmt: skip
    rate = derived.derived(equation, state, None, ["temperature_tendency_due_to_dynamics"], [500.0])
    seconds = ATMOSPHERIC.dim(h, "s")
    slope = (later["temperature_on_sigma"] - before["temperature_on_sigma"]) / seconds
    wanted = rate["temperature_tendency_due_to_dynamics"]
    assert np.linalg.norm(slope - wanted) < 0.05 * np.linalg.norm(wanted)


def test_an_atmosphere_at_rest_has_no_tendency_and_no_omega(plan, states):
    levels = equidistant(LEVELS)
    state, _ = states.random(plan, LEVELS, members=(1,), tracers=())
    still = jax.tree.map(jnp.zeros_like, state)
    mean = states.constant(plan, np.log(ATMOSPHERIC.nondim(1e5, "Pa")), 1)[..., None, :]
    still = replace(still, log_surface_pressure=mean)
    equation = primitive_equations(plan, levels, 288.0)
    names = ["vertical_velocity", "temperature_tendency_due_to_dynamics", "u_component_of_wind_tendency_due_to_dynamics",
             "mean_sea_level_pressure", "surface_pressure"]  # fmt: skip
    found = derived.derived(equation, still, None, names, [300.0, 850.0])
    assert found["vertical_velocity"].shape == (*plan.nodal_shape, 1, 2)
    for name in names[:3]:
        assert np.abs(found[name]).max() < 1e-7, name
    np.testing.assert_allclose(found["surface_pressure"], 1e5, rtol=1e-5)
    np.testing.assert_allclose(found["mean_sea_level_pressure"], found["surface_pressure"], rtol=1e-6)


def test_pressure_at_sea_level_is_that_of_the_standard_atmosphere(plan, states):
    """Over a plateau of 1500 m whose air follows the standard atmosphere it is 1013.25 hPa again."""
    levels = equidistant(LEVELS)
    lapse, height = 0.0065, 1500.0
    exponent = EARTH.gravity / (EARTH.gas_constant * lapse)
    ground = 288.15 - lapse * height
    ps = 101325.0 * (ground / 288.15) ** exponent
    state, _ = states.random(plan, LEVELS, members=(1,), tracers=())
    lowest = ground * levels.centers[-1] ** (1 / exponent)
    profile = np.full(LEVELS, 250.0)
    warm = np.zeros(LEVELS)
    warm[-1] = lowest - 250.0
    still = replace(
        jax.tree.map(jnp.zeros_like, state),
        temperature_variation=(states.constant(plan, 1.0, LEVELS) * warm)[..., None, :].astype(plan.dtype),
        log_surface_pressure=states.constant(plan, np.log(ATMOSPHERIC.nondim(ps, "Pa")), 1)[..., None, :],
    )
    plateau = states.constant(plan, ATMOSPHERIC.nondim(height, "m"), 1)
    equation = primitive_equations(plan, levels, profile, plateau)
    found = derived.derived(equation, still, None, ["mean_sea_level_pressure"], [500.0])
    np.testing.assert_allclose(found["mean_sea_level_pressure"], 101325.0, rtol=2e-4)


def test_omega_carries_the_mass(moist, plan):
    """At the lowest pressures omega vanishes with the mass above; its mean over the sphere is small at every level."""
    equation, state = moist
    flat = replace(equation, orography=jnp.zeros_like(equation.orography))
    found = derived.derived(flat, state, None, ["vertical_velocity"], [0.1, 500.0])["vertical_velocity"]
    assert np.abs(found[..., 0]).max() < 0.5 * np.abs(found[..., 1]).max()


def test_members_are_apart(moist, plan):
    equation, state = moist
    names = ["surface_pressure", "temperature_tendency_due_to_dynamics", "u_component_of_wind_on_sigma"]
    both = derived.derived(equation, state, None, names, [500.0])
    second = derived.derived(equation, jax.tree.map(lambda x: x[..., 1:, :], state), None, names, [500.0])
    for name in names:
        np.testing.assert_allclose(
            both[name][..., 1:, :], second[name], rtol=1e-4, atol=1e-5 * float(abs(both[name]).max())
        )


def test_diagnostics_of_the_model_get_units():
    name, value = derived.diagnostics_in_si("total_precipitation", ATMOSPHERIC.nondim(0.01, "m"))
    assert name == "total_precipitation" and value == pytest.approx(0.01)
    name, value = derived.diagnostics_in_si("P_minus_E_rate", ATMOSPHERIC.nondim(1e-4, "kg m-2 s-1"))
    assert name == derived.P_MINUS_E and value == pytest.approx(1e-4)
    assert derived.diagnostics_in_si("something_else", 1.0) is None
