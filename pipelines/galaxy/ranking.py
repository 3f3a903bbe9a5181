"""How well a score ranks positives above negatives: ROC and precision-recall curves, their areas, and a threshold.

    AUC = P(score of a positive > score of a negative) + P(equal) / 2
    average precision = sum over thresholds of (recall_k - recall_{k-1}) precision_k
Objects of equal score stand or fall together. All take weights [b, n] (see bootstrap.py) and answer for all resamples at
once. Axes: n object, b resample, u distinct score.
"""

from __future__ import annotations

import numpy as np

from .bootstrap import resamples


class Ranking:
    """Objects in order of falling score, equal scores joined.

    Args:
        positive: bool [n].
        score: float [n], higher means more likely positive; finite.
    """

    def __init__(self, positive: np.ndarray, score: np.ndarray):
        self.order = np.argsort(-score, kind="stable")
        falling = score[self.order]
        self.first = np.flatnonzero(np.r_[True, falling[1:] != falling[:-1]]) if len(score) else np.zeros(0, int)
        self.scores = falling[self.first]
        self.positive = np.asarray(positive, bool)[self.order]

    def counts(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weight of positives and of negatives [b, u] at each distinct score, falling."""
        if not len(self.first):
            empty = np.zeros((len(weights), 0))
            return empty, empty
        sorted_weights = weights[:, self.order]
        everyone = np.add.reduceat(sorted_weights, self.first, axis=1)
        positives = np.add.reduceat(sorted_weights * self.positive, self.first, axis=1)
        return positives, everyone - positives

    def auc(self, weights: np.ndarray) -> np.ndarray:
        """[b]; NaN where a resample holds one class only."""
        positives, negatives = self.counts(weights)
        below = negatives.sum(1, keepdims=True) - np.cumsum(negatives, axis=1)
        won = (positives * (below + negatives / 2)).sum(1)
        return _ratio(won, positives.sum(1) * negatives.sum(1))

    def average_precision(self, weights: np.ndarray) -> np.ndarray:
        """[b]; NaN where a resample holds no positive."""
        positives, negatives = self.counts(weights)
        true = np.cumsum(positives, axis=1)
        chosen = true + np.cumsum(negatives, axis=1)
        precision = np.divide(true, chosen, out=np.zeros_like(true), where=chosen > 0)
        return _ratio((positives * precision).sum(1), positives.sum(1))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def _ranked(positive: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cumulative true and false positives [u] at each distinct score [u]."""
    ranking = Ranking(positive, np.asarray(score, np.float64))
    true, false = (np.cumsum(count[0]) for count in ranking.counts(np.ones((1, len(ranking.order)))))
    return true, false, ranking.scores


def roc(positive: np.ndarray, score: np.ndarray) -> dict[str, np.ndarray]:
    """Points of the ROC curve from (0, 0) to (1, 1); NaN where one class is absent.

    Keys: false_positive_rate, true_positive_rate, threshold (positive where score >= threshold; inf at the start).
    """
    true, false, scores = _ranked(positive, score)
    return {
        "false_positive_rate": np.r_[0.0, _share(false)],
        "true_positive_rate": np.r_[0.0, _share(true)],
        "threshold": np.r_[np.inf, scores],
    }


def precision_recall(positive: np.ndarray, score: np.ndarray) -> dict[str, np.ndarray]:
    """Points of the precision-recall curve from recall 0 (precision 1 by convention) to 1; recall is NaN without positives.

    Keys: recall, precision, threshold.
    """
    true, false, scores = _ranked(positive, score)
    return {
        "recall": np.r_[0.0, _share(true)],
        "precision": np.r_[1.0, true / np.maximum(true + false, 1)],
        "threshold": np.r_[np.inf, scores],
    }


def _share(cumulated: np.ndarray) -> np.ndarray:
    total = cumulated[-1] if len(cumulated) else 0.0
    return cumulated / total if total > 0 else np.full(len(cumulated), np.nan)


def bands(
    positive: np.ndarray,
    score: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    n_bootstrap: int = 300,
    n_points: int = 101,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, dict[str, np.ndarray]]:
    """Pointwise bootstrap bands of both curves.

    Returns {"roc": {"x": false positive rate, "low", "high": true positive rate}, "precision_recall": {"x": recall,
    "low", "high": precision}}, each [n_points]; empty dict where one class is absent.
    """
    positive = np.asarray(positive, bool)
    if not positive.any() or positive.all():
        return {}
    ranking, x = Ranking(positive, np.asarray(score, np.float64)), np.linspace(0.0, 1.0, n_points)
    drawn: dict[str, list[np.ndarray]] = {"roc": [], "precision_recall": []}
    for weights in resamples(len(positive), n_bootstrap, seed, groups):
        for positives, negatives in zip(*ranking.counts(weights), strict=True):
            true, false = np.cumsum(positives), np.cumsum(negatives)
            if true[-1] > 0 and false[-1] > 0:
                drawn["roc"].append(_upper(x, np.r_[0.0, false / false[-1]], np.r_[0.0, true / true[-1]]))
                # precision at the first threshold that reaches a recall
                place = np.searchsorted(true / true[-1], np.maximum(x - 1e-9, 1e-9))
                drawn["precision_recall"].append((true / np.maximum(true + false, 1))[np.minimum(place, len(true) - 1)])
    tails = ((1 - confidence) / 2, (1 + confidence) / 2)
    return {
        name: dict(zip(("x", "low", "high"), (x, *np.quantile(curves, tails, axis=0)), strict=True))
        for name, curves in drawn.items()
        if curves
    }


def _upper(x: np.ndarray, run: np.ndarray, rise: np.ndarray) -> np.ndarray:
    """A step curve at x: linear between points, the upper end where it rises without running."""
    last = np.searchsorted(run, x, side="right") - 1
    following = np.minimum(last + 1, len(run) - 1)
    width = np.maximum(run[following] - run[last], 1e-300)
    share = np.where(following > last, (x - run[last]) / width, 0.0)
    return rise[last] + share * (rise[following] - rise[last])


def best_threshold(positive: np.ndarray, score: np.ndarray) -> float:
    """The threshold with the largest F1 of `score >= threshold`, half way to the next lower score.

    0.5 where one class is absent: then no threshold is better than another.
    """
    positive = np.asarray(positive, bool)
    if not positive.any() or positive.all():
        return 0.5
    true, false, scores = _ranked(positive, score)
    f1 = 2 * true / (true + false + positive.sum())
    best = int(np.argmax(f1))
    return float((scores[best] + scores[min(best + 1, len(scores) - 1)]) / 2)
