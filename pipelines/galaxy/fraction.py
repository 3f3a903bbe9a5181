"""The share of each class in a sample whose classes are not known, corrected for the mistakes of the model.

Counting predicted mergers is biased where mergers are rarer or commoner than in the labelled sample: false positives
scale with the rest. Both corrections hold where galaxies of one class look alike in both samples (prior shift).
    confusion: q = pi C, with C[true, predicted] of labelled objects and q the shares predicted; of two classes
               pi = (q + specificity - 1) / (sensitivity + specificity - 1)            (Rogan & Gladen 1978)
    em: pi_k <- mean_n [p_nk pi_k / a_k / sum_j p_nj pi_j / a_j]                        (Saerens et al. 2002)
where a is the prior that the probabilities p imply. After class weights or balanced sampling a is not the share of the
classes in the labelled sample, so it is measured: a_k = s_k / e_k, with s the shares and e the factors for which
p_nk e_k / sum_j p_nj e_j has mean s (bias-corrected calibration, Alexandari et al. 2020, arXiv:1901.06852).
Intervals: bootstrap of the labelled and of the target sample together. Axes: n object, b resample, c class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from .bootstrap import resamples, with_interval
from .metrics import checked, predict_class

_TOLERANCE = 1e-7  # of a share
_MOST_ROUNDS = 200
_FLOOR = 1e-12  # of a share
_WEAK = 0.1  # sensitivity + specificity - 1 below which the correction amplifies noise more than tenfold


def corrected(probability: np.ndarray, prior: np.ndarray, new_prior: np.ndarray) -> np.ndarray:
    """Probabilities [n, c] for a population of other class shares; prior: those the probabilities imply."""
    old, new = np.asarray(prior, np.float64), np.asarray(new_prior, np.float64)
    if (old <= 0).any() or (new < 0).any() or not new.sum() > 0:
        raise ValueError(f"priors {old} and {new}: shares must be positive")
    raised = np.asarray(probability, np.float64) * (new / old)
    return raised / np.maximum(raised.sum(1, keepdims=True), 1e-300)


def implied_prior(labels: np.ndarray, probability: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Class shares that the probabilities take for granted, [c], or [b, c] for weights [b, n].

    The share of the classes among `labels` where the probabilities are calibrated on them. NaN where a class is absent.
    """
    labels, p = checked(labels, probability, np.shape(probability)[1])
    p = np.maximum(p, _FLOOR)
    w = np.ones((1, len(p))) if weights is None else weights
    count = w @ (labels[:, None] == np.arange(p.shape[1]))
    total = w.sum(1, keepdims=True)

    def step(log_e: np.ndarray) -> np.ndarray:
        e = np.exp(log_e)
        expected = e * ((w / (e @ p.T)) @ p)
        new = log_e + np.log(np.maximum(count, _FLOOR) / expected)
        return new - new[:, :1]

    log_e = _fixed_point(step, np.zeros((len(w), p.shape[1])))
    a = count / total * np.exp(-log_e)
    a /= a.sum(1, keepdims=True)
    a[(count == 0).any(1)] = np.nan
    return a[0] if weights is None else a


def shifted_prior(probability: np.ndarray, prior: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Most likely class shares of an unlabelled sample, [c], or [b, c] for weights [b, n] (and prior [c] or [b, c])."""
    p = np.maximum(np.asarray(probability, np.float64), _FLOOR)
    w = np.ones((1, len(p))) if weights is None else weights
    prior = np.broadcast_to(np.asarray(prior, np.float64), (len(w), p.shape[1]))
    known = np.isfinite(prior).all(1)
    a, total = np.where(known[:, None], prior, 1.0), w.sum(1, keepdims=True)

    def step(log_pi: np.ndarray) -> np.ndarray:
        u = np.exp(log_pi) / a
        return np.log(np.maximum(u * ((w / (u @ p.T)) @ p) / total, _FLOOR))

    pi = np.exp(_fixed_point(step, np.log(np.full_like(a, 1 / p.shape[1]))))
    pi /= pi.sum(1, keepdims=True)
    pi[~known] = np.nan
    return pi[0] if weights is None else pi


def _fixed_point(step: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """The fixed point of an EM-like step on logarithms [b, c], by squared extrapolation (Varadhan & Roland 2008)."""
    for _ in range(_MOST_ROUNDS):
        one = step(x)
        two = step(one)
        r = one - x
        v = (two - one) - r
        length = np.linalg.norm(r, axis=1, keepdims=True) / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-300)
        length = np.clip(length, 1.0, 32.0)
        new = step(np.clip(x + 2 * length * r + length**2 * v, np.log(_FLOOR), -np.log(_FLOOR)))
        moved = np.abs(np.exp(new) - np.exp(x)).max() if len(x) else 0.0
        x = new
        if moved < _TOLERANCE:
            break
    return x


def confusion_prior(
    labels: np.ndarray,
    predicted: np.ndarray,
    target_predicted: np.ndarray,
    n_class: int,
    weights: np.ndarray | None = None,
    target_weights: np.ndarray | None = None,
) -> np.ndarray:
    """Class shares that explain the predicted classes of an unlabelled sample, [c], or [b, c] for weights.

    Shares outside 0..1 are cut. NaN where a class is absent from `labels` or the confusion matrix cannot be inverted.
    """
    w = np.ones((1, len(labels))) if weights is None else weights
    v = np.ones((1, len(target_predicted))) if target_weights is None else target_weights
    pair = np.asarray(labels) * n_class + predicted
    counts = (w @ (pair[:, None] == np.arange(n_class**2))).reshape(-1, n_class, n_class)
    support = counts.sum(2, keepdims=True)
    rates = counts / np.maximum(support, 1e-300)
    q = v @ (np.asarray(target_predicted)[:, None] == np.arange(n_class)) / v.sum(1, keepdims=True)
    solvable = (support[..., 0] > 0).all(1) & (np.abs(np.linalg.det(rates)) > 1e-9)
    pi = np.full((len(w), n_class), np.nan)
    if solvable.any():
        across = rates[solvable].transpose(0, 2, 1)
        pi[solvable] = np.clip(np.linalg.solve(across, q[solvable, :, None])[..., 0], 0.0, 1.0)
        pi[solvable] /= pi[solvable].sum(1, keepdims=True)
    return pi[0] if weights is None and target_weights is None else pi


def estimate(
    labels: np.ndarray,
    probability: np.ndarray,
    target: np.ndarray,
    classes: Sequence[str],
    *,
    positive: int | None = None,
    threshold: float | None = None,
    target_labels: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    target_groups: np.ndarray | None = None,
    n_bootstrap: int = 500,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict:
    """Class shares of a target sample, three ways, each as {"value", "low", "high"}.

    Args:
        labels, probability: int64 [n], [n, c] of held-out labelled objects, calibrated, none of them trained on.
        target: probabilities [m, c] of the sample whose shares are asked for.
        threshold: as in metrics.score; default: the most likely class is counted.
        target_labels: int64 [m], where they are known, for the true share beside the estimates.

    Returns:
        {"classes", "n": {"labelled", "target"}, "shares": {class: {"counted", "confusion", "em": intervals, "labelled",
        "implied_prior": share, "truth": share or None}}, "sensitivity", "specificity" (of two classes, else None),
        "notes": [text]}.
    """
    labels, p = checked(labels, probability, len(classes))
    _, q = checked(np.zeros(len(target), np.int64), target, len(classes))
    positive = (1 if positive is None else positive) if len(classes) == 2 else None
    said, target_said = predict_class(p, positive, threshold), predict_class(q, positive, threshold)
    shares = partial(_shares, labels, p, said, q, target_said)
    values = shares(np.ones((1, len(p))), np.ones((1, len(q))))
    most = max(1, 2_000_000 // max(len(p), len(q)))  # resamples in a block, the same in both samples
    both = zip(
        resamples(len(p), n_bootstrap, seed, groups, most * len(p)),
        resamples(len(q), n_bootstrap, seed + 1, target_groups, most * len(q)),
        strict=True,
    )
    blocks = [shares(w, v) for w, v in both]
    draws = {how: np.concatenate([block[how] for block in blocks] or [np.zeros((0, len(classes)))]) for how in values}
    prior, rows = implied_prior(labels, p), {}
    for k, name in enumerate(classes):
        row = {how: with_interval(float(values[how][0, k]), draws[how][:, k], confidence) for how in values}
        row |= {"labelled": float((labels == k).mean()), "implied_prior": float(prior[k])}
        rows[name] = row | {"truth": None if target_labels is None else float((np.asarray(target_labels) == k).mean())}
    rates = _rates(labels, said, positive)
    return {
        "classes": list(classes),
        "n": {"labelled": len(p), "target": len(q)},
        "shares": rows,
        "sensitivity": rates[0],
        "specificity": rates[1],
        "notes": _notes(labels, classes, rates),
    }


def _shares(labels, p, said, q, target_said, w: np.ndarray, v: np.ndarray) -> dict[str, np.ndarray]:
    """Class shares [b, c] by each way, for weights w of the labelled and v of the target objects."""
    c = p.shape[1]
    return {
        "counted": v @ (target_said[:, None] == np.arange(c)) / v.sum(1, keepdims=True),
        "confusion": confusion_prior(labels, said, target_said, c, w, v),
        "em": shifted_prior(q, implied_prior(labels, p, w), v),
    }


def _rates(labels: np.ndarray, said: np.ndarray, positive: int | None) -> tuple[float | None, float | None]:
    if positive is None:
        return None, None
    is_one = labels == positive
    if is_one.all() or not is_one.any():
        return None, None
    return float((said[is_one] == positive).mean()), float((said[~is_one] != positive).mean())


def _notes(labels: np.ndarray, classes: Sequence[str], rates: tuple[float | None, float | None]) -> list[str]:
    notes = [
        f'no labelled object is "{name}": no correction' for k, name in enumerate(classes) if not (labels == k).any()
    ]
    if rates[0] is not None and rates[0] + rates[1] - 1 < _WEAK:
        notes.append("the model hardly tells the classes apart: the confusion estimate is mostly noise")
    return notes
