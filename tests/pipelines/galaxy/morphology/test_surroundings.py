"""Surroundings: galaxies whose numbers are known, symmetries they must have, and images that are none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from sciml.pipelines.galaxy.morphology.surroundings import COLUMNS, surroundings


def blob(size=113, at=(0.0, 0.0), width=6.0, q=1.0, height=1.0):
    """A Gaussian of axis ratio q on x, `at` = (y, x) from the middle [px]."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return height * np.exp(-((x - at[1]) ** 2 + ((y - at[0]) / q) ** 2) / (2 * width**2))


def noisy(image, seed=0, sd=0.004):
    return image + np.random.default_rng(seed).normal(0, sd, image.shape)


def told(image):
    image = image if image.ndim == 3 else image[None]
    return dict(zip(COLUMNS, surroundings(image), strict=True))


def test_one_galaxy_alone():
    found = told(noisy(blob(width=8.0, q=0.5)))
    assert all(found[f"peaks_{n}"] == 0 for n in (1, 2, 3, 4)) and found["bridge"] == 0 and found["separation"] == 2
    for n in (1, 2, 3):
        assert found[f"outline_axis_ratio_{n}"] == pytest.approx(0.5, abs=0.05)
        assert found[f"outline_fill_{n}"] == pytest.approx(1, abs=0.03), "an ellipse fills the ellipse of its moments"
        assert found[f"outline_offset_{n}"] < 0.03 and found[f"outline_asymmetry_{n}"] < 0.06
    assert found["outline_area_1"] > found["outline_area_2"] > found["outline_area_3"]
    # above 0.4 of the top a Gaussian is an ellipse of area 2 pi ln(2.5) width^2 q; smoothing by 1 px widens it
    assert found["outline_area_3"] * 113**2 == pytest.approx(2 * np.pi * np.log(2.5) * np.sqrt(65 * 17), rel=0.05)
    assert found["aperture_asymmetry_1"] < 0.05
    # light of a round Gaussian within r: 1 - exp(-r^2 / 2 w^2)
    round_one = told(blob(width=8.0))
    within = [1 - np.exp(-((share * 56.5) ** 2) / 128) for share in (1 / 8, 1 / 4, 1 / 2)]
    assert round_one["aperture_light_1"] == pytest.approx(within[0] / within[1], rel=0.05)
    assert round_one["aperture_light_2"] == pytest.approx(within[1] / within[2], rel=0.02)


@pytest.mark.parametrize("apart", [18, 26])
def test_a_companion(apart):
    """Its distance, its height, and the saddle between two equal Gaussians: 2 exp(-d^2 / 8 w^2) over their own height."""
    found = told(noisy(blob(width=5.0) + blob(at=(0, apart), width=5.0), sd=0.001))
    assert found["separation"] == pytest.approx(apart / 56.5, abs=0.02) and found["peak_ratio_4"] == pytest.approx(1, abs=0.02)
    w2 = 25 + 1.01  # smoothed by R / 56
    height = 1 + np.exp(-(apart**2) / (2 * w2))
    assert found["saddle"] == pytest.approx(2 * np.exp(-(apart**2) / (8 * w2)) / height, abs=0.02)
    assert found["bridge"] == pytest.approx(found["saddle"] * found["peak_ratio_4"], rel=1e-6)
    assert [found[f"peaks_{n}"] for n in (1, 2, 3, 4)] == [0, float(apart < 56.5 / 3), 1, 1]
    alone = told(noisy(blob(width=5.0), sd=0.001))
    for name in ("outline_offset_1", "outline_asymmetry_1", "aperture_asymmetry_3"):
        assert found[name] > alone[name] + 0.1
    assert found["outline_axis_ratio_1"] < 0.8 < alone["outline_axis_ratio_1"]
    assert found["aperture_light_2"] < alone["aperture_light_2"]


def pair():
    galaxy = blob(at=(0.7, -0.4), width=7, q=0.6) + blob(at=(-14, 11), width=4, height=0.7) + blob(at=(20, 30), width=3, height=0.3)
    return np.stack([noisy(galaxy), noisy(0.8 * galaxy + 0.2 * blob(at=(5, 0), width=5), 1), noisy(0.5 * galaxy + 0.3 * blob(width=9), 2)])


@pytest.mark.parametrize("turn", range(8))
def test_how_the_cutout_lies_does_not_matter(turn):
    image = pair()
    turned = np.rot90(image[..., ::-1] if turn >= 4 else image, turn % 4, axes=(1, 2))
    np.testing.assert_allclose(surroundings(turned), surroundings(image), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("factor", "sky"), [(1e-20, 0.0), (3e4, 0.0), (1.0, 50.0), (40.0, -7.0)])
def test_units_and_sky_do_not_matter(factor, sky):
    np.testing.assert_allclose(surroundings(factor * pair() + sky), surroundings(pair()), rtol=1e-6, atol=1e-9)


def test_pixels_do_not_matter():
    """The same sky on a finer grid: lengths are shares of the frame."""
    fine = ndimage.zoom(pair(), (1, 2, 2), order=1, grid_mode=True, mode="nearest")
    a, b = told(pair()), told(fine)
    for name in ("separation", "saddle", "peak_ratio_4", "outline_axis_ratio_2", "outline_offset_2", "aperture_light_2", "outline_area_3"):
        assert b[name] == pytest.approx(a[name], abs=0.05), name


def test_colour_needs_two_bands_and_not_their_order():
    image = pair()
    assert np.isnan(surroundings(image[:1])[-2:]).all() and np.isfinite(surroundings(image[:1])[:-2]).all()
    np.testing.assert_allclose(surroundings(image[::-1])[-2:], surroundings(image)[-2:])
    grey = told(np.stack([image[0], 2 * image[0]]))
    assert grey["colour_spread"] < 1e-9 and grey["colour_asymmetry"] < 1e-9
    red_companion = np.stack([image[0] + blob(at=(-14, 11), width=4), image[0]])
    assert told(red_companion)["colour_asymmetry"] > 0.1


def test_missing_pixels_are_sky():
    image = pair()
    image[0, :, :3] = np.nan
    image[1] = np.nan  # a band that is not there
    assert np.isfinite(surroundings(image)).all()


@pytest.mark.parametrize("image", [np.zeros((1, 0, 0)), np.zeros((2, 7, 40)), np.full((3, 20, 20), np.nan), np.full((1, 20, 20), 3.0)])
def test_what_shows_nothing(image):
    assert np.isnan(surroundings(image)).all()


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(8, 30), st.integers(8, 30)), seed=st.integers(0, 10**6),
    kind=st.sampled_from(["noise", "steps", "spike", "negative", "holes"]),
)  # fmt: skip
def test_nothing_breaks_it(shape, seed, kind):
    random = np.random.default_rng(seed)
    image = random.normal(size=shape)
    if kind == "steps":
        image = np.round(image)
    if kind == "spike":
        image = np.zeros(shape)
        image[:, random.integers(shape[1]), random.integers(shape[2])] = 1e6
    if kind == "negative":
        image = -np.exp(5 * image)
    if kind == "holes":
        image[random.random(shape) < 0.5] = np.nan
    found = surroundings(image)
    n = len(COLUMNS) - (2 if shape[0] == 1 else 0)
    assert np.isfinite(found[:n]).all() or np.isnan(found).all()
