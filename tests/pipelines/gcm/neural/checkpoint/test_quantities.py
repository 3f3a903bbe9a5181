"""Quantities: units, bare numbers in the model's own units, and what is refused."""

import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint.quantities import kelvins, metres, number, seconds
from sciml.pipelines.gcm.scales import ATMOSPHERIC


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (seconds, "4 minutes", 240.0),
        (seconds, "1 hour", 3600.0),
        (seconds, "117 hours", 421200.0),
        (seconds, "1 year", 31557600.0),
        (seconds, "1.5e2 s", 150.0),
        (metres, "84 km", 84000.0),
        (metres, "3m", 3.0),
        (kelvins, "2 kelvin", 2.0),
        (kelvins, -1, -1.0),
        (number, "1.0", 1.0),
        (number, 1.0, 1.0),
    ],
)
def test_quantities(read, text, value):
    assert read(text) == pytest.approx(value, rel=1e-15)


def test_a_bare_time_is_in_the_models_unit():
    assert ATMOSPHERIC.nondim(seconds("0.010938"), "s") == pytest.approx(0.010938, rel=1e-12)
    assert ATMOSPHERIC.nondim(metres(0.5), "m") == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize(
    "value", ["4 lightyears", "four minutes", "", None, True, "4 km", [4], "4 minutes 3", "1 s; 2 s"]
)
def test_what_is_no_duration(value):
    with pytest.raises(DataError, match="not a duration"):
        seconds(value)


def test_the_nearest_unit_is_named():
    with pytest.raises(DataError, match='unit "minuts"; did you mean "minutes"'):
        seconds("4 minuts")
