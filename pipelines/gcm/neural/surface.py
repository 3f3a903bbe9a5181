"""The surface as the networks see it: embeddings of land, sea and sea ice, blended by how much there is of each.

    s = land L + (1 - land) (1 - ice) S + (1 - land) ice I

L, S and I are networks of their own features or constant vectors; land is the fixed land fraction, ice the cover of the
sea by ice. Every embedding is evaluated everywhere, so that no input may be NaN anywhere.
Axes: rows [n, k], one grid point and member each.
Source: Kochkov et al. (2024), Neural general circulation models for weather and climate, supplement C.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from sciml.pipelines.gcm.neural.checkpoint import config
from sciml.pipelines.gcm.neural.networks import Network, Selected, Values, Weights
from sciml.pipelines.gcm.neural.normalization import Fields, resolve, run_stages, unpack

LAND, ICE = "land_sea_mask", "sea_ice_cover"
KINDS = ("land", "sea", "sea_ice")


@dataclass(frozen=True, eq=False)
class SurfaceBlend:
    """The blend as an embedding: `networks` by kind, None for a constant; outputs as of a Network."""

    networks: Mapping[str, Network | None]
    outputs: Mapping[str, int]
    transform: config.Transform
    centers: np.ndarray

    @cached_property
    def _stages(self) -> tuple:
        return resolve(self.transform, self.outputs, self.centers)

    def leaves(self) -> Iterator[Any]:
        """What the networks read, and the two fractions."""
        yield Selected({LAND: 1, ICE: 1})
        for network in self.networks.values():
            if network is not None:
                yield from network.leaves()

    def declare(self, grid: tuple[int, int], **options: Any) -> nn.Module:
        """The module of the weights."""
        return SurfaceWeights(self, grid, **options)

    def __call__(self, weights: Weights, rows: Mapping[str, Fields]) -> Fields:
        """The blended fields [n, k]."""
        land, ice = rows["features"][LAND], rows["features"][ICE]

        def embedded(kind: str):
            network = self.networks[kind]
            if network is None:
                return weights[kind].reshape(-1)
            return jnp.concatenate(list(network(weights[kind], rows).values()), axis=-1)

        shares = {"land": land, "sea": (1 - ice) * (1 - land), "sea_ice": ice * (1 - land)}
        blend = sum(shares[kind] * embedded(kind) for kind in KINDS)
        return unpack(run_stages(self._stages, blend), self.outputs)


class SurfaceWeights(nn.Module):
    """Weights of the three embeddings: a network's, or a constant vector [k, 1, 1]."""

    blend: SurfaceBlend
    grid: tuple[int, int]

    @nn.compact
    def __call__(self) -> dict[str, Any]:
        """Weights by kind of surface."""
        width = sum(self.blend.outputs.values())
        normal = nn.initializers.truncated_normal(1.0)
        return {
            kind: Values((width, 1, 1), normal, name=kind)()
            if network is None
            else network.declare(self.grid, name=kind)()
            for kind, network in self.blend.networks.items()
        }
