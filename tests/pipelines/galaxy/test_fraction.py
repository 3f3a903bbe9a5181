"""Class shares of a sample under prior shift: formulas, unbiased where counting is not, honest intervals."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy import calibrate, fraction, metrics

CLASSES = ("non", "merger")


def sample(n, prior, seed=0, strength=1.5, assumed=None):
    """Labels, and the exact posterior of a model trained where the classes had the shares `assumed`."""
    random, c = np.random.default_rng(seed), len(prior)
    labels = random.choice(c, n, p=prior)
    x = random.normal(size=(n, c)) + strength * np.eye(c)[labels]
    assumed = np.full(c, 1 / c) if assumed is None else np.asarray(assumed)
    return labels, calibrate.apply(strength * x + np.log(assumed))


def test_rogan_gladen_written_out():
    labels, p = sample(300, (0.6, 0.4))
    _, q = sample(500, (0.9, 0.1), seed=1)
    said, target = p.argmax(1), q.argmax(1)
    sensitivity, specificity = (said[labels == 1] == 1).mean(), (said[labels == 0] == 0).mean()
    expected = ((target == 1).mean() + specificity - 1) / (sensitivity + specificity - 1)
    assert fraction.confusion_prior(labels, said, target, 2)[1] == pytest.approx(expected, abs=1e-12)


def test_the_prior_is_the_most_likely_one():
    """Saerens' fixed point maximises the likelihood of the unlabelled sample."""
    _, p = sample(400, (0.85, 0.15), seed=2)
    prior = np.array([0.5, 0.5])
    ratio = p / prior
    best = minimize_scalar(lambda f: -np.log(ratio @ [1 - f, f]).sum(), bounds=(1e-9, 1 - 1e-9), method="bounded",
                           options={"xatol": 1e-10})  # fmt: skip
    assert fraction.shifted_prior(p, prior)[1] == pytest.approx(best.x, abs=1e-5)


def test_the_prior_of_three_classes_does_not_move_under_its_own_step():
    _, p = sample(300, (0.7, 0.2, 0.1), seed=3)
    prior = np.full(3, 1 / 3)
    found = fraction.shifted_prior(p, prior)
    again = fraction.corrected(p, prior, found).mean(0)
    np.testing.assert_allclose(again, found, atol=1e-6)


def test_the_implied_prior_is_measured():
    """A model trained on balanced classes takes 1/2 for granted, whatever the labelled sample holds."""
    labels, p = sample(20000, (0.8, 0.2), assumed=(0.5, 0.5))
    assert fraction.implied_prior(labels, p)[1] == pytest.approx(0.5, abs=0.02)
    fitted = fraction.corrected(p, fraction.implied_prior(labels, p), np.bincount(labels) / len(labels))
    np.testing.assert_allclose(fitted.mean(0), np.bincount(labels) / len(labels), atol=1e-6)


def test_corrected_probabilities_are_those_of_the_new_population():
    labels, p = sample(40000, (0.9, 0.1), assumed=(0.5, 0.5))
    new = fraction.corrected(p, (0.5, 0.5), (0.9, 0.1))
    np.testing.assert_allclose(new.sum(1), 1, atol=1e-12)
    ece = lambda q: metrics.score(labels, q, CLASSES, n_bootstrap=0)["ece"]["value"]  # noqa: E731
    assert ece(new) < 0.01 < 0.1 < ece(p)
    np.testing.assert_allclose(fraction.corrected(new, (0.9, 0.1), (0.5, 0.5)), p, atol=1e-12)
    with pytest.raises(ValueError, match="must be positive"):
        fraction.corrected(p, (0.0, 1.0), (0.5, 0.5))


@pytest.mark.parametrize("true", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("assumed", [(0.5, 0.5), (0.7, 0.3)], ids=["balanced training", "training as labelled"])
def test_unbiased_under_prior_shift(true, assumed):
    """Mean over samples of the estimates: counting is wrong by a tenth and more, the corrections by a hundredth."""
    found = {"counted": [], "confusion": [], "em": []}
    for seed in range(40):
        labels, p = sample(400, (0.7, 0.3), seed=seed, assumed=assumed)
        _, q = sample(400, (1 - true, true), seed=1000 + seed, assumed=assumed)
        row = fraction.estimate(labels, p, q, CLASSES, n_bootstrap=0)["shares"]["merger"]
        for how, values in found.items():
            values.append(row[how]["value"])
    error = {how: abs(np.mean(values) - true) for how, values in found.items()}
    assert error["em"] < 0.015 and error["confusion"] < 0.02
    if true != 0.5:
        assert error["counted"] > 2 * max(error["em"], error["confusion"])


def test_three_classes_with_truth_and_intervals():
    labels, p = sample(500, (0.4, 0.3, 0.3))
    true, q = sample(600, (0.8, 0.15, 0.05), seed=5)
    found = fraction.estimate(labels, p, q, ("non", "pre", "post"), target_labels=true, n_bootstrap=60)
    assert found["n"] == {"labelled": 500, "target": 600} and found["sensitivity"] is None
    assert sum(row["em"]["value"] for row in found["shares"].values()) == pytest.approx(1, abs=1e-9)
    for row in found["shares"].values():
        assert row["em"]["value"] == pytest.approx(row["truth"], abs=0.06)
        for how in ("counted", "confusion", "em"):
            assert 0 <= row[how]["low"] <= row[how]["value"] <= row[how]["high"] <= 1


def test_weights_are_repeated_objects():
    labels, p = sample(60, (0.6, 0.4))
    w = np.random.default_rng(0).integers(0, 3, (2, 60)).astype(float)
    for b in range(2):
        rows = np.repeat(np.arange(60), w[b].astype(int))
        np.testing.assert_allclose(
            fraction.implied_prior(labels, p, w)[b], fraction.implied_prior(labels[rows], p[rows]), atol=1e-5
        )
        np.testing.assert_allclose(
            fraction.shifted_prior(p, (0.5, 0.5), w)[b], fraction.shifted_prior(p[rows], (0.5, 0.5)), atol=1e-5
        )


def test_a_sample_of_one_class_only():
    labels, p = sample(300, (0.5, 0.5), strength=2.5)
    _, q = sample(300, (1.0, 0.0), seed=1, strength=2.5)
    row = fraction.estimate(labels, p, q, CLASSES, n_bootstrap=100)["shares"]["merger"]
    assert row["em"]["value"] < 0.02 and row["em"]["low"] < 0.001 and row["confusion"]["low"] == 0


def test_what_cannot_be_corrected_is_said():
    _, p = sample(50, (0.5, 0.5))
    found = fraction.estimate(np.zeros(50, int), p, p, CLASSES, n_bootstrap=20)
    assert found["notes"] == ['no labelled object is "merger": no correction'] and found["sensitivity"] is None
    row = found["shares"]["merger"]
    assert np.isnan(row["em"]["value"]) and np.isnan(row["confusion"]["value"]) and row["counted"]["value"] > 0
    labels, noise = sample(300, (0.5, 0.5), strength=0.01)
    assert (
        "hardly tells the classes apart" in fraction.estimate(labels, noise, noise, CLASSES, n_bootstrap=5)["notes"][0]
    )
    with pytest.raises(DataError, match="no objects"):
        fraction.estimate(labels, noise, noise[:0], CLASSES)


@pytest.mark.slow
@pytest.mark.parametrize("assumed", [(0.5, 0.5), (0.7, 0.3)])
def test_coverage_of_the_intervals(assumed):
    """The true share lies within the 95 % interval in about 95 % of samples; the count's own interval misses it."""
    inside = {"counted": 0, "confusion": 0, "em": 0}
    for seed in range(250):
        labels, p = sample(300, (0.7, 0.3), seed=seed, assumed=assumed)
        _, q = sample(300, (0.9, 0.1), seed=5000 + seed, assumed=assumed)
        row = fraction.estimate(labels, p, q, CLASSES, n_bootstrap=200, seed=seed)["shares"]["merger"]
        for how in inside:
            inside[how] += row[how]["low"] <= 0.1 <= row[how]["high"]
    assert 0.91 <= inside["em"] / 250 <= 0.985 and 0.91 <= inside["confusion"] / 250 <= 0.985
    assert inside["counted"] / 250 < 0.6
