"""One frame of a NeuralGCM run: what the decoder gives and what the state implies, in SI units on longitude and latitude.

Axes: [*nodal] grid axes of the plan, e member, k layer, p pressure level (last); frames are [e, level, latitude,
longitude].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import Array

from sciml.kernels.sphere import layout as grids
from sciml.pipelines.gcm.output.files import Layout
from sciml.pipelines.gcm.output.variables import ATTRIBUTES
from sciml.pipelines.gcm.scales import ATMOSPHERIC

from . import members
from .derived import P_MINUS_E, derivable, derived, diagnostics_in_si, needs_physics
from .encoder import ABBREVIATED
from .inputs import UNITS

_LONG = {short: long for long, short in ABBREVIATED.items()}  # the decoder's names are those of the original


@partial(jax.jit, static_argnames=("names", "pressures"))
def _frame(
    model: Any, state: Any, forcing: Any, names: tuple[str, ...], pressures: tuple[float, ...]
) -> dict[str, Array]:
    """The variables `names` [*nodal, e, ...]; those that a decoder gives are taken from it."""
    found: dict[str, Array] = {}
    implied = [name for name in names if derivable(name)]
    if len(implied) < len(names):
        found = decoded(model.decode(state, forcing))
        keep = np.searchsorted(np.asarray(model.pressure_levels), np.asarray(pressures) * (1 - 1e-6))
        found = {name: x[..., keep] if ATTRIBUTES[name][3] is True else x for name, x in found.items()}
    rest = [name for name in implied if name not in found]
    if rest:
        physics = model.physics_tendency(state, forcing) if needs_physics(rest) else None
        found |= derived(model.equation, state.state, physics, rest, pressures)
    return {name: grids.to_standard(model.plan, found[name]) for name in names}


def decoded(fields: dict[str, Array]) -> dict[str, Array]:
    """The decoder's fields [*nodal, e, p] and diagnostics [*nodal, e, 1] under house names, in SI units."""
    found = {}
    for name, x in fields.items():
        long = _LONG.get(name, name)
        diagnostic = diagnostics_in_si(name, x)
        if diagnostic is not None:
            found[diagnostic[0]] = diagnostic[1]
        elif long in ATTRIBUTES:
            found[long] = ATMOSPHERIC.dim(x, UNITS[long]) if long in UNITS else x
    return found


def frame(
    model: Any, state: Any, forcing: Any, names: Sequence[str], pressures: Sequence[float] | None
) -> dict[str, np.ndarray]:
    """The variables `names` of a ModelState [e, level, latitude, longitude] float32; surface fields lack the level.

    pressures [hPa] are some of the model's, ascending. KeyError for a variable the model does not give.
    """
    what = tuple(names), tuple(pressures or ())
    parts = members.seen(
        lambda state: jax.device_get(_frame(model, state, forcing, *what)), model, state, ("frame", *what)
    )
    result = {}
    for name in names:
        rows = np.concatenate([np.transpose(part[name], (2, 3, 1, 0)) for part in parts])
        rows = np.ascontiguousarray(rows, np.float32)
        result[name] = rows if ATTRIBUTES[name][3] else rows[:, 0]
    return result


def available(model: Any, decoder_names: Sequence[str]) -> tuple[str, ...]:
    """Every variable a model can write, given the names its decoder returns; `model` may be its configuration."""
    tracers = tuple(model.tracers)
    moved = ("u_component_of_wind", "v_component_of_wind", "temperature", *tracers)
    names = [*decoded(dict.fromkeys(decoder_names, np.zeros(1))), "surface_pressure", "mean_sea_level_pressure"]
    names += ["vertical_velocity", P_MINUS_E, *(f"{name}_on_sigma" for name in (*moved, "vorticity", "divergence"))]
    names += [f"{name}_tendency_due_to_{cause}" for name in moved for cause in ("dynamics", "physics")]
    return tuple(dict.fromkeys(names))


def global_means(fields: Mapping[str, np.ndarray], layout: Layout) -> dict[str, float]:
    """Area means of what the report follows in time, over the members that are known: T850, Z500 and P - E, SI units."""
    weights = np.cos(np.radians(layout.latitude))[:, None] * np.ones(len(layout.longitude))
    pressures = np.asarray(layout.pressures or (), float)
    found = {}
    for name, level, short in (
        ("temperature", 850, "t850"),
        ("geopotential", 500, "z500"),
        (P_MINUS_E, 0, "p_minus_e"),
    ):
        if name not in fields or level and level not in pressures:
            continue
        x = fields[name][..., int(np.flatnonzero(pressures == level)[0]), :, :] if level else fields[name]
        means = np.atleast_1d((x.astype(np.float64) * weights).sum((-2, -1)) / weights.sum())
        found[f"global_{short}"] = float(np.nanmean(means)) if np.isfinite(means).any() else float("nan")
    return found
