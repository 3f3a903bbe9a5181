"""One house name for every producer's spelling."""

import unicodedata

import pytest

from sciml.pipelines.readers import names, units

SPELLINGS = {
    "2m_temperature": ["t2m", "2t", "T2", "T2M", "tas", "TMP_2maboveground", "TMP_P0_L103_GLL0", "2m_temperature"],
    "10m_u_component_of_wind": ["u10", "10u", "U10", "uas", "UGRD_10maboveground"],
    "10m_wind_speed": ["si10", "10si", "ws10", "sfcWind"],
    "mean_sea_level_pressure": ["msl", "PRMSL_meansealevel", "psl"],
    "surface_pressure": ["sp", "PSFC", "PRES_surface"],
    "total_precipitation": ["tp", "APCP_surface"],
    "maximum_2m_temperature_in_the_last_24_hours": ["mx2t24", "tasmax"],
    "temperature": ["t", "ta", "temperature"],
    "geopotential": ["z"],
    "u_component_of_wind": ["u", "ua"],
    "specific_humidity": ["q", "hus"],
    "sea_ice_cover": ["siconc", "sea_ice_cover"],
}
HEADERS = {
    "2m_temperature": ["기온", "temp", "TA", "air_temperature", "tmpf", "temperature"],
    "10m_wind_speed": ["풍속", "wind_speed", "sknt"],
    "2m_relative_humidity": ["습도", "rh", "relative_humidity"],
    "total_precipitation": ["강수량", "rain"],
    "surface_pressure": ["현지기압"],
    "mean_sea_level_pressure": ["해면기압"],
    "particulate_matter_10um": ["PM10", "미세먼지"],
}


@pytest.mark.parametrize(("house", "spelling"), [(h, s) for h, many in SPELLINGS.items() for s in many])
def test_variables(house, spelling):
    assert names.house_name(spelling) == house


@pytest.mark.parametrize(("house", "spelling"), [(h, s) for h, many in HEADERS.items() for s in many])
def test_station_headers(house, spelling):
    assert names.house_name(spelling, station_table=True) == house


def test_case_tells_models_apart():
    """WRF's T is a perturbation of potential temperature, ECMWF's t the temperature."""
    assert names.house_name("T") == "T" and names.house_name("t") == "temperature"


def test_unknown_names_stay():
    assert names.house_name("wp1") == "wp1" and names.house_name("하늘상태", station_table=True) == "하늘상태"


def test_decomposed_hangul_is_composed():
    assert names.house_name(unicodedata.normalize("NFD", "기온"), station_table=True) == "2m_temperature"


def test_grib_short_name_and_standard_name_help():
    assert names.house_name("var167", {"GRIB_shortName": "2t"}) == "2m_temperature"
    assert names.house_name("p0", {"standard_name": "air_pressure_at_mean_sea_level"}) == "mean_sea_level_pressure"
    assert names.house_name("air", {"standard_name": "air_temperature"}) == "air"


def test_no_spelling_means_two_things():
    for table in (names.VARIABLES, names.STATION_VARIABLES, names.COORDINATES):
        spellings = [alias for text in table.values() for alias in text.split()]
        assert len(spellings) == len(set(spellings)), sorted(s for s in spellings if spellings.count(s) > 1)


def test_every_unit_in_a_name_is_known():
    assert all(units.canonical(unit) for unit in names.UNITS_IN_NAME.values())


@pytest.mark.parametrize(
    ("spelling", "house"),
    [
        ("step", "prediction_timedelta"),
        ("leadtime", "prediction_timedelta"),
        ("member", "number"),
        ("XLAT", "latitude"),
        ("isobaricInhPa", "level"),
        ("plev", "level"),
        ("wmo_id", "station"),
        ("지점명", "station"),
        ("DEM", "altitude"),
    ],
)
def test_coordinates(spelling, house):
    assert names.coordinate_name(spelling) == house


def test_coordinates_by_attributes():
    assert names.coordinate_name("gridpoint_y", {"units": "degrees_north"}) == "latitude"
    assert names.coordinate_name("fc", {"standard_name": "forecast_period"}) == "prediction_timedelta"
    assert names.coordinate_name("anything") is None


@pytest.mark.parametrize(
    ("name", "attrs", "role"),
    [
        ("init", {}, "issue"),
        ("time", {}, "any"),
        ("valid_time", {}, "valid"),
        ("t2m", {}, None),
        ("time", {"standard_name": "forecast_reference_time"}, "issue"),
    ],
)
def test_time_roles(name, attrs, role):
    assert names.time_role(name, attrs) == role
