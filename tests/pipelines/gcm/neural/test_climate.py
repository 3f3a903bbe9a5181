"""Means are those of all samples of a whole day or month, also across a resume, and nothing else is written."""

import numpy as np
import pytest
import xarray as xr

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.climate import Means, whole_periods
from sciml.pipelines.gcm.output.files import Layout

JANUARY = np.datetime64("2019-12-30T00", "s")


def layout(start=JANUARY):
    return Layout(
        ("surface_pressure",), np.arange(4) * 90.0, np.array([-45.0, 45]), start, 21600, 5, pressures=(500.0,),
        attributes={"Conventions": "CF-1.11"},
    )  # fmt: skip


def sample(hours):
    return {"surface_pressure": np.full((2, 4), 1e5 + hours, np.float32)}


def run(means, hours, first=0):
    for lead in range(first, hours + 1, 6):
        means.add(lead, sample(lead))


@pytest.mark.parametrize(
    ("period", "start", "days", "leads"),
    [
        ("daily", JANUARY, 2, [0, 24]),
        (
            "daily",
            np.datetime64("2019-12-30T06", "s"),
            2,
            [18],
        ),  # ends at 06: the day from lead 18 is the only whole one
        ("daily", np.datetime64("2019-12-30T06", "s"), 3, [18, 42]),
        ("monthly", JANUARY, 33, [48]),
        ("monthly", JANUARY, 20, []),
        ("monthly", np.datetime64("2020-02-01T00", "s"), 29, [0]),  # 2020 is a leap year
    ],
)
def test_whole_periods(period, start, days, leads):
    assert whole_periods(period, start, days * 24, 6) == leads


@pytest.mark.parametrize(
    ("period", "days", "wanted"), [("daily", 3, [9.0, 33.0, 57.0]), ("monthly", 34, [48 + 15.5 * 24 - 3])]
)
def test_means_are_those_of_all_samples(tmp_path, period, days, wanted):
    means = Means(period, tmp_path / "run.nc", layout(), days * 24, 6)
    means.create()
    run(means, days * 24)
    assert means.finish() == ""
    with xr.open_dataset(tmp_path / f"run.{period}.nc", engine="h5netcdf") as ds:
        np.testing.assert_allclose(ds.surface_pressure.mean(("latitude", "longitude")) - 1e5, wanted, rtol=1e-6)
        assert "mean" in ds.surface_pressure.attrs["cell_methods"]


def test_a_killed_run_goes_on_exactly(tmp_path):
    whole = Means("daily", tmp_path / "a.nc", layout(), 72, 6)
    whole.create()
    run(whole, 72)
    whole.close()
    cut = Means("daily", tmp_path / "b.nc", layout(), 72, 6)
    cut.create()
    run(cut, 30)
    kept = {name: x.copy() for name, x in cut.tensors().items()}
    run(cut, 66, first=36)  # beyond the checkpoint, then killed
    cut.close()
    again = Means("daily", tmp_path / "b.nc", layout(), 72, 6)
    again.restore(kept)
    run(again, 72, first=36)
    again.close()
    with (
        xr.open_dataset(tmp_path / "a.nc".replace("a.nc", "a.daily.nc")) as one,
        xr.open_dataset(tmp_path / "b.daily.nc") as two,
    ):
        xr.testing.assert_identical(one, two)


def test_a_run_without_a_whole_period_writes_nothing(tmp_path):
    means = Means("monthly", tmp_path / "run.nc", layout(), 48, 6)
    means.create()
    run(means, 48)
    assert means.tensors() == {} and means.finish() == "" and not list(tmp_path.iterdir())


def test_an_extended_run_that_had_no_means_says_so(tmp_path):
    with pytest.raises(DataError, match="kept no monthly means"):
        Means("monthly", tmp_path / "run.nc", layout(), 40 * 24, 6).restore({})
