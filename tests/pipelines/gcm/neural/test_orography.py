"""Orography: the base is the analysis of the given field, and learned numbers land on their coefficients."""

import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere import layout, transform
from sciml.kernels.sphere.grids import custom
from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.orography import base_orography, coefficient_order, learned_correction
from sciml.pipelines.gcm.scales import ATMOSPHERIC, EARTH


@pytest.fixture(scope="module")
def plans():
    return make_plan("TL31"), make_plan(custom(31))


def hill(plan):
    """Geopotential [i, j] of a smooth hill 3000 m high."""
    lon, lat = np.radians(plan.longitude)[:, None], np.radians(plan.latitude)[None]
    return 3000 * EARTH.gravity * np.exp(-4 * (1 - np.cos(lat) * np.cos(lon - 1)))


def test_the_field_comes_back_as_height(plans):
    model, dynamics = plans
    for target in plans:
        height = layout.to_standard(target, transform.synthesis(target, base_orography(model, target, hill(model))))
        expected = ATMOSPHERIC.nondim(hill(target) / EARTH.gravity, "m")
        np.testing.assert_allclose(height[..., 0], expected, atol=2e-5 * expected.max())
    assert dynamics.truncation.nlon == 94


def test_a_filter_damps_by_its_law(plans):
    model, dynamics = plans
    raw = base_orography(model, dynamics, hill(model))
    damped = base_orography(model, dynamics, hill(model), ((2.0, 1, 0.0),))
    factor = np.exp(-2.0 * (dynamics.total_wavenumber / 31) ** 2)
    np.testing.assert_allclose(damped[..., 0], raw[..., 0] * factor, atol=1e-9)


def test_every_learned_number_has_its_coefficient(plans):
    order = coefficient_order(plans[1])
    assert sorted(order[plans[1].mask]) == list(range(1, 1 + 31 * 32 + 30)) and not order[~plans[1].mask].any()
    l, m = plans[1].total_wavenumber, plans[1].zonal_wavenumber
    sign = np.indices(order.shape)[0]
    assert (l[order == 33], m[order == 33], sign[order == 33]) == (1, 1, 0)  # after m = 0: l = 1 of cos(longitude)
    found = learned_correction(plans[1], jnp.arange(1.0, order.max() + 1), 0.5)
    np.testing.assert_array_equal(found[..., 0], 0.5 * order)


def test_what_is_refused(plans):
    with pytest.raises(DataError, match="shape .32, 64.") as caught:
        base_orography(plans[0], plans[1], np.zeros((32, 64)))
    assert "64 longitudes and 32 latitudes" in caught.value.hint
    broken = hill(plans[0])
    broken[3, 4] = np.nan
    with pytest.raises(DataError, match="1 values that are no number"):
        base_orography(plans[0], plans[1], broken)
    with pytest.raises(DataError, match="1022 coefficients"):
        learned_correction(plans[1], jnp.zeros(5), 1.0)


@pytest.mark.parametrize("rows", layout.ROWS)
def test_against_the_original(plans, rows):
    """Base, filter and correction in both row orders of the checkpoints."""
    shapes = pytest.importorskip("dinosaur.spherical_harmonic")
    systems, sigma = (
        pytest.importorskip("dinosaur.coordinate_systems"),
        pytest.importorskip("dinosaur.sigma_coordinates"),
    )
    equations, filtering = (
        pytest.importorskip("dinosaur.primitive_equations"),
        pytest.importorskip("dinosaur.filtering"),
    )
    kind = {"real": shapes.RealSphericalHarmonics, "zero_imag": shapes.RealSphericalHarmonicsWithZeroImag}[rows]
    levels = sigma.SigmaCoordinates.equidistant(2)
    source = systems.CoordinateSystem(shapes.Grid.TL31(radius=1.0, spherical_harmonics_impl=kind), levels)
    grid = shapes.Grid.with_wavenumbers(31, "quadratic", radius=1.0, spherical_harmonics_impl=kind)
    target = systems.CoordinateSystem(grid, levels)
    height = ATMOSPHERIC.nondim(hill(plans[0]) / EARTH.gravity, "m")
    damping = filtering.exponential_filter(target.horizontal, 2.0, 1, 0.0)
    expected = equations.filtered_modal_orography(height, target, source, [damping])
    values = np.random.default_rng(0).normal(size=target.horizontal.mask.sum()).astype(np.float32)
    expected = expected.at[target.horizontal.mask].add(1e-5 * values)
    found = base_orography(*plans, hill(plans[0]), ((2.0, 1, 0.0),)) + learned_correction(plans[1], values, 1e-5)
    found = layout.modal_to_rows(plans[1], np.asarray(found), rows)[..., 0]
    assert np.linalg.norm(found - expected) <= 1e-6 * np.linalg.norm(expected)
