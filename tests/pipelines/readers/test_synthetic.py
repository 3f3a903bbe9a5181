"""Synthetic weather has the error structure of the real one."""

import numpy as np
import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.readers import synthetic
from sciml.pipelines.readers.forecast import open_forecast
from sciml.pipelines.readers.stations import read_observations


@pytest.fixture(scope="module")
def weather():
    return synthetic.nwp_and_observations(observed_days=None, missing=0.0)


def rmse(values) -> float:
    return float(np.sqrt(np.nanmean(np.asarray(values) ** 2)))


def errors_at(nwp, obs, lead: int) -> np.ndarray:
    forecast = nwp["2m_temperature"].isel(prediction_timedelta=lead)
    valid = forecast["time"].values + nwp["prediction_timedelta"].values[lead]
    return forecast.values - obs["2m_temperature"].reindex(time=valid).values


def test_sizes_of_error(weather):
    nwp, obs = weather
    truth = obs["2m_temperature"].values
    by_lead = [rmse(errors_at(nwp, obs, lead)) for lead in range(3)]
    assert 1.4 < by_lead[0] < 2.2 and by_lead[0] < by_lead[1] < by_lead[2] < 3.2
    assert 2.5 < rmse(truth[1:] - truth[:-1]) < 3.4
    seasons = np.stack(
        [np.ones(truth.shape[0]), *(f(2 * np.pi * np.arange(truth.shape[0]) / 365.25) for f in (np.cos, np.sin))], 1
    )
    anomaly = truth - seasons @ np.linalg.lstsq(seasons, truth, rcond=None)[0]
    assert 3.8 < rmse(anomaly) < 5.2


def test_bias_follows_station_height(weather):
    """Each station has its own bias, and removing it helps."""
    nwp, obs = weather
    error = errors_at(nwp, obs, 0)
    bias = np.nanmean(error, axis=0)
    assert np.ptp(bias) > 0.2 and rmse(error - bias) < rmse(error)


def test_forecast_is_smoother_than_the_truth(weather):
    nwp, obs = weather
    forecast = nwp["2m_temperature"].isel(prediction_timedelta=0).values
    spread = np.std(forecast - forecast.mean(axis=1, keepdims=True), axis=0).mean()
    observed = obs["2m_temperature"].values
    assert spread < np.std(observed - observed.mean(axis=1, keepdims=True), axis=0).mean()


def test_same_seed_same_weather(weather):
    again = synthetic.nwp_and_observations(observed_days=None, missing=0.0)
    assert again[0].identical(weather[0]) and again[1].identical(weather[1])
    assert not synthetic.nwp_and_observations(observed_days=None, missing=0.0, seed=1)[0].equals(weather[0])


def test_new_station():
    nwp, obs = synthetic.nwp_and_observations()
    assert nwp.sizes["time"] == 2192 and obs.sizes["time"] == 271
    assert obs["time"].values[-1] == nwp["time"].values[-1] and 0 < float(np.isnan(obs["2m_temperature"]).mean()) < 0.03


def test_hourly_members_and_wind():
    nwp, obs = synthetic.nwp_and_observations(
        days=40, leads_hours=range(1, 49), issue_hours=12, observation_hours=1, members=3, wind=True, observed_days=None
    )
    assert nwp["2m_temperature"].dims == ("time", "prediction_timedelta", "number", "station")
    assert obs.sizes["time"] == 79 * 12 + 1 and float(obs["10m_wind_speed"].min()) > 0
    by_hour = obs["2m_temperature"].groupby("time.hour").mean().mean("station")
    assert 4.0 < float(by_hour.max() - by_hour.min()) < 12.0


def test_files_are_read_back(tmp_path):
    nwp_path, obs_path = synthetic.write_kd_files(tmp_path / "data", days=400, stations=12, members=2)
    nwp, _ = synthetic.nwp_and_observations(days=400, stations=12, members=2)
    found = open_forecast(nwp_path)
    assert np.array_equal(found["2m_temperature"].values, nwp["2m_temperature"].values)
    obs = read_observations(obs_path, stations=found["station"].values)
    assert obs["2m_temperature"].attrs["units"] == "K" and obs.sizes["station"] == 12
    assert np.allclose(found["altitude"], nwp["altitude"]) and found.attrs["sciml_notes"] == []


@pytest.mark.parametrize(
    "options", [{"days": 0}, {"stations": 0}, {"leads_hours": (48, 24)}, {"members": -1}, {"issue_hours": 0}]
)
def test_impossible_sizes(options):
    with pytest.raises(SettingsError):
        synthetic.nwp_and_observations(**options)
