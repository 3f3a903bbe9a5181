"""Modalities for the tests of the fusions."""

import pytest
import torch

from sciml.pipelines.galaxy.backbones.layout import ImageFeatures


@pytest.fixture
def modalities():
    """(ImageFeatures of a 3 x 2 grid, width 10; table tokens [4, 5, 7]); float64."""
    made = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, generator=made, dtype=torch.float64)

    return ImageFeatures(draw(4, 6, 10), draw(4, 10), (3, 2)), draw(4, 5, 7)
