"""Order of the objects, learning rate and averaged weights: all pure functions of seed and step, so that a run resumes exactly.

    rate(s) = s / w                                  up to step w of n
    rate(s) = (1 + cos(pi (s - w) / (n - w))) / 2    afterwards            (Loshchilov & Hutter 2017, arXiv:1608.03983)
    average <- d average + (1 - d) weights,  d_s = min(decay, (1 + s) / (10 + s))   so that the start is soon forgotten
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn


def seed_of(seed: int, *numbers: int) -> int:
    """A 63-bit seed that is a pure function of its arguments."""
    words = np.random.SeedSequence([seed, *numbers]).generate_state(1, np.uint64)
    return int(words[0] >> np.uint64(1))


def order_of(seed: int, epoch: int, labels: np.ndarray, balance: bool = False) -> Tensor:
    """Positions [n] of one epoch; `balance` draws each class equally often, rare ones several times.

    Every object of a class is drawn before one of them is drawn again.
    """
    generator = torch.Generator().manual_seed(seed_of(seed, epoch))
    if not balance:
        return torch.randperm(len(labels), generator=generator)
    filled = np.unique(labels)
    share = -(-len(labels) // len(filled))
    drawn = []
    for label in filled:
        members = torch.from_numpy(np.flatnonzero(labels == label))
        rounds = -(-share // len(members))
        picks = torch.cat([torch.randperm(len(members), generator=generator) for _ in range(rounds)])[:share]
        drawn.append(members[picks])
    together = torch.cat(drawn)
    return together[torch.randperm(len(together), generator=generator)][: len(labels)]


def rate_factor(step: int, steps: int, warmup: int) -> float:
    """Factor of the learning rate at `step` of `steps`."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1.0 + math.cos(math.pi * min((step - warmup) / max(steps - warmup, 1), 1.0)))


class Average:
    """Exponential average of a model's weights and floating-point buffers (batch statistics)."""

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.values = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after `step` (from 0)."""
        decay = min(self.decay, (1.0 + step) / (10.0 + step))
        state = model.state_dict()
        moving = [name for name, value in state.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.values[n] for n in moving], [state[n] for n in moving], 1.0 - decay)
        for name in state.keys() - set(moving):
            self.values[name].copy_(state[name])
