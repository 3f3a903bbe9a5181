"""Scales against the non-dimensional constants of the released models."""

import numpy as np
import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.scales import ATMOSPHERIC, EARTH, Scale, parse_unit


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (ATMOSPHERIC.earth.radius, 1.0),
        (ATMOSPHERIC.earth.angular_velocity, 0.5),
        (ATMOSPHERIC.earth.gravity, 72.36408283),
        (ATMOSPHERIC.earth.gas_constant, 3.3225165573e-4),
        (ATMOSPHERIC.earth.gas_constant_vapor, 5.3395223757e-4),
        (ATMOSPHERIC.earth.heat_capacity, 1.1628808e-3),
        (ATMOSPHERIC.earth.heat_capacity_vapor, 2.1531827e-3),
        (ATMOSPHERIC.nondim(1, "hour"), 0.525024),
        (ATMOSPHERIC.nondim(1, "m s-1"), 1.0762192e-3),
        (ATMOSPHERIC.nondim(1000, "hPa"), 5.782818086),
        (ATMOSPHERIC.nondim(1, "m2 s-2"), 1.158248e-6),
    ],
)
def test_constants_of_the_released_models(value, expected):
    assert value == pytest.approx(expected, rel=1e-7)


def test_dry_air():
    assert EARTH.gas_constant == pytest.approx(286.857, rel=1e-6)


@pytest.mark.parametrize("unit", ["1", "m s-1", "Pa", "kg kg-1", "K day-1", "J kg-1 K-1", "W m-2"])
def test_there_and_back(unit):
    values = np.array([0.0, 1.5, -3e5])
    np.testing.assert_allclose(ATMOSPHERIC.dim(ATMOSPHERIC.nondim(values, unit), unit), values, rtol=1e-14)


def test_units_multiply():
    scale = Scale(length=2.0, time=3.0, mass=5.0, temperature=7.0)
    assert scale.factor("m s-2 kg3 K-1") == pytest.approx(9 * 7 / (2 * 5**3))
    assert scale.factor("J kg-1") == pytest.approx(scale.factor("m2 s-2"))
    assert scale.factor("Pa") == pytest.approx(scale.factor("kg m-1 s-2"))
    assert scale.factor("kg kg-1") == 1
    assert parse_unit("hPa")[0] == 100


def test_an_unknown_unit_is_named():
    with pytest.raises(SettingsError, match='"m furlong-1": "furlong-1"'):
        ATMOSPHERIC.nondim(1.0, "m furlong-1")
