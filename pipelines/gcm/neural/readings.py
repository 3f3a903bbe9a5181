"""What a set of features reads, gathered from state, forcing, clock and random fields as rows of grid points.

Axes: [*modal], [*nodal] of the plan, e member, k level (last); rows [n, k] hold one grid point and member each.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sciml.kernels.sphere import layout
from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.gcm.neural import radiation
from sciml.pipelines.gcm.neural.feature_tree import PRESSURE
from sciml.pipelines.gcm.neural.features import MEMORY, POSITIONAL, Modal, fixed_fields, positional, spectral_features
from sciml.pipelines.gcm.neural.networks import Features, Selected, Weights
from sciml.pipelines.gcm.neural.normalization import Fields
from sciml.pipelines.gcm.scales import ATMOSPHERIC

UNITS = {"geopotential_at_surface": "m2 s-2", "land_sea_mask": "1"}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Moment:
    """What holds at one time beside the state: time without dimension, forcing and random fields [*nodal, e or 1, k]."""

    sim_time: Array
    forcing: Mapping[str, Array]
    randomness: Mapping[str, Array] = field(default_factory=dict)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Reader:
    """Gathers the rows of `features`; made by `reader`. fixed: fixed fields [*nodal, 1, k]; centers [k]."""

    plan: Plan
    fixed: Fields
    centers: Array
    features: Features = field(metadata={"static": True})
    orbit: radiation.Orbit = field(metadata={"static": True})

    def nodal(
        self,
        weights: Weights,
        fields: Mapping[str, Modal],
        moment: Moment,
        memory: Mapping[str, Modal] | None = None,
    ) -> Fields:
        """Every field that is read [*nodal, e or 1, k], by name.

        DataError for a forcing or random field that is missing.
        """
        found = spectral_features(self.plan, self.features.spectral, fields, memory)
        for prefix in ("", MEMORY):
            if prefix + "log_surface_pressure" in found:
                found[prefix + PRESSURE] = jnp.exp(found[prefix + "log_surface_pressure"]) * self.centers
        given = {**self.fixed, **moment.forcing, **moment.randomness, **found}
        needed = dict.fromkeys(
            name for leaf in self.features.leaves() if isinstance(leaf, Selected) for name in leaf.widths
        )
        return {name: given[name] if name in given else self._made(name, weights, moment) for name in needed}

    def _made(self, name: str, weights: Weights, moment: Moment) -> Array:
        if name == POSITIONAL:
            return positional(self.plan, weights[POSITIONAL], self.features.positional.scale)
        if name == "radiation":
            return radiation.incident_radiation(self.plan, self.orbit, moment.sim_time)
        if name in ("cos_orbital_phase", "sin_orbital_phase"):
            phase = radiation.phases(self.orbit, moment.sim_time)[0] - np.float32(radiation.PERIHELION)
            wave = jnp.cos(phase) if name.startswith("cos") else jnp.sin(phase)
            return jnp.broadcast_to(wave, (*self.plan.nodal_shape, 1, 1))
        if name in ("cos_solar_hour", "sin_solar_hour"):
            angle = radiation.hour_angle(self.plan, self.orbit, moment.sim_time)
            return jnp.cos(angle) if name.startswith("cos") else jnp.sin(angle)
        given = sorted({*self.fixed, *moment.forcing, *moment.randomness})
        raise DataError(
            f'the model reads "{name}", which neither state, forcing nor surface fields hold; given: {given}'
        )


def surface_fields(plan: Plan, fields: Mapping[str, Any]) -> Fields:
    """Fields [i, j] of a checkpoint, in SI units, without dimension at the grid points [*nodal, 1, 1].

    SettingsError for one whose unit is not known.
    """
    unknown = sorted(set(fields) - set(UNITS))
    if unknown:
        raise SettingsError(f"surface fields {', '.join(unknown)}; accepted: {', '.join(UNITS)}")
    values = {
        name: np.asarray(ATMOSPHERIC.nondim(np.asarray(x, np.float64), UNITS[name])) for name, x in fields.items()
    }
    return {name: jnp.asarray(layout.from_standard(plan, x)[..., None, None], plan.dtype) for name, x in values.items()}


def reader(plan: Plan, features: Features, surface: Fields, orbit: radiation.Orbit) -> Reader:
    """The reader of `features` with the fixed `surface` fields [*nodal, 1, 1], non-dimensional."""
    missing = sorted(set(features.gradients) - set(surface))
    if missing:
        raise DataError(f"the checkpoint lacks the surface fields {', '.join(missing)}")
    fixed = fixed_fields(plan, surface, features.gradients)
    return Reader(plan, fixed, jnp.asarray(features.centers, plan.dtype), features, orbit)
