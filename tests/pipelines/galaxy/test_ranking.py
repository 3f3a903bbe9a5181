"""Areas and curves against scikit-learn, ties and all; weights against repeated objects."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as peer

from sciml.pipelines.galaxy.ranking import Ranking, bands, best_threshold, precision_recall, roc

CASES = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40).filter(
    lambda rows: 0 < sum(positive for positive, _ in rows) < len(rows)
)


def arrays(rows):
    positive, score = map(np.array, zip(*rows, strict=True))
    return positive, score / 6


@given(CASES)
@settings(max_examples=60, deadline=None)
def test_areas_are_those_of_scikit_learn(rows):
    positive, score = arrays(rows)
    one = np.ones((1, len(positive)))
    ranking = Ranking(positive, score)
    assert ranking.auc(one)[0] == pytest.approx(peer.roc_auc_score(positive, score), abs=1e-12)
    assert ranking.average_precision(one)[0] == pytest.approx(peer.average_precision_score(positive, score), abs=1e-12)


@given(CASES, st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_a_weight_is_an_object_repeated(rows, seed):
    positive, score = arrays(rows)
    weights = np.random.default_rng(seed).integers(0, 4, (3, len(positive))).astype(float)
    ranking = Ranking(positive, score)
    for b, w in enumerate(weights):
        many = np.repeat(np.arange(len(w)), w.astype(int))
        both = 0 < positive[many].sum() < len(many)
        auc = ranking.auc(weights)[b]
        assert (
            auc == pytest.approx(peer.roc_auc_score(positive[many], score[many]), abs=1e-12) if both else np.isnan(auc)
        )
        ap = ranking.average_precision(weights)[b]
        if positive[many].any():
            assert ap == pytest.approx(peer.average_precision_score(positive[many], score[many]), abs=1e-12)
        else:
            assert np.isnan(ap)


def test_curves_are_those_of_scikit_learn():
    random = np.random.default_rng(0)
    positive, score = random.random(200) < 0.3, random.integers(0, 30, 200) / 30
    found = roc(positive, score)
    false, true, threshold = peer.roc_curve(positive, score, drop_intermediate=False)
    np.testing.assert_allclose(found["false_positive_rate"], false, atol=1e-12)
    np.testing.assert_allclose(found["true_positive_rate"], true, atol=1e-12)
    np.testing.assert_array_equal(found["threshold"], threshold)
    points = precision_recall(positive, score)
    precision, recall, threshold = peer.precision_recall_curve(positive, score)
    np.testing.assert_allclose(points["precision"][::-1], precision, atol=1e-12)
    np.testing.assert_allclose(points["recall"][::-1], recall, atol=1e-12)
    np.testing.assert_array_equal(points["threshold"][:0:-1], threshold)


def test_bands_surround_the_curves():
    random = np.random.default_rng(2)
    positive = random.random(300) < 0.4
    score = random.normal(size=300) + positive
    found = bands(positive, score, n_bootstrap=200, n_points=21)
    curve = roc(positive, score)
    on_grid = np.interp(found["roc"]["x"], curve["false_positive_rate"], curve["true_positive_rate"])
    inside = (on_grid >= found["roc"]["low"] - 0.02) & (on_grid <= found["roc"]["high"] + 0.02)
    assert inside.all()
    for band in found.values():
        assert (np.diff(band["x"]) > 0).all() and (band["low"] <= band["high"]).all()
        assert band["low"].min() >= 0 and band["high"].max() <= 1 + 1e-12
    # everything found: precision is the share of positives
    assert found["precision_recall"]["low"][-1] < positive.mean() + 0.1


@given(CASES)
@settings(max_examples=40, deadline=None)
def test_no_threshold_has_a_larger_f1(rows):
    positive, score = arrays(rows)
    mine = peer.f1_score(positive, score >= best_threshold(positive, score))
    every = [peer.f1_score(positive, score >= t) for t in np.unique(score)]
    assert mine == pytest.approx(max(every), abs=1e-12)


@pytest.mark.parametrize("positive", [np.zeros(4, bool), np.ones(4, bool)], ids=["no positive", "all positive"])
def test_one_class_has_no_area(positive):
    score, one = np.array([0.1, 0.4, 0.4, 0.9]), np.ones((1, 4))
    assert np.isnan(Ranking(positive, score).auc(one)[0])
    assert best_threshold(positive, score) == 0.5
    assert bands(positive, score) == {}
    assert np.isnan(roc(positive, score)["true_positive_rate"][1:]).any() == (not positive.any())


def test_nothing_to_rank():
    empty = Ranking(np.zeros(0, bool), np.zeros(0))
    assert np.isnan(empty.auc(np.ones((2, 0)))).all()
    assert roc(np.zeros(0, bool), np.zeros(0))["threshold"].tolist() == [np.inf]
