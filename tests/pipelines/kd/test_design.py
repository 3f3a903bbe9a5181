"""Nothing of the validation and test period reaches what is fixed before training; the rest against plain loops."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.kd.design import (
    Scaling,
    automatic_history,
    make_design,
    predictor_features,
    samples,
    short_lead_record,
    station_features,
)

# With "auto" the validation block chooses between operators, all of them fitted on the training block.
CASES = {
    "daily": {"operator": "linear"},
    "few observations": {"train_issues": 40, "operator": "linear"},
    "isotonic": {"operator": "isotonic"},
    "shift": {"operator": "shift", "history": 5},
}


@pytest.fixture(params=CASES)
def case(request, daily):
    fit = replace(daily.fit, **CASES[request.param])
    return daily.pairs, fit, make_design(daily.pairs, fit)


def assert_same_before(a, b, border):
    """Two designs agree in all that training may use; `border`: first time position that may differ."""
    for name in ("train", "validation", "test", "archive", "record", "static"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    for name in ("scaling", "own_scaling"):
        np.testing.assert_array_equal(getattr(a, name).center, getattr(b, name).center, err_msg=name)
        np.testing.assert_array_equal(getattr(a, name).scale, getattr(b, name).scale, err_msg=name)
    assert a.operator.to_dict() == b.operator.to_dict()
    assert a.predictors == b.predictors
    np.testing.assert_array_equal(a.observed[:border], b.observed[:border])
    np.testing.assert_array_equal(a.corrected[a.archive], b.corrected[a.archive])
    np.testing.assert_array_equal(a.corrected[a.train], b.corrected[a.train])


def test_later_observations_and_forecasts_change_nothing(case, disturbed):
    pairs, fit, design = case
    first = design.validation[0]
    border = int(pairs.anchor[first]) + 1
    other = make_design(disturbed(pairs, observed_after=border, issued_after=first), fit)
    assert not np.array_equal(other.pairs.truth, pairs.truth, equal_nan=True)
    assert_same_before(design, other, border)


@pytest.mark.parametrize(("operator", "block"), [("linear", "validation"), ("auto", "test")])
@pytest.mark.parametrize("name", ["daily", "half_daily", "ensemble"])
def test_later_weather_changes_nothing(request, disturbed, name, operator, block):
    weather = request.getfixturevalue(name)
    fit = replace(weather.fit, operator=operator)
    design = make_design(weather.pairs, fit)
    first = getattr(design, block)[0]
    border = int(weather.pairs.anchor[first]) + 1
    other = make_design(disturbed(weather.pairs, observed_after=border, issued_after=first), fit)
    assert_same_before(design, other, border)


@pytest.mark.parametrize(
    ("change", "kind"), [(lambda f: 0.7 * f + 80, "linear"), (lambda f: f + 3, "shift"), (lambda f: f, "none")]
)
def test_automatic_operator_is_the_one_that_validates_best(daily, change, kind):
    """The truth is `change` of the forecast in the validation block; training pairs are few and noisy."""
    rng = np.random.default_rng(0)
    observed, pairs = daily.pairs.observed.copy(), daily.pairs
    observed[pairs.valid[:, 0]] = change(pairs.forecast[:, 0]) + rng.normal(
        0, 0.2 if kind == "linear" else 3.0, pairs.forecast[:, 0].shape
    )
    exact = replace(
        pairs, observed=observed, forecast=np.repeat(pairs.forecast[:, :1], 2, 1)[:, :1], valid=pairs.valid[:, :1]
    )
    fit = replace(daily.fit, train_issues=25)
    candidates = {k: make_design(exact, replace(fit, operator=k)) for k in ("linear", "shift", "none")}
    scores = {k: np.nanmean((d.corrected - exact.truth)[d.validation] ** 2) for k, d in candidates.items()}
    design = make_design(exact, fit)
    assert design.operator.kind == min(scores, key=scores.get)
    if kind == "linear":
        assert design.operator.kind == "linear"


def test_ensemble_predictors_come_from_the_training_block(ensemble, disturbed):
    fit = replace(ensemble.fit, operator="linear")
    design = make_design(ensemble.pairs, fit)
    first = design.validation[0]
    other = make_design(disturbed(ensemble.pairs, issued_after=first), fit)
    assert design.predictors and design.predictors == other.predictors
    np.testing.assert_array_equal(predictor_features(design)[: first - 1], predictor_features(other)[: first - 1])


def test_blocks_do_not_touch(case):
    pairs, _, design = case
    issue, lead = pairs.teacher.issue, pairs.teacher.lead.max()
    for earlier, later in (
        (design.train, design.validation),
        (design.validation, design.test),
        (design.archive, design.validation),
    ):
        assert issue[earlier[-1]] + lead <= issue[later[0]]
        assert pairs.valid[earlier].max() <= pairs.anchor[later[0]]
    assert (np.diff(design.train) > 0).all()


def test_older_observations_are_hidden_from_a_new_station(daily, disturbed):
    """--train-issues: as if the station had been built a window before the first training issue."""
    fit = replace(daily.fit, train_issues=30)
    design = make_design(daily.pairs, fit)
    assert len(design.train) == 30
    start = int(daily.pairs.anchor[design.train[0]]) - design.history + 1
    assert np.isnan(design.observed[:start]).all() and np.isfinite(design.observed[start]).any()
    observed = daily.pairs.observed.copy()
    observed[:start] += 50.0
    other = make_design(replace(daily.pairs, observed=observed), fit)
    assert_same_before(design, other, len(observed))
    whole = make_design(daily.pairs, daily.fit)
    np.testing.assert_array_equal(design.train, whole.train[-30:])
    np.testing.assert_array_equal(design.test, whole.test)
    np.testing.assert_array_equal(design.archive, whole.archive)


def test_record_against_a_loop(half_daily):
    design = make_design(half_daily.pairs, half_daily.fit)
    pairs = half_daily.pairs
    holes = design.corrected.copy()
    holes[np.random.default_rng(0).random(holes.shape) < 0.2] = np.nan
    issues = np.arange(30, 120)
    found = short_lead_record(pairs, holes, issues)
    shortest = {}
    for i in issues:
        for k in range(holes.shape[1]):
            t, value = pairs.valid[i, k], holes[i, k, 0, 0]
            if t >= 0 and np.isfinite(value) and (t not in shortest or k < shortest[t][0]):
                shortest[t] = (k, value)
    wanted = np.full(len(pairs.time), np.nan)
    for t, (_, value) in shortest.items():
        wanted[t] = value
    np.testing.assert_array_equal(found[:, 0, 0], wanted)


def test_the_record_holds_archive_forecasts_only(case):
    pairs, _, design = case
    known = np.flatnonzero(np.isfinite(design.record).any((1, 2)))
    assert known[-1] <= pairs.anchor[design.validation[0]]


def test_scaling_against_loops():
    rng = np.random.default_rng(0)
    y = rng.normal([[280.0, 5.0], [270.0, 9.0], [250.0, 1.0]], [[8.0, 2.0]] * 3, (60, 3, 2))
    y[rng.random(y.shape) < 0.2] = np.nan
    y[4:, 2, 0] = np.nan  # fewer than 10 values
    scaling = Scaling.fit(y)
    pooled = np.nanmean(y[..., 0])
    for v in range(2):
        center = [np.nanmean(y[:, s, v]) for s in range(3)]
        if v == 0:
            center[2] = pooled
        np.testing.assert_allclose(scaling.center[:, v], center)
        deviations = y[:, :, v] - np.array(center)
        np.testing.assert_allclose(scaling.scale[v], np.sqrt(np.nanmean(deviations**2)))


@given(st.integers(0, 1000), st.floats(0.1, 100), st.floats(-300, 300))
@settings(max_examples=20, deadline=None)
def test_scaling_is_affine_and_invertible(seed, factor, offset):
    y = np.random.default_rng(seed).normal(10, 3, (30, 2, 1))
    scaling, moved = Scaling.fit(y), Scaling.fit(y * factor + offset)
    np.testing.assert_allclose(moved.apply(y * factor + offset), scaling.apply(y), atol=1e-6)
    np.testing.assert_allclose(scaling.invert(scaling.apply(y)), y, rtol=1e-12)


def test_scaling_of_nothing_and_of_a_constant():
    assert np.isfinite(Scaling.fit(np.full((5, 2, 1), np.nan)).apply(np.zeros((2, 1)))).all()
    np.testing.assert_array_equal(Scaling.fit(np.full((50, 1, 1), 7.0)).apply(np.array([[7.0]])), 0.0)


def test_history_is_automatic(daily, half_daily):
    assert automatic_history(half_daily.pairs) == 36
    assert automatic_history(daily.pairs) == 14
    broken = daily.pairs.observed.copy()
    for start in range(62, 400, 130):  # summers of 62 days
        broken[start : start + 68] = np.nan
    assert automatic_history(replace(daily.pairs, observed=broken)) == 62 // 9
    lonely = np.full_like(broken, np.nan)
    for start in range(0, 400, 70):
        lonely[start : start + 8] = 280.0
    assert automatic_history(replace(daily.pairs, observed=lonely)) == 3


def test_samples_against_a_loop(daily):
    pairs = daily.pairs
    observed = pairs.observed.copy()
    observed[np.random.default_rng(1).random(observed.shape) < 0.5] = np.nan
    fit = replace(daily.fit, history=6, min_history=0.5)
    design = make_design(replace(pairs, observed=observed), fit)
    issues = np.arange(len(pairs.anchor))
    for with_target in (True, False):
        wanted = []
        for i in issues:
            for s in range(2):
                low = pairs.anchor[i] - 5
                past = design.observed[max(low, 0) : pairs.anchor[i] + 1, s]
                target = [design.pairs.truth[i, k, s, 0] for k in range(2)]
                if low >= 0 and np.isfinite(past).mean() >= 0.5 and (np.isfinite(target).any() or not with_target):
                    wanted.append((i, s))
        found = samples(design, issues, min_history=0.5, with_target=with_target)
        assert list(zip(*found, strict=True)) == wanted


def test_predictors_by_hand(ensemble):
    design = make_design(ensemble.pairs, ensemble.fit)
    features = predictor_features(design)
    assert features.shape[-1] == 3  # the corrected target, its spread, the mask
    np.testing.assert_allclose(
        features[..., 0], (design.corrected[..., 0] - design.scaling.center[:, 0]) / design.scaling.scale[0]
    )
    spread = ensemble.pairs.teacher.spread["2m_temperature"]
    seen = spread[design.train]
    np.testing.assert_allclose(features[..., 1], (spread - seen.mean()) / seen.std())
    np.testing.assert_array_equal(features[..., 2], 1.0)


def test_missing_forecasts_are_zero_and_masked(daily):
    forecast = daily.pairs.forecast.copy()
    forecast[17, 1, 0] = np.nan
    features = predictor_features(make_design(replace(daily.pairs, forecast=forecast), daily.fit))
    assert (features[17, 1, 0] == 0).all() and features[17, 1, 1, -1] == 1 and np.isfinite(features).all()


def test_station_features(daily, half_daily):
    scaling = make_design(daily.pairs, daily.fit).scaling
    table = station_features(daily.pairs, scaling)
    assert table.shape == (2, 3 + 1 + 2)  # latitude, longitude, height, climate, one column each
    np.testing.assert_allclose(table[:, :4].mean(0), 0.0, atol=1e-12)
    np.testing.assert_array_equal(table[:, 4:], np.eye(2))
    assert station_features(half_daily.pairs, scaling).shape == (1, 0)


def test_what_cannot_be_split_says_why(daily):
    observed = np.full_like(daily.pairs.observed, np.nan)
    observed[100:120] = daily.pairs.observed[100:120]
    with pytest.raises(DataError, match="forecasts have a past of 14 steps") as caught:
        make_design(replace(daily.pairs, observed=observed), replace(daily.fit, min_history=1.0))
    assert "--history" in caught.value.hint
    with pytest.raises(SettingsError, match="--train-issues 5000: the training block holds"):
        make_design(daily.pairs, replace(daily.fit, train_issues=5000))


def test_dates_replace_fractions(daily):
    design = make_design(daily.pairs, replace(daily.fit, train_until="2018-09-30", validation_until="2018-12-31"))
    issue = daily.pairs.teacher.issue
    assert issue[design.validation[0]] == np.datetime64("2018-10-01") and issue[design.test[0]] == np.datetime64(
        "2019-01-01"
    )


def test_a_station_observed_for_a_few_days_uses_the_pooled_climate(daily):
    """No NaN may reach the networks through a station that has hardly any observation."""
    observed = daily.pairs.observed.copy()
    observed[5:, 1] = np.nan
    design = make_design(replace(daily.pairs, observed=observed), daily.fit)
    for value in (design.static, design.scaling.center, design.own_scaling.center, design.corrected):
        assert np.isfinite(value).all()
