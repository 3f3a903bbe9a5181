"""What the report of a NeuralGCM forecast shows: the maps a forecaster looks at, spectra, global means.

Convention: maps of one quantity share their contour levels over all lead times, so that they can be compared. Of an
ensemble the first member that was not lost is drawn, and the spread of those that were not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sciml.pipelines.gcm.scales import EARTH

from . import figures
from .figures import Panel
from .pictures import open_frames, spectra_by_day, zonal_means

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

_DAY = 86400.0


@dataclass(frozen=True)
class Quantity:
    """One kind of map: a variable on a level, or on none, its factor to the unit shown, and its contours there."""

    name: str
    variable: str
    title: str
    unit: str
    factor: float
    colours: str
    levels: tuple[float, ...]
    level: float | None = None
    lines: bool = True  # contour lines; a field as rough as rain would be covered by them


# Contour levels as usual on weather maps: 8 dam, 5 K, 1 to 2 g/kg; P - E doubles from class to class about zero.
QUANTITIES = (
    Quantity(
        "z500", "geopotential", "500 hPa geopotential height", "dam", 0.1 / EARTH.gravity, "viridis",
        tuple(range(472, 601, 8)), 500,
    ),
    Quantity("t850", "temperature", "850 hPa temperature", "K", 1.0, "plasma", tuple(range(225, 316, 5)), 850),
    Quantity("q700", "specific_humidity", "700 hPa specific humidity", "g kg⁻¹", 1e3, "YlGnBu", tuple(range(0, 13)), 700),
    Quantity(
        "p_minus_e", "precipitation_minus_evaporation", "precipitation minus evaporation", "mm day⁻¹", _DAY, "BrBG",
        (-16.0, -8.0, -4.0, -2.0, -1.0, 1.0, 2.0, 4.0, 8.0, 16.0), lines=False,
    ),
)  # fmt: skip
_FACTS = (
    ("global mean T at 850 hPa [K]", "global_t850", 1.0),
    ("global mean Z at 500 hPa [m]", "global_z500", 1 / EARTH.gravity),
    ("global mean P - E [mm day⁻¹]", "global_p_minus_e", _DAY),
    ("precipitable water [kg m⁻²]", "mean_specific_humidity", 1.0),
    ("mean surface pressure [hPa]", "mean_surface_pressure", 0.01),
    ("largest wind [m s⁻¹]", "max_wind", 1.0),
)


def draw_forecast(results: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
    """Every figure that the file and the metrics allow, by the name of its file, in the order of the page."""
    made: dict[str, Figure | None] = {}
    lost = {int(n) for n in results.get("lost_members", {})}
    with open_frames(Path(results["output"])) as ds:
        frames = [frame for frame in results["report_frames"] if frame < ds.sizes["prediction_timedelta"]]
        members = [n for n in range(ds.sizes.get("number", 1)) if n not in lost]
        one = ds.isel(number=members[0]) if "number" in ds.dims else ds
        for quantity in QUANTITIES:
            made[quantity.name] = _maps(one, quantity, frames)
        if len(members) > 1:
            made["spread"] = _spread(ds.isel(number=members), frames)
        made["zonal"] = zonal_means(one, results)
    made["spectra"] = spectra_by_day(results)
    made["global_means"] = _global_means(metrics)
    return {name: figure for name, figure in made.items() if figure is not None}


def lead(ds: xr.Dataset, frame: int) -> str:
    """Lead time of a frame: hours in forecasts of up to three days, else days."""
    hours = ds["prediction_timedelta"].values / np.timedelta64(1, "h")
    return f"{hours[frame]:+g} h" if hours[-1] <= 72 else f"day {hours[frame] / 24:.4g}"


def values_of(ds: xr.Dataset, quantity: Quantity, frame: int) -> np.ndarray | None:
    """Values [..., latitude, longitude] in the unit shown, or None if the file does not hold them."""
    if quantity.variable not in ds:
        return None
    field = ds[quantity.variable].isel(prediction_timedelta=frame)
    if quantity.level is not None:
        if "level" not in field.dims or not np.isclose(ds["level"].values, quantity.level).any():
            return None
        field = field.isel(level=int(np.abs(ds["level"].values - quantity.level).argmin()))
    return np.asarray(field.values, float) * quantity.factor


def _maps(ds: xr.Dataset, quantity: Quantity, frames: Sequence[int]) -> Figure | None:
    panels = []
    for frame in frames:
        values = values_of(ds, quantity, frame)
        if values is not None and np.isfinite(values).all():
            title = f"{lead(ds, frame)}: {quantity.title}"
            levels = _within(quantity.levels, values)
            panels.append(Panel(values, title, quantity.unit, quantity.colours, levels, lines=quantity.lines))
    if not panels:
        return None
    return _two_abreast(panels, ds)


def _within(levels: tuple[float, ...], values: np.ndarray) -> tuple[float, ...]:
    """The usual contours, or none (chosen from the range) for a field that lies outside of them, as untrained ones do."""
    inside = np.mean((values >= levels[0]) & (values <= levels[-1]))
    return levels if inside > 0.5 else ()


def _two_abreast(panels: list[Panel], ds: xr.Dataset) -> Figure:
    """Two maps in a row; an odd last one stands alone in a figure of one column."""
    longitude, latitude = ds["longitude"].values, ds["latitude"].values
    if len(panels) % 2:
        return figures.maps([[panel] for panel in panels], longitude, latitude)
    return figures.maps([panels[n : n + 2] for n in range(0, len(panels), 2)], longitude, latitude)


def _spread(ds: xr.Dataset, frames: Sequence[int]) -> Figure | None:
    """Standard deviation over the members of the height of 500 hPa and of temperature at 850 hPa."""
    rows = []
    for frame in frames[1:]:
        row = []
        for quantity in QUANTITIES[:2]:
            values = values_of(ds, quantity, frame)
            if values is not None:
                title = f"{lead(ds, frame)}: {quantity.title}"
                row.append(Panel(values.std(axis=0, ddof=1), title, quantity.unit, "viridis"))
        rows.append(row)
    if not rows or not rows[0]:
        return None
    return figures.maps(rows, ds["longitude"].values, ds["latitude"].values)


def _global_means(metrics: Sequence[Mapping[str, Any]]) -> Figure | None:
    rows = [row for row in metrics if "day" in row]
    if len(rows) < 2:
        return None
    days = np.array([row["day"] for row in rows], float)
    panels = []
    for label, name, factor in _FACTS:
        values = np.array([np.nan if row.get(name) is None else row[name] * factor for row in rows], float)
        if np.isfinite(values).any():
            panels.append((label, {name: values}))
    if any(row.get("members") for row in rows):
        counts = np.array([row.get("members", np.nan) for row in rows], float)
        panels.append(("members that go on", {"members": counts}))
    return figures.series(days, panels) if panels else None
