"""The place where an integration is lost is named: variable, level, value."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.gcm import watch
from sciml.pipelines.gcm.dynamics.vertical import equidistant
from sciml.pipelines.gcm.setups.case import Where
from sciml.pipelines.gcm.setups.cases import case
from sciml.pipelines.gcm.setups.initial import atmosphere, fluid

PLAN, LEVELS = make_plan("T21"), equidistant(4)
SIGMA = LEVELS.centers


@pytest.fixture(scope="module")
def state():
    return atmosphere(PLAN, case("baroclinic_wave", Where.of(PLAN, LEVELS)))


def members(state, count: int = 3):
    return jax.tree.map(lambda x: jnp.repeat(x[..., None, :], count, axis=-2), state)


def test_a_sound_state_is_not_lost(state):
    for one in (state, members(state)):
        assert bool(watch.all_finite(one)) and watch.lost(PLAN, one, SIGMA, 350.0) == ""


def test_the_largest_wind_is_that_of_the_jet(state):
    speed, finite = watch.level_extremes(PLAN, state)
    where = case("baroclinic_wave", Where.of(PLAN, LEVELS))
    wanted = np.hypot(where.u, where.v).max((0, 1))
    assert watch.ATMOSPHERIC.dim(np.asarray(speed), "m s-1") == pytest.approx(wanted, rel=0.03)
    assert set(finite) == {"vorticity", "divergence", "temperature_variation", "log_surface_pressure"}


def test_too_much_wind_names_level_and_speed(state):
    storm = replace(state, vorticity=state.vorticity.at[..., 2].multiply(20.0))
    for one in (storm, members(storm)):
        assert "m s-1 at level 3 of 4 (sigma 0.625)" in watch.lost(PLAN, one, SIGMA, 350.0)


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf])
def test_what_is_not_finite_is_named(state, bad):
    broken = replace(state, temperature_variation=state.temperature_variation.at[0, 0, 0, 1, 1, 1].set(bad))
    assert not bool(watch.all_finite(broken))
    assert watch.lost(PLAN, broken, SIGMA, 350.0) == "temperature variation is not finite at level 2 of 4 (sigma 0.375)"
    broken = replace(state, log_surface_pressure=state.log_surface_pressure.at[0, 0, 0, 1, 1, 0].set(bad))
    assert watch.lost(PLAN, broken, SIGMA, 350.0) == "log surface pressure is not finite"


def test_shallow_water_has_no_levels():
    state = fluid(PLAN, case("williamson2", Where.of(PLAN)))
    assert watch.lost(PLAN, state, None, 350.0) == ""
    assert watch.lost(PLAN, replace(state, vorticity=100 * state.vorticity), None, 350.0).endswith("m s-1")
    broken = replace(state, potential=state.potential * jnp.nan)
    assert watch.lost(PLAN, broken, None, 350.0) == "potential is not finite"
