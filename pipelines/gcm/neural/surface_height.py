"""The ground under an encoder or decoder: the height its settings ask for, with what training added to it.

Axes: [*modal], [*nodal] of the plan.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jax import Array

from sciml.kernels.sphere import transform
from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.gcm.neural.checkpoint import config
from sciml.pipelines.gcm.neural.orography import base_orography, learned_correction

GEOPOTENTIAL = "geopotential_at_surface"


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SurfaceHeight:
    """base [*modal, 1]: non-dimensional height; scale of the learned correction, None for none."""

    base: Array
    scale: float | None = field(metadata={"static": True})

    def modal(self, plan: Plan, params: Mapping[str, Any]) -> Array:
        """The height [*modal, 1]; params["orography"]["correction"] holds what was learned."""
        if self.scale is None:
            return self.base
        return self.base + learned_correction(plan, params["orography"]["correction"], self.scale)

    def nodal(self, plan: Plan, params: Mapping[str, Any]) -> Array:
        """The height at the grid points [*nodal, 1, 1]."""
        return transform.synthesis(plan, self.modal(plan, params))[..., None, :]


def _exponentials(filters: tuple[config.DataFilter, ...]) -> tuple[tuple[float, float, float], ...]:
    if any(isinstance(one, config.PerVariableDataFilter) for one in filters):
        raise SettingsError("an orography has one variable: PerVariableDataFilter does not fit")
    chosen = (one for one in filters if isinstance(one, config.DataExponentialFilter))
    return tuple((one.attenuation, one.order, one.cutoff) for one in chosen)


def surface_height(
    node: config.Orography, source: Plan, target: Plan, fields: Mapping[str, np.ndarray]
) -> SurfaceHeight:
    """The height of `node` on the plan `target` from the checkpoint's fields [i, j] (SI) on the grid of `source`.

    DataError without geopotential_at_surface among the fields.
    """
    if GEOPOTENTIAL not in fields:
        raise DataError(f"the checkpoint's surface fields are {sorted(fields)}; {GEOPOTENTIAL} is needed")
    learned = isinstance(node, config.LearnedOrography)
    filters = _exponentials((node.base if learned else node).filters)
    base = base_orography(source, target, fields[GEOPOTENTIAL], filters)
    return SurfaceHeight(base, node.correction_scale if learned else None)
