import numpy as np
import pytest
from scipy.special import sph_harm_y

from sciml.kernels.sphere import reference
from sciml.kernels.sphere.grids import latitudes, truncation

RNG = np.random.default_rng(0)


def test_legendre_functions_in_closed_form():
    x = np.linspace(-1, 1, 11)
    table = reference.legendre(4, 4, x)
    cos = np.sqrt(1 - x**2)
    for (m, l), exact in {
        (0, 0): np.sqrt(1 / 2) + 0 * x,
        (0, 1): np.sqrt(3 / 2) * x,
        (1, 1): -np.sqrt(3 / 4) * cos,
        (0, 2): np.sqrt(5 / 8) * (3 * x**2 - 1),
        (1, 2): -np.sqrt(15 / 4) * x * cos,
        (2, 2): np.sqrt(15 / 16) * cos**2,
        (3, 3): -np.sqrt(35 / 32) * cos**3,
    }.items():
        np.testing.assert_allclose(table[m, :, l], exact, atol=1e-14)
    assert not table[2, :, 1].any() and not table[3, :, 2].any()


def test_harmonics_are_those_of_scipy():
    sin_lat, lon = latitudes("gauss", 40)[0], np.linspace(0, 6, 7)
    table, f = reference.legendre(31, 40, sin_lat), reference.fourier(31, lon)
    for m, l in [(0, 0), (0, 39), (1, 1), (5, 17), (12, 12), (30, 31), (30, 39)]:
        mine = f[0, :, m, None] * table[m, :, l]
        theirs = sph_harm_y(l, m, np.arccos(sin_lat), lon[:, None]).real * (np.sqrt(2) if m else 1)
        np.testing.assert_allclose(mine, theirs, atol=1e-12)


@pytest.mark.parametrize("name", ["T21", "TL127"])
def test_legendre_functions_are_orthonormal_under_the_weights(name):
    t = truncation(name)
    nodes, weights = latitudes("gauss", t.nlat)
    table = reference.legendre(t.zonal, t.total - 1, nodes)
    for m in (0, 1, t.zonal // 2, t.zonal - 1):
        gram = (table[m] * weights[:, None]).T @ table[m]
        np.testing.assert_allclose(gram, np.diag(np.arange(t.total - 1) >= m), atol=1e-12)


def test_no_underflow_that_matters_at_high_wavenumbers():
    """Sum over m of P^2 (addition theorem): (2 l + 1) / 2 at every latitude, also next to the pole."""
    nodes = latitudes("gauss", 640)[0][[0, 5, 160, 319, 639]]
    table = reference.legendre(640, 640, nodes)
    square = table[:, :, 639] ** 2
    np.testing.assert_allclose(square[0] + 2 * square[1:].sum(0), (2 * 639 + 1) / 2, rtol=1e-10)


def coefficients(t, columns=2):
    inside = np.arange(t.total - 1) >= np.arange(t.zonal)[:, None]
    x = np.zeros((2, t.zonal, t.total, columns))
    x[:, :, :-1] = RNG.normal(size=(2, t.zonal, t.total - 1, columns)) * inside[..., None]
    x[1, 0] = 0
    return x


def test_round_trip_and_parseval():
    t = truncation("T31")
    nodes, weights = latitudes("gauss", t.nlat)
    x = coefficients(t)
    z = reference.synthesis(x, t.nlon, nodes)
    np.testing.assert_allclose(reference.analysis(z, t.zonal, t.total, nodes, weights), x, atol=1e-12)
    area = 2 * np.pi / t.nlon * weights[:, None]
    np.testing.assert_allclose((area * z**2).sum((0, 1)), (x**2).sum((0, 1, 2)), rtol=1e-12)


def test_a_constant_field():
    t = truncation("T21")
    x = reference.analysis(np.ones((t.nlon, t.nlat)), t.zonal, t.total, *latitudes("gauss", t.nlat))
    assert x[0, 0, 0] == pytest.approx(np.sqrt(4 * np.pi), rel=1e-14)
    x[0, 0, 0] = 0
    assert abs(x).max() < 1e-14


def test_operators_on_an_analytic_field():
    """f = cos^2(lat) sin(lat) cos(2 lon): all derivatives in closed form."""
    t = truncation("T21")
    nodes, weights = latitudes("gauss", t.nlat)
    lon, s = (2 * np.pi * np.arange(t.nlon) / t.nlon)[:, None], nodes
    c2 = 1 - s**2
    x = reference.analysis(c2 * s * np.cos(2 * lon), t.zonal, t.total, nodes, weights)

    def on_grid(y):
        return reference.synthesis(y, t.nlon, nodes)

    np.testing.assert_allclose(on_grid(reference.d_dlon(x)), -2 * c2 * s * np.sin(2 * lon), atol=1e-13)
    slope = c2 * (c2 - 2 * s**2) * np.cos(2 * lon)
    np.testing.assert_allclose(on_grid(reference.cos_lat_d_dlat(x)), slope, atol=1e-13)
    flux = c2 * (c2 - 4 * s**2) * np.cos(2 * lon)  # 1/cos d/dlat of cos^4 sin
    np.testing.assert_allclose(on_grid(reference.sec_lat_d_dlat_cos2(x)), flux, atol=1e-13)
    np.testing.assert_allclose(on_grid(reference.laplacian(x)), -12 * c2 * s * np.cos(2 * lon), atol=1e-12)
