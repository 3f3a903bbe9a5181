"""Petrosian and light-fraction radii of profiles that are known in closed form."""

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from sciml.pipelines.galaxy.morphology.apertures import Ellipses, growth, together
from sciml.pipelines.galaxy.morphology.petrosian import fraction_radius, petrosian_radius, refine
from sciml.pipelines.readers.synthetic_galaxies_images import Galaxy, render

SCALE = 6.0  # of the exponential disc [px]
HALF = 1.67835 * SCALE


def exponential_ratio(x: float) -> float:
    """Brightness at r = x h over the mean inside, of exp(-r / h)."""
    return np.exp(-x) * x**2 / (2 * (1 - (1 + x) * np.exp(-x)))


def disc(ellipticity=0.0, theta=0.0, size=141):
    middle = size / 2 - 0.3
    image = render(Galaxy(middle, middle, HALF, 1.0, ellipticity, theta), (size, size))
    shape = Ellipses(
        *(torch.tensor([v], dtype=torch.float64) for v in ((middle, middle), 1 / (1 - ellipticity), theta))
    )
    batch = torch.from_numpy(image)[None].double()
    return growth(batch, torch.ones_like(batch, dtype=torch.bool), shape, torch.tensor([[size, size]]))


@pytest.mark.parametrize(("ellipticity", "theta"), [(0.0, 0.0), (0.5, 0.8)])
def test_exponential_disc(ellipticity, theta):
    curve = disc(ellipticity, theta)
    found = petrosian_radius(curve, torch.tensor([190.0]).double(), eta=0.2, width=1.0)
    expected = SCALE * brentq(lambda x: exponential_ratio(x) - 0.2, 1, 10)
    assert found.radius.item() == pytest.approx(expected, rel=3e-3)
    assert not (found.dark | found.small | found.large).any()


def test_half_light_radius_of_the_disc():
    radius, wrong = fraction_radius(disc(), torch.tensor([60.0]).double(), 0.5)
    inside = 1 - (1 + 60 / SCALE) * np.exp(-60 / SCALE)
    expected = SCALE * brentq(lambda x: (1 - (1 + x) * np.exp(-x)) - 0.5 * inside, 0.1, 10)
    assert radius.item() == pytest.approx(expected, rel=2e-3) and not wrong.item()


def test_curves_that_are_asked_together_answer_as_alone():
    curves, largest = (disc(), disc(0.5, 0.8)), torch.tensor([60.0, 80.0]).double()
    fractions = torch.tensor([[0.2], [0.8]]).double()
    joint = fraction_radius(together(*curves), largest, fractions)[0]
    joint_petrosian = petrosian_radius(together(*curves), largest, eta=0.2, width=1.0).radius
    for i, curve in enumerate(curves):
        assert torch.equal(joint[i : i + 1], fraction_radius(curve, largest[i : i + 1], fractions[i].item())[0])
        alone = petrosian_radius(curve, largest[i : i + 1], eta=0.2, width=1.0).radius
        assert torch.equal(joint_petrosian[i : i + 1], alone)
        assert all(torch.equal(a, curve.at(b, joint[i, None, None])) for a, b in
                   zip(curve.both(joint[i, None, None]), (curve.flux, curve.area), strict=True))  # fmt: skip


def test_a_flat_image_never_reaches_eta():
    batch = torch.ones(1, 40, 40, dtype=torch.float64)
    circles = Ellipses.circles(torch.tensor([[19.5, 19.5]], dtype=torch.float64))
    curve = growth(batch, batch > 0, circles, torch.tensor([[40, 40]]))
    found = petrosian_radius(curve, torch.tensor([25.0]).double(), eta=0.2, width=1.0)
    assert found.large.item() and found.radius.item() == 25.0


def test_a_point_is_smaller_than_the_annulus():
    batch = torch.zeros(1, 40, 40, dtype=torch.float64)
    batch[0, 20, 20] = 1.0
    circles = Ellipses.circles(torch.tensor([[20.0, 20.0]], dtype=torch.float64))
    curve = growth(batch, torch.ones_like(batch, dtype=torch.bool), circles, torch.tensor([[40, 40]]))
    found = petrosian_radius(curve, torch.tensor([50.0]).double(), eta=0.2, width=1.0)
    assert found.radius.item() < 2.5


def test_an_empty_image_is_dark():
    batch = torch.zeros(1, 20, 20, dtype=torch.float64)
    circles = Ellipses.circles(torch.tensor([[9.5, 9.5]], dtype=torch.float64))
    curve = growth(batch, torch.ones_like(batch, dtype=torch.bool), circles, torch.tensor([[20, 20]]))
    found = petrosian_radius(curve, torch.tensor([20.0]).double(), eta=0.2, width=1.0)
    assert found.dark.item() and torch.isfinite(found.radius).all()
    assert fraction_radius(curve, found.radius, 0.5)[1].item()


def test_refine_takes_the_first_sign_change():
    root = refine(lambda x: 2.0 - x, torch.tensor([0.0]).double(), torch.tensor([5.0]).double())
    assert root.item() == pytest.approx(2.0, abs=1e-5)
