"""Settings of the morphology command."""

from pathlib import Path

import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.morphology_settings import Morphology


def test_defaults_are_valid_and_wrong_values_named():
    Morphology()
    with pytest.raises(SettingsError, match="ends in .csv or .fits"):
        Morphology(to=Path("table.txt"))
    with pytest.raises(SettingsError, match="--gain"):
        Morphology(gain=-1.0)
