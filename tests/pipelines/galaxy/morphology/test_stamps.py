"""Stamps: where they are cut, what is masked, and that padding changes nothing."""

import numpy as np
import torch

from sciml.pipelines.galaxy.morphology.definitions import Definitions
from sciml.pipelines.galaxy.morphology.stamps import cut, gather, merge, outliers, sort_pixels

CHOSEN = Definitions(smallest_cutout=8)


def scene(height=60, width=80, top=20, left=30, side=11):
    rng = np.random.default_rng(0)
    segmap = np.zeros((height, width), dtype=np.int32)
    segmap[top : top + side, left : left + side] = 3
    return rng.normal(size=(height, width)) + 50.0 * (segmap == 3), segmap


def test_the_stamp_is_centred_and_extended():
    image, segmap = scene()
    found = cut(image, segmap, 3, CHOSEN)
    half = int(11 * 2.5 / 2)
    assert found.image.shape == (2 * half, 2 * half)
    assert (found.y, found.x) == (20 + 5 - half, 30 + 5 - half) and found.extent == 11
    assert cut(image, segmap, 4, CHOSEN) is None


def test_the_border_of_the_image_cuts_the_stamp():
    image, segmap = scene(top=0, left=69)
    found = cut(image, segmap, 3, CHOSEN)
    assert found.y == 0 and found.image.shape[0] < 2 * 13 and found.x + found.image.shape[1] == 80


def test_small_sources_get_the_smallest_stamp():
    image, segmap = scene(side=2)
    assert cut(image, segmap, 3, Definitions()).image.shape == (45, 48)


def test_masks():
    image, segmap = scene()
    segmap[25, 45] = 7  # another source
    image[22, 33] = np.nan
    image[40, 40] = 1e4  # an outlier in the sky
    mask = np.zeros(image.shape, dtype=bool)
    mask[24, 34] = True
    stamps = gather([cut(image, segmap, 3, Definitions(), mask=mask)], Definitions())
    y, x = stamps.origin[0].tolist()
    for row, column in ((25, 45), (22, 33), (40, 40), (24, 34)):
        assert not stamps.valid[0, row - y, column - x] and stamps.image[0, row - y, column - x] == 0
    assert stamps.segment.sum() == 121 - 2
    assert not stamps.empty[0, 25 - y, 45 - x] and stamps.empty[0, 40 - y, 40 - x]


def test_outliers_are_far_from_their_neighbours():
    rng = np.random.default_rng(1)
    image = torch.from_numpy(rng.normal(size=(1, 9, 9)))
    image[0, 4, 4] = 500.0
    flagged = outliers(image, torch.tensor([[9, 9]]), 10.0)
    assert flagged[0, 4, 4] and flagged.sum() == 1
    assert not outliers(torch.ones(1, 9, 9, dtype=torch.float64), torch.tensor([[9, 9]]), 10.0).any()


def test_padding_and_merging_change_nothing():
    cuts = [cut(*scene(side=side), 3, CHOSEN) for side in (5, 11, 9)]
    together = gather(cuts, CHOSEN)
    for index, one in enumerate(gather([entry], CHOSEN) for entry in cuts):
        height, width = one.image.shape[1:]
        assert torch.equal(together.image[index, :height, :width], one.image[0])
        assert torch.equal(together.valid[index].nonzero(), one.valid[0].nonzero())
        part = together.take(torch.tensor([index]))
        assert torch.equal(part.image, one.image) and torch.equal(part.size, one.size)
    merged = merge([gather(cuts[:1], CHOSEN), gather(cuts[1:], CHOSEN)])
    assert torch.equal(merged.image, together.image) and torch.equal(merged.origin, together.origin)


def test_sorting():
    values = torch.tensor([[3.0, torch.inf, -1.0]], dtype=torch.float64)
    assert sort_pixels(values).tolist() == [[-1.0, 3.0, torch.inf]]
