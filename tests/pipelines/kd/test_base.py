"""What a residual student starts at: the simplest forecast that both periods support, and the same numbers after a round trip."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from sciml.pipelines.kd.base import Base, _better, _fit, _Problem, choose_base
from sciml.pipelines.kd.design import make_design


@pytest.fixture(scope="module")
def design(daily):
    return make_design(daily.pairs, daily.fit)


def with_errors(design, *, until=None, slope=1.0, persistence=0.97, size=20.0):
    """The design with observations = slope x forecast + errors that last for days up to position `until` of the issues."""
    pairs, rng = design.pairs, np.random.default_rng(0)
    drift = np.zeros_like(pairs.observed)
    for t in range(1, len(drift)):
        drift[t] = persistence * drift[t - 1] + rng.normal(0, size * np.sqrt(1 - persistence**2), drift.shape[1:])
    noise = rng.normal(0, size, drift.shape)
    last = len(drift) if until is None else int(pairs.anchor[until])
    error = np.where(np.arange(len(drift))[:, None, None] < last, drift, noise)
    observed = error.copy()
    center = np.nanmean(pairs.forecast)
    for k in reversed(range(pairs.valid.shape[1])):
        inside = pairs.valid[:, k] >= 0
        observed[pairs.valid[inside, k]] = (center + slope * (pairs.forecast[:, k] - center))[inside] + error[
            pairs.valid[inside, k]
        ]
    return replace(design, pairs=replace(pairs, observed=observed), observed=observed)


def chosen(design) -> Base:
    return choose_base(design.pairs, design.observed, design.operator, design.train, design.validation, design.history)


def test_errors_that_last_are_corrected(design):
    found = with_errors(design)
    base = chosen(found)
    assert base.kind == "mos_ar" and base.memory >= 1
    after = replace(found, base=base)
    error = lambda f: np.sqrt(np.nanmean((f - found.pairs.truth)[found.test] ** 2))  # noqa: E731
    assert error(after.first_guess) < 0.9 * error(found.corrected)


def test_white_errors_leave_the_forecast_alone(design):
    assert chosen(with_errors(design, persistence=0.0)).kind in ("operator", "mos")


def test_one_period_alone_does_not_decide(design):
    """Errors last in the training block only: the validation block says no, and the other way round."""
    assert chosen(with_errors(design, until=design.validation[0])).kind in ("operator", "mos")
    swapped = with_errors(design)
    quiet = with_errors(design, persistence=0.0)
    border = int(design.pairs.anchor[design.validation[0]])
    observed = np.concatenate((quiet.observed[:border], swapped.observed[border:]))
    mixed = replace(design, pairs=replace(design.pairs, observed=observed), observed=observed)
    assert chosen(mixed).kind in ("operator", "mos")


def test_a_gain_within_its_sampling_error_is_none():
    rng = np.random.default_rng(1)
    before = [rng.chisquare(1, 60), rng.chisquare(1, 100)]
    assert not _better([b - 1e-3 + rng.normal(0, 1, len(b)) for b in before], before)
    assert _better([0.5 * b for b in before], before)
    assert not _better([0.5 * before[0], 1.01 * before[1]], before)


@pytest.mark.parametrize("memory", [0, 3])
def test_the_regression_is_least_squares(design, memory):
    found = with_errors(design)
    problem = _Problem(found.pairs, found.observed, found.corrected, found.pairs.truth, found.train)
    base = _fit(problem, memory, 1e-9)
    guess = base(found.pairs, found.observed, found.corrected)
    for k, s in np.ndindex(guess.shape[1:3]):
        past = [
            np.where(found.pairs.anchor >= n, found.observed[found.pairs.anchor - n, s, 0], np.nan)
            for n in range(memory)
        ]
        x = np.stack([found.corrected[:, k, s, 0], *past], -1)
        mean = np.nanmean(x[found.train], 0)
        x[:, 1:] = np.where(np.isfinite(x[:, 1:]), x[:, 1:], mean[1:])
        y = found.pairs.truth[:, k, s, 0]
        fit = found.train[np.isfinite(x[found.train]).all(1) & np.isfinite(y[found.train])]
        wanted = LinearRegression().fit(x[fit], y[fit])
        usable = np.isfinite(x).all(1)
        np.testing.assert_allclose(guess[usable, k, s, 0], wanted.predict(x[usable]), rtol=1e-6)
        assert np.isnan(guess[~usable, k, s, 0]).all()


@pytest.mark.parametrize("memory", [None, 0, 2])
def test_stored_as_plain_numbers(design, memory):
    problem = _Problem(design.pairs, design.observed, design.corrected, design.pairs.truth, design.train)
    base = Base() if memory is None else _fit(problem, memory, 1e-3)
    again = Base.from_dict(json.loads(json.dumps(base.to_dict())))
    one, two = (b(design.pairs, design.observed, design.corrected) for b in (base, again))
    np.testing.assert_array_equal(one, two)


def test_nothing_after_the_issue_is_used(design, disturbed):
    """Observations after the issue time do not move its first guess."""
    problem = _Problem(design.pairs, design.observed, design.corrected, design.pairs.truth, design.train)
    base, issue = _fit(problem, 3, 1e-3), int(design.validation[5])
    changed = disturbed(design.pairs, observed_after=int(design.pairs.anchor[issue]) + 1)
    one = base(design.pairs, design.pairs.observed, design.corrected)[: issue + 1]
    two = base(changed, changed.observed, design.corrected)[: issue + 1]
    np.testing.assert_array_equal(one, two)


def test_too_few_pairs_keep_the_forecast(design):
    few = _Problem(design.pairs, design.observed, design.corrected, design.pairs.truth, design.train[:20])
    base = _fit(few, 0, 1e-3)
    np.testing.assert_array_equal(base(design.pairs, design.observed, design.corrected), design.corrected)


def test_only_the_residual_mode_chooses(daily):
    assert make_design(daily.pairs, daily.fit).base == Base()
    assert make_design(daily.pairs, replace(daily.fit, mode="residual")).base.kind in ("operator", "mos", "mos_ar")
