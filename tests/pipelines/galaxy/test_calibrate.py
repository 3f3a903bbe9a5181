"""The temperature that makes held-out labels most likely: against a grid, for scaled logits, and where there is none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.pipelines.errors import DataError, NumericalError
from sciml.pipelines.galaxy import calibrate


def logits(n=300, c=2, seed=0, strength=1.5):
    random = np.random.default_rng(seed)
    labels = random.integers(0, c, n)
    return random.normal(size=(n, c)) + strength * np.eye(c)[labels], labels


def log_loss(z, labels, t):
    return -np.log(np.maximum(calibrate.apply(z, t)[np.arange(len(z)), labels], 1e-300)).mean()


@given(st.integers(0, 1000), st.sampled_from([2, 3, 5]), st.floats(-3, 3))
@settings(max_examples=25, deadline=None)
def test_no_temperature_of_a_grid_is_better(seed, c, log_scale):
    z, labels = logits(n=80, c=c, seed=seed)
    z = z * np.exp(log_scale)
    t = calibrate.temperature(z, labels)
    grid = np.exp(np.linspace(np.log(calibrate.COLDEST), np.log(calibrate.HOTTEST), 400))
    assert log_loss(z, labels, t) <= min(log_loss(z, labels, other) for other in grid) + 1e-12


@pytest.mark.parametrize("scale", [0.1, 3.0, 12.0])
def test_scaling_the_logits_scales_the_temperature(scale):
    z, labels = logits()
    assert calibrate.temperature(scale * z, labels) == pytest.approx(scale * calibrate.temperature(z, labels), rel=1e-6)


def test_true_probabilities_need_no_temperature():
    random = np.random.default_rng(1)
    z = random.normal(size=(20000, 3))
    labels = (calibrate.apply(z).cumsum(1) < random.random(20000)[:, None]).sum(1)
    assert calibrate.temperature(z, labels) == pytest.approx(1, abs=0.04)


def test_a_shift_of_all_logits_of_an_object_changes_nothing():
    z, labels = logits()
    shift = np.random.default_rng(2).normal(0, 100, (len(z), 1))
    assert calibrate.temperature(z + shift, labels) == pytest.approx(calibrate.temperature(z, labels), rel=1e-6)
    np.testing.assert_allclose(calibrate.apply(z + shift, 2.0), calibrate.apply(z, 2.0), atol=1e-12)


def test_no_mistake_is_no_reason_to_be_surer():
    z = np.array([[4.0, 0.0], [0.0, 3.0], [5.0, 1.0]])
    assert calibrate.temperature(z, np.array([0, 1, 0])) == 1.0


def test_worse_than_chance_becomes_flat():
    z, labels = logits()
    assert calibrate.temperature(-z, labels) == calibrate.HOTTEST
    assert np.abs(calibrate.apply(-z, calibrate.HOTTEST) - 0.5).max() < 0.05


def test_nothing_held_out():
    assert calibrate.temperature(np.zeros((0, 2)), np.zeros(0, int)) == 1.0


def test_huge_logits_stay_finite():
    z = np.array([[1e4, -1e4], [-1e4, 1e4], [1e4, 0.0]])
    p = calibrate.apply(z, 0.01)
    assert np.isfinite(p).all() and np.allclose(p.sum(1), 1)
    assert np.isfinite(calibrate.temperature(z, np.array([0, 1, 1])))


def test_calibration_improves_where_it_is_fitted():
    z, labels = logits(n=2000)
    found = calibrate.before_and_after(4 * z, labels, calibrate.temperature(4 * z, labels))
    assert found["after"]["log_loss"] < found["before"]["log_loss"]
    assert found["after"]["ece"] < 0.5 * found["before"]["ece"] and found["after"]["ece"] < 0.06


def test_the_most_likely_class_stays():
    z, _ = logits(c=4)
    assert (calibrate.apply(z, 7.3).argmax(1) == z.argmax(1)).all()


def test_what_cannot_be_calibrated_is_refused():
    with pytest.raises(NumericalError, match="row 1"):
        calibrate.temperature(np.array([[1.0, 2.0], [np.nan, 0.0]]), np.array([0, 1]))
    with pytest.raises(DataError, match="two or more classes"):
        calibrate.apply(np.zeros(5))
    with pytest.raises(DataError, match="3 labels for 2 rows"):
        calibrate.temperature(np.zeros((2, 2)), np.zeros(3, int))
    with pytest.raises(ValueError, match="greater than 0"):
        calibrate.apply(np.zeros((2, 2)), 0.0)


def test_few_objects_move_the_temperature_less_than_many():
    """The posterior's mode: between 1 and the unbiased T, nearer to it with more objects, and a minimum by brute force."""
    z, labels = logits(n=4000)
    z, n = 2.5 * z, 40
    few, many = (calibrate.temperature(z[:m], labels[:m], 0.2) for m in (n, 4000))
    assert 1 < few < calibrate.temperature(z[:n], labels[:n])
    assert many == pytest.approx(calibrate.temperature(z, labels), rel=0.02)
    grid = np.exp(np.linspace(-1, 2, 3001))
    loss = [
        -np.log(calibrate.apply(z[:n], t)[np.arange(n), labels[:n]]).sum() + np.log(t) ** 2 / (2 * 0.2**2) for t in grid
    ]
    assert few == pytest.approx(grid[np.argmin(loss)], rel=2e-3)


def test_logits_worse_than_chance_keep_a_finite_temperature_under_a_prior():
    z, labels = logits(n=50)
    assert 1 < calibrate.temperature(-z, labels, 0.2) < calibrate.HOTTEST
