"""Vertical convolutions: declared weights, "same" padding, and the original's numbers."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.pipelines.gcm.neural import columns
from sciml.pipelines.gcm.neural.checkpoint import config
from sciml.pipelines.gcm.neural.towers import Affine

TOWER = config.VerticalConvTower((7, 6), 5, True, "gelu_tanh")


@pytest.fixture
def profiles():
    return jnp.asarray(np.random.default_rng(0).normal(size=(12, 8, 3)), jnp.float32)


@pytest.fixture
def params():
    params = columns.ConvTower(3, 4, TOWER).init(jax.random.key(0))["params"]
    noise = np.random.default_rng(1)
    return jax.tree.map(lambda x: jnp.asarray(x + 0.1 * noise.normal(size=x.shape), jnp.float32), params)


def test_declared_weights(params):
    assert list(params) == ["conv_0", "conv_1", "conv_2"]
    assert params["conv_1"]["kernel"].shape == (5, 7, 6) and params["conv_2"]["bias"].shape == (4, 1)


@pytest.mark.parametrize("width", [1, 4, 5])
def test_a_layer_is_the_sum_over_neighbours(profiles, width):
    rng = np.random.default_rng(width)
    kernel, bias = rng.normal(size=(width, 3, 2)), rng.normal(size=(2, 1))
    found = columns.convolve(Affine(jnp.asarray(kernel, jnp.float32), jnp.asarray(bias, jnp.float32)), profiles)
    x, above = np.asarray(profiles, np.float64), (width - 1) // 2
    expected = np.zeros((12, 8, 2)) + bias[:, 0]
    for k in range(8):
        for d in range(width):
            if 0 <= k + d - above < 8:
                expected[:, k] += x[:, k + d - above] @ kernel[d]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_against_the_original(profiles, params):
    pytest.importorskip("neuralgcm")
    import haiku as hk
    from neuralgcm.legacy import towers

    def run(x):
        gelu = partial(jax.nn.gelu, approximate=True)
        return towers.VerticalConvTower(4, channels=TOWER.channels, kernel_shape=5, activation=gelu)(x)

    names = {"conv_level": "conv_0", "conv_level_1": "conv_1", "conv_level_2": "conv_2"}
    fields = jnp.moveaxis(profiles, 0, -1).swapaxes(0, 1).reshape(3, 8, 4, 3)
    theirs = {
        f"vertical_conv_tower/~/{name}": {"w": params[ours]["kernel"], "b": params[ours]["bias"]}
        for name, ours in names.items()
    }
    expected = np.asarray(hk.without_apply_rng(hk.transform(run)).apply(theirs, fields))
    layers = columns.ConvTower(3, 4, TOWER).apply({"params": params})
    found = np.asarray(columns.run_convolutions(layers, TOWER, profiles))
    found = np.moveaxis(found, 0, -1).swapaxes(0, 1).reshape(expected.shape)
    assert np.linalg.norm(found - expected) <= 1e-6 * np.linalg.norm(expected)
