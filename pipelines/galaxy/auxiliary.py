"""What a model also learns to tell beside its label: vote fractions and other columns known for the training objects.

With few labels the answers to related questions teach an encoder what to look at (multi-task learning, Caruana 1997; all questions of
Galaxy Zoo at once, Walmsley et al. 2022, arXiv:2110.12735). They are never an input, and nothing needs them to predict.

    loss of an object = label's loss + mean over its known targets of -(t log s(z) + (1 - t) log(1 - s(z)))

t lies in 0..1: a fraction as it is, any other quantity as the share of training objects below it.

Axes: n object, b of a batch, a target.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from sciml.pipelines.errors import DataError, suggest


def targets(columns: pd.DataFrame, names: tuple[str, ...], train: np.ndarray) -> np.ndarray:
    """float32 [n, a] in 0..1, NaN where a cell is missing; other quantities are ranked among the rows `train`.

    Raises DataError for a column that is not there, holds text, or says nothing about the training objects.
    """
    found = []
    for name in names:
        if name not in columns:
            raise DataError(f'--auxiliary "{name}": no such column beside the inputs; {suggest(name, list(columns))}')
        cells = columns[name]
        if cells.dtype.kind not in "iufb":
            raise DataError(f'--auxiliary "{name}": it holds text such as "{cells.iloc[0]}"; numbers are needed')
        values = cells.to_numpy(np.float64, copy=True)
        values[~np.isfinite(values)] = np.nan
        known = np.sort(values[train][np.isfinite(values[train])])
        if not len(known) or known[0] == known[-1]:
            raise DataError(f'--auxiliary "{name}": it says nothing, all training objects have the same value or none')
        found.append(_shares(values, known))
    return np.stack(found, 1).astype(np.float32)


def _shares(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fractions as they are; other values as the share of `known`, sorted, below them, ties at their middle."""
    if known[0] >= 0 and known[-1] <= 1:
        return np.clip(values, 0, 1)
    shares = (np.searchsorted(known, values, "left") + np.searchsorted(known, values, "right")) / (2 * len(known))
    return np.where(np.isnan(values), np.nan, shares)


def auxiliary_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Loss [b] of logits [b, a] against shares [b, a], mean over those known; 0 for an object with none."""
    known = ~torch.isnan(wanted)
    each = F.binary_cross_entropy_with_logits(logits.float(), wanted.nan_to_num(0.5), reduction="none")
    return (each * known).sum(1) / known.sum(1).clamp_min(1)
