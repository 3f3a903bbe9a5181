"""Scores against scikit-learn, their intervals, differences of arms, bins, and what has no value."""

import time
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as peer

from sciml.pipelines.errors import DataError, NumericalError
from sciml.pipelines.galaxy import metrics


def predictions(n=200, c=2, seed=0, strength=1.0, ties=False):
    random = np.random.default_rng(seed)
    labels = random.integers(0, c, n)
    logits = random.normal(size=(n, c)) + strength * np.eye(c)[labels]
    if ties:
        logits = np.round(logits)
    p = np.exp(logits)
    return labels, p / p.sum(1, keepdims=True)


def values(labels, p, **options):
    names = [f"class {k}" for k in range(p.shape[1])]
    return {name: row["value"] for name, row in metrics.score(labels, p, names, n_bootstrap=0, **options).items()}


@pytest.mark.parametrize("positive", [0, 1])
@pytest.mark.parametrize("ties", [False, True])
def test_two_classes_agree_with_scikit_learn(positive, ties):
    labels, p = predictions(ties=ties)
    is_one, score = labels == positive, p[:, positive]
    found, said = values(labels, p, positive=positive), p.argmax(1)
    assert found["auc"] == pytest.approx(peer.roc_auc_score(is_one, score), abs=1e-12)
    assert found["average_precision"] == pytest.approx(peer.average_precision_score(is_one, score), abs=1e-12)
    assert found["accuracy"] == pytest.approx(peer.accuracy_score(labels, said), abs=1e-12)
    assert found["balanced_accuracy"] == pytest.approx(peer.balanced_accuracy_score(labels, said), abs=1e-12)
    assert found["f1"] == pytest.approx(peer.f1_score(labels, said, pos_label=positive), abs=1e-12)
    assert found["log_loss"] == pytest.approx(peer.log_loss(labels, p), abs=1e-12)
    assert found["brier"] == pytest.approx(peer.brier_score_loss(is_one, score), abs=1e-12)


def test_three_classes_agree_with_scikit_learn():
    labels, p = predictions(c=3)
    found, said, truth = values(labels, p), p.argmax(1), np.eye(3)[labels]
    assert found["auc"] == pytest.approx(peer.roc_auc_score(labels, p, multi_class="ovr"), abs=1e-12)
    assert found["average_precision"] == pytest.approx(peer.average_precision_score(truth, p), abs=1e-12)
    assert found["f1"] == pytest.approx(peer.f1_score(labels, said, average="macro"), abs=1e-12)
    assert found["balanced_accuracy"] == pytest.approx(peer.balanced_accuracy_score(labels, said), abs=1e-12)
    assert found["log_loss"] == pytest.approx(peer.log_loss(labels, p), abs=1e-12)
    assert found["brier"] == pytest.approx(((p - truth) ** 2).sum(1).mean(), abs=1e-12)


@pytest.mark.parametrize("c", [2, 3])
def test_ece_written_out(c):
    labels, p = predictions(c=c, n=300)
    said, came = (p[:, 1], labels == 1) if c == 2 else (p.max(1), p.argmax(1) == labels)
    expected = 0.0
    for low in np.arange(15) / 15:
        here = (said >= low) & (said < low + 1 / 15)
        if here.any():
            expected += here.mean() * abs(said[here].mean() - came[here].mean())
    assert values(labels, p)["ece"] == pytest.approx(expected, abs=1e-12)


def test_a_threshold_moves_the_predicted_class_and_nothing_else():
    labels, p = predictions()
    plain, moved = values(labels, p), values(labels, p, threshold=0.8)
    said = (p[:, 1] >= 0.8).astype(int)
    assert moved["f1"] == pytest.approx(peer.f1_score(labels, said), abs=1e-12)
    assert moved["accuracy"] == pytest.approx((said == labels).mean(), abs=1e-12)
    assert all(moved[name] == plain[name] for name in ("auc", "average_precision", "log_loss", "brier", "ece"))
    assert (metrics.predict_class(p, 0, 0.3) == np.where(p[:, 0] >= 0.3, 0, 1)).all()


@pytest.mark.parametrize("c", [2, 3])
def test_intervals_surround_the_value(c):
    labels, p = predictions(c=c)
    for name, row in metrics.score(labels, p, "abc"[:c], n_bootstrap=400).items():
        assert row["low"] <= row["value"] <= row["high"], name
        assert row["high"] - row["low"] < 0.35, name


def test_a_resample_is_scored_as_if_its_objects_were_given():
    labels, p = predictions(n=40, ties=True)
    weights = next(metrics.resamples(40, 3, seed=7))
    drawn = metrics._Scored(labels, p, "ab", None, None).metrics(weights)
    for b, w in enumerate(weights):
        rows = np.repeat(np.arange(40), w.astype(int))
        again = values(labels[rows], p[rows])
        for name in metrics.NAMES:
            assert drawn[name][b] == pytest.approx(again[name], abs=1e-12), name


def test_the_interval_of_a_group_is_that_of_its_independent_objects():
    labels, p = predictions(n=60)
    five = np.repeat(np.arange(60), 5)
    alone = metrics.score(labels, p, "ab", n_bootstrap=300)["auc"]
    grouped = metrics.score(labels[five], p[five], "ab", groups=five, n_bootstrap=300)["auc"]
    naive = metrics.score(labels[five], p[five], "ab", n_bootstrap=300)["auc"]
    width = lambda row: row["high"] - row["low"]  # noqa: E731
    assert grouped["value"] == pytest.approx(alone["value"], abs=1e-12)
    assert width(grouped) == pytest.approx(width(alone), rel=0.25) and width(naive) < 0.65 * width(alone)


def test_a_thousand_resamples_of_a_thousand_objects_take_a_moment():
    labels, p = predictions(n=1000)
    start = time.process_time()
    metrics.score(labels, p, "ab")
    assert time.process_time() - start < 2


def test_differences_are_paired():
    labels, p = predictions(seed=1)
    _, noise = predictions(seed=2, strength=0.0)
    rows = metrics.compare(labels, {"a": p, "b": p, "c": noise}, ["non", "merger"], n_bootstrap=200)
    assert [(row["arm"], row["against"]) for row in rows] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert all(value == 0 for value in rows[0]["metrics"]["auc"].values())  # the same predictions, the same resamples
    gain, mine, other = rows[1]["metrics"]["auc"], values(labels, p)["auc"], values(labels, noise)["auc"]
    assert gain["value"] == pytest.approx(mine - other, abs=1e-12) and gain["low"] > 0
    # a correlated rival leaves a narrower interval than the two scores alone
    near = 0.9 * p + 0.1 * noise
    paired = metrics.compare(labels, {"a": p, "b": near}, "ab", n_bootstrap=200)[0]["metrics"]["auc"]
    alone = metrics.score(labels, p, "ab", n_bootstrap=200)["auc"]
    assert paired["high"] - paired["low"] < alone["high"] - alone["low"]


def test_each_arm_of_a_comparison_has_its_threshold():
    labels, p = predictions()
    row = metrics.compare(labels, {"a": p, "b": p}, "ab", thresholds={"a": 0.9, "b": None}, n_bootstrap=0)[0]["metrics"]
    assert row["auc"]["value"] == 0 and row["accuracy"]["value"] != 0
    assert np.isnan(row["accuracy"]["low"])


# --- what has no value


def test_one_class_has_no_auc_and_no_warning():
    labels, p = predictions(n=30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = metrics.score(np.zeros(30, int), p, ["non", "merger"], n_bootstrap=50)
    for name in ("auc", "average_precision", "balanced_accuracy", "f1"):
        assert all(np.isnan(value) for value in found[name].values()), name
    assert np.isfinite(list(found["accuracy"].values())).all() and np.isfinite(found["log_loss"]["low"])


def test_resamples_without_the_rare_class_are_left_out():
    labels, p = predictions(n=40)
    labels = np.zeros(40, int)
    labels[3] = 1  # absent from about a third of the resamples
    found = metrics.score(labels, p, "ab", n_bootstrap=200)["auc"]
    assert np.isfinite(list(found.values())).all()


def test_a_class_that_does_not_occur_is_left_out_of_the_mean():
    labels, p = predictions(c=2)
    three = np.concatenate([0.9 * p, np.full((len(p), 1), 0.1)], 1)
    found = values(labels, three)
    expected = np.mean([peer.roc_auc_score(labels == k, three[:, k]) for k in range(2)])
    assert found["auc"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda y, p: (y, np.where(np.arange(len(p))[:, None] == 4, np.nan, p)), NumericalError, "row 4"),
        (lambda y, p: (y, p[:, :1]), DataError, "a column per class"),
        (lambda y, p: (y - 1, p), DataError, "labels run from -1"),
        (lambda y, p: (y, np.log(p)), DataError, "sum to 1"),
        (lambda y, p: (y[:0], p[:0]), DataError, "no objects"),
    ],
    ids=["NaN", "columns", "no label", "logits", "empty"],
)
def test_what_cannot_be_scored_is_refused(change, error, words):
    with pytest.raises(error, match=words):
        metrics.score(*change(*predictions(n=20)), ["non", "merger"])


# --- bins, confusion, calibration


def test_bins_share_the_objects_and_name_the_missing():
    labels, p = predictions(n=203)
    redshift = np.r_[np.random.default_rng(0).uniform(0.01, 0.3, 200), np.nan, np.inf, np.nan]
    rows = metrics.by_bin(labels, p, redshift, ["non", "merger"], n_bins=4, n_bootstrap=20)
    assert [row["n"] for row in rows] == [50, 50, 50, 50, 3] and rows[-1]["bin"] == "missing"
    assert all(sum(row["counts"].values()) == row["n"] for row in rows)
    assert rows[0]["high"] == rows[1]["low"]
    first = redshift <= rows[0]["high"]
    assert rows[0]["metrics"]["auc"]["value"] == pytest.approx(values(labels[first], p[first])["auc"], abs=1e-12)


def test_few_values_and_words_have_a_bin_each():
    labels, p = predictions(n=90)
    rows = metrics.by_bin(labels, p, np.tile([91, 95, 99], 30), "ab", n_bootstrap=5)
    assert [row["bin"] for row in rows] == ["91", "95", "99"]
    words = pd.Series(np.tile(["E", "Sa", "Sb", "Sc", "Irr", None], 15))
    rows = metrics.by_bin(labels, p, words, "ab", n_bins=3, n_bootstrap=5)
    assert len(rows) == 5 and rows[3]["bin"] == "2 others" and rows[4]["bin"] == "missing"
    assert sum(row["n"] for row in rows) == 90


def test_close_edges_stay_apart():
    labels, p = predictions(n=100)
    rows = metrics.by_bin(labels, p, 10000 + np.linspace(0, 0.5, 100), "ab", n_bins=4, n_bootstrap=0)
    assert len({row["bin"] for row in rows}) == 4 and all(
        row["bin"].split(" to ")[0] != row["bin"].split(" to ")[1] for row in rows
    )


def test_a_bin_of_one_class_says_so():
    labels, p = predictions(n=60)
    order = np.argsort(labels, kind="stable")
    column = np.empty(60)
    column[order] = np.arange(60)
    rows = metrics.by_bin(labels, p, column, ["non", "merger"], n_bins=6, n_bootstrap=5)
    assert rows[0]["note"] == "non only: no AUC" and np.isnan(rows[0]["metrics"]["auc"]["value"])
    rows = metrics.by_bin(labels, p, np.r_[np.nan, np.zeros(59)], ["non", "merger"], n_bootstrap=5)
    assert rows[-1] == {"bin": "missing", "low": None, "high": None, "n": 1, "counts": rows[-1]["counts"], "metrics": None,
                        "note": "one object: not scored"}  # fmt: skip


def test_confusion_matrix_is_that_of_scikit_learn():
    labels, p = predictions(c=3)
    expected = peer.confusion_matrix(labels, p.argmax(1))
    assert (metrics.confusion_matrix(labels, p.argmax(1), 3) == expected).all()


def test_calibration_curve():
    labels, p = predictions(n=3000, seed=3)
    truth = np.random.default_rng(0).random(3000) < p[:, 1]  # calibrated by construction
    found = metrics.calibration_curve(truth.astype(int), p)
    assert found["n"].sum() == 3000
    inside = (found["low"] <= found["predicted"]) & (found["predicted"] <= found["high"])
    assert inside.mean() >= 0.8
    assert (found["low"] >= -1e-12).all() and (found["high"] <= 1 + 1e-12).all()
    from sklearn.calibration import calibration_curve

    observed, predicted = calibration_curve(truth, p[:, 1], n_bins=10)
    np.testing.assert_allclose(found["observed"], observed, atol=1e-12)
    np.testing.assert_allclose(found["predicted"], predicted, atol=1e-12)


@pytest.mark.slow
def test_coverage_of_the_auc_interval():
    """Two normal classes one standard deviation apart: AUC = Phi(1 / sqrt 2)."""
    from scipy.stats import norm

    true, inside = norm.cdf(1 / np.sqrt(2)), 0
    random = np.random.default_rng(0)
    for trial in range(300):
        labels = (random.random(200) < 0.4).astype(int)
        score = 1 / (1 + np.exp(-(random.normal(size=200) + labels)))
        row = metrics.score(labels, np.c_[1 - score, score], "ab", n_bootstrap=300, seed=trial)["auc"]
        inside += row["low"] <= true <= row["high"]
    assert 0.91 <= inside / 300 <= 0.98
