"""Transforms and filters: what a slot takes, and the original's defaults."""

import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint import config as c


def test_transforms_nest():
    inner = c.SequentialTransform((c.SoftClip(16), c.IdentityTransform()))
    assert c.SequentialTransform([inner, c.HardClip(3)]).transforms[0].transforms[0].max_value == 16.0


@pytest.mark.parametrize(
    "make",
    [
        lambda: c.SequentialTransform((c.ExponentialFilter(240.0),)),  # a filter is no transform
        lambda: c.SequentialStepFilter((c.DataExponentialFilter(),)),  # nor of a step, if it is of data
        lambda: c.VariableFilter("u", c.ExponentialFilter(240.0)),
        lambda: c.ShiftAndNormalize({"u": "one"}, {"u": [1.0]}),
        lambda: c.LevelScale(("a",)),
    ],
)
def test_a_slot_refuses_what_is_of_another_sort(make):
    with pytest.raises(DataError, match="accepted"):
        make()


def test_defaults():
    assert c.DataExponentialFilter() == c.DataExponentialFilter(16.0, 18, 0.0)
    assert c.FixGlobalMeanFilter().keys == ("log_surface_pressure",)
