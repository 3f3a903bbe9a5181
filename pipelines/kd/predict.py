"""`sciml kd predict`: forecasts of a trained student as CF NetCDF, in the schema of every sciml forecast.

Dimensions (time, prediction_timedelta, station[, quantile]); `time` is the issue time, valid time = time + prediction_timedelta.
A Gaussian head adds `<name>_standard_deviation`, a quantile head `<name>_quantile`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import xarray as xr

from sciml.pipelines.compute.devices import choose_device
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.progress import Progress

from .design import Design
from .evaluate import _files as model_files
from .evaluate import select_issues
from .model import Model, load_model
from .settings import Predict


def predict(settings: Predict, progress: Progress | None = None) -> xr.Dataset:
    """Forecasts for the issue times start..end (default: the newest possible one), written to `settings.to`."""
    progress = progress or Progress()
    if settings.to.exists() and not settings.overwrite:
        raise SettingsError(f"{settings.to}: exists already", hint="use --overwrite, or --to another file")
    device = choose_device(settings.device, progress.note)
    model = load_model(settings.model)
    teacher, observations, _ = model_files(model, settings)
    fresh = teacher if model.residual or model.config["self_taught"] or settings.teacher is not None else None
    design = model.read(fresh, observations, progress)
    issues = select_issues(design, settings.start, settings.end)
    point, full = model.forecast(design, issues, device)
    ready = np.isfinite(point).any((1, 2, 3))
    if not ready.any():
        raise DataError(
            f"none of the {len(issues)} issue times has a past of {design.history} steps with enough observations",
            hint="give observations up to the issue time, at least one past window long",
        )
    keep = np.flatnonzero(ready) if settings.start or settings.end else np.flatnonzero(ready)[-1:]
    ds = as_dataset(model, design, issues[keep], point[keep], None if full is None else full[keep])
    write(ds, settings.to)
    progress.note(
        f"{len(keep)} forecast(s) from {str(ds.time.values[0])[:16]} to {str(ds.time.values[-1])[:16]} written to {settings.to}"
    )
    return ds


def as_dataset(
    model: Model, design: Design, issues: np.ndarray, point: np.ndarray, full: np.ndarray | None
) -> xr.Dataset:
    """Forecasts [i, k, s, v] (and [i, k, s, v, q]) as a CF data set."""
    pairs, shape = design.pairs, model.student.shape
    dims = ("time", "prediction_timedelta", "station")
    data = {}
    for v, (name, unit) in enumerate(zip(pairs.targets, pairs.units, strict=True)):
        attrs = {"long_name": name.replace("_", " "), "units": unit or "1"}
        data[name] = (dims, point[..., v].astype(np.float32), attrs)
        if shape.head == "gaussian":
            data[f"{name}_standard_deviation"] = (
                dims,
                full[..., v, 1].astype(np.float32),
                attrs | {"long_name": f"standard deviation of {name}"},
            )
        if shape.head == "quantile":
            data[f"{name}_quantile"] = (
                (*dims, "quantile"),
                full[..., v, :].astype(np.float32),
                attrs | {"long_name": f"quantiles of {name}"},
            )
    coords = {
        "time": (
            "time",
            pairs.teacher.issue[issues],
            {"standard_name": "forecast_reference_time", "long_name": "issue time"},
        ),
        "prediction_timedelta": (
            "prediction_timedelta",
            pairs.teacher.lead,
            {"standard_name": "forecast_period", "long_name": "lead time"},
        ),
        "station": ("station", np.array(pairs.teacher.stations, dtype=object), {"cf_role": "timeseries_id"}),
    }
    for name, unit in (("latitude", "degrees_north"), ("longitude", "degrees_east"), ("altitude", "m")):
        if name in pairs.teacher.location:
            coords[name] = ("station", pairs.teacher.location[name], {"units": unit, "standard_name": name})
    if shape.head == "quantile":
        coords["quantile"] = ("quantile", np.array(shape.quantiles), {"units": "1"})
    attrs = {
        "Conventions": "CF-1.11",
        "title": "Station forecasts of a distilled student",
        "source": f"sciml kd, {shape.kind}, {model.config['mode']} mode",
        "history": " ".join(["sciml", *sys.argv[1:]]),
    }
    return xr.Dataset(data, coords, attrs)


def write(ds: xr.Dataset, path: Path) -> None:
    """NetCDF4 with compression, complete or not at all."""
    partial = path.with_name(path.name + ".tmp")
    encoding: dict[str, dict] = {
        name: {"zlib": True, "complevel": 1, "shuffle": True, "dtype": "float32"} for name in ds.data_vars
    }
    encoding["time"] = {
        "units": "hours since 1970-01-01 00:00:00",
        "calendar": "proleptic_gregorian",
        "dtype": "float64",
    }
    encoding["prediction_timedelta"] = {"units": "hours", "dtype": "float64"}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        ds.to_netcdf(partial, engine="h5netcdf", encoding=encoding)
        os.replace(partial, path)
    except OSError as error:
        if partial.is_file():
            partial.unlink()
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from None
