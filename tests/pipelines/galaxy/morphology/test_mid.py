"""Multimode, intensity and deviation of one and two blobs."""

import numpy as np
import pytest
import torch

from sciml.pipelines.galaxy.morphology import mid
from sciml.pipelines.galaxy.morphology.definitions import Definitions
from sciml.pipelines.galaxy.morphology.stamps import cut, gather

PLAIN = Definitions(outlier_sigma=0.0)


def blobs(*entries, size=80) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    return sum(f * np.exp(-0.5 * ((x - cx) ** 2 + (y - cy) ** 2) / s**2) for f, cx, cy, s in entries)


def measured(image: np.ndarray):
    segmap = (image > 0.02 * image.max()).astype(int)
    stamps = gather([cut(image, segmap, 1, PLAIN)], PLAIN)
    window = mid.source_window(stamps)
    grown = mid.mid_segment(window, 0.2)
    light = mid.trim(torch.where(grown.pixels, window.light, 0.0))
    peaks = mid.brightest_peaks(light, 1.0)
    area = grown.pixels.sum((1, 2))
    multimode = mid.multimode(light, window.number).item()
    return multimode, peaks.intensity.item(), mid.deviation(light, area, peaks.position).item(), grown


def test_one_blob():
    multimode, intensity, deviation, grown = measured(blobs((100, 40, 40, 6)))
    assert multimode == 0 and intensity == 0 and deviation < 0.05
    assert not grown.undefined.item() and not grown.added.item()


def test_two_equal_blobs():
    multimode, intensity, deviation, _ = measured(blobs((100, 28, 40, 5), (100, 52, 40, 5)))
    assert multimode > 0.9 and intensity > 0.95 and deviation > 0.3


def test_a_weaker_companion_counts_less():
    equal = measured(blobs((100, 30, 40, 5), (95, 50, 40, 5)))
    weak = measured(blobs((100, 30, 40, 5), (40, 50, 40, 4)))
    assert weak[0] < equal[0] and weak[1] < equal[1]


def test_the_segment_ends_at_eta_times_its_mean():
    image = blobs((100, 40, 40, 6))
    *_, grown = measured(image)
    inside = grown.pixels.sum().item()
    radius2 = np.arange(1, 40 * 36) / 36.0  # of a Gaussian: level / mean inside = t e^-t / (1 - e^-t), t = r^2 / 2 s^2
    t = radius2 / 2
    level = t * np.exp(-t) / (1 - np.exp(-t))
    expected = np.pi * 36 * radius2[np.argmin(np.abs(level - 0.2))]
    assert inside == pytest.approx(expected, rel=0.03)


def test_steepest_ascent_reaches_the_peaks():
    light = torch.from_numpy(blobs((10, 12, 15, 4), (7, 28, 15, 4), size=40))[None]
    peaks = mid.steepest_ascent(light)[0].unique()
    assert sorted(peaks.tolist()) == [15 * 40 + 12, 15 * 40 + 28]


def test_windows_of_a_map():
    image = blobs((100, 40, 40, 6))
    segmap = (image > 5).astype(int)
    stamps = gather([cut(image, segmap, 1, PLAIN)], PLAIN)
    window = mid.source_window(stamps)
    assert torch.equal(mid.in_window(stamps.segment, window), window.light > 0)
    assert window.number.item() == segmap.sum()


def test_a_source_without_contrast_is_undefined():
    image = np.ones((60, 60))
    segmap = np.zeros((60, 60), dtype=int)
    segmap[20:40, 20:40] = 1
    stamps = gather([cut(image, segmap, 1, PLAIN)], PLAIN)
    assert mid.mid_segment(mid.source_window(stamps), 0.2).undefined.item()
