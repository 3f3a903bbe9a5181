"""The shape segment of a disc is the disc."""

import numpy as np
import pytest
import torch

from sciml.pipelines.galaxy.morphology.apertures import Ellipses
from sciml.pipelines.galaxy.morphology.definitions import Definitions
from sciml.pipelines.galaxy.morphology.shape import farthest, shape_segment
from sciml.pipelines.galaxy.morphology.sky import find_skybox
from sciml.pipelines.galaxy.morphology.stamps import cut, gather

PLAIN = Definitions(outlier_sigma=0.0, cutout_extent=20.0)


def scene(level=50.0):
    y, x = np.mgrid[:120, :120] - 60.0
    disc = np.hypot(x, y) < 12
    image = level * disc + np.random.default_rng(0).normal(size=(120, 120))
    return gather([cut(image, disc.astype(int), 1, PLAIN)], PLAIN), disc


def test_disc():
    stamps, disc = scene()
    centre = torch.tensor([[60.0, 60.0]], dtype=torch.float64)
    found = shape_segment(stamps, find_skybox(stamps, 32), centre, torch.tensor([30.0]).double(), 32)
    assert not found.added.item() and not found.undefined.item()
    assert abs(found.pixels.sum().item() - disc.sum()) < 0.25 * disc.sum()
    assert farthest(found.pixels, Ellipses.circles(centre)).item() == pytest.approx(13.0, abs=3.0)


def test_farthest_pixel_in_ellipses():
    segment = torch.zeros(1, 21, 21, dtype=torch.bool)
    segment[0, 10, 4:17] = True
    centre = torch.tensor([[10.0, 10.0]], dtype=torch.float64)
    along = Ellipses(centre, torch.tensor([2.0]).double(), torch.tensor([0.0]).double())
    across = Ellipses(centre, torch.tensor([2.0]).double(), torch.tensor([np.pi / 2]).double())
    assert farthest(segment, along).item() == pytest.approx(6.0)
    assert farthest(segment, across).item() == pytest.approx(12.0)
    assert farthest(torch.zeros_like(segment), along).item() == 0.0


def test_without_sky_the_source_itself_is_taken():
    image = np.random.default_rng(1).random((30, 30)) + 1
    stamps = gather([cut(image, np.ones((30, 30), dtype=int), 1, PLAIN)], PLAIN)
    centre = torch.tensor([[15.0, 15.0]], dtype=torch.float64)
    found = shape_segment(stamps, find_skybox(stamps, 32), centre, torch.tensor([50.0]).double(), 32)
    assert found.undefined.item() and torch.equal(found.pixels, stamps.segment)
