"""Which objects are shown, and their colours."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.pipelines.galaxy.gallery import _SKY_LEVEL, choose, colours


def two(p):
    return np.c_[1 - np.asarray(p), p]


def test_the_choice_written_out():
    labels = np.array([1, 1, 1, 0, 0, 0])
    found = choose(labels, two([0.9, 0.51, 0.05, 0.7, 0.2, 0.01]), 3)
    assert found["confident"].tolist() == [5, 0, 4]  # classes in turn
    assert found["mistakes"].tolist() == [2, 3]
    assert found["uncertain"].tolist() == [1, 3, 4]
    assert sorted(labels[choose(labels, two([0.9, 0.51, 0.05, 0.7, 0.2, 0.01]), 4)["sample"]]) == [0, 0, 1, 1]


@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(2, 4), st.integers(0, 15))
@settings(max_examples=40, deadline=None)
def test_laws_of_the_choice(seed, n, c, most):
    random = np.random.default_rng(seed)
    labels, p = random.integers(0, c, n), random.dirichlet(np.ones(c), n)
    found, said = choose(labels, p, most), p.argmax(1)
    for rows in found.values():
        assert len(rows) <= most and len(set(rows)) == len(rows)
    assert (said[found["confident"]] == labels[found["confident"]]).all()
    assert (said[found["mistakes"]] != labels[found["mistakes"]]).all()
    assert len(found["mistakes"]) == min(most, (said != labels).sum())
    assert len(found["uncertain"]) == min(most, n)


def test_a_threshold_makes_other_mistakes():
    labels, p = np.array([1, 1, 0]), two([0.4, 0.9, 0.2])
    assert choose(labels, p)["mistakes"].tolist() == [0]
    assert choose(labels, p, predicted=(p[:, 1] >= 0.3).astype(int))["mistakes"].tolist() == []


def test_predictions_that_are_not_finite_are_not_shown():
    found = choose(np.array([0, 1, 1]), two([0.1, np.nan, 0.8]))
    assert all(1 not in rows for rows in found.values()) and len(found["sample"]) == 2


def galaxies(band, k=2, size=20, scale=1.0):
    random = np.random.default_rng(1)
    y, x = np.indices((size, size)) - size / 2
    light = 30 * np.exp(-np.hypot(x, y) / 2)
    return (scale * (light + 5 + random.normal(0, 0.3, (k, band, size, size)))).astype(np.float32)


@pytest.mark.parametrize("band", [1, 2, 3, 5])
def test_any_number_of_bands(band):
    shown = colours(galaxies(band))
    assert shown.shape == (2, 20, 20, 3) and shown.dtype == np.float32
    assert shown.min() >= 0 and shown.max() <= 1 and shown[:, 10, 10].min() > 0.8 > 0.3 > shown[:, 0].max()


@pytest.mark.parametrize("scale", [1e-12, 1e6])
def test_units_do_not_matter(scale):
    np.testing.assert_allclose(colours(galaxies(3, scale=scale)), colours(galaxies(3)), atol=2e-3)


def test_the_last_band_is_red():
    images = galaxies(3, k=4)
    images[0, 2] = 5 + 2 * (images[0, 2] - 5)
    red, usual = colours(images, ("g", "r", "i"))[:2, 11, 11]
    assert red[0] > 1.2 * red[2] and abs(usual[0] - usual[2]) < 0.1


def test_a_colour_does_not_depend_on_brightness():
    """Lupton's stretch keeps the ratio of the bands, in the core and in the wings."""
    y, x = np.indices((30, 30)) - 15.0
    light = 100 * np.exp(-np.hypot(x, y) / 3)
    image = np.stack([light, 1.0 * light, 0.5 * light])[None]
    others = np.repeat(light[None, None], 3, axis=1)  # a white galaxy, twice, sets the white point
    shown = colours(np.concatenate([image, others, others]))[0]
    for place in ((15, 18), (15, 25)):
        red, green, _ = shown[place] - _SKY_LEVEL  # light on top of the grey of a blank sky
        assert red / green == pytest.approx(0.5, abs=0.02)


def test_pictures_are_shown_as_they_are():
    levels = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8)) / 255
    np.testing.assert_allclose(colours(levels, ("red", "green", "blue")), levels.transpose(0, 2, 3, 1), atol=1e-6)
    np.testing.assert_allclose(colours(levels), levels.transpose(0, 2, 3, 1), atol=1e-6)


def test_missing_and_empty_pixels():
    images = galaxies(3)
    images[0, 1, :5] = np.nan
    images[1] = np.nan
    shown = colours(images)
    assert np.isfinite(shown).all() and shown[0, 10, 10].min() > 0.5
    assert np.isfinite(colours(np.zeros((1, 3, 6, 6)))).all()
    assert colours(np.zeros((0, 3, 6, 6))).shape == (0, 6, 6, 3)
    with pytest.raises(ValueError, match="band, y, x"):
        colours(np.zeros((3, 6, 6)))
