"""What features read: surface fields without dimension, everything a network asks for, and errors for what is missing."""

import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere import layout
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.gcm.neural import radiation, readings
from sciml.pipelines.gcm.neural.checkpoint import config
from sciml.pipelines.gcm.neural.feature_tree import Place, feature_set
from sciml.pipelines.gcm.neural.features import POSITIONAL, state_fields
from sciml.pipelines.gcm.scales import ATMOSPHERIC

ORBIT = radiation.orbit(np.datetime64("1979-01-01T00"))
EVERYTHING = config.CombinedFeatures(
    (
        config.RadiationFeatures(),
        config.OrbitalTimeFeatures(),
        config.LatitudeFeatures(),
        config.PressureFeatures(),
        config.LearnedPositionalFeatures(2, 3.0),
        config.RandomnessFeatures(),
        config.ForcingFeatures(("sea_ice_cover",)),
        config.FloatDataFeatures(("geopotential_at_surface",), gradients=True),
    )
)


@pytest.fixture
def place():
    fields = {"vorticity": 4, "log_surface_pressure": 1}
    return Place(fields, (np.arange(4) + 0.5) / 4, random={"randomness": 2})


def made(little, place):
    plan = little().plan
    return readings.reader(plan, feature_set(EVERYTHING, place), readings.surface_fields(plan, little().surface), ORBIT)


def test_surface_fields_lose_their_dimension(little):
    plan, given = little().plan, little().surface
    found = readings.surface_fields(plan, given)
    geopotential = np.asarray(layout.to_standard(plan, found["geopotential_at_surface"]))[..., 0, 0]
    np.testing.assert_allclose(ATMOSPHERIC.dim(geopotential, "m2 s-2"), given["geopotential_at_surface"], rtol=1e-5)
    np.testing.assert_allclose(
        np.asarray(layout.to_standard(plan, found["land_sea_mask"]))[..., 0, 0], given["land_sea_mask"], rtol=1e-6
    )
    with pytest.raises(SettingsError, match="albedo"):
        readings.surface_fields(plan, given | {"albedo": given["land_sea_mask"]})


def test_everything_is_gathered(little, place, states):
    plan, reader = little().plan, made(little, place)
    state, _ = states.random(plan, 4, members=(2,))
    draws = jnp.ones((*plan.nodal_shape, 2, 2))
    moment = readings.Moment(jnp.float32(100.0), little().forcing, {"randomness": draws})
    values = jnp.full((2, plan.truncation.nlon, plan.truncation.nlat), 0.5)
    found = reader.nodal({POSITIONAL: values}, state_fields(plan, state), moment)
    assert set(found) == set(feature_set(EVERYTHING, place).widths)
    assert found["pressure"].shape == (*plan.nodal_shape, 2, 4)
    np.testing.assert_allclose(found["pressure"][..., 3] / found["pressure"][..., 0], 7.0, rtol=1e-5)
    np.testing.assert_allclose(found[POSITIONAL], 1.5)
    np.testing.assert_allclose(found["cos_solar_hour"] ** 2 + found["sin_solar_hour"] ** 2, 1.0, rtol=1e-5)
    assert found["radiation"].shape == (*plan.nodal_shape, 1, 1) and 0.9 < float(found["radiation"].max()) <= 1


def test_what_is_missing_is_named(little, place, states):
    reader = made(little, place)
    state, _ = states.random(little().plan, 4, members=(1,))
    fields, moment = state_fields(little().plan, state), readings.Moment(jnp.float32(0.0), little().forcing)
    with pytest.raises(DataError, match='reads "randomness"'):
        reader.nodal({POSITIONAL: jnp.zeros((2, 64, 32))}, fields, moment)
    with pytest.raises(DataError, match="lacks the surface fields geopotential_at_surface"):
        readings.reader(little().plan, reader.features, {}, ORBIT)
