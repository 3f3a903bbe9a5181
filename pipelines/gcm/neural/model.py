"""A NeuralGCM model: analysis to state, a step of learned physics over dynamics, state to fields on pressure levels.

    advance: substeps times { tendency = physics(state);  state = dynamics under that tendency;  time, memory, randomness }

One step is an hour; the forcing is held over it. Members of an ensemble are an axis of every array; members.py says how
they are stepped. A model is a pytree of tables and weights, to be passed to compiled functions as an argument.

NOTE: random fields are built for a whole step but advanced in every substep, as in the released models.

Source: Kochkov et al. (2024), Neural general circulation models for weather and climate.
Axes: [*modal], [*nodal] of the plan, e member, k layer, p pressure level (last).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from sciml.kernels.sphere.grids import Truncation
from sciml.kernels.sphere.plan import Plan, make_plan
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.gcm.dynamics.primitive_equations import PrimitiveEquations, primitive_equations
from sciml.pipelines.gcm.dynamics.state import CLOUD_ICE, CLOUD_LIQUID, State
from sciml.pipelines.gcm.dynamics.vertical import SigmaLevels
from sciml.pipelines.gcm.neural import radiation
from sciml.pipelines.gcm.neural.checkpoint import config as c
from sciml.pipelines.gcm.neural.corrector import Corrector, corrector, next_time
from sciml.pipelines.gcm.neural.decoder import Decoder, decoder
from sciml.pipelines.gcm.neural.derived_diagnostics import Diagnostics, diagnostics, of_decoder
from sciml.pipelines.gcm.neural.encoder import ABBREVIATED, Encoder, encoder
from sciml.pipelines.gcm.neural.normalization import Fields
from sciml.pipelines.gcm.neural.physics import Physics, physics
from sciml.pipelines.gcm.neural.randomness import (
    RandomFields,
    RandomState,
    call_keys,
    decoding_keys,
    member_keys,
    random_fields,
)
from sciml.pipelines.gcm.neural.readings import Moment, surface_fields
from sciml.pipelines.gcm.neural.spectral_filters import step_filters
from sciml.pipelines.gcm.neural.surface_height import surface_height
from sciml.pipelines.gcm.scales import ATMOSPHERIC


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ModelState:
    """What a run carries. sim_time: float32 without dimension since the model's reference date, the same for all members.

    memory: the state of the step before, for models that read it; randomness: of the step's random fields; diagnostics:
    those of the model's settings [*nodal, e, 1], mostly none.
    """

    state: State
    sim_time: Array
    memory: State | None
    randomness: RandomState
    diagnostics: dict[str, Array] = field(default_factory=dict)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class NeuralModel:
    """Made by `build`. params: nested dictionary of the weights, as in the checkpoint.

    equation: the dynamics' equations on the model's own plan, for diagnostics.
    """

    params: Any
    encoder: Encoder
    decoder: Decoder
    physics: Physics
    corrector: Corrector
    equation: PrimitiveEquations
    diagnostics: Diagnostics
    config: c.ModelConfig = field(metadata={"static": True})
    randomness: tuple[RandomFields, RandomFields, RandomFields] = field(metadata={"static": True})

    # --- what it is

    @property
    def plan(self) -> Plan:
        """The plan of states, analyses and output."""
        return self.equation.plan

    @property
    def levels(self) -> SigmaLevels:
        """The layers of the state."""
        return self.equation.levels

    @property
    def pressure_levels(self) -> tuple[float, ...]:
        """hPa, ascending."""
        return self.config.data.pressure_levels

    @property
    def step_hours(self) -> float:
        """Length of a step [h]."""
        return self.config.step_seconds / 3600

    @property
    def tracers(self) -> tuple[str, ...]:
        """Names of the tracers."""
        return self.config.tracers

    @property
    def input_variables(self) -> tuple[str, ...]:
        """Names of the fields of an analysis."""
        return (*ABBREVIATED, *self.config.tracers)

    @property
    def forcing_variables(self) -> tuple[str, ...]:
        """Names of the fields of the forcing."""
        return self.config.forcing_variables

    @cached_property
    def _dt(self) -> float:
        return ATMOSPHERIC.nondim(self.config.step_seconds, "s") / self.config.step.substeps

    # --- what it does; all of it can be compiled with the model as an argument

    def encode(
        self, inputs: Mapping[str, Array], forcing: Mapping[str, Array], key: Array, members: int, sim_time: Array
    ) -> ModelState:
        """The state of an analysis.

        inputs: `input_variables` [*nodal, e or 1, p] without dimension; forcing: [*nodal, 1, 1] in K and 0..1; key:
        jax.random.key(seed). DataError for a missing variable.
        """
        missing = [name for name in self.input_variables if name not in inputs]
        if missing:
            raise DataError(
                f"the analysis lacks {', '.join(missing)}", hint=f"needed: {', '.join(self.input_variables)}"
            )
        fields = {ABBREVIATED.get(name, name): jnp.asarray(inputs[name]) for name in self.input_variables}
        first, second = call_keys(member_keys(key, members), memory=self.config.encoder.memory)
        drawn, _, stepped = self.randomness
        sample = drawn.start(self.plan, self.params["encoder"].get("randomness"), first)
        sim_time = jnp.asarray(sim_time, jnp.float32)
        moment = Moment(sim_time, forcing, drawn.values(self.plan, sample))
        state, memory = jax.tree.map(partial(_for_members, members=members), self.encoder(self.params, fields, moment))
        found = ModelState(state, sim_time, memory, stepped.start(self.plan, self.params.get("randomness"), second))
        if not self.diagnostics.parts:
            return found
        return replace(found, diagnostics=self._diagnosed(found, self.physics_tendency(found, forcing), forcing))

    def _moment(self, state: ModelState, forcing: Mapping[str, Array]) -> Moment:
        return Moment(state.sim_time, forcing, self.randomness[2].values(self.plan, state.randomness))

    def physics_tendency(self, state: ModelState, forcing: Mapping[str, Array]) -> State:
        """The tendency [*modal, e, k] that the first substep from `state` holds, without dimension."""
        return self.physics(self.params["physics"], state.state, self._moment(state, forcing), state.memory)

    def _diagnosed(self, now: ModelState, tendency: State, forcing: Mapping[str, Array]) -> dict[str, Array]:
        """The diagnostics that go with the next state."""
        if not self.diagnostics.parts:
            return {}
        params, moment = self.params.get("diagnostics", {}), self._moment(now, forcing)
        return self.diagnostics(params, now.state, tendency, moment, now.memory, now.diagnostics)

    def advance(self, state: ModelState, forcing: Mapping[str, Array]) -> ModelState:
        """The state one step later."""

        def substep(_: Any, now: ModelState) -> ModelState:
            tendency = self.physics_tendency(now, forcing)
            following = self.corrector(now.state, tendency)
            memory = None if now.memory is None else now.state
            randomness = self.randomness[2].advance(self.plan, self.params.get("randomness"), now.randomness)
            diagnosed = self._diagnosed(now, tendency, forcing)
            return ModelState(following, next_time(now.sim_time, self._dt), memory, randomness, diagnosed)

        if self.config.step.substeps == 1:
            return substep(0, state)
        return lax.fori_loop(0, self.config.step.substeps, substep, state)

    def decode(self, state: ModelState, forcing: Mapping[str, Array]) -> Fields:
        """u, v, t, z and the tracers [*nodal, e, p] without dimension, and the diagnostics of the settings [*nodal, e, 1]."""
        drawn = self.randomness[1]
        sample = drawn.start(self.plan, self.params["decoder"].get("randomness"), decoding_keys(state.randomness))
        moment = Moment(state.sim_time, forcing, drawn.values(self.plan, sample))
        further = of_decoder(self.config.decoder.diagnostics, self.plan, state.state, state.diagnostics)
        return self.decoder(self.params["decoder"], state.state, moment) | further


def _for_members(x: Array, members: int) -> Array:
    """`x` [..., 1 or e, k] for every member."""
    return jnp.broadcast_to(x, (*x.shape[:-2], members, x.shape[-1]))


def plan_of(grid: c.Grid, **options: Any) -> Plan:
    """The plan of a grid of the settings; `options` are those of make_plan. SettingsError for one we do not have."""
    if grid.longitude_offset != 0 or grid.radius != 1:
        raise SettingsError(
            f"the grid starts at longitude {grid.longitude_offset} rad and has radius {grid.radius}",
            hint="accepted: longitude_offset 0 and radius 1",
        )
    m, total = grid.longitude_wavenumbers, grid.total_wavenumbers
    name = f"{grid.longitude_nodes} x {grid.latitude_nodes} grid with {m} zonal wavenumbers"
    try:
        truncation = Truncation(name, m, total, grid.longitude_nodes, grid.latitude_nodes)
        return make_plan(truncation, grid=grid.latitude_spacing, **options)
    except ValueError as error:
        raise SettingsError(f"the model's {name}: {error}") from None


def _check(settings: c.ModelConfig) -> None:
    equations = settings.step.dycore.equations
    if settings.scale != "atmospheric":
        raise SettingsError(f"the model's scale is {settings.scale}; accepted: atmospheric, the released models'")
    if not (equations.include_vertical_advection and equations.vertical_advection == "centered"):
        raise SettingsError("the model's dynamics have no centred vertical advection", hint="the released models have")
    clouds = [name for name in settings.tracers if name in (CLOUD_ICE, CLOUD_LIQUID)]
    if clouds and not equations.cloud_moisture:
        raise SettingsError(
            f"the model's dynamics give no weight to {', '.join(sorted(clouds))}",
            hint="accepted with these tracers: MoistPrimitiveEquationsWithCloudMoisture",
        )


def _dynamics(
    settings: c.ModelConfig, model: Plan, params: Mapping[str, Any], fields: Mapping[str, np.ndarray], **options: Any
) -> tuple[Corrector, PrimitiveEquations]:
    """The corrector, and its equations on the model's own plan."""
    node = settings.step.dycore
    coordinates = node.coordinates or settings.model
    inner = model if coordinates.grid == settings.model.grid else plan_of(coordinates.grid, **options)
    levels = SigmaLevels(coordinates.levels.boundaries)
    if coordinates.levels != settings.model.levels:
        raise SettingsError("the dynamics have other layers than the model", hint="accepted: the same layers")
    ground = surface_height(node.equations.orography, model, inner, fields)
    height = ground.modal(inner, params.get("dycore", {}))
    make = partial(primitive_equations, levels=levels, reference_temperature=settings.reference_temperature)
    # the largest wavenumber of an encoded state is not empty, so the form of the humidity terms matters in the first step
    equation = make(inner, orography=height, expanded=True)
    dt = ATMOSPHERIC.nondim(settings.step_seconds, "s") / settings.step.substeps
    filters = step_filters(node.filter, inner, dt)
    nest = corrector(model, equation, dt, node.inner_steps, filters, node.integrator)
    return nest, make(model, orography=nest.pad(height))


def build(settings: c.ModelConfig, params: Mapping[str, Any], aux: Mapping[str, Any], **options: Any) -> NeuralModel:
    """The model of `settings` with weights `params` and fixed fields `aux` [i, j] in SI units by name.

    options: of the transforms, as of make_plan (precision, platform). SettingsError for settings that this model does not
    have, DataError for fields that are missing.
    """
    _check(settings)
    fields = getattr(aux, "fields", aux)
    plan = plan_of(settings.model.grid, **options)
    orbit = radiation.orbit(np.datetime64(settings.reference_datetime))
    surface = surface_fields(plan, fields)
    dt, rows = ATMOSPHERIC.nondim(settings.step_seconds, "s"), settings.model.grid.layout
    nest, equation = _dynamics(settings, plan, params, fields, **options)
    return NeuralModel(
        params=jax.tree.map(jnp.asarray, dict(params)),
        encoder=encoder(settings, plan, fields, orbit),
        decoder=decoder(settings, plan, fields, orbit),
        physics=physics(settings, plan, surface, orbit, dt / settings.step.substeps),
        corrector=nest,
        equation=equation,
        diagnostics=diagnostics(settings, plan, surface, orbit),
        config=settings,
        randomness=tuple(
            random_fields(one.randomness, dt, rows) for one in (settings.encoder, settings.decoder, settings.step)
        ),
    )
