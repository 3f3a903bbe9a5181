"""Unrolled rollouts for gradients, whose memory grows like the square root of the number of steps.

N steps run as a scan of segments of about sqrt(N) steps; segments and steps are rematerialised, so the backward pass
holds one state per segment, one per step of the current segment and the intermediates of a single step, for one more
forward pass than a scan of rematerialised steps, which is what up to `PLAIN` steps get.

Source: Griewank & Walther (2008), chapter 12 (two-level checkpointing).
"""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax import lax

from sciml.pipelines.errors import SettingsError

Step = Callable[[Any], Any]
# Up to this many steps their states cost less than what recomputing a segment would.
PLAIN = 16


def _scan(step: Step, carry: Any, length: int) -> Any:
    return lax.scan(lambda c, _: (step(c), None), carry, length=length)[0]


def segment_length(n_steps: int) -> int:
    """Steps per segment: the divisor of n_steps nearest to its square root, or the root itself if none is near."""
    root = math.isqrt(n_steps)
    near = [d for d in range(max(root // 2, 1), 2 * root + 1) if n_steps % d == 0]
    return min(near, key=lambda d: abs(math.log(d / math.sqrt(n_steps)))) if near else root


def repeat(step: Step, carry: Any, n_steps: int, *, remat: bool = True) -> Any:
    """`carry` after n_steps; `remat=False` keeps every intermediate, for the fastest gradient of a few steps."""
    if not remat:
        return _scan(step, carry, n_steps)
    # Without prevent_cse a scan body compiles as it stands; the barriers are for code outside of loops.
    one = jax.checkpoint(step, prevent_cse=False)
    if n_steps <= PLAIN:
        return _scan(one, carry, n_steps)
    length = segment_length(n_steps)
    segments, rest = divmod(n_steps, length)
    segment = jax.checkpoint(lambda c: _scan(one, c, length), prevent_cse=False)
    carry = _scan(segment, carry, segments)
    return _scan(one, carry, rest) if rest else carry


def unroll(
    step: Step,
    carry: Any,
    n_steps: int,
    every: int | None = None,
    output: Callable[[Any], Any] = lambda carry: carry,
    *,
    remat: bool = True,
) -> tuple[Any, Any]:
    """(carry after n_steps, output(carry) after each `every` steps stacked on a new first axis [time, ...]).

    `every` defaults to n_steps. Differentiable in forward and reverse mode. SettingsError if `every` does not divide
    n_steps.
    """
    every = n_steps if every is None else every
    if n_steps < 1 or every < 1 or n_steps % every:
        raise SettingsError(f"{n_steps} steps with an output every {every}: every must divide the number of steps")

    def interval(c):
        return repeat(step, c, every, remat=remat)

    if remat and 1 < every < n_steps:
        interval = jax.checkpoint(interval, prevent_cse=False)

    def body(c, _):
        c = interval(c)
        return c, output(c)

    return lax.scan(body, carry, length=n_steps // every)
