import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere import layout, operators, reference, transform
from sciml.kernels.sphere.grids import latitudes
from sciml.kernels.sphere.plan import make_plan

FOLDS = ["equator-quarter", "equator-half", "equator-mirror", "whole-half", "whole-none"]


def drawn(plan, columns=2):
    x = np.random.default_rng(0).normal(size=(*plan.modal_shape, columns))
    return np.where(plan.mask[..., None], x, 0.0)


@pytest.mark.parametrize("fold", FOLDS)
@pytest.mark.parametrize("name", ["d_dlon", "cos_lat_d_dlat", "sec_lat_d_dlat_cos2", "laplacian"])
def test_against_the_reference(name, fold):
    with jax.enable_x64(True):
        plan = make_plan("T21", fold=fold, precision="float64")
        x = drawn(plan)
        mine = np.asarray(getattr(operators, name)(plan, jnp.asarray(x)))
    exact = layout.join(plan, getattr(reference, name)(layout.split(plan, x)))
    np.testing.assert_allclose(mine, exact, atol=1e-11)


def test_laplacian_and_its_inverse():
    plan = make_plan("T42")
    x = jnp.asarray(drawn(plan), plan.dtype)
    back = operators.inverse_laplacian(plan, operators.laplacian(plan, x))
    mean = (plan.total_wavenumber == 0) & plan.mask
    np.testing.assert_allclose(back, jnp.where(mean[..., None], 0, x), rtol=1e-5, atol=1e-6)


def test_wind_and_back():
    """Vorticity and divergence to wind on the grid and back, without the largest total wavenumber."""
    with jax.enable_x64(True):
        plan = make_plan("T21", precision="float64")
        zeta, div = (operators.clip(plan, jnp.asarray(drawn(plan)), 2) for _ in range(2))
        mean = ((plan.total_wavenumber == 0) & plan.mask)[..., None]
        zeta, div = jnp.where(mean, 0, zeta), jnp.where(mean, 0, 2 * div)
        wind = (transform.synthesis(plan, a) for a in operators.cos_lat_wind(plan, zeta, div))
        sec = plan.rows(plan.cos_lat * plan.sec2_lat, 4)
        u, v = (sec * a for a in wind)
        back = operators.vorticity_divergence(plan, u, v)
    np.testing.assert_allclose(back[0], zeta, atol=1e-10)
    np.testing.assert_allclose(back[1], div, atol=1e-10)


def test_solid_body_rotation():
    """u = cos(lat): vorticity 2 sin(lat), no divergence; and the wind of that vorticity."""
    plan = make_plan("T21")
    zeta, div = operators.vorticity_divergence(
        plan, plan.cos_lat + jnp.zeros((*plan.nodal_shape, 1)), jnp.zeros((*plan.nodal_shape, 1))
    )
    values = transform.synthesis(plan, zeta)
    np.testing.assert_allclose(values, 2 * plan.sin_lat + 0 * values, atol=2e-6)
    assert float(jnp.abs(div).max()) < 1e-6
    u, v = (transform.synthesis(plan, a) for a in operators.cos_lat_wind(plan, zeta, div))
    np.testing.assert_allclose(u, plan.cos_lat**2 + 0 * u, atol=2e-6)
    assert float(jnp.abs(v).max()) < 2e-6


@pytest.mark.parametrize("grid", ["gauss", "equiangular", "equiangular_with_poles"])
def test_gradient_of_an_analytic_field(grid):
    plan = make_plan("T21", grid=grid)
    s, lon = latitudes(grid, plan.truncation.nlat)[0], np.radians(plan.longitude)[:, None]
    c2 = 1 - s**2
    field = (c2 * s * np.cos(2 * lon))[..., None]
    x = transform.analysis(plan, jnp.asarray(layout.from_standard(plan, field), plan.dtype))
    east, north = (
        layout.to_standard(plan, np.asarray(transform.synthesis(plan, a))) for a in operators.cos_lat_gradient(plan, x)
    )
    np.testing.assert_allclose(east[..., 0], -2 * c2 * s * np.sin(2 * lon), atol=1e-5)
    np.testing.assert_allclose(north[..., 0], c2 * (c2 - 2 * s**2) * np.cos(2 * lon), atol=1e-5)


def test_divergence_of_a_curl_is_zero():
    plan = make_plan("T21")
    x = operators.clip(plan, jnp.asarray(drawn(plan), plan.dtype), 3)
    east, north = operators.cos_lat_gradient(plan, x)
    sec2 = plan.rows(plan.sec2_lat, 4)
    a, b = (transform.analysis(plan, sec2 * transform.synthesis(plan, y)) for y in (-north, east))
    size = float(jnp.abs(operators.laplacian(plan, x)).max())
    assert float(jnp.abs(operators.clip(plan, operators.divergence_cos_lat(plan, (a, b)))).max()) < 1e-5 * size
    curl = operators.clip(plan, operators.curl_cos_lat(plan, (a, b)))
    np.testing.assert_allclose(curl, operators.laplacian(plan, x), atol=2e-5 * size)


def test_clip_takes_the_largest_wavenumbers():
    plan = make_plan("T21")
    x = operators.clip(plan, jnp.ones((*plan.modal_shape, 1)), 2)
    kept = np.asarray(x)[..., 0] != 0
    assert (kept == (plan.mask & (plan.total_wavenumber < 21))).all()


def test_against_dinosaur():
    peer = pytest.importorskip("dinosaur.spherical_harmonic")
    plan, grid = make_plan("T21"), peer.Grid.T21()
    x = drawn(plan, 1)
    rows = np.moveaxis(layout.modal_to_rows(plan, x), -1, 0).astype(np.float32)
    for mine, theirs in (("d_dlon", "d_dlon"), ("cos_lat_d_dlat", "cos_lat_d_dlat"), ("laplacian", "laplacian"),
                         ("sec_lat_d_dlat_cos2", "sec_lat_d_dlat_cos2")):  # fmt: skip
        y = layout.modal_to_rows(plan, getattr(operators, mine)(plan, jnp.asarray(x, plan.dtype)))[..., 0]
        np.testing.assert_allclose(y, np.asarray(getattr(grid, theirs)(rows))[0], rtol=1e-5, atol=1e-4)
