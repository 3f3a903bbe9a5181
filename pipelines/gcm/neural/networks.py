"""Networks over features: what to read and in which order, and which weights run on it.

A `Features` gathers named rows, transforms them and packs them in sorted order of their names (ASCII: capitals first,
CNN1D_10 before CNN1D_2); a `Network` maps packed rows to fields. An embedding is a network whose output is a feature.
Flax modules declare the weights and return them as a pytree; the arithmetic is in functions of (weights, rows).
Axes: rows [n, k], one grid point and member each, k level.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import Array

from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.neural.checkpoint import config
from sciml.pipelines.gcm.neural.columns import ConvTower, run_convolutions
from sciml.pipelines.gcm.neural.features import POSITIONAL, Spectral
from sciml.pipelines.gcm.neural.normalization import Fields, kept_levels, pack, resolve, run_stages, unpack
from sciml.pipelines.gcm.neural.towers import run_tower, tower

Weights = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Selected:
    """Rows taken as they are.

    widths: of the features by name; spectral: those that must be synthesised; gradients: fixed fields whose derivatives
    are read; channels: of the learned positional features, 0 for none.
    """

    widths: Mapping[str, int]
    spectral: tuple[Spectral, ...] = ()
    gradients: tuple[str, ...] = ()
    channels: int = 0
    scale: float = 1.0

    def leaves(self) -> Iterator[Any]:
        """Itself."""
        yield self

    def gather(self, weights: Weights, rows: Fields) -> Fields:
        """The named rows; `weights` are not needed."""
        return {name: rows[name] for name in self.widths}


@dataclass(frozen=True, eq=False)
class Embedded:
    """The output of an embedding as features; `embedding` is a Network or a surface.SurfaceBlend."""

    name: str
    embedding: Any

    @property
    def widths(self) -> Mapping[str, int]:
        """Widths of the features."""
        return self.embedding.outputs

    def leaves(self) -> Iterator[Any]:
        """What the embedding reads, and itself."""
        yield from self.embedding.leaves()
        yield self

    def gather(self, weights: Weights, rows: Fields) -> Fields:
        """The embedding of the rows."""
        return self.embedding(weights[self.name], {"features": rows})


@dataclass(frozen=True, eq=False)
class Features:
    """Features of several parts under one transform, without those in `exclude`; centers [k] of the place's levels.

    SettingsError where two parts make a feature of the same name, or where the transform has no entry for one.
    """

    parts: tuple[Any, ...]
    transform: config.Transform
    centers: np.ndarray
    exclude: tuple[str, ...] = ()

    @cached_property
    def _given(self) -> dict[str, int]:
        names = [name for part in self.parts for name in part.widths]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SettingsError(f"features made twice: {', '.join(twice)}")
        widths = {name: width for part in self.parts for name, width in part.widths.items()}
        return {name: widths[name] for name in sorted(widths) if name not in self.exclude}

    @cached_property
    def _kept(self) -> dict[str, slice]:
        return kept_levels(self.transform, self._given, self.centers)

    @cached_property
    def _stages(self) -> tuple:
        return resolve(self.transform, self._given, self.centers)

    @cached_property
    def widths(self) -> dict[str, int]:
        """Widths of the features in packed order."""
        return {name: levels.stop - levels.start for name, levels in self._kept.items()}

    def leaves(self) -> Iterator[Any]:
        """Every Selected and Embedded, those of nested embeddings included."""
        for part in self.parts:
            yield from part.leaves()

    @cached_property
    def spectral(self) -> tuple[Spectral, ...]:
        """What must be synthesised, each once."""
        return tuple(
            dict.fromkeys(one for leaf in self.leaves() if isinstance(leaf, Selected) for one in leaf.spectral)
        )

    @cached_property
    def gradients(self) -> tuple[str, ...]:
        """Fixed fields whose derivatives are read."""
        return tuple(
            dict.fromkeys(one for leaf in self.leaves() if isinstance(leaf, Selected) for one in leaf.gradients)
        )

    @cached_property
    def own(self) -> tuple[Any, ...]:
        """The leaves that are not inside an embedding."""
        nested = [part.own if isinstance(part, Features) else (part,) for part in self.parts]
        return tuple(leaf for leaves in nested for leaf in leaves)

    @property
    def positional(self) -> Selected | None:
        """The learned positional features, if any."""
        return next((leaf for leaf in self.own if isinstance(leaf, Selected) and leaf.channels), None)

    def packed(self, weights: Weights, rows: Fields) -> Array:
        """The transformed features side by side [n, sum of widths]."""
        found: Fields = {}
        for part in self.parts:
            found |= part.gather(weights, rows)
        return run_stages(self._stages, pack(found, self._kept))

    def gather(self, weights: Weights, rows: Fields) -> Fields:
        """The transformed features by name."""
        return unpack(self.packed(weights, rows), self.widths) if self.widths else {}


@dataclass(frozen=True, eq=False)
class Network:
    """A mapping of features to the fields `outputs` (name: width, in the network's order), transformed.

    features: by the name of their weights, in packed order, rows given under the same names; centers [k] of the levels
    of the outputs.
    """

    features: Mapping[str, Features]
    mapping: config.Mapping
    outputs: Mapping[str, int]
    transform: config.Transform
    centers: np.ndarray

    @cached_property
    def _stages(self) -> tuple:
        return resolve(self.transform, self.outputs, self.centers)

    @property
    def volume(self) -> bool:
        """Whether the network runs over levels."""
        return isinstance(self.mapping, config.NodalVolumeMapping)

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of its groups of parameters."""
        return ("tower", *self.features)

    def leaves(self) -> Iterator[Any]:
        """What the features are made of."""
        for features in self.features.values():
            yield from features.leaves()

    def declare(self, grid: tuple[int, int], **options: Any) -> nn.Module:
        """The module of the weights; `grid` is (longitudes, latitudes)."""
        return NetworkWeights(self, grid, **options)

    def packed(self, weights: Weights, rows: Mapping[str, Fields]) -> Array:
        """The input of the network [n, k]."""
        parts = [one.packed(weights.get(key, {}), rows[key]) for key, one in self.features.items() if one.widths]
        return parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=-1)

    def __call__(self, weights: Weights, rows: Mapping[str, Fields]) -> Fields:
        """Output fields [n, k] by name."""
        x = self.packed(weights, rows)
        if self.volume:
            # Stacked fields are channels of profiles over their common levels.
            profiles = x.reshape(x.shape[0], self.inputs, -1).swapaxes(1, 2)
            x = run_convolutions(weights["tower"], self.mapping.tower, profiles).swapaxes(1, 2).reshape(x.shape[0], -1)
        else:
            x = run_tower(weights["tower"], self.mapping.tower, x)
        return unpack(run_stages(self._stages, x), self.outputs)

    @cached_property
    def inputs(self) -> int:
        """Columns the network reads, or channels if it runs over levels."""
        widths = [width for one in self.features.values() for width in one.widths.values()]
        if self.volume and len(set(widths)) != 1:
            raise SettingsError(f"a network over levels reads fields of {sorted(set(widths))} levels; one is needed")
        return len(widths) if self.volume else sum(widths)


class Values(nn.Module):
    """An array of weights."""

    shape: tuple[int, ...]
    initial: Any = nn.initializers.zeros

    @nn.compact
    def __call__(self) -> Array:
        """The array."""
        return self.param("values", self.initial, self.shape)


class FeatureWeights(nn.Module):
    """Weights of the embeddings and of the learned positional features among `features`."""

    features: Features
    grid: tuple[int, int]

    @nn.compact
    def __call__(self) -> dict[str, Any]:
        """Weights by the name of the feature."""
        found = {
            leaf.name: leaf.embedding.declare(self.grid, name=leaf.name)()
            for leaf in self.features.own
            if isinstance(leaf, Embedded)
        }
        positional = self.features.positional
        if positional is not None:
            found[POSITIONAL] = Values((positional.channels, *self.grid), name=POSITIONAL)()
        return found


class NetworkWeights(nn.Module):
    """Weights of a network: its tower and its features."""

    network: Network
    grid: tuple[int, int]

    @nn.compact
    def __call__(self) -> dict[str, Any]:
        """{"tower": ..., name of the features: ...}."""
        net, outputs = self.network, self.network.outputs
        if net.volume:
            declared = ConvTower(net.inputs, len(outputs), net.mapping.tower, name="tower")()
        else:
            declared = tower(net.inputs, sum(outputs.values()), net.mapping.tower, name="tower")()
        return {"tower": declared} | {
            key: FeatureWeights(one, self.grid, name=key)() for key, one in net.features.items() if one.own
        }


def weights_of(network: Network, plan: Plan, params: Weights) -> dict[str, Any]:
    """The weights that `network` and its features run on, from the nested dict of its parameters."""
    grid = (plan.truncation.nlon, plan.truncation.nlat)
    return network.declare(grid).apply({"params": {name: params[name] for name in params if name in network.keys}})
