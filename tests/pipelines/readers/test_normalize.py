"""Statistics per channel."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sciml.pipelines.errors import DataError
from sciml.pipelines.readers.normalize import Statistics


def test_mean_and_std_ignore_missing():
    values = np.array([[1.0, 5.0], [3.0, np.nan], [np.inf, 7.0]])
    fitted = Statistics.fit(values)
    assert fitted.mean.tolist() == [2.0, 6.0] and fitted.std.tolist() == [1.0, 1.0]


def test_weights():
    fitted = Statistics.fit(np.array([[0.0], [1.0]]), weights=[3.0, 1.0])
    assert fitted.mean[0] == 0.25 and fitted.std[0] == pytest.approx(np.sqrt(3) / 4)


def test_constant_channel_keeps_std_one():
    fitted = Statistics.fit(np.full((5, 1), 101325.3))
    assert fitted.std[0] == 1.0 and np.allclose(fitted.apply(np.full((5, 1), 101325.3)), 0.0)


def test_pressure_does_not_cancel():
    """The difference of squares would lose a 1e-3 Pa signal on 1e5 Pa."""
    fitted = Statistics.fit(1e5 + 1e-3 * np.array([[-1.0], [1.0]]))
    assert fitted.std[0] == pytest.approx(1e-3, rel=1e-6)


def test_empty_channel_is_named():
    with pytest.raises(DataError, match="ssrd"):
        Statistics.fit(np.array([[1.0, np.nan]]), channels=("t2m", "ssrd"))


@pytest.mark.parametrize("obj", [{}, {"mean": [0.0]}, {"mean": ["a"], "std": [1.0]}, {"mean": [0.0], "std": [0.0]}, 3])
def test_damaged_json(obj):
    with pytest.raises(DataError):
        Statistics.from_json(obj)


@given(hnp.arrays(np.float64, (7, 3), elements=st.floats(-1e6, 1e6)))
def test_json_and_inversion(values):
    fitted = Statistics.fit(values, channels=("a", "b", "c"))
    again = Statistics.from_json(json.loads(json.dumps(fitted.to_json())))
    assert (again.mean == fitted.mean).all() and (again.std == fitted.std).all() and again.channels == fitted.channels
    assert np.allclose(fitted.invert(fitted.apply(values)), values, rtol=1e-9, atol=1e-6)


def test_float32_stays_float32_and_any_leading_shape():
    fitted = Statistics(np.array([1.0, 2.0]), np.array([2.0, 4.0]))
    out = fitted.apply(np.ones((3, 5, 2), np.float32))
    assert out.dtype == np.float32 and out.shape == (3, 5, 2)
    assert fitted.apply(np.ones((1, 2), np.int64)).dtype == np.float64
