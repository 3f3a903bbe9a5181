"""Connected regions: the two ways of labelling agree, areas and membership are right."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from sciml.pipelines.galaxy.morphology import components
from sciml.pipelines.galaxy.morphology.components import (
    areas_above,
    label_regions,
    means_above,
    region_at,
    spread_labels,
    two_largest,
)  # fmt: skip

needs_compiler = pytest.mark.skipif(components._regions is None, reason="the compiled regions are not built")


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


def lights(seed: int, shape: tuple[int, int], steps: int) -> torch.Tensor:
    """Smooth light of both signs in few values, so that many pixels are equal; the last plane is dark."""
    noise = np.random.default_rng(seed).normal(size=(3, *shape))
    smooth = np.round(ndimage.gaussian_filter(noise, (0, 0.8, 0.8)) * steps) / steps
    smooth[-1] = 0.0
    return torch.from_numpy(smooth).float().clamp(min=0.0)


images = given(st.integers(0, 99), st.tuples(st.integers(1, 17), st.integers(1, 13)), st.sampled_from([2, 5, 1000]))


@needs_compiler
@images
@settings(max_examples=30, deadline=None)
def test_means_of_growing_regions_are_those_of_every_threshold(seed, shape, steps):
    light = lights(seed, shape, steps)
    number = torch.tensor([(plane > 0).sum() + extra for plane, extra in zip(light, (0, 4, 2), strict=True)])
    means = means_above(light, number)
    for plane, count, found in zip(light, number.tolist(), means, strict=True):
        values = torch.cat([torch.zeros(count), plane.flatten()[plane.flatten() > 0]]).sort().values[-count:] if count else []
        peak = plane.argmax()
        row, column = (peak // shape[1])[None], (peak % shape[1])[None]
        for rank, value in enumerate(values):
            region = region_at((plane >= value.clamp(min=1e-30))[None], row, column)[0]
            wanted = float(plane[region].double().mean()) if region.any() else 0.0
            assert float(found[rank]) == pytest.approx(wanted, rel=1e-12)


@needs_compiler
@images
@settings(max_examples=30, deadline=None)
def test_areas_above_levels_are_those_of_every_threshold(seed, shape, steps):
    light = lights(seed, shape, steps)
    levels = torch.linspace(0.01, float(light.max()) + 0.1, 9).expand(3, -1)
    first, second = areas_above(light, levels)
    for k in range(levels.shape[1]):
        one, two = two_largest(light >= levels[:, k, None, None])
        assert torch.equal(first[:, k], one) and torch.equal(second[:, k], two)
