"""AdamW for weights of any memory format.

torch's fused AdamW walks through memory, and copies each gradient that is not contiguous before it does: with the channels_last
weights of ResNet-18 half of its time on a CPU. Given moments of another format than their weights it pairs the wrong numbers. Here it
gets views: the same memory, axes in the order they lie in, so that everything is contiguous.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class AdamW(torch.optim.AdamW):
    """torch's fused AdamW; its own parameters, keys of `state`, are views of `weights`, and so are the moments' axes.

    Gradients are taken from `weights`, and cleared there by `zero_grad`.
    """

    def __init__(self, groups: Sequence[dict[str, Any]]):
        self.weights: list[Tensor] = [weight for group in groups for weight in group["params"]]
        of = lambda weight: nn.Parameter(weight.detach().permute(memory_order(weight)), weight.requires_grad)  # noqa: E731
        super().__init__([group | {"params": [of(weight) for weight in group["params"]]} for group in groups], fused=True)
        self.views: list[nn.Parameter] = [view for group in self.param_groups for view in group["params"]]

    @torch.no_grad()
    def step(self) -> None:
        """One step with the gradients of `weights`."""
        for view, weight in zip(self.views, self.weights, strict=True):
            order = memory_order(weight)
            if view.data_ptr() != weight.data_ptr():  # Module.to and Module.double put weights elsewhere
                view.data = weight.data.permute(order)
            view.grad = None if weight.grad is None else weight.grad.permute(order).contiguous()
        super().step()
        super().zero_grad()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of `weights`."""
        for weight in self.weights:
            weight.grad = None


def memory_order(x: Tensor) -> tuple[int, ...]:
    """Axes of x from the one with the longest steps in memory to the one with the shortest."""
    if x.is_contiguous():
        return tuple(range(x.ndim))
    return tuple(sorted(range(x.ndim), key=lambda axis: -x.stride(axis)))
