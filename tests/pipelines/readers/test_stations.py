"""Observations from tables and NetCDF, at the stations that are wanted."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.readers.layouts import forecast_like, observations_like
from sciml.pipelines.readers.stations import read_observations

LONG = "valid_time,station,t2m\n2020-01-01,Seoul,1\n2020-01-01,Busan,5\n2020-01-02,Seoul,2\n2020-01-02,Busan,6\n"


def test_units_decide_whether_numbers_change(write):
    plain = read_observations(write("obs.csv", LONG))["2m_temperature"]
    assert plain.attrs == {"original_name": "t2m", "original_units": "", "units": ""} and plain.values[0, 0] == 1.0
    header = read_observations(write("obs.csv", LONG.replace("t2m", "t2m [degC]")))["2m_temperature"]
    given = read_observations(write("obs.csv", LONG), units={"t2m": "°C"})["2m_temperature"]
    house = read_observations(write("obs.csv", LONG), units={"2m_temperature": "celsius"})["2m_temperature"]
    for field in (header, given, house):
        assert field.values[0, 0] == pytest.approx(274.15) and field.attrs["units"] == "K"


def test_units_of_the_name(write):
    field = read_observations(write("obs.csv", "valid,station,tmpf,sknt\n2020-01-01 00:00,RKSI,32,10\n"))
    assert field["2m_temperature"].item() == pytest.approx(273.15) and field["10m_wind_speed"].item() == pytest.approx(
        5.144, abs=1e-3
    )


def test_korean_table(write):
    text = "지점,지점명,일시,기온(°C),습도(%)\n108,서울,2022-07-01 09:00,24.0,90\n159,부산,2022-07-01 09:00,25.0,80\n"
    ds = read_observations(write("obs.csv", text, "utf-8"), zone="Asia/Seoul", stations=["부산", "서울"])
    assert ds["time"].values[0] == np.datetime64("2022-07-01T00") and ds["2m_temperature"].values[
        0, 0
    ] == pytest.approx(298.15)
    assert read_observations(write("obs.csv", text), stations=[108, 159])["2m_relative_humidity"].values.tolist() == [
        [90.0, 80.0]
    ]


def test_wanted_order_and_absent_stations(write):
    ds = read_observations(write("obs.csv", LONG), stations=["Busan", "Jeju", "Seoul"])
    assert ds["station"].values.tolist() == ["Busan", "Jeju", "Seoul"]
    assert ds["2m_temperature"].values[0, 0] == 5.0 and np.isnan(ds["2m_temperature"].values[:, 1]).all()
    assert any("Jeju" in note for note in ds.attrs["sciml_notes"])


def test_no_station_in_common_suggests(write):
    with pytest.raises(DataError, match="no station in common") as caught:
        read_observations(write("obs.csv", LONG), stations=["Seuol"])
    assert 'did you mean "Seoul"' in caught.value.hint


@pytest.mark.parametrize("ids", [[1, 2], ["001", "002"], [1.0, 2.0], ["1", "2"]])
def test_spellings_of_numbers(write, ids):
    text = "time,station,t2m\n2020-01-01,1,10\n2020-01-01,2,20\n"
    assert read_observations(write("obs.csv", text), stations=ids)["2m_temperature"].values.tolist() == [[10.0, 20.0]]


def test_one_unnamed_station(write):
    text = "time,t2m\n2020-01-01,1\n"
    assert read_observations(write("obs.csv", text))["station"].item() == "site"
    assert read_observations(write("obs.csv", text), stations=["Seoul"])["station"].item() == "Seoul"
    with pytest.raises(DataError, match="names no station"):
        read_observations(write("obs.csv", text), stations=["Seoul", "Busan"])


def test_variables_by_either_name(write):
    text = "time,t2m,ssrd,note\n2020-01-01,1,2,calm\n"
    assert list(read_observations(write("obs.csv", text), variables=["ssrd"]).data_vars) == [
        "surface_solar_radiation_downwards"
    ]
    assert list(read_observations(write("obs.csv", text), variables=["2m_temperature"]).data_vars) == ["2m_temperature"]
    assert any("note" in note for note in read_observations(write("obs.csv", text)).attrs["sciml_notes"])
    with pytest.raises(DataError, match="not numeric .*'calm'"):
        read_observations(write("obs.csv", text), variables=["note"])
    with pytest.raises(DataError, match="no variable 't2n'") as caught:
        read_observations(write("obs.csv", text), variables=["t2n"])
    assert '"t2m"' in caught.value.hint


def test_units_of_nothing_suggest(write):
    with pytest.raises(SettingsError, match="'t2n'") as caught:
        read_observations(write("obs.csv", LONG), units={"t2n": "K"})
    assert '"t2m"' in caught.value.hint
    with pytest.raises(DataError, match="'Pa' given"):
        read_observations(write("obs.csv", LONG), units={"t2m": "Pa"})


def test_column_without_values(write):
    with pytest.raises(DataError, match="'t2m'"):
        read_observations(write("obs.csv", "time,t2m\n2020-01-01,\n2020-01-02,\n"))
    ds = read_observations(write("obs.csv", "time,t2m,sd\n2020-01-01,1,-999\n2020-01-02,2,-999\n"))
    assert list(ds.data_vars) == ["2m_temperature"] and any("sd" in note for note in ds.attrs["sciml_notes"])


def test_two_columns_of_one_house_name(write):
    ds = read_observations(write("obs.csv", "time,t2m,temp\n2020-01-01,1,2\n"))
    assert list(ds.data_vars) == ["2m_temperature", "temp"]


def test_netcdf(tmp_path):
    expected = observations_like(tmp_path / "obs.nc")
    found = read_observations(tmp_path / "obs.nc", stations=[1, 2])
    assert (
        np.allclose(found["2m_temperature"], expected["2m_temperature"])
        and (found["time"].values == expected["time"].values).all()
    )


def test_netcdf_of_one_station_in_a_zone(tmp_path):
    raw = xr.Dataset({"temp": ("date", [1.0, 2.0])}, {"date": pd.date_range("2020-01-01 09:00", periods=2, freq="h")})
    raw.to_netcdf(tmp_path / "obs.nc", engine="h5netcdf")
    found = read_observations(tmp_path / "obs.nc", zone="Asia/Seoul", units={"temp": "degC"})
    assert found["time"].values[0] == np.datetime64("2020-01-01") and found["2m_temperature"].values[
        0, 0
    ] == pytest.approx(274.15)


def test_verif_observations(tmp_path):
    truth = forecast_like(tmp_path / "verif.nc", layout="verif")["2m_temperature"]
    found = read_observations(tmp_path / "verif.nc", stations=["1", "2"])["2m_temperature"]
    assert found.attrs["units"] == "K" and found.sizes["time"] == 7
    first = truth["time"].values[0] + truth["prediction_timedelta"].values[0]
    assert np.allclose(found.sel(time=first), truth[0, 0] + 0.5, atol=1e-3)


def test_a_forecast_is_no_observation(tmp_path):
    forecast_like(tmp_path / "nwp.nc", layout="sciml")
    with pytest.raises(DataError, match="is a forecast"):
        read_observations(tmp_path / "nwp.nc")


def test_gridded_netcdf_is_refused(tmp_path):
    raw = xr.Dataset(
        {"t2m": (("time", "lat", "lon"), np.zeros((2, 2, 2)))},
        {"time": pd.date_range("2020", periods=2), "lat": [1.0, 2], "lon": [1.0, 2]},
    )
    raw.to_netcdf(tmp_path / "obs.nc", engine="h5netcdf")
    with pytest.raises(DataError, match="no observations by time"):
        read_observations(tmp_path / "obs.nc")


def test_campus_thermometer(real_data):
    """Decomposed Hangul headers, day and hour in two columns."""
    ds = read_observations(
        real_data / "kd" / "kma_csv" / "merged_result.csv", zone="Asia/Seoul", variables=["1시간기온", "외기온도"]
    )
    assert set(ds.data_vars) == {"2m_temperature", "외기온도"} and ds.sizes["time"] == 1488
    assert ds["time"].values[0] == np.datetime64("2022-06-30T15:00")


def test_wind_farms(real_data):
    ds = read_observations(real_data / "kd" / "gefcom2012_wind" / "obs.csv")
    assert ds["wp"].shape == (18757, 7) and ds["station"].values.tolist() == list("1234567")


@pytest.mark.parametrize("needed", [None, ["t2m"], ["2m_temperature"]])
def test_a_text_cell_among_numbers_is_named(write, needed):
    """One mistyped cell must not make a whole column disappear."""
    text = "time,t2m,power\n2020-01-01,1,2\n2020-01-02,1O,3\n2020-01-03,3,4\n"
    with pytest.raises(DataError, match="column 't2m' is not numeric .line 3: '1O'."):
        read_observations(write("obs.csv", text), needed=needed)


def test_a_text_cell_in_a_column_that_is_not_needed(write):
    text = "time,t2m,flag\n2020-01-01,1,0\n2020-01-02,2,x\n2020-01-03,3,0\n"
    ds = read_observations(write("obs.csv", text), needed=["t2m"])
    assert list(ds.data_vars) == ["2m_temperature"] and any("flag" in note for note in ds.attrs["sciml_notes"])
    with pytest.raises(DataError, match="'flag' .*line 3: 'x'") as caught:
        read_observations(write("obs.csv", text))
    assert "--target" in caught.value.hint


def test_words_are_no_observations(write):
    text = "time,t2m,remark\n2020-01-01,1,calm\n2020-01-02,2,\n2020-01-03,3,2 gusts\n"
    assert list(read_observations(write("obs.csv", text)).data_vars) == ["2m_temperature"]


def test_a_text_cell_of_one_station_among_several_columns(write):
    text = "time,wp1,wp2,wp3\n2020-01-01,1,2,3\n2020-01-02,1,x2,3\n2020-01-03,1,2,3\n"
    with pytest.raises(DataError, match="column 'wp2' is not numeric .line 3: 'x2'."):
        read_observations(write("obs.csv", text), stations=["1", "2", "3"])
