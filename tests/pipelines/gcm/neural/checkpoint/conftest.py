"""A published model shrunk to a size that tests can afford, its random weights, and the public mini checkpoint."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from sciml.pipelines.gcm.neural.checkpoint import config as c
from sciml.pipelines.gcm.neural.checkpoint import papers, surface

MINI = Path(__file__).resolve().parents[6] / "shared/data/gcm/tl63_stochastic_mini.pkl"


def shrunk(node):
    """The same settings with narrow, shallow towers; every node below is visited."""
    if isinstance(node, tuple):
        return tuple(shrunk(item) for item in node)
    if not isinstance(node, c.Node):
        return node
    node = dataclasses.replace(node, **{f.name: shrunk(getattr(node, f.name)) for f in dataclasses.fields(node)})
    match node:
        case c.EpdTower():
            return dataclasses.replace(node, latent_size=4, process_blocks=1)
        case c.VerticalConvTower():
            return dataclasses.replace(node, channels=(3, 2))
        case c.EmbeddingVolumeFeatures():
            return dataclasses.replace(node, output_size=2)
        case c.Mlp():
            return dataclasses.replace(node, hidden_units=min(node.hidden_units, 5))
        case c.LearnedPositionalFeatures():
            return dataclasses.replace(node, latent_size=2)
    return node


def small(name: str) -> c.ModelConfig:
    """The published model `name` at TL31 with narrow towers."""
    config = shrunk(papers.config(name))
    grid = c.Grid.of_gaussian(31, 16, layout=config.model.grid.layout)
    inner = c.Coordinates(c.Grid.of_wavenumbers(31, layout=grid.layout), config.model.levels)
    return dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, grid=grid),
        data=dataclasses.replace(config.data, grid=grid),
        step=dataclasses.replace(config.step, dycore=dataclasses.replace(config.step.dycore, coordinates=inner)),
    )


def fixed_fields(grid: c.Grid) -> surface.Aux:
    """Made-up surface height and land on a grid."""
    longitude, latitude = surface.nodes_of(grid)
    height = np.cos(np.deg2rad(longitude))[:, None] * np.cos(np.deg2rad(latitude)) * 5000 + 5000
    land = (height > 6000).astype(np.float64)
    fields = {"geopotential_at_surface": height, "land_sea_mask": land}
    return surface.Aux(longitude, latitude, np.array(papers.ERA5_LEVELS), fields)


@pytest.fixture(scope="session")
def make():
    """make.small(name), make.shrunk(config), make.fixed_fields(grid), make.checkpoint(name, seed)."""
    from types import SimpleNamespace

    from sciml.pipelines.gcm.neural.checkpoint.haiku_names import initial
    from sciml.pipelines.gcm.neural.checkpoint.store import Checkpoint

    def checkpoint(name="neuralgcm-2.8", seed=0):
        config = small(name)
        provenance = {"source": "made up", "sha256": "0" * 64, "licence": "cc-by-sa-4.0"}
        return Checkpoint(config, initial(config, seed), fixed_fields(config.data.grid), provenance, "")

    return SimpleNamespace(small=small, shrunk=shrunk, fixed_fields=fixed_fields, checkpoint=checkpoint)


@pytest.fixture(scope="session")
def mini():
    """What the public mini checkpoint's pickle holds."""
    from sciml.pipelines.gcm.neural.checkpoint import unpickle

    if not MINI.exists():
        pytest.skip(f"{MINI} is not here")
    return unpickle.load(MINI)


@pytest.fixture(scope="session")
def mini_path(mini):
    return MINI
