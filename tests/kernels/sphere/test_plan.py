import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere.plan import make_plan


def test_shapes_and_fields_of_a_plan():
    plan = make_plan("T21")
    assert plan.modal_shape == plan.mask.shape == plan.total_wavenumber.shape == plan.zonal_wavenumber.shape
    assert plan.dtype == jnp.float32
    assert plan.longitude[1] == pytest.approx(360 / 64) and len(plan.latitude) == 32 and plan.latitude[0] < -80
    z = jnp.ones((*plan.nodal_shape, 3, 5))
    sin, cos, sec2 = (plan.rows(table, z.ndim) for table in (plan.sin_lat, plan.cos_lat, plan.sec2_lat))
    np.testing.assert_allclose((sin**2 + cos**2) * z, z, rtol=1e-6)
    np.testing.assert_allclose(cos**2 * sec2 * z, z, rtol=1e-6)


def test_a_plan_is_a_pytree_with_tables_as_leaves():
    plan = make_plan("T21")
    leaves, form = jax.tree.flatten(plan)
    assert all(isinstance(leaf, jax.Array) for leaf in leaves)
    assert jax.tree.unflatten(form, leaves).how == plan.how and hash(plan.how) == hash(make_plan("T21").how)


def test_secant_is_finite_at_the_poles():
    plan = make_plan("T21", grid="equiangular_with_poles")
    assert np.isfinite(plan.sec2_lat).all() and float(plan.sec2_lat.min()) == 0.0


@pytest.mark.parametrize(
    ("platform", "name", "shape"),
    [("cpu", "TL63", (8, 33, 32)), ("gpu", "TL63", (4, 64, 32)), ("tpu", "TL63", (1, 128, 64)), ("tpu", "TL127", (2, 128, 128)),
     ("tpu", "TL255", (4, 256, 128))],
)  # fmt: skip
def test_folds_per_platform(platform, name, shape):
    assert make_plan(name, platform=platform).nodal_shape == shape


def test_what_is_refused():
    with pytest.raises(ValueError, match="accepted: float32, BF16_BF16_F32_X3, float64, TF32"):
        make_plan("T21", precision="half")
    with pytest.raises(ValueError, match="jax_enable_x64"):
        make_plan("T21", precision="float64")
    with pytest.raises(ValueError, match="accepted: auto, equator-quarter"):
        make_plan("T21", fold="quarter")
    with pytest.raises(ValueError, match="did you mean T"):
        make_plan("T22")


def test_tf32_only_with_a_warning():
    with pytest.warns(UserWarning, match="10 bits"):
        make_plan("T21", precision="TF32")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_plan("T21", precision="BF16_BF16_F32_X3")
