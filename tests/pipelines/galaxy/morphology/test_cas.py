"""Concentration of known profiles; smoothness of flat and clumpy light."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.special import gammaincinv

from sciml.pipelines.galaxy.morphology import cas
from sciml.pipelines.galaxy.morphology.definitions import Definitions
from sciml.pipelines.galaxy.morphology.sky import find_skybox
from sciml.pipelines.galaxy.morphology.stamps import cut, gather


@pytest.mark.parametrize(("n", "expected"), [(1.0, 2.8), (4.0, 5.3)])
def test_concentration_of_sersic_profiles(n, expected):
    """Of the total light, C is about 2.8 for a disc and 5.3 for a de Vaucouleurs profile (Bershady et al. 2000)."""
    r20, r80 = (torch.tensor([gammaincinv(2 * n, share) ** n]) for share in (0.2, 0.8))
    assert cas.concentration(r20, r80).item() == pytest.approx(expected, abs=0.1)


def test_clumps_are_the_image_above_its_running_mean():
    image = np.random.default_rng(0).normal(size=(1, 30, 34))
    found = cas.clumps(torch.from_numpy(image), torch.tensor([5]), torch.tensor([[30, 34]]))
    expected = np.clip(image[0] - ndimage.uniform_filter(image[0], 5), 0, None)
    np.testing.assert_allclose(found[0], expected, atol=1e-12)


def measured(image: np.ndarray, petrosian: float) -> float:
    plain = Definitions(outlier_sigma=0.0, cutout_extent=10.0)
    segmap = np.zeros(image.shape, dtype=int)
    segmap[40:60, 40:60] = 1
    stamps = gather([cut(image, segmap, 1, plain)], plain)
    centre = torch.tensor([[49.5, 49.5]], dtype=torch.float64)
    found = cas.smoothness(
        stamps,
        find_skybox(stamps, 32),
        centre,
        torch.tensor([petrosian]).double(),
        smoothing=0.25,
        extent=1.5,
        largest=32,
    )
    return found.item()


def test_smooth_light_has_little_and_clumps_have_more():
    y, x = np.mgrid[:100, :100] - 49.5
    smooth = 100 * np.exp(-0.5 * (x**2 + y**2) / 64)
    clumpy = smooth + 60 * np.exp(-0.5 * ((x - 9) ** 2 + y**2)) + 60 * np.exp(-0.5 * (x**2 + (y + 10) ** 2))
    # a box of five pixels: an even one is off centre by half a pixel and sees the slope of the light
    assert 0 <= measured(smooth, 20.0) < 0.02
    assert measured(clumpy, 20.0) > 1.5 * measured(smooth, 20.0)


def test_without_positive_flux_it_is_undefined():
    assert np.isnan(measured(-np.ones((100, 100)), 10.0))
