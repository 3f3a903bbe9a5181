"""From a raw analysis on pressure levels to the nodal fields a NeuralGCM model is encoded from.

As in the original's data preparation: fields are regridded conservatively to the model's grid (cell means by area), the
sea surface as the mean over the known part of each cell, and what is still unknown there is filled from the nearest
known cell. Values are checked under house names and units first, and become non-dimensional last.
Axes: i longitude, j latitude from south to north, p pressure level from the top; [*nodal] the plan's grid, e member.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from sciml.kernels.sphere import layout
from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.scales import ATMOSPHERIC
from sciml.pipelines.gcm.setups import analysis_file
from sciml.pipelines.gcm.setups.vertical_regrid import interpolate
from sciml.pipelines.progress import Progress

UNITS = {
    "geopotential": "m2 s-2",
    "u_component_of_wind": "m s-1",
    "v_component_of_wind": "m s-1",
}  # of the others: none, or K
_SAME_LEVEL = 1e-4  # relative difference of pressures that are the same level
_SAME_POINT = 1e-3  # [degrees], as NeuralGCM compares grids


@dataclass(frozen=True)
class Inputs:
    """One analysis on the model's grid and levels: `fields` [i, j, p] float64 in SI units, and the time it is valid at."""

    fields: dict[str, np.ndarray]
    time: np.datetime64 | None
    title: str

    def nodal(self, plan: Plan) -> dict[str, np.ndarray]:
        """Non-dimensional fields [*nodal, 1, p] float32 under the same names."""
        return {name: nondimensional(plan, name, x) for name, x in self.fields.items()}


def nondimensional(plan: Plan, name: str, x: np.ndarray) -> np.ndarray:
    """`x` [i, j, p] in SI units as [*nodal, 1, p] float32 without dimension (temperature stays in K)."""
    scaled = ATMOSPHERIC.nondim(x, UNITS.get(name, "1"))
    return layout.from_standard(plan, scaled.astype(np.float32))[..., None, :]


def sim_time_of(valid: np.datetime64, reference: str) -> float:
    """The model's clock: time since its reference date, without dimension."""
    seconds = (valid.astype("datetime64[s]") - np.datetime64(reference, "s")) / np.timedelta64(1, "s")
    return float(np.float32(ATMOSPHERIC.nondim(float(seconds), "s")))


def read_inputs(
    path: str | Path,
    plan: Plan,
    levels: Sequence[float],
    names: Sequence[str],
    *,
    start: str | None = None,
    method: str = "conservative",
    interpolation: str = "log-pressure",
    progress: Progress | None = None,
) -> Inputs:
    """The fields `names` of the analysis in `path` on the grid of `plan` and at the pressures `levels` [p] hPa.

    `interpolation` is log-pressure, pressure or none (none refuses other levels than the model's). DataError names what
    is missing, misplaced or impossible, with what is accepted; SettingsError a `start` the file does not hold.
    """
    path, progress = Path(path), progress or Progress()
    ds, time = analysis_file.one_time(analysis_file.opened(path), path, start, progress)
    analysis_file.check_order(ds, path)
    check_names(ds, names, path)
    _say_conversions(ds, names, path, progress)
    pressure = analysis_file.pressures(ds, path)
    picked = _picked(pressure, np.asarray(levels, np.float64), interpolation, path, progress)
    to_model = grid_map(ds, plan, path, method)
    fields, profiles = {}, {}
    for name in names:
        column = analysis_file.columns(ds, name, path)
        profiles[name] = column.mean((0, 1))
        fields[name] = _on_levels(to_model(column), pressure, np.asarray(levels, np.float64), picked, interpolation)
    analysis_file.check_hydrostatic(profiles["geopotential"], profiles["temperature"], pressure, path)
    when = "no time" if time is None else str(np.datetime_as_string(time, unit="h"))
    return Inputs(fields, time, f"{path.name}, {when}")


def check_names(ds: xr.Dataset, names: Sequence[str], path: Path) -> None:
    """DataError for variables that `ds` lacks, naming all of them and what the file holds."""
    missing = [name for name in names if name not in ds]
    if missing:
        raise DataError(
            f"{path}: no {', '.join(missing)}; the file holds {', '.join(sorted(map(str, ds.data_vars)))}",
            hint=f"the model needs {', '.join(names)}; ERA5, WeatherBench2 and CF spellings are read",
        )


def _say_conversions(ds: xr.Dataset, names: Sequence[str], path: Path, progress: Progress) -> None:
    for name in names:
        original, unit = (str(ds[name].attrs.get(f"original_{what}", "")) for what in ("name", "units"))
        if name == "geopotential" and "m2 s-2" not in unit and unit in ("m", "gpm"):
            progress.note(f"{path}: {original} in {unit} is taken as geopotential height, times 9.80665 m s-2")


def _picked(
    have: np.ndarray, want: np.ndarray, interpolation: str, path: Path, progress: Progress
) -> np.ndarray | None:
    """Index in `have` of every level wanted, or None where the levels are interpolated; DataError if they cannot be."""
    nearest = np.abs(have[None, :] / want[:, None] - 1).argmin(1)
    if np.allclose(have[nearest], want, rtol=_SAME_LEVEL, atol=0):
        return nearest
    shown = f"{len(have)} levels from {have[0]:g} to {have[-1]:g} hPa"
    if interpolation == "none":
        lacking = want[~np.isclose(have[nearest], want, rtol=_SAME_LEVEL, atol=0)]
        raise DataError(
            f"{path}: {shown} lack {', '.join(f'{p:g}' for p in lacking[:8])} hPa of the model's {len(want)}",
            hint="allow interpolation with --interpolation log-pressure, or give a file with the model's levels",
        )
    outside = want[(want < have[0] * (1 - _SAME_LEVEL)) | (want > have[-1] * (1 + _SAME_LEVEL))]
    if len(outside):
        raise DataError(
            f"{path}: {shown} do not cover {', '.join(f'{p:g}' for p in outside)} hPa, which the model takes",
            hint=f"the model's {len(want)} levels run from {want[0]:g} to {want[-1]:g} hPa, e.g. ERA5's 37 pressure levels",
        )
    between = int((~np.isclose(have[nearest], want, rtol=_SAME_LEVEL, atol=0)).sum())
    progress.note(
        f"{path}: {shown} are interpolated linearly in {'ln p' if interpolation == 'log-pressure' else 'p'} to the model's "
        f"{len(want)}, {between} of which the file lacks"
    )
    return None


def _on_levels(
    x: np.ndarray, have: np.ndarray, want: np.ndarray, picked: np.ndarray | None, interpolation: str
) -> np.ndarray:
    if picked is not None:
        return x[..., picked]
    if interpolation == "log-pressure":
        have, want = np.log(have), np.log(want)
    return interpolate(x, have, want, "constant")


def unchanged(field: np.ndarray, skipna: bool = False) -> np.ndarray:
    """The map from a grid to itself."""
    return np.asarray(field, np.float64)


def grid_map(ds: xr.Dataset, plan: Plan, path: Path, method: str) -> Callable[..., np.ndarray]:
    """The map from the grid of `ds` to the model's; values on the model's own grid stay as they are."""
    axes = (
        (ds.coords.get(name), values) for name, values in (("longitude", plan.longitude), ("latitude", plan.latitude))
    )
    if all(x is not None and x.shape == y.shape and np.allclose(x, y, rtol=0, atol=_SAME_POINT) for x, y in axes):
        return unchanged
    return analysis_file.grid_map(ds, plan, path, method)


def simulated_inputs(plan: Plan, levels: Sequence[float], names: Sequence[str], start: str | None) -> Inputs:
    """The simulated analysis (setups/simulated.py) as inputs, valid at `start` or 2000-01-01."""
    from sciml.pipelines.gcm.setups import simulated

    found: Mapping[str, np.ndarray] = simulated.pressure_level_fields(plan, np.asarray(levels))
    check_known_names(names, found)
    return Inputs({name: found[name] for name in names}, np.datetime64(start or "2000-01-01", "s"), simulated.TITLE)


def check_known_names(names: Sequence[str], there: Mapping[str, np.ndarray]) -> None:
    """DataError if a model needs a variable that the simulated analysis has not."""
    missing = [name for name in names if name not in there]
    if missing:
        raise DataError(
            f"the simulated analysis has no {', '.join(missing)}, which the model needs",
            hint="start from a file: --initial ERA5.nc",
        )
