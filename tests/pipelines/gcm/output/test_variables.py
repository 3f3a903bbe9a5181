"""Every variable that the settings offer has a name, a unit and a place in the vertical."""

import pytest

from sciml.pipelines.gcm.neural_settings import OUTPUT_VARIABLES
from sciml.pipelines.gcm.output.variables import ATTRIBUTES, SIGMA
from sciml.pipelines.gcm.settings import VARIABLES
from sciml.pipelines.readers.units import canonical


@pytest.mark.parametrize("name", sorted({*OUTPUT_VARIABLES, *VARIABLES["primitive"], *VARIABLES["shallow_water"]}))
def test_what_can_be_asked_for_is_described(name):
    long_name, _, unit, deep = ATTRIBUTES[name]
    assert long_name and unit and deep in (True, False, SIGMA)


def test_tendencies_are_rates_of_what_they_change():
    for cause in ("dynamics", "physics"):
        assert ATTRIBUTES[f"temperature_tendency_due_to_{cause}"][2:] == ("K s-1", SIGMA)
        assert ATTRIBUTES[f"u_component_of_wind_tendency_due_to_{cause}"][2:] == ("m s-2", SIGMA)


def test_units_are_readable_again():
    assert all(canonical(unit) for name, (_, _, unit, _) in ATTRIBUTES.items() if "tendency" not in name
               and name != "potential_vorticity")  # fmt: skip
