"""The empty square is the first that fits; clipping follows astropy."""

import numpy as np
import torch

from sciml.pipelines.galaxy.morphology.definitions import Definitions
from sciml.pipelines.galaxy.morphology.sky import box_pixels, clipped_mode, find_skybox, in_box
from sciml.pipelines.galaxy.morphology.stamps import cut, gather


def stamps_of(segmaps, image):
    plain = Definitions(outlier_sigma=0.0, cutout_extent=20.0)
    return gather([cut(image, segmap, 1, plain) for segmap in segmaps], plain)


def first_by_hand(segmap, side):
    for row in range(segmap.shape[0] - side):
        for column in range(segmap.shape[1] - side):
            if not segmap[row : row + side, column : column + side].any():
                return row, column
    return None


def test_the_first_empty_square_in_reading_order():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(60, 70))
    segmaps = []
    for top, left, height, width in ((20, 25, 20, 20), (2, 2, 40, 60), (25, 0, 10, 70)):
        segmap = np.zeros(image.shape, dtype=int)
        segmap[top : top + height, left : left + width] = 1
        segmaps.append(segmap)
    stamps = stamps_of(segmaps, image)
    sky = find_skybox(stamps, 32)
    for index, segmap in enumerate(segmaps):
        side = next(side for side in (32, 16, 8, 4, 2) if first_by_hand(segmap, side))
        row, column = first_by_hand(segmap, side)
        assert (sky.side[index], sky.row[index], sky.column[index]) == (side, row, column)
        box = image[row : row + side, column : column + side]
        expected = np.array([box.mean(), np.median(box), box.std(), np.abs(box - box[::-1, ::-1]).mean()])
        found = [entry[index].item() for entry in (sky.mean, sky.median, sky.sigma, sky.asymmetry)]
        np.testing.assert_allclose(found, expected / stamps.unit[index].item(), rtol=1e-5)
        pixels = box_pixels(stamps, sky.row, sky.column, 32)[index][in_box(sky.side, 32)[index]]
        np.testing.assert_allclose(pixels * stamps.unit[index], box.ravel(), rtol=1e-6)


def test_no_sky_at_all():
    image = np.random.default_rng(1).normal(size=(20, 20))
    sky = find_skybox(stamps_of([np.ones((20, 20), dtype=int)], image), 32)
    assert not sky.found[0] and sky.mean[0].isnan() and sky.sigma[0].isnan() and sky.median[0].isnan()


def test_clipping_follows_astropy():
    from astropy.stats import sigma_clipped_stats
    from photutils.background import ModeEstimatorBackground

    rng = np.random.default_rng(2)
    images = (
        rng.normal(size=(4, 40, 40)) * np.array([1, 2, 1e-3, 5])[:, None, None]
        + np.array([0, 5, 1, -100])[:, None, None]
    )
    images[:, 5:9, 5:20] += 7 * np.array([1, 2, 1e-3, 5])[:, None, None]
    chosen = rng.random(images.shape) < 0.8
    mode, sigma = clipped_mode(torch.from_numpy(images), torch.from_numpy(chosen))
    estimator = ModeEstimatorBackground(median_factor=2.5, mean_factor=1.5)
    for index in range(4):
        mean, median, deviation = sigma_clipped_stats(
            images[index], mask=~chosen[index], sigma=3.0, maxiters=None, cenfunc=estimator
        )
        np.testing.assert_allclose(mode[index], 2.5 * median - 1.5 * mean, rtol=1e-9)
        np.testing.assert_allclose(sigma[index], deviation, rtol=1e-9)
