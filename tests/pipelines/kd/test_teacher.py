"""Interpolation against fields that are known everywhere, ensembles by hand, and what is refused."""

import warnings

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.kd.settings import DataChoice
from sciml.pipelines.kd.teacher import LAPSE_RATE, _ensemble, _kilometres, read_teacher

ISSUES = np.datetime64("2020-01-01", "ns") + np.timedelta64(12, "h") * np.arange(3)
WHERE = dict(latitude=(37.3, 36.55), longitude=(126.9, 127.25))


def hours(*values):
    return (np.array(values) * 3600).astype("timedelta64[s]").astype("timedelta64[ns]")


def linear_field(lat, lon):
    return 280.0 + 2.0 * lat + 3.0 * lon


def grid(lat, lon, field=linear_field, *, leads=(6, 12), name="t2m", units="K", extra=None) -> xr.Dataset:
    """A forecast on a grid that adds 10 per issue and 1 per lead to `field`."""
    plane = field(np.asarray(lat)[:, None], np.asarray(lon)[None, :]) + np.zeros((len(lat), len(lon)))
    values = plane + 10.0 * np.arange(3)[:, None, None, None] + np.arange(len(leads))[None, :, None, None]
    coords = {
        "time": ISSUES,
        "step": hours(*leads),
        "latitude": np.asarray(lat, float),
        "longitude": np.asarray(lon, float),
    }
    dims = ("time", "step", "latitude", "longitude")
    return xr.Dataset({name: (dims, values, {"units": units}), **(extra or {})}, coords)


def saved(ds: xr.Dataset, tmp_path):
    path = tmp_path / "nwp.nc"
    ds.to_netcdf(path, engine="h5netcdf", encoding={"step": {"units": "hours"}} if "step" in ds.variables else None)
    return path


def values_at(ds, tmp_path, name="2m_temperature", **choice):
    teacher = read_teacher(DataChoice(teacher=saved(ds, tmp_path), **choice))
    return teacher.values[name][0, 0], teacher


AXES = {
    "south to north": (np.arange(35, 39.1, 0.5), np.arange(125, 129.1, 0.5)),
    "north to south": (np.arange(39, 34.9, -0.5), np.arange(125, 129.1, 0.5)),
    "uneven": (np.array([35.0, 36.1, 36.6, 37.9, 39.0]), np.array([125.0, 126.3, 127.0, 127.4, 129.0])),
}


@pytest.mark.parametrize("axes", AXES)
def test_bilinear_is_exact_for_a_linear_field(axes, tmp_path):
    found, teacher = values_at(grid(*AXES[axes]), tmp_path, **WHERE)
    np.testing.assert_allclose(
        found, linear_field(np.array(WHERE["latitude"]), np.array(WHERE["longitude"])), atol=1e-9
    )
    np.testing.assert_allclose(teacher.values["2m_temperature"][2, 1] - found, 21.0, atol=1e-9)
    assert teacher.stations == ("1", "2") and teacher.units["2m_temperature"] == "K"
    np.testing.assert_array_equal(teacher.location["latitude"], WHERE["latitude"])


def test_bilinear_weights_of_a_product(tmp_path):
    """A bilinear function lat * lon tells the four weights apart."""
    found, _ = values_at(
        grid(*AXES["uneven"], lambda a, o: (a - 37) * (o - 127)), tmp_path, latitude=(36.9,), longitude=(126.6,)
    )
    np.testing.assert_allclose(found, (36.9 - 37) * (126.6 - 127), atol=1e-9)


def wave(lat, lon):
    return 280.0 + 5.0 * np.cos(np.deg2rad(lon)) + 0.0 * lat


@pytest.mark.parametrize("west", [0.0, -180.0])
@pytest.mark.parametrize("station", [-180.0, -179.7, -0.4, 0.0, 0.3, 179.6, 180.0, 359.6])
def test_the_globe_has_no_seam(west, station, tmp_path):
    """Global grids from 0 or from -180 degrees, stations in either convention."""
    lat, lon = np.arange(-30, 31, 1.0), west + np.arange(360.0)
    found, _ = values_at(grid(lat, lon, wave), tmp_path, latitude=(10.0,), longitude=(station,))
    low, high = np.floor(station), np.floor(station) + 1
    wanted = wave(0, low) * (high - station) + wave(0, high) * (station - low)
    np.testing.assert_allclose(found, wanted, atol=1e-9)
    nearest, _ = values_at(
        grid(lat, lon, wave), tmp_path, latitude=(10.0,), longitude=(station,), interpolation="nearest"
    )
    np.testing.assert_allclose(nearest, wave(0, np.round(station)), atol=1e-9)


@pytest.mark.parametrize("place", [(38.9, 129.3), (34.8, 124.8), (39.2, 127.0)])
def test_just_outside_a_regional_grid_the_edge_counts(place, tmp_path):
    """No extrapolation, and no interpolation around the back of the globe."""
    found, _ = values_at(grid(*AXES["south to north"]), tmp_path, latitude=place[:1], longitude=place[1:])
    np.testing.assert_allclose(found, linear_field(np.clip(place[0], 35, 39), np.clip(place[1], 125, 129)), atol=1e-9)


def test_far_outside_is_refused(tmp_path):
    with pytest.raises(DataError, match="km from the nearest grid point"):
        values_at(grid(*AXES["uneven"]), tmp_path, latitude=(45.0,), longitude=(127.0,))


def test_a_coarse_grid_is_not_far_away(tmp_path):
    """WeatherBench2's 5.6 degree grid: the middle of a cell is more than 300 km from every point, and still inside."""
    lat, lon = np.linspace(-87.1875, 87.1875, 32), np.arange(64) * 5.625
    found, _ = values_at(grid(lat, lon, lambda a, o: 280 + a + 0 * o), tmp_path, latitude=(36.5,), longitude=(126.6,))
    np.testing.assert_allclose(found, 280 + 36.5, atol=1e-9)


def test_nearest_point(tmp_path):
    found, _ = values_at(grid(*AXES["north to south"]), tmp_path, **WHERE, interpolation="nearest")
    np.testing.assert_allclose(found, linear_field(np.array([37.5, 36.5]), np.array([127.0, 127.5 - 0.5])), atol=1.01)
    np.testing.assert_allclose(found[0], linear_field(37.5, 127.0), atol=1e-9)


def test_two_dimensional_grid_gives_its_nearest_point(tmp_path):
    j, i = np.meshgrid(np.arange(12), np.arange(14), indexing="ij")
    lat, lon = 35 + 0.3 * j + 0.02 * i, 125 + 0.3 * i - 0.03 * j
    values = linear_field(lat, lon) + np.zeros((3, 2, 12, 14))
    ds = xr.Dataset(
        {"t2m": (("time", "step", "y", "x"), values, {"units": "K"})}, {"time": ISSUES, "step": hours(6, 12)}
    )
    ds = ds.assign_coords(latitude=(("y", "x"), lat), longitude=(("y", "x"), lon))
    found, _ = values_at(ds, tmp_path, **WHERE)
    for s in (0, 1):
        away = _kilometres(WHERE["latitude"][s], WHERE["longitude"][s], lat, lon)
        best = np.unravel_index(away.argmin(), away.shape)
        np.testing.assert_allclose(found[s], linear_field(lat[best], lon[best]))


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("form", ["geopotential", "orography"])
def test_height_correction(form, interpolation, tmp_path):
    """Model surface at 500 m: a station at 100 m is warmer by 2.6 K, one at 900 m colder by as much."""
    lat, lon = AXES["north to south"]
    flat = np.full((len(lat), len(lon)), 500.0)
    extra = {
        "geopotential": {"zs": (("latitude", "longitude"), flat * 9.80665, {"units": "m2 s-2"})},
        "orography": {"orog": (("latitude", "longitude"), flat, {"units": "m", "standard_name": "surface_altitude"})},
    }[form]
    ds = grid(lat, lon, lambda a, o: 280.0 + 0 * a + 0 * o, extra=extra)
    found, teacher = values_at(ds, tmp_path, **WHERE, altitude=(100.0, 900.0), interpolation=interpolation)
    np.testing.assert_allclose(found, [282.6, 277.4], atol=1e-4)
    np.testing.assert_array_equal(teacher.location["altitude"], [100.0, 900.0])
    assert LAPSE_RATE == 0.0065
    plain, _ = values_at(
        ds, tmp_path, **WHERE, altitude=(100.0, 900.0), interpolation=interpolation, height_correction=False
    )
    np.testing.assert_allclose(plain, 280.0, atol=1e-9)
    without, _ = values_at(ds, tmp_path, **WHERE, interpolation=interpolation)
    np.testing.assert_allclose(without, 280.0, atol=1e-9)


@pytest.mark.parametrize("form", ["geopotential", "orography"])
def test_height_is_interpolated_like_the_field(form, tmp_path):
    lat, lon = AXES["south to north"]
    slope = (linear_field(lat[:, None], lon[None, :]) - 600.0) * 10
    name, units, factor = {"geopotential": ("zs", "m2 s-2", 9.80665), "orography": ("orog", "m", 1.0)}[form]
    extra = {name: (("latitude", "longitude"), slope * factor, {"units": units})}
    ds = grid(lat, lon, lambda a, o: 280.0 + 0 * a + 0 * o, extra=extra)
    found, _ = values_at(ds, tmp_path, **WHERE, altitude=(0.0, 0.0))
    height = (linear_field(np.array(WHERE["latitude"]), np.array(WHERE["longitude"])) - 600.0) * 10
    np.testing.assert_allclose(found, 280.0 + LAPSE_RATE * height, atol=1e-4)


def stations(members=0, **fields) -> xr.Dataset:
    """Fields [time, step[, number], station] of two stations."""
    dims = ("time", "step", *(("number",) if members else ()), "station")
    coords = {"time": ISSUES, "step": hours(0, 6, 12), "station": ["Seoul", "Busan"]}
    return xr.Dataset(
        {name: (dims, value, {"units": "m s-1" if name[0] in "uv" else "K"}) for name, value in fields.items()}, coords
    )


def test_ensemble_mean_and_spread_with_missing_members(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.normal(280, 3, (3, 3, 5, 2))
    values[0, 1, 2:, 0], values[1, 1, :, 1], values[2, 1, 1:, 0] = np.nan, np.nan, np.nan
    teacher = read_teacher(DataChoice(teacher=saved(stations(5, t2m=values), tmp_path)))
    mean, spread = teacher.values["2m_temperature"], teacher.spread["2m_temperature"]
    assert teacher.members == 5
    np.testing.assert_allclose(mean[0, 0, 0], values[0, 1, :2, 0].mean())
    np.testing.assert_allclose(spread[0, 0, 0], values[0, 1, :2, 0].std(ddof=1))
    np.testing.assert_allclose(mean[0, 0, 1], values[0, 1, :, 1].mean())
    assert np.isnan(mean[1, 0, 1]) and np.isnan(spread[1, 0, 1])
    assert mean[2, 0, 0] == values[2, 1, 0, 0] and np.isnan(spread[2, 0, 0]), "one member has no spread"


@given(st.integers(2, 6), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_ensemble_is_numpys(members, seed):
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((members, 4, 2, 3)) < 0.3, np.nan, rng.normal(280, 5, (members, 4, 2, 3)))
    mean, spread = _ensemble(values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's, where all members are missing
        np.testing.assert_allclose(mean, np.nanmean(values, 0), rtol=1e-12)
        np.testing.assert_allclose(spread, np.nanstd(values, 0, ddof=1), rtol=1e-9, atol=1e-12)


def test_wind_speed_is_taken_before_the_ensemble_mean(tmp_path):
    """Two members blow against each other: the mean wind is 0, the mean speed is not."""
    u = np.zeros((3, 3, 2, 2))
    u[:, :, 0], u[:, :, 1] = 5.0, -5.0
    teacher = read_teacher(DataChoice(teacher=saved(stations(2, u10=u, v10=u * 0), tmp_path)))
    np.testing.assert_allclose(teacher.values["10m_wind_speed"], 5.0)
    np.testing.assert_allclose(teacher.values["10m_u_component_of_wind"], 0.0)


def test_lead_zero_is_dropped(tmp_path):
    teacher = read_teacher(
        DataChoice(teacher=saved(stations(t2m=np.random.default_rng(0).normal(280, 3, (3, 3, 2))), tmp_path))
    )
    np.testing.assert_array_equal(teacher.lead_hours, [6, 12])
    only = stations(t2m=np.random.default_rng(0).normal(280, 3, (3, 3, 2))).isel(step=[0])
    with pytest.raises(DataError, match="its only lead is 0 h"):
        read_teacher(DataChoice(teacher=saved(only, tmp_path)))


@pytest.fixture
def plain(tmp_path):
    return saved(stations(t2m=np.random.default_rng(0).normal(280, 3, (3, 3, 2))), tmp_path)


def test_horizon(plain):
    np.testing.assert_array_equal(read_teacher(DataChoice(teacher=plain, horizon=1)).lead_hours, [6])
    with pytest.raises(SettingsError, match="--horizon 3: .* holds 2 leads") as caught:
        read_teacher(DataChoice(teacher=plain, horizon=3))
    assert "--horizon 2" in caught.value.hint


def test_stations_are_chosen_by_name(plain):
    whole = read_teacher(DataChoice(teacher=plain))
    teacher = read_teacher(DataChoice(teacher=plain, stations=("Busan",)))
    assert teacher.stations == ("Busan",)
    np.testing.assert_array_equal(teacher.values["2m_temperature"][..., 0], whole.values["2m_temperature"][..., 1])
    with pytest.raises(SettingsError, match='no station "Soul"; did you mean "Seoul"'):
        read_teacher(DataChoice(teacher=plain, stations=("Soul",)))


def test_a_variable_by_any_of_its_names(plain):
    teacher = read_teacher(DataChoice(teacher=plain))
    for name in ("2m_temperature", "t2m", "2t", "tas"):
        assert teacher.find(name) == "2m_temperature"
    with pytest.raises(SettingsError, match='no variable "t2n"; did you mean'):
        teacher.find("t2n")


def test_selection_cuts_everything_alike(ensemble):
    teacher = ensemble.pairs.teacher
    cut = teacher.select(stations=[1], leads=np.array([1]), last=7)
    name = "2m_temperature"
    assert cut.stations == teacher.stations[1:] and len(cut.issue) == 7
    for field in ("values", "spread"):
        np.testing.assert_array_equal(getattr(cut, field)[name], getattr(teacher, field)[name][-7:, 1:, 1:])
    np.testing.assert_array_equal(cut.location["latitude"], teacher.location["latitude"][1:])
    np.testing.assert_array_equal(cut.lead, teacher.lead[1:])


def test_accumulated_precipitation(tmp_path):
    rain = np.cumsum(np.random.default_rng(0).gamma(1.0, 2.0, (3, 4, 2)), axis=1)
    coords = {"time": ISSUES, "step": hours(6, 12, 18, 24), "station": ["Seoul", "Busan"]}
    path = saved(
        xr.Dataset({"tp": (("time", "step", "station"), rain, {"units": "mm", "GRIB_stepType": "accum"})}, coords),
        tmp_path,
    )
    assert read_teacher(DataChoice(teacher=path)).accumulated == {"total_precipitation"}
    teacher = read_teacher(DataChoice(teacher=path, deaccumulate=True))
    house = read_teacher(DataChoice(teacher=path)).values["total_precipitation"]
    np.testing.assert_allclose(teacher.values["total_precipitation"], np.diff(house, axis=1, prepend=0.0), rtol=1e-6)
    assert not teacher.accumulated


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({}, "which points are the stations"),
        ({"latitude": (95.0,), "longitude": (127.0,)}, "--latitude 95: must lie between"),
        ({**WHERE, "stations": ("a", "b", "c")}, "--stations has 3 names and --latitude 2 values"),
    ],
)
def test_wrong_places(choice, message, tmp_path):
    with pytest.raises(SettingsError, match=message):
        values_at(grid(*AXES["uneven"]), tmp_path, **choice)


def test_names_of_grid_stations(tmp_path):
    _, teacher = values_at(grid(*AXES["uneven"]), tmp_path, **WHERE, stations=("north", "south"))
    assert teacher.stations == ("north", "south")


def test_great_circle():
    assert _kilometres(0.0, 0.0, 0.0, 90.0) == pytest.approx(np.pi / 2 * 6371)
    assert _kilometres(90.0, 13.0, -90.0, 77.0) == pytest.approx(np.pi * 6371)
    assert _kilometres(10.0, 359.5, 10.0, -0.5) == pytest.approx(0.0, abs=1e-6)
    # Seoul to Busan, city hall to city hall: 325 km by any map
    assert _kilometres(37.566, 126.978, 35.180, 129.075) == pytest.approx(325, abs=2)


@given(*(st.floats(-89, 89), st.floats(-360, 720)) * 2)
@settings(max_examples=40, deadline=None)
def test_great_circle_is_the_angle_between_vectors(lat, lon, lat2, lon2):
    def vector(a, o):
        a, o = np.deg2rad(a), np.deg2rad(o)
        return np.array([np.cos(a) * np.cos(o), np.cos(a) * np.sin(o), np.sin(a)])

    a, b = vector(lat, lon), vector(lat2, lon2)
    wanted = 6371 * np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)
    assert _kilometres(lat, lon, lat2, lon2) == pytest.approx(wanted, abs=1e-3)
