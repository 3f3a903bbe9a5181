"""The whole model: forecasts of the original package, ensembles, time, and what is refused."""

import pickle
from dataclasses import fields, replace

import jax
import numpy as np
import pytest

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.gcm.bench import neural as bench
from sciml.pipelines.gcm.neural import members
from sciml.pipelines.gcm.neural import model as models
from sciml.pipelines.gcm.neural.checkpoint import config, haiku_names, original, papers, store
from sciml.pipelines.gcm.neural.checkpoint.surface import Aux, nodes_of
from sciml.pipelines.gcm.scales import ATMOSPHERIC

GATES = {
    "temperature": 1e-5, "geopotential": 1e-5, "u_component_of_wind": 1e-4, "v_component_of_wind": 1e-4,
    "specific_humidity": 1e-4, "specific_cloud_ice_water_content": 1e-3, "specific_cloud_liquid_water_content": 1e-3,
}  # fmt: skip
PARAMETERS = {"2.8": 14_518_180, "1.4": 18_343_580, "0.7": 31_123_612, "ens-1.4": 11_519_823}


def check(ours, theirs, when, gates=GATES):
    """Relative L2 differences of decoded fields within their gates."""
    assert set(gates) <= set(theirs) and set(gates) <= set(ours)
    found = {n: float(np.linalg.norm(ours[n] - theirs[n]) / np.linalg.norm(theirs[n])) for n in gates}
    over = {n: f"{x:.1e} > {gates[n]:.0e}" for n, x in found.items() if not x <= gates[n]}
    assert not over, f"{when}: {over}"


def climb(path, hours):
    """Both models from the same analysis and key, compared at `hours`."""
    theirs = bench.Original(path)
    ours = bench.Ours(path, theirs.inputs, theirs.forcings)
    a, b, now = ours.start(), theirs.start(), 0
    for hour in hours:
        a, b, now = ours.hours(a, hour - now), theirs.hours(b, hour - now), hour
        assert float(a.sim_time) == float(b.state.sim_time)
        check(ours.output(a), theirs.output(b), f"after {hour} h")


@pytest.mark.slow
def test_mini_as_the_original():
    """Trained and stochastic: encoded state and first hour."""
    pytest.importorskip("neuralgcm")
    climb(bench.demonstration(), (0, 1))


@pytest.mark.slow
def test_mini_for_three_days():
    pytest.importorskip("neuralgcm")
    climb(bench.demonstration(), (6, 24, 72))


def surface(grid):
    """Fixed fields of a smooth continent."""
    lon, lat = nodes_of(grid)
    x, y = np.radians(lon)[:, None], np.radians(lat)[None]
    near = np.exp(-3 * (1 - np.cos(y) * np.cos(x - 1)))
    fields = {"geopotential_at_surface": 15000 * near, "land_sea_mask": np.clip(3 * near - 1, 0, 1)}
    levels = np.asarray(papers.config("neuralgcm-2.8").data.pressure_levels)
    return Aux(lon, lat, levels, {name: f.astype(np.float32) for name, f in fields.items()})


def paper(name, folder, seed=0):
    """A checkpoint of a published configuration with random weights, in the released form."""
    settings = papers.config(f"neuralgcm-{name}")
    made = papers.checkpoint(f"neuralgcm-{name}", seed, surface(settings.data.grid))
    assert sum(x.size for x in jax.tree.leaves(made.params)) == PARAMETERS[name]
    return written(made, folder)


def written(made, folder):
    """Path of a checkpoint in the released form."""
    path = folder / "model.pkl"
    path.write_bytes(pickle.dumps(original.to_checkpoint(made)))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", ["2.8", "1.4", "ens-1.4", "0.7"])
def test_published_configurations_as_the_original(name, tmp_path):
    """With random weights, which run away within a day: encoded state and first hour."""
    pytest.importorskip("neuralgcm")
    climb(paper(name, tmp_path), (0, 1))


def small(name="ens-1.4"):
    """A checkpoint of random weights of a published configuration on a coarse grid with narrow towers."""
    settings = papers.config(f"neuralgcm-{name}")
    model, data = settings.model, settings.data
    node = settings.step.dycore
    layout = model.grid.layout
    grid = config.Grid.of_gaussian(31, 16, layout=layout)
    inner = config.Coordinates(config.Grid.of_wavenumbers(31, layout=layout), model.levels)
    settings = replace(
        narrow(settings), model=replace(model, grid=grid), data=replace(data, grid=grid),
        step=replace(narrow(settings).step, dycore=replace(node, coordinates=inner, inner_steps=1)),
    )  # fmt: skip
    return store.Checkpoint(settings, haiku_names.initial(settings, 0), surface(grid), {})


def narrow(node):
    """`node` with every tower of one block of 16 channels."""
    if isinstance(node, config.EpdTower):
        return replace(node, latent_size=16, process_blocks=1, **{
            part: replace(one, net=replace(one.net, hidden_units=16))
            for part in ("encode", "process", "decode") for one in (getattr(node, part),)
        })  # fmt: skip
    if isinstance(node, tuple):
        return tuple(narrow(one) for one in node)
    if not isinstance(node, config.Node):
        return node
    return replace(node, **{f.name: narrow(getattr(node, f.name)) for f in fields(node)})


def weather(model, rng):
    """(inputs, forcing) of a smooth atmosphere at the grid points, without dimension."""
    plan, pressure = model.plan, np.asarray(model.pressure_levels)
    shape = (*plan.nodal_shape, 1, len(pressure))
    lat = np.broadcast_to(np.arcsin(np.asarray(plan.sin_lat)), (*plan.nodal_shape, 1))[..., None]
    temperature = np.broadcast_to(215 + 70 * (pressure / 1000) ** 0.6 * np.cos(lat) ** 2, shape)
    height = -7400 * np.log(pressure / 1000)
    smooth = {
        "temperature": temperature, "geopotential": ATMOSPHERIC.nondim(9.8 * height, "m2 s-2") + 0 * temperature,
        "u_component_of_wind": ATMOSPHERIC.nondim(20 * np.sin(2 * lat) ** 2, "m s-1") + 0 * temperature,
        "v_component_of_wind": 0 * temperature,
    }  # fmt: skip
    wet = 1e-3 * (pressure / 1000) ** 3 + 0 * temperature
    inputs = smooth | {name: wet * rng.uniform(0.9, 1.1) for name in model.tracers}
    sea = {"sea_surface_temperature": 285 + 0 * lat, "sea_ice_cover": 0 * lat}
    return [{name: np.float32(x) for name, x in one.items()} for one in (inputs, sea)]


@pytest.mark.slow
def test_a_small_ensemble_model_as_the_original(tmp_path):
    """Two physics steps an hour and random fields by name, in encoder and physics."""
    pytest.importorskip("neuralgcm")
    climb(written(small(), tmp_path), (0, 1))


def test_shapes_of_an_ensemble_model():
    """Everything traces, with members on their axis, and a step keeps the form of the state."""
    made = small()
    model = models.build(made.config, made.params, made.aux)
    inputs, sea = weather(model, np.random.default_rng(0))
    start = jax.eval_shape(lambda m: m.encode(inputs, sea, jax.random.key(0), 3, np.float32(0.0)), model)
    following = jax.eval_shape(lambda m, s: m.advance(s, sea), model, start)
    assert jax.tree.structure(following) == jax.tree.structure(start)
    assert [x.shape for x in jax.tree.leaves(following)] == [x.shape for x in jax.tree.leaves(start)]
    assert start.state.vorticity.shape == (*model.plan.modal_shape, 3, 32) and start.memory is None
    fields = jax.eval_shape(lambda m, s: m.decode(s, sea), model, start)
    assert set(fields) == {"u", "v", "t", "z", *model.tracers}
    assert {x.shape for x in fields.values()} == {(*model.plan.nodal_shape, 3, 37)}


@pytest.mark.slow
def test_members_and_resume():
    """Member 0 is the run of one member, the others differ; a state restored from arrays goes on bit for bit."""
    made = small()
    model, settings = models.build(made.config, made.params, made.aux), made.config
    inputs, sea = weather(model, np.random.default_rng(0))
    start = jax.jit(models.NeuralModel.encode, static_argnames="members")
    step = jax.jit(models.NeuralModel.advance)
    one, three = (step(model, start(model, inputs, sea, jax.random.key(3), n, np.float32(0.0)), sea) for n in (1, 3))
    a, b = one.state.temperature_variation, three.state.temperature_variation
    assert np.isfinite(b).all() and b.shape[-2] == 3
    np.testing.assert_allclose(b[..., :1, :], a, atol=2e-5 * float(np.abs(a).max()))
    assert np.abs(b[..., 0, :] - b[..., 1, :]).max() > 1e-6
    # a member has the same bits in an ensemble of any size
    several = [members.encode(model, inputs, sea, jax.random.key(3), n, np.float32(0.0)) for n in (2, 3)]
    few, more = (members.member(members.advance(model, state, sea), 1) for state in several)
    jax.tree.map(np.testing.assert_array_equal, few, more)
    np.testing.assert_allclose(few.state.temperature_variation, b[..., 1:2, :], atol=2e-5 * float(np.abs(a).max()))
    assert settings.step.substeps == 2 and int(three.randomness.step) == 2
    assert float(three.sim_time) == pytest.approx(ATMOSPHERIC.nondim(1.0, "hour"))
    restored = jax.tree.unflatten(jax.tree.structure(three), [np.asarray(x) for x in jax.tree.leaves(three)])
    for x, y in zip(*(jax.tree.leaves(step(model, s, sea)) for s in (three, restored)), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.fixture(scope="module")
def settings():
    return papers.config("neuralgcm-2.8")


def with_equations(settings, **changes):
    """`settings` with other equations in the dynamics."""
    node = settings.step.dycore
    node = replace(node, equations=replace(node.equations, **changes))
    return replace(settings, step=replace(settings.step, dycore=node))


def test_settings_that_are_refused(settings):
    shifted = replace(settings.model, grid=replace(settings.model.grid, longitude_offset=0.1))
    for changed, words in (
        (replace(settings, scale="default"), "scale is default; accepted: atmospheric"),
        (replace(settings, model=shifted), "longitude 0.1 rad"),
        (with_equations(settings, vertical_advection="upwind"), "centred vertical advection"),
        (with_equations(settings, cloud_moisture=False), "no weight to specific_cloud_ice_water_content"),
    ):
        with pytest.raises(SettingsError, match=words):
            models.build(changed, {}, {})


def test_missing_surface_fields_are_named(settings):
    with pytest.raises(DataError, match="geopotential_at_surface"):
        models.build(settings, {"dycore": {}}, {"land_sea_mask": np.zeros((128, 64))})
