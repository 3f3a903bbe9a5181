"""Period selection and probabilistic scores."""

from types import SimpleNamespace

import numpy as np
import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.kd.evaluate import probabilistic_scores, select_issues

DAYS = np.datetime64("2020-01-01", "ns") + np.arange(20) * np.timedelta64(12, "h")
DESIGN = SimpleNamespace(pairs=SimpleNamespace(teacher=SimpleNamespace(issue=DAYS)))


def test_a_date_means_the_whole_day():
    assert list(select_issues(DESIGN, "2020-01-02", "2020-01-03")) == [2, 3, 4, 5]
    assert list(select_issues(DESIGN, "2020-01-02T06:00", "2020-01-02 18:00")) == [3]
    assert len(select_issues(DESIGN, None, None)) == 20


def test_bad_dates():
    with pytest.raises(SettingsError, match="not a date"):
        select_issues(DESIGN, "tomorrow", None)
    with pytest.raises(SettingsError, match="the file holds 2020-01-01"):
        select_issues(DESIGN, "2021-01-01", None)


def test_a_right_gaussian_covers_what_it_says():
    rng = np.random.default_rng(0)
    mean = rng.normal(size=(4000, 1, 1, 1))
    truth = mean + 2 * rng.normal(size=mean.shape)
    full = np.stack([mean, np.full_like(mean, 2.0)], -1)
    model = SimpleNamespace(student=SimpleNamespace(shape=SimpleNamespace(head="gaussian", quantiles=())))
    found = probabilistic_scores(model, full, truth, np.ones(truth.shape, bool))
    assert found["coverage"] == pytest.approx(0.8, abs=0.02)
    assert found["crps"] == pytest.approx(2 / np.sqrt(np.pi), rel=0.03)  # the CRPS of a perfect normal forecast


def test_quantiles_cover_too():
    rng = np.random.default_rng(1)
    truth = rng.uniform(size=(4000, 1, 1, 1))
    levels = (0.1, 0.5, 0.9)
    full = np.broadcast_to(np.array(levels), (*truth.shape, 3))
    model = SimpleNamespace(student=SimpleNamespace(shape=SimpleNamespace(head="quantile", quantiles=levels)))
    found = probabilistic_scores(model, full, truth, np.ones(truth.shape, bool))
    assert found["coverage"] == pytest.approx(0.8, abs=0.02) and found["nominal_coverage"] == pytest.approx(0.8)


def test_a_month_or_year_is_whole_too():
    assert len(select_issues(DESIGN, "2020-01", "2020-01")) == len(select_issues(DESIGN, "2020", "2020")) == 20
    assert list(select_issues(DESIGN, "2020-01-01T12:00Z", "2020-01-01")) == [1]


@pytest.mark.parametrize("text", ["9999-01-01", "20200101", "NaT", "1500"])
def test_dates_that_would_overflow(text):
    """They wrapped around silently, and everything was chosen."""
    with pytest.raises(SettingsError, match=f'--start "{text}": not a date'):
        select_issues(DESIGN, text, None)


def test_wide_gaussians_stay_finite():
    """Pressure in Pa has deviations beyond what exp can hold."""
    truth = np.zeros((10, 1, 1, 1))
    full = np.stack([truth, np.full_like(truth, 900.0)], -1)
    model = SimpleNamespace(student=SimpleNamespace(shape=SimpleNamespace(head="gaussian", quantiles=())))
    found = probabilistic_scores(model, full, truth, np.ones(truth.shape, bool))
    assert found["crps"] == pytest.approx(900 * (np.sqrt(2) - 1) / np.sqrt(np.pi), rel=1e-3)
