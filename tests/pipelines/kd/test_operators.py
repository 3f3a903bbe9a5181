"""Known relations come back, few pairs mean a simpler operator, and missing stays missing."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.kd.operators import SHIFT_PAIRS, SLOPE_PAIRS, Operator, fit_operator

SHAPE = (200, 2, 3, 2)  # i, k, s, v


def drawn(issues=200, seed=0):
    return np.random.default_rng(seed).normal(280.0, 8.0, (issues, *SHAPE[1:]))


def coefficients(seed=1):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.5, 1.5, SHAPE[1:]), rng.normal(0.0, 5.0, SHAPE[1:])


@pytest.mark.parametrize("kind", ["auto", "linear"])
def test_slope_and_offset_of_every_station_and_lead(kind):
    x, (a, b) = drawn(), coefficients()
    operator = fit_operator(kind, x, a * x + b, same_quantity=True)
    np.testing.assert_allclose(operator.slope, a, rtol=1e-9)
    np.testing.assert_allclose(operator(x), a * x + b, rtol=1e-10)
    np.testing.assert_allclose(operator.derivative(x), np.broadcast_to(a, x.shape), rtol=1e-9)


@given(slope=st.floats(-2, 2), noise=st.floats(0, 5), seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_linear_is_least_squares(slope, noise, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(280, 8, (80, 1, 1, 1))
    y = slope * x + rng.normal(0, noise, x.shape)
    operator = fit_operator("linear", x, y, same_quantity=True)
    a, b = np.polyfit(x.ravel() - 280, y.ravel(), 1)
    np.testing.assert_allclose([operator.slope.item(), operator.offset.item()], [a, b - 280 * a], rtol=1e-6, atol=1e-5)


def test_shift_is_the_mean_difference():
    x, (_, b) = drawn(), coefficients()
    y = x + b + np.random.default_rng(3).normal(0, 1, x.shape)
    operator = fit_operator("shift", x, y, same_quantity=True)
    np.testing.assert_array_equal(operator.slope, 1.0)
    np.testing.assert_allclose(operator.offset, (y - x).mean(0), rtol=1e-9)


def test_none_changes_nothing():
    x = drawn()
    np.testing.assert_array_equal(fit_operator("none", x, x + 3, same_quantity=True)(x), x)
    with pytest.raises(SettingsError, match="another quantity"):
        fit_operator("none", x, x + 3, same_quantity=False)


@pytest.mark.parametrize(
    ("issues", "slope", "pooled_over"),
    [
        (SLOPE_PAIRS, True, "nothing"),
        (SLOPE_PAIRS // 2, True, "leads"),
        (SLOPE_PAIRS // 6, True, "stations"),
        (4, False, "stations"),
        (2, False, "stations"),
    ],
)
def test_few_pairs_are_pooled_then_lose_the_slope(issues, slope, pooled_over):
    """2 leads x 3 stations: pooled over leads with half the pairs, over stations with a sixth, a shift below that."""
    x = drawn(issues)[..., :1]
    a, b = coefficients()
    y = a[..., :1] * x + b[..., :1]
    operator = fit_operator("auto", x, y, same_quantity=True)
    assert (operator.slope != 1.0).all() == slope
    fitted = operator.slope if slope else operator.offset
    same_leads = np.allclose(fitted[0], fitted[1])
    same_stations = np.allclose(fitted[:, 0], fitted[:, 1])
    if slope:  # however far the slope is pooled, each lead at each station keeps its own bias
        np.testing.assert_allclose(operator(x).mean(0), y.mean(0), rtol=1e-9)
    # with 4 issues (8 pairs per station, 24 in all) and with 2 (12 in all) only all stations together have 10 pairs
    assert (same_leads, same_stations) == {"nothing": (False, False), "leads": (True, False), "stations": (True, True)}[
        pooled_over
    ]
    assert SHIFT_PAIRS == 10


def test_one_station_without_observations_borrows_from_the_others():
    x = drawn()
    y = 0.9 * x + 20.0
    y[:, :, 2] = np.nan
    operator = fit_operator("auto", x, y, same_quantity=True)
    np.testing.assert_allclose(operator(x), 0.9 * x + 20.0, rtol=1e-9)


def test_no_pair_at_all_changes_nothing():
    x = drawn()
    np.testing.assert_array_equal(fit_operator("auto", x, np.full_like(x, np.nan), same_quantity=True)(x), x)


def test_constant_forecast_gets_a_shift():
    x = np.full((100, 1, 1, 1), 280.0)
    y = drawn(100)[:, :1, :1, :1]
    operator = fit_operator("linear", x, y, same_quantity=True)
    assert operator.slope.item() == 1.0 and operator(x).mean() == pytest.approx(y.mean())


def power(speed):
    return np.clip((speed - 3.0) / 9.0, 0.0, 1.0) ** 3


def test_isotonic_finds_the_power_curve():
    rng = np.random.default_rng(0)
    speed = rng.gamma(3.0, 2.5, (2000, 2, 1, 1))
    operator = fit_operator("auto", speed, power(speed) + rng.normal(0, 0.02, speed.shape), same_quantity=False)
    assert operator.kind == "isotonic"
    grid = np.linspace(0, 20, 400)[:, None, None, None].repeat(2, 1)
    assert (np.diff(operator(grid), axis=0) >= 0).all()
    assert np.abs(operator(grid) - power(grid)).max() < 0.05
    # beyond the largest speed seen the curve is flat, not extrapolated
    assert operator(np.full((1, 2, 1, 1), 500.0)).max() <= 1.1


def test_isotonic_may_fall():
    """Load falls with temperature."""
    x = drawn()
    operator = fit_operator("isotonic", x, 500.0 - x, same_quantity=False)
    inner = np.clip(x, np.quantile(x, 0.02), np.quantile(x, 0.98))
    np.testing.assert_allclose(operator(inner), 500.0 - inner, atol=0.5)
    assert np.nanmean(operator.derivative(inner)) == pytest.approx(-1.0, abs=0.05)


def test_isotonic_of_a_long_record_is_thinned_little():
    x = np.random.default_rng(0).uniform(0, 1, (5000, 1, 1, 1))
    operator = fit_operator("isotonic", x, x**2, same_quantity=False)
    assert len(operator.curves[0, 0][0]) <= 256
    np.testing.assert_allclose(operator(x), x**2, atol=1e-3)


@pytest.mark.parametrize("kind", ["none", "shift", "linear", "isotonic"])
def test_missing_stays_missing_and_json_keeps_all(kind):
    x = drawn()
    y = 0.8 * x + 3
    x[5:9, 0], y[20:40, :, 1] = np.nan, np.nan
    operator = fit_operator(kind, x, y, same_quantity=True)
    out = operator(x)
    np.testing.assert_array_equal(np.isnan(out), np.isnan(x))
    again = Operator.from_dict(json.loads(json.dumps(operator.to_dict())))
    np.testing.assert_array_equal(again(x), out)
    assert again.kind == operator.kind
