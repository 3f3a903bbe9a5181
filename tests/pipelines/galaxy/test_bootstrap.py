"""Resamples: every object as often as chance has it, groups whole, the same for the same seed."""

import numpy as np
import pytest

from sciml.pipelines.galaxy.bootstrap import interval, resamples, with_interval


def drawn(*arguments, **options):
    return np.concatenate(list(resamples(*arguments, **options)))


def test_a_resample_holds_as_many_objects_as_there_are():
    weights = drawn(50, 200)
    assert weights.shape == (200, 50) and (weights.sum(1) == 50).all()
    # counts of a multinomial: mean 1, variance 1 - 1/n
    assert abs(weights.mean() - 1) < 1e-12 and abs(weights.var() - (1 - 1 / 50)) < 0.05


def test_blocks_do_not_change_the_draws():
    assert (drawn(30, 40, seed=3) == drawn(30, 40, seed=3, most_cells=100)).all()
    assert (drawn(30, 40, seed=3) != drawn(30, 40, seed=4)).any()


def test_objects_of_a_group_stay_together():
    groups = np.array(["a", "b", "a", "c", "c", "c"])
    weights = drawn(6, 100, groups=groups)
    for name in "abc":
        same = weights[:, groups == name]
        assert (same == same[:, :1]).all()
    assert (weights[:, [0, 1, 3]].sum(1) == 3).all()  # three groups are drawn


def test_groups_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="2 groups for 3 objects"):
        drawn(3, 1, groups=np.array(["a", "b"]))


def test_no_objects_no_resamples():
    assert list(resamples(0, 10)) == []


def test_interval_leaves_out_what_is_not_known():
    draws = np.r_[np.linspace(0, 1, 101), np.nan, np.inf]
    assert interval(draws, 0.9) == pytest.approx((0.05, 0.95))
    assert np.isnan(interval(np.array([1.0, np.nan]))).all()
    assert np.isnan(list(with_interval(np.nan, draws).values())).all()


def test_a_centred_interval_surrounds_its_value():
    draws = np.random.default_rng(0).normal(2.0, 0.1, 5000)
    found = with_interval(1.0, draws, centred=True)
    assert found["low"] == pytest.approx(1 - 0.196, abs=0.01) and found["high"] == pytest.approx(1.196, abs=0.01)


@pytest.mark.slow
def test_coverage_of_a_mean_of_grouped_objects():
    """Five objects a group that are equal: resampling objects would promise far too much."""
    random, inside = np.random.default_rng(1), {"grouped": 0, "alone": 0}
    for trial in range(300):
        values = np.repeat(random.normal(size=60), 5)
        for name, groups in (("grouped", np.repeat(np.arange(60), 5)), ("alone", None)):
            weights = drawn(300, 300, seed=trial, groups=groups)
            low, high = interval(weights @ values / weights.sum(1))
            inside[name] += low <= 0 <= high
    assert 0.90 <= inside["grouped"] / 300 <= 0.98
    assert inside["alone"] / 300 < 0.75
