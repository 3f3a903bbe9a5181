"""The sea surface is filled over land, taken from the right time, and refused where it cannot be one."""

import numpy as np
import pytest
import xarray as xr

from sciml.kernels.sphere import layout
from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.inputs_sea_surface import NAMES, read_sea_surface, simulated_sea_surface
from sciml.pipelines.gcm.setups import simulated
from sciml.pipelines.progress import Progress

START = np.datetime64("2020-01-03", "s")


@pytest.fixture(scope="module")
def plan():
    return make_plan("T21")


def series(plan, days=5):
    """An ocean with a square of land, warmer by 1 K a day, on the plan's grid."""
    found = simulated.sea_surface(plan)
    times = np.datetime64("2020-01-01", "ns") + np.arange(days) * np.timedelta64(1, "D")
    sst = np.stack([found["sea_surface_temperature"] + day for day in range(days)]).astype(np.float32)
    ice = np.stack([found["sea_ice_cover"]] * days).astype(np.float32)
    sst[:, 10:14, 12:16] = ice[:, 10:14, 12:16] = np.nan
    dims = ("time", "longitude", "latitude")
    fields = {"sea_surface_temperature": (dims, sst, {"units": "K"}), "sea_ice_cover": (dims, ice, {"units": "1"})}
    return xr.Dataset(fields, {"time": times, "longitude": plan.longitude, "latitude": plan.latitude})


def read(ds, plan, tmp_path, **options):
    path = tmp_path / "sea.nc"
    ds.to_netcdf(path, engine="h5netcdf")
    return read_sea_surface(path, plan, START, **options)


def warmth(sea, plan, valid):
    """Mean temperature above that of the first day [K], from the folded field."""
    found = layout.to_standard(plan, sea.at(np.datetime64(valid, "s"))["sea_surface_temperature"][..., 0, 0])
    return float(np.mean(found - simulated.sea_surface(plan)["sea_surface_temperature"]))


def test_the_nearest_time_serves(plan, tmp_path):
    sea = read(series(plan), plan, tmp_path)
    assert warmth(sea, plan, "2020-01-03T06") == pytest.approx(2, abs=0.2)
    assert warmth(sea, plan, "2020-01-03T18") == pytest.approx(3, abs=0.2)


@pytest.mark.parametrize(
    ("options", "later"),
    [
        ({"persist": True}, 2),
        ({"shift_hours": 24}, 3),
        ({"increment": 4.0}, 8),
        ({"persist": True, "shift_hours": 24}, 1),
    ],
)
def test_shift_persistence_and_increment(options, later, plan, tmp_path):
    sea = read(series(plan), plan, tmp_path, **options)
    assert warmth(sea, plan, "2020-01-05") == pytest.approx(later, abs=0.2)


def test_land_takes_the_nearest_sea(plan, tmp_path):
    sea = read(series(plan), plan, tmp_path)
    found = layout.to_standard(plan, sea.at(START)["sea_surface_temperature"][..., 0, 0])
    assert np.isfinite(found).all() and found.shape == (64, 32)
    assert found[10, 13] == pytest.approx(found[9, 13], abs=1e-4)  # one row within the land, its neighbour in the sea


def test_few_fields_stay_in_memory(plan, tmp_path):
    sea = read(series(plan), plan, tmp_path)
    for day in range(1, 6):
        sea.at(np.datetime64(f"2020-01-0{day}", "s"))
    assert len(sea._kept) == 3


def test_coverage_is_checked_before_the_run(plan, tmp_path):
    sea = read(series(plan), plan, tmp_path)
    tolerance = np.timedelta64(1, "D")
    sea.check(np.datetime64("2020-01-05T12", "s"), tolerance)
    with pytest.raises(DataError):
        sea.check(np.datetime64("2020-01-09", "s"), tolerance)


@pytest.mark.parametrize(("end", "options", "said"), [
    ("2020-01-06", {}, 0), ("2020-01-09", {}, 1), ("2020-01-09", {"persist": True}, 0), ("2020-01-09", {"shift_hours": 96.0}, 0),
])  # fmt: skip
def test_a_file_that_ends_before_the_run_is_named(end, options, said, plan, tmp_path):
    class Said(Progress):
        warnings = 0

        def warn(self, text):
            assert "ends at 2020-01-05T00:00" in text
            self.warnings += 1

    told = Said()
    read(series(plan), plan, tmp_path, **options).check(np.datetime64(end, "s"), np.timedelta64(366, "D"), told)
    assert told.warnings == said


def test_a_single_time_serves_within_the_tolerance(plan, tmp_path):
    sea = read(series(plan).isel(time=2), plan, tmp_path)
    sea.check(np.datetime64("2020-01-13", "s"), np.timedelta64(366, "D"))
    assert warmth(sea, plan, "2020-01-13") == pytest.approx(2, abs=0.2)
    with pytest.raises(DataError):
        sea.check(np.datetime64("2022-01-13", "s"), np.timedelta64(366, "D"))


FAULTS = {
    "no ice": (lambda ds: ds.drop_vars("sea_ice_cover"), "no sea_ice_cover"),
    "celsius without a unit": (
        lambda ds: ds.assign(sea_surface_temperature=(ds.sea_surface_temperature - 273.15).assign_attrs(units="")),
        "degrees Celsius|cannot be K",
    ),
    "percent without a unit": (
        lambda ds: ds.assign(sea_ice_cover=(ds.sea_ice_cover + 50).assign_attrs(units="")), "cannot be 1",
    ),
    "a unit of something else": (
        lambda ds: ds.assign(sea_ice_cover=ds.sea_ice_cover.assign_attrs(units="m")), "sea_ice_cover is said to be in m",
    ),
    "nothing known": (lambda ds: ds.where(False), "no known value"),
    "times in disorder": (lambda ds: ds.isel(time=[0, 2, 1, 3, 4]), "do not ascend"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_sea_surface_is_refused(fault, plan, tmp_path):
    change, words = FAULTS[fault]
    with pytest.raises(DataError, match=words):
        read(change(series(plan)), plan, tmp_path).check(START, np.timedelta64(366, "D"))


def test_percent_and_celsius_with_their_units_are_converted(plan, tmp_path):
    ds = series(plan)
    ds["sea_surface_temperature"] = (ds.sea_surface_temperature - np.float32(273.15)).assign_attrs(units="degC")
    ds["sea_ice_cover"] = (100 * ds.sea_ice_cover).assign_attrs(units="%")
    sea = read(ds, plan, tmp_path)
    assert warmth(sea, plan, "2020-01-03") == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize("masked", [False, True])
def test_regridding_and_filling_are_those_of_the_original(masked, plan, tmp_path):
    horizontal = pytest.importorskip("dinosaur.horizontal_interpolation")
    utils = pytest.importorskip("dinosaur.xarray_utils")
    grids = pytest.importorskip("dinosaur.spherical_harmonic").Grid
    target = make_plan("TL63")
    ds = series(plan).isel(time=2)
    ds = ds if masked else ds.fillna(280.0)
    ds["sea_ice_cover"] = ds.sea_ice_cover.clip(0, 1)
    sea = read(ds, target, tmp_path)
    regrid = horizontal.ConservativeRegridder(grids.T21(), grids.TL63(), skipna=True)
    raw = ds.sea_surface_temperature.transpose("longitude", "latitude").values
    mapped = xr.DataArray(
        np.asarray(regrid(raw)), {"longitude": target.longitude, "latitude": target.latitude}, ("longitude", "latitude")
    )
    wanted = utils.fill_nan_with_nearest(mapped).values
    found = layout.to_standard(target, sea.at(START)["sea_surface_temperature"][..., 0, 0])
    # where two seas are equally near, either may serve
    assert np.mean(np.abs(found - wanted) > 1e-5 * np.abs(wanted)) < (0.002 if masked else 1e-9)


def test_the_simulated_sea_is_always_there(plan):
    sea = simulated_sea_surface(plan, START, increment=2.0)
    sea.check(np.datetime64("2050-01-01", "s"), np.timedelta64(366, "D"))
    assert set(sea.at(START)) == set(NAMES) and warmth(sea, plan, START) == pytest.approx(2.0, abs=1e-4)
