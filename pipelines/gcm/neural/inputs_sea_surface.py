"""Sea surface temperature and sea ice in time, read from a file one time after the other, on the model's grid.

Regridded as the mean over the known (sea) part of each cell, then filled over land from the nearest known cell, as in
the original's data preparation: the network is evaluated everywhere, and one unknown value would spread over the globe.
Axes: i longitude, j latitude, [*nodal] the plan's grid.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr

from sciml.kernels.sphere import layout
from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.setups import analysis_file
from sciml.pipelines.gcm.setups.horizontal import fill_nan_with_nearest
from sciml.pipelines.progress import Progress

from . import forcing
from .inputs import check_names, grid_map

NAMES = ("sea_surface_temperature", "sea_ice_cover")
# lowest and highest value, unit, and what the value would be in the unit people forget
_PLAUSIBLE = {
    "sea_surface_temperature": (180.0, 330.0, "K", "degrees Celsius"),  # under ice some producers give the skin's
    "sea_ice_cover": (-0.01, 1.01, "1", "percent"),
}
_KEPT = 3  # fields of the last times, in memory


@dataclass
class SeaSurface:
    """The sea surface of one run; made by `read_sea_surface` or `simulated_sea_surface`.

    `times` [t] are those of the file (None where it has none), `read(index)` gives the fields [i, j] of one of them.
    """

    plan: Plan
    times: np.ndarray | None
    read: Callable[[int], Mapping[str, np.ndarray]]
    shift_hours: float = 0.0
    persist: bool = False
    increment: float = 0.0  # [K]
    start: np.datetime64 | None = None
    _kept: OrderedDict[int, dict[str, np.ndarray]] = field(default_factory=OrderedDict)

    def index(self, valid: np.datetime64) -> int:
        """Which time of the file serves at `valid`."""
        if self.times is None or len(self.times) == 1:
            return 0
        moment = self.start if self.persist and self.start is not None else valid
        return int(forcing.select(self.times, moment, shift_hours=self.shift_hours))

    def at(self, valid: np.datetime64) -> dict[str, np.ndarray]:
        """Both fields [*nodal, 1, 1] float32 at a valid time: K, and 0 to 1."""
        index = self.index(valid)
        if index not in self._kept:
            self._kept[index] = {name: self._nodal(name, x) for name, x in self.read(index).items()}
        self._kept.move_to_end(index)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return self._kept[index]

    def _nodal(self, name: str, x: np.ndarray) -> np.ndarray:
        warmer = self.increment if name == "sea_surface_temperature" else 0.0
        return layout.from_standard(self.plan, (x + warmer).astype(np.float32)[..., None, None])

    def check(self, end: np.datetime64, tolerance: np.timedelta64, progress: Progress = Progress()) -> None:  # noqa: B008
        """DataError unless the file covers the run from `start` to `end`, and both its ends can be read.

        A model's own tolerance may be a year: that the file ends before the run is said.
        """
        if self.times is not None:
            forcing.check_coverage(
                self.times, self.start, end, tolerance=tolerance, shift_hours=self.shift_hours, persist=self.persist
            )
            series = len(self.times) > 1 and not self.persist
            if series and forcing.seen(end, self.shift_hours) - self.times[-1] > np.diff(self.times).max():
                progress.warn(f"the sea surface ends at {str(self.times[-1])[:16]}: its last fields serve for the rest of the run")
        self.at(self.start)
        self.at(end)


def read_sea_surface(
    path: str | Path, plan: Plan, start: np.datetime64, *, method: str = "conservative", shift_hours: float = 0.0,
    persist: bool = False, increment: float = 0.0, progress: Progress | None = None,
) -> SeaSurface:  # fmt: skip
    """The sea surface in `path` for a run from `start`; DataError names what is missing or impossible."""
    path, progress = Path(path), progress or Progress()
    ds = analysis_file.opened(path)
    check_names(ds, NAMES, path)
    analysis_file.check_order(ds, path)
    ds = ds[list(NAMES)]
    for dim in ("prediction_timedelta", "number"):
        ds = ds.isel({dim: 0}) if dim in ds.dims else ds
    times = np.atleast_1d(ds["time"].values).astype("datetime64[s]") if "time" in ds.coords else None
    if times is not None and (np.diff(times) <= np.timedelta64(0, "s")).any():
        raise DataError(f"{path}: the times do not ascend", hint="sort the file: ds.sortby('time')")
    to_model = grid_map(ds, plan, path, method)

    def read(index: int) -> dict[str, np.ndarray]:
        one = ds.isel(time=index) if "time" in ds.dims else ds
        return {name: _field(one[name], path, plan, to_model) for name in NAMES}

    single = times is None or len(times) == 1
    if single or persist:
        when = f" of {str(times[0])[:16]}" if single and times is not None else " of the start" if persist else ""
        progress.note(f"{path}: sea surface and ice stay those{when}")
    return SeaSurface(plan, times, read, shift_hours, persist, increment, start)


def _field(variable: xr.DataArray, path: Path, plan: Plan, to_model: Callable[..., np.ndarray]) -> np.ndarray:
    """One field [i, j] on the model's grid without unknown values, checked."""
    name = str(variable.name)
    extra = [dim for dim in variable.dims if dim not in ("longitude", "latitude")]
    if any(variable.sizes[dim] > 1 for dim in extra):
        raise DataError(
            f"{path}: {name} has dimensions {dict(variable.sizes)}",
            hint="expected longitude, latitude and at most time",
        )
    values = variable.squeeze(extra, drop=True).transpose("longitude", "latitude").values.astype(np.float64)
    values = analysis_file.in_house_units(values, variable, _PLAUSIBLE[name][2], path)
    when = f" at {str(variable['time'].values)[:16]}" if "time" in variable.coords else ""
    known = values[np.isfinite(values)]
    if not len(known) or np.isinf(values).any():
        what = "no known value" if not len(known) else "infinite values"
        raise DataError(
            f"{path}: {name} has {what}{when}", hint="NaN over land is filled from the nearest sea, more is not"
        )
    low, high, unit, instead = _PLAUSIBLE[name]
    if known.min() < low or known.max() > high:
        stated = variable.attrs.get("units") or "none stated"
        raise DataError(
            f"{path}: {name} runs from {known.min():.4g} to {known.max():.4g}{when}, which cannot be {unit} "
            f"(units of the file: {stated})",
            hint=f"is it in {instead}? correct the values or the attribute units",
        )
    return fill_nan_with_nearest(to_model(values, skipna=True), plan.longitude, plan.latitude)


def simulated_sea_surface(plan: Plan, start: np.datetime64, increment: float = 0.0) -> SeaSurface:
    """The aquaplanet of setups/simulated.py, which never changes."""
    from sciml.pipelines.gcm.setups import simulated

    fields = simulated.sea_surface(plan)
    return SeaSurface(plan, None, lambda index: fields, increment=increment, start=start)
