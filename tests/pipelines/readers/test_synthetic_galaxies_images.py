"""Simulated cutouts: fluxes, shapes, noise, and that a seed gives the same galaxies."""

import numpy as np
import pytest

from sciml.pipelines.readers.synthetic_galaxies_images import (
    Galaxy,
    gaussian_psf,
    render,
    sersic_profile,
    simulate_cutouts,
)


@pytest.mark.parametrize("n", [0.7, 1.0, 2.0])
def test_the_flux_is_the_flux(n):
    image = render(Galaxy(100.2, 99.7, 8.0, n, 0.4, 0.5, flux=123.0), (200, 200))
    assert image.sum() == pytest.approx(123.0, rel=0.01)


def test_half_the_light_lies_within_the_half_light_ellipse():
    galaxy = Galaxy(100.0, 100.0, 12.0, 1.0, 0.5, 0.3)
    image = render(galaxy, (201, 201))
    y, x = np.mgrid[:201, :201] - 100.0
    along, across = x * np.cos(0.3) + y * np.sin(0.3), -x * np.sin(0.3) + y * np.cos(0.3)
    inside = np.hypot(along, across / 0.5) < 12.0
    assert image[inside].sum() / image.sum() == pytest.approx(0.5, abs=0.01)
    peak = sersic_profile(np.array(100.0), np.array(100.0), galaxy)
    assert peak > sersic_profile(np.array(112.0), np.array(100.0), galaxy) > 0


def test_the_psf_keeps_the_flux_and_blurs():
    psf = gaussian_psf(3.0)
    assert psf.sum() == pytest.approx(1.0) and psf.shape[0] % 2 == 1
    sharp, blurred = (render(Galaxy(50, 50, 4.0), (101, 101), psf=kernel) for kernel in (None, psf))
    assert blurred.sum() == pytest.approx(sharp.sum(), rel=1e-3) and blurred.max() < sharp.max()


def test_noise():
    image = render(Galaxy(50, 50, 4.0, flux=0.0), (101, 101), noise=2.0)
    assert image.std() == pytest.approx(2.0, rel=0.05)
    counts = render(Galaxy(50, 50, 30.0, 0.5, flux=1e6), (101, 101), gain=2.0)[45:55, 45:55]
    smooth = render(Galaxy(50, 50, 30.0, 0.5, flux=1e6), (101, 101))[45:55, 45:55]
    assert np.var(counts - smooth) == pytest.approx(smooth.mean() / 2.0, rel=0.4)


def test_disturbances_add_light():
    plain = render(Galaxy(50, 50, 6.0), (101, 101)).sum()
    for extra in ({"clumps": 5}, {"arm": 0.3}, {"neighbour": 0.5}):
        assert render(Galaxy(50, 50, 6.0, **extra), (101, 101)).sum() > 1.02 * plain


def test_a_seed_is_a_set_of_galaxies():
    one, same, other = (simulate_cutouts(4, seed=seed, sizes=(32, 48)) for seed in (1, 1, 2))
    assert [image.shape for image in one.images] == [(32, 32), (48, 48)] * 2
    assert all(np.array_equal(a, b) for a, b in zip(one.images, same.images, strict=True))
    assert not np.array_equal(one.images[0], other.images[0]) and one.images[0].dtype == np.float32
    assert len(one.galaxies) == 4 and one.psf.sum() == pytest.approx(1.0)
