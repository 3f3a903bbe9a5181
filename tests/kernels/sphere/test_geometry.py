import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.kernels.sphere.geometry import LONGITUDE_FOLDS, Geometry
from sciml.kernels.sphere.grids import GRIDS, custom, truncation


def geometries():
    folds = st.sampled_from(sorted(LONGITUDE_FOLDS))
    return st.builds(
        lambda n, order, grid, equator, fold, shares: (custom(n, order), grid, equator, fold, shares),
        st.integers(4, 24), st.sampled_from(["linear", "quadratic", "cubic"]), st.sampled_from(GRIDS), st.booleans(), folds,
        st.sampled_from([1, 2, 3]),
    )  # fmt: skip


@settings(deadline=None)
@given(geometries())
def test_folding_covers_the_grid_and_its_weights(given):
    t, grid, equator, fold, shares = given
    if fold in ("quarter", "half") and t.nlon % 2:
        with pytest.raises(ValueError, match="not divisible"):
            Geometry(*given)
        return
    geometry = Geometry(*given)
    lon, lat = geometry.points
    assert lon.shape == lat.shape == geometry.nodal_shape
    weights = np.broadcast_to(geometry.longitude_weights[:, None] * geometry.sin_lat_weights[1], geometry.nodal_shape)
    assert weights.sum() == pytest.approx(4 * np.pi, rel=1e-12)
    there = np.zeros((t.nlon, t.nlat))
    np.add.at(there, (lon, lat), weights)
    np.testing.assert_allclose(there, there[:1] + 0 * there, atol=1e-14)  # every meridian weighs the same
    assert (geometry.representatives >= 0).all()
    flat = lon.ravel()[geometry.representatives], lat.ravel()[geometry.representatives]
    np.testing.assert_array_equal(flat[0], np.arange(t.nlon)[:, None] + 0 * flat[1])


@settings(deadline=None)
@given(geometries())
def test_each_coefficient_has_one_place(given):
    t = given[0]
    if given[3] in ("quarter", "half") and t.nlon % 2:
        return
    total, zonal, live = Geometry(*given).wavenumbers
    s = np.indices(total.shape)[0]
    found = set(zip(s[live].tolist(), zonal[live].tolist(), total[live].tolist(), strict=True))
    wanted = {
        (s, m, l) for s in (0, 1) for m in range(t.zonal) for l in range(m, t.total) if not (s == 1 and m == 0)
    }  # fmt: skip
    assert found == wanted and live.sum() == len(wanted)


def test_shares_pad_to_equal_parts():
    geometry = Geometry(truncation("T42"), shares=8)
    assert geometry.modal_shape[3] == 24 and geometry.nodal_shape[2] == 32


def test_an_unknown_fold_is_refused():
    with pytest.raises(ValueError, match="accepted: quarter, half, mirror, none"):
        Geometry(truncation("T21"), longitude_fold="third")
