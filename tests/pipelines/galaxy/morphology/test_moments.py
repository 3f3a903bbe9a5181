"""Moments of a Gaussian ellipse are its parameters."""

import numpy as np
import pytest
import torch

from sciml.pipelines.galaxy.morphology.moments import centroid, ellipse, second_moments


def gaussian(theta=0.6, long=5.0, short=2.5, centre=(30.2, 27.9)):
    y, x = np.mgrid[:60, :64].astype(float)
    u = (x - centre[0]) * np.cos(theta) + (y - centre[1]) * np.sin(theta)
    v = -(x - centre[0]) * np.sin(theta) + (y - centre[1]) * np.cos(theta)
    return torch.from_numpy(np.exp(-0.5 * ((u / long) ** 2 + (v / short) ** 2)))[None]


@pytest.mark.parametrize("theta", [0.0, 0.6, -1.2, 1.5])
def test_gaussian_ellipse(theta):
    image = gaussian(theta)
    middle, total = centroid(image)
    np.testing.assert_allclose(middle[0], (30.2, 27.9), atol=1e-6)
    assert total.item() == pytest.approx(2 * np.pi * 5 * 2.5, rel=1e-6)
    form = ellipse(image, middle)
    assert form.ellipticity.item() == pytest.approx(0.5, abs=1e-6)
    assert form.elongation.item() == pytest.approx(2.0, abs=1e-5)
    assert np.tan(form.orientation.item() - theta) == pytest.approx(0.0, abs=1e-6)
    assert not form.doubtful.item()


def test_second_moments():
    x2, xy, y2 = second_moments(gaussian(0.0), torch.tensor([[30.2, 27.9]], dtype=torch.float64))
    assert x2.item() / y2.item() == pytest.approx(4.0, rel=1e-5) and abs(xy.item()) < 1e-6


def test_a_single_pixel_is_round():
    image = torch.zeros(1, 9, 9, dtype=torch.float64)
    image[0, 4, 4] = 2.0
    form = ellipse(image, torch.tensor([[4.0, 4.0]], dtype=torch.float64))
    assert form.ellipticity.item() == pytest.approx(0.0, abs=1e-9)


def test_negative_moments_are_doubted():
    image = torch.zeros(1, 9, 9, dtype=torch.float64)
    image[0, 4, 4], image[0, 4, 0], image[0, 4, 8] = 10.0, -1.0, -1.0
    assert ellipse(image, torch.tensor([[4.0, 4.0]], dtype=torch.float64)).doubtful.item()
