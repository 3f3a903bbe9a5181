"""The surface blend: each kind of surface alone, shares that sum to one, constants and networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.pipelines.gcm.neural.checkpoint import config
from sciml.pipelines.gcm.neural.feature_tree import Place, embedding
from sciml.pipelines.gcm.neural.surface import ICE, LAND

PLACE = Place({"t": 2}, np.array([0.25, 0.75]), winds=False)
WARM = config.ModalToNodalEmbedding(
    config.ForcingFeatures(("sea_surface_temperature",)),
    config.NodalMapping(config.ColumnTower(config.Mlp(0, 0, True, "relu"))),
)


@pytest.fixture
def blend():
    return embedding(config.NodalLandSeaIceEmbedding(None, WARM, None), PLACE, {"surface": 3})


@pytest.fixture
def rows():
    fractions = {
        LAND: [1.0, 0.0, 0.0, 0.25],
        ICE: [0.7, 0.0, 1.0, 0.5],
        "sea_surface_temperature": [280, 290, 271, 275],
    }
    return {name: jnp.asarray(x, jnp.float32)[:, None] for name, x in fractions.items()}


def test_each_surface_alone_and_a_mixture(blend, rows):
    params = blend.declare((4, 2)).init(jax.random.key(0))["params"]
    assert sorted(params) == ["land", "sea", "sea_ice"] and params["land"]["values"].shape == (3, 1, 1)
    params["land"]["values"] = jnp.asarray([1.0, 2.0, 3.0]).reshape(3, 1, 1)
    params["sea_ice"]["values"] = jnp.asarray([-1.0, 0.0, 5.0]).reshape(3, 1, 1)
    found = np.asarray(blend(blend.declare((4, 2)).apply({"params": params}), {"features": rows})["surface"])
    layer = params["sea"]["tower"]["linear_0"]
    sea = np.asarray(rows["sea_surface_temperature"] @ layer["kernel"] + layer["bias"])
    land, ice = np.array([1.0, 2, 3]), np.array([-1.0, 0, 5])
    expected = [land, sea[1], ice, 0.25 * land + 0.375 * ice + 0.375 * sea[3]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_constants_are_drawn(blend):
    values = blend.declare((4, 2)).init(jax.random.key(0))["params"]["land"]["values"]
    assert float(jnp.abs(values).max()) > 0


def test_what_the_blend_reads(blend):
    read = {name for leaf in blend.leaves() for name in leaf.widths}
    assert read == {LAND, ICE, "sea_surface_temperature"}


def test_not_a_number_over_land_poisons_it(blend, rows):
    """Known of the original, too: the reader of the forcing fills it."""
    params = blend.declare((4, 2)).init(jax.random.key(0))["params"]
    rows["sea_surface_temperature"] = rows["sea_surface_temperature"].at[0].set(jnp.nan)
    found = blend(blend.declare((4, 2)).apply({"params": params}), {"features": rows})["surface"]
    assert np.isnan(found[0]).all() and np.isfinite(found[1:]).all()
