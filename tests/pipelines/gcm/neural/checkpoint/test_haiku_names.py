"""Weights by both names: published counts, the public checkpoint, strictness, initial values, the original as oracle."""

import dataclasses
import math

import numpy as np
import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint import config as c
from sciml.pipelines.gcm.neural.checkpoint import original, papers
from sciml.pipelines.gcm.neural.checkpoint.haiku_names import (
    checked_tree,
    from_haiku,
    initial,
    to_haiku,
)
from sciml.pipelines.gcm.neural.checkpoint.schema import model_config
from sciml.pipelines.gcm.neural.checkpoint.store import leaves


def test_the_public_checkpoint_is_used_whole(mini):
    config = model_config(mini["model_config_str"], source="mini")
    params = from_haiku(config, mini["params"], source="mini")
    assert sum(value.size for _, value in leaves(params)) == 191_174
    back = to_haiku(config, params)
    assert {m: set(a) for m, a in back.items()} == {m: set(a) for m, a in mini["params"].items()}
    for module, arrays in back.items():
        for name, value in arrays.items():
            assert value.tobytes() == np.asarray(mini["params"][module][name]).tobytes()
    assert params["physics"]["features"]["CNN1D"]["tower"]["conv_0"]["kernel"].shape == (5, 9, 16)
    assert params["dycore"]["orography"]["correction"].shape == (4094,)
    assert params["randomness"]["correlation_times_raw"].shape == (10,)


@pytest.mark.parametrize("name", papers.NAMES)
def test_names_go_both_ways(name, make):
    config = make.small(name)
    params = initial(config, 3)
    again = from_haiku(config, to_haiku(config, params), source="x")
    flat = dict(leaves(params))
    assert {path: value.tobytes() for path, value in leaves(again)} == {p: v.tobytes() for p, v in flat.items()}
    assert all(value.dtype == np.float32 for value in flat.values())
    named = {"/".join(path): value for path, value in flat.items()}
    assert dict(leaves(checked_tree(config, named, source="x"))).keys() == flat.keys()


def changed(config, change):
    params = to_haiku(config, initial(config, 0))
    change(params)
    return params


LINEAR = (
    "stochastic_modular_step_model/~/dimensional_learned_primitive_to_weatherbench_decoder/nodal_mapping/~/epd_tower/"
    "encode_tower/~/mlp_uniform/~/linear_0"
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p[LINEAR].pop("b"), f'lacks the weight "b" of {LINEAR}'),
        (lambda p: p.pop(LINEAR), f"of {LINEAR}"),
        (lambda p: p[LINEAR].update(c=np.zeros(1, "f4")), f'holds the weight "c" of {LINEAR}, which'),
        (lambda p: p.update({"other": {"w": np.zeros(1, "f4")}}), 'holds the weight "w" of other, which'),
        (lambda p: p[LINEAR].update(b=np.zeros(3, "f4")), "has shape (3,); the settings want (4,)"),
        (lambda p: p[LINEAR].update(b=np.zeros(4)), "is float64; wanted float32"),
        (lambda p: p[LINEAR].update(b=np.full(4, np.nan, "f4")), f'"b" of {LINEAR} is not finite'),
        (lambda p: p.update({LINEAR: 3}), "are int, wanted a dict of arrays"),
    ],
)
def test_a_weight_that_does_not_fit_is_named(change, message, make):
    config = make.small("neuralgcm-2.8")
    with pytest.raises(DataError) as error:
        from_haiku(config, changed(config, change), source="model.pkl")
    assert "model.pkl" in str(error.value) and message in str(error.value), error.value


def test_params_must_be_a_dict(make):
    with pytest.raises(DataError, match="params is list, wanted a dict of modules"):
        from_haiku(make.small("neuralgcm-2.8"), [], source="model.pkl")


def test_initial_values_have_the_originals_law(make):
    config = make.small("neuralgcm-1.4")
    config = dataclasses.replace(
        config, decoder=dataclasses.replace(config.decoder, mapping=papers.config("neuralgcm-1.4").decoder.mapping)
    )
    params = initial(config, 0)
    kernel = params["decoder"]["tower"]["process_0"]["linear_1"]["kernel"]
    spread = 1 / math.sqrt(384)
    assert np.abs(kernel).max() <= 2 * spread * (1 + 1e-6) and np.abs(kernel).max() > 1.99 * spread
    assert kernel.std() == pytest.approx(0.8796 * spread, rel=0.01)  # of a normal law cut at two deviations
    assert not params["decoder"]["tower"]["process_0"]["linear_1"]["bias"].any()
    assert not params["dycore"]["orography"]["correction"].any()
    land = params["physics"]["features"]["surface_embedding"]["land"]["values"]
    assert land.shape == (8, 1, 1) and 0 < np.abs(land).max() <= 2
    same, other = initial(config, 0), initial(config, 1)
    assert same["decoder"]["tower"]["process_0"]["linear_1"]["kernel"].tobytes() == kernel.tobytes()
    assert other["decoder"]["tower"]["process_0"]["linear_1"]["kernel"].tobytes() != kernel.tobytes()


def _precipitation(config):
    """With the embedding that the precipitation models have, and a batch of random fields of which some are fixed."""
    features = c.CombinedFeatures(
        (c.VelocityAndPrognostics(), c.PressureFeatures(), c.LearnedPositionalFeatures(3)),
        transform=c.SequentialTransform((config.step.physics.features.transform.transforms[0], c.HardClip(8))),
    )
    embedding = c.ModalToNodalEmbedding(features, config.decoder.mapping)
    diagnostics = c.PrecipitationDiagnosticsConstrained(embedding, field_name="precipitation_cumulative_mean")
    fields = c.BatchGaussianRandomFields((3600.0,) * 3, (1e5,) * 3, (1.0,) * 3, fixed=1)
    decoder = dataclasses.replace(
        config.decoder,
        diagnostics=c.NodalModelDiagnosticsDecoder(),
        units={**config.decoder.units, "precipitation_cumulative_mean": "m", "evaporation": "kg m**-2 s**-1"},
    )
    step = dataclasses.replace(config.step, diagnostics=diagnostics, randomness=fields)
    return dataclasses.replace(config, step=step, decoder=decoder)


def _reading_randomness(config):
    features = config.step.physics.features
    normalize = features.transform.transforms[0]
    named = c.ShiftAndNormalize({**normalize.shifts, "randomness": 0.0}, {**normalize.scales, "randomness": 1.0})
    transform = c.SequentialTransform((named, *features.transform.transforms[1:]))
    features = dataclasses.replace(features, transform=transform)
    return dataclasses.replace(
        config,
        step=dataclasses.replace(config.step, physics=dataclasses.replace(config.step.physics, features=features)),
    )


VARIANTS = {
    **{name: (name, lambda config: config) for name in papers.NAMES},
    "precipitation": ("neuralgcm-ens-1.4", lambda config: _reading_randomness(_precipitation(config))),
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "edit"), VARIANTS.values(), ids=VARIANTS)
def test_the_original_makes_the_same_weights(name, edit, make):
    """The original package, given our gin text, initialises weights of exactly these names and shapes."""
    neuralgcm = pytest.importorskip("neuralgcm")
    import haiku
    import jax
    from neuralgcm.legacy import api, gin_utils

    checkpoint = make.checkpoint(name)
    config = edit(checkpoint.config)
    checkpoint = dataclasses.replace(checkpoint, config=config, params=initial(config, 0))
    given = original.to_checkpoint(checkpoint)
    model = neuralgcm.PressureLevelModel.from_checkpoint({**given, "params": {}})
    inputs, forcings = model.data_from_xarray(neuralgcm.demo.load_data(model.data_coords).isel(time=0))

    def one_hour():
        whole = model._structure.model_cls()
        fields = api._prepend_dummy_time_axis(model._to_abbreviated_names_and_tracers(dict(inputs)))
        forcing = api._prepend_dummy_time_axis(model._squeeze_level_from_forcings(forcings))
        state = whole.encode(fields, whole.forcing_fn(forcing, inputs["sim_time"]))
        state = whole.advance(state, whole.forcing_fn(forcing, api._sim_time_from_state(state)))
        return whole.decode(state, whole.forcing_fn(forcing, api._sim_time_from_state(state)))

    with gin_utils.specific_config(model.gin_config):
        theirs = jax.eval_shape(haiku.transform(one_hour).init, jax.random.key(0))
    ours = {module: {n: a.shape for n, a in arrays.items()} for module, arrays in given["params"].items()}
    assert {module: {n: a.shape for n, a in arrays.items()} for module, arrays in theirs.items()} == ours
