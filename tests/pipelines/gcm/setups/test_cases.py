"""Every case by its name, with the shapes that the model takes."""

import numpy as np
import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm import settings
from sciml.pipelines.gcm.setups.case import Atmosphere, Fluid
from sciml.pipelines.gcm.setups.cases import CASES, case


@pytest.mark.parametrize("name", settings.CASES)
def test_each_case_is_complete(name, globe):
    found = case(name, globe.where)
    assert isinstance(found, Fluid if name in settings.SHALLOW_WATER else Atmosphere)
    for part, x in vars(found).items():
        if isinstance(x, np.ndarray):
            assert np.isfinite(x).all() and x.dtype == np.float64
            deep = part in ("u", "v", "temperature") and name not in settings.SHALLOW_WATER
            assert x.shape == ((8,) if part == "reference_temperature" else (64, 32, 8 if deep else 1)), part
    assert found.title


def test_the_settings_know_the_same_cases(globe):
    assert set(settings.CASES) == set(CASES.names())
    with pytest.raises(SettingsError, match="baroclinic_wave"):
        case("baroclinic_waves", globe.where)
