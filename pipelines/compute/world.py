"""The processes that train one network together under torchrun: each takes a share of every batch, and gradients are summed."""

from __future__ import annotations

import os

import torch
from torch import Tensor, nn


def join_processes() -> None:
    """Join the other processes when started by torchrun."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def of_the_first(text: str) -> str:
    """What the first process was called with, in every process."""
    if not torch.distributed.is_initialized():
        return text
    held = [text]
    torch.distributed.broadcast_object_list(held)
    return held[0]


class World:
    """Data-parallel processes under torchrun: each takes a share of every batch, and gradients are summed."""

    def __init__(self) -> None:
        ready = torch.distributed.is_available() and torch.distributed.is_initialized()
        self.size = torch.distributed.get_world_size() if ready else 1
        self.rank = torch.distributed.get_rank() if ready else 0

    def sum(self, *values: Tensor) -> list[Tensor]:
        """Sums of scalars over the processes."""
        if self.size == 1:
            return list(values)
        packed = torch.stack([v.detach().double() for v in values])
        torch.distributed.all_reduce(packed)
        return list(packed.to(values[0].dtype))

    def sum_gradients(self, network: nn.Module) -> None:
        """Every process ends with the gradient of the whole batch."""
        if self.size == 1:
            return
        parameters = [p for p in network.parameters() if p.requires_grad]
        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = torch.cat([g.flatten() for g in grads])
        torch.distributed.all_reduce(flat)
        for p, g in zip(parameters, flat.split([g.numel() for g in grads]), strict=True):
            p.grad = g.view_as(p)
