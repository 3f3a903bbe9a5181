"""The batched simplex walks scipy's path and finds minima."""

import numpy as np
import pytest
from scipy.optimize import fmin

from sciml.pipelines.galaxy.morphology.simplex import minimize


def bumpy(points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    x, y = (points - centre).T
    return x**2 + 2 * y**2 + 0.3 * x * y + 0.2 * np.sin(3 * x) * np.cos(2 * y)


def test_each_problem_ends_where_scipy_ends():
    rng = np.random.default_rng(0)
    centres, starts = rng.normal(size=(40, 2)) * 3 + 20, rng.normal(size=(40, 2)) * 3 + 20
    found = minimize(lambda which, points: bumpy(points, centres[which]), starts, x_tolerance=1e-6)
    for centre, start, end in zip(centres, starts, found, strict=True):
        expected = fmin(lambda p, c=centre: bumpy(p[None], c)[0], start, xtol=1e-6, disp=False)
        np.testing.assert_allclose(end, expected, atol=1e-5)


def test_kinks_and_a_start_at_zero():
    found = minimize(lambda which, p: np.abs(p[:, 0] - 1) + np.abs(p[:, 1] + 2), np.zeros((1, 2)), x_tolerance=1e-5)
    assert found[0] == pytest.approx([1.0, -2.0], abs=1e-3)


def test_problems_do_not_disturb_each_other():
    centres = np.array([[3.0, 4.0], [10.0, -5.0]])
    starts = np.array([[2.0, 2.0], [8.0, -1.0]])
    both = minimize(lambda which, points: bumpy(points, centres[which]), starts, x_tolerance=1e-4)
    alone = minimize(lambda which, points: bumpy(points, centres[1:]), starts[1:], x_tolerance=1e-4)
    np.testing.assert_array_equal(both[1:], alone)
