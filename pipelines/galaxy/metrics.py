"""Scores of class probabilities, each with a bootstrap interval: alone, against each other, and in bins of a quantity.

    accuracy, balanced accuracy = mean recall of the classes, F1 = 2 TP / (2 TP + FP + FN)
    log loss = -mean ln p(true class);  Brier = mean (p - y)^2 of the positive class, summed over classes beyond two
    ECE = sum over bins of share |mean predicted - observed|, 15 bins of equal width (Guo et al. 2017, arXiv:1706.04599)
Two classes: AUC, average precision, F1, Brier and ECE are those of the positive class. More: AUC, average precision and F1
are means over the classes, each against the rest; ECE is that of the most likely class. The predicted class is the most
likely one, or with a threshold the positive one where its probability reaches it. A class without objects is left out of
the means; what has no value (one class only) is NaN, and a resample without a value is left out of the interval. ECE is
a sum of absolute values, which noise can only raise: its resamples are moved to have its value as their mean.
Axes: n object, c class, b resample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from sciml.pipelines.errors import DataError, NumericalError

from .bootstrap import resamples, with_interval
from .ranking import Ranking

NAMES = ("auc", "average_precision", "accuracy", "balanced_accuracy", "f1", "log_loss", "brier", "ece")
LOWER_IS_BETTER = ("log_loss", "brier", "ece")
ECE_BINS = 15
_LEAST_IN_BIN = 2


def score(
    labels: np.ndarray,
    probability: np.ndarray,
    classes: Sequence[str],
    *,
    positive: int | None = None,
    threshold: float | None = None,
    groups: np.ndarray | None = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, dict[str, float]]:
    """Every metric as {"value", "low", "high"}.

    Args:
        labels: int64 [n] into classes.
        probability: [n, c], rows summing to 1.
        positive: position of the positive class of two; default the second. Not used beyond two classes.
        threshold: probability from which the positive class of two is predicted; default: the most likely class.
        groups: [n]; whole groups are resampled.

    Raises:
        DataError: shapes or labels that do not fit. NumericalError: probabilities that are not finite.
    """
    scored = _Scored(labels, probability, classes, positive, threshold)
    values, draws = _drawn([scored], groups, n_bootstrap, seed)
    return {name: _bounded(name, values[0][name], draws[0][name], confidence) for name in NAMES}


def compare(
    labels: np.ndarray,
    probabilities: Mapping[str, np.ndarray],
    classes: Sequence[str],
    *,
    positive: int | None = None,
    thresholds: Mapping[str, float | None] | None = None,
    groups: np.ndarray | None = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> list[dict]:
    """Differences between arms on the same objects: one row per pair, in the order of `probabilities`.

    Row: {"arm", "against", "metrics": {name: {"value", "low", "high"}}}; value is arm minus against, and both are scored
    on the same resamples, so that the interval is of the difference and narrower than those of the two scores.
    """
    thresholds = thresholds or {}
    scored = [_Scored(labels, p, classes, positive, thresholds.get(arm)) for arm, p in probabilities.items()]
    values, draws = _drawn(scored, groups, n_bootstrap, seed)
    rows = []
    for (a, arm), (b, against) in combinations(enumerate(probabilities), 2):
        metrics = {
            name: with_interval(
                values[a][name] - values[b][name], draws[a][name] - draws[b][name], confidence, centred=name == "ece"
            )
            for name in NAMES
        }
        rows.append({"arm": arm, "against": against, "metrics": metrics})
    return rows


def by_bin(
    labels: np.ndarray,
    probability: np.ndarray,
    values: np.ndarray | pd.Series,
    classes: Sequence[str],
    *,
    n_bins: int = 5,
    positive: int | None = None,
    threshold: float | None = None,
    groups: np.ndarray | None = None,
    n_bootstrap: int = 300,
    seed: int = 0,
    confidence: float = 0.95,
) -> list[dict]:
    """Scores in bins of a quantity: equal numbers of objects, or one bin per value where there are few values or words.

    Row: {"bin": text, "low", "high" (None for words), "n", "counts": {class: n}, "metrics": as score(), "note"}. Objects
    whose value is missing have a row of their own; a bin of one class has no AUC and its note says so.
    """
    rows = []
    for text, low, high, here in _bins(pd.Series(np.asarray(values)), n_bins):
        own, groups_here = labels[here], None if groups is None else np.asarray(groups)[here]
        counts = {name: int((own == k).sum()) for k, name in enumerate(classes)}
        present = [name for name, count in counts.items() if count]
        note = f"{present[0]} only: no AUC" if len(present) == 1 else ""
        metrics = None
        if here.sum() >= _LEAST_IN_BIN:
            metrics = score(
                own, probability[here], classes, positive=positive, threshold=threshold, groups=groups_here,
                n_bootstrap=n_bootstrap, seed=seed, confidence=confidence,
            )  # fmt: skip
        else:
            note = "one object: not scored"
        row = {"bin": text, "low": low, "high": high, "n": int(here.sum()), "counts": counts}
        rows.append(row | {"metrics": metrics, "note": note})
    return rows


def predict_class(probability: np.ndarray, positive: int | None = None, threshold: float | None = None) -> np.ndarray:
    """Predicted class int64 [n]: the most likely one, or of two the positive one where it reaches the threshold."""
    if threshold is None or probability.shape[1] != 2:
        return probability.argmax(1)
    positive = 1 if positive is None else positive
    return np.where(probability[:, positive] >= threshold, positive, 1 - positive)


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, n_class: int) -> np.ndarray:
    """Number of objects int64 [true class, predicted class]."""
    return np.bincount(labels * n_class + predicted, minlength=n_class**2).reshape(n_class, n_class)


def calibration_curve(
    labels: np.ndarray,
    probability: np.ndarray,
    *,
    positive: int | None = None,
    n_bins: int = 10,
    confidence: float = 0.95,
) -> dict[str, np.ndarray]:
    """Observed share against mean predicted probability in bins of equal width; empty bins are left out.

    Of the positive class of two, else of the most likely class. Keys: predicted, observed, low, high (Wilson 1927), n.
    """
    from scipy.stats import norm

    said, came = _claims(labels, probability, positive)
    place = _places(said, n_bins)
    n = np.bincount(place, minlength=n_bins)
    kept = n > 0
    predicted = np.bincount(place, said, n_bins)[kept] / n[kept]
    observed, n, z = np.bincount(place, came, n_bins)[kept] / n[kept], n[kept], norm.ppf((1 + confidence) / 2)
    middle = (observed + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(observed * (1 - observed) / n + z**2 / (4 * n**2))
    return {"predicted": predicted, "observed": observed, "low": middle - half, "high": middle + half, "n": n}


def _claims(labels: np.ndarray, probability: np.ndarray, positive: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Probability that was claimed [n] and whether it came true [n]."""
    if probability.shape[1] == 2:
        positive = 1 if positive is None else positive
        return np.asarray(probability[:, positive], np.float64), (labels == positive).astype(np.float64)
    return probability.max(1).astype(np.float64), (probability.argmax(1) == labels).astype(np.float64)


def _places(said: np.ndarray, n_bins: int) -> np.ndarray:
    return np.clip((said * n_bins).astype(np.int64), 0, n_bins - 1)


# ---------------------------------------------------------------------------------------------------------------------
# One set of probabilities, all metrics for all resamples
# ---------------------------------------------------------------------------------------------------------------------
class _Scored:
    """What does not change between resamples, computed once."""

    def __init__(self, labels, probability, classes: Sequence[str], positive: int | None, threshold: float | None):
        labels, p = checked(labels, probability, len(classes))
        self.n, n_class = p.shape
        self.positive = (1 if positive is None else positive) if n_class == 2 else None
        truth = labels[:, None] == np.arange(n_class)
        said = predict_class(p, self.positive, threshold)[:, None] == np.arange(n_class)
        self.present = np.flatnonzero(truth.any(0))
        # the classes that AUC, average precision and F1 are of: the positive one, or all that occur
        own = self.present if self.positive is None else np.array([self.positive])
        self.ranked = own if len(self.present) > 1 else own[:0]
        self.rankings = [Ranking(truth[:, k], p[:, k]) for k in self.ranked]
        self.hits, self.truth, self.said = (truth & said).astype(float), truth.astype(float), said.astype(float)
        squares = (p - truth) ** 2
        self.brier = squares.sum(1) if self.positive is None else squares[:, self.positive]
        self.log_loss = -np.log(np.maximum(p[np.arange(self.n), labels], np.finfo(np.float64).eps))
        claimed, came = _claims(labels, p, self.positive)
        self.gaps = (_places(claimed, ECE_BINS)[:, None] == np.arange(ECE_BINS)) * (claimed - came)[:, None]

    def metrics(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """[b] each."""
        total = weights.sum(1)
        hits, truth, said = weights @ self.hits, weights @ self.truth, weights @ self.said
        with np.errstate(invalid="ignore", divide="ignore"):
            recall, f1 = hits / truth, 2 * hits / (truth + said)
        nothing = np.full(len(weights), np.nan)
        of_class = lambda values: np.mean(values, axis=0) if len(values) else nothing  # noqa: E731
        return {
            "auc": of_class([ranking.auc(weights) for ranking in self.rankings]),
            "average_precision": of_class([ranking.average_precision(weights) for ranking in self.rankings]),
            "accuracy": hits.sum(1) / total,
            "balanced_accuracy": of_class(recall[:, self.present].T) if len(self.present) > 1 else nothing,
            "f1": of_class(f1[:, self.ranked].T),
            "log_loss": weights @ self.log_loss / total,
            "brier": weights @ self.brier / total,
            "ece": np.abs(weights @ self.gaps).sum(1) / total,
        }


def checked(labels: np.ndarray, probability: np.ndarray, n_class: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels int64 [n] and probabilities float64 [n, c], or an error that names what is wrong."""
    labels, p = np.asarray(labels), np.asarray(probability, np.float64)
    if p.ndim != 2 or p.shape != (len(labels), n_class):
        raise DataError(f"probabilities have shape {p.shape}; {(len(labels), n_class)} is needed: a column per class")
    if not len(labels):
        raise DataError("no objects to score", hint="is the test part of the split empty?")
    if labels.min() < 0 or labels.max() >= n_class:
        raise DataError(f"labels run from {labels.min()} to {labels.max()}; 0 to {n_class - 1} is needed")
    wrong = np.flatnonzero(~np.isfinite(p).all(1))
    if len(wrong):
        shown = ", ".join(map(str, wrong[:5]))
        raise NumericalError(
            f"{len(wrong)} of {len(p)} predictions are not finite (row {shown}): they cannot be scored"
        )
    if np.abs(p.sum(1) - 1).max() > 1e-3 or p.min() < -1e-6:
        raise DataError("probabilities of an object must be at least 0 and sum to 1", hint="are these logits?")
    return labels.astype(np.int64), p


def _bounded(name: str, value: float, draws: np.ndarray, confidence: float) -> dict[str, float]:
    found = with_interval(value, draws, confidence, centred=name == "ece")
    return found | {"low": max(found["low"], 0.0)} if name == "ece" else found


def _drawn(scored: Sequence[_Scored], groups, n_bootstrap: int, seed: int) -> tuple[list[dict], list[dict]]:
    """Values, and draws [b] on shared resamples, of every set of probabilities."""
    one = np.ones((1, scored[0].n))
    values = [{name: float(found[0]) for name, found in s.metrics(one).items()} for s in scored]
    blocks: list[list[dict]] = [[] for _ in scored]
    for weights in resamples(scored[0].n, n_bootstrap, seed, groups):
        for found, s in zip(blocks, scored, strict=True):
            found.append(s.metrics(weights))
    draws = [{name: np.concatenate([b[name] for b in found] or [np.zeros(0)]) for name in NAMES} for found in blocks]
    return values, draws


def _bins(values: pd.Series, n_bins: int) -> list[tuple[str, float | None, float | None, np.ndarray]]:
    """(text, low, high, bool [n]) of every bin that holds objects."""
    gone = values.isna().to_numpy()
    numeric = values.dtype.kind in "iufb"
    if numeric:
        number = values.to_numpy(np.float64)
        gone = gone | ~np.isfinite(number)
    found: list[tuple[str, float | None, float | None, np.ndarray]] = []
    kinds = pd.unique(values[~gone])
    if not numeric:
        often = values[~gone].astype(str).value_counts(sort=True).index
        text = values.astype(str).to_numpy(object)
        found = [(name, None, None, (text == name) & ~gone) for name in often[:n_bins]]
        rest = ~gone & ~np.isin(text.astype(str), np.asarray(often[:n_bins], str))
        found.append((f"{len(often) - n_bins} others", None, None, rest))
    elif len(kinds) <= n_bins:
        found = [(f"{v:g}", float(v), float(v), number == v) for v in np.sort(kinds.astype(np.float64))]
    else:
        edges = np.unique(np.quantile(number[~gone], np.linspace(0, 1, n_bins + 1)))
        texts = _told_apart(edges)
        place = np.clip(np.searchsorted(edges, np.where(gone, edges[0], number), side="right") - 1, 0, len(edges) - 2)
        for k, (low, high) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
            found.append((f"{texts[k]} to {texts[k + 1]}", float(low), float(high), (place == k) & ~gone))
    found.append(("missing", None, None, gone))
    return [row for row in found if row[3].any()]


def _told_apart(edges: np.ndarray) -> list[str]:
    """The edges with the fewest digits, three or more, that tell them apart."""
    for digits in range(3, 17):
        texts = [f"{edge:.{digits}g}" for edge in edges]
        if len(set(texts)) == len(texts):
            break
    return texts
