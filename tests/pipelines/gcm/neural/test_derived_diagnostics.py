"""Diagnostics of a model's settings: the column's water closes, cumulative fields add up, decoders pass them on."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere import layout, transform
from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.neural import derived_diagnostics as module
from sciml.pipelines.gcm.neural import radiation
from sciml.pipelines.gcm.neural.checkpoint import config as nodes
from sciml.pipelines.gcm.neural.checkpoint import haiku_names
from sciml.pipelines.gcm.neural.readings import Moment, surface_fields
from sciml.pipelines.gcm.scales import ATMOSPHERIC

LEARNED = nodes.PrecipitationDiagnosticsConstrained(
    nodes.ModalToNodalEmbedding(
        nodes.CombinedFeatures((nodes.LatitudeFeatures(), nodes.RadiationFeatures())),
        nodes.NodalMapping(nodes.ColumnTower(nodes.Mlp(4, 1))),
    )
)


@pytest.fixture
def case(little, states):
    """(settings, plan, surface fields, orbit, state, tendency, moment): called with the step's diagnostics."""

    def make(node):
        one = little("neuralgcm-2.8")
        settings = replace(one.settings, step=replace(one.settings.step, diagnostics=node))
        layers = settings.model.levels.layers
        state, _ = states.random(one.plan, layers, members=(2,), tracers=settings.tracers)
        tendency, _ = states.random(one.plan, layers, seed=1, members=(2,), tracers=settings.tracers)
        orbit = radiation.orbit(np.datetime64(settings.reference_datetime))
        surface = surface_fields(one.plan, one.surface)
        return settings, one.plan, surface, orbit, state, tendency, Moment(jnp.float32(1.0), one.forcing)

    return make


def made(case, node):
    settings, plan, surface, orbit, *rest = case(node)
    return module.diagnostics(settings, plan, surface, orbit), settings, plan, *rest


def test_surface_pressure_and_precipitable_water(case):
    both = nodes.CombinedDiagnostics((nodes.SurfacePressureDiagnostics(), nodes.PrecipitableWaterDiagnostics()))
    own, settings, plan, state, tendency, moment = made(case, both)
    found = own({}, state, tendency, moment)
    ps = jnp.exp(transform.synthesis(plan, state.log_surface_pressure))
    np.testing.assert_allclose(found["surface_pressure"], ps, rtol=1e-6)
    column = sum(transform.synthesis(plan, x) for x in state.tracers.values()).mean(-1, keepdims=True)
    wanted = ATMOSPHERIC.dim(ps, "Pa") / 9.80616 * column / 997.0  # layers of equal thickness
    np.testing.assert_allclose(ATMOSPHERIC.dim(found["precipitable_water"], "m"), wanted, rtol=1e-4, atol=1e-5)


def test_cumulative_adds_what_the_rate_says(case):
    rate, cumulative = (nodes.PrecipitationMinusEvaporationDiagnostics(method=m) for m in ("rate", "cumulative"))
    own, settings, _, state, tendency, moment = made(case, rate)
    adding = made(case, cumulative)[0]
    once = own({}, state, tendency, moment)["P_minus_E_rate"]
    first = adding({}, state, tendency, moment)
    second = adding({}, state, tendency, moment, previous=first)["P_minus_E_cumulative"]
    hours = ATMOSPHERIC.nondim(settings.step_seconds, "s")
    np.testing.assert_allclose(second, 2 * hours * once, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("is_precipitation", [True, False])
def test_precipitation_and_evaporation_close_the_budget(case, is_precipitation):
    node = replace(LEARNED, is_precipitation=is_precipitation, method_precipitation="rate")
    own, settings, plan, state, tendency, moment = made(case, node)
    params = jax.tree.map(jnp.asarray, haiku_names.initial(settings, 0)["diagnostics"])
    found = own(params, state, tendency, moment)
    budget = made(case, nodes.PrecipitationMinusEvaporationDiagnostics())[0]({}, state, tendency, moment)
    total = found["precipitation_rate"] * ATMOSPHERIC.nondim(997.0, "kg m-3") + found["evaporation"]
    np.testing.assert_allclose(total, budget["P_minus_E_rate"], rtol=1e-4, atol=1e-6)
    assert set(found) == set(module.names_of(node))
    assert found["evaporation"].shape == (*plan.nodal_shape, 2, 1)


def test_what_stands_twice_or_in_the_wrong_place_is_refused(case):
    twice = nodes.CombinedDiagnostics((nodes.SurfacePressureDiagnostics(), nodes.SurfacePressureDiagnostics()))
    own, _, plan, state, tendency, moment = made(case, twice)
    with pytest.raises(SettingsError, match="surface_pressure twice"):
        own({}, state, tendency, moment)
    with pytest.raises(SettingsError, match="decoder"):
        made(case, nodes.NodalModelDiagnosticsDecoder())
    with pytest.raises(SettingsError, match="PrecipitableWater"):
        module.of_decoder(nodes.PrecipitableWaterDiagnostics(), plan, state, {})


def test_a_decoder_passes_on_what_the_state_carries(case):
    _, plan, _, _, state, *_ = case(nodes.NoDiagnostics())
    carried = {"total_precipitation": jnp.ones((*plan.nodal_shape, 2, 1))}
    found = module.of_decoder(nodes.NodalModelDiagnosticsDecoder(), plan, state, carried)
    assert found is not carried and set(found) == {"total_precipitation"}
    both = nodes.CombinedDiagnostics((nodes.NodalModelDiagnosticsDecoder(), nodes.SurfacePressureDiagnostics()))
    assert set(module.of_decoder(both, plan, state, carried)) == {"total_precipitation", "surface_pressure"}
    assert module.of_decoder(nodes.NoDiagnostics(), plan, state, carried) == {}
    assert layout.to_standard(plan, found["total_precipitation"]).shape[:2] == (64, 32)


@pytest.mark.slow
def test_a_model_carries_its_precipitation_and_decodes_it(little):
    """Encode, one step, decode of a small model with learned precipitation: depths add up and come out in metres."""
    from sciml.pipelines.gcm.neural import model
    from sciml.pipelines.gcm.neural.encoder import ABBREVIATED
    from sciml.pipelines.gcm.neural.rollout_frames import frame

    one = little("neuralgcm-2.8")
    step = replace(one.settings.step, diagnostics=LEARNED)
    decoder = replace(one.settings.decoder, diagnostics=nodes.NodalModelDiagnosticsDecoder())
    settings = replace(one.settings, step=step, decoder=decoder)
    params = dict(one.params) | {"diagnostics": haiku_names.initial(settings, 0)["diagnostics"]}
    own = model.build(settings, params, one.surface)
    short = {long: one.weather[ABBREVIATED.get(long, long)] for long in own.input_variables}
    start = jax.jit(own.encode, static_argnums=3)(short, one.forcing, jax.random.key(0), 1, jnp.float32(0))
    later = jax.jit(own.advance)(start, one.forcing)
    assert set(later.diagnostics) == {"total_precipitation", "evaporation"}
    names = ("total_precipitation", "evaporation", "temperature")
    first, second = (frame(own, x, one.forcing, names, own.pressure_levels) for x in (start, later))
    added = second["total_precipitation"] - first["total_precipitation"]
    np.testing.assert_allclose(
        added, first["total_precipitation"], rtol=1e-3, atol=1e-7
    )  # its inputs hardly change in an hour
    assert second["evaporation"].shape == (1, 32, 64)


@pytest.mark.parametrize("method", ["rate", "cumulative"])
def test_water_and_pressure_are_the_originals(case, peer, method):
    """The original's own classes on the same state and tendencies, first member."""
    original = pytest.importorskip("neuralgcm.legacy.diagnostics")
    node = nodes.CombinedDiagnostics((
        nodes.SurfacePressureDiagnostics(), nodes.PrecipitableWaterDiagnostics(), nodes.PrecipitationMinusEvaporationDiagnostics(method=method),
    ))  # fmt: skip
    own, settings, plan, state, tendency, moment = made(case, node)
    before = {"P_minus_E_cumulative": jnp.full((*plan.nodal_shape, 2, 1), 0.3)}
    found = own({}, state, tendency, moment, previous=before)

    def theirs(one):
        rows = jax.tree.map(lambda x: peer.to_rows(plan, x[..., 0, :]), one)
        return SimpleNamespace(log_surface_pressure=rows.log_surface_pressure, tracers=rows.tracers)

    coords = peer.coordinate_systems.CoordinateSystem(
        peer.spherical_harmonic.Grid.TL31(spherical_harmonics_impl=peer.spherical_harmonic.RealSphericalHarmonics),
        peer.sigma_coordinates.SigmaCoordinates.equidistant(settings.model.levels.layers),
    )
    options = {"coords": coords, "dt": ATMOSPHERIC.nondim(settings.step_seconds, "s"), "physics_specs": peer.specs, "aux_features": {}}
    kinds = (original.SurfacePressureDiagnostics, original.PrecipitableWaterDiagnostics)
    parts = [*(kind(**options) for kind in kinds), original.PrecipitationMinusEvaporationDiagnostics(**options, method=method)]
    whole = SimpleNamespace(
        state=theirs(state), tracers=theirs(state).tracers, diagnostics={name: jnp.full((64, 32), 0.3) for name in before}
    )
    wanted = {name: x for part in parts for name, x in part(whole, theirs(tendency)).items()}
    assert set(found) == set(wanted) and len(wanted) == 3
    for name, x in wanted.items():
        ours = layout.to_standard(plan, found[name][..., 0, :])[..., 0]
        assert float(jnp.linalg.norm(ours - x) / jnp.linalg.norm(x)) < 1e-5, name
