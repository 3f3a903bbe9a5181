"""Learned analysis: fields on pressure levels to the model's state, interpolation plus a learned correction.

    p_s from the geopotential;  x = interpolation of the fields to sigma;  state = filter(analysis(x + network(features)))

The interpolated fields go to coefficients and back before the correction is added: the largest total wavenumber of a
linear grid does not survive that. Models with memory hold a second network of the same settings, which sees no random
fields and makes the previous state.
Axes: [*modal], [*nodal] of the plan, e member, p pressure level and k layer (last).
Source: Kochkov et al. (2024), Neural general circulation models for weather and climate, supplement C.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sciml.kernels.sphere import operators
from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.gcm.dynamics.batches import analyse, synthesise
from sciml.pipelines.gcm.dynamics.state import State
from sciml.pipelines.gcm.neural import pressure_levels, radiation
from sciml.pipelines.gcm.neural.checkpoint import config
from sciml.pipelines.gcm.neural.feature_tree import Place, feature_set
from sciml.pipelines.gcm.neural.features import Modal, from_rows, map_rows, state_fields, to_rows
from sciml.pipelines.gcm.neural.networks import Network, weights_of
from sciml.pipelines.gcm.neural.normalization import Fields
from sciml.pipelines.gcm.neural.physics import state_place
from sciml.pipelines.gcm.neural.readings import Moment, Reader, reader, surface_fields
from sciml.pipelines.gcm.neural.spectral_filters import VARIABLES, encoder_factors, scaled
from sciml.pipelines.gcm.neural.surface_height import SurfaceHeight, surface_height
from sciml.pipelines.gcm.scales import ATMOSPHERIC

ABBREVIATED = {"geopotential": "z", "temperature": "t", "u_component_of_wind": "u", "v_component_of_wind": "v"}
DATA = ("u", "v", "t", "z")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Encoder:
    """The encoder; made by `encoder`. A pytree whose leaves are tables.

    data, model: what the network reads of the analysis and of the interpolated state; reference [k]: temperature [K];
    factors [*modal]: of the filters by variable; pressures [p] without dimension, sigma [k] of the centres.
    """

    data: Reader
    model: Reader
    ground: SurfaceHeight
    reference: Array
    factors: dict[str, Array]
    network: Network = field(metadata={"static": True})
    pressures: tuple[float, ...] = field(metadata={"static": True})
    sigma: tuple[float, ...] = field(metadata={"static": True})
    memory: bool = field(metadata={"static": True})

    @property
    def plan(self) -> Plan:
        """The plan of the states and of the analyses."""
        return self.data.plan

    def interpolated(self, fields: Mapping[str, Array], ground: Array) -> State:
        """Coefficients of the state interpolated from `fields` [*nodal, e, p] over the ground's height [*nodal, 1, 1]."""
        plan, axes, pressure = self.plan, len(self.plan.nodal_shape) + 2, np.asarray(self.pressures)
        surface = pressure_levels.surface_pressure(fields["z"], pressure, ground * ATMOSPHERIC.earth.gravity)
        columns = {name: x for name, x in fields.items() if name != "z"}
        x = pressure_levels.to_sigma(columns, pressure, surface, np.asarray(self.sigma))
        sec = plan.rows(plan.cos_lat * plan.sec2_lat, axes)
        tracers = sorted(set(x) - set(DATA))
        values = [x["u"] * sec, x["v"] * sec, x["t"] - self.reference, *(x[name] for name in tracers), jnp.log(surface)]
        u, v, temperature, *water, pressure = analyse(plan, [values])[0]
        return State(
            vorticity=operators.clip(plan, operators.curl_cos_lat(plan, (u, v))),
            divergence=operators.clip(plan, operators.divergence_cos_lat(plan, (u, v))),
            temperature_variation=temperature,
            log_surface_pressure=pressure,
            tracers=dict(zip(tracers, water, strict=True)),
        )

    def _encode(self, params: Mapping[str, Any], fields: Mapping[str, Array], moment: Moment) -> State:
        plan = self.plan
        first = self.interpolated(fields, self.ground.nodal(plan, params))
        change = corrections(self, params, fields, first, moment)
        names = (*VARIABLES, *first.tracers)
        before = {**{name: getattr(first, name) for name in VARIABLES}, **first.tracers}
        values = synthesise(plan, [before[name] for name in names])
        values = [x + change[name] if name in change else x for name, x in zip(names, values, strict=True)]
        found = dict(zip(names, analyse(plan, [values])[0], strict=True))
        tracers = {name: found[name] for name in first.tracers}
        return scaled(self.factors, State(*(found[name] for name in VARIABLES), tracers))

    def __call__(
        self, params: Mapping[str, Any], fields: Mapping[str, Array], moment: Moment
    ) -> tuple[State, State | None]:
        """(state, previous state or None) [*modal, e, k] of an analysis.

        params: of the whole model ("encoder", "memory_encoder"); fields: u, v, t, z and the tracers [*nodal, e or 1, p]
        without dimension. DataError for a missing field.
        """
        missing = sorted({*DATA} - set(fields))
        if missing:
            raise DataError(f"the analysis lacks {', '.join(missing)}; it has: {', '.join(sorted(fields))}")
        state = self._encode(params["encoder"], fields, moment)
        if not self.memory:
            return state, None
        return state, self._encode(params["memory_encoder"], fields, replace(moment, randomness={}))


def corrections(
    part: Any, params: Mapping[str, Any], fields: Mapping[str, Array], state: State, moment: Moment
) -> Fields:
    """The output [*nodal, e, k] by variable of the network of an encoder or decoder, which reads analysis and state.

    params: those of the part; fields [*nodal, e, p] on pressure levels.
    """
    plan, weights = part.plan, weights_of(part.network, part.plan, params)
    bases = sorted({one.base for one in part.data.features.spectral})
    coefficients = analyse(plan, [[fields[name] for name in bases]])[0] if bases else []
    data = {name: Modal(x) for name, x in zip(bases, coefficients, strict=True)}
    model = state_fields(plan, state) if part.model.features.spectral else {}
    read = {
        "data_features": part.data.nodal(weights.get("data_features", {}), data, moment),
        "model_features": part.model.nodal(weights.get("model_features", {}), model, moment),
    }
    return from_rows(plan, map_rows(plan, lambda rows: part.network(weights, rows), to_rows(plan, read)))


def pressures(settings: config.ModelConfig) -> tuple[float, ...]:
    """The pressure levels without dimension."""
    return tuple(float(ATMOSPHERIC.nondim(level, "hPa")) for level in settings.data.pressure_levels)


def data_place(settings: config.ModelConfig, winds: bool = False) -> Place:
    """What there is to read on pressure levels."""
    levels = np.asarray(settings.data.pressure_levels)
    return Place(dict.fromkeys((*DATA, *settings.tracers), len(levels)), levels, winds=winds)


def same_grid(settings: config.ModelConfig) -> None:
    """SettingsError unless analyses and states share a grid."""
    data, model = settings.data.grid, settings.model.grid
    nodes = ("longitude_nodes", "latitude_nodes", "latitude_spacing", "longitude_offset")
    if any(getattr(data, name) != getattr(model, name) for name in nodes):
        raise SettingsError(
            f"the model's grid has {model.longitude_nodes} x {model.latitude_nodes} points, that of its data"
            f" {data.longitude_nodes} x {data.latitude_nodes}",
            hint="accepted: the same grid for both",
        )


def encoder(
    settings: config.ModelConfig, plan: Plan, fields: Mapping[str, np.ndarray], orbit: radiation.Orbit
) -> Encoder:
    """The encoder of `settings`; fields: the checkpoint's surface fields [i, j] in SI units."""
    same_grid(settings)
    node, surface = settings.encoder, surface_fields(plan, fields)
    states = state_place(settings, node.randomness, memory=False)
    groups = {
        "data_features": feature_set(node.data_features, data_place(settings)),
        "model_features": feature_set(node.model_features, states),
    }
    # The order is that of the state's variables, then the tracers by name.
    names = [*VARIABLES, *sorted(settings.tracers)]
    outputs = {name: states.fields[name] for name in names if name in node.predicted}
    network = Network(groups, node.mapping, outputs, node.correction_transform, states.centers)
    return Encoder(
        data=reader(plan, groups["data_features"], surface, orbit),
        model=reader(plan, groups["model_features"], surface, orbit),
        ground=surface_height(node.orography, plan, plan, fields),
        reference=jnp.asarray(settings.reference_temperature, plan.dtype),
        factors=encoder_factors(node.transform, plan, names),
        network=network,
        pressures=pressures(settings),
        sigma=tuple(states.centers.tolist()),
        memory=node.memory,
    )
