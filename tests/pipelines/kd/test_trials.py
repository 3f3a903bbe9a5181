"""Trials: parts that share no target, and a verdict that needs a clear gain on what was not seen."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciml.pipelines.kd.design import make_design
from sciml.pipelines.kd.plan import Planner, Spec, specs
from sciml.pipelines.kd.pool import stays
from sciml.pipelines.kd.trials import cross_validated, half_error, parts, trial_parts

DAY = np.timedelta64(1, "D")


@given(st.integers(1, 60), st.integers(1, 6), st.integers(1, 5))
def test_parts_cover_the_block_and_share_no_target(count, pieces, gap):
    issue = np.datetime64("2020-01-01") + np.arange(100) * DAY
    train = np.sort(np.random.default_rng(count).choice(100, count, replace=False))
    found = parts(issue, train, pieces, gap * DAY)
    assert np.array_equal(np.concatenate([part for _, part in found]), train)
    for rest, part in found:
        assert np.isin(rest, train).all() and not np.isin(rest, part).any()
        if len(rest):
            apart = np.abs(rest[:, None] - part[None, :]).min(1)
            assert apart.min() >= gap or not len(rest)


def curves(*values):
    return {f"trial{n}-0": [{"validation_rmse": v} for v in curve] for n, curve in enumerate(values)}


def test_a_clear_common_gain_lets_it_leave():
    found = cross_validated(curves([2.0, 1.5, 1.4], [2.0, 1.6, 1.3], [2.0, 1.7, 1.9, 1.0]), 100)
    assert found["leave"] and found["epoch"] == 2 and found["base_rmse"] == pytest.approx(2.0)
    assert found["rmse"] == pytest.approx(np.sqrt((1.4**2 + 1.3**2 + 1.9**2) / 3)), "epochs that all trials have"


def test_otherwise_it_stays():
    assert not cross_validated(curves([2.0, 1.5], [2.0, 2.6], [2.0, 2.3]), 100)["leave"]
    slight = 2.0 * (1 - 0.9 * half_error(100))
    assert not cross_validated(curves([2.0, slight]), 100)["leave"]
    assert cross_validated({"alone-0": [{"validation_rmse": 1.0}]}, 100) is None


def test_the_student_waits_for_the_trials(daily):
    fit = replace(daily.fit, mode="residual", seeds=2)
    design = make_design(daily.pairs, fit)
    jobs = specs(design, fit)
    trials = [j.name for j in jobs if j.arm.startswith("trial")]
    assert trials == ["trial0-0", "trial1-0", "trial2-0"]
    assert all(set(trials) <= set(j.after) for j in jobs if j.arm == "distilled")
    worse = {name: [{"validation_rmse": v} for v in (1.0, 2.0)] for name in trials}
    better = {name: [{"validation_rmse": v} for v in (2.0, 1.0)] for name in trials}
    spec = Spec("distilled", 0, tuple(trials))
    assert stays(spec, worse, 100) and not stays(spec, better, 100) and not stays(Spec("alone", 0), {}, 100)


def test_a_trial_is_tried_on_what_it_has_not_seen(daily):
    fit = replace(daily.fit, mode="residual")
    planner = Planner(make_design(daily.pairs, fit), fit)
    job = planner.job(Spec("trial1", 0))
    assert job.shape == planner.shape("distilled") and job.train is job.stages[0].windows
    assert not np.isin(job.validation.issue, job.train.issue).any() and job.train.anchor is not None
    tried = np.concatenate([planner.job(Spec(f"trial{n}", 0)).validation.issue for n in range(3)])
    assert set(tried) == set(planner.windows("train", "observed", planner.inputs("distilled")).issue)


def test_a_short_block_is_not_cut(daily):
    design = make_design(daily.pairs, replace(daily.fit, mode="residual", train_issues=20))
    assert trial_parts(design) == []
