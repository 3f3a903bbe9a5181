"""Forcing in time: the nearest, ties to the even index as the original, and a check before the run."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint import config as nodes
from sciml.pipelines.gcm.neural.forcing import check_coverage, incremented, own_increment, select

START = np.datetime64("1990-06-01T00:00")
DAILY = START + np.arange(10) * np.timedelta64(1, "D")
HOUR, YEAR = np.timedelta64(1, "h"), np.timedelta64(8766, "h")


@given(hours=st.integers(-50, 300))
def test_nearest_and_held_at_the_ends(hours):
    valid = START + hours * HOUR
    chosen = select(DAILY, valid)
    distance = np.abs(DAILY - valid)
    assert distance[chosen] == distance.min()


def test_ties_go_to_the_even_index():
    assert [select(DAILY, START + np.timedelta64(12 + 24 * day, "h")) for day in range(4)] == [0, 2, 2, 4]


@settings(deadline=None, max_examples=20)
@given(hours=st.integers(-30, 260), spacing=st.sampled_from([1, 6, 24, 168]))
def test_as_the_original_does(hours, spacing):
    """round(interp(time, times, indices)) in float32 without dimension; near ties its round-off may differ from ours."""
    jnp = pytest.importorskip("jax.numpy")
    times = START + np.arange(10) * spacing * HOUR
    nondim = [
        np.float32((t - np.datetime64("1979-01-01T00:00")) / HOUR * 0.525024) for t in (*times, START + hours * HOUR)
    ]
    index = jnp.interp(nondim[-1], jnp.asarray(nondim[:-1]), jnp.arange(10.0))
    if abs(float(index) % 1 - 0.5) > 0.05:
        assert select(times, START + hours * HOUR) == int(jnp.round(index))


def test_a_shift_looks_back():
    valid = START + np.timedelta64(5, "D")
    assert (select(DAILY, valid), select(DAILY, valid, shift_hours=24)) == (5, 4)


def test_a_run_within_the_file_is_fine():
    check_coverage(DAILY, START, DAILY[-1], tolerance=12 * HOUR)
    check_coverage(DAILY[:1], START, START + YEAR, tolerance=YEAR)
    check_coverage(DAILY[:1], START, START + 3 * YEAR, tolerance=HOUR, persist=True)
    check_coverage(DAILY, START + np.timedelta64(1, "D"), DAILY[-1], tolerance=12 * HOUR, shift_hours=24)


def test_what_is_missing_is_named():
    with pytest.raises(
        DataError, match=r"from 1990-06-01T00:00 to 1990-06-10T00:00; the run needs it .* 1990-06-30"
    ) as caught:
        check_coverage(DAILY, START, np.datetime64("1990-06-30"), tolerance=12 * HOUR)
    assert "--persist-sst" in caught.value.hint
    with pytest.raises(DataError, match="needs it from 1990-05-31T00:00 .*24 hours before"):
        check_coverage(DAILY, START, DAILY[-1], tolerance=12 * HOUR, shift_hours=24)
    with pytest.raises(DataError, match="no times"):
        check_coverage(DAILY[:0], START, DAILY[-1], tolerance=HOUR)


def test_a_hole_is_found():
    broken = np.concatenate([DAILY[:3], DAILY[7:]])
    check_coverage(broken, START, DAILY[2], tolerance=12 * HOUR)
    with pytest.raises(DataError, match="nothing from 1990-06-03T00:00 to 1990-06-08T00:00"):
        check_coverage(broken, START, DAILY[-1], tolerance=12 * HOUR)


def test_only_the_sea_is_warmed():
    found = incremented({"sea_surface_temperature": np.full(3, 290.0), "sea_ice_cover": np.zeros(3)}, 2.0)
    assert found["sea_surface_temperature"].tolist() == [292.0] * 3 and found["sea_ice_cover"].tolist() == [0.0] * 3


def test_the_increment_of_a_models_own_settings():
    warmer = nodes.PersistenceDataForcing(nodes.Table({}), nodes.IncrementSSTForcingTransform(4.0))
    plain = nodes.DynamicDataForcing(nodes.Table({}), 86400.0)
    assert [own_increment(SimpleNamespace(forcing=one)) for one in (warmer, plain)] == [4.0, 0.0]
