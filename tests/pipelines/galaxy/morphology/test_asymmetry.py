"""Asymmetry is zero for symmetric light, invariant under quarter turns, and equal to a plain computation."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from sciml.pipelines.galaxy.morphology import asymmetry
from sciml.pipelines.galaxy.morphology.definitions import Definitions
from sciml.pipelines.galaxy.morphology.stamps import Stamps, cut, gather

PLAIN = Definitions(outlier_sigma=0.0, cutout_extent=20.0)


def stamps_of(*images: np.ndarray, mask=None) -> Stamps:
    cuts = []
    for image in images:
        segmap = np.zeros(image.shape, dtype=int)
        segmap[10:-10, 10:-10] = 1
        cuts.append(cut(image, segmap, 1, PLAIN, mask=mask))
    return gather(cuts, PLAIN)


def blob(centre=(24.3, 25.1), size=50) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    return 100 * np.exp(-0.5 * ((x - centre[0]) ** 2 / 16 + (y - centre[1]) ** 2 / 9))


def column(*values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def search(stamps: Stamps, start, radius=15.0) -> asymmetry.Centre:
    middle = column(*start)
    known = asymmetry.Search(
        column(*[0.0] * len(stamps)), column(*[radius] * len(stamps)), middle, middle, column(*[5.0] * len(stamps))
    )
    return asymmetry.find_centres([stamps], [known])[0]


def test_symmetric_light_has_none():
    stamps = stamps_of(blob())
    found = search(stamps, [(25.0, 25.0)])
    np.testing.assert_allclose(found.position[0], (24.3, 25.1), atol=0.05)
    values = asymmetry.circular_asymmetry(
        stamps, column(0.0), column(0.0), column(15.0), column([24.5, 25.0]).view(1, 2)
    )
    exact = stamps_of(blob((24.5, 25.0)))
    values = asymmetry.circular_asymmetry(exact, column(0.0), column(0.0), column(15.0), column(24.5, 25.0)[None])
    assert values.asymmetry.item() == pytest.approx(0.0, abs=1e-9)
    assert values.rms_asymmetry2.item() == pytest.approx(0.0, abs=1e-9)


def test_light_on_one_side_only_has_the_largest():
    image = np.zeros((50, 50))
    image[24, 30] = 1.0
    values = asymmetry.circular_asymmetry(
        stamps_of(image), column(0.0), column(0.0), column(12.0), column(24.0, 24.0)[None]
    )
    assert values.asymmetry.item() == pytest.approx(2.0)


def test_quarter_turns_change_nothing():
    image = blob() + blob((33.0, 20.0)) * 0.4 + np.random.default_rng(0).normal(size=(50, 50))
    results = []
    for turns in range(4):
        stamps = stamps_of(np.ascontiguousarray(np.rot90(image, turns)))
        centre = column(26.2, 24.1)
        for _ in range(turns):
            centre = column(centre[1].item(), 49 - centre[0].item())
        results.append(
            asymmetry.circular_asymmetry(stamps, column(0.0), column(0.0), column(14.0), centre[None]).asymmetry.item()
        )
    assert results == pytest.approx([results[0]] * 4, abs=1e-6)


def test_half_turn_against_a_plain_rotation():
    rng = np.random.default_rng(1)
    image = rng.normal(size=(50, 50))
    mask = np.zeros((50, 50), dtype=bool)
    mask[12:15, 20:26] = True
    stamps, centre = stamps_of(image, mask=mask), (23.37, 26.81)
    rows, columns = np.mgrid[:50, :50].astype(float)
    source = [2 * centre[1] - rows, 2 * centre[0] - columns]
    clean = np.where(mask, 0, image)
    expected = ndimage.map_coordinates(clean, source, order=1, mode="grid-constant")
    partner = ndimage.map_coordinates(mask.astype(float), source, order=0, mode="constant") > 0.5
    half_turn, allowed = asymmetry.turned(stamps, stamps.image, column(*centre)[None])
    np.testing.assert_allclose(half_turn[0] * stamps.unit, expected, atol=1e-6)
    np.testing.assert_array_equal(allowed[0], ~(mask | partner))


def test_windows_and_full_stamps_agree():
    rng = np.random.default_rng(2)
    mask = np.zeros((50, 50), dtype=bool)
    mask[20:23, 20:26] = True
    stamps, centre = stamps_of(blob() + rng.normal(size=(50, 50)), mask=mask), column(24.37, 25.81)[None]
    pairs = asymmetry.HalfTurn(stamps, 12)
    pair = pairs.at(np.array([0]), centre.numpy())
    half_turn, allowed = asymmetry.turned(stamps, stamps.image, centre)
    x, y = pair.corner[0]
    box = (0, slice(y, y + 25), slice(x, x + 25))
    torch.testing.assert_close(pair.half_turn[0], half_turn[box])
    torch.testing.assert_close(pair.image[0], stamps.image[box])
    assert torch.equal(pair.allowed[0] & stamps.inside[box], allowed[box])


@pytest.mark.skipif(asymmetry._half_turn is None, reason="the compiled sums are not built")
@pytest.mark.parametrize("with_mask", [False, True])
def test_compiled_sums_are_the_windows(with_mask):
    """Circles inside, over the border, larger than the stamp; centres on pixels, between them and near corners."""
    rng = np.random.default_rng(3)
    mask = rng.random((50, 50)) < 0.1 if with_mask else None
    images = [blob() + rng.normal(size=(50, 50)), rng.normal(size=(37, 61)), np.ones((40, 40))]
    stamps = stamps_of(*images, mask=mask) if mask is None else stamps_of(images[0], mask=mask)
    radius = torch.tensor([12.0, 31.5, 80.0][: len(stamps)], dtype=torch.float64)
    centres = [(24.37, 25.81), (0.0, 0.0), (20.0, 30.0), (35.99, 36.5), (12.5, 3.0)]
    which = np.repeat(np.arange(len(stamps)), len(centres))
    points = np.tile(np.array(centres), (len(stamps), 1))
    found = asymmetry.CompiledHalfTurn(stamps, radius.numpy()).sums(which, points)
    windows = asymmetry.HalfTurn(stamps, asymmetry.half_window(radius, stamps.image.shape))
    pair = windows.at(which, points)
    expected = asymmetry._sums(windows.circle(which, pair, points, radius.numpy()[which]), pair)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-4)


@pytest.mark.skipif(asymmetry._half_turn is None, reason="the compiled sums are not built")
@pytest.mark.parametrize("with_mask", [False, True])
def test_compiled_sums_under_weights_are_those_of_torch(monkeypatch, with_mask):
    rng = np.random.default_rng(4)
    mask = rng.random((50, 50)) < 0.1 if with_mask else None
    images = [blob() + rng.normal(size=(50, 50)), rng.normal(size=(37, 61)), np.ones((40, 40))]
    stamps = stamps_of(*images, mask=mask) if mask is None else stamps_of(images[0], mask=mask)
    centre = torch.tensor([(24.37, 25.81), (60.2, 3.5), (0.0, 20.5)][: len(stamps)], dtype=torch.float64)
    weight = torch.from_numpy(rng.normal(size=stamps.image.shape)).float() * stamps.inside
    compiled = asymmetry._weighted_sums(stamps, stamps.image, weight, centre)
    monkeypatch.setattr(asymmetry, "_half_turn", None)
    for ours, theirs in zip(compiled, asymmetry._weighted_sums(stamps, stamps.image, weight, centre), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


def test_the_search_needs_no_compiler(monkeypatch):
    image = blob((24.5, 25.0)) + 0.3 * blob((31.0, 28.0))
    compiled = search(stamps_of(image), [(25.5, 24.0)])
    monkeypatch.setattr(asymmetry, "_half_turn", None)
    np.testing.assert_allclose(search(stamps_of(image), [(25.5, 24.0)]).position, compiled.position, atol=5e-3)


def test_stamps_of_many_sizes_are_searched_together():
    images = [blob((24.5, 25.0)), blob((30.0, 33.5), 66), blob((20.0, 21.5), 44)]
    found = search(stamps_of(*images), [(25.5, 24.0), (29.0, 34.0), (21.0, 21.0)])
    np.testing.assert_allclose(found.position, [(24.5, 25.0), (30.0, 33.5), (20.0, 21.5)], atol=0.01)
    alone = search(stamps_of(images[1]), [(29.0, 34.0)])
    np.testing.assert_allclose(alone.position[0], found.position[1], atol=2e-3)


def test_a_drifting_centre_falls_back():
    image = blob((12.0, 25.0))
    stamps = stamps_of(image)
    known = asymmetry.Search(column(0.0), column(8.0), column(20.0, 25.0)[None], column(30.0, 25.0)[None], column(0.5))
    found = asymmetry.find_centres([stamps], [known])[0]
    assert found.drifted.item() and found.lost.item()
    assert found.position[0].tolist() == [20.0, 25.0]
