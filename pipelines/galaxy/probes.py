"""How well some columns predict the label, out of fold, and whether that could be chance.

Score: the area under the ROC curve within each test fold, averaged over folds by their number of pairs; for more than two
classes the mean over classes of one against the rest (Hand & Till 2001, section 2, call it the macro AUC). The better of
gradient boosting (sees non-linear and missing) and logistic regression (sees weak trends in few objects) counts, and the
same maximum is taken under permutation. Significance: labels are permuted within each test fold while the predictions
stay, whole groups at a time.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata

MOST_OBJECTS = 20_000  # a larger catalog is probed on a random part
_MOST_LEVELS = 50


@dataclass(frozen=True, eq=False)
class Score:
    """auc out of fold, p its significance, accuracy of the predicted classes, majority: share of the largest class;
    pairs: AUC of each pair of classes; probability [n, class] out of fold."""

    auc: float
    p: float
    accuracy: float
    majority: float
    pairs: dict[tuple[int, int], float]
    probability: np.ndarray

    @property
    def best_pair(self) -> tuple[tuple[int, int], float]:
        """The two classes told apart best."""
        return max(self.pairs.items(), key=lambda item: item[1])


def numeric(frame: pd.DataFrame) -> np.ndarray:
    """Columns as float64 [n, feature] with NaN; words and codes become one column per value."""
    parts = []
    for name in frame.columns:
        cells = frame[name]
        if cells.dtype.kind in "iufb":
            parts.append(cells.to_numpy(np.float64)[:, None])
            continue
        codes, levels = pd.factorize(cells.astype(object).where(cells.notna(), ""), sort=True)
        if len(levels) <= _MOST_LEVELS:
            parts.append((codes[:, None] == np.arange(len(levels))).astype(np.float64))
    return np.concatenate(parts, axis=1) if parts else np.empty((len(frame), 0))


def probe(
    features: np.ndarray, labels: np.ndarray, fold: np.ndarray, shuffled: np.ndarray, *, thorough: bool = False
) -> Score | None:
    """Score of numeric features [n, feature] with NaN; None where every feature is constant or missing.

    fold: int [n]. shuffled: labels under permutation [permutation, n], see `shuffles`. thorough: more and larger trees.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        spread = np.nanmax(features, axis=0, initial=-np.inf) - np.nanmin(features, axis=0, initial=np.inf)
    missing = np.isnan(features)
    useful = (spread > 0) | (missing.any(axis=0) & ~missing.all(axis=0))
    if not useful.any():
        return None
    large = thorough and len(features) > 1000  # a small sample feeds no large trees
    boosting = partial(_boosting, trees=100, leaves=31) if large else _boosting
    return _scored([boosting, _logistic], features[:, useful], labels, fold, shuffled)


def probe_text(texts: np.ndarray, labels: np.ndarray, fold: np.ndarray, shuffled: np.ndarray) -> Score | None:
    """Score of text [n], such as identifiers and class strings, through the pieces of one to four characters in it."""
    if len(set(texts)) < 2:
        return None
    return _scored([_characters], np.asarray(texts, dtype=object), labels, fold, shuffled)


def probe_column(cells: pd.Series, labels: np.ndarray, fold: np.ndarray, shuffled: np.ndarray) -> Score | None:
    """Score of one column through class shares in its quantile bins or values: cheap enough for hundreds of columns."""
    if cells.dtype.kind in "iufb":
        values = cells.to_numpy(np.float64)
        known = values[np.isfinite(values)]
        if len(np.unique(known)) + (len(known) < len(values)) < 2:
            return None
        return _scored([_bins], values, labels, fold, shuffled)
    text = cells.astype(object).where(cells.notna(), "").astype(str).to_numpy(object)
    if len(set(text)) < 2:
        return None
    scores = [probe_text(text, labels, fold, shuffled)]
    if len(set(text)) <= _MOST_LEVELS:
        scores.append(_scored([_values], pd.factorize(text)[0], labels, fold, shuffled))
    return max((score for score in scores if score is not None), key=lambda score: score.auc, default=None)


# --- models: train features, train classes, test features, number of classes -> probability [test, class]


def _boosting(
    x: np.ndarray, y: np.ndarray, new: np.ndarray, n_class: int, trees: int = 60, leaves: int = 12
) -> np.ndarray:
    from sklearn.ensemble import HistGradientBoostingClassifier

    leaf = int(np.clip(len(x) // 40, 3, 20))
    model = HistGradientBoostingClassifier(
        max_iter=trees, max_leaf_nodes=leaves, min_samples_leaf=leaf, learning_rate=0.1, l2_regularization=1.0, early_stopping=False,
        random_state=0,
    ).fit(x, y)  # fmt: skip
    return _spread(model.predict_proba(new), model.classes_, n_class)


def _logistic(x: np.ndarray, y: np.ndarray, new: np.ndarray, n_class: int) -> np.ndarray:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # statistics come from the training folds alone, as they must in the model that is audited
    model = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=1.0, max_iter=300),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(np.clip(x, -1e30, 1e30), y)
    return _spread(model.predict_proba(np.clip(new, -1e30, 1e30)), model.classes_, n_class)


def _characters(x: np.ndarray, y: np.ndarray, new: np.ndarray, n_class: int) -> np.ndarray:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    pieces = CountVectorizer(analyzer="char", ngram_range=(1, 4), max_features=3000, lowercase=False, binary=True)
    try:
        seen = pieces.fit_transform(x)
    except ValueError:  # nothing but empty text in the training folds
        return np.tile(np.bincount(y, minlength=n_class) / len(y), (len(new), 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=1.0, max_iter=200).fit(seen, y)
    return _spread(model.predict_proba(pieces.transform(new)), model.classes_, n_class)


def _bins(x: np.ndarray, y: np.ndarray, new: np.ndarray, n_class: int) -> np.ndarray:
    known = np.unique(x[np.isfinite(x)])
    if len(known) > 32:
        known = np.unique(np.quantile(x[np.isfinite(x)], np.linspace(0, 1, 33)[1:-1]))
    place = lambda values: np.where(np.isfinite(values), np.searchsorted(known, values), len(known) + 1)  # noqa: E731
    return _values(place(x), y, place(new), n_class)


def _values(x: np.ndarray, y: np.ndarray, new: np.ndarray, n_class: int) -> np.ndarray:
    """Class shares among training objects of the same value, drawn towards the overall shares by two objects."""
    prior = np.bincount(y, minlength=n_class) / len(y)
    counts = np.zeros((int(max(x.max(), new.max())) + 1, n_class))
    np.add.at(counts, (x, y), 1)
    return ((counts + 2 * prior) / (counts.sum(1, keepdims=True) + 2))[new]


def _spread(probability: np.ndarray, classes: np.ndarray, n_class: int) -> np.ndarray:
    """Columns for all classes; those absent from the training folds get 0."""
    full = np.zeros((len(probability), n_class))
    full[:, classes] = probability
    return full


# --- scores


def _scored(models: list, features, labels: np.ndarray, fold: np.ndarray, shuffled: np.ndarray) -> Score:
    n_class = int(labels.max()) + 1
    probability = [np.zeros((len(labels), n_class)) for _ in models]
    for k in np.unique(fold):
        train, test = fold != k, fold == k
        for model, out in zip(models, probability, strict=True):
            out[test] = model(features[train], labels[train], features[test], n_class)
    ranks = [_ranks(p, fold) for p in probability]
    aucs = [_auc(r, labels[None], fold, n_class)[0] for r in ranks]
    best = int(np.argmax(aucs))
    chance = np.max([_auc(r, shuffled, fold, n_class) for r in ranks], axis=0)
    chosen = probability[best]
    pairs = {
        (a, b): _pair_auc(chosen, labels, fold, a, b) for a in range(n_class) for b in range(a + 1, n_class)
        if (labels == a).any() and (labels == b).any()
    }  # fmt: skip
    majority = np.bincount(labels).max() / len(labels)
    accuracy = float((chosen.argmax(1) == labels).mean())
    p = _significance(aucs[best], chance)
    return Score(float(aucs[best]), p, accuracy, float(majority), pairs, chosen)


def _significance(auc: float, chance: np.ndarray) -> float:
    """Share of permutations that score as much; where fewer than ten do, the tail of a normal distribution through them.

    The area under permutation is nearly normal (Mann & Whitney 1947); counting alone would end at one in the number of
    permutations, which is not enough where many probes are made.
    """
    above = int((chance >= auc - 1e-12).sum())
    counted = (1 + above) / (1 + len(chance))
    return counted if above >= 10 else min(counted, float(norm.sf(auc, chance.mean(), chance.std() + 1e-12)))


def _ranks(probability: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Rank of each object's probability within its fold, by class."""
    ranks = np.empty_like(probability)
    for k in np.unique(fold):
        ranks[fold == k] = rankdata(probability[fold == k], axis=0)
    return ranks


def _auc(ranks: np.ndarray, labels: np.ndarray, fold: np.ndarray, n_class: int) -> np.ndarray:
    """Macro AUC [b] of label vectors [b, n] from ranks [n, class]; two classes need only the second."""
    classes = [1] if n_class == 2 else range(n_class)
    total = np.zeros(len(labels))
    counted = np.zeros(len(labels))
    for c in classes:
        won, pairs = np.zeros(len(labels)), np.zeros(len(labels))
        for k in np.unique(fold):
            here = fold == k
            positive = labels[:, here] == c
            n1 = positive.sum(1)
            n0 = positive.shape[1] - n1
            won += positive @ ranks[here, c] - n1 * (n1 + 1) / 2
            pairs += n1 * n0
        total += np.where(pairs > 0, won / np.maximum(pairs, 1), 0.0)
        counted += pairs > 0
    return np.where(counted > 0, total / np.maximum(counted, 1), 0.5)


def _pair_auc(probability: np.ndarray, labels: np.ndarray, fold: np.ndarray, a: int, b: int) -> float:
    both = (labels == a) | (labels == b)
    share = probability[both][:, b] / np.maximum(probability[both][:, a] + probability[both][:, b], 1e-300)
    ranks = _ranks(np.stack([1 - share, share], axis=1), fold[both])
    return float(_auc(ranks, (labels[both] == b).astype(int)[None], fold[both], 2)[0])


def shuffles(
    labels: np.ndarray, fold: np.ndarray, groups: np.ndarray | None = None, permutations: int = 500, seed: int = 0
) -> np.ndarray:
    """Labels int16 [permutation, n] shuffled within each fold; the objects of one group keep their labels together and
    change places with another group of the same size."""
    random = np.random.default_rng(seed)
    out = np.tile(labels.astype(np.int16), (permutations, 1))
    names = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
    for k in np.unique(fold):
        here = np.flatnonzero(fold == k)
        here = here[np.argsort(names[here], kind="stable")]
        _, start, size = np.unique(names[here], return_index=True, return_counts=True)
        for count in np.unique(size):
            blocks = here[start[size == count][:, None] + np.arange(count)]  # [group, member]
            order = random.permuted(np.tile(np.arange(len(blocks)), (permutations, 1)), axis=1)
            out[:, blocks] = labels[blocks][order]
    return out
