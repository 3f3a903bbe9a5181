"""A published configuration shrunk until it compiles in a second, with weights, surface and weather to run it on."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere import layout, operators, transform
from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.gcm.dynamics.primitive_equations import primitive_equations
from sciml.pipelines.gcm.dynamics.state import State
from sciml.pipelines.gcm.dynamics.vertical import equidistant
from sciml.pipelines.gcm.neural.checkpoint import config, haiku_names, papers
from sciml.pipelines.gcm.scales import ATMOSPHERIC

LAYERS, PRESSURES, CHANNELS = 6, (20.0, 100.0, 250.0, 500.0, 700.0, 850.0, 1000.0), 12


def shrunk(node):
    """`node` with small grids and networks; features and constants stay."""
    if isinstance(node, tuple):
        return tuple(shrunk(item) for item in node)
    if not isinstance(node, config.Node):
        return node
    given = {field.name: shrunk(getattr(node, field.name)) for field in dataclasses.fields(node)}
    match node:
        case config.Grid():
            return config.Grid.of_gaussian(31, 16, layout=node.layout)
        case config.SigmaLevels():
            return config.SigmaLevels.equidistant(LAYERS)
        case config.DataCoordinates():
            given["pressure_levels"] = PRESSURES
        case config.Mlp():
            given["hidden_units"] = min(node.hidden_units, 6)
        case config.EpdTower():
            given |= {"latent_size": 6, "process_blocks": 1}
        case config.VerticalConvTower():
            given["channels"] = (4,)
        case config.EmbeddingVolumeFeatures():
            given["output_size"] = CHANNELS
        case config.LevelScale() | config.InverseLevelScale():
            given["scales"] = node.scales[4::5][: LAYERS if len(node.scales) == 32 else len(PRESSURES)]
        case config.LearnedPositionalFeatures():
            given["latent_size"] = 2
        case config.ModelConfig():
            given["reference_temperature"] = tuple(np.linspace(220, 280, LAYERS))
    return type(node)(**given)


def surface(plan):
    """Fixed fields [i, j] in SI units: a hill and a smooth coast."""
    lon, lat = np.radians(plan.longitude)[:, None], np.radians(plan.latitude)[None]
    hill = 2e4 * np.exp(-4 * (1 - np.cos(lat) * np.cos(lon - 1)))
    return {"geopotential_at_surface": hill, "land_sea_mask": 0.5 + 0.5 * np.cos(lat) * np.cos(lon)}


def weather(plan, seed=0):
    """Nodal fields on PRESSURES [*nodal, 1, p] without dimension: smooth, moist, hydrostatic."""
    rng = np.random.default_rng(seed)
    lon, lat = (np.radians(x) for x in np.meshgrid(plan.longitude, plan.latitude, indexing="ij"))
    p = np.asarray(PRESSURES) / 1000
    wave = np.cos(lat)[..., None] ** 2 * np.cos(lon[..., None] * 3 + rng.uniform(0, 6) + 2 * p)
    t = 200 + 90 * p + 5 * wave - 15 * np.sin(lat)[..., None] ** 2
    z = 287.0 * 250.0 * np.log(1.02 / p) + 500 * wave
    q = 0.012 * p**3 * (1 + 0.3 * wave)
    fields = {"u": (20 * wave, "m s-1"), "v": (9 * wave[::-1], "m s-1"), "t": (t, "K"), "z": (z, "m2 s-2")}
    fields |= {"specific_humidity": (q, "1")}
    fields |= {f"specific_cloud_{kind}_water_content": (q * 1e-3 * (1 + wave), "1") for kind in ("ice", "liquid")}
    return {
        name: jnp.asarray(layout.from_standard(plan, ATMOSPHERIC.nondim(x, unit))[..., None, :], jnp.float32)
        for name, (x, unit) in fields.items()
    }


def forcing(plan):
    """Sea-surface temperature and sea-ice cover [*nodal, 1, 1]."""
    lat = np.radians(plan.latitude)[None] + 0 * plan.longitude[:, None]
    fields = {"sea_surface_temperature": 272 + 28 * np.cos(lat), "sea_ice_cover": np.clip(2 * np.abs(lat) - 2, 0, 1)}
    return {k: jnp.asarray(layout.from_standard(plan, x)[..., None, None], jnp.float32) for k, x in fields.items()}


def weights(settings, seed=0):
    """Random weights, none of them zero."""
    rng = np.random.default_rng(seed)
    params = haiku_names.initial(settings, seed)
    return jax.tree.map(lambda x: jnp.asarray(x + 0.1 * rng.normal(size=np.shape(x)), jnp.float32), params)


@pytest.fixture(scope="session")
def little():
    """(name of a published model) -> its little version: settings, plan, params, surface, weather, forcing."""
    made = {}

    def make(name="neuralgcm-2.8"):
        if name not in made:
            settings, plan = shrunk(papers.config(name)), make_plan("TL31")
            made[name] = SimpleNamespace(
                settings=settings,
                plan=plan,
                params=weights(settings),
                surface=surface(plan),
                weather=weather(plan),
                forcing=forcing(plan),
            )
        return made[name]

    return make


# --- a stand-in for a whole model: the same interface, nothing learned, for tests of what drives it

SIX_LEVELS = (10.0, 100.0, 250.0, 500.0, 700.0, 850.0)  # as many as layers: the stand-in takes one for the other
WATER = ("specific_cloud_ice_water_content", "specific_cloud_liquid_water_content", "specific_humidity")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class StandInState:
    state: State
    sim_time: Any
    memory: State | None
    randomness: Any


class ByIdentity(SimpleNamespace):
    """Compared and hashed by identity, as a static field of a pytree must be."""

    __hash__ = object.__hash__

    def __eq__(self, other):
        return self is other


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class StandIn:
    equation: Any
    config: Any = dataclasses.field(metadata={"static": True})
    pressure_levels: tuple[float, ...] = dataclasses.field(default=SIX_LEVELS, metadata={"static": True})
    step_hours: float = dataclasses.field(default=1.0, metadata={"static": True})
    tracers: tuple[str, ...] = dataclasses.field(default=WATER, metadata={"static": True})

    @property
    def plan(self):
        return self.equation.plan

    @property
    def levels(self):
        return self.equation.levels

    @property
    def input_variables(self):
        return ("geopotential", "temperature", "u_component_of_wind", "v_component_of_wind", *self.tracers)

    def encode(self, inputs, forcing, key, members, sim_time):
        plan = self.plan
        several = {name: jnp.repeat(x, members, axis=-2) for name, x in inputs.items()}
        wind = operators.vorticity_divergence(plan, several["u_component_of_wind"], several["v_component_of_wind"])
        keys = jax.vmap(lambda n: jax.random.fold_in(key, n))(jnp.arange(members))
        drawn = jax.vmap(lambda one: jax.random.normal(one, ()))(keys)
        temperature = several["temperature"] - self.equation.reference_temperature + 0.1 * drawn[:, None]
        ps = jnp.full((*plan.nodal_shape, members, 1), np.log(ATMOSPHERIC.nondim(1e5, "Pa")), jnp.float32)
        state = State(
            *wind, transform.analysis(plan, temperature), transform.analysis(plan, ps),
            {name: transform.analysis(plan, several[name]) for name in self.tracers},
        )  # fmt: skip
        return StandInState(state, sim_time, jax.tree.map(jnp.copy, state), jax.random.key_data(keys))

    def advance(self, state, forcing):
        keys = jax.vmap(lambda one: jax.random.split(jax.random.wrap_key_data(one))[0])(state.randomness)
        drawn = jax.vmap(lambda one: jax.random.normal(one, ()))(keys)
        warm = 1e-2 * (forcing["sea_surface_temperature"].mean() - 280.0) + 0.01 * drawn[:, None]
        now, plan = state.state, self.plan
        mean = jnp.asarray((plan.total_wavenumber == 0) & plan.mask)[..., None, None]
        warmer = now.temperature_variation + warm * mean
        following = dataclasses.replace(now, vorticity=0.999 * now.vorticity, temperature_variation=warmer)
        return StandInState(following, state.sim_time + 0.525024, now, jax.random.key_data(keys))

    def decode(self, state, forcing):
        now, plan = state.state, self.plan
        u, v = (transform.synthesis(plan, x) for x in operators.cos_lat_wind(plan, now.vorticity, now.divergence))
        sec = plan.rows(plan.cos_lat * plan.sec2_lat, u.ndim)
        t = transform.synthesis(plan, now.temperature_variation) + self.equation.reference_temperature
        water = {name: transform.synthesis(plan, x) for name, x in now.tracers.items()}
        return {"u": u * sec, "v": v * sec, "t": t, "z": t * 1e-3, **water}

    def physics_tendency(self, state, forcing):
        drying = {name: -1e-3 * x for name, x in state.state.tracers.items()}
        zero = jax.tree.map(jnp.zeros_like, dataclasses.replace(state.state, log_surface_pressure=None))
        return dataclasses.replace(zero, tracers=drying)


def stand_in_settings(random=True):
    """What a rollout reads of a model's configuration."""
    fields = config.BatchGaussianRandomFields((3600.0,), (1e6,), (1.0,)) if random else config.NoRandomField()
    grid = config.Grid.of_gaussian(21, 16)
    dycore = SimpleNamespace(integrator="imex_rk_sil3", inner_steps=3, coordinates=None)
    return ByIdentity(
        encoder=SimpleNamespace(memory=False, randomness=fields),
        forcing=config.DynamicDataForcing(config.Table({}), 366 * 86400.0),
        step=SimpleNamespace(randomness=fields, substeps=1, dycore=dycore, diagnostics=config.NoDiagnostics()),
        decoder=SimpleNamespace(diagnostics=config.NoDiagnostics()),
        model=SimpleNamespace(grid=grid, levels=SimpleNamespace(layers=len(SIX_LEVELS))),
        data=SimpleNamespace(grid=grid, pressure_levels=SIX_LEVELS), tracers=WATER, step_seconds=3600.0,
        reference_datetime="1979-01-01T00:00:00",
    )  # fmt: skip


@pytest.fixture(scope="session")
def stand_in():
    """The model; its configuration is `stand_in.config`."""
    levels = equidistant(len(SIX_LEVELS))
    return StandIn(primitive_equations(make_plan("T21"), levels, 250.0), stand_in_settings())


@pytest.fixture
def as_neural(stand_in, monkeypatch):
    """Lets rollouts of --model neuralgcm-2.8 and neuralgcm-ens-1.4 run the stand-in; the first is deterministic."""
    from sciml.pipelines.gcm.neural import model, rollout_memory, rollout_prepare

    def weights(settings):
        own = stand_in.config if "ens" in settings.model else stand_in_settings(random=False)
        return own, {"one": np.ones(3)}, {}, {"model": settings.model}

    for module in (rollout_prepare, rollout_memory):
        monkeypatch.setattr(module, "weights", weights)
    monkeypatch.setattr(
        model, "build", lambda own, params, fields, **options: dataclasses.replace(stand_in, config=own)
    )
    return stand_in
