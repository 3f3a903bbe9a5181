"""Digital-filter initialisation: removes the gravity waves of an unbalanced initial state.

The model runs forward and backward in time over half a span T each; the filtered state is the weighted mean of all of
them with the Lanczos weights of a low-pass filter of cutoff period T_c,

    w_n = sinc(n / (N + 1)) sinc(2 n dt / T_c),  n = 1..N = round(T / 2 dt),  w_0 = 1, normalised to sum one.

Source: Lynch & Huang (1992). NOTE: the second factor is written as in the released models, sinc(n T / (T_c N)), which
is the same where 2 dt divides T.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.dynamics.steppers import combine


def lanczos_weights(span: float, cutoff_period: float, dt: float) -> np.ndarray:
    """w_1..w_N for a window of `span` (all times in one unit), before normalisation [n].

    SettingsError if the window is shorter than two steps.
    """
    n_steps = int(round(span / (2 * dt)))
    if n_steps < 1 or not cutoff_period > 0:
        raise SettingsError(
            f"digital filter over {span} with steps of {dt} and cutoff {cutoff_period}: at least two steps are needed"
        )
    n = np.arange(1, n_steps + 1)
    return np.sinc(n / (n_steps + 1)) * np.sinc(n * span / (cutoff_period * n_steps))


def weighted_sum(step: Callable[[Any], Any], state: Any, weights: np.ndarray) -> Any:
    """Sum over n of weights[n - 1] x the state after n steps."""

    def body(carry, weight):
        now, total = carry
        now = step(now)
        return (now, jax.tree.map(lambda t, x: t + weight.astype(x.dtype) * x, total, now)), None

    start = (state, jax.tree.map(jnp.zeros_like, state))
    return jax.lax.scan(body, start, jnp.asarray(weights))[0][1]


def initialise(forward: Callable[[Any], Any], backward: Callable[[Any], Any], state: Any, weights: np.ndarray) -> Any:
    """The filtered state; `forward` and `backward` advance one step in either direction of time."""
    total = 1.0 + 2.0 * weights.sum()
    later = weighted_sum(forward, state, weights / total)
    earlier = weighted_sum(backward, state, weights / total)
    return combine((1 / total, state), (1, later), (1, earlier))
