"""Learned output: the model's state to fields on pressure levels, interpolation plus a learned correction.

    u, v from vorticity and divergence;  z hydrostatic;  x_p = interpolation(x_sigma) + network(features)

Axes: [*modal], [*nodal] of the plan, e member, p pressure level and k layer (last).
Source: Kochkov et al. (2024), Neural general circulation models for weather and climate, supplement C.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sciml.kernels.sphere import operators
from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.gcm.dynamics import vertical
from sciml.pipelines.gcm.dynamics.batches import synthesise
from sciml.pipelines.gcm.dynamics.state import SPECIFIC_HUMIDITY, State
from sciml.pipelines.gcm.dynamics.vertical import SigmaLevels
from sciml.pipelines.gcm.neural import pressure_levels, radiation
from sciml.pipelines.gcm.neural.checkpoint import config
from sciml.pipelines.gcm.neural.encoder import DATA, corrections, data_place, pressures, same_grid
from sciml.pipelines.gcm.neural.feature_tree import feature_set
from sciml.pipelines.gcm.neural.networks import Network
from sciml.pipelines.gcm.neural.normalization import Fields
from sciml.pipelines.gcm.neural.physics import state_place
from sciml.pipelines.gcm.neural.readings import Moment, Reader, reader, surface_fields
from sciml.pipelines.gcm.neural.surface_height import SurfaceHeight, surface_height
from sciml.pipelines.gcm.scales import ATMOSPHERIC


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Decoder:
    """The decoder; made by `decoder`. A pytree whose leaves are tables.

    data, model: what the network reads of the interpolated fields and of the state; reference [k]: temperature [K];
    height [k, k]: of the layers from virtual temperature; pressures [p] without dimension, sigma [k] of the centres.
    """

    data: Reader
    model: Reader
    ground: SurfaceHeight
    reference: Array
    height: Array
    network: Network = field(metadata={"static": True})
    pressures: tuple[float, ...] = field(metadata={"static": True})
    sigma: tuple[float, ...] = field(metadata={"static": True})

    @property
    def plan(self) -> Plan:
        """The plan of the states and of the output."""
        return self.model.plan

    def on_layers(self, state: State, ground: Array) -> tuple[Fields, Array]:
        """(u, v, t, z and tracers [*nodal, e, k], surface pressure [*nodal, e, 1]) over the ground's height [*nodal, 1, 1]."""
        plan, earth = self.plan, ATMOSPHERIC.earth
        wind = (operators.clip(plan, x) for x in operators.cos_lat_wind(plan, state.vorticity, state.divergence))
        names = sorted(state.tracers)
        coefficients = [*wind, state.temperature_variation, *(state.tracers[name] for name in names)]
        u, v, temperature, *water, pressure = synthesise(plan, [*coefficients, state.log_surface_pressure])
        sec = plan.rows(plan.cos_lat * plan.sec2_lat, u.ndim)
        temperature, tracers = temperature + self.reference, dict(zip(names, water, strict=True))
        ratio = earth.gas_constant_vapor / earth.gas_constant - 1
        z = pressure_levels.geopotential(
            temperature, tracers[SPECIFIC_HUMIDITY], ground * earth.gravity, self.height, ratio
        )
        return {"u": u * sec, "v": v * sec, "t": temperature, "z": z} | tracers, jnp.exp(pressure)

    def interpolated(self, state: State, ground: Array) -> Fields:
        """Fields [*nodal, e, p] without correction."""
        fields, surface = self.on_layers(state, ground)
        return pressure_levels.to_pressure(fields, np.asarray(self.sigma), surface, np.asarray(self.pressures))

    def __call__(self, params: Mapping[str, Any], state: State, moment: Moment) -> Fields:
        """u, v, t, z and the tracers [*nodal, e, p] without dimension; params: those of the decoder."""
        fields = self.interpolated(state, self.ground.nodal(self.plan, params))
        change = corrections(self, params, fields, state, moment)
        return {name: x + change[name] if name in change else x for name, x in fields.items()}


def _outputs(settings: config.ModelConfig, predicted: tuple[str, ...]) -> dict[str, int]:
    """Widths of the network's outputs in its order: sorted, the tracers standing where "tracers" would."""
    names = [name for name in (*DATA, *settings.tracers) if name in predicted]
    order = sorted(names, key=lambda name: ("tracers", name) if name in settings.tracers else (name, ""))
    return dict.fromkeys(order, len(settings.data.pressure_levels))


def decoder(
    settings: config.ModelConfig, plan: Plan, fields: Mapping[str, np.ndarray], orbit: radiation.Orbit
) -> Decoder:
    """The decoder of `settings`; fields: the checkpoint's surface fields [i, j] in SI units."""
    same_grid(settings)
    node, surface = settings.decoder, surface_fields(plan, fields)
    states = state_place(settings, node.randomness, memory=False)
    data = data_place(settings)
    groups = {
        "data_features": feature_set(node.data_features, data),
        "model_features": feature_set(node.model_features, states),
    }
    outputs = _outputs(settings, node.predicted)
    levels = SigmaLevels(settings.model.levels.boundaries)
    height = vertical.geopotential(levels, ATMOSPHERIC.earth.gas_constant).T
    return Decoder(
        data=reader(plan, groups["data_features"], surface, orbit),
        model=reader(plan, groups["model_features"], surface, orbit),
        ground=surface_height(node.orography, plan, plan, fields),
        reference=jnp.asarray(settings.reference_temperature, plan.dtype),
        height=jnp.asarray(height, plan.dtype),
        network=Network(groups, node.mapping, outputs, node.correction_transform, data.centers),
        pressures=pressures(settings),
        sigma=tuple(states.centers.tolist()),
    )
