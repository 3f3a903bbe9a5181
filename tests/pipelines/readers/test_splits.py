"""Blocks in time order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.readers.splits import time_blocks

DAY = np.timedelta64(1, "D")


def days(count: int) -> np.ndarray:
    return np.datetime64("2010-01-01") + np.arange(count)


def test_shares_without_holes():
    blocks = time_blocks(days(100), gap=0 * DAY)
    assert (blocks.train.size, blocks.validation.size, blocks.test.size, blocks.purged) == (70, 15, 15, 0)


def test_purge():
    blocks = time_blocks(days(100), gap=3 * DAY)
    assert blocks.train[-1] == 67 and blocks.validation[0] == 70 and blocks.purged == 4
    assert blocks.times[blocks.validation[0]] - blocks.times[blocks.train[-1]] >= 3 * DAY


def test_five_summers():
    """Five summers of 62 days become three, one and one."""
    summers = np.concatenate([np.datetime64(f"{year}-06-30") + np.arange(62) for year in range(2013, 2018)])
    blocks = time_blocks(summers, gap=2 * DAY)
    years = [
        np.unique(summers[block].astype("datetime64[Y]").astype(int) + 1970).tolist()
        for block in (blocks.train, blocks.validation, blocks.test)
    ]
    assert years == [[2013, 2014, 2015], [2016], [2017]] and blocks.purged == 0
    assert "2016-06-30" in blocks.describe() and "186 items" in blocks.describe()


@pytest.mark.parametrize("sizes", [(59, 59, 60, 59, 60), (59, 60, 60, 59, 59), (59, 59, 59, 60, 60)])
@pytest.mark.parametrize("gap", [1, 2, 15])
def test_summers_whose_first_days_are_missing(sizes, gap):
    """297 issue days: neither border has its wanted place near a hole, and both must find one together."""
    parts = zip(range(2013, 2018), sizes, strict=True)
    summers = np.concatenate([np.datetime64(f"{year}-06-30") + np.arange(62 - size, 62) for year, size in parts])
    blocks = time_blocks(summers, gap=gap * DAY)
    assert [b.size for b in (blocks.train, blocks.validation, blocks.test)] == [sum(sizes[:3]), *sizes[3:]]
    assert blocks.purged == 0


def test_seoul(real_data):
    from sciml.pipelines.readers.forecast import open_forecast

    times = open_forecast(real_data / "kd" / "ldaps_seoul" / "nwp.nc")["time"].values
    blocks = time_blocks(times, gap=2 * DAY)
    assert (blocks.train.size, blocks.validation.size, blocks.test.size) == (186, 62, 62)


def test_snap_can_be_turned_off():
    summers = np.concatenate([np.datetime64(f"{year}-06-30") + np.arange(62) for year in range(2013, 2018)])
    assert time_blocks(summers, gap=0 * DAY, snap=0.0).train.size == 217


def test_dates():
    blocks = time_blocks(days(100), gap=0 * DAY, train_until="2010-02-28", validation_until="2010-03-31")
    assert (
        str(blocks.times[blocks.train[-1]])[:10] == "2010-02-28"
        and str(blocks.times[blocks.test[0]])[:10] == "2010-04-01"
    )


def test_a_date_means_its_end():
    hours = np.datetime64("2010-01-01T00") + np.arange(240)
    blocks = time_blocks(hours, gap=np.timedelta64(0, "h"), train_until="2010-01-05")
    assert str(blocks.times[blocks.train[-1]])[:13] == "2010-01-05T23"


def test_equal_times_stay_together():
    repeated = np.repeat(days(50), 7)
    blocks = time_blocks(repeated, gap=0 * DAY)
    assert not set(repeated[blocks.train]) & set(repeated[blocks.validation])
    assert not set(repeated[blocks.validation]) & set(repeated[blocks.test])


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.7, 0.3, 0.0), (0.7, 0.2, 0.2), (1.2, -0.1, -0.1)])
def test_bad_fractions(fractions):
    with pytest.raises(SettingsError, match="fractions"):
        time_blocks(days(100), fractions, gap=0 * DAY)


@pytest.mark.parametrize("until", ["2009-01-01", "2050-01-01", "soon"])
def test_bad_dates(until):
    with pytest.raises(SettingsError, match="train_until"):
        time_blocks(days(100), gap=0 * DAY, train_until=until)


def test_too_few():
    with pytest.raises(DataError, match="at least 3"):
        time_blocks(days(2), gap=0 * DAY)
    with pytest.raises(DataError, match="empty"):
        time_blocks(days(10), gap=30 * DAY)


def test_unsorted_is_shown():
    with pytest.raises(DataError, match="2010-01-05 is followed by 2010-01-01"):
        time_blocks(np.r_[days(5), days(5)], gap=0 * DAY)


@given(st.lists(st.integers(0, 4000), min_size=3, max_size=300), st.integers(0, 20), st.floats(0, 0.3))
def test_blocks_never_overlap(hours, gap, snap):
    times = np.datetime64("2010-01-01T00") + np.sort(np.array(hours))
    gap = np.timedelta64(gap, "h")
    try:
        blocks = time_blocks(times, gap=gap, snap=snap)
    except DataError:
        return
    assert blocks.train.size + blocks.validation.size + blocks.test.size + blocks.purged == times.size
    for before, after in ((blocks.train, blocks.validation), (blocks.validation, blocks.test)):
        assert times[after[0]] - times[before[-1]] >= gap and before[-1] < after[0]
        assert times[before[-1]] < times[after[0]]


def test_a_hole_near_the_end_is_left_alone():
    """81 days: a border in the second hole would leave 4 of 12 days for the test."""
    steps = np.ones(81, dtype=int)
    steps[[57, 77]] = 30
    blocks = time_blocks(np.datetime64("2010-01-01") + np.cumsum(steps), gap=0 * DAY)
    assert (blocks.train.size, blocks.validation.size, blocks.test.size) == (57, 12, 12)


@given(
    steps=st.lists(st.sampled_from([1] * 30 + [7, 60, 300]), min_size=40, max_size=300),
    share=st.sampled_from([0.1, 0.15, 0.3]),
)
def test_no_hole_costs_a_block_more_than_half(steps, share):
    times = np.datetime64("2010-01-01") + np.cumsum(steps)
    blocks = time_blocks(times, (1 - 2 * share, share, share), gap=0 * DAY)
    least = share * len(times) / 2 - 1e-6
    assert blocks.validation.size >= least and blocks.test.size >= least
