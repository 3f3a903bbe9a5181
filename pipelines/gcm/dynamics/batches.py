"""Transforms of several fields: field by field on a CPU, all columns in one call on an accelerator.

A CPU works from its caches: a field goes from the grid-point products into the analysis without leaving them, and no
columns are copied side by side, which made the explicit terms twice as fast at TL63 with 32 levels as one call for all
columns. An accelerator, and devices that share the coefficients, pay for every call instead.

Axes: [*modal] and [*nodal] of the plan; columns after them.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array

from sciml.kernels.sphere import transform
from sciml.kernels.sphere.plan import Plan


def by_field(plan: Plan) -> bool:
    """Whether fields are transformed one by one."""
    return plan.how.dot_butterfly and plan.how.mesh is None


def _split(x: Array, widths: Sequence[int]) -> list[Array]:
    ends = [sum(widths[: i + 1]) for i in range(len(widths))]
    return [x[..., end - width : end] for end, width in zip(ends, widths, strict=True)]


def synthesise(plan: Plan, fields: Sequence[Array]) -> list[Array]:
    """Coefficients [*modal, ..., k_i] of each field to its values [*nodal, ..., k_i]."""
    if by_field(plan):
        return [transform.synthesis(plan, x) for x in fields]
    return _split(transform.synthesis(plan, jnp.concatenate(fields, axis=-1)), [x.shape[-1] for x in fields])


def analyse(plan: Plan, groups: Sequence[Sequence[Array]]) -> list[list[Array]]:
    """Values [*nodal, ..., k_i] of each field of each group to its coefficients [*modal, ..., k_i]."""
    if by_field(plan):
        return [[transform.analysis(plan, x) for x in group] for group in groups]
    fields = [x for group in groups for x in group]
    found = iter(_split(transform.analysis(plan, jnp.concatenate(fields, axis=-1)), [x.shape[-1] for x in fields]))
    return [[next(found) for _ in group] for group in groups]
