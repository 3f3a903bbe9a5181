"""Accumulated fields are recognised and undone."""

import numpy as np
import pytest
import xarray as xr

from sciml.pipelines.readers.accumulation import accumulated, deaccumulate
from sciml.pipelines.readers.synthetic import nwp_and_observations

LEADS = (np.arange(1, 49) * 3600 * 10**9).astype("timedelta64[ns]")


def runs(values: np.ndarray, **attrs) -> xr.Dataset:
    return xr.Dataset(
        {"x": (("time", "prediction_timedelta"), values, attrs)}, {"prediction_timedelta": LEADS[: values.shape[1]]}
    )


@pytest.fixture
def rain():
    return np.random.default_rng(0).gamma(0.2, 1e-3, (50, 48))


def test_rain_since_the_start(rain):
    assert accumulated(runs(np.cumsum(rain, axis=1)), "x") and not accumulated(runs(rain), "x")


def test_daily_reset(rain):
    total = np.concatenate([np.cumsum(rain[:, :24], axis=1), np.cumsum(rain[:, 24:], axis=1)], axis=1)
    assert accumulated(runs(total), "x")
    assert np.allclose(deaccumulate(runs(total)["x"]), rain, atol=1e-4)


def test_increments_sum_to_the_total(rain):
    total = np.cumsum(rain, axis=1)
    steps = deaccumulate(runs(total)["x"])
    assert np.allclose(steps.cumsum("prediction_timedelta"), total) and np.allclose(steps, rain)


def test_missing_and_packed(rain):
    total = np.round(np.cumsum(rain, axis=1), 5).astype(np.float32)
    total[3, 5] = np.nan
    assert accumulated(runs(total), "x")
    steps = deaccumulate(runs(total)["x"])
    assert steps.dtype == np.float32 and int(np.isnan(steps).sum()) == 2 and float(steps.min()) >= 0.0


def test_mean_flux(rain):
    energy = np.cumsum(np.full((2, 48), 3600.0 * 500.0), axis=1)
    flux = deaccumulate(runs(energy, units="J m-2")["x"], per_second=True)
    assert np.allclose(flux, 500.0) and flux.attrs["units"] == "W m-2"


def test_weather_is_not_accumulated():
    nwp, _ = nwp_and_observations(days=60, leads_hours=(6, 12, 18, 24), wind=True)
    assert not accumulated(nwp, "2m_temperature") and not accumulated(nwp, "10m_wind_speed")
    day = np.maximum(0.0, np.sin(np.arange(48) / 24 * 2 * np.pi))[None, :] * np.ones((5, 1))
    assert not accumulated(runs(800.0 * day), "x") and not accumulated(runs(np.zeros((5, 48))), "x")


def test_one_lead_follows_the_attribute():
    assert accumulated(runs(np.ones((5, 1)), GRIB_stepType="accum"), "x")
    assert not accumulated(runs(np.ones((5, 1))), "x")
