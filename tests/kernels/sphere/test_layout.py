import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciml.kernels.sphere import layout
from sciml.kernels.sphere.geometry import Geometry
from sciml.kernels.sphere.grids import custom, truncation

FOLDS = st.sampled_from([(True, "mirror"), (True, "none"), (False, "mirror"), (False, "none")])


@given(n=st.integers(3, 20), fold=FOLDS, shares=st.integers(1, 3), columns=st.lists(st.integers(1, 3), max_size=2))
def test_grids_and_back(n, fold, shares, columns):
    geometry = Geometry(custom(n), "gauss", *fold, shares)
    t = geometry.truncation
    f = np.random.default_rng(0).normal(size=(t.nlon, t.nlat, *columns))
    folded = layout.from_standard(geometry, f)
    assert folded.shape == (*geometry.nodal_shape, *columns)
    np.testing.assert_array_equal(layout.to_standard(geometry, folded), f)


@given(n=st.integers(3, 20), fold=FOLDS, shares=st.integers(1, 3), kind=st.sampled_from(layout.ROWS))
def test_coefficients_and_back(n, fold, shares, kind):
    geometry = Geometry(custom(n), "gauss", *fold, shares)
    x = np.random.default_rng(0).normal(size=(*geometry.modal_shape, 2))
    x = np.where(geometry.wavenumbers[2][..., None], x, 0.0)
    np.testing.assert_array_equal(layout.join(geometry, layout.split(geometry, x)), x)
    rows = layout.modal_to_rows(geometry, x, kind)
    assert rows.shape == (2 * n - (kind == "real"), n + 1, 2)
    np.testing.assert_array_equal(layout.modal_from_rows(geometry, rows, kind), x)


def test_rows_are_zero_plus_one_minus_one():
    geometry = Geometry(truncation("T21"))
    l, m, live = geometry.wavenumbers
    sign = 1 - 2 * np.indices(l.shape)[0]
    rows = layout.modal_to_rows(geometry, np.where(live, 1000 * sign * m + l, 0))
    assert rows[:, 22].tolist()[:5] == [22, 1022, -978, 2022, -1978]
    assert layout.modal_to_rows(geometry, np.where(live, l, 0), "zero_imag")[1].max() == 0


def test_resampling_cuts_and_pads():
    small, large = Geometry(truncation("T21")), Geometry(truncation("TL63"), longitude_fold="half")
    x = np.where(small.wavenumbers[2], 1.0 + small.wavenumbers[0] + 100 * small.wavenumbers[1], 0.0)[..., None]
    there = layout.resample(small, large, x)
    assert there.shape == (*large.modal_shape, 1) and there.sum() == x.sum()
    np.testing.assert_array_equal(layout.resample(large, small, there), x)


@pytest.mark.parametrize("fold", ["quarter", "half", "none"])
def test_cutting_moves_nothing_else(fold):
    """The dynamics of the released models run on a grid of their own, beside the model's."""
    model = Geometry(truncation("TL31"))
    inner = Geometry(custom(31), longitude_fold="half" if fold == "half" else "mirror" if fold == "quarter" else "none")
    x = np.random.default_rng(0).normal(size=(*model.modal_shape, 2)) * model.wavenumbers[2][..., None]
    found = layout.resample(model, inner, x)
    np.testing.assert_array_equal(found, layout.join(inner, layout.split(model, x)))
    kept = (model.wavenumbers[0] <= 31) & (model.wavenumbers[1] <= 30)
    np.testing.assert_array_equal(layout.resample(inner, model, found), x * kept[..., None])


def test_jax_arrays_stay_there():
    geometry = Geometry(truncation("T21"))
    x = jnp.ones((*geometry.modal_shape, 1))
    assert isinstance(layout.modal_to_rows(geometry, x), type(x))


def test_what_is_refused():
    geometry = Geometry(truncation("T21"))
    with pytest.raises(ValueError, match="64 longitudes and 32 latitudes"):
        layout.from_standard(geometry, np.zeros((32, 64)))
    for function in (layout.modal_to_rows, layout.modal_from_rows):
        with pytest.raises(ValueError, match="accepted: real, zero_imag"):
            function(geometry, np.zeros((*geometry.modal_shape, 1)), "complex")
