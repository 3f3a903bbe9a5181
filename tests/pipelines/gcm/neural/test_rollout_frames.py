"""Frames of the stand-in: names, units, shapes, levels chosen, and what a model can give."""

import jax
import numpy as np
import pytest

from sciml.pipelines.gcm.neural.inputs import simulated_inputs
from sciml.pipelines.gcm.neural.rollout_frames import available, decoded, frame, global_means
from sciml.pipelines.gcm.output.files import Layout
from sciml.pipelines.gcm.scales import ATMOSPHERIC

FORCING = {}


@pytest.fixture(scope="module")
def state(stand_in):
    names = ("geopotential", "temperature", "u_component_of_wind", "v_component_of_wind", *stand_in.tracers)
    inputs = simulated_inputs(stand_in.plan, stand_in.pressure_levels, names, None).nodal(stand_in.plan)
    return stand_in.encode(inputs, FORCING, jax.random.key(0), 2, np.float32(0))


def test_levels_and_layers_have_their_shapes(stand_in, state):
    names = ("temperature", "surface_pressure", "vertical_velocity", "temperature_on_sigma",
             "specific_humidity_tendency_due_to_physics", "precipitation_minus_evaporation")  # fmt: skip
    found = frame(stand_in, state, FORCING, names, (250.0, 850.0))
    assert list(found) == list(names) or set(found) == set(names)
    assert found["temperature"].shape == found["vertical_velocity"].shape == (2, 2, 32, 64)
    assert found["temperature_on_sigma"].shape == (2, 6, 32, 64) and found["surface_pressure"].shape == (2, 32, 64)
    assert all(x.dtype == np.float32 and np.isfinite(x).all() for x in found.values())


def test_chosen_levels_are_those_of_the_whole(stand_in, state):
    whole = frame(stand_in, state, FORCING, ("temperature",), stand_in.pressure_levels)["temperature"]
    some = frame(stand_in, state, FORCING, ("temperature",), (100.0, 700.0))["temperature"]
    np.testing.assert_array_equal(some, whole[:, [1, 4]])


def test_what_dries_the_air_rains(stand_in, state):
    """The stand-in takes 1e-3 of the water away per unit of time: P - E is that share of the column."""
    found = frame(stand_in, state, FORCING, ("precipitation_minus_evaporation", "specific_humidity_on_sigma"), (500.0,))
    column = found["specific_humidity_on_sigma"].mean(1) * 1e5 / 9.80616
    wanted = column * ATMOSPHERIC.dim(1e-3, "s-1")
    np.testing.assert_allclose(found["precipitation_minus_evaporation"], wanted, atol=2e-3 * wanted.max())


def test_names_a_model_can_give(stand_in):
    there = available(stand_in, ("u", "v", "t", "z", "specific_humidity", "total_precipitation"))
    for name in ("geopotential", "total_precipitation", "temperature_tendency_due_to_dynamics", "vorticity_on_sigma"):
        assert name in there
    assert "evaporation" not in there


def test_diagnostics_of_the_model_are_translated():
    found = decoded({"t": np.ones(2), "total_precipitation": ATMOSPHERIC.nondim(np.array([0.002]), "m"), "unknown": 1})
    assert set(found) == {"temperature", "total_precipitation"}
    np.testing.assert_allclose(found["total_precipitation"], 0.002)


def test_global_means_are_weighted_by_area_and_pass_lost_members_over():
    latitude = np.linspace(-89, 89, 90)
    layout = Layout((), np.arange(4.0) * 90, latitude, np.datetime64("2020"), 3600, 1, 2, pressures=(500.0, 850.0))
    warm = 250 + 40 * np.cos(np.radians(latitude))[:, None] * np.ones((2, 2, 90, 4))
    warm[1] = np.nan
    found = global_means({"temperature": warm.astype(np.float32)}, layout)
    assert found == {"global_t850": pytest.approx(250 + 40 * np.pi / 4, abs=0.05)}
