"""Learned physics: the tendencies of wind, temperature and water that the dynamical core does not resolve.

    (du, dv, dT, dq...) = network(features);   dzeta = curl(du, dv),  ddiv = div(du, dv)

then the coefficients of all of them are damped by the filter. Wind tendencies are multiplied by 1/cos(lat) for the
analysis; vorticity and divergence lose the largest total wavenumber, the scalars do not.
Axes: [*modal], [*nodal] of the plan, e member, k level (last).
Source: Kochkov et al. (2024), Neural general circulation models for weather and climate, supplement C.
"""

from dataclasses import dataclass, field
from typing import Any

import jax

from sciml.kernels.sphere import operators
from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.dynamics.batches import analyse
from sciml.pipelines.gcm.dynamics.state import State
from sciml.pipelines.gcm.dynamics.vertical import SigmaLevels
from sciml.pipelines.gcm.neural import radiation
from sciml.pipelines.gcm.neural.checkpoint import config
from sciml.pipelines.gcm.neural.feature_tree import Place, feature_set, random_widths
from sciml.pipelines.gcm.neural.features import from_rows, map_rows, state_fields, to_rows
from sciml.pipelines.gcm.neural.networks import Network, Weights, weights_of
from sciml.pipelines.gcm.neural.normalization import Fields
from sciml.pipelines.gcm.neural.readings import Moment, Reader, reader
from sciml.pipelines.gcm.neural.spectral_filters import VARIABLES, step_filters

_WIND_OF = {"divergence": "u", "vorticity": "v"}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Physics:
    """The parameterisation; made by `physics`. A pytree whose leaves are tables."""

    reader: Reader
    filters: tuple[Any, ...]
    network: Network = field(metadata={"static": True})

    @property
    def plan(self) -> Plan:
        """The plan of states and tendencies."""
        return self.reader.plan

    def nodal(self, params: Weights, state: State, moment: Moment, memory: State | None = None) -> Fields:
        """Tendencies [*nodal, e, k] of u, v, temperature_variation and the tracers, before the analysis and the filter."""
        plan, weights = self.plan, weights_of(self.network, self.plan, params)
        previous = None if memory is None else state_fields(plan, memory)
        read = self.reader.nodal(weights.get("features", {}), state_fields(plan, state), moment, previous)
        rows = {"features": to_rows(plan, read)}
        return from_rows(plan, map_rows(plan, lambda block: self.network(weights, block), rows))

    def modal(self, state: State, tendencies: Fields) -> State:
        """The filtered coefficients [*modal, e, k] of nodal tendencies of `state`; None where there is none."""
        plan, axes = self.plan, len(self.plan.nodal_shape) + 2
        sec = plan.rows(plan.cos_lat * plan.sec2_lat, axes)
        names = list(tendencies)
        values = [x * sec if name in ("u", "v") else x for name, x in tendencies.items()]
        found = dict(zip(names, analyse(plan, [values])[0], strict=True))
        wind = (found.pop("u"), found.pop("v"))
        tendency = State(
            vorticity=operators.clip(plan, operators.curl_cos_lat(plan, wind)),
            divergence=operators.clip(plan, operators.divergence_cos_lat(plan, wind)),
            temperature_variation=found.pop("temperature_variation", None),
            log_surface_pressure=found.pop("log_surface_pressure", None),
            tracers={name: found.get(name) for name in state.tracers},
        )
        for one in self.filters:
            tendency = one(state, tendency)
        return tendency

    def __call__(self, params: Weights, state: State, moment: Moment, memory: State | None = None) -> State:
        """The tendency of `state` [*modal, e, k]; params: the nested dict of the network's parameters."""
        return self.modal(state, self.nodal(params, state, moment, memory))


def state_place(settings: config.ModelConfig, randomness: config.RandomField, memory: bool) -> Place:
    """What there is to read on the model's grid and layers."""
    levels = SigmaLevels(settings.model.levels.boundaries)
    widths = dict.fromkeys(("u", "v", *VARIABLES, *settings.tracers), len(levels)) | {"log_surface_pressure": 1}
    return Place(widths, levels.centers, memory=memory, random=random_widths(randomness))


def _outputs(settings: config.ModelConfig, predicted: tuple[str, ...]) -> dict[str, int]:
    """Widths of the network's outputs in its order: sorted, the tracers standing where "tracers" would."""
    if not {"vorticity", "divergence"} <= set(predicted):
        raise SettingsError(f"the learned physics predicts {', '.join(predicted)}; vorticity and divergence are needed")
    names = {_WIND_OF.get(name, name): name for name in predicted}
    order = sorted(names, key=lambda name: ("tracers", name) if name in settings.tracers else (name, ""))
    layers = settings.model.levels.layers
    return {name: 1 if name == "log_surface_pressure" else layers for name in order}


def physics(settings: config.ModelConfig, plan: Plan, surface: Fields, orbit: radiation.Orbit, dt: float) -> Physics:
    """The learned physics of `settings` on the model's plan.

    surface: fixed fields [*nodal, 1, 1] without dimension (readings.surface_fields); dt: length of a physics step without
    dimension, which is also the filter's. SettingsError for settings that contradict each other.
    """
    node = settings.step.physics
    place = state_place(settings, settings.step.randomness, settings.encoder.memory)
    features = feature_set(node.features, place)
    outputs = _outputs(settings, node.predicted)
    network = Network({"features": features}, node.mapping, outputs, node.tendency_transform, place.centers)
    return Physics(reader(plan, features, surface, orbit), step_filters(node.filter, plan, dt), network)
