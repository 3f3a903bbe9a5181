"""An analysis on pressure levels (ERA5, WeatherBench2, GFS ...) as the initial state on the model's grid and layers.

The file is read under house names and units, checked, regridded horizontally, and brought from pressure to sigma with
the surface pressure at which its geopotential meets the model's own surface: the spectral orography, not the file's, so
that the state is hydrostatically consistent from the first step. Axes: i longitude, j latitude, k level from the top.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr

from sciml.kernels.sphere import reference
from sciml.kernels.sphere.grids import latitudes
from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.dynamics.state import CLOUD_ICE, CLOUD_LIQUID, SPECIFIC_HUMIDITY
from sciml.pipelines.gcm.dynamics.vertical import SigmaLevels
from sciml.pipelines.gcm.setups import analysis_file, vertical_regrid
from sciml.pipelines.gcm.setups.analysis_file import SURFACE
from sciml.pipelines.gcm.setups.case import Atmosphere
from sciml.pipelines.gcm.setups.horizontal import Regridder
from sciml.pipelines.gcm.setups.initial import coefficients
from sciml.pipelines.progress import Progress

NEEDED = ("u_component_of_wind", "v_component_of_wind", "temperature", "geopotential")
TRACERS = (SPECIFIC_HUMIDITY, CLOUD_ICE, CLOUD_LIQUID)
REFERENCE_TEMPERATURE = 288.0  # K, isothermal as in the released NeuralGCM models: stable for any real profile
# Factor exp(-16 (l / l_max)^8) on the orography. Surface pressure carries its imprint, of which the filter of the time
# step takes the shortest waves away at every step, and mass with them: 0.5 % a day at T42 with the bare truncation,
# 0.0003 % with order 8 (order 16: 0.001 %, 24: 0.013 %).
SMOOTHING, SMOOTHING_ORDER = 16.0, 8


@dataclass(frozen=True)
class Analysed(Atmosphere):
    """An initial state with the time it is valid at, and the land-sea mask [i, j, 1] where a file had one."""

    time: np.datetime64 | None = None
    land_sea_mask: np.ndarray | None = field(default=None)


def read_analysis(
    path: str | Path,
    plan: Plan,
    levels: SigmaLevels,
    *,
    surface: str | Path | None = None,
    start: str | None = None,
    method: str = "conservative",
    progress: Progress | None = None,
) -> Analysed:
    """The analysis in `path` on the grid of `plan` and the layers `levels`.

    `surface` is a file with geopotential_at_surface for an analysis without; `start` picks a time of several (the first
    otherwise); `method` is conservative or bilinear. DataError names file, variable and value; SettingsError the option.
    """
    path, progress = Path(path), progress or Progress()
    ds, time = analysis_file.one_time(analysis_file.opened(path), path, start, progress)
    analysis_file.check_order(ds, path)
    missing = [name for name in NEEDED if name not in ds]
    if missing:
        raise DataError(
            f"{path}: no {', '.join(missing)}; the file holds {', '.join(sorted(map(str, ds.data_vars)))}",
            hint="an analysis on pressure levels with u, v, temperature and geopotential is needed",
        )
    pressure = analysis_file.pressures(ds, path)
    to_model = analysis_file.grid_map(ds, plan, path, method)
    if method == "conservative" and ds.sizes["longitude"] < plan.truncation.nlon:
        grid = f"{ds.sizes['longitude']} x {ds.sizes['latitude']}"
        progress.note(
            f"{path}: coarser ({grid}) than the model's grid: --regrid bilinear leaves no steps between cells"
        )
    names = [*NEEDED, *(name for name in TRACERS if name in ds and "level" in ds[name].dims)]
    columns = {name: to_model(analysis_file.columns(ds, name, path)) for name in names}
    ground, mask = _ground(ds, path, surface, plan, method, to_model)
    ps = 100.0 * vertical_regrid.surface_pressure(columns["geopotential"], pressure, ground, logarithmic=True)
    _check_surface_pressure(ps, path, plan)
    on_sigma = {
        name: vertical_regrid.pressure_to_sigma(columns[name], 100.0 * pressure, ps, levels.centers)
        for name in names
        if name != "geopotential"
    }
    u, v, temperature = (on_sigma.pop(name) for name in ("u_component_of_wind", "v_component_of_wind", "temperature"))
    return Analysed(
        title=f"{path.name}, {np.datetime_as_string(time, unit='h') if time is not None else 'no time'}",
        u=u,
        v=v,
        temperature=temperature,
        surface_pressure=ps,
        surface_geopotential=ground,
        reference_temperature=np.full(len(levels), REFERENCE_TEMPERATURE),
        tracers=on_sigma,
        time=time,
        land_sea_mask=mask,
    )


# --- surface


def _ground(
    ds: xr.Dataset, path: Path, surface: str | Path | None, plan: Plan, method: str, to_model: Regridder
) -> tuple[np.ndarray, np.ndarray | None]:
    """(surface geopotential [i, j, 1] m2 s-2 as the truncation carries it, land-sea mask or None)."""
    if surface is not None:
        path = Path(surface)
        ds = analysis_file.opened(path)
        ds = analysis_file.with_geopotential(ds.isel({dim: 0 for dim in ("time",) if dim in ds.dims}))
        if SURFACE not in ds and "geopotential" in ds and "level" not in ds["geopotential"].dims:
            ds = ds.assign({SURFACE: ds["geopotential"]})
    if SURFACE not in ds:
        what = "no surface geopotential" if surface is None else f"no {SURFACE}"
        raise DataError(
            f"{path}: {what}; the file holds {', '.join(sorted(map(str, ds.data_vars)))}",
            hint="give a file that has it: --surface FILE (geopotential_at_surface [m2 s-2])",
        )
    if surface is not None:
        to_model = analysis_file.grid_map(ds, plan, path, method)
    flat = ("longitude", "latitude")
    height = analysis_file.columns(ds, SURFACE, path, flat)
    _check_not_metres(height, ds[SURFACE].attrs.get("units", ""), path)
    height = to_model(height)[..., None]
    mask = None
    if "land_sea_mask" in ds:
        mask = to_model(ds["land_sea_mask"].squeeze(drop=True).transpose(*flat).values.astype(np.float64))[..., None]
    return _smoothed(plan, height), mask


def _check_not_metres(height: np.ndarray, units: str, path: Path) -> None:
    """The Himalaya are 5000 m or 50000 m2 s-2 high: without a unit, what lies between tells which it is."""
    if not units and 1e3 < height.max() < 1e4:
        raise DataError(
            f"{path}: {SURFACE} has no units and reaches {height.max():.4g}, which looks like metres",
            hint="say units m or m2 s-2 in the file, e.g. ncatted -a units,NAME,o,c,m FILE",
        )


def _smoothed(plan: Plan, height: np.ndarray) -> np.ndarray:
    """`height` [i, j, 1] as the truncation carries it, without the shortest waves."""
    t = plan.truncation
    keep = np.exp(-SMOOTHING * (np.arange(t.total) / (t.total - 1)) ** SMOOTHING_ORDER)
    smooth = coefficients(plan, height) * keep[:, None]
    return reference.synthesis(smooth, t.nlon, latitudes(plan.geometry.grid, t.nlat)[0])


def _check_surface_pressure(ps: np.ndarray, path: Path, plan: Plan) -> None:
    bad = ~((ps > 3e4) & (ps < 1.15e5))
    if bad.any():
        i, j, _ = np.argwhere(bad)[0]
        raise DataError(
            f"{path}: its geopotential meets the surface at {ps[i, j, 0] / 100:.4g} hPa at "
            f"{plan.longitude[i]:.4g} E, {plan.latitude[j]:.4g} N",
            hint="do geopotential and surface geopotential belong together, both in m2 s-2?",
        )
