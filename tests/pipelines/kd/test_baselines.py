"""Baselines on series whose best forecast is known, and on disturbed test observations."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from sciml.pipelines.kd import baselines
from sciml.pipelines.kd.baselines import climatology, linear, past_window, persistence, seasonal_features

DAY = np.timedelta64(1, "D").astype("timedelta64[ns]")


class Series(SimpleNamespace):
    """What the baselines need of Pairs: daily issues, leads of 1 and 2 days."""

    @property
    def truth(self):
        taken = self.observed[np.clip(self.valid, 0, len(self.time) - 1)]
        return np.where((self.valid >= 0)[:, :, None, None], taken, np.nan)


def series(observed, forecast=None, step=DAY, sub_daily=False):
    """One station and target from observed [t]."""
    days = len(observed)
    issue = np.arange(days - 2)
    valid = issue[:, None] + np.array([1, 2])
    pairs = Series(
        time=np.datetime64("2015-03-01", "ns") + step * np.arange(days),
        observed=np.asarray(observed, float).reshape(days, 1, 1),
        anchor=issue, valid=valid, sub_daily=sub_daily, forecast=np.zeros((days - 2, 2, 1, 1)),
    )  # fmt: skip
    if forecast is not None:
        pairs.forecast = forecast(pairs)
    return pairs


def blocks(pairs, fit=0.6, held=0.8):
    n = len(pairs.anchor)
    return np.arange(int(n * fit)), np.arange(int(n * fit) + 2, int(n * held)), np.arange(int(n * held) + 2, n)


def test_persistence_by_hand():
    pairs = series([1.0, 2.0, np.nan, np.nan, np.nan, 6.0, 7.0])
    found = persistence(pairs, 3)[:, :, 0, 0]
    np.testing.assert_array_equal(found, [[1, 1], [2, 2], [2, 2], [2, 2], [np.nan, np.nan]])


def test_past_window_is_newest_first():
    pairs = series(np.arange(6.0))
    found = past_window(pairs, pairs.observed, 3)[:, 0, 0]
    np.testing.assert_array_equal(found, [[0, np.nan, np.nan], [1, 0, np.nan], [2, 1, 0], [3, 2, 1]])


def test_climatology_of_two_annual_harmonics():
    days = 4 * 366
    pairs = series(np.zeros(days))
    angle = 2 * np.pi * ((pairs.time - pairs.time.astype("datetime64[Y]")) / np.timedelta64(1, "D")) / 365.2425
    pairs.observed[:, 0, 0] = 283 + 9 * np.cos(angle - 0.4) + 2 * np.sin(2 * angle)
    found = climatology(pairs, blocks(pairs)[0])
    np.testing.assert_allclose(found, pairs.truth, atol=2e-3)


def test_climatology_of_the_hour():
    """Three months of three-hourly data: a daily cycle, and no annual one."""
    step = np.timedelta64(3, "h").astype("timedelta64[ns]")
    pairs = series(np.zeros(720), step=step, sub_daily=True)
    hour = (pairs.time - pairs.time.astype("datetime64[D]")) / np.timedelta64(1, "h")
    pairs.observed[:, 0, 0] = 280 + 4 * np.sin(2 * np.pi * hour / 24) + np.cos(4 * np.pi * hour / 24)
    np.testing.assert_allclose(climatology(pairs, blocks(pairs)[0]), pairs.truth, atol=2e-3)


@pytest.mark.parametrize("days", [20, 60, 200])
def test_climatology_of_a_short_record_is_its_mean(days):
    rng = np.random.default_rng(0)
    pairs = series(280 + 0.1 * np.arange(days) + rng.normal(0, 2, days))
    train = blocks(pairs)[0]
    seen = pairs.observed[: pairs.valid[train].max() + 1]
    np.testing.assert_allclose(climatology(pairs, train), seen.mean(), rtol=1e-9)


def test_climatology_of_a_station_without_observations_is_missing():
    pairs = series(np.full(50, np.nan))
    assert np.isnan(climatology(pairs, blocks(pairs)[0])).all()


def nwp(pairs, seed=1):
    return pairs.truth * 0.8 + 50 + np.random.default_rng(seed).normal(0, 1.5, pairs.truth.shape)


def test_mos_is_ordinary_least_squares(monkeypatch):
    """The smallest ridge strength is 1e-6 of the predictor's variance."""
    monkeypatch.setattr(baselines, "RIDGE", baselines.RIDGE[:1])
    rng = np.random.default_rng(0)
    pairs = series(280 + 8 * rng.normal(size=400), nwp)
    train, validation, test = blocks(pairs)
    found = linear(pairs, train, validation, forecast=True)
    for k in (0, 1):
        x = np.stack([np.ones(len(pairs.anchor)), pairs.forecast[:, k, 0, 0]], 1)
        weights = np.linalg.lstsq(x[train], pairs.truth[train, k, 0, 0], rcond=None)[0]
        np.testing.assert_allclose(found[test, k, 0, 0], x[test] @ weights, atol=1e-4)


def test_everything_together_is_least_squares_in_the_limit(monkeypatch):
    monkeypatch.setattr(baselines, "RIDGE", (1e-14,))
    rng = np.random.default_rng(0)
    pairs = series(280 + 8 * rng.normal(size=400), nwp)
    train, validation, test = blocks(pairs)
    predictors, errors = rng.normal(size=(398, 2, 1, 3)), rng.normal(size=(398, 1, 1, 2))
    found = linear(pairs, train, validation, history=4, forecast=True, predictors=predictors, errors=errors)
    past = past_window(pairs, pairs.observed, 4)[:, 0, 0]
    past = np.where(
        np.isfinite(past), past, np.nanmean(np.where(np.isin(np.arange(398), train)[:, None], past, np.nan), 0)
    )
    for k in (0, 1):
        x = np.concatenate([np.ones((398, 1)), pairs.forecast[:, k, 0], predictors[:, k, 0], past, errors[:, 0, 0]], 1)
        weights = np.linalg.lstsq(x[train], pairs.truth[train, k, 0, 0], rcond=None)[0]
        np.testing.assert_allclose(found[test, k, 0, 0], x[test] @ weights, atol=1e-6)


def test_autoregression_learns_a_pure_cycle():
    """x[t+1] = 2 cos(w) x[t] - x[t-1]: two past values are enough."""
    pairs = series(280 + 5 * np.sin(0.4 * np.arange(300)))
    train, validation, test = blocks(pairs)
    found = linear(pairs, train, validation, history=2)
    np.testing.assert_allclose(found[test], pairs.truth[test], atol=0.05)


def test_ridge_strength_is_chosen_on_the_validation_block():
    """Past noise helps nobody; the strength that validates best is at least as good there as any other."""
    rng = np.random.default_rng(3)
    pairs = series(280 + 8 * rng.normal(size=300))
    train, validation, _ = np.arange(20, 60), np.arange(62, 250), None
    found = linear(pairs, train, validation, history=20)
    rmse = lambda p: np.sqrt(np.mean((p[validation] - pairs.truth[validation]) ** 2))  # noqa: E731
    mild = linear(pairs, train, validation[:0], history=20)  # no validation: the weakest ridge
    assert rmse(found) < 0.9 * rmse(mild)


@pytest.mark.parametrize("days", [15, 25, 40])
def test_short_records_do_not_explode(days):
    """More predictors than pairs."""
    rng = np.random.default_rng(days)
    noise = rng.normal(0, 3, 400)
    for i in range(1, 400):
        noise[i] = 0.8 * noise[i - 1] + 0.6 * noise[i]
    pairs = series(280 + noise, nwp)
    train, validation, test = np.arange(days), np.arange(days + 2, days + 12), np.arange(days + 20, 398)
    found = linear(pairs, train, validation, history=14, forecast=True)
    rmse = np.sqrt(np.mean((found[test] - pairs.truth[test]) ** 2))
    assert rmse < 2 * np.std(pairs.observed)


def test_missing_forecast_is_a_missing_prediction_and_missing_past_is_not():
    rng = np.random.default_rng(0)
    pairs = series(280 + 8 * rng.normal(size=200), nwp)
    pairs.forecast[150, 0], pairs.observed[170] = np.nan, np.nan
    train, validation, _ = blocks(pairs)
    found = linear(pairs, train, validation, history=3, forecast=True)
    assert np.isnan(found[150, 0]).all() and np.isfinite(found[150, 1]).all() and np.isfinite(found[171:174]).all()


def test_fewer_than_three_pairs_give_nothing():
    pairs = series(280 + np.random.default_rng(0).normal(size=100), nwp)
    assert np.isnan(linear(pairs, np.arange(2), np.arange(5, 9), forecast=True)).all()


def test_only_the_training_block_is_learnt_from(daily, disturbed):
    """Other observations from the last validation target on: forecasts issued before must not change."""
    pairs = daily.pairs
    n = len(pairs.anchor)
    train, validation = np.arange(20, int(0.6 * n)), np.arange(int(0.6 * n) + 2, int(0.8 * n))
    border = pairs.valid[validation].max() + 1
    other = disturbed(pairs, observed_after=border)
    before = pairs.anchor < border
    for method in (
        lambda p: persistence(p, 5),
        lambda p: climatology(p, train),
        lambda p: linear(p, train, validation, history=5),
        lambda p: linear(p, train, validation, history=5, forecast=True),
    ):
        np.testing.assert_array_equal(method(pairs)[before], method(other)[before])
    # climatology and coefficients use training targets only, not those of the validation block
    other = disturbed(pairs, observed_after=pairs.valid[train].max() + 1)
    np.testing.assert_array_equal(climatology(pairs, train), climatology(other, train))


def test_stations_and_targets_are_fitted_apart(daily):
    pairs = daily.pairs
    train, validation = np.arange(20, 240), np.arange(250, 300)
    moved = replace(pairs, observed=pairs.observed + np.array([0.0, 40.0])[:, None])
    both, one = (linear(p, train, validation, history=5, forecast=True) for p in (moved, pairs))
    np.testing.assert_array_equal(both[:, :, 0], one[:, :, 0])
    np.testing.assert_allclose(both[:, :, 1], one[:, :, 1] + 40.0, atol=1e-6)


def test_seasonal_features_are_periodic():
    year = np.datetime64("2016-01-01", "ns") + DAY * np.arange(366)
    annual = seasonal_features(year, daily=False, annual=2)
    assert annual.shape == (366, 4)
    np.testing.assert_allclose(annual[:, 0] ** 2 + annual[:, 1] ** 2, 1.0)
    np.testing.assert_allclose(annual[-1], annual[0], atol=0.06)
    hours = np.datetime64("2016-01-01", "ns") + np.timedelta64(1, "h") * np.arange(49)
    diurnal = seasonal_features(hours, daily=True)[:, 2:]
    assert diurnal.shape == (49, 4)
    np.testing.assert_allclose(diurnal[24:], diurnal[:25], atol=1e-12)
