"""Shared checks of options name the option as it is typed."""

from types import SimpleNamespace

import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.option_checks import option, positive, require


def test_positive_numbers_and_none_pass():
    positive(SimpleNamespace(every_hours=6.0, days=None), "every_hours", "days")


@pytest.mark.parametrize("value", [0, -1.5, float("inf"), float("nan")])
def test_other_numbers_are_named(value):
    with pytest.raises(SettingsError, match="--every-hours"):
        positive(SimpleNamespace(every_hours=value), "every_hours")


def test_require_passes_its_words_on():
    require(True, "never said")
    with pytest.raises(SettingsError, match="too long") as caught:
        require(False, "too long", hint="shorter")
    assert caught.value.hint == "shorter" and option("a_b") == "--a-b"
