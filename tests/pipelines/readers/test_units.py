"""Spellings of units and conversions between them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciml.pipelines.errors import DataError
from sciml.pipelines.readers import units

SPELLINGS = {
    "K": ["K", "kelvin", "Kelvin", "degK"],
    "degC": ["C", "°C", "℃", "degC", "deg C", "Celsius", "degrees_celsius", "degree_Celsius", "^oC", "[degC]"],
    "degF": ["F", "°F", "degF", "Fahrenheit"],
    "hPa": ["hPa", "mb", "mbar", "millibars", "hpa"],
    "m s-1": ["m/s", "m s-1", "m s**-1", "m s^-1", "m·s⁻¹", "m.s-1", "ms-1", "meters per second".replace(" ", "_")],
    "km h-1": ["km/h", "kph", "km h-1"],
    "kt": ["kt", "knots", "kts"],
    "W m-2": ["W/m2", "W m**-2", "W/m^2", "W m-2", "Wm-2".replace("Wm", "W m")],
    "kg kg-1": ["kg/kg", "kg kg**-1"],
    "m2 s-2": ["m**2 s**-2", "m2/s2", "m^2 s^-2"],
    "ug m-3": ["ug/m3", "µg/m³", "μg m-3", "㎍/㎥"],
    "1": ["1", "(0 - 1)", "0-1", "fraction"],
    "%": ["%", "percent"],
    "kg m-2": ["kg m**-2", "kg/m2"],
    "mm h-1": ["mm/h", "mm/hr"],
}


@pytest.mark.parametrize(("house", "spelling"), [(h, s) for h, many in SPELLINGS.items() for s in many])
def test_spellings(house, spelling):
    assert units.canonical(spelling) == house


@pytest.mark.parametrize("text", ["", "16방위", "furlongs", "k", "m s", None])
def test_unknown_units(text):
    assert units.canonical(text) is None


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (0.0, "degC", "K", 273.15),
        (212.0, "degF", "degC", 100.0),
        (1013.25, "hPa", "Pa", 101325.0),
        (36.0, "km/h", "m/s", 10.0),
        (1.0, "kt", "m s-1", 0.5144444),
        (25.4, "mm", "inch", 1.0),
        (5.0, "kg m-2", "m", 0.005),
        (50.0, "%", "1", 0.5),
        (10.0, "g/kg", "kg kg-1", 0.01),
        (100.0, "gpm", "m2 s-2", 980.665),
        (100.0, "gpm", "m", 100.0),
        (1.0, "km", "gpm", 1000.0),
        (1.0, "MJ/m2", "J m-2", 1e6),
        (30.0, "ug/m3", "kg m-3", 3e-8),
    ],
)
def test_known_values(value, source, target, expected):
    assert units.convert(value, source, target) == pytest.approx(expected, rel=1e-6)


PAIRS = [(a, b) for a in units.UNITS for b in units.UNITS if units.compatible(a, b)]


@given(st.sampled_from(PAIRS), st.floats(-1e4, 1e4))
def test_round_trip(pair, value):
    there = units.convert(value, *pair)
    assert units.convert(there, *pair[::-1]) == pytest.approx(value, rel=1e-9, abs=1e-6)


def test_float32_stays_float32():
    field = np.array([0.0, np.nan], np.float32)
    converted = units.convert(field, "degC", "K")
    assert converted.dtype == np.float32 and np.isnan(converted[1])
    assert units.convert(np.array([0, 10]), "degC", "K").dtype == np.float64


def test_energy_and_flux_are_never_mixed():
    with pytest.raises(DataError, match="energy") as caught:
        units.convert(1.0, "J m-2", "W m-2")
    assert "lead" in caught.value.hint


def test_unknown_unit_is_named():
    with pytest.raises(DataError, match="'degreesC2'"):
        units.convert(1.0, "degreesC2", "K")


def test_house_units_are_known_units():
    for name in ("2m_temperature", "total_precipitation", "2m_relative_humidity", "mean_sea_level_pressure"):
        assert units.canonical(units.house_units(name)) == units.house_units(name)
    assert units.house_units("wp") == ""
