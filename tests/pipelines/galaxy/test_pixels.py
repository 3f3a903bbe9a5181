"""Pixels: noise stays linear, galaxies end near 1, pictures stay as they are."""

import numpy as np
import pytest
import torch

from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy.catalog import ArrayImages
from sciml.pipelines.galaxy.pixels import Pixels, fit


def fluxes(n=24, size=32, noise=(1.0, 4.0)):
    random = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] - size / 2
    galaxy = 500 * np.exp(-np.hypot(x, y) / 1.5)
    sky = random.normal(size=(n, len(noise), size, size)) * np.array(noise)[:, None, None]
    return (galaxy + sky).astype(np.float32)


def test_the_noise_of_the_sky_is_found():
    found = fit(ArrayImages(fluxes()), np.arange(24))
    assert found.noise == pytest.approx((1.0, 4.0), rel=0.1)
    assert found.compressed


def test_galaxies_end_near_one_and_the_order_of_pixels_stays():
    images = torch.from_numpy(fluxes())
    seen = fit(ArrayImages(images.numpy()), np.arange(24))(images)
    assert 0.7 < float(seen[:, 0].amax()) < 1.5
    flat, shown = images[0, 0].flatten(), seen[0, 0].flatten()
    order = flat.argsort()
    assert (shown[order].diff() >= 0).all()


def test_pictures_are_left_alone_unless_asked_for():
    grey = (np.random.default_rng(1).random((10, 3, 16, 16)) * 255).astype(np.uint8)
    source = ArrayImages(grey, levels=255)
    found = fit(source, np.arange(10))
    assert not found.compressed
    assert torch.equal(found(torch.from_numpy(source.read([0]))), torch.from_numpy(source.read([0])))
    assert fit(source, np.arange(10), "asinh").compressed


def test_statistics_are_those_of_the_result():
    images = fluxes()
    found = fit(ArrayImages(images), np.arange(24))
    seen = found(torch.from_numpy(images)).double()
    assert found.mean == pytest.approx(seen.mean((0, 2, 3)).tolist(), abs=1e-5)
    assert found.std == pytest.approx(seen.std((0, 2, 3)).tolist(), abs=1e-5)


def test_what_is_not_finite_counts_as_sky():
    images = fluxes()
    images[:, :, 0, 0], images[:, :, 1, 1] = np.nan, np.inf
    found = fit(ArrayImages(images), np.arange(24))
    seen = found(torch.from_numpy(images))
    assert torch.isfinite(seen).all() and (seen[:, :, 0, 0] == 0).all()


def test_only_training_images_are_looked_at():
    images = fluxes()
    images[12:] *= 100
    assert fit(ArrayImages(images), np.arange(12)) == fit(ArrayImages(images[:12]), np.arange(12))


def test_borders_without_noise_and_bands_without_contrast():
    assert fit(ArrayImages(np.zeros((3, 1, 8, 8), np.float32)), np.arange(3)).std == (1.0,)


def test_there_and_back():
    found = fit(ArrayImages(fluxes()), np.arange(24))
    assert Pixels.from_json(found.to_json()) == found
    with pytest.raises(DataError, match="how pixels are prepared"):
        Pixels.from_json({"bands": ["g"]})


def test_no_training_image():
    with pytest.raises(DataError, match="no training object has an image"):
        fit(ArrayImages(np.zeros((2, 1, 8, 8)), present=np.zeros(2, bool)), np.arange(2))
