"""Our models in the original's format: text and dict that we read back equal, and that the original package runs."""

import dataclasses

import numpy as np
import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint import config as c
from sciml.pipelines.gcm.neural.checkpoint import original, papers
from sciml.pipelines.gcm.neural.checkpoint.schema import model_config

EDITS = {
    "fixed mean": lambda k: {"filter": c.SequentialStepFilter((k.filter, c.FixGlobalMeanFilter(("divergence",))))},
    "no filter": lambda k: {"filter": c.NoFilter()},
    "clipped": lambda k: {"filter": c.ClipFilter(2)},
    "the model's own grid": lambda k: {"coordinates": None},
    "other layers": lambda k: {
        "coordinates": c.Coordinates(k.coordinates.grid, c.SigmaLevels((0.0, 0.1, 0.4, 1.0))),
    },
    "another scheme": lambda k: {"integrator": "crank_nicolson_rk2", "inner_steps": 3},
    "upwind, no cloud water": lambda k: {
        "equations": dataclasses.replace(k.equations, cloud_moisture=False, vertical_advection="upwind")
    },
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_edited_models_survive_gin(edit):
    config = papers.config("neuralgcm-2.8")
    dycore = dataclasses.replace(config.step.dycore, **edit(config.step.dycore))
    edited = dataclasses.replace(config, step=dataclasses.replace(config.step, dycore=dycore))
    assert edited != config and model_config(original.to_gin(edited), source="x") == edited


def test_other_transforms_survive_gin():
    config = papers.config("neuralgcm-0.7")
    features = config.step.physics.features
    transforms = (
        *features.transform.transforms[:2],
        c.TruncateSigmaLevels((c.SigmaRange("u", 0.3, 0.75),)),
        c.HardClip(9),
    )
    features = dataclasses.replace(
        features, transform=c.SequentialTransform(transforms), features_to_exclude=("pressure",)
    )
    step = dataclasses.replace(config.step, physics=dataclasses.replace(config.step.physics, features=features))
    forcing = c.PersistenceDataForcing(config.forcing.units, c.IncrementSSTForcingTransform(4))
    edited = dataclasses.replace(
        config, step=step, forcing=forcing, scale="default", reference_datetime="1990-06-01T12", step_seconds=1800.0
    )
    assert model_config(original.to_gin(edited), source="x") == edited


def test_a_grid_the_original_cannot_find_is_named():
    config = papers.config("neuralgcm-2.8")
    grid = dataclasses.replace(config.data.grid, longitude_nodes=100, latitude_nodes=50)
    with pytest.raises(DataError, match="no grid of the original has 100 x 50 points"):
        original.to_gin(dataclasses.replace(config, data=dataclasses.replace(config.data, grid=grid)))


@pytest.mark.slow
def test_the_original_encodes_with_our_model(make):
    """The original package takes our dict: an encoded state of our shapes, finite."""
    neuralgcm = pytest.importorskip("neuralgcm")
    import jax

    checkpoint = make.checkpoint("neuralgcm-ens-1.4")
    model = neuralgcm.PressureLevelModel.from_checkpoint(original.to_checkpoint(checkpoint))
    inputs, forcings = model.data_from_xarray(neuralgcm.demo.load_data(model.data_coords).isel(time=0))
    state = model.encode(inputs, forcings, jax.random.key(0)).state
    grid = checkpoint.config.model.grid
    assert state.vorticity.shape == (32, grid.rows, grid.total_wavenumbers)
    assert all(np.isfinite(value).all() for value in jax.tree.leaves(state))
