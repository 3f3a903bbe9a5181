"""Diagnostics of a model's own settings: surface pressure, precipitable water, precipitation and evaporation.

From the learned tendency of all water, E - P = (ps / g) sum_k (dq / dt)_k d sigma_k [kg m-2 s-1]. Models with learned
precipitation predict one of the two by a network and have the other from that budget: E' = -(E - P) - P, so that their
"evaporation" is negative where water leaves the surface, as in ERA5. Precipitation is a depth of liquid water; cumulative
diagnostics add the rate times the model step, which the state carries.

NOTE: with several substeps in a model step each of them adds a whole step, as in the original.

Source: Yuval et al. (2024), arXiv 2412.11973. Axes: [*modal], [*nodal] of the plan, e member, k layer; all results are
[*nodal, e, 1] without dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from sciml.kernels.sphere import transform
from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.dynamics.state import State
from sciml.pipelines.gcm.dynamics.vertical import SigmaLevels
from sciml.pipelines.gcm.neural import radiation
from sciml.pipelines.gcm.neural.checkpoint import config as nodes
from sciml.pipelines.gcm.neural.feature_tree import feature_set
from sciml.pipelines.gcm.neural.features import from_rows, map_rows, state_fields, to_rows
from sciml.pipelines.gcm.neural.networks import Network, weights_of
from sciml.pipelines.gcm.neural.physics import state_place
from sciml.pipelines.gcm.neural.readings import Moment, Reader, reader
from sciml.pipelines.gcm.scales import ATMOSPHERIC

WATER_DENSITY = 997.0  # kg m-3, the original's
_OF_THE_DECODER = (nodes.NoDiagnostics, nodes.SurfacePressureDiagnostics, nodes.NodalModelDiagnosticsDecoder)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Diagnostics:
    """Those of a step; made by `diagnostics`. A pytree whose leaves are tables.

    reader, network: of learned precipitation, None without; thickness [k] of the layers; dt: the model step.
    """

    plan: Plan
    reader: Reader | None
    thickness: Array
    parts: tuple[Any, ...] = field(metadata={"static": True})
    network: Network | None = field(metadata={"static": True})
    dt: float = field(metadata={"static": True})

    def __call__(
        self,
        params: Mapping[str, Any],
        state: State,
        tendency: State,
        moment: Moment,
        memory: State | None = None,
        previous: Mapping[str, Array] | None = None,
    ) -> dict[str, Array]:
        """Every diagnostic by the original's name; params: those of the embedding, previous: of the state before."""
        found: dict[str, Array] = {}
        surface = surface_pressure(self.plan, state)
        for part in self.parts:
            new = self._one(part, params, state, tendency, moment, memory, previous or {}, surface)
            twice = sorted(set(new) & set(found))
            if twice:
                raise SettingsError(f"the model's settings compute {', '.join(twice)} twice")
            found |= new
        return found

    def _one(
        self, part: Any, params: Any, state: State, tendency: State, moment: Moment, memory: State | None,
        previous: Mapping[str, Array], surface: Array,
    ) -> dict[str, Array]:  # fmt: skip
        if isinstance(part, nodes.SurfacePressureDiagnostics):
            return {"surface_pressure": surface}
        water = {name: x for name, x in state.tracers.items() if name in part.moisture_species}
        if isinstance(part, nodes.PrecipitableWaterDiagnostics):
            return {"precipitable_water": self._column(water, surface) / self._density}
        rates = {name: tendency.tracers[name] for name in water if tendency.tracers[name] is not None}
        gain = self._column(rates, surface)  # E - P
        if isinstance(part, nodes.PrecipitationMinusEvaporationDiagnostics):
            if part.method == "rate":
                return {"P_minus_E_rate": -gain}
            return {"P_minus_E_cumulative": previous.get("P_minus_E_cumulative", 0.0) - gain * self.dt}
        predicted = jnp.broadcast_to(self._embedded(params, state, moment, memory), gain.shape)
        return self._constrained(part, predicted, gain, previous)

    @property
    def _density(self) -> float:
        return ATMOSPHERIC.nondim(WATER_DENSITY, "kg m-3")

    def _column(self, tracers: Mapping[str, Array], surface: Array) -> Array:
        """(ps / g) times the sigma integral of the sum of modal tracers [*modal, e, k]."""
        total = transform.synthesis(self.plan, sum(tracers.values()))
        return surface / ATMOSPHERIC.earth.gravity * (total * self.thickness).sum(-1, keepdims=True)

    def _embedded(self, params: Any, state: State, moment: Moment, memory: State | None) -> Array:
        plan, weights = self.plan, weights_of(self.network, self.plan, params)
        before = None if memory is None else state_fields(plan, memory)
        read = self.reader.nodal(weights.get("features", {}), state_fields(plan, state), moment, before)
        rows = {"features": to_rows(plan, read)}
        (found,) = from_rows(plan, map_rows(plan, lambda block: self.network(weights, block), rows)).values()
        return found

    def _constrained(
        self,
        part: nodes.PrecipitationDiagnosticsConstrained,
        predicted: Array,
        gain: Array,
        previous: Mapping[str, Array],
    ) -> dict[str, Array]:
        other = -gain - predicted
        rain, evaporation = (predicted, other) if part.is_precipitation else (other, predicted)
        found = {}
        if part.method_precipitation == "rate":
            found["precipitation_rate"] = rain / self._density
        else:
            found[part.field_name] = previous.get(part.field_name, 0.0) + rain / self._density * self.dt
        if part.method_evaporation == "rate":
            found["evaporation"] = evaporation
        else:
            before = previous.get("evaporation_cumulative", 0.0)
            found["evaporation_cumulative"] = before + evaporation / self._density * self.dt
        return found


def surface_pressure(plan: Plan, state: State) -> Array:
    """exp(ln ps) [*nodal, e, 1]."""
    return jnp.exp(transform.synthesis(plan, state.log_surface_pressure))


def parts_of(node: nodes.Diagnostics) -> tuple[Any, ...]:
    """The single diagnostics of a node, without those that compute nothing."""
    several = node.diagnostics if isinstance(node, nodes.CombinedDiagnostics) else (node,)
    flat = [x for one in several for x in (parts_of(one) if isinstance(one, nodes.CombinedDiagnostics) else (one,))]
    return tuple(one for one in flat if not isinstance(one, nodes.NoDiagnostics))


def names_of(part: Any) -> tuple[str, ...]:
    """Names of what a single diagnostic of a step computes."""
    match part:
        case nodes.SurfacePressureDiagnostics():
            return ("surface_pressure",)
        case nodes.PrecipitableWaterDiagnostics():
            return ("precipitable_water",)
        case nodes.PrecipitationMinusEvaporationDiagnostics():
            return (f"P_minus_E_{part.method}",)
        case nodes.PrecipitationDiagnosticsConstrained():
            rain = "precipitation_rate" if part.method_precipitation == "rate" else part.field_name
            return rain, "evaporation" if part.method_evaporation == "rate" else "evaporation_cumulative"
    return ()


def diagnostics(
    settings: nodes.ModelConfig, plan: Plan, surface: Mapping[str, Array], orbit: radiation.Orbit
) -> Diagnostics:
    """The diagnostics of the step of `settings`; surface: fixed fields [*nodal, 1, 1] (readings.surface_fields).

    SettingsError for a node that belongs to a decoder.
    """
    parts = parts_of(settings.step.diagnostics)
    for part in parts:
        if isinstance(part, nodes.NodalModelDiagnosticsDecoder):
            raise SettingsError("the step's diagnostics are those of a decoder", hint="bind it to the decoder instead")
    learned = [part for part in parts if isinstance(part, nodes.PrecipitationDiagnosticsConstrained)]
    network = read = None
    if learned:
        node, name = learned[0].embedding, "precipitation" if learned[0].is_precipitation else "evaporation"
        if not isinstance(node, nodes.ModalToNodalEmbedding):
            raise SettingsError(f"precipitation by a {type(node).__name__}; accepted: ModalToNodalEmbedding")
        place = state_place(settings, settings.step.randomness, settings.encoder.memory)
        features = feature_set(node.features, place)
        network = Network({"features": features}, node.mapping, {name: 1}, node.output_transform, place.centers)
        read = reader(plan, features, surface, orbit)
    levels = SigmaLevels(settings.model.levels.boundaries)
    dt = float(ATMOSPHERIC.nondim(settings.step_seconds, "s"))
    return Diagnostics(plan, read, jnp.asarray(levels.thickness, plan.dtype), parts, network, dt)


def of_decoder(node: nodes.Diagnostics, plan: Plan, state: State, carried: Mapping[str, Array]) -> dict[str, Array]:
    """What a decoder with the diagnostics `node` returns beside its fields; `carried`: those of the state.

    SettingsError for diagnostics that need the learned tendency, which a decoder does not have.
    """
    found: dict[str, Array] = {}
    for part in parts_of(node):
        if not isinstance(part, _OF_THE_DECODER):
            raise SettingsError(f"{type(part).__name__} in the decoder", hint="bind it to the step instead")
        if isinstance(part, nodes.SurfacePressureDiagnostics):
            found["surface_pressure"] = surface_pressure(plan, state)
        else:
            found |= carried
    return found
