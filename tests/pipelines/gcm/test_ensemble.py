"""Perturbations: exact strength, no mean, reproducible, the same in any ensemble."""

import numpy as np
import pytest

from sciml.pipelines.gcm.ensemble import LARGEST, vorticity

SIGMA = (np.arange(8) + 0.5) / 8
RADIUS = 6.4e6


def wind_of(found: np.ndarray) -> float:
    degree = np.arange(1, LARGEST + 1)
    square = (found[:, 1:] ** 2 / (degree * (degree + 1.0))[:, None]).sum((0, 1)) / (4 * np.pi)
    return float(RADIUS * np.sqrt(square.mean()))


@pytest.mark.parametrize("wind", [0.1, 3.0])
def test_the_rms_wind_is_what_was_asked_for(wind):
    assert wind_of(vorticity(0, 1, SIGMA, wind, RADIUS)) == pytest.approx(wind, rel=1e-12)


def test_member_0_and_no_wind_are_no_perturbation():
    assert not vorticity(0, 0, SIGMA, 1.0, RADIUS).any() and not vorticity(0, 3, SIGMA, 0.0, RADIUS).any()


def test_seed_and_member_decide():
    one = vorticity(0, 1, SIGMA, 1.0, RADIUS)
    np.testing.assert_array_equal(one, vorticity(0, 1, SIGMA, 1.0, RADIUS))
    for seed, member in ((0, 2), (1, 1)):
        other = vorticity(seed, member, SIGMA, 1.0, RADIUS)
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.1


def test_only_coefficients_that_exist_are_set():
    found = vorticity(0, 1, SIGMA, 1.0, RADIUS)
    rows = np.array([0] + [m for m in range(1, LARGEST + 1) for _ in "+-"])
    outside = rows[:, None] > np.arange(LARGEST + 1)
    assert not found[outside].any() and not found[:, 0].any() and (found[~outside][1:] != 0).mean() > 0.95


def test_neighbouring_layers_are_alike():
    found = vorticity(0, 1, (np.arange(24) + 0.5) / 24, 1.0, RADIUS)
    near, far = (np.corrcoef(found[..., 0].ravel(), found[..., k].ravel())[0, 1] for k in (1, 20))
    assert near > 0.75 and abs(far) < 0.25
