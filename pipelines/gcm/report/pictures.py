"""What a rollout's report shows: reads the frames and the metrics, and hands plain arrays to figures.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import figures
from .figures import Panel

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

_SPIN_UP_DAYS = 200.0  # of Held and Suarez (1994), before their means begin
_LOW_LEVEL = 850.0  # [hPa], where Jablonowski and Williamson draw temperature
_MOUNTAINS = 1e4  # [m2 s-2], a range of 1000 m: the slopes of the analytic cases are lower


def draw_all(results: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
    """Every figure that the file and the metrics allow, by the name of its file, in the order of the page."""
    if results["kind"] == "neural":
        from .forecast_pictures import draw_forecast

        return draw_forecast(results, metrics)
    made: dict[str, Figure | None] = {}
    with open_frames(Path(results["output"])) as ds:
        frames = [frame for frame in results["report_frames"] if frame < ds.sizes["prediction_timedelta"]]
        one = ds.isel(number=0) if "number" in ds.dims else ds
        if results["kind"] == "shallow_water":
            # the jet of Galewsky et al. lies in the north, and nothing happens elsewhere
            made["maps"] = _shallow_maps(one, frames, 0.0 if results["case"] == "galewsky" else -90.0)
        elif results["case"] in ("baroclinic_wave", "steady_state"):
            made["wave"] = _maps(one, frames, south=30.0)
            made["globe"] = _maps(one, frames[-1:])
        else:
            made["maps"] = _maps(one, frames)
        if "number" in ds.dims:
            made["spread"] = _spread(ds, frames)
        made["zonal"] = zonal_means(one, results)
    made["spectra"] = spectra_by_day(results)
    made["series"] = _series(metrics, results)
    order = ("wave", "maps", "globe", "spread", "zonal", "spectra", "series")
    return {name: made[name] for name in order if made.get(name) is not None}


def open_frames(path: Path) -> xr.Dataset:
    """The file of frames in any of its forms, lazily."""
    import xarray as xr

    if path.is_dir():
        return xr.open_dataset(path, engine="zarr", chunks=None)
    with open(path, "rb") as file:
        engine = "scipy" if file.read(3) == b"CDF" else "h5netcdf"
    return xr.open_dataset(path, engine=engine)


def day_of(ds: xr.Dataset, frame: int) -> str:
    days = ds["prediction_timedelta"].values[frame] / np.timedelta64(1, "D")
    return f"day {days:.3g}" if days < 1000 else f"day {days:.0f}"


def _pressure(ds: xr.Dataset) -> str | None:
    """Mean sea level pressure over topography, else surface pressure."""
    flat = "geopotential_at_surface" not in ds or float(np.ptp(ds["geopotential_at_surface"].values)) < _MOUNTAINS
    wanted = (
        ("surface_pressure", "mean_sea_level_pressure") if flat else ("mean_sea_level_pressure", "surface_pressure")
    )
    return next((name for name in wanted if name in ds), None)


def nearest_level(ds: xr.Dataset, pressure: float) -> tuple[dict[str, int], str]:
    """Index of the level nearest a pressure [hPa], and its name."""
    if "level" in ds.dims:
        place = int(np.abs(ds["level"].values - pressure).argmin())
        return {"level": place}, f"{ds['level'].values[place]:g} hPa"
    place = int(np.abs(ds["sigma"].values - pressure / 1000).argmin())
    return {"sigma": place}, f"sigma {ds['sigma'].values[place]:.3g}"


def _maps(ds: xr.Dataset, frames: Sequence[int], south: float = -90.0) -> Figure | None:
    """Surface pressure and low-level temperature, one row per frame; wind where neither is in the file."""
    rows = [[panel for panel in _weather(ds, frame) if panel is not None] for frame in frames]
    if not rows or not rows[0]:
        return None
    north = 90.0
    return figures.maps(rows, ds["longitude"].values, ds["latitude"].values, south, north)


def _weather(ds: xr.Dataset, frame: int) -> list[Panel]:
    found, pressure = [], _pressure(ds)
    if pressure is not None:
        values = ds[pressure][frame].values / 100
        name = "surface pressure" if pressure == "surface_pressure" else "mean sea level pressure"
        found.append(Panel(values, f"{day_of(ds, frame)}: {name}", "hPa", levels=_pressure_levels(values)))
    if "temperature" in ds:
        place, name = nearest_level(ds, _LOW_LEVEL)
        found.append(
            Panel(
                ds["temperature"][frame].isel(place).values, f"{day_of(ds, frame)}: {name} temperature", "K", "plasma"
            )
        )
    if not found and {"u_component_of_wind", "v_component_of_wind"} <= set(ds):
        place, name = nearest_level(ds, _LOW_LEVEL)
        wind = np.hypot(*(ds[f"{c}_component_of_wind"][frame].isel(place).values for c in "uv"))
        found.append(Panel(wind, f"{day_of(ds, frame)}: {name} wind speed", "m s⁻¹"))
    return found


def _pressure_levels(values: np.ndarray) -> tuple[float, ...]:
    """Steps of 10 hPa once a wave has grown, else round ones; between them, at 995 and 1005, lies undisturbed air.

    A contour at 1000 hPa itself would trace the noise of a field that is 1000 hPa almost everywhere.
    """
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if not np.isfinite([low, high]).all() or high - low > 140:
        return ()
    steps = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
    step = next(step for step in steps if (high - low) / step <= 12 or step == 20.0)
    first, last = np.floor(low / step + 0.5), np.ceil(high / step - 0.5)
    return tuple(np.round((np.arange(first, max(last, first + 2) + 1) - 0.5) * step, 6))


def _shallow_maps(ds: xr.Dataset, frames: Sequence[int], south: float) -> Figure | None:
    rows = []
    for frame in frames:
        row = []
        if "height" in ds:
            row.append(Panel(ds["height"][frame].values, f"{day_of(ds, frame)}: height of the surface", "m"))
        if "vorticity" in ds:
            title = f"{day_of(ds, frame)}: relative vorticity"
            row.append(Panel(ds["vorticity"][frame].values * 1e5, title, "10⁻⁵ s⁻¹", "RdBu_r", centred=True))
        rows.append(row)
    if not rows or not rows[0]:
        return None
    return figures.maps(rows, ds["longitude"].values, ds["latitude"].values, south)


def _spread(ds: xr.Dataset, frames: Sequence[int]) -> Figure | None:
    """Standard deviation over the members, of the fields that the maps show."""
    pressure = _pressure(ds)
    rows = []
    for frame in frames:
        row = []
        if pressure is not None:
            row.append(_spread_panel(ds[pressure][frame].values / 100, f"{day_of(ds, frame)}: pressure", "hPa"))
        if "temperature" in ds:
            place, name = nearest_level(ds, _LOW_LEVEL)
            values = ds["temperature"][frame].isel(place).values
            row.append(_spread_panel(values, f"{day_of(ds, frame)}: {name} temperature", "K"))
        if "height" in ds:
            row.append(_spread_panel(ds["height"][frame].values, f"{day_of(ds, frame)}: height", "m"))
        rows.append(row)
    if not rows or not rows[0]:
        return None
    return figures.maps(rows, ds["longitude"].values, ds["latitude"].values)


def _spread_panel(members: np.ndarray, title: str, unit: str) -> Panel:
    return Panel(members.std(axis=0, ddof=1), f"{title}, spread", unit, "viridis")


def zonal_means(ds: xr.Dataset, results: Mapping[str, Any]) -> Figure | None:
    """Zonal means of wind and temperature: after spin-up where the forcing makes a climate, else of the last frame."""
    vertical = next((name for name in ("level", "sigma") if name in ds.dims), None)
    if vertical is None or not {"u_component_of_wind", "temperature"} <= set(ds) or ds.sizes[vertical] < 3:
        return None
    days = ds["prediction_timedelta"].values / np.timedelta64(1, "D")
    last = len(days) - 1
    first = int(np.searchsorted(days, _SPIN_UP_DAYS)) if results["forced"] else last
    places = range(first, last + 1) if first < last else [last]
    means = {
        name: sum(ds[name][frame].values.astype(float).mean(axis=-1) for frame in places) / len(places)
        for name in ("u_component_of_wind", "temperature")
    }
    when = f"mean of days {days[first]:g} to {days[last]:g}" if len(places) > 1 else f"day {days[last]:g}"
    return figures.cross_sections(
        means["u_component_of_wind"], means["temperature"], ds["latitude"].values, ds[vertical].values, vertical, when
    )


def spectra_by_day(results: Mapping[str, Any]) -> Figure | None:
    found = [(f"day {row['day']:.3g}", np.array(row["kinetic_energy"], float)) for row in results["spectra"][-6:]]
    return figures.spectra(found) if found and len(found[0][1]) > 8 else None


def _series(metrics: Sequence[Mapping[str, Any]], results: Mapping[str, Any]) -> Figure | None:
    """Conservation relative to the first frame, then extremes."""
    rows = [row for row in metrics if "day" in row]
    if len(rows) < 2:
        return None

    def column(name: str) -> np.ndarray:
        return np.array([np.nan if row.get(name) is None else row[name] for row in rows], float)

    panels = [
        (f"{name}, relative change", {name: column(key) / column(key)[0] - 1})
        for name, key in results["conserved"].items()
        if name in results["drift"]
    ]
    panels.append(("largest wind [m s⁻¹]", {"wind": column("max_wind")}))
    if "surface_pressure_min" in rows[0]:
        bounds = {"lowest": column("surface_pressure_min") / 100, "highest": column("surface_pressure_max") / 100}
        panels.append(("surface pressure [hPa]", bounds))
    if "temperature_min" in rows[0]:
        panels.append(("temperature [K]", {"lowest": column("temperature_min"), "highest": column("temperature_max")}))
    if results["members"] > 1 and "spread" in rows[0]:
        panels.append((f"spread of {results['spread_of']}", {"spread": column("spread")}))
    return figures.series(column("day"), panels)
