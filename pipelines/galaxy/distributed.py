"""One model trained by several processes: batch statistics over all of their objects, and random numbers as for one process.

A batch norm that sees only its own share, or a dropout that draws for its own share, would make the result depend on the number of
processes.

Axes: b object, c channel, y x pixels.
"""

from __future__ import annotations

import types

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode


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


class WholeBatchDraws(TorchFunctionMode):
    """While it is in force, what a network draws at random for its share of a batch is that share of what it would draw for all.

    Dropout (also of attention), `torch.rand` and `Tensor.bernoulli_`, whose first axis counts the objects, or objects and what each
    has of something. On a CPU these are the numbers of one process with the same seed; a GPU's fused kernels draw in their own order.

    Args:
        total: objects of the batch in all processes.
        rows: those of this process.
    """

    def __init__(self, total: int, rows: slice):
        super().__init__()
        self.total, self.rows = total, rows
        self.own = len(range(total)[rows])

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return self._attention(func, *args, **kwargs)
        if func in (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d):
            return self._dropout(func, *args, **kwargs)
        if func is torch.Tensor.bernoulli_ and self._counts(args[0]):
            return args[0].copy_(self._share(args[0], lambda whole: whole.bernoulli_(*args[1:], **kwargs)))
        if func is torch.rand and kwargs.get("generator") is None:
            shape = torch.Size(args[0]) if args and not isinstance(args[0], int) else torch.Size(args)
            if shape and shape[0] == self.own:
                return func((self.total, *shape[1:]), **kwargs)[self.rows]
        return func(*args, **kwargs)

    def _counts(self, x: Tensor) -> bool:
        """Whether the first axis is objects, or objects x k."""
        return x.ndim > 0 and self.own > 0 and x.shape[0] > 0 and x.shape[0] % self.own == 0

    def _share(self, x: Tensor, fill) -> Tensor:
        """Rows of this process of what `fill` makes of an empty tensor that is x for the whole batch, laid out in memory as x is."""
        each = x.shape[0] // self.own
        order = sorted(range(x.ndim), key=lambda axis: -x.stride(axis))
        whole = torch.empty_permuted((self.total * each, *x.shape[1:]), order, dtype=x.dtype, device=x.device)
        return fill(whole).view(self.total, each, *x.shape[1:])[self.rows].reshape(x.shape)

    def _dropout(self, func, input, p=0.5, training=True, inplace=False):
        if not training or p == 0 or not self._counts(input):
            return func(input, p, training, inplace)
        # of channels: one number for all places
        shown = input.detach() if func is F.dropout else input.detach()[:, :, *(0,) * (input.ndim - 2)].contiguous()
        keep = self._share(shown, lambda whole: whole.bernoulli_(1 - p)).div_(1 - p)
        return input * keep.view(*keep.shape, *(1,) * (input.ndim - keep.ndim))

    def _attention(self, func, q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, **options):
        if dropout_p == 0 or is_causal or options or not self._counts(q):
            return func(q, k, v, attn_mask=attn_mask, dropout_p=dropout_p, is_causal=is_causal, scale=scale, **options)
        logits = (q * (q.shape[-1] ** -0.5 if scale is None else scale)) @ k.mT
        if attn_mask is not None:
            logits = logits.masked_fill(~attn_mask, -torch.inf) if attn_mask.dtype is torch.bool else logits + attn_mask
        return self._dropout(F.dropout, logits.softmax(-1), dropout_p) @ v
