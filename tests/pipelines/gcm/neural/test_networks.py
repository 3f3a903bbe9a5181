"""Networks over features: every weight of the published models is declared once, and what runs is what was packed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.pipelines.gcm.neural import networks
from sciml.pipelines.gcm.neural.checkpoint import config, haiku_names, papers
from sciml.pipelines.gcm.neural.encoder import data_place
from sciml.pipelines.gcm.neural.feature_tree import Place, embedding, feature_set
from sciml.pipelines.gcm.neural.physics import _outputs as physics_outputs
from sciml.pipelines.gcm.neural.physics import state_place

CENTERS = (np.arange(3) + 0.5) / 3
PLACE = Place({"a": 3, "b": 3}, CENTERS, winds=False)
FIELDS = config.VelocityAndPrognostics(("a", "b"))
MLP = config.ColumnTower(config.Mlp(4, 1, True, "relu"))


def paths(tree, prefix=()):
    """{path: shape} of the leaves of a nested dict."""
    found = {}
    for name, item in tree.items():
        found |= paths(item, (*prefix, name)) if isinstance(item, dict) else {(*prefix, name): item.shape}
    return found


@pytest.mark.parametrize("name", papers.NAMES)
def test_declared_weights_are_those_of_the_checkpoint(name):
    """Paths and shapes of physics, encoders and decoder, none missing, none too many."""
    settings = papers.config(name)
    states = state_place(settings, settings.step.randomness, settings.encoder.memory)
    grid = (settings.model.grid.longitude_nodes, settings.model.grid.latitude_nodes)
    node, declared = settings.step.physics, {}
    outputs = physics_outputs(settings, node.predicted)
    physics = {"features": feature_set(node.features, states)}
    pairs = {"physics": (physics, node.mapping, outputs)}
    for side, width in (("encoder", 193), ("decoder", 259)):
        part = getattr(settings, side)
        place = state_place(settings, part.randomness, memory=False)
        both = {
            "data_features": feature_set(part.data_features, data_place(settings)),
            "model_features": feature_set(part.model_features, place),
        }
        pairs[side] = (both, part.mapping, {"all": width})
    if settings.encoder.memory:
        memory = {"model_features": feature_set(config.NullFeatures(), states)}
        pairs["memory_encoder"] = ({**pairs["encoder"][0], **memory}, *pairs["encoder"][1:])
    for part, (features, mapping, outputs) in pairs.items():
        network = networks.Network(features, mapping, outputs, config.IdentityTransform(), states.centers)
        shapes = jax.eval_shape(network.declare(grid).init, jax.random.key(0))["params"]
        declared |= paths(shapes, (part,))
    listed = {weight.path: weight.shape for weight in haiku_names.weights(settings)}
    others = {path: shape for path, shape in listed.items() if {"orography", "randomness"} & set(path)}
    assert declared == {path: shape for path, shape in listed.items() if path not in others}


def test_a_network_runs_on_the_packed_features():
    features = {"first": feature_set(FIELDS, PLACE), "second": feature_set(config.PressureFeatures(), PLACE)}
    network = networks.Network(
        features, config.NodalMapping(MLP), {"y": 2, "x": 1}, config.IdentityTransform(), CENTERS
    )
    params = network.declare((4, 2)).init(jax.random.key(0))["params"]
    rng = np.random.default_rng(0)
    rows = {name: jnp.asarray(rng.normal(size=(5, 3)), jnp.float32) for name in ("a", "b", "pressure")}
    given = {"first": {"a": rows["a"], "b": rows["b"]}, "second": {"pressure": rows["pressure"]}}
    found = network({"tower": network.declare((4, 2)).apply({"params": params})["tower"]}, given)
    kernels = params["tower"]
    x = np.concatenate([rows["a"], rows["b"], rows["pressure"]], -1)
    hidden = np.maximum(x @ kernels["linear_0"]["kernel"] + kernels["linear_0"]["bias"], 0)
    expected = hidden @ kernels["linear_1"]["kernel"] + kernels["linear_1"]["bias"]
    np.testing.assert_allclose(np.concatenate([found["y"], found["x"]], -1), expected, rtol=1e-5, atol=1e-6)


def test_a_network_over_levels_keeps_the_levels_apart():
    """Width 1: every level sees its own values only, and channels become features in sorted order of their names."""
    tower = config.VerticalConvTower((), 1, True, "relu")
    node = config.ModalToNodalEmbedding(FIELDS, config.NodalVolumeMapping(tower))
    names = sorted(f"c_{i}" for i in range(11))
    network = embedding(node, PLACE, dict.fromkeys(names, 3))
    params = network.declare((4, 2)).init(jax.random.key(0))["params"]
    rng = np.random.default_rng(0)
    rows = {name: jnp.asarray(rng.normal(size=(5, 3)), jnp.float32) for name in ("a", "b")}
    found = network(network.declare((4, 2)).apply({"params": params}), {"features": rows})
    kernel = np.asarray(params["tower"]["conv_0"]["kernel"])[0]
    for channel, name in enumerate(names):
        expected = rows["a"] * kernel[0, channel] + rows["b"] * kernel[1, channel]
        np.testing.assert_allclose(found[name], expected, rtol=1e-5, atol=1e-6)
    assert names[2] == "c_10"


def test_learned_values_start_at_zero():
    values = networks.Values((2, 3)).init(jax.random.key(0))["params"]["values"]
    np.testing.assert_array_equal(values, np.zeros((2, 3)))
