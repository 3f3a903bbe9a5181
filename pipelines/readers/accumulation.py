"""Fields accumulated since the start of a run (precipitation, radiation, heat fluxes) and their per-step amounts.

Convention: accumulation runs along the lead time and starts at 0 at lead 0; some producers reset it (daily at 00 UTC,
or per step). Increment of step k: a_k - a_{k-1}, or a_k itself after a reset and at the first lead.
"""

import numpy as np
import xarray as xr

_SLACK = 1e-3  # decrease, relative to the range of the run, that packing and float32 may cause


def accumulated(ds: xr.Dataset, name: str) -> bool:
    """True when variable `name` grows monotonically within each run, apart from resets common to all runs.

    Args:
        ds: forecast with dimensions `time` and `prediction_timedelta`.
        name: a data variable. GRIB_stepType "accum" or a CF cell method "sum" decides where there are fewer than 3
            leads.
    """
    field = ds[name]
    hinted = str(field.attrs.get("GRIB_stepType", "")) == "accum" or "time: sum" in str(
        field.attrs.get("cell_methods", "")
    )
    if field.sizes.get("prediction_timedelta", 1) < 3:
        return hinted
    runs = _runs(field)
    if runs.size == 0:
        return hinted
    spread = np.nanmax(runs, axis=1) - np.nanmin(runs, axis=1)
    steps = np.diff(runs, axis=1)
    slack = _SLACK * np.maximum(spread, 1e-30)[:, None]
    falls = (steps < -slack).sum(axis=0)
    known = np.isfinite(steps).sum(axis=0)
    reset = falls > 0.5 * np.maximum(known, 1)
    grows = (steps > slack).any(axis=1).mean() > 0.2
    # A temperature falls at about half of all steps; an accumulation falls nowhere but at its few resets.
    # Resets stand alone: falls at several leads in a row are an afternoon, not an accumulation.
    few_resets = reset.sum() <= max(1, runs.shape[1] // 4) and not (reset[1:] & reset[:-1]).any()
    steady = falls[~reset].sum() <= 0.005 * max(1, known[~reset].sum())
    starts_low = np.nanmedian(runs[:, 0]) <= np.nanmedian(np.nanmax(runs, axis=1))
    return bool(
        grows and few_resets and steady and starts_low and np.nanmin(runs) > -1e-2 * max(np.nanmax(spread), 1e-30)
    )


def _runs(field: xr.DataArray) -> np.ndarray:
    """Runs with at least three finite leads, [run, lead]."""
    ordered = field.transpose(..., "prediction_timedelta").values.reshape(-1, field.sizes["prediction_timedelta"])
    runs = ordered[np.isfinite(ordered).sum(axis=1) >= 3].astype(np.float64)
    return runs[:: max(1, runs.shape[0] // 4000)]


def deaccumulate(field: xr.DataArray, *, per_second: bool = False) -> xr.DataArray:
    """Per-step amounts of an accumulated field, same shape and dimensions.

    Args:
        field: accumulated since the start of the run, dimension `prediction_timedelta` ascending.
        per_second: divide by the seconds of each step (J m-2 becomes W m-2; the `units` attribute follows).

    Returns:
        Increments; the first lead is counted from lead 0. A fall beyond rounding is a reset: the value after it is the
        amount. Unit of the field, or unit per second.
    """
    axis = field.get_axis_num("prediction_timedelta")
    values = np.moveaxis(field.values.astype(np.float64), axis, -1)
    before = np.concatenate([np.zeros_like(values[..., :1]), values[..., :-1]], axis=-1)
    steps = values - before
    with np.errstate(invalid="ignore"):
        spread = np.fmax.reduce(values, axis=-1, keepdims=True) - np.fmin.reduce(values, axis=-1, keepdims=True)
        steps = np.where(steps < -_SLACK * spread, values, np.maximum(steps, 0.0))
    attrs = dict(field.attrs)
    if per_second:
        leads = field["prediction_timedelta"].values / np.timedelta64(1, "s")
        lengths = np.diff(leads, prepend=0.0)
        steps = steps / np.where(lengths > 0, lengths, np.nan)
        attrs["units"] = {"J m-2": "W m-2", "m": "m s-1", "kg m-2": "kg m-2 s-1"}.get(attrs.get("units", ""), "")
    return field.copy(data=np.moveaxis(steps, -1, axis).astype(field.dtype)).assign_attrs(attrs)
