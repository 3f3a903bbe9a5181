"""Points and the shapes of fields on them."""

import numpy as np

from sciml.pipelines.gcm.dynamics.vertical import equidistant
from sciml.pipelines.gcm.setups.case import Where


def test_points_are_those_of_the_plan(plan):
    where = Where.of(plan, equidistant(5))
    assert where.shape == (64, 32, 5) and where.lon.shape == (64, 1, 1) and where.lat.shape == (1, 32, 1)
    np.testing.assert_allclose(np.degrees(where.longitude), plan.longitude)
    np.testing.assert_allclose(np.degrees(where.latitude), plan.latitude)
    assert Where.of(plan).shape == (64, 32, 1)
    assert where.full(1.0).shape == (64, 32, 5) and where.flat(where.lat).shape == (64, 32, 1)


def test_distances_are_great_circles(globe):
    where = globe.where
    np.testing.assert_allclose(
        where.distance(1.0, np.pi / 2), np.broadcast_to(np.pi / 2 - where.lat, (64, 32, 1)), atol=1e-7
    )
    far = where.distance(0.0, 0.0)
    np.testing.assert_allclose(far + where.distance(np.pi, 0.0), np.pi, atol=1e-7)
    assert far[0, 15:17].max() < 0.06
    same = where.distance(where.longitude[5], where.latitude[7])
    assert np.unravel_index(same.argmin(), same.shape)[:2] == (5, 7) and same.min() < 1e-7
