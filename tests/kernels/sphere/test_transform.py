import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere import layout, reference, transform
from sciml.kernels.sphere.grids import custom, latitudes, truncation
from sciml.kernels.sphere.plan import make_plan

LIMIT = {"float32": 5e-7, "float64": 1e-12}


def drawn(t, columns, seed=0):
    """Random coefficients [s, m, l, n] of unit size, zero where no harmonic is."""
    inside = np.arange(t.total) >= np.arange(t.zonal)[:, None]
    x = np.random.default_rng(seed).normal(size=(2, t.zonal, t.total, columns)) * inside[None, ..., None]
    x[1, 0] = 0.0
    return x


def relative(a, b):
    return np.linalg.norm(np.asarray(a, np.float64) - b) / np.linalg.norm(b)


CASES = [(name, "gauss", "auto") for name in ("T21", "T42", "TL63", "T85", "TL127")]
CASES += [("T31", "equiangular", "auto"), ("T31", "equiangular_with_poles", "auto")]
CASES += [("T21", "gauss", f"{a}-{b}") for a in ("equator", "whole") for b in ("quarter", "half", "mirror", "none")]
CASES += [(custom(21), "gauss", "auto"), (custom(22), "gauss", "auto"), (custom(22, "cubic"), "gauss", "auto")]


@pytest.mark.parametrize("precision", sorted(LIMIT))
@pytest.mark.parametrize(("name", "grid", "fold"), CASES)
def test_against_the_reference(name, grid, fold, precision):
    t = truncation(name) if isinstance(name, str) else name
    columns = 3 if t.zonal < 100 else 1
    sin_lat, weights = latitudes(grid, t.nlat)
    x, f = drawn(t, columns), np.random.default_rng(1).normal(size=(t.nlon, t.nlat, columns))
    with jax.enable_x64(precision == "float64"):
        plan = make_plan(t, grid=grid, fold=fold, precision=precision)
        z = layout.to_standard(
            plan, np.asarray(transform.synthesis(plan, jnp.asarray(layout.join(plan, x), plan.dtype)))
        )
        y = transform.analysis(plan, jnp.asarray(layout.from_standard(plan, f), plan.dtype))
    assert relative(z, reference.synthesis(x, t.nlon, sin_lat)) < LIMIT[precision]
    exact = reference.analysis(f, t.zonal, t.total, sin_lat, weights)
    inside = np.arange(t.total) >= np.arange(t.zonal)[:, None]
    assert relative(layout.split(plan, np.asarray(y)), exact * inside[None, ..., None]) < LIMIT[precision]
    assert not np.asarray(y)[~plan.mask].any()  # dead entries are exactly zero


@pytest.mark.parametrize("wavenumbers", [63, 126])
def test_the_odd_grids_of_neuralgcm(wavenumbers):
    t = custom(wavenumbers)
    plan = make_plan(t)
    x = drawn(t, 1)
    z = layout.to_standard(plan, np.asarray(transform.synthesis(plan, jnp.asarray(layout.join(plan, x), plan.dtype))))
    assert relative(z, reference.synthesis(x, t.nlon, latitudes("gauss", t.nlat)[0])) < LIMIT["float32"]


@pytest.mark.parametrize("name", ["T21", "T42", "T85"])
def test_round_trip_on_quadratic_grids(name):
    plan = make_plan(name)
    x = jnp.asarray(layout.join(plan, drawn(plan.truncation, 7)), plan.dtype)
    assert relative(transform.analysis(plan, transform.synthesis(plan, x)), np.asarray(x, np.float64)) < 5e-7


@pytest.mark.parametrize("fold", ["equator-quarter", "equator-half", "equator-mirror", "whole-none"])
def test_synthesis_and_adjoint_are_transposes(fold):
    plan = make_plan("T21", fold=fold)
    rng = np.random.default_rng(2)
    x = jnp.asarray(rng.normal(size=(*plan.modal_shape, 4)), plan.dtype)
    z = jnp.asarray(rng.normal(size=(*plan.nodal_shape, 4)), plan.dtype)
    left, right = jnp.vdot(transform.synthesis(plan, x), z), jnp.vdot(x, transform.adjoint(plan, z))
    size = jnp.linalg.norm(transform.synthesis(plan, x)) * jnp.linalg.norm(z)
    assert abs(left - right) / size < 1e-6


def test_transformations_of_jax():
    plan = make_plan("T21")
    x = jnp.asarray(layout.join(plan, drawn(plan.truncation, 2)), plan.dtype)

    def loss(x):
        return (transform.synthesis(plan, x) ** 3).sum() / 3

    gradient = jax.jit(jax.grad(loss))(x)
    np.testing.assert_allclose(
        gradient, transform.adjoint(plan, transform.synthesis(plan, x) ** 2), rtol=1e-4, atol=1e-3
    )
    slope = jax.jvp(loss, (x,), (x,))[1]
    np.testing.assert_allclose(slope, jnp.vdot(gradient, x), rtol=1e-4)
    members = jnp.stack([x, 2 * x])
    np.testing.assert_allclose(jax.vmap(jax.grad(loss))(members)[1], 4 * gradient, rtol=1e-4, atol=1e-2)
    body = jax.checkpoint(lambda x, _: (transform.analysis(plan, jnp.tanh(transform.synthesis(plan, x))), None))
    value = jax.jit(jax.grad(lambda x: jax.lax.scan(body, x, None, length=3)[0].sum()))(x)
    assert np.isfinite(value).all()


def test_members_fold_into_the_columns_of_one_product():
    plan = make_plan("T21")
    x = jnp.zeros((5, *plan.modal_shape, 3))
    text = str(jax.make_jaxpr(jax.vmap(lambda x: transform.synthesis(plan, x)))(x))
    assert text.count("sphere_synthesis") == 1 and "15]" in text


@pytest.mark.parametrize("name", ["T21", "TL63"])
@pytest.mark.parametrize("function", [transform.synthesis, transform.analysis])
def test_the_compiled_transform_has_no_transpose(name, function):
    plan = make_plan(name)
    shape = plan.modal_shape if function is transform.synthesis else plan.nodal_shape
    compiled = jax.jit(function).lower(plan, jnp.zeros((*shape, 32))).compile().as_text()
    assert not re.search(r"= \S+ transpose\(", compiled)


def test_unknown_values_in_dead_entries_are_the_callers():
    """They are multiplied by zero tables: anything finite is ignored."""
    plan = make_plan("T21")
    x = layout.join(plan, drawn(plan.truncation, 1))
    poisoned = np.where(plan.mask[..., None], x, 1e6)
    clean, dirty = (transform.synthesis(plan, jnp.asarray(a, plan.dtype)) for a in (x, poisoned))
    np.testing.assert_array_equal(clean, dirty)


def test_wrong_shapes_are_named():
    plan = make_plan("T21")
    with pytest.raises(ValueError, match="its leading axes must be"):
        transform.synthesis(plan, jnp.zeros((3, 4)))
    with pytest.raises(ValueError, match="nodal array has shape"):
        transform.analysis(plan, jnp.zeros((*plan.modal_shape, 1)))


def test_precision_names_run_here():
    """On a CPU the fast names compute in float32; the m = 0 path of an accelerator is taken by force."""
    exact = make_plan("T21")
    x = jnp.asarray(layout.join(exact, drawn(exact.truncation, 2)), jnp.float32)
    wanted = np.asarray(transform.synthesis(exact, x), np.float64)
    for fold in ("equator-quarter", "equator-half"):
        plan = make_plan("T21", precision="BF16_BF16_F32_X3", platform="gpu", fold=fold)
        same = layout.join(plan, layout.split(exact, x))
        z = layout.to_standard(plan, transform.synthesis(plan, same))
        assert relative(z, layout.to_standard(exact, wanted)) < 2e-5
        back = transform.analysis(plan, transform.synthesis(plan, same))
        assert relative(back, np.asarray(same, np.float64)) < 2e-5


def test_a_constant_keeps_its_value():
    plan = make_plan("TL63")
    x = transform.analysis(plan, jnp.ones((*plan.nodal_shape, 1)))
    assert float(jnp.abs(transform.synthesis(plan, x) - 1).max()) < 1e-6


@pytest.mark.parametrize("kind", ["real", "zero_imag"])
def test_against_dinosaur(kind):
    peer = pytest.importorskip("dinosaur.spherical_harmonic")
    impl = {"real": peer.RealSphericalHarmonics, "zero_imag": peer.FastSphericalHarmonics}[kind]
    grid = peer.Grid.T42(spherical_harmonics_impl=impl)
    plan = make_plan("T42")
    x = drawn(plan.truncation, 2)
    rows = layout.modal_to_rows(plan, layout.join(plan, x), kind)
    theirs = grid.to_nodal(np.moveaxis(rows, -1, 0).astype(np.float32))
    mine = layout.to_standard(plan, transform.synthesis(plan, jnp.asarray(layout.join(plan, x), plan.dtype)))
    assert relative(np.moveaxis(np.asarray(mine), -1, 0), np.asarray(theirs, np.float64)) < 1e-6
    back = layout.modal_to_rows(plan, transform.analysis(plan, layout.from_standard(plan, mine)), kind)
    assert relative(np.moveaxis(np.asarray(back), -1, 0), np.asarray(grid.to_modal(theirs), np.float64)) < 1e-6
