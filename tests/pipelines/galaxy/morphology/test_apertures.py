"""Areas and sums under circles and ellipses against photutils' exact overlap."""

import numpy as np
import pytest
import torch

from sciml.pipelines.galaxy.morphology import apertures
from sciml.pipelines.galaxy.morphology.apertures import Ellipses, coordinates, growth, part_inside, pixel_lines

RADII = (0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 45.0)


def family(elongation, theta, centre=(40.31, 40.87)) -> Ellipses:
    return Ellipses(*(torch.tensor([entry], dtype=torch.float64) for entry in (centre, elongation, theta)))


def profile(seed=0):
    rng = np.random.default_rng(seed)
    radius = np.hypot(*(np.mgrid[:80, :90] - 40.3))
    return 50 * np.exp(-radius / 4) + rng.normal(size=(80, 90))


@pytest.mark.parametrize(("elongation", "theta", "worst"), [(1.0, 0.0, 0.004), (1.3, 0.4, 0.005), (2.5, 1.0, 0.006)])
def test_curves_of_growth(elongation, theta, worst):
    from photutils.aperture import EllipticalAperture

    image = profile()
    batch = torch.from_numpy(image)[None]
    curve = growth(batch, torch.ones_like(batch, dtype=torch.bool), family(elongation, theta), torch.tensor([[80, 90]]))
    for radius in RADII:
        exact = EllipticalAperture((40.31, 40.87), radius, radius / elongation, theta=theta)
        at = torch.tensor([[radius]], dtype=torch.float64)
        assert curve.at(curve.flux, at).item() == pytest.approx(
            exact.do_photometry(image, method="exact")[0][0], rel=worst
        )
        assert curve.at(curve.area, at).item() == pytest.approx(exact.area_overlap(image), rel=worst)


def test_masked_pixels_have_no_area():
    batch = torch.ones(1, 30, 30, dtype=torch.float64)
    valid = torch.ones_like(batch, dtype=torch.bool)
    valid[0, :, 15:] = False
    curve = growth(
        batch * valid,
        valid,
        Ellipses.circles(torch.tensor([[14.5, 14.5]], dtype=torch.float64)),
        torch.tensor([[30, 30]]),
    )
    at = torch.tensor([[8.0]], dtype=torch.float64)
    half = np.pi * 8**2 / 2
    assert curve.at(curve.area, at).item() == pytest.approx(half, rel=3e-3)
    assert curve.at(curve.flux, at).item() == pytest.approx(half, rel=3e-3)


def test_curves_end_at_the_total():
    image = torch.from_numpy(profile())[None]
    curve = growth(image, torch.ones_like(image, dtype=torch.bool), family(1.7, 0.3), torch.tensor([[80, 90]]))
    beyond = torch.tensor([[1e4]], dtype=torch.float64)
    assert curve.at(curve.flux, beyond).item() == pytest.approx(image.sum().item(), rel=1e-9)
    assert curve.at(curve.area, beyond).item() == pytest.approx(80 * 90, rel=1e-9)


@pytest.mark.parametrize("elongation", [1.0, 2.0])
def test_parts_sum_to_the_area(elongation):
    shape = family(elongation, 0.7)
    where = coordinates(shape, *pixel_lines(80, 90, shape.centre))
    inside = part_inside(where, torch.tensor([20.0], dtype=torch.float64))
    assert inside.min() == 0 and inside.max() == 1
    assert inside.sum().item() == pytest.approx(np.pi * 20**2 / elongation, rel=2e-3)


@pytest.mark.skipif(apertures._growth is None, reason="the compiled curves are not built")
@pytest.mark.parametrize("centre", [(40.31, 40.87), (0.2, 79.6), (-3.0, 40.0), (44.5, 40.5)])
@pytest.mark.parametrize(("elongation", "theta"), [(1.0, 0.0), (1.7, 0.9), (6.0, 2.8)])
def test_compiled_curves_are_those_of_torch(monkeypatch, centre, elongation, theta):
    """Centres inside, in a corner and outside; with masked pixels and a stamp that does not fill its array."""
    rng = np.random.default_rng(1)
    valid = torch.from_numpy(rng.random((1, 80, 90)) > 0.1)
    valid[:, 75:] = False
    image = torch.where(valid, torch.from_numpy(profile())[None], 0.0).float()
    given = image, valid, family(elongation, theta, centre), torch.tensor([[75, 90]])
    compiled = growth(*given)
    monkeypatch.setattr(apertures, "_growth", None)
    for ours, theirs in zip(compiled, growth(*given), strict=True):
        # float32 edges near a node may fall to either side of it
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=2e-5 * float(theirs.abs().max()))


@pytest.mark.skipif(apertures._growth is None, reason="the compiled curves are not built")
def test_without_a_centre_there_is_no_curve():
    image = torch.ones(2, 20, 30)
    for wrong in (np.nan, np.inf):
        shape = Ellipses.circles(torch.tensor([[wrong, 3.0], [9.0, 8.0]], dtype=torch.float64))
        found = growth(image, image > 0, shape, torch.tensor([[20, 30]] * 2))
        assert found.flux[0].isnan().all() and found.flux[1, -1] == pytest.approx(600, rel=1e-5)
