"""Flux is conserved from particles and profiles to pixels."""

import numpy as np
import pytest
import torch

from sciml.pipelines.galaxy.simulator import light


@pytest.mark.parametrize("n", [1.0, 2.5, 4.0])
def test_half_of_a_sersic_profile_lies_within_its_effective_radius(n):
    share, sigma = light.sersic_gaussians(np.array([n]))
    assert share.sum() == pytest.approx(1.0)
    inside = (share[0] * (1 - np.exp(-0.5 / sigma**2))).sum()
    assert inside == pytest.approx(0.5, abs=0.02)


def test_sersic_profile_of_index_one_is_exponential():
    share, sigma = light.sersic_gaussians(np.array([1.0]))
    r = np.array([0.3, 1.0, 2.0])
    value = (share[0] * np.exp(-0.5 * (r[:, None] / sigma) ** 2) / (2 * np.pi * sigma**2)).sum(1)
    b = 1.678347
    assert np.allclose(value, b**2 / (2 * np.pi) * np.exp(-b * r), rtol=0.05)


def test_particles_keep_their_light_and_place():
    rng = torch.Generator().manual_seed(0)
    x, y = 30 + 6 * torch.randn(2, 3, 500, generator=rng)
    weights = torch.rand(3, 2, 500, generator=rng)
    first = torch.tensor([0] * 300 + [2] * 200)
    maps = light.deposit(x, y, weights, first, 64)
    assert maps.shape == (3, 4, 4, 64, 64)
    sums = maps.sum((1, 3, 4))
    assert torch.allclose(sums[:, 0], weights[:, 0, :300].sum(1), rtol=1e-4)
    assert torch.allclose(sums[:, 3], weights[:, 1, 300:].sum(1), rtol=1e-4)
    grid = torch.arange(64.0)
    centroid = (maps[:, :, 0].sum((1, 2)) * grid).sum(1) / sums[:, 0]
    assert torch.allclose(centroid, (weights[:, 0, :300] * x[:, :300]).sum(1) / sums[:, 0], atol=1e-3)


def test_light_beyond_the_picture_is_dropped():
    outside = torch.tensor([[-3.0, 64.5, 10.0]])
    maps = light.deposit(
        outside, torch.full_like(outside, 10.0), torch.ones(1, 2, 3), torch.zeros(3, dtype=torch.long), 64
    )
    assert maps[:, :, 0].sum() == pytest.approx(1.0)


def test_sparse_particles_are_smoothed_wider():
    dense = 20 + torch.rand(1, 400)
    maps = light.deposit(dense, dense, torch.ones(1, 2, 400), torch.zeros(400, dtype=torch.long), 64)
    assert maps[0, 0, 0].sum() == pytest.approx(400.0)
    lonely = torch.tensor([[40.0]])
    maps = light.deposit(lonely, lonely, torch.ones(1, 2, 1), torch.zeros(1, dtype=torch.long), 64)
    assert maps[0, -1, 0].sum() == pytest.approx(1.0)


def test_smoothing_conserves_flux_per_band():
    maps = torch.zeros(2, 4, 4, 64, 64)
    maps[:, 0, 0, 32, 32], maps[:, 2, 1, 20, 20] = 1.0, 2.0
    flux = torch.rand(2, 4, 3)
    picture = torch.fft.irfft2(light.smooth(maps, flux), s=(64, 64))
    assert torch.allclose(picture.sum((-2, -1)), flux[:, 0] + 2 * flux[:, 1], atol=1e-4)


def test_gaussians_have_their_flux_centre_and_shape():
    centre = torch.tensor([[[30.3, 33.7], [20.0, 40.0]]])
    covariance = torch.tensor([[[9.0, 4.0, 3.0], [0.0, 0.0, 0.0]]])
    flux = torch.tensor([[[2.0, 1.0], [0.0, 3.0]]])
    picture = light.gaussians(centre, covariance, flux, 64)
    assert picture.shape == (1, 2, 64, 64)
    assert torch.allclose(picture.sum((-2, -1)), torch.tensor([[2.0, 4.0]]), rtol=1.1e-2)
    one = picture[0, 0] / picture[0, 0].sum()
    grid = torch.arange(64.0)
    x, y = (one.sum(0) * grid).sum(), (one.sum(1) * grid).sum()
    assert (float(x), float(y)) == pytest.approx((30.3, 33.7), abs=0.01)
    cross = (one * (grid - x) * (grid - y)[:, None]).sum()
    assert float(cross) == pytest.approx(3.0, abs=0.05)
    assert float((one.sum(0) * (grid - x) ** 2).sum()) == pytest.approx(9.0 + light.LEVELS[0] ** 2, abs=0.1)


def test_arms_and_clumps_change_places_not_totals():
    phi = torch.linspace(0, 2 * torch.pi, 721)[:-1]
    ring = light.arm_weights(
        torch.cos(phi)[None], torch.sin(phi)[None], torch.tensor([0.5]), torch.zeros(1), torch.tensor([0.3])
    )
    assert ring.mean() == pytest.approx(1.0, abs=1e-4)
    assert ring.max() == pytest.approx(1.5, abs=1e-3)
    x = torch.tensor([[0.5, 0.0]])
    clumps = light.clump_weights(
        x, torch.zeros_like(x), torch.tensor([[[0.5, 0.0]]]), torch.tensor([[4.0]]), torch.tensor([0.05])
    )
    assert clumps[0, 0] == pytest.approx(5.0) and clumps[0, 1] == pytest.approx(1.0)
