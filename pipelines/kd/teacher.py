"""The numerical teacher: a forecast file brought to station points, as arrays [i, k, s].

Legend: i issue time, k lead, s station, p predictor.  Values are the ensemble mean, `spread` the ensemble standard
deviation [same unit].  A gridded forecast is taken to the stations by nearest point or bilinearly, and air temperature
is shifted along the standard lapse rate of 6.5 K km-1 (ICAO standard atmosphere) to the station's height.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import xarray as xr

from sciml.pipelines.errors import DataError, SettingsError, suggest
from sciml.pipelines.progress import Progress
from sciml.pipelines.readers.forecast import accumulated, deaccumulate, open_forecast
from sciml.pipelines.readers.names import house_name

LAPSE_RATE = 6.5e-3  # [K m-1], ICAO standard atmosphere
WIND = ("10m_u_component_of_wind", "10m_v_component_of_wind", "10m_wind_speed")


@dataclass(frozen=True)
class Teacher:
    """Forecasts at stations.

    issue [i] datetime64[ns] ascending; lead [k] timedelta64[ns] ascending; values and spread: name -> [i, k, s] float64
    (NaN where missing); units and original: name -> unit, name in the file.
    """

    path: Path
    issue: np.ndarray
    lead: np.ndarray
    stations: tuple[str, ...]
    values: dict[str, np.ndarray]
    spread: dict[str, np.ndarray]
    units: dict[str, str]
    original: dict[str, str]
    original_units: dict[str, str]
    location: dict[str, np.ndarray] = field(default_factory=dict)
    members: int = 0
    source: str = ""
    accumulated: frozenset[str] = frozenset()

    @property
    def lead_hours(self) -> np.ndarray:
        """Leads [k] in hours."""
        return self.lead / np.timedelta64(1, "h")

    def find(self, name: str) -> str:
        """House name of the variable the user calls `name`."""
        lookup = {name: name for name in self.values} | {old: new for new, old in self.original.items()}
        found = lookup.get(name) or lookup.get(house_name(name, station_table=True))
        if found is None:
            raise SettingsError(f'{self.path}: no variable "{name}"; {suggest(name, sorted(lookup))}')
        return found

    def select(
        self, *, stations: list[int] | None = None, leads: slice | np.ndarray | None = None, last: int | None = None
    ) -> Teacher:
        """A part of the teacher: stations by position, leads by position, the last issue times."""
        issue = slice(-last, None) if last else slice(None)
        columns = list(range(len(self.stations))) if stations is None else stations
        leads = slice(None) if leads is None else leads
        cut = {name: value[issue][:, leads][:, :, columns] for name, value in self.values.items()}
        spread = {name: value[issue][:, leads][:, :, columns] for name, value in self.spread.items()}
        return replace(
            self,
            issue=self.issue[issue],
            lead=self.lead[leads],
            stations=tuple(self.stations[s] for s in columns),
            values=cut,
            spread=spread,
            location={name: value[columns] for name, value in self.location.items()},
        )


def read_teacher(choice, progress: Progress | None = None) -> Teacher:
    """Read `choice.teacher` (a settings.DataChoice) and bring it to stations.

    Raises DataError for a file that cannot be used, SettingsError for stations or leads it does not have.
    """
    progress = progress or Progress()
    path = choice.teacher
    ds = open_forecast(path, lead_hours=choice.lead_hours)
    for note in ds.attrs.get("sciml_notes", ()):
        progress.note(note)
    ds = _with_wind_speed(ds)
    if "latitude" in ds.dims or "y" in ds.dims or ("latitude" in ds.coords and ds["latitude"].ndim == 2):
        ds = to_stations(ds, choice, path)
    names = [name for name, da in ds.data_vars.items() if {"time", "prediction_timedelta", "station"} <= set(da.dims)]
    names = [name for name in names if np.issubdtype(ds[name].dtype, np.number)]
    if not names:
        raise DataError(
            f"{path}: no variable with an issue time, a lead and a station; it holds {', '.join(map(str, ds.data_vars)) or 'nothing'}"
        )
    summed = {name for name in names if accumulated(ds, name)}
    values, spread = {}, {}
    for name in names:
        if name in summed and choice.deaccumulate:
            progress.note(f"{path}: {name} is accumulated along the run; amounts per lead step are used")
            ds[name] = deaccumulate(ds[name])
        da = ds[name]
        extra = [d for d in da.dims if d not in ("time", "prediction_timedelta", "station", "number")]
        if extra:
            progress.note(f"{path}: {name} has the dimension {extra[0]} and is left out")
            continue
        if "number" in da.dims:
            array = da.transpose("number", "time", "prediction_timedelta", "station").values.astype(np.float64)
            values[name], spread[name] = _ensemble(array)
        else:
            values[name] = da.transpose("time", "prediction_timedelta", "station").values.astype(np.float64)
    location = {
        name: ds[name].values.astype(np.float64)
        for name in ("latitude", "longitude", "altitude")
        if name in ds.coords and ds[name].dims == ("station",)
    }
    teacher = Teacher(
        path=Path(path),
        issue=ds["time"].values.astype("datetime64[ns]"),
        lead=ds["prediction_timedelta"].values.astype("timedelta64[ns]"),
        stations=tuple(str(s) for s in ds["station"].values),
        values=values,
        spread=spread,
        units={name: str(ds[name].attrs.get("units", "")) for name in values},
        original={name: str(ds[name].attrs.get("original_name", name)) for name in values},
        original_units={name: str(ds[name].attrs.get("original_units", "")) for name in values},
        location={name: value for name, value in location.items() if np.isfinite(value).all()},
        members=int(ds.sizes.get("number", 0)),
        source=str(ds.attrs.get("source", "")),
        accumulated=frozenset() if choice.deaccumulate else frozenset(summed),
    )
    return _chosen(teacher, choice)


def _ensemble(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over members (first axis), ignoring missing members."""
    seen = np.isfinite(array)
    count = seen.sum(0)
    total = np.where(seen, array, 0.0).sum(0)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    square = np.where(seen, (array - mean) ** 2, 0.0).sum(0)
    return mean, np.where(count > 1, np.sqrt(square / np.maximum(count - 1, 1)), np.nan)


def _with_wind_speed(ds: xr.Dataset) -> xr.Dataset:
    u, v, speed = WIND
    if u in ds and v in ds and speed not in ds:
        # before the ensemble mean: the speed of the mean wind is not the mean speed
        ds[speed] = np.hypot(ds[u], ds[v])
        ds[speed].attrs = {
            "units": ds[u].attrs.get("units", ""),
            "original_name": speed,
            "original_units": ds[u].attrs.get("original_units", ""),
        }
    return ds


def _chosen(teacher: Teacher, choice) -> Teacher:
    stations = None
    if choice.stations:
        missing = [s for s in choice.stations if s not in teacher.stations]
        if missing:
            raise SettingsError(f'{teacher.path}: no station "{missing[0]}"; {suggest(missing[0], teacher.stations)}')
        stations = [teacher.stations.index(s) for s in choice.stations]
    leads = teacher.lead > np.timedelta64(0, "ns")  # an analysis at lead 0 is no forecast
    if not leads.any():
        raise DataError(
            f"{teacher.path}: its only lead is 0 h, an analysis and no forecast; a teacher needs leads after the issue time"
        )
    keep = np.flatnonzero(leads)
    if choice.horizon is not None:
        if choice.horizon > len(keep):
            raise SettingsError(
                f"--horizon {choice.horizon}: {teacher.path} holds {len(keep)} leads "
                f"({teacher.lead_hours[keep[0]]:g} to {teacher.lead_hours[keep[-1]]:g} h)",
                hint=f"use --horizon {len(keep)} or less",
            )
        keep = keep[: choice.horizon]
    return teacher.select(stations=stations, leads=keep, last=getattr(choice, "limit", None))


def to_stations(ds: xr.Dataset, choice, path: Path) -> xr.Dataset:
    """A gridded forecast at the stations of `choice.latitude` and `choice.longitude` [degrees]."""
    if not choice.latitude:
        lat, lon = ds["latitude"].values, ds["longitude"].values
        raise SettingsError(
            f"{path}: the forecast is on a grid ({np.nanmin(lat):g} to {np.nanmax(lat):g} N, "
            f"{np.nanmin(lon):g} to {np.nanmax(lon):g} E); which points are the stations?",
            hint="give --latitude and --longitude, one value per station (and --altitude, to correct for height)",
        )
    lat, lon = np.asarray(choice.latitude, float), np.asarray(choice.longitude, float)
    if np.abs(lat).max() > 90:
        raise SettingsError(f"--latitude {lat[np.abs(lat).argmax()]:g}: must lie between -90 and 90 degrees")
    ds = _with_surface_as_fields(ds)
    if ds["latitude"].ndim == 2:
        point, distance = _curvilinear(ds, lat, lon)
    elif choice.interpolation == "nearest":
        point, distance = _nearest(ds, lat, lon)
    else:
        point, distance = _bilinear(ds, lat, lon, path)
    if distance.max() > max(150.0, _spacing(ds)):
        far = int(distance.argmax())
        raise DataError(
            f"{path}: station {far + 1} ({lat[far]:g} N, {lon[far]:g} E) lies {distance[far]:.0f} km from the nearest grid point; is the grid elsewhere?"
        )
    names = choice.stations or tuple(str(n + 1) for n in range(len(lat)))
    if len(names) != len(lat):
        raise SettingsError(f"--stations has {len(names)} names and --latitude {len(lat)} values: give one of each")
    point = point.drop_vars([c for c in ("latitude", "longitude") if c in point.coords])
    point = point.assign_coords(
        station=("station", np.array(names, dtype=object)), latitude=("station", lat), longitude=("station", lon)
    )
    return _to_height(point, choice)


def _with_surface_as_fields(ds: xr.Dataset) -> xr.Dataset:
    """Heights of the model's surface as variables: coordinates are not interpolated, and `altitude` will be the stations'."""
    fixed = [name for name in ("altitude", "geopotential_at_surface", "land_sea_mask") if name in ds.coords]
    ds = ds.reset_coords(fixed)
    return ds.rename(altitude="surface_altitude") if "altitude" in ds else ds


def _spacing(ds: xr.Dataset) -> float:
    """Kilometres between neighbours of a regular grid: the middle of a coarse cell is far from every point."""
    if ds["latitude"].ndim == 2:
        return 0.0
    steps = [np.median(np.abs(np.diff(ds[name].values))) for name in ("latitude", "longitude") if ds.sizes[name] > 1]
    return 111.2 * float(max(steps, default=0.0))


def _nearest(ds: xr.Dataset, lat: np.ndarray, lon: np.ndarray) -> tuple[xr.Dataset, np.ndarray]:
    gap = np.abs(_turn(ds["longitude"].values[None, :] - lon[:, None]))
    row = np.abs(ds["latitude"].values[None, :] - lat[:, None]).argmin(1)
    column = gap.argmin(1)
    point = ds.isel(latitude=xr.DataArray(row, dims="station"), longitude=xr.DataArray(column, dims="station"))
    return point, _kilometres(lat, lon, ds["latitude"].values[row], ds["longitude"].values[column])


def _bilinear(ds: xr.Dataset, lat: np.ndarray, lon: np.ndarray, path: Path) -> tuple[xr.Dataset, np.ndarray]:
    """Weights by hand, so that the grid may wrap around the globe and run either way."""
    _, distance = _nearest(ds, lat, lon)
    rows, columns = ds["latitude"].values, ds["longitude"].values
    order = np.argsort(rows)
    j = np.clip(np.searchsorted(rows[order], lat) - 1, 0, max(len(rows) - 2, 0))
    j0, j1 = order[j], order[np.minimum(j + 1, len(rows) - 1)]
    span = np.where(rows[j1] == rows[j0], 1.0, rows[j1] - rows[j0])
    b = np.clip((lat - rows[j0]) / span, 0.0, 1.0)
    east = (lon[:, None] - columns[None, :]) % 360.0
    i0 = east.argmin(1)  # the nearest column to the west
    step = (columns[None, :] - columns[i0][:, None]) % 360.0
    step[step == 0] = 360.0
    i1 = step.argmin(1)
    width = step[np.arange(len(lon)), i1]
    a = east[np.arange(len(lon)), i0] / width
    outside = width > 4 * np.median(np.abs(np.diff(np.sort(columns)))) if len(columns) > 1 else np.ones(len(lon), bool)
    a = np.where(outside, np.where(a > 0.5, 1.0, 0.0), a)
    index = {k: xr.DataArray(v, dims="station") for k, v in dict(j0=j0, j1=j1, i0=i0, i1=i1).items()}
    weight = {k: xr.DataArray(v, dims="station") for k, v in dict(a=a, b=b).items()}
    numeric = ds[[n for n, da in ds.data_vars.items() if {"latitude", "longitude"} <= set(da.dims)]]
    corner = lambda j, i: numeric.isel(latitude=index[j], longitude=index[i]).drop_vars(["latitude", "longitude"])  # noqa: E731
    south = corner("j0", "i0") * (1 - weight["a"]) + corner("j0", "i1") * weight["a"]
    north = corner("j1", "i0") * (1 - weight["a"]) + corner("j1", "i1") * weight["a"]
    with xr.set_options(keep_attrs=True):
        point = south * (1 - weight["b"]) + north * weight["b"]
    for name in point.data_vars:
        point[name].attrs = dict(ds[name].attrs)
    return point.assign_attrs(ds.attrs), distance


def _curvilinear(ds: xr.Dataset, lat: np.ndarray, lon: np.ndarray) -> tuple[xr.Dataset, np.ndarray]:
    """Nearest point of a grid whose latitudes and longitudes are two-dimensional, such as WRF's and KMA's."""
    rows, columns = ds["latitude"].dims
    away = _kilometres(
        lat[:, None, None], lon[:, None, None], ds["latitude"].values[None], ds["longitude"].values[None]
    )
    flat = away.reshape(len(lat), -1)
    best = flat.argmin(1)
    j, i = np.unravel_index(best, ds["latitude"].shape)
    point = ds.isel({rows: xr.DataArray(j, dims="station"), columns: xr.DataArray(i, dims="station")})
    return point, flat[np.arange(len(lat)), best]


def _to_height(point: xr.Dataset, choice) -> xr.Dataset:
    if not choice.altitude:
        return point
    station = np.asarray(choice.altitude, float)
    point = point.assign_coords(altitude=("station", station))
    model = _model_height(point)
    if choice.height_correction and model is not None:
        for name in (
            "2m_temperature",
            "maximum_2m_temperature_in_the_last_24_hours",
            "minimum_2m_temperature_in_the_last_24_hours",
        ):
            if name in point:
                attrs = point[name].attrs
                point[name] = point[name] - LAPSE_RATE * (xr.DataArray(station, dims="station") - model)
                point[name].attrs = attrs
    return point


def _model_height(point: xr.Dataset) -> xr.DataArray | None:
    """Height of the model's surface at the stations [m], from any of the fields that carry it."""
    for name, scale in (("geopotential_at_surface", 1 / 9.80665), ("surface_altitude", 1.0), ("orography", 1.0)):
        if name in point:
            height = point[name] * scale
            others = [d for d in height.dims if d != "station"]
            return height.isel({d: 0 for d in others})
    return None


def _turn(angle: np.ndarray) -> np.ndarray:
    """Angles folded to -180..180 degrees."""
    return (angle + 180.0) % 360.0 - 180.0


def _kilometres(lat, lon, grid_lat, grid_lon) -> np.ndarray:
    """Great-circle distance on a sphere of 6371 km."""
    a, b = np.deg2rad(lat), np.deg2rad(grid_lat)
    d = np.deg2rad(_turn(np.asarray(lon) - np.asarray(grid_lon)))
    h = np.sin((a - b) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(d / 2) ** 2
    return 2 * 6371.0 * np.arcsin(np.sqrt(np.clip(h, 0, 1)))
