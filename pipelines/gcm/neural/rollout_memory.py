"""Memory and disk a NeuralGCM rollout will take, from configuration and settings, without building the model.

Counted are the weights, the tables of the transforms on the model's and the dynamics' grid, the state, and the
grid-point columns of the widest learned layer for all members that run at a time; the rest is what Python, JAX and the
compiler take.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from sciml.pipelines.gcm.output.variables import ATTRIBUTES
from sciml.pipelines.gcm.settings import PRESSURE_LEVELS, Rollout

from .members import cores
from .rollout_frames import available
from .rollout_prepare import check_settings, decoded_names, weights

# Interpreter, libraries and compiler with jax 0.10 on x86-64; one member of the 2.8 degree model took 1.33 GB in all.
_BASE_BYTES = 0.85e9
_ANALYSIS_BYTES = 0.25e9  # more for reading and regridding an analysis: the small public model, 1 to 8 members
_COLUMNS = 6000  # grid-point columns alive at once, of 32 layers: features, hidden layers and products


def estimate(settings: Rollout) -> dict[str, Any]:
    """Sizes by name: grid, parameters, steps, frames, bytes of a state, peak memory and disk [GB]."""
    config, params, _, about = weights(settings)
    check_settings(settings, config)
    grid, dynamics = config.model.grid, (config.step.dycore.coordinates or config.model).grid
    layers, members = config.model.levels.layers, settings.members
    parameters = int(sum(np.size(x) for x in jax.tree.leaves(params)))
    states = 2 if config.encoder.memory else 1
    columns = (3 + len(config.tracers)) * layers + 1
    state = 4 * grid.rows * grid.total_wavenumbers * columns * members * states
    tables = 4 * sum(g.longitude_wavenumbers * g.total_wavenumbers * g.latitude_nodes for g in (grid, dynamics))
    nodal = grid.longitude_nodes * grid.latitude_nodes
    together = min(members, cores()) if jax.default_backend() == "cpu" or settings.device == "cpu" else members
    work = 4 * nodal * _COLUMNS * layers / 32 * together
    frame = frame_bytes(settings, config, nodal)
    frames = settings.intervals + 1
    base = _BASE_BYTES + (_ANALYSIS_BYTES if settings.is_file else 0)
    peak = base + 4 * parameters * 3 + 2 * tables + 6 * state + work + 4 * frame
    return {
        "model": about["model"],
        "parameters": parameters,
        "grid": f"{grid.longitude_nodes} x {grid.latitude_nodes} x {layers}",
        "members": members,
        "steps": round(settings.intervals * settings.interval_hours * 3600 / config.step_seconds),
        "step_minutes": config.step_seconds / 60,
        "frames": frames,
        "state_MB": state / 1e6,
        "memory_GB": peak / 1e9,
        "file_GB": frame * frames / 1e9,
    }


def frame_bytes(settings: Rollout, config: Any, nodal: int) -> int:
    """Bytes of one frame in the file, before compression: what the settings ask for and the model has."""
    levels = len(config.data.pressure_levels) if settings.output_levels == PRESSURE_LEVELS else len(settings.pressures)
    deep = {True: levels, False: 1, "sigma": config.model.levels.layers}
    there = available(config, decoded_names(config))
    names = [name for name in settings.neural_variables if name in there]
    return 4 * settings.members * nodal * sum(deep[ATTRIBUTES[name][3]] for name in names)
