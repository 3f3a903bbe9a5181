import numpy as np
import pytest

from sciml.kernels.sphere.geometry import Geometry
from sciml.kernels.sphere.grids import custom, truncation
from sciml.kernels.sphere.tables import latitude_tables, operator_tables, transform_tables


@pytest.mark.parametrize("fold", ["quarter", "half", "mirror", "none"])
def test_dead_entries_are_zero_in_every_table(fold):
    geometry = Geometry(truncation("T21"), longitude_fold=fold, shares=3)
    live, tables = geometry.wavenumbers[2], transform_tables(geometry)
    assert not np.moveaxis(tables.legendre, 5, 4)[~live].any()
    assert not tables.legendre_weighted[~live].any()
    for table in operator_tables(geometry).values():
        assert np.isfinite(table).all() and not table[~live].any()
    padding = geometry.sin_lat_weights[1] == 0
    assert not tables.legendre_weighted[..., padding].any()


def test_the_weighted_tables_are_the_others_with_weights():
    geometry = Geometry(truncation("T21"))
    tables = transform_tables(geometry)
    weights = geometry.sin_lat_weights[1], geometry.longitude_weights
    np.testing.assert_array_equal(tables.legendre_weighted, np.swapaxes(tables.legendre, -1, -2) * weights[0])
    np.testing.assert_array_equal(tables.fourier_weighted, np.swapaxes(tables.fourier, -1, -2) * weights[1])


@pytest.mark.parametrize("grid", ["gauss", "equiangular_with_poles"])
def test_latitudes_are_finite_and_mirrored(grid):
    geometry = Geometry(custom(13), grid, longitude_fold="half")
    sin, cos, sec2 = latitude_tables(geometry)
    assert np.isfinite(sec2).all() and np.abs(sin**2 + cos**2 - 1).max() < 1e-15
    np.testing.assert_array_equal(sin[geometry.copies[:, 0] == 1], -sin[geometry.copies[:, 0] == 0])
