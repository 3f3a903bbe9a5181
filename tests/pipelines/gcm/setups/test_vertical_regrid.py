"""Between pressure and sigma: linear profiles are exact, and each way to go on beyond the data does what it says."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.pipelines.gcm.dynamics import vertical
from sciml.pipelines.gcm.dynamics.vertical import equidistant
from sciml.pipelines.gcm.setups import vertical_regrid
from sciml.pipelines.gcm.setups.vertical_regrid import interpolate

LEVELS = np.array([10.0, 100, 250, 500, 850, 1000])
R = 287.0

ascending = st.lists(st.floats(0.5, 100), min_size=2, max_size=12).map(lambda steps: np.cumsum(steps))


@settings(max_examples=60, deadline=None)
@given(source=ascending, a=st.floats(-10, 10), b=st.floats(-5, 5), seed=st.integers(0, 99))
def test_linear_profiles_are_exact(source, a, b, seed):
    rng = np.random.default_rng(seed)
    target = rng.uniform(source[0] - 50, source[-1] + 50, (3, 4))
    x = np.broadcast_to(a + b * source, (3, len(source)))
    np.testing.assert_allclose(interpolate(x, source, target, "linear"), a + b * target, rtol=1e-9, atol=1e-7)
    held = a + b * np.clip(target, source[0], source[-1])
    np.testing.assert_allclose(interpolate(x, source, target, "constant"), held, rtol=1e-9, atol=1e-7)


@settings(max_examples=30, deadline=None)
@given(source=ascending, seed=st.integers(0, 99))
def test_interpolation_goes_through_its_points_and_not_beyond(source, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, len(source)))
    np.testing.assert_allclose(interpolate(x, source, np.broadcast_to(source, x.shape)), x, atol=1e-9)
    found = interpolate(x, source, rng.uniform(0, 2 * source[-1], (2, 9)))
    assert (found <= x.max(-1, keepdims=True) + 1e-12).all() and (found >= x.min(-1, keepdims=True) - 1e-12).all()


@pytest.mark.parametrize("extrapolation", vertical_regrid.EXTRAPOLATIONS)
def test_jax_and_numpy_agree(extrapolation):
    rng = np.random.default_rng(0)
    x, target = rng.normal(size=(4, 3, 6)).astype(np.float32), rng.uniform(0, 1100, (4, 1, 5)).astype(np.float32)
    found = interpolate(jnp.asarray(x), LEVELS, jnp.asarray(target), extrapolation)
    assert found.shape == (4, 3, 5) and found.dtype == np.float32
    np.testing.assert_allclose(found, interpolate(x, LEVELS, target, extrapolation), rtol=1e-5, atol=1e-5)


def test_what_cannot_be_interpolated_is_refused():
    for levels in ([3.0, 2.0], [1.0], [1.0, 1.0, 2.0]):
        with pytest.raises(ValueError, match="do not ascend"):
            interpolate(np.zeros(len(levels)), np.array(levels), np.ones(1))
    with pytest.raises(ValueError, match="accepted: constant, linear"):
        interpolate(np.zeros(6), LEVELS, np.ones(1), "cubic")


def isothermal(pressure, temperature=280.0):
    return R * temperature * np.log(1000.0 / pressure)


@pytest.mark.parametrize("surface", [600.0, 870.0, 999.0, 1040.0, 5.0])
def test_surface_pressure_of_isothermal_air_is_exact_in_its_logarithm(surface):
    column, ground = isothermal(LEVELS), np.array([isothermal(surface)])
    found = vertical_regrid.surface_pressure(column, LEVELS, ground, logarithmic=True)
    np.testing.assert_allclose(found, surface, rtol=1e-12)
    above = np.searchsorted(LEVELS[1:-1], surface)
    chord = np.interp(ground, column[[above + 1, above]], LEVELS[[above + 1, above]])
    if LEVELS[0] < surface < LEVELS[-1]:
        np.testing.assert_allclose(vertical_regrid.surface_pressure(column, LEVELS, ground), chord, rtol=1e-12)
        assert chord[0] >= surface  # the chord lies above the curve


def test_surface_pressure_is_linear_without_limit():
    """Where pressure is linear in geopotential, in any column of many, above and below the data."""
    rng = np.random.default_rng(0)
    start, slope = rng.uniform(9e4, 1e5, (4, 3, 1)), rng.uniform(50, 99, (4, 3, 1))
    ground = rng.uniform(-1e4, 1e5, (4, 3, 1))
    found = vertical_regrid.surface_pressure(start - slope * LEVELS, LEVELS, ground)
    np.testing.assert_allclose(found, (start - ground) / slope, rtol=1e-10)


def test_surface_pressure_agrees_with_dinosaur():
    peer = pytest.importorskip("dinosaur.vertical_interpolation")
    rng = np.random.default_rng(0)
    column = isothermal(LEVELS) + rng.normal(0, 100, (4, 3, 6))
    ground = rng.uniform(-2000, 3e4, (4, 3, 1))
    found = vertical_regrid.surface_pressure(column, LEVELS, ground)
    levels = peer.PressureCoordinates(LEVELS)
    expected = peer.get_surface_pressure(
        levels, np.moveaxis(column, -1, 0), np.moveaxis(ground, -1, 0) / 9.80616, 9.80616
    )
    np.testing.assert_allclose(found, np.moveaxis(np.asarray(expected), 0, -1), rtol=2e-5)


def test_there_and_back():
    """From pressure to sigma and out again: wind linear in pressure comes back where the data reach."""
    levels = equidistant(30)
    surface = np.array([[980.0], [700.0]])
    x = np.broadcast_to(3 + 0.1 * LEVELS, (2, 6))
    inner = vertical_regrid.pressure_to_sigma(x, LEVELS, surface, levels.centers)
    np.testing.assert_allclose(inner, 3 + 0.1 * surface * levels.centers, rtol=1e-12)
    back = vertical_regrid.sigma_to_pressure(inner, levels.centers, surface, LEVELS, "constant")
    np.testing.assert_allclose(back[0, 1:5], x[0, 1:5], rtol=1e-12)
    np.testing.assert_allclose(back[1, 4:], inner[1, -1], rtol=1e-12)
    out = vertical_regrid.sigma_to_pressure(inner, levels.centers, surface, LEVELS, "linear")
    np.testing.assert_allclose(out, x, rtol=1e-10)


def profile(depth):
    """R T_v linear in ln p, and the geopotential that belongs to it, 0 at the surface."""
    return R * (280 + 15 * depth), -R * (280 * depth + 7.5 * depth**2)


def test_geopotential_between_layers_is_the_hydrostatic_integral():
    levels = equidistant(12)
    depth = np.log(levels.centers)
    heat, height = profile(depth)
    inside = np.linspace(levels.centers[0], levels.centers[-1], 50)
    found = vertical_regrid.hydrostatic(height, heat, levels.centers, inside)
    np.testing.assert_allclose(found, profile(np.log(inside))[1], rtol=1e-12)
    linear = interpolate(height, levels.centers, inside)
    assert abs(linear - profile(np.log(inside))[1]).max() > 1000  # what it is there for
    outside = vertical_regrid.hydrostatic(height, heat, levels.centers, np.array([1e-3, 1.1]))
    np.testing.assert_allclose(outside, height[[0, -1]])
    with_jax = vertical_regrid.hydrostatic(
        *(jnp.asarray(x, jnp.float32) for x in (height, heat)), levels.centers, jnp.asarray(inside)
    )
    np.testing.assert_allclose(with_jax, found, rtol=2e-6, atol=0.1)


def test_geopotential_at_the_layers_is_the_models():
    levels = equidistant(9)
    temperature = np.random.default_rng(0).uniform(200, 300, (4, 9))
    height = temperature @ vertical.geopotential(levels, R).T
    target = np.broadcast_to(levels.centers, height.shape)
    found = vertical_regrid.hydrostatic(height, R * temperature, levels.centers, target)
    np.testing.assert_allclose(found, height, rtol=1e-12)


edges = st.lists(st.floats(0.02, 1), min_size=2, max_size=9).map(lambda steps: np.concatenate([[0], np.cumsum(steps)]))


@settings(max_examples=60, deadline=None)
@given(source=edges, target=edges, seed=st.integers(0, 99))
def test_overlap_keeps_the_column(source, target, seed):
    source, target = source / source[-1], target / target[-1]
    weights = vertical_regrid.overlap_weights(source, target)
    np.testing.assert_allclose(weights.sum(1), 1.0, rtol=1e-12)
    x = np.random.default_rng(seed).normal(size=len(source) - 1)
    np.testing.assert_allclose((weights @ x) @ np.diff(target), x @ np.diff(source), atol=1e-12)


def test_overlap_of_halves():
    weights = vertical_regrid.overlap_weights(np.array([0, 0.5, 1]), np.array([0, 0.25, 1]))
    np.testing.assert_allclose(weights, [[1, 0], [1 / 3, 2 / 3]])
    with pytest.raises(ValueError, match="not covered"):
        vertical_regrid.overlap_weights(np.array([0, 0.5]), np.array([0.5, 1]))
