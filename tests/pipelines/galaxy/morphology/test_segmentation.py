"""Sources are found, the central one chosen, blends separated."""

import numpy as np
import pytest

from sciml.pipelines.galaxy.morphology.segmentation import Choices, central_label, find_source, find_sources, sky_level
from sciml.pipelines.readers.synthetic_galaxies_images import Galaxy, render


def scene(**options) -> np.ndarray:
    return render(Galaxy(48, 47, 5, flux=3000.0), (96, 96), noise=1.0, **options).astype(float)


def test_the_central_source():
    image = scene() + render(Galaxy(14, 80, 4, flux=8000.0), (96, 96)) + 20.0
    found = find_source(image)
    assert found.label == found.segmap[47, 48] > 0
    assert len(np.unique(found.segmap)) == 3
    assert found.sky == pytest.approx(20.0, abs=0.3) and found.noise == pytest.approx(1.0, abs=0.2)


def test_blends_are_separated_on_request():
    image = scene() + render(Galaxy(64, 47, 3, flux=2500.0), (96, 96))
    apart, together = find_source(image), find_source(image, Choices(deblend=False))
    assert apart.segmap[47, 64] != apart.segmap[47, 48] and apart.segmap[47, 64] > 0
    assert together.segmap[47, 64] == together.segmap[47, 48] > 0


def test_noise_and_nothing_have_no_source():
    assert find_source(np.random.default_rng(0).normal(size=(64, 64))) is None
    assert find_source(np.zeros((40, 40))) is None
    assert find_source(np.full((40, 40), np.nan)) is None


def test_masked_and_broken_pixels_belong_to_no_source():
    image, mask = scene(), np.zeros((96, 96), dtype=bool)
    image[50, 50], mask[44, 44] = np.nan, True
    found = find_source(image, mask=mask)
    assert found.segmap[50, 50] == 0 and found.segmap[44, 44] == 0 and found.segmap[47, 48] > 0


def test_central_label():
    segmap = np.zeros((9, 9), dtype=int)
    assert central_label(segmap) is None
    segmap[0, 0], segmap[8, 7] = 1, 2
    assert central_label(segmap) == 2
    segmap[4, 4] = 5
    assert central_label(segmap) == 5


def test_sky_level():
    image = np.random.default_rng(1).normal(3.0, 2.0, size=(80, 80))
    image[:10, :10] += 100
    assert sky_level(image) == pytest.approx((3.0, 2.0), abs=0.15)
    assert sky_level(np.full((5, 5), np.nan)) == (0.0, 0.0)


def test_many():
    found = find_sources([scene(), np.zeros((30, 30))], Choices(), [None, None])
    assert found[0] is not None and found[1] is None
