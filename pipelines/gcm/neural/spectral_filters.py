"""Filters of a model's settings as factors on coefficients: after a step, on learned tendencies, on encoded states.

Axes: [*modal] modal axes of a plan.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.gcm.dynamics.filters import Damping, exponential, exponential_factor, fix_global_mean
from sciml.pipelines.gcm.dynamics.modal import over_columns
from sciml.pipelines.gcm.dynamics.state import State
from sciml.pipelines.gcm.neural.checkpoint import config
from sciml.pipelines.gcm.scales import ATMOSPHERIC

VARIABLES = ("vorticity", "divergence", "temperature_variation", "log_surface_pressure")


def clip_factor(plan: Plan, n: int) -> np.ndarray:
    """0 at the `n` largest total wavenumbers and at dead coefficients, 1 elsewhere [*modal]."""
    return (plan.mask & (plan.total_wavenumber < plan.truncation.total - n)).astype(np.float64)


def step_filters(node: config.StepFilter | None, plan: Plan, dt: float) -> tuple[Any, ...]:
    """The filters (before, after) -> state of `node`, in their order; dt without dimension gives their strength."""
    match node:
        case config.SequentialStepFilter():
            return tuple(one for part in node.filters for one in step_filters(part, plan, dt))
        case config.ExponentialFilter():
            tau = ATMOSPHERIC.nondim(node.tau_seconds, "s")
            return (exponential(plan, dt, tau, node.order, node.cutoff),)
        case config.ClipFilter():
            return (Damping(jnp.asarray(clip_factor(plan, node.wavenumbers_to_clip), plan.dtype)),)
        case config.FixGlobalMeanFilter():
            return tuple(fix_global_mean(plan, key) for key in node.keys)
    return ()


def _data_factors(node: config.DataFilter, plan: Plan, names: Sequence[str]) -> dict[str, np.ndarray]:
    wavenumber = np.minimum(plan.total_wavenumber / (plan.truncation.total - 1), 1.0)
    match node:
        case config.DataExponentialFilter():
            factor = exponential_factor(wavenumber, node.attenuation, node.order, node.cutoff)
            return dict.fromkeys(names, factor)
        case config.PerVariableDataFilter():
            return {
                one.field: factor
                for one in node.filters
                if one.field in names
                for factor in _data_factors(one.filter, plan, (one.field,)).values()
            }
    return {}


def _steps(node: config.EncoderTransform, plan: Plan, names: Sequence[str]) -> list[dict[str, np.ndarray]]:
    match node:
        case config.EncoderCombinedTransform():
            return [step for part in node.transforms for step in _steps(part, plan, names)]
        case config.InputClipTransform():
            return [dict.fromkeys(names, clip_factor(plan, node.wavenumbers_to_clip))]
        case config.EncoderFilterTransform():
            return [_data_factors(one, plan, names) for one in node.filters]
    return []


def encoder_factors(node: config.EncoderTransform, plan: Plan, names: Sequence[str]) -> dict[str, Array]:
    """What each encoded variable of `names` is multiplied by [*modal]; those left alone are missing."""
    found: dict[str, np.ndarray] = {}
    for step in _steps(node, plan, names):
        for name, factor in step.items():
            found[name] = found.get(name, 1.0) * factor
    return {name: jnp.asarray(factor, plan.dtype) for name, factor in found.items()}


def scaled(factors: Mapping[str, Array], state: State) -> State:
    """`state` with each variable and tracer times its factor."""

    def times(name: str, x: Array) -> Array:
        factor = factors.get(name)
        return x if factor is None else x * over_columns(factor, x, factor.ndim)

    variables = {name: times(name, getattr(state, name)) for name in VARIABLES}
    return replace(state, **variables, tracers={name: times(name, x) for name, x in state.tracers.items()})
