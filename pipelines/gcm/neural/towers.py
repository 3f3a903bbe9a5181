"""Networks that act on each column alone: multilayer perceptrons and the encode-process-decode tower made of them.

    x = encode(features);  x = x + process_i(x) for each block i;  y = decode(x)

Modules only declare the weights, as pytrees of arrays; the arithmetic is in plain functions of (weights, rows), so that
it can be mapped over blocks of rows that stay in a core's cache.
Axes: rows [n, channel], one row per grid point and member; kernels [in, out].
Source: Kochkov et al. (2024), Neural general circulation models for weather and climate, supplement C.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array, lax

from sciml.pipelines.gcm.neural.checkpoint import config

ACTIVATIONS: dict[str | None, Callable[[Array], Array]] = {
    None: lambda x: x,
    "gelu_tanh": lambda x: jax.nn.gelu(x, approximate=True),
    "gelu_erf": lambda x: jax.nn.gelu(x, approximate=False),
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
}


def fan_in_normal(key: Array, shape: Sequence[int], dtype=jnp.float32) -> Array:
    """Normal draws cut at two standard deviations, of size 1 / sqrt(inputs): all axes but the last are inputs."""
    return jax.random.truncated_normal(key, -2.0, 2.0, tuple(shape), dtype) / math.sqrt(max(1, math.prod(shape[:-1])))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Affine:
    """x @ kernel + bias; bias None for none."""

    kernel: Array
    bias: Array | None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class EpdWeights:
    """Layers of the parts of an encode-process-decode tower."""

    encode: tuple[Affine, ...]
    process: tuple[tuple[Affine, ...], ...]
    decode: tuple[Affine, ...]


class Linear(nn.Module):
    """Weights of one linear layer."""

    inputs: int
    outputs: int
    bias: bool = True

    @nn.compact
    def __call__(self) -> Affine:
        """The weights: kernel [in, out], bias [out]."""
        kernel = self.param("kernel", fan_in_normal, (self.inputs, self.outputs))
        return Affine(kernel, self.param("bias", nn.initializers.zeros, (self.outputs,)) if self.bias else None)


class Mlp(nn.Module):
    """Weights of a multilayer perceptron: linear_0, linear_1, ..."""

    inputs: int
    outputs: int
    net: config.Mlp

    @nn.compact
    def __call__(self) -> tuple[Affine, ...]:
        """The layers from first to last."""
        widths = [self.inputs, *[self.net.hidden_units] * self.net.hidden_layers, self.outputs]
        pairs = zip(widths[:-1], widths[1:], strict=True)
        return tuple(Linear(*pair, self.net.bias, name=f"linear_{i}")() for i, pair in enumerate(pairs))


class EpdTower(nn.Module):
    """Weights of an encode-process-decode tower: encode, process_0, ..., decode."""

    inputs: int
    outputs: int
    net: config.EpdTower

    @nn.compact
    def __call__(self) -> EpdWeights:
        """The weights of all parts."""
        net, latent = self.net, self.net.latent_size
        return EpdWeights(
            Mlp(self.inputs, latent, net.encode.net, name="encode")(),
            tuple(Mlp(latent, latent, net.process.net, name=f"process_{i}")() for i in range(net.process_blocks)),
            Mlp(latent, self.outputs, net.decode.net, name="decode")(),
        )


def tower(inputs: int, outputs: int, net: config.EpdTower | config.ColumnTower, **options) -> nn.Module:
    """The module that declares the weights of `net`."""
    if isinstance(net, config.EpdTower):
        return EpdTower(inputs, outputs, net, **options)
    return Mlp(inputs, outputs, net.net, **options)


def matmul(x: Array, kernel: Array) -> Array:
    """x[..., in] @ kernel[in, out] in full float32 on every platform."""
    return jnp.matmul(x, kernel, precision=lax.Precision.HIGHEST)


def _affine(layer: Affine, x: Array) -> Array:
    y = matmul(x, layer.kernel)
    return y if layer.bias is None else y + layer.bias


def run_mlp(layers: Sequence[Affine], net: config.Mlp, x: Array) -> Array:
    """The perceptron on rows [n, in], result [n, out]."""
    act = ACTIVATIONS[net.activation]
    for layer in layers[:-1]:
        x = act(_affine(layer, x))
    x = _affine(layers[-1], x)
    return act(x) if net.activate_final else x


def run_tower(weights: EpdWeights | Sequence[Affine], net: config.EpdTower | config.ColumnTower, x: Array) -> Array:
    """The network on rows [n, in], result [n, out]."""
    if not isinstance(net, config.EpdTower):
        return run_mlp(weights, net.net, x)
    x = ACTIVATIONS[net.post_encode_activation](run_mlp(weights.encode, net.encode.net, x))
    for block in weights.process:
        x = x + run_mlp(block, net.process.net, x)
    x = ACTIVATIONS[net.pre_decode_activation](x)
    return ACTIVATIONS[net.final_activation](run_mlp(weights.decode, net.decode.net, x))
