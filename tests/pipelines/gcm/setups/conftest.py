"""Small grids to evaluate the cases on."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from sciml.kernels.sphere.grids import latitudes
from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.gcm.dynamics.vertical import equidistant
from sciml.pipelines.gcm.setups.case import Where


@pytest.fixture(scope="session")
def plan():
    """T21 in float32."""
    return make_plan("T21")


@pytest.fixture
def exact():
    """T21 in float64, for as long as the test runs."""
    with jax.enable_x64(True):
        yield make_plan("T21", precision="float64")


@pytest.fixture(scope="session")
def globe():
    """T21 and 8 layers as points, with the weights [j] of a mean over the sphere."""
    sin_lat, weights = latitudes("gauss", 32)
    lon, lat = np.arange(64) * 2 * np.pi / 64, np.arcsin(sin_lat)
    where = Where(lon, lat, equidistant(8).centers)
    return SimpleNamespace(where=where, weights=weights / 2, lat=lat[None, :, None])


@pytest.fixture(scope="session")
def slope():
    """d f / d x by central differences of fourth order."""

    def derivative(f, x, step=1e-3):
        return (8 * (f(x + step) - f(x - step)) - f(x + 2 * step) + f(x - 2 * step)) / (12 * step)

    return derivative
