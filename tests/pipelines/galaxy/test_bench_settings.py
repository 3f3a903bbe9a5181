"""Settings of the bench are checked when they are made."""

import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.bench_settings import BenchGalaxy


@pytest.mark.parametrize(
    "given, words",
    [
        ({"parts": ("speed",)}, "--parts speed: expected any of throughput, morphology"),
        ({"steps": 0}, "--steps 0"),
        ({"workers": -1}, "--workers -1"),
        ({"backbones": ()}, "at least one"),
    ],
)
def test_what_cannot_be_measured_is_refused(given, words):
    with pytest.raises(SettingsError, match=words):
        BenchGalaxy(**given)
