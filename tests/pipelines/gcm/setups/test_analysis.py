"""An analysis under every producer's spelling is the same initial state; what is no analysis is refused with reasons."""

import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.gcm.dynamics.vertical import equidistant
from sciml.pipelines.gcm.scales import EARTH
from sciml.pipelines.gcm.setups.analysis import read_analysis
from sciml.pipelines.gcm.setups.analysis_file import GEOPOTENTIAL_METRE
from sciml.pipelines.gcm.setups.case import Where

LEVELS = equidistant(6)
PRESSURE = np.array([20.0, 50, 100, 200, 300, 500, 700, 850, 925, 1000])
TIMES = np.array(["2020-01-01T00", "2020-01-01T12"], "datetime64[ns]")
RT = EARTH.gas_constant * 288
DIMS = ("level", "latitude", "longitude")


def hills(lon, lat):
    """Surface geopotential of broad mountains of 3000 m."""
    return EARTH.gravity * 1500 * np.cos(np.radians(lat)) ** 2 * (1 + np.cos(2 * np.radians(lon)))


def made(**others) -> xr.Dataset:
    """An isothermal analysis in WeatherBench2's spelling, solid-body wind, twice as moist at the second time."""
    lon, lat = np.arange(96) * 3.75, np.linspace(-90, 90, 49)
    shape = (len(PRESSURE), 49, 96)
    height = RT * np.log(1013.25 / PRESSURE)[:, None, None]

    def field(x, units):
        return DIMS, np.broadcast_to(x, shape).astype(np.float32), {"units": units}

    wind = 20 * np.cos(np.radians(lat))[:, None]
    ground = hills(lon, lat[:, None]).astype(np.float32)
    ds = xr.Dataset(
        {
            "u_component_of_wind": field(wind, "m s**-1"),
            "v_component_of_wind": field(0.0, "m s**-1"),
            "temperature": field(288.0, "K"),
            "geopotential": field(height, "m**2 s**-2"),
            "specific_humidity": field(0.008 * PRESSURE[:, None, None] / 1000, "kg kg**-1"),
            "geopotential_at_surface": (DIMS[1:], ground, {"units": "m**2 s**-2"}),
            "land_sea_mask": (DIMS[1:], (ground > 5000).astype(np.float32), {"units": "(0 - 1)"}),
        },
        coords={"level": ("level", PRESSURE, {"units": "hPa"}), "latitude": lat, "longitude": lon},
    )
    return ds.assign(**others)


def heights(ds: xr.Dataset) -> xr.Dataset:
    """As GFS has it: heights in geopotential metres, and no more digits than it needs."""
    gh = (ds["geopotential"] / GEOPOTENTIAL_METRE).assign_attrs(units="gpm")
    orog = (ds["geopotential_at_surface"] / GEOPOTENTIAL_METRE).assign_attrs(units="m")
    names = {"u_component_of_wind": "u", "v_component_of_wind": "v", "temperature": "t", "specific_humidity": "q"}
    ds = ds.drop_vars(["geopotential", "geopotential_at_surface"]).assign(gh=gh, orog=orog).rename(names)
    return ds.rename(level="isobaricInhPa").isel(isobaricInhPa=slice(None, None, -1), latitude=slice(None, None, -1))


def store(ds: xr.Dataset) -> xr.Dataset:
    """As the Climate Data Store has it since 2024."""
    names = {"u_component_of_wind": "u", "v_component_of_wind": "v", "temperature": "t", "geopotential": "z"}
    ds = ds.rename(names | {"specific_humidity": "q", "level": "pressure_level"}).expand_dims(valid_time=TIMES)
    return ds.assign_coords(number=0, expver=("valid_time", ["0001", "0001"])).isel(latitude=slice(None, None, -1))


SPELLINGS = {
    "weatherbench2": lambda ds: ds.expand_dims(time=TIMES[:1]).transpose("time", "level", "longitude", "latitude"),
    "climate_data_store": store,
    "gfs": heights,
    "pascal": lambda ds: ds.assign_coords(level=("level", PRESSURE * 100, {"units": "Pa"})),
    "unsorted_levels": lambda ds: ds.isel(level=[3, 1, 0, 2, 9, 8, 4, 5, 7, 6]),
    "west": lambda ds: ds.assign_coords(longitude=(ds.longitude + 180) % 360 - 180).sortby("longitude"),
    "begun_elsewhere": lambda ds: ds.roll(longitude=40, roll_coords=True),
    "westwards": lambda ds: ds.isel(longitude=slice(None, None, -1)),
    "closed_circle": lambda ds: ds.pad(longitude=(0, 1), mode="wrap").assign_coords(longitude=np.arange(97) * 3.75),
    "celsius": lambda ds: ds.assign(temperature=(ds.temperature - 273.15).assign_attrs(units="degC")),
    "a_forecast": lambda ds: ds.assign_coords(time=TIMES[0], step=np.timedelta64(0, "ns")),
    "cell_centres": lambda ds: ds.isel(latitude=slice(1, -1)),
}


@pytest.fixture(scope="module")
def plan():
    return make_plan("T21")


@pytest.fixture(scope="module")
def plain(plan, tmp_path_factory):
    path = tmp_path_factory.mktemp("analysis") / "era5.nc"
    made().to_netcdf(path)
    return read_analysis(path, plan, LEVELS)


def test_the_state_is_what_was_written(plain, plan):
    where = Where.of(plan, LEVELS)
    np.testing.assert_allclose(plain.temperature, 288.0, rtol=1e-6)
    np.testing.assert_allclose(plain.u, where.full(20 * np.cos(where.lat)), atol=0.2)
    assert not plain.v.any() and plain.time is None
    hill = hills(plan.longitude[:, None], plan.latitude)[..., None]
    np.testing.assert_allclose(plain.surface_geopotential, hill, atol=350)  # 36 m: cell means
    ps = 101325 * np.exp(-plain.surface_geopotential / RT)
    assert ps.min() < 7.3e4
    np.testing.assert_allclose(plain.surface_pressure, ps, rtol=1e-4)
    moisture = 0.008 * plain.surface_pressure * LEVELS.centers / 1e5
    np.testing.assert_allclose(plain.tracers["specific_humidity"], np.minimum(moisture, 0.008), rtol=1e-3, atol=1e-7)
    assert plain.land_sea_mask.shape == (64, 32, 1) and 0.2 < plain.land_sea_mask.mean() < 0.7
    np.testing.assert_array_equal(plain.reference_temperature, 288.0)


@pytest.mark.parametrize("name", ["longitude", "latitude"])
def test_a_grid_in_no_order_is_refused(name, plan, tmp_path):
    ds = made()
    order = np.random.default_rng(0).permutation(ds.sizes[name])
    ds.isel({name: order}).to_netcdf(tmp_path / "mixed.nc")
    with pytest.raises(DataError, match=rf"mixed.nc: {name} is unsorted: \.\.\. [-0-9., ]+ \.\.\."):
        read_analysis(tmp_path / "mixed.nc", plan, LEVELS)


@pytest.mark.parametrize("method", ["conservative", "bilinear"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_is_the_same_state(spelling, method, plain, plan, tmp_path):
    path = tmp_path / "a.nc"
    SPELLINGS[spelling](made()).to_netcdf(path)
    found = read_analysis(path, plan, LEVELS, method=method)
    loose = 30 if method == "bilinear" or spelling == "cell_centres" else 1
    np.testing.assert_allclose(found.u, plain.u, atol=0.01 * loose)
    np.testing.assert_allclose(found.temperature, 288.0, atol=1e-3)
    np.testing.assert_allclose(found.surface_geopotential, plain.surface_geopotential, atol=2 + 15 * loose)
    np.testing.assert_allclose(found.surface_pressure, plain.surface_pressure, atol=10 + 15 * loose)
    dated = spelling in ("weatherbench2", "climate_data_store", "a_forecast")
    assert found.time == (TIMES[0] if dated else None)


def test_zarr_is_read_too(plain, plan, tmp_path):
    pytest.importorskip("zarr")
    path = tmp_path / "a.zarr"
    made().to_zarr(path)
    np.testing.assert_allclose(read_analysis(path, plan, LEVELS).surface_pressure, plain.surface_pressure, rtol=1e-9)


def test_start_picks_the_time(plan, tmp_path):
    path = tmp_path / "a.nc"
    two = made().expand_dims(time=TIMES)
    two["temperature"] = two["temperature"] + xr.DataArray([0.0, 5.0], dims="time").astype(np.float32)
    two["temperature"].attrs["units"] = "K"
    two.to_netcdf(path)
    for start, warm in ((None, 0), ("2020-01-01T12:00", 5), ("2020-01-01T12:00Z", 5), ("2020-01-01 13:00+01:00", 5)):
        found = read_analysis(path, plan, LEVELS, start=start)
        np.testing.assert_allclose(found.temperature, 288.0 + warm, rtol=1e-6)
        assert found.time == TIMES[warm // 5] and found.title.startswith("a.nc, 2020-01-01T")
    with pytest.raises(SettingsError, match=r"--start 2020-01-02: .*a.nc holds 2 times from") as refused:
        read_analysis(path, plan, LEVELS, start="2020-01-02")
    assert "2020-01-01T12:00" in refused.value.hint
    two.isel(time=0).to_netcdf(tmp_path / "b.nc")
    with pytest.raises(SettingsError, match="holds the time 2020-01-01T00:00"):
        read_analysis(tmp_path / "b.nc", plan, LEVELS, start="2020-01-02")


def test_the_surface_may_be_in_a_file_of_its_own(plain, plan, tmp_path):
    path, surface = tmp_path / "a.nc", tmp_path / "s.nc"
    made().drop_vars(["geopotential_at_surface", "land_sea_mask"]).to_netcdf(path)
    ground = made()["geopotential_at_surface"]
    for there in (
        made()[["geopotential_at_surface", "land_sea_mask"]],
        ground.to_dataset(name="z").expand_dims(valid_time=TIMES[:1]),
        (ground / GEOPOTENTIAL_METRE).assign_attrs(units="m").to_dataset(name="orog"),
        (ground / GEOPOTENTIAL_METRE).assign_attrs(units="m").to_dataset(name="geopotential_at_surface"),
    ):
        there.to_netcdf(surface)
        found = read_analysis(path, plan, LEVELS, surface=surface)
        np.testing.assert_allclose(found.surface_geopotential, plain.surface_geopotential, rtol=1e-5, atol=0.01)
        np.testing.assert_allclose(found.surface_pressure, plain.surface_pressure, rtol=1e-5)
        assert (found.land_sea_mask is not None) == ("land_sea_mask" in there)


# --- what is refused


def hole(ds: xr.Dataset) -> xr.Dataset:
    """Unknown values at 1000 hPa under the mountains, as some centres publish them."""
    below = ds["geopotential_at_surface"] > 1e4
    return ds.assign(temperature=ds["temperature"].where(~(below & (ds["level"] > 900))))


def scaled(name, factor, units=None):
    def change(ds):
        attrs = {} if units is None else {"units": units}
        return ds.assign({name: (ds[name].dims, (ds[name].values * factor).astype(np.float32), attrs)})

    return change


FAULTS = {
    "no_wind": (
        lambda ds: ds.drop_vars("v_component_of_wind"),
        r"no v_component_of_wind; the file holds .*temperature",
    ),
    "no_levels": (lambda ds: ds.isel(level=0, drop=True), "temperature has dimensions .* no pressure level"),
    "no_surface": (lambda ds: ds.drop_vars("geopotential_at_surface"), "no surface geopotential"),
    "hole": (hole, r"temperature has [\d,]+ of 47,040 values missing, e.g. at .*level 1000"),
    "celsius": (lambda ds: ds.assign(temperature=ds.temperature - 273.15), "temperature runs from 14.85 to 14.85"),
    "grams": (scaled("specific_humidity", 1000), "specific_humidity runs from 0.16 to 8"),
    "kilometres": (scaled("geopotential", 1e-4), "geopotential runs from"),
    "metres": (scaled("geopotential_at_surface", 0.1), "geopotential_at_surface has no units and reaches 2942"),
    "model_levels": (
        lambda ds: ds.assign_coords(level=np.arange(10.0)),
        "levels from 0 to 9 are no pressures in hPa",
    ),
    "few_levels": (lambda ds: ds.isel(level=[5, 9]), r"pressure levels \[500.0, 1000.0\] hPa; at least three"),
    "twice": (
        lambda ds: ds.assign_coords(level=np.where(PRESSURE == 925, 1000, PRESSURE)),
        "at least three different ones",
    ),
    "stops_above": (lambda ds: ds.sel(level=slice(0, 300)), "levels from 20 to 300"),
    "europe": (
        lambda ds: ds.sel(longitude=slice(0, 40), latitude=slice(35, 70)),
        "longitudes from 0 to 37.5 with a gap of 322.5 degrees",
    ),
    "hemisphere": (lambda ds: ds.sel(latitude=slice(0, 90)), "latitudes from 0 to 90 do not reach the poles"),
    "curvilinear": (
        lambda ds: ds.rename(latitude="y", longitude="x").assign_coords(
            latitude=(("y", "x"), np.broadcast_to(ds.latitude.values[:, None], (49, 96))),
            longitude=(("y", "x"), np.broadcast_to(ds.longitude.values, (49, 96))),
        ),
        "no coordinate longitude of one dimension",
    ),
    "another_planet": (
        lambda ds: ds.assign(geopotential=(ds.geopotential + 3e4).assign_attrs(units="m2 s-2")),
        r"meets the surface at .* hPa at .* E, .* N",
    ),
    "another_axis": (
        lambda ds: ds.assign(temperature=ds.temperature.expand_dims(band=[0, 1])),
        r"temperature has dimensions \{'band': 2",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_analysis_is_refused(fault, plan, tmp_path):
    change, words = FAULTS[fault]
    path = tmp_path / "bad.nc"
    change(made()).to_netcdf(path)
    with pytest.raises(DataError, match=words) as refused:
        read_analysis(path, plan, LEVELS)
    assert "bad.nc" in str(refused.value) and refused.value.hint


def test_metres_need_a_unit_to_be_taken(plan, tmp_path):
    path = tmp_path / "a.nc"
    scaled("geopotential_at_surface", 1 / GEOPOTENTIAL_METRE, "m")(made()).to_netcdf(path)
    assert read_analysis(path, plan, LEVELS).surface_geopotential.max() > 2e4


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.01, 0.97), engine=st.sampled_from(["h5netcdf", "scipy"]))
def test_truncated_files_are_refused(share, engine, plan, tmp_path):
    path = tmp_path / "cut.nc"
    made().to_netcdf(path, engine=engine)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match="cut.nc"):
        read_analysis(path, plan, LEVELS)


@pytest.mark.parametrize("content", [b"", b"not a NetCDF file at all", b"GRIB" + bytes(100)])
def test_other_files_are_refused(content, plan, tmp_path):
    path = tmp_path / "other.nc"
    path.write_bytes(content)
    with pytest.raises(DataError, match="other.nc"):
        read_analysis(path, plan, LEVELS)


def test_a_bad_surface_names_its_own_file(plan, tmp_path):
    path, surface = tmp_path / "a.nc", tmp_path / "s.nc"
    made().to_netcdf(path)
    made()[["land_sea_mask"]].to_netcdf(surface)
    with pytest.raises(DataError, match=r"s.nc: no geopotential_at_surface; the file holds land_sea_mask"):
        read_analysis(path, plan, LEVELS, surface=surface)
    made()[["geopotential_at_surface"]].isel(longitude=slice(0, 40)).to_netcdf(surface)
    with pytest.raises(DataError, match=r"s.nc: longitudes from 0 to 146.25"):
        read_analysis(path, plan, LEVELS, surface=surface)


# --- a real one


@pytest.fixture(scope="module")
def real():
    """The folder of real data: SCIML_TEST_DATA, or shared/data beside the repository."""
    default = Path(__file__).resolve().parents[5] / "shared" / "data"
    folder = Path(os.environ.get("SCIML_TEST_DATA", default)) / "gcm"
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}; set SCIML_TEST_DATA")
    return folder


def test_era5_over_real_mountains(real, plan):
    found = read_analysis(
        real / "era5_tl31_19590102T00.nc", plan, LEVELS, surface=real / "surface_tl63.nc", method="conservative"
    )
    assert found.time == np.datetime64("1959-01-02T00")
    ps, lon, lat = found.surface_pressure[..., 0] / 100, plan.longitude[:, None], plan.latitude
    area = np.broadcast_to(np.cos(np.radians(lat)), ps.shape)
    assert np.average(ps, weights=area) == pytest.approx(985, abs=4)
    tibet = np.argmin(abs(lon[:, 0] - 88)), np.argmin(abs(lat - 34))
    assert 500 < ps.min() <= ps[tibet] < 650 and ps.max() < 1070
    sea = (found.land_sea_mask[..., 0] < 0.05) & (abs(lat) < 60)
    assert abs(found.surface_geopotential[..., 0][sea]).mean() / EARTH.gravity < 60
    assert found.temperature.min() > 180 and found.temperature.max() < 315
    assert abs(found.u).max() < 90 and len(found.tracers) == 3


def test_era5_runs(real):
    """Half a day at T21: no blow-up, and the pressure stays where the mountains are."""
    from sciml.pipelines.gcm.integration import prepare
    from sciml.pipelines.gcm.settings import Rollout
    from sciml.pipelines.progress import Progress

    settings = Rollout(
        initial=str(real / "era5_tl31_19590102T00.nc"), surface=real / "surface_tl63.nc", truncation="T21", levels=8,
        days=0.5, output_levels=("500",),
    )  # fmt: skip
    one = prepare(settings, Progress(), "cpu")
    carry = one.initial()
    before, start = one.fields(carry), one.diagnose(carry)
    carry = one.advance(carry, settings.steps_per_interval * settings.intervals)
    after, end = one.fields(carry), one.diagnose(carry)
    assert end["max_wind"] < 100 and abs(end["mean_surface_pressure"] / start["mean_surface_pressure"] - 1) < 1e-3
    assert abs(after["surface_pressure"] - before["surface_pressure"]).max() < 4000
    change = after["geopotential"] - before["geopotential"]
    assert 20 < np.sqrt((change**2).mean()) / 9.8 < 120  # the weather moves by metres in half a day
    assert set(one.layout.surface) == {"geopotential_at_surface"}
