"""Augmentation keeps what the sky keeps: flux under flips, noise level under redshifting, and numbers under sharing."""

import pytest
import torch

from sciml.pipelines.galaxy.augment import AUGMENTED, augment, blurred, dihedral, drawer, view


def galaxies(n=6, size=32):
    y, x = torch.meshgrid(torch.arange(size) - size / 2, torch.arange(size) - size / 2, indexing="ij")
    light = 100 * torch.exp(-torch.hypot(x - 2, 0.6 * y) / 3)
    return light.expand(n, 2, size, size).clone()


def test_eight_views_are_different_and_hold_the_same_pixels():
    image = torch.rand(1, 1, 5, 5)
    views = [view(image, kind) for kind in range(8)]
    assert len({tuple(v.flatten().tolist()) for v in views}) == 8
    for turned in views:
        assert torch.equal(turned.flatten().sort().values, image.flatten().sort().values)


def test_dihedral_turns_each_image_by_its_own():
    images = torch.rand(8, 2, 6, 6)
    out = dihedral(images, torch.arange(8))
    for kind in range(8):
        assert torch.equal(out[kind], view(images[kind : kind + 1], kind)[0])


@pytest.mark.parametrize("kind", AUGMENTED)
def test_every_kind_changes_the_image_and_keeps_its_shape(kind):
    images = galaxies()
    out = augment(images, (kind,), (1.0, 1.0), drawer(3, 6))
    assert out.shape == images.shape and torch.isfinite(out).all()
    assert not torch.equal(out, images)
    assert torch.equal(out, augment(images, (kind,), (1.0, 1.0), drawer(3, 6)))


@pytest.mark.parametrize("kind", ["rotate", "shift", "psf"])
def test_the_light_stays(kind):
    images = galaxies(size=48)
    out = augment(images, (kind,), (1.0, 1.0), drawer(1, 6))
    torch.testing.assert_close(out.sum((1, 2, 3)), images.sum((1, 2, 3)), rtol=0.04, atol=0.0)


def test_farther_galaxies_are_fainter_under_the_same_sky():
    noise = torch.randn(64, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    out = augment(noise, ("redshift",), (1.0,), drawer(0, 64))
    # bilinear sampling of an image averages its noise; what is missing is drawn anew
    assert 0.75 < float(out.std()) < 1.15
    light = galaxies(n=16, size=48)
    farther = augment(light, ("redshift",), (0.0, 0.0), drawer(0, 16)).sum((1, 2, 3)) / light.sum((1, 2, 3))
    assert (farther < 1.01).all() and float(farther.min()) < 0.7
    assert (farther > 1 / 1.5**2 - 0.05).all()


def test_noise_has_the_strength_of_each_band():
    out = augment(torch.zeros(400, 2, 8, 8), ("noise",), (1.0, 3.0), drawer(0, 400))
    # strength 0.7 u with u uniform: root mean square 0.7 / sqrt 3
    rms = out.square().mean((0, 2, 3)).sqrt()
    torch.testing.assert_close(rms, 0.7 / 3**0.5 * torch.tensor([1.0, 3.0]), rtol=0.06, atol=0.0)


def test_a_blur_is_a_gaussian_of_the_given_width():
    point = torch.zeros(1, 1, 15, 15)
    point[..., 7, 7] = 1.0
    out = blurred(point, torch.tensor([1.0]))[0, 0]
    x = torch.arange(15) - 7.0
    assert float(out.sum()) == pytest.approx(1.0, abs=1e-5)
    assert float((out * x[:, None] ** 2).sum()) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("kinds", [AUGMENTED, ("flip", "noise")])
def test_shares_of_a_batch_are_the_batch(kinds):
    images = galaxies()
    whole = augment(images, kinds, (1.0, 1.0), drawer(5, 6))
    for rank in (0, 1):
        rows = slice(rank, None, 2)
        share = augment(images[rows], kinds, (1.0, 1.0), drawer(5, 6, rows))
        torch.testing.assert_close(share, whole[rows])


def test_zoom_makes_a_galaxy_larger_and_smaller_up_to_the_factor():
    y, x = torch.meshgrid(*[torch.arange(64) - 31.5] * 2, indexing="ij")
    galaxy = torch.exp(-(x**2 + y**2) / (2 * 4.0**2)).expand(200, 1, 64, 64)
    for largest in (1.12, 1.6):
        sizes = (
            augment(galaxy, ("zoom",), (1.0,), drawer(0, 200), largest).sum((1, 2, 3)).sqrt() / galaxy[0].sum().sqrt()
        )
        assert 0.97 / largest < sizes.min() < 1.06 / largest and 0.94 * largest < sizes.max() < 1.03 * largest
        assert sizes.log().mean().abs() < 0.15 * torch.tensor(largest).log()
