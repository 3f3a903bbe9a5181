"""From grid to grid: constants and means are kept, what is linear stays so, unknown values are left out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.kernels.sphere.grids import GRIDS, latitudes
from sciml.pipelines.gcm.setups.horizontal import METHODS, check_axes, fill_nan_with_nearest, regridder


def regular(nlon, nlat, kind="gauss", west=0.0):
    return west + np.arange(nlon) * 360.0 / nlon, np.degrees(np.arcsin(latitudes(kind, nlat)[0]))


@st.composite
def grids(draw):
    """Regular grids of every kind, and irregular ones, anywhere on the longitude axis."""
    nlon, nlat = draw(st.integers(4, 24)), draw(st.integers(3, 20))
    lon, lat = regular(nlon, nlat, draw(st.sampled_from(GRIDS)), draw(st.floats(-360, 360)))
    if draw(st.booleans()):
        rng = np.random.default_rng(draw(st.integers(0, 99)))
        lon = lon + rng.uniform(-0.4, 0.4, nlon) * 360 / nlon
        lat = np.clip(lat + rng.uniform(-0.3, 0.3, nlat) * np.diff(lat).min(), -90, 90)
    return lon, lat


def areas(grid):
    """Share of the sphere [i, j] of each cell, found anew from the midpoints."""
    lon, lat = grid
    wide = (np.roll(lon, -1) - np.roll(lon, 1)) % 360 / 720
    edges = np.sin(np.radians(np.concatenate([[-90], (lat[1:] + lat[:-1]) / 2, [90]])))
    return wide[:, None] * np.diff(edges) / 2


@settings(max_examples=60, deadline=None)
@given(source=grids(), target=grids(), method=st.sampled_from(METHODS), seed=st.integers(0, 99))
def test_laws_of_any_map(source, target, method, seed):
    """Constants stay, nothing overshoots, and the conservative map keeps the global mean."""
    one = regridder(source, target, method)
    field = np.random.default_rng(seed).normal(size=(len(source[0]), len(source[1]), 2))
    found = one(field)
    assert found.shape == (len(target[0]), len(target[1]), 2)
    np.testing.assert_allclose(one(np.full_like(field, 288.0)), 288.0, rtol=1e-12)
    assert found.max() <= field.max() + 1e-12 and found.min() >= field.min() - 1e-12
    if method == "conservative":
        means = [np.einsum("ij,ijk->k", areas(grid), x) for grid, x in ((source, field), (target, found))]
        np.testing.assert_allclose(*means, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(grid=grids(), method=st.sampled_from(METHODS), turn=st.sampled_from([-360.0, 360.0]))
def test_a_grid_maps_to_itself(grid, method, turn):
    field = np.random.default_rng(0).normal(size=(len(grid[0]), len(grid[1])))
    for lon in (grid[0], grid[0] + turn):
        np.testing.assert_allclose(regridder(grid, (lon, grid[1]), method)(field), field, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(source=grids(), target=grids(), slope=st.floats(-5, 5))
def test_bilinear_is_exact_for_linear_fields(source, target, slope):
    """Linear in latitude everywhere between the outermost rows; in longitude away from the seam."""
    lon, lat = source
    found = regridder(source, target, "bilinear")(np.broadcast_to(slope * lat, (len(lon), len(lat))))
    expected = slope * np.clip(target[1], lat[0], lat[-1])
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1e-9)
    east = (target[0] - lon[0]) % 360
    inside = east <= lon[-1] - lon[0]
    found = regridder(source, target, "bilinear")(
        np.broadcast_to(slope * (lon - lon[0])[:, None], (len(lon), len(lat)))
    )
    np.testing.assert_allclose(
        found[inside], np.broadcast_to(slope * east[inside, None], found[inside].shape), atol=1e-9
    )


def test_bilinear_closes_the_circle():
    lon, lat = regular(4, 4)
    field = np.repeat(np.array([1.0, 2.0, 3.0, 5.0])[:, None], 4, axis=1)
    found = regridder((lon, lat), (np.array([300.0, 315.0, 345.0]), lat), "bilinear")(field)[:, 0]
    np.testing.assert_allclose(found, [5 - 4 / 3, 3, 5 - 4 * 5 / 6])


@pytest.mark.parametrize("method", METHODS)
def test_a_smooth_field_survives(method):
    source, target = regular(180, 91, "equiangular_with_poles"), regular(64, 32)

    def smooth(grid):
        lon, lat = np.radians(grid[0])[:, None], np.radians(grid[1])[None]
        return np.cos(lat) ** 2 * np.sin(2 * lon) + np.sin(lat)

    error = regridder(source, target, method)(smooth(source)) - smooth(target)
    assert abs(error).max() < 0.01


def test_unknown_values_are_left_out_or_spread():
    source, target = regular(16, 8), regular(8, 4)
    field = np.full((16, 8), 2.0)
    field[0, 3] = np.nan
    field[6:11, 4:8] = np.nan
    one = regridder(source, target)
    strict, kind = one(field), one(field, skipna=True)
    touched = one(np.isnan(field).astype(float))
    assert np.isnan(strict[touched > 1e-5]).all() and np.allclose(strict[touched == 0], 2)
    lost = np.isclose(touched, 1)
    assert lost.any() and np.isnan(kind[lost]).all()
    np.testing.assert_allclose(kind[~lost], 2.0)
    assert np.isnan(one(np.full((16, 8), np.nan), skipna=True)).all()


def test_the_nearest_known_value_is_found_on_the_sphere():
    lon, lat = regular(12, 6)
    rng = np.random.default_rng(1)
    field = rng.normal(size=(12, 6, 2))
    gaps = rng.uniform(size=field.shape) < 0.4
    filled = fill_nan_with_nearest(np.where(gaps, np.nan, field), lon, lat)
    np.testing.assert_array_equal(filled[~gaps], field[~gaps])
    a, b = np.meshgrid(np.radians(lon), np.radians(lat), indexing="ij")
    for i, j, k in np.argwhere(gaps):
        cosine = np.sin(b[i, j]) * np.sin(b) + np.cos(b[i, j]) * np.cos(b) * np.cos(a - a[i, j])
        cosine = np.where(gaps[..., k], -2, cosine)
        near = np.isclose(cosine, cosine.max(), atol=1e-9)
        assert filled[i, j, k] in field[..., k][near]
    with pytest.raises(ValueError, match="without any known value"):
        fill_nan_with_nearest(np.full((12, 6), np.nan), lon, lat)


@pytest.mark.parametrize(
    ("lon", "lat", "words"),
    [
        ([0, 180, 90], [-45, 45], "longitudes do not ascend"),
        ([0, 90, 360], [-45, 45], "more than one turn"),
        ([0, 120, 240], [45, -45], "latitudes do not ascend"),
        ([0, 120, 240], [-95, 45], "leave the sphere"),
        ([0, np.nan, 240], [-45, 45], "longitudes do not ascend"),
    ],
)
def test_axes_are_checked(lon, lat, words):
    with pytest.raises(ValueError, match=words):
        check_axes(np.array(lon, float), np.array(lat, float))


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="accepted: conservative, bilinear"):
        regridder(regular(4, 4), regular(4, 4), "cubic")


def test_weights_agree_with_dinosaur():
    peer = pytest.importorskip("dinosaur.horizontal_interpolation")
    source, target = regular(24, 13, "equiangular_with_poles"), regular(16, 8)
    one = regridder(source, target)
    np.testing.assert_allclose(
        one.latitude, peer.conservative_latitude_weights(np.radians(source[1]), np.radians(target[1])), atol=1e-6
    )
    np.testing.assert_allclose(
        one.longitude, peer.conservative_longitude_weights(np.radians(source[0]), np.radians(target[0])), atol=1e-5
    )


def test_bilinear_agrees_with_dinosaur_between_its_points():
    """Beside the seam, where dinosaur's interpolation is not periodic."""
    peer = pytest.importorskip("dinosaur.horizontal_interpolation")
    harmonics = pytest.importorskip("dinosaur.spherical_harmonic")
    source, target = harmonics.Grid.T31(), harmonics.Grid.T21()
    axes = [(np.degrees(np.asarray(g.longitudes)), np.degrees(np.asarray(g.latitudes))) for g in (source, target)]
    field = np.random.default_rng(0).normal(size=source.nodal_shape)
    inside = axes[1][0] <= axes[0][0][-1]
    expected = np.asarray(peer.BilinearRegridder(source, target)(field))
    np.testing.assert_allclose(regridder(*axes, "bilinear")(field)[inside], expected[inside], atol=3e-5)
