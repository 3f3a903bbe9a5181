"""Connected regions: the two ways of labelling agree, areas and membership are right."""

import numpy as np
import torch
from scipy import ndimage

from sciml.pipelines.galaxy.morphology.components import label_regions, region_at, spread_labels, two_largest


def masks(seed: int = 0, planes: int = 6) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=(planes, 23, 31)), (0, 1.0, 1.0))
    return torch.from_numpy(smooth > 0.05)


def test_both_ways_give_the_same_regions():
    mask = masks()
    one, other = label_regions(mask), spread_labels(mask)
    assert ((one > 0) == mask).all() and ((other > 0) == mask).all()
    pairs = torch.unique(torch.stack([one[mask].long(), other[mask]], 1), dim=0)
    assert len(pairs) == len(pairs[:, 0].unique()) == len(pairs[:, 1].unique())


def test_planes_do_not_touch_and_corners_do():
    mask = torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[:, 0, 0] = mask[:, 1, 1] = True
    for labels in (label_regions(mask), spread_labels(mask)):
        assert labels[0, 0, 0] == labels[0, 1, 1] != labels[1, 0, 0]


def test_largest_areas_match_a_count_by_hand():
    mask = masks(1)
    mask[2] = False
    mask[3] = True
    first, second = two_largest(mask)
    for plane in range(len(mask)):
        labels, number = ndimage.label(mask[plane].numpy(), np.ones((3, 3)))
        areas = sorted(np.bincount(labels.ravel())[1:], reverse=True) + [0, 0]
        assert (first[plane], second[plane]) == (areas[0], areas[1]), number


def test_an_empty_stack_has_no_areas():
    first, second = two_largest(torch.zeros(3, 5, 5, dtype=torch.bool))
    assert first.tolist() == second.tolist() == [0, 0, 0]


def test_region_at_a_pixel():
    mask = torch.zeros(3, 6, 6, dtype=torch.bool)
    mask[:, 1:3, 1:3] = True
    mask[0, 5, 5] = True
    region = region_at(mask, torch.tensor([1, 1, 4]), torch.tensor([1, 2, 4]))
    assert region[0].sum() == region[1].sum() == 4 and region[2].sum() == 0
