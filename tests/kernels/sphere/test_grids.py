import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciml.kernels.sphere.grids import GRIDS, TRUNCATIONS, Truncation, custom, latitudes, truncation


@pytest.mark.parametrize(
    ("name", "shape"),
    [("T21", (22, 23, 64, 32)), ("T42", (43, 44, 128, 64)), ("TL63", (64, 65, 128, 64)), ("T425", (426, 427, 1280, 640)),
     ("TL127", (128, 129, 256, 128)), ("TL1279", (1280, 1281, 2560, 1280))],
)  # fmt: skip
def test_named_truncations(name, shape):
    t = truncation(name)
    assert (t.zonal, t.total, t.nlon, t.nlat) == shape


@pytest.mark.parametrize(("wavenumbers", "grid"), [(63, (190, 95)), (126, (379, 190)), (254, (763, 382))])
def test_the_grids_of_neuralgcm_dycores(wavenumbers, grid):
    t = custom(wavenumbers)
    assert (t.zonal, t.total) == (wavenumbers, wavenumbers + 1)
    assert (t.nlon, t.nlat) == grid


def test_a_wrong_name_gets_a_suggestion():
    with pytest.raises(ValueError, match="did you mean T4"):
        truncation("T43")
    with pytest.raises(ValueError, match="accepted: linear, quadratic, cubic"):
        custom(21, "square")
    with pytest.raises(ValueError, match="accepted: gauss"):
        latitudes("healpix", 8)
    with pytest.raises(ValueError, match="64 longitudes carry fewer than 40"):
        Truncation("x", 40, 41, 64, 32)


def test_every_truncation_is_carried_by_its_grid():
    for name in TRUNCATIONS:
        t = truncation(name)
        quadratic = not name.startswith("TL")
        assert t.nlon >= (3 if quadratic else 2) * (t.zonal - 1) + 1, name
        assert t.nlat >= t.nlon // 2


@given(kind=st.sampled_from(GRIDS), nlat=st.integers(2, 65), degree=st.integers(0, 64))
def test_weights_integrate_polynomials_exactly(kind, nlat, degree):
    nodes, weights = latitudes(kind, nlat)
    assert np.all(np.diff(nodes) > 0) and np.array_equal(nodes, -nodes[::-1])
    np.testing.assert_allclose(weights, weights[::-1], atol=1e-15)
    if degree <= (2 * nlat - 1 if kind == "gauss" else nlat - 1):
        exact = 0.0 if degree % 2 else 2 / (degree + 1)
        assert weights @ nodes**degree == pytest.approx(exact, abs=1e-12)


def test_poles_only_where_the_name_says_so():
    assert latitudes("equiangular_with_poles", 9)[0][-1] == 1.0
    assert latitudes("equiangular", 9)[0][-1] < 1.0
