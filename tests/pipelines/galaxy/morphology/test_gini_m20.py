"""Gini and M20 of distributions known in closed form."""

import numpy as np
import pytest
import torch

from sciml.pipelines.galaxy.morphology.gini_m20 import bulge_statistic, gini, m20, merger_statistic


def everything(image) -> torch.Tensor:
    return torch.ones_like(image, dtype=torch.bool)


def test_uniform_light_is_0_and_one_pixel_is_1():
    flat = torch.full((1, 6, 7), 3.0, dtype=torch.float64)
    point = torch.zeros(1, 6, 7, dtype=torch.float64)
    point[0, 2, 3] = 5.0
    assert gini(flat, everything(flat)).item() == pytest.approx(0.0, abs=1e-12)
    assert gini(point, everything(point)).item() == pytest.approx(1.0, abs=1e-12)


def test_values_in_a_row():
    """1..n has G = (n + 1) / (3 n) * n / (n - 1) * (n - 1) / n, that is (n + 1) / (3 (n - 1)) (n - 1) / (n + 1) = 1 / 3."""
    image = torch.arange(1, 101, dtype=torch.float64).view(1, 10, 10)
    assert gini(image, everything(image)).item() == pytest.approx(1 / 3, abs=1e-12)


def test_gini_counts_only_the_segment_and_takes_absolute_values():
    image = torch.tensor([[[1.0, -1.0, 50.0], [1.0, 1.0, -70.0]]], dtype=torch.float64)
    segment = torch.tensor([[[True, True, False], [True, True, False]]])
    assert gini(image, segment).item() == pytest.approx(0.0, abs=1e-12)


def test_gini_needs_two_pixels_and_light():
    image = torch.ones(3, 2, 2, dtype=torch.float64)
    image[2] = 0
    segment = torch.zeros(3, 2, 2, dtype=torch.bool)
    segment[1, 0, 0] = segment[2] = True
    assert gini(image, segment).isnan().all()


def test_m20_of_a_bright_ring_and_of_a_bright_core():
    y, x = np.mgrid[:41, :41] - 20.0
    radius = np.hypot(x, y)
    core = torch.from_numpy(np.where(radius < 15, 1.0, 0.0) + 30.0 * (radius < 3))[None]
    ring = torch.from_numpy(np.where(radius < 15, 1.0, 0.0) + 30.0 * (np.abs(radius - 13) < 1))[None]
    assert m20(core, everything(core)).item() < -1.3
    assert -0.9 < m20(ring, everything(ring)).item() <= 0.0


def test_m20_of_four_points():
    """The brightest of four pixels holds 40 % of the light: the threshold is its value."""
    image = torch.zeros(1, 1, 5, dtype=torch.float64)
    image[0, 0] = torch.tensor([2.0, 0.0, 4.0, 2.0, 2.0])
    light, x = image[0, 0].numpy(), np.arange(5)
    centre = (light * x).sum() / 10
    expected = np.log10(4 * (2 - centre) ** 2 / (light * (x - centre) ** 2).sum())
    assert m20(image, everything(image)).item() == pytest.approx(expected)


def test_m20_is_undefined_without_positive_flux():
    image = -torch.ones(1, 4, 4, dtype=torch.float64)
    assert m20(image, everything(image)).isnan().item()


def test_both_are_invariant_under_turns_and_scale():
    image = torch.from_numpy(np.random.default_rng(0).gamma(1.0, size=(1, 12, 12)))
    turned = torch.rot90(image, 1, (1, 2)) * 7.0
    for measure in (gini, m20):
        assert measure(image, everything(image)).item() == pytest.approx(
            measure(turned, everything(turned)).item(), rel=1e-12
        )


def test_statistics_of_the_plane():
    g, m = torch.tensor([0.6]), torch.tensor([-1.0])
    assert bulge_statistic(g, m).item() == pytest.approx(0.693 + 4.95 * 0.6 - 3.96, abs=1e-6)
    assert merger_statistic(g, m).item() == pytest.approx(-0.139 + 0.99 * 0.6 - 0.327, abs=1e-6)
