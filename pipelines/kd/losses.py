"""Losses of the probabilistic heads and scores of their forecasts.

Gaussian (mean m, deviation s): negative log-likelihood; quantiles: pinball loss, rho_a(u) = max(a u, (a - 1) u) with u = y - q_a.
CRPS of a Gaussian in closed form (Gneiting et al. 2005, eq. 5); of quantiles as twice the mean pinball loss over levels.
Shapes: outputs [k, v, q, b], y and weight [k, v, b]; a weight of 0 masks a missing target.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

FLOOR = (
    1e-3  # least standard deviation, in units of the target's: a perfect teacher must not make the likelihood infinite
)


def deviation(raw: Tensor) -> Tensor:
    """Positive standard deviation from the head's raw output."""
    return F.softplus(raw) + FLOOR


def head_loss(
    head: str, out: Tensor, y: Tensor, weight: Tensor, total: Tensor | float, quantiles: tuple[float, ...] = ()
) -> Tensor:
    """Sum of weight x loss over all elements, divided by `total`.

    `total` is the batch's sum of weights over *all* processes, so that shards of a batch add up to the whole batch.
    """
    if head == "point":
        return (weight * (out[:, :, 0] - y) ** 2).sum() / total
    if head == "gaussian":
        sigma = deviation(out[:, :, 1])
        return (weight * (torch.log(sigma) + 0.5 * ((y - out[:, :, 0]) / sigma) ** 2)).sum() / total
    levels = out.new_tensor(quantiles).view(1, 1, -1, 1)
    u = y.unsqueeze(2) - out
    return (weight.unsqueeze(2) * torch.maximum(levels * u, (levels - 1) * u)).mean(2).sum() / total


def crps(head: str, out: Tensor, y: Tensor, quantiles: tuple[float, ...] = ()) -> Tensor:
    """Continuous ranked probability score [k, v, b] in the unit of y; the absolute error for a point forecast."""
    if head == "point":
        return (out[:, :, 0] - y).abs()
    if head == "gaussian":
        sigma = deviation(out[:, :, 1])
        z = (y - out[:, :, 0]) / sigma
        density = torch.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
        return sigma * (z * torch.erf(z / math.sqrt(2)) + 2 * density - 1 / math.sqrt(math.pi))
    levels = out.new_tensor(quantiles).view(1, 1, -1, 1)
    u = y.unsqueeze(2) - out.sort(2).values
    return 2 * torch.maximum(levels * u, (levels - 1) * u).mean(2)
