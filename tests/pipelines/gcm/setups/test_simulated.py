"""The simulated analysis is hydrostatic, moist where it is warm, and nowhere beyond what an analysis can be."""

import numpy as np
import pytest

from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.gcm.scales import EARTH
from sciml.pipelines.gcm.setups import simulated
from sciml.pipelines.gcm.setups.analysis_file import PLAUSIBLE

LEVELS = np.array([1.0, 10, 50, 100, 200, 300, 500, 700, 850, 925, 1000])


@pytest.fixture(scope="module")
def plan():
    return make_plan("T21")


def test_every_value_is_plausible(plan):
    found = simulated.pressure_level_fields(plan, LEVELS)
    for name, x in found.items():
        low, high, *_ = PLAUSIBLE[name]
        assert x.shape == (64, 32, 11) and low <= x.min() and x.max() <= high, name


def test_the_air_is_hydrostatic_with_its_virtual_temperature(plan):
    fine = np.linspace(500, 501, 3)
    found = simulated.pressure_level_fields(plan, fine)
    slope = (found["geopotential"][..., 2] - found["geopotential"][..., 0]) / np.log(fine[2] / fine[0])
    virtual = found["temperature"] * (
        1 + (EARTH.gas_constant_vapor / EARTH.gas_constant - 1) * found["specific_humidity"]
    )
    np.testing.assert_allclose(-slope / EARTH.gas_constant, virtual[..., 1], rtol=1e-6)


def test_the_sea_is_warm_at_the_equator_and_free_of_ice(plan):
    sea = simulated.sea_surface(plan)
    sst = sea["sea_surface_temperature"]
    assert 299 < sst.max() < 300.2 and sst.min() == 273.15 and not sea["sea_ice_cover"].any()
    assert np.abs(plan.latitude[sst.argmax(1)[0]]) < 3


def test_the_ground_is_the_geopotential_at_1000_hpa(plan):
    ground = simulated.ground(plan)
    below = simulated.pressure_level_fields(plan, np.array([900.0, 1000.0]))["geopotential"][..., 1]
    np.testing.assert_allclose(ground["geopotential_at_surface"], below, rtol=1e-12)
    assert not ground["land_sea_mask"].any()
