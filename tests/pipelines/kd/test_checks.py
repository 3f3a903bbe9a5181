"""Mistakes in real files, planted one by one: each is refused or named, and a good pair passes without a word."""

from dataclasses import replace

import numpy as np
import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.kd.checks import check_pairs


def observed_as(pairs, change):
    return replace(pairs, observed=change(pairs.observed))


def forecast_as(pairs, change):
    values = {name: change(value) for name, value in pairs.teacher.values.items()}
    return replace(
        pairs,
        teacher=replace(pairs.teacher, values=values),
        forecast=np.stack([values[n] for n in pairs.predictor], -1),
    )


@pytest.fixture
def pairs(daily):
    return daily.pairs


@pytest.fixture(scope="session")
def windy(weather):
    made = weather(days=300, stations=2, leads_hours=(24, 48), observed_days=None, wind=True).pairs
    keep = [made.targets.index("10m_wind_speed")]
    return replace(
        made,
        targets=("10m_wind_speed",),
        predictor=("10m_wind_speed",),
        units=("m s-1",),
        observed=made.observed[..., keep],
        forecast=made.forecast[..., keep],
    )


def test_good_pairs_pass(pairs, half_daily, windy):
    for good in (pairs, half_daily.pairs, windy):
        assert check_pairs(good) == []


def test_celsius_against_kelvin(pairs):
    with pytest.raises(DataError, match="looks like Kelvin against Celsius") as caught:
        check_pairs(observed_as(pairs, lambda o: o - 273.15))
    assert "2m_temperature=degC" in caught.value.hint


def test_kelvin_against_celsius(pairs):
    with pytest.raises(DataError, match="looks like Kelvin against Celsius") as caught:
        check_pairs(observed_as(pairs, lambda o: o + 273.15))
    assert "2m_temperature=K" in caught.value.hint


@pytest.mark.parametrize("offset", [0.0, 273.15], ids=["taken for K", "taken for degC"])
def test_fahrenheit(pairs, offset):
    """Numbers in Fahrenheit without a unit are read as the unit of the forecast file, K or Celsius."""
    with pytest.raises(DataError, match="looks like Fahrenheit") as caught:
        check_pairs(observed_as(pairs, lambda o: (o - 273.15) * 9 / 5 + 32 + offset))
    assert "2m_temperature=degF" in caught.value.hint


@pytest.mark.parametrize(("factor", "text"), [(3.6, "km h-1 against m s-1"), (1 / 3.6, "km h-1 against m s-1")])
def test_wind_in_kilometres_per_hour(windy, factor, text):
    exact = forecast_as(windy, lambda f: f)
    exact = replace(exact, forecast=exact.truth * 1.02)
    with pytest.raises(DataError) as caught:
        check_pairs(observed_as(exact, lambda o: o * factor))
    assert text in str(caught.value)


@pytest.mark.parametrize(("factor", "text"), [(100.0, "hPa against Pa"), (1e-3, "mm against m")])
def test_powers_of_ten(windy, factor, text):
    with pytest.raises(DataError) as caught:
        check_pairs(observed_as(windy, lambda o: o * factor))
    assert text in str(caught.value)


def test_accumulated_teacher(pairs):
    grown = replace(pairs, teacher=replace(pairs.teacher, accumulated=frozenset(pairs.predictor)))
    with pytest.raises(DataError, match="accumulated since the start of the run") as caught:
        check_pairs(grown)
    assert "--deaccumulate" in caught.value.hint


def test_constant_teacher_and_constant_observation(pairs):
    with pytest.raises(DataError, match="280 everywhere: a constant cannot teach"):
        check_pairs(forecast_as(pairs, lambda f: np.full_like(f, 280.0)))
    with pytest.raises(DataError, match="there is nothing to learn"):
        check_pairs(observed_as(pairs, lambda o: np.full_like(o, 280.0)))


def test_all_missing(pairs):
    with pytest.raises(DataError, match="all forecast values are missing"):
        check_pairs(forecast_as(pairs, lambda f: np.full_like(f, np.nan)))
    with pytest.raises(DataError, match="all observation values are missing"):
        check_pairs(observed_as(pairs, lambda o: np.full_like(o, np.nan)))


def test_biased_teacher(pairs):
    sd = np.nanstd(pairs.truth)
    (warning,) = [w for w in check_pairs(forecast_as(pairs, lambda f: f - 0.8 * sd)) if "biased" in w]
    assert "biased by -" in warning
    assert not any("biased" in w for w in check_pairs(forecast_as(pairs, lambda f: f - 0.3 * sd)))


def test_worthless_teacher(pairs):
    noise = np.random.default_rng(0).normal(280, 12, pairs.forecast.shape[:-1])
    warnings = check_pairs(forecast_as(pairs, lambda f: noise))
    assert any("worse than the mean observation" in w for w in warnings)


def test_few_pairs(pairs):
    def kept(observed):
        thin = np.full_like(observed, np.nan)
        thin[200:204] = observed[200:204]
        return thin

    (warning,) = check_pairs(observed_as(pairs, kept))
    assert "only 1" in warning and "noise" in warning


@pytest.mark.parametrize("steps", [3, -3, 4])
def test_clock_shift(half_daily, steps):
    """Observations filed 9 h late, as Korean time read as UTC would be, or early."""
    moved = observed_as(half_daily.pairs, lambda o: np.roll(o, steps, axis=0))
    (warning,) = [w for w in check_pairs(moved) if "--zone" in w]
    hours = 3 * abs(steps)
    assert f"read {hours} h {'later' if steps > 0 else 'earlier'}" in warning


def test_shift_of_one_day(pairs):
    """Rows filed by issue time instead of valid time."""
    moved = observed_as(pairs, lambda o: np.roll(o, -1, axis=0))
    assert any("24 h earlier" in w and "issue time" in w for w in check_pairs(moved))


def test_another_quantity_is_not_compared(pairs):
    other = replace(pairs, targets=("power",), observed=pairs.observed * 1e-4)
    assert check_pairs(other) == []
