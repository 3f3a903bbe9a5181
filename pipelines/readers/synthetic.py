"""Tiny realistic weather: a numerical forecast archive and the station observations it should have predicted.

Model: T = seasonal cycle + synoptic anomaly common to all stations (AR(1), 5 days) + local anomaly (AR(1), 1.5 days).
The forecast knows the common part damped and with an error growing as lead^0.75, never the local part, and stands at
the height of the model surface (lapse rate 6.5 K km-1, ICAO standard atmosphere). Sizes follow ECMWF 2 m temperature
against German stations: RMSE about 1.5-2 K at 24 h, persistence about 3 K, climatology about 4.5 K.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from sciml.pipelines.errors import SettingsError

from .layouts import forecast_like, observations_like

__all__ = ["forecast_like", "nwp_and_observations", "observations_like", "write_kd_files"]

LAPSE_RATE = 6.5e-3  # K m-1
_COMMON, _LOCAL = (4.2, 5.0), (1.3, 1.5)  # standard deviation [K], memory [days]
# Synoptic stations of the Korea Meteorological Administration: latitude, longitude [degrees], altitude [m], rounded.
_STATIONS = {
    "Seoul": (37.57, 126.97, 86.0),
    "Incheon": (37.48, 126.62, 69.0),
    "Suwon": (37.26, 126.98, 40.0),
    "Chuncheon": (37.90, 127.74, 76.0),
    "Gangneung": (37.75, 128.89, 27.0),
    "Daejeon": (36.37, 127.37, 69.0),
    "Daegu": (35.88, 128.65, 54.0),
    "Jeonju": (35.84, 127.12, 61.0),
    "Gwangju": (35.17, 126.89, 72.0),
    "Busan": (35.10, 129.03, 70.0),
}


def nwp_and_observations(
    *,
    days: int = 2192,
    stations: int = 3,
    leads_hours: Sequence[int] = (24, 48, 72),
    issue_hours: int = 24,
    members: int = 0,
    observed_days: int | None = 270,
    observation_hours: int | None = None,
    wind: bool = False,
    missing: float = 0.01,
    start: str = "2018-01-01",
    seed: int = 0,
) -> tuple[xr.Dataset, xr.Dataset]:
    """A forecast archive and the observations of its stations.

    Args:
        days: length of the archive [days].
        stations: number of stations.
        leads_hours: lead times of the forecast [h].
        issue_hours: hours between issues.
        members: ensemble members; 0 means one deterministic forecast and no `number` dimension.
        observed_days: observations exist for the last so many days (a new station); None means throughout.
        observation_hours: hours between observations; None means `issue_hours`. Below 24 there is a diurnal cycle.
        wind: add 10 m wind speed.
        missing: share of observations that are missing.
        start: first issue time, UTC.
        seed: of all random numbers.

    Returns:
        nwp with dims (time, prediction_timedelta[, number], station), obs with dims (time, station); float32,
        `2m_temperature` [K] and `10m_wind_speed` [m s-1]. Observations end at the last issue time.

    Raises:
        SettingsError: a size is not positive, or the cadences do not fit each other.
    """
    step = observation_hours or issue_hours
    _check(days, stations, leads_hours, issue_hours, members, step)
    rng = np.random.default_rng(seed)
    # Hours that both clocks can reach; the truth lives on this grid and runs past the last issue by the longest lead.
    tick = int(np.gcd.reduce([step, issue_hours, *[int(lead) for lead in leads_hours]]))
    hours = np.arange(0, days * 24 + max(leads_hours) + 1, tick)
    origin = np.datetime64(start, "ns")
    issues = np.arange(0, days * 24, issue_hours)
    places = _places(stations, rng)
    truth = _temperature(hours, places, rng)
    fields = {"2m_temperature": _forecast(truth, hours, issues, leads_hours, members, places, rng)}
    seen = {"2m_temperature": truth["anomaly"] + truth["climate"] + rng.normal(0.0, 0.2, truth["anomaly"].shape)}
    if wind:
        speed, predicted = _wind(hours, issues, leads_hours, members, stations, rng)
        fields["10m_wind_speed"], seen["10m_wind_speed"] = predicted, speed
    last = int(issues[-1])
    first = 0 if observed_days is None else max(0, last - observed_days * 24)
    chosen = (hours % step == 0) & (hours >= first) & (hours <= last)
    nwp = _forecast_dataset(fields, origin, issues, leads_hours, members, places)
    obs = _observation_dataset({k: v[chosen] for k, v in seen.items()}, origin, hours[chosen], places, missing, rng)
    return nwp, obs


def write_kd_files(folder: str | Path, **options) -> tuple[Path, Path]:
    """Write nwp.nc and obs.nc of `nwp_and_observations(**options)` into `folder`; returns their paths."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    nwp, obs = nwp_and_observations(**options)
    paths = folder / "nwp.nc", folder / "obs.nc"
    for ds, path in zip((nwp, obs), paths, strict=True):
        encoding: dict[str, dict] = {
            name: {"dtype": "float32", "zlib": True, "complevel": 1, "shuffle": True} for name in ds.data_vars
        }
        encoding["time"] = {
            "units": f"hours since {str(ds['time'].values[0])[:10]} 00:00:00",
            "calendar": "proleptic_gregorian",
        }
        if "prediction_timedelta" in ds.coords:
            encoding["prediction_timedelta"] = {"units": "hours"}
        ds.to_netcdf(path, engine="h5netcdf", encoding=encoding)
    return paths


def _check(days: int, stations: int, leads: Sequence[int], issue_hours: int, members: int, step: int) -> None:
    numbers = {"days": days, "stations": stations, "issue_hours": issue_hours, "observation_hours": step}
    for name, number in numbers.items():
        if number < 1:
            raise SettingsError(f"{name} must be at least 1, got {number}")
    if not leads or min(leads) < 0 or list(leads) != sorted(set(leads)):
        raise SettingsError(f"leads_hours must be ascending and not negative, got {tuple(leads)}")
    if members < 0:
        raise SettingsError(f"members must not be negative, got {members}")


def _places(stations: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Names, positions, heights, and how far the model surface stands above each station [m]."""
    known = list(_STATIONS.items())[:stations]
    for i in range(len(known), stations):
        known.append(
            (f"Station{i + 1}", (rng.uniform(35.0, 38.0), rng.uniform(126.5, 129.0), rng.uniform(15.0, 260.0)))
        )
    latitude, longitude, altitude = (np.round([place[i] for _, place in known], 2) for i in range(3))
    return {
        "name": np.array([name for name, _ in known]),
        "latitude": latitude,
        "longitude": longitude,
        "altitude": altitude,
        "above": rng.normal(90.0, 110.0, stations),
    }


def _red_noise(steps: int, columns: int, deviation: float, memory_steps: float, rng: np.random.Generator) -> np.ndarray:
    """Stationary AR(1) [steps, columns] with the given standard deviation and e-folding memory."""
    from scipy.signal import lfilter

    rho = np.exp(-1.0 / memory_steps)
    shocks = rng.normal(0.0, np.sqrt(1.0 - rho**2), (steps, columns))
    shocks[0] = rng.normal(0.0, 1.0, columns)
    return deviation * lfilter([1.0], [1.0, -rho], shocks, axis=0)


def _temperature(hours: np.ndarray, places: dict, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """True 2 m temperature at `hours`: climate and anomaly [t, station], common part of the anomaly [t, 1]."""
    tick_days = (hours[1] - hours[0]) / 24.0
    year = 2.0 * np.pi * hours[:, None] / (365.25 * 24.0)
    coldest = 2.0 * np.pi * 20.0 / 365.25  # 20 January
    base = 286.0 - LAPSE_RATE * places["altitude"] - 0.8 * (places["latitude"] - 37.5)
    daily = -4.0 * np.cos(2.0 * np.pi * (hours[:, None] - 20.0) / 24.0)  # coldest 20 UTC, dawn at 127 E
    climate = base - 13.0 * np.cos(year - coldest) + daily
    # Winter weather varies more than summer weather.
    season = 1.0 + 0.2 * np.cos(year - coldest)
    common = season * _red_noise(hours.size, 1, _COMMON[0], _COMMON[1] / tick_days, rng)
    local = _red_noise(hours.size, places["altitude"].size, _LOCAL[0], _LOCAL[1] / tick_days, rng)
    return {"climate": climate, "anomaly": common + local, "common": common}


def _error(issues: int, leads_hours: Sequence[int], columns: int, rng: np.random.Generator) -> np.ndarray:
    """Forecast error of unit size at 24 h, [issue, lead, column]: a walk along the lead keeps a run consistent."""
    variance = np.maximum(np.asarray(leads_hours) / 24.0, 0.05) ** 1.5
    steps = np.sqrt(np.diff(variance, prepend=0.0))
    return np.cumsum(rng.normal(size=(issues, len(variance), columns)) * steps[:, None], axis=1)


def _forecast(
    truth: dict, hours, issues, leads_hours, members: int, places: dict, rng: np.random.Generator
) -> np.ndarray:
    """Forecast 2 m temperature [issue, lead, (member,) station]."""
    valid = np.searchsorted(hours, issues[:, None] + np.asarray(leads_hours)[None, :])
    damping = 1.0 - 0.03 * np.asarray(leads_hours)[None, :, None] / 24.0
    shared, own = _error(issues.size, leads_hours, 1, rng), _error(issues.size, leads_hours, places["above"].size, rng)
    bias = -LAPSE_RATE * places["above"] + 0.4 * np.cos(2.0 * np.pi * hours[valid] / (365.25 * 24.0))[..., None]
    field = truth["climate"][valid] + damping * truth["common"][valid] + 0.75 * shared + 0.4 * own + bias
    if not members:
        return field
    # Real ensembles are under-dispersive near the ground: the spread is smaller than the error.
    spread = np.stack([_error(issues.size, leads_hours, 1, rng) for _ in range(members)], axis=2)
    return field[:, :, None, :] + 0.5 * spread


def _wind(
    hours, issues, leads_hours, members: int, stations: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Observed [t, station] and forecast [issue, lead, (member,) station] 10 m wind speed, log-normal [m s-1]."""
    tick_days = (hours[1] - hours[0]) / 24.0
    exposure = rng.uniform(-0.3, 0.3, stations)
    common = _red_noise(hours.size, 1, 0.38, 1.2 / tick_days, rng)
    local = _red_noise(hours.size, stations, 0.2, 0.4 / tick_days, rng)
    observed = np.exp(1.0 + exposure + common + local)
    valid = np.searchsorted(hours, issues[:, None] + np.asarray(leads_hours)[None, :])
    error = 0.12 * _error(issues.size, leads_hours, 1, rng)
    predicted = np.repeat(np.exp(1.15 + 0.9 * common[valid] + error), stations, axis=-1)
    if members:
        spread = np.stack([_error(issues.size, leads_hours, 1, rng) for _ in range(members)], axis=2)
        predicted = predicted[:, :, None, :] * np.exp(0.08 * spread)
    return observed, predicted


def _forecast_dataset(fields: dict, origin, issues, leads_hours, members: int, places: dict) -> xr.Dataset:
    dims = ("time", "prediction_timedelta", *(("number",) if members else ()), "station")
    leads = (np.asarray(leads_hours) * 3600).astype("timedelta64[s]").astype("timedelta64[ns]")
    coords = {
        "time": ("time", origin + issues.astype("timedelta64[h]"), {"standard_name": "forecast_reference_time"}),
        "prediction_timedelta": ("prediction_timedelta", leads, {"standard_name": "forecast_period"}),
        **_station_coords(places),
    }
    if members:
        coords["number"] = ("number", np.arange(members), {"standard_name": "realization"})
    ds = xr.Dataset({k: (dims, v.astype(np.float32), _attrs(k)) for k, v in fields.items()}, coords)
    return ds.assign_attrs(
        Conventions="CF-1.11", title="synthetic numerical weather forecast", source="sciml synthetic weather"
    )


def _observation_dataset(
    seen: dict, origin, hours, places: dict, missing: float, rng: np.random.Generator
) -> xr.Dataset:
    lost = rng.random((hours.size, places["name"].size)) < missing
    variables = {
        k: (("time", "station"), np.where(lost, np.nan, v).astype(np.float32), _attrs(k)) for k, v in seen.items()
    }
    coords = {
        "time": ("time", origin + hours.astype("timedelta64[h]"), {"standard_name": "time"}),
        **_station_coords(places),
    }
    ds = xr.Dataset(variables, coords)
    return ds.assign_attrs(
        Conventions="CF-1.11",
        title="synthetic station observations",
        source="sciml synthetic weather",
        featureType="timeSeries",
    )


def _station_coords(places: dict) -> dict:
    return {
        "station": ("station", places["name"], {"cf_role": "timeseries_id", "long_name": "station name"}),
        "latitude": ("station", places["latitude"], {"units": "degrees_north", "standard_name": "latitude"}),
        "longitude": ("station", places["longitude"], {"units": "degrees_east", "standard_name": "longitude"}),
        "altitude": ("station", places["altitude"], {"units": "m", "standard_name": "surface_altitude"}),
    }


def _attrs(name: str) -> dict[str, str]:
    return {
        "2m_temperature": {"units": "K", "standard_name": "air_temperature", "long_name": "2 metre temperature"},
        "10m_wind_speed": {"units": "m s-1", "standard_name": "wind_speed", "long_name": "10 metre wind speed"},
    }[name]
