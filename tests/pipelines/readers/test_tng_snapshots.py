"""Snapshots of IllustrisTNG: their redshifts, and ages against astropy's own cosmology."""

import numpy as np
import pytest
from astropy.cosmology import Planck15

from sciml.pipelines.errors import DataError
from sciml.pipelines.readers import tng_snapshots


def test_redshifts_fall_to_zero():
    redshifts = np.array(tng_snapshots.REDSHIFTS)
    assert len(redshifts) == 100 and (np.diff(redshifts) < 0).all() and redshifts[-1] == 0
    # full snapshots of the data specification
    for snapshot, z in (
        (2, 12),
        (4, 10),
        (17, 5),
        (33, 2),
        (50, 1),
        (67, 0.5),
        (78, 0.3),
        (84, 0.2),
        (91, 0.1),
        (99, 0),
    ):
        assert redshifts[snapshot] == pytest.approx(z, abs=0.03 if z < 11 else 0.05)


def test_ages_are_those_of_the_planck_cosmology():
    ages = tng_snapshots.snapshot_ages()
    assert ages[99] == pytest.approx(13.80, abs=0.01)
    for snapshot in (33, 67, 91):
        assert ages[snapshot] == pytest.approx(Planck15.age(tng_snapshots.REDSHIFTS[snapshot]).value, rel=2e-3)


def test_other_simulations_bring_their_own_table(write):
    ages = tng_snapshots.snapshot_ages(write("s.csv", "snap,z\n10,1.0\n11,0.5\n"))
    assert sorted(ages) == [10, 11] and ages[11] > ages[10] == pytest.approx(tng_snapshots.age_gyr(1.0))
    assert tng_snapshots.snapshot_ages({5: 0.0}) == {5: pytest.approx(13.80, abs=0.01)}
    with pytest.raises(DataError, match="no columns snapshot and redshift"):
        tng_snapshots.snapshot_ages(write("t.csv", "a,b\n1,2\n"))
