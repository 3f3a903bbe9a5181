"""Matrix filters equal scipy's on every stamp of a padded batch."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from sciml.pipelines.galaxy.morphology.filters import apply, box_matrix, edge_filled, gaussian_matrix, sum3

SIZES = [(17, 12), (9, 20), (20, 20)]


def padded(rng) -> tuple[list[np.ndarray], torch.Tensor, torch.Tensor]:
    images = [rng.normal(size=size) for size in SIZES]
    batch = torch.zeros(3, 20, 20, dtype=torch.float64)
    for index, image in enumerate(images):
        batch[index, : image.shape[0], : image.shape[1]] = torch.from_numpy(image)
    return images, batch, torch.tensor(SIZES)


@pytest.mark.parametrize("sigma", [0.01, 0.7, 2.3, 9.0])
def test_gaussian(sigma):
    images, batch, _ = padded(np.random.default_rng(0))
    matrix = gaussian_matrix(torch.full((3,), sigma, dtype=torch.float64), 20)
    smooth = apply(matrix, batch, matrix)
    for index, image in enumerate(images):
        expected = ndimage.gaussian_filter(image, sigma, mode="constant")
        np.testing.assert_allclose(smooth[index, : image.shape[0], : image.shape[1]], expected, atol=1e-12)


@pytest.mark.parametrize("width", [0, 1, 2, 3, 4, 7, 30])
def test_running_mean(width):
    images, batch, size = padded(np.random.default_rng(1))
    widths = torch.full((3,), width)
    smooth = apply(box_matrix(widths, size[:, 0], 20), batch, box_matrix(widths, size[:, 1], 20))
    for index, image in enumerate(images):
        expected = ndimage.uniform_filter(image, max(width, 1))
        np.testing.assert_allclose(smooth[index, : image.shape[0], : image.shape[1]], expected, atol=1e-12)


def test_widths_may_differ_within_a_batch():
    images, batch, size = padded(np.random.default_rng(2))
    widths = torch.tensor([2, 5, 3])
    smooth = apply(box_matrix(widths, size[:, 0], 20), batch, box_matrix(widths, size[:, 1], 20))
    expected = ndimage.uniform_filter(images[1], 5)
    np.testing.assert_allclose(smooth[1, :9, :20], expected, atol=1e-12)


def test_sum_of_nine_repeats_the_border():
    images, batch, size = padded(np.random.default_rng(3))
    sums = sum3(edge_filled(batch, size))
    for index, image in enumerate(images):
        expected = 9 * ndimage.uniform_filter(image, 3)
        np.testing.assert_allclose(sums[index, : image.shape[0], : image.shape[1]], expected, atol=1e-12)
