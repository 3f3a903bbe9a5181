"""Losses of a batch: cross-entropy and focal loss with label smoothing and class weights.

    cross_entropy  -sum_c t_c log p_c
    focal          -sum_c t_c (1 - p_c)^gamma log p_c        (Lin et al. 2017, arXiv:1708.02002)

t is the label smoothed by e over C classes: (1 - e) onehot + e / C (Szegedy et al. 2016). Weights multiply the loss of an object
by the weight of its class; the sum is divided by the sum of weights of the batch of all processes.

Axes: b object, c class.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def object_loss(
    logits: Tensor, labels: Tensor, kind: str = "cross_entropy", *, smoothing: float = 0.0, gamma: float = 2.0
) -> Tensor:
    """Loss [b] of logits [b, c] against int64 labels [b]."""
    log_p = F.log_softmax(logits.float(), dim=1)
    target = torch.full_like(log_p, smoothing / logits.shape[1])
    target.scatter_(1, labels[:, None], 1.0 - smoothing + smoothing / logits.shape[1])
    if kind == "focal":
        # 1 - p from the other classes: exact where p is nearly 1
        target = target * (-torch.expm1(log_p)).clamp_min(1e-12) ** gamma
    elif kind != "cross_entropy":
        raise ValueError(f'no loss "{kind}"')
    return -(target * log_p).sum(1)


def log_shares(labels: np.ndarray, n_classes: int) -> Tensor:
    """log(C share_c) [c], 0 for a class without objects: subtracted from the logits where training shows classes equally often.

    What is learnt from balanced classes is log p - log share + const (Menon et al. 2021, arXiv:2007.07314), so that the
    logits themselves stay those of the objects as they are.
    """
    counts = np.bincount(labels, minlength=n_classes)
    shares = counts * np.count_nonzero(counts) / max(len(labels), 1)
    return torch.from_numpy(np.log(np.where(counts > 0, shares, 1.0)))


def class_weights(labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Weights [c] inversely proportional to the counts of the classes, 1 on average over the objects."""
    counts = np.bincount(labels, minlength=n_classes)
    weights = len(labels) / (np.maximum(counts, 1) * np.count_nonzero(counts))
    return np.where(counts > 0, weights, 0.0)
