"""Towers: the same numbers as the original's modules on the same weights, and the weights they declare."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.pipelines.gcm.neural import towers
from sciml.pipelines.gcm.neural.checkpoint import config

ENCODE = config.Mlp(0, 0, True, "gelu_tanh")
PROCESS = config.Mlp(6, 3, True, "gelu_tanh")
DECODE = config.Mlp(5, 1, False, "gelu_tanh")
TOWER = config.EpdTower(6, 2, *(config.ColumnTower(net) for net in (ENCODE, PROCESS, DECODE)))


@pytest.fixture
def rows():
    return jnp.asarray(np.random.default_rng(0).normal(size=(12, 9)), jnp.float32)


def drawn(module, seed=1):
    """Parameters with biases that are not zero."""
    params = module.init(jax.random.key(seed))["params"]
    noise = np.random.default_rng(seed)
    return jax.tree.map(lambda x: jnp.asarray(x + 0.3 * noise.normal(size=x.shape), jnp.float32), params)


def test_declared_weights():
    params = towers.tower(9, 4, TOWER).init(jax.random.key(0))["params"]
    assert list(params) == ["encode", "process_0", "process_1", "decode"]
    assert params["encode"]["linear_0"]["kernel"].shape == (9, 6) and params["encode"]["linear_0"]["bias"].shape == (6,)
    assert list(params["process_0"]) == [f"linear_{i}" for i in range(4)]
    assert set(params["decode"]["linear_1"]) == {"kernel"} and params["decode"]["linear_1"]["kernel"].shape == (5, 4)


def test_initial_weights_have_the_size_of_the_fan_in():
    kernel = towers.fan_in_normal(jax.random.key(0), (400, 50))
    # a normal distribution cut at two standard deviations has 0.88 of its width
    assert float(kernel.std()) * 400**0.5 == pytest.approx(0.88, abs=0.01)
    assert float(jnp.abs(kernel).max()) <= 2 / 400**0.5


def test_activations_are_those_of_the_settings():
    names = {"gelu_tanh", "gelu_erf", "relu", "silu"}
    assert set(towers.ACTIVATIONS) == names | {None}
    x = jnp.float32(0.7)
    assert float(towers.ACTIVATIONS["gelu_tanh"](x)) != float(towers.ACTIVATIONS["gelu_erf"](x))


@pytest.mark.parametrize("net", [TOWER, config.ColumnTower(PROCESS)])
def test_gradients_reach_every_weight(rows, net):
    module = towers.tower(9, 4, net)

    def loss(params):
        return jnp.sum(towers.run_tower(module.apply({"params": params}), net, rows) ** 2)

    for gradient in jax.tree.leaves(jax.grad(loss)(drawn(module))):
        assert float(jnp.abs(gradient).max()) > 0


def test_against_the_original(rows):
    pytest.importorskip("neuralgcm")
    import haiku as hk
    from neuralgcm.legacy import layers
    from neuralgcm.legacy import towers as original

    gelu = partial(jax.nn.gelu, approximate=True)

    def column(net, name):
        mlp = partial(
            layers.MlpUniform,
            num_hidden_units=net.hidden_units,
            num_hidden_layers=net.hidden_layers,
            with_bias=net.bias,
            activation=gelu,
        )
        return partial(original.ColumnTower, column_net_factory=mlp, name=name)

    def run(x):
        parts = {f"{name}_tower_factory": column(net, f"{name}_tower") for name, net in
                 (("encode", ENCODE), ("process", PROCESS), ("decode", DECODE))}  # fmt: skip
        return original.EpdTower(4, latent_size=6, num_process_blocks=2, **parts)(x)

    fields = rows.T.reshape(9, 4, 3)
    forward = hk.without_apply_rng(hk.transform(run))
    module = towers.tower(9, 4, TOWER)
    params = drawn(module)
    theirs = {}
    for path in forward.init(jax.random.key(0), fields):
        part, layer = path.split("/")[1].replace("_tower", ""), path.split("/")[-1]
        part = {"process": "process_0"}.get(part, part)
        ours = params[part][layer]
        theirs[path] = {"w": ours["kernel"], **({"b": ours["bias"]} if "bias" in ours else {})}
    expected = np.asarray(forward.apply(theirs, fields)).reshape(4, -1).T
    found = np.asarray(towers.run_tower(module.apply({"params": params}), TOWER, rows))
    assert np.linalg.norm(found - expected) <= 1e-6 * np.linalg.norm(expected)
