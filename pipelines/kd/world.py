"""The processes that train one student together under torchrun: each takes a share of every batch, and gradients are summed."""

from __future__ import annotations

import torch
from torch import Tensor

from .student import Student


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

    def sum_gradients(self, student: Student) -> None:
        """Every process ends with the gradient of the whole batch."""
        if self.size == 1:
            return
        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in student.parameters()]
        flat = torch.cat([g.flatten() for g in grads])
        torch.distributed.all_reduce(flat)
        for p, g in zip(student.parameters(), flat.split([g.numel() for g in grads]), strict=True):
            p.grad = g.view_as(p)
