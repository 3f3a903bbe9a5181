"""One model trained by several processes: batch statistics over all of their objects.

A batch norm that sees only its own share would make the result depend on the number of processes.

Axes: b object, c channel, y x pixels.
"""

from __future__ import annotations

import types

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class _SumOverProcesses(torch.autograd.Function):
    """Sum of a tensor over the processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        total = grad.contiguous().clone()
        dist.all_reduce(total)
        return total


def share_statistics(model: nn.Module) -> nn.Module:
    """Let every batch norm of the model normalise by the statistics of all processes; returns the model, its names unchanged."""
    for module in model.modules():
        if isinstance(module, _BatchNorm) and not isinstance(module, nn.SyncBatchNorm):
            module.forward = types.MethodType(_shared_forward, module)
    return model


def _shared_forward(self: _BatchNorm, x: Tensor) -> Tensor:
    if self.training:
        mean, variance, count = _moments(x)
        _remember(self, mean, variance, count)
    else:
        mean, variance = self.running_mean, self.running_var
    shape = (1, -1, *(1,) * (x.ndim - 2))
    y = (x - mean.view(shape)) * torch.rsqrt(variance.view(shape) + self.eps)
    if self.affine:
        y = y * self.weight.view(shape) + self.bias.view(shape)
    # timm's norms carry their activation
    for name in ("drop", "act"):
        if isinstance(getattr(self, name, None), nn.Module):
            y = getattr(self, name)(y)
    return y


def _moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    axes = [0, *range(2, x.ndim)]
    own = x.new_tensor(float(x.numel() // x.shape[1]))
    count = _SumOverProcesses.apply(own)
    mean = _SumOverProcesses.apply(x.sum(axes)) / count
    shape = (1, -1, *(1,) * (x.ndim - 2))
    variance = _SumOverProcesses.apply(((x - mean.view(shape)) ** 2).sum(axes)) / count
    return mean, variance, count


@torch.no_grad()
def _remember(norm: _BatchNorm, mean: Tensor, variance: Tensor, count: Tensor) -> None:
    if not norm.track_running_stats:
        return
    norm.num_batches_tracked.add_(1)
    momentum = norm.momentum if norm.momentum is not None else 1.0 / float(norm.num_batches_tracked)
    norm.running_mean.lerp_(mean, momentum)
    norm.running_var.lerp_(variance * count / (count - 1).clamp_min(1), momentum)
