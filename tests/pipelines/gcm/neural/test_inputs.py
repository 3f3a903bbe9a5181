"""An analysis under any spelling, order and grid becomes the same inputs; what a model cannot take is refused by name."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from sciml.kernels.sphere import layout
from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.inputs import read_inputs, sim_time_of, simulated_inputs
from sciml.pipelines.gcm.scales import ATMOSPHERIC
from sciml.pipelines.gcm.setups import simulated
from sciml.pipelines.progress import Progress

LEVELS = np.array([1.0, 10, 100, 250, 500, 850, 1000])
NAMES = tuple(simulated.pressure_level_fields(make_plan("T21"), LEVELS))
DATA = Path(__file__).resolve().parents[4].parent / "shared/data/gcm"
ERA5 = DATA / "era5_tl31_19590102T00.nc"


class Said(Progress):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


@pytest.fixture(scope="module")
def plan():
    return make_plan("T21")


def era5(plan, levels=LEVELS):
    """The simulated analysis as a WeatherBench2 data set on the plan's grid."""
    dims, coords = ("longitude", "latitude", "level"), {"longitude": plan.longitude, "latitude": plan.latitude}
    found = simulated.pressure_level_fields(plan, levels)
    unit = {"geopotential": "m**2 s**-2", "temperature": "K"}
    fields = {name: (dims, x.astype(np.float32), {"units": unit.get(name, "")}) for name, x in found.items()}
    coords |= {"level": levels, "time": np.datetime64("2020-01-01T06", "ns")}
    return xr.Dataset(fields, coords)


def read(ds, plan, tmp_path, **options):
    path = tmp_path / "analysis.nc"
    ds.to_netcdf(path, engine="h5netcdf")
    return read_inputs(path, plan, LEVELS, NAMES, **options)


def test_on_the_models_own_grid_and_levels_nothing_changes(plan, tmp_path):
    ds = era5(plan)
    found = read(ds, plan, tmp_path)
    assert found.time == np.datetime64("2020-01-01T06")
    for name in NAMES:
        np.testing.assert_array_equal(found.fields[name].astype(np.float32), ds[name].values)


def test_inputs_are_without_dimension_and_folded(plan):
    found = simulated_inputs(plan, LEVELS, NAMES, "2001-02-03")
    nodal = found.nodal(plan)
    assert found.time == np.datetime64("2001-02-03") and set(nodal) == set(NAMES)
    for name, unit in (("u_component_of_wind", "m s-1"), ("geopotential", "m2 s-2"), ("temperature", "K")):
        assert nodal[name].shape == (*plan.nodal_shape, 1, 7) and nodal[name].dtype == np.float32
        back = ATMOSPHERIC.dim(layout.to_standard(plan, nodal[name][..., 0, :]), unit)
        np.testing.assert_allclose(back, found.fields[name], rtol=1e-6, atol=1e-6 * np.abs(found.fields[name]).max())


def test_the_models_clock_is_that_of_the_original():
    """The original's own test has this number for the snapshot."""
    assert sim_time_of(np.datetime64("1959-01-02T00"), "1979-01-01T00:00:00") == pytest.approx(-92034.607104, abs=0.008)
    assert sim_time_of(np.datetime64("1979-01-01T01", "s"), "1979-01-01T00:00:00") == pytest.approx(0.525024, rel=1e-6)


SPELLINGS = {
    "short": lambda ds: ds.rename(
        u_component_of_wind="u", v_component_of_wind="v", temperature="t", geopotential="z", specific_humidity="q",
        specific_cloud_ice_water_content="ciwc", specific_cloud_liquid_water_content="clwc", level="isobaricInhPa",
    ),
    "north first, ground first": lambda ds: ds.isel(latitude=slice(None, None, -1), level=slice(None, None, -1)),
    "pascals": lambda ds: ds.assign_coords(level=("level", 100 * LEVELS, {"units": "Pa"})),
    "transposed with a time axis": lambda ds: ds.transpose("level", "latitude", "longitude").expand_dims("time"),
    "west of Greenwich": lambda ds: ds.assign_coords(longitude=(ds.longitude + 180) % 360 - 180).sortby("longitude"),
    "celsius": lambda ds: ds.assign(temperature=(ds.temperature - np.float32(273.15)).assign_attrs(units="degC")),
    "more levels": lambda ds: xr.concat([ds, ds.isel(level=[2]).assign_coords(level=[300.0])], "level").sortby("level"),
}  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spellings_are_one(spelling, plan, tmp_path):
    ds = era5(plan)
    found = read(SPELLINGS[spelling](ds), plan, tmp_path)
    for name in NAMES:
        np.testing.assert_allclose(found.fields[name], ds[name].values, rtol=1e-6, atol=1e-30)


def test_heights_are_taken_and_said(plan, tmp_path):
    ds, said = era5(plan), Said()
    heights = ds.assign(geopotential=(ds.geopotential / 9.80665).assign_attrs(units="m"))
    found = read(heights, plan, tmp_path, progress=said)
    np.testing.assert_allclose(found.fields["geopotential"], ds.geopotential, rtol=1e-6, atol=0.1)
    assert any("height" in note for note in said.notes)


def test_other_levels_are_interpolated_and_said(plan, tmp_path):
    denser = np.unique(np.concatenate([np.geomspace(1, 1000, 60), [1, 1000]]))
    said = Said()
    found = read(era5(plan, denser), plan, tmp_path, progress=said)
    exact = simulated.pressure_level_fields(plan, LEVELS)
    for name, most in (("temperature", 0.5), ("u_component_of_wind", 0.2)):
        assert np.abs(found.fields[name] - exact[name]).max() < most
    assert any("interpolated linearly in ln p" in note for note in said.notes)


def _without(ds, name):
    return ds.drop_vars(name)


def _unknown(ds):
    broken = ds.copy(deep=True)
    broken["temperature"][3, 4, 2] = np.nan
    return broken


def _stated(ds, name, unit):
    return ds.assign({name: ds[name].assign_attrs(units=unit)})


FAULTS = {
    "a unit of something else": (lambda ds: _stated(ds, "temperature", "m s-1"), "temperature is said to be in m s-1"),
    "heights called geopotential": (lambda ds: ds.assign(geopotential=ds.geopotential / 9.8), "geopotential rises by"),
    "levels named upside down": (lambda ds: ds.assign_coords(level=LEVELS[::-1]), "geopotential rises by"),
    "no winds": (lambda ds: _without(ds, ["u_component_of_wind", "v_component_of_wind"]), "no u_component_of_wind, v_comp"),
    "no clouds": (lambda ds: _without(ds, "specific_cloud_ice_water_content"), "no specific_cloud_ice_water_content"),
    "levels that do not cover": (lambda ds: ds.isel(level=slice(2, None)), "do not cover 1, 10 hPa"),
    "an unknown value": (_unknown, "temperature has 1 of"),
    "g/kg without a unit": (lambda ds: ds.assign(specific_humidity=1000 * ds.specific_humidity), "specific_humidity runs"),
    "half the globe": (lambda ds: ds.isel(longitude=slice(0, 32)), "do not go around"),
    "no levels": (lambda ds: ds.isel(level=0, drop=True), "no pressure level"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_the_model_cannot_take_is_named(fault, plan, tmp_path):
    change, words = FAULTS[fault]
    with pytest.raises(DataError, match=words) as caught:
        read(change(era5(plan)), plan, tmp_path)
    assert caught.value.hint and "analysis.nc" in str(caught.value)


def test_units_of_the_same_dimension_in_another_name(plan, tmp_path):
    ds = _stated(era5(plan), "geopotential", "J kg**-1")
    np.testing.assert_array_equal(
        read(ds, plan, tmp_path).fields["geopotential"].astype(np.float32), ds.geopotential.values
    )


def test_other_levels_can_be_refused(plan, tmp_path):
    ds = era5(plan, np.append(LEVELS[:-2], [800, 1000.0]))
    with pytest.raises(DataError, match="lack 850 hPa"):
        read(ds, plan, tmp_path, interpolation="none")


@pytest.mark.skipif(not ERA5.exists(), reason="needs the shared ERA5 snapshot")
def test_regridding_is_that_of_the_original():
    """The public snapshot at TL31 to TL63, as the original's own loader does it."""
    horizontal = pytest.importorskip("dinosaur.horizontal_interpolation")
    grids = pytest.importorskip("dinosaur.spherical_harmonic").Grid
    plan = make_plan("TL63")
    with xr.open_dataset(ERA5) as ds:
        raw = ds.load()
    found = read_inputs(ERA5, plan, raw.level.values, NAMES)
    regrid = horizontal.ConservativeRegridder(grids.TL31(), grids.TL63())
    for name in ("temperature", "u_component_of_wind", "specific_humidity"):
        wanted = np.moveaxis(np.asarray(regrid(raw[name].transpose("level", "longitude", "latitude").values)), 0, -1)
        error = np.linalg.norm(found.fields[name] - wanted) / np.linalg.norm(wanted)
        assert error < 1e-6, name
