"""From settings to a run of a NeuralGCM model: weights, inputs, sea surface and output, all checked before long work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sciml.kernels.sphere import layout as sphere_layout
from sciml.kernels.sphere import transform
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.gcm.output.files import Layout
from sciml.pipelines.gcm.output.variables import ATTRIBUTES
from sciml.pipelines.gcm.scales import ATMOSPHERIC, EARTH
from sciml.pipelines.gcm.settings import PRESSURE_LEVELS, Rollout
from sciml.pipelines.gcm.setups import analysis_file, simulated
from sciml.pipelines.progress import Progress
from sciml.pipelines.readers.files import require_file

from .checkpoint import config as nodes
from .checkpoint.surface import nodes_of
from .derived_diagnostics import names_of, parts_of
from .encoder import ABBREVIATED
from .forcing import own_increment
from .inputs import Inputs, grid_map, read_inputs, simulated_inputs
from .inputs_sea_surface import SeaSurface, read_sea_surface, simulated_sea_surface
from .rollout import NeuralIntegration, state_like
from .rollout_frames import available
from .rollout_state import is_state_file, read_state

_YEAR = np.timedelta64(366, "D")


def prepare(settings: Rollout, progress: Progress, platform: str) -> NeuralIntegration:
    """Everything a run needs; `platform` is that of the device, e.g. cpu.

    SettingsError for options the model cannot meet, DataError for files that do not hold what it takes.
    """
    from . import model as model_module

    for path in (settings.initial if settings.is_file else None, settings.sea_surface, settings.surface):
        if path is not None:
            require_file(Path(path))
    config, params, fields, about = weights(settings)
    check_settings(settings, config)
    model = model_module.build(config, params, fields, precision=settings.precision, platform=platform)
    about |= {"parameters": int(sum(np.size(x) for x in jax.tree.leaves(params))), "scheme": _scheme(config)}
    progress.note(f"{about['model']}: {about['parameters']:,} parameters, {_size(config)}")
    if settings.precision != "float32":
        error = transform_error(model.plan)
        progress.note(
            f"--precision {settings.precision}: a transform there and back is wrong by {error:.1e} here, measured"
        )
    inputs, state, start, title = _start(settings, model, config, progress)
    sea = _sea(settings, config, model.plan, start, progress)
    end = start + np.timedelta64(round(settings.days * 86400), "s")
    sea.check(end, _tolerance(config), progress)
    layout = _layout(settings, model, config, start)
    progress.note(f"{title}; {settings.members} member{'s' if settings.members > 1 else ''}")
    return NeuralIntegration(
        settings, model, layout, f"{about['model']}, {title}", sea, inputs, state, about, progress=progress
    )


class _Points(NamedTuple):
    """Longitudes [i] and latitudes [j] in degrees, as a plan has them."""

    longitude: np.ndarray
    latitude: np.ndarray


# --- the model


def weights(settings: Rollout) -> tuple[Any, Any, Mapping[str, np.ndarray], dict[str, Any]]:
    """(config, params, surface fields [i, j] in SI units, what to say of the model)."""
    if settings.checkpoint is not None:
        from .checkpoint import store

        require_file(Path(settings.checkpoint))
        found = store.load(settings.checkpoint)
        return found.config, found.params, found.aux.fields, {"model": Path(settings.checkpoint).name}
    from .checkpoint import haiku_names, papers

    config = papers.config(settings.model)
    about = {"model": f"{settings.model} with untrained weights, seed {settings.seed}"}
    return config, haiku_names.initial(config, settings.seed), ground(settings, config), about


def ground(settings: Rollout, config: Any) -> dict[str, np.ndarray]:
    """Surface geopotential and land-sea mask [i, j] for weights that bring none: of --surface, or the analytic ones."""
    points = _Points(*nodes_of(config.data.grid))
    if settings.surface is None:
        return simulated.ground(points)
    path = Path(settings.surface)
    ds = analysis_file.opened(path)
    ds = analysis_file.with_geopotential(ds.isel({dim: 0 for dim in ("time",) if dim in ds.dims}))
    found = {}
    for name in ("geopotential_at_surface", "land_sea_mask"):
        if name not in ds:
            raise DataError(
                f"{path}: no {name}; the file holds {', '.join(sorted(map(str, ds.data_vars)))}",
                hint="give geopotential_at_surface [m2 s-2] and land_sea_mask [1]",
            )
        values = ds[name].squeeze(drop=True).transpose("longitude", "latitude").values.astype(np.float64)
        found[name] = grid_map(ds, points, path, settings.regrid)(values)
    return found


def transform_error(plan: Any) -> float:
    """Relative error of synthesis and analysis one after the other, of a field as smooth as the weather."""
    total = plan.total_wavenumber
    size = np.where(plan.mask & (total < plan.truncation.total - 1), 1.0 / (1.0 + total) ** 1.5, 0.0)
    x = jnp.asarray(size[..., None] * np.random.default_rng(0).normal(size=(*size.shape, 8)), plan.dtype)
    back = transform.analysis(plan, transform.synthesis(plan, x))
    return float(jnp.linalg.norm(back - x) / jnp.linalg.norm(x))


def _scheme(config: Any) -> str:
    return config.step.dycore.integrator


def _size(config: Any) -> str:
    grid, step = config.model.grid, config.step
    inner = step.substeps * step.dycore.inner_steps
    minutes = config.step_seconds / 60 / inner
    return (
        f"{grid.longitude_nodes} x {grid.latitude_nodes}, {config.model.levels.layers} layers; physics every "
        f"{config.step_seconds / 60 / step.substeps:g} min, dynamics every {minutes:.4g} min"
    )


def _tolerance(config: Any) -> np.timedelta64:
    """How far in time the sea surface may be from the model's date."""
    seconds = getattr(config.forcing, "tolerance", None)
    return _YEAR if seconds is None else np.timedelta64(round(seconds), "s")


def is_random(config: Any) -> bool:
    """Whether members of an ensemble differ: whether the model draws random fields."""
    kinds = (nodes.BatchGaussianRandomFields, nodes.NamedGaussianRandomFields)
    return any(isinstance(x, kinds) for x in (config.encoder.randomness, config.step.randomness))


def check_settings(settings: Rollout, config: Any) -> None:
    """SettingsError for options this model cannot meet."""
    step_hours = config.step_seconds / 3600
    steps = settings.interval_hours / step_hours
    if abs(steps - round(steps)) > 1e-6 or round(steps) < 1:
        raise SettingsError(
            f"--every-hours {settings.interval_hours:g}: the model steps by {step_hours:g} h",
            hint=f"use a multiple of {step_hours:g}",
        )
    if settings.members > 1 and not is_random(config) and not _starts_from_state(settings):
        raise SettingsError(
            f"--members {settings.members}: the model is deterministic, and all members would be equal",
            hint="use --members 1, or a stochastic model such as neuralgcm-ens-1.4",
        )
    if settings.output_levels != PRESSURE_LEVELS:
        there = np.asarray(config.data.pressure_levels, float)
        if settings.pressures is None:
            raise SettingsError(
                "--output-levels sigma: a NeuralGCM model is decoded on pressure levels",
                hint="add its own layers with --outputs default,sigma",
            )
        lacking = [p for p in settings.pressures if not np.isclose(p, there, rtol=1e-6).any()]
        if lacking:
            raise SettingsError(
                f"--output-levels: the model has no {', '.join(f'{p:g}' for p in lacking)} hPa",
                hint=f"accepted: {', '.join(f'{p:g}' for p in there)}",
            )


def _starts_from_state(settings: Rollout) -> bool:
    return settings.is_file and is_state_file(settings.initial)


# --- where it starts


def _start(
    settings: Rollout, model: Any, config: Any, progress: Progress
) -> tuple[Inputs | None, Any, np.datetime64, str]:
    """(inputs or None, ModelState or None, initial time, words)."""
    plan, levels, names = model.plan, config.data.pressure_levels, model.input_variables
    if _starts_from_state(settings):
        state, start, changed = read_state(settings.initial, model, state_like(model, settings.members))
        edited = f", with changed {', '.join(changed)}" if changed else ""
        progress.note(f"{settings.initial}: a state of this model{edited}")
        if settings.start is not None and np.datetime64(settings.start, "s") != start:
            raise SettingsError(
                f"--start {settings.start}: the state is that of {start}", hint="leave --start away"
            )  # fmt: skip
        return None, state, start, f"{Path(settings.initial).name}, {str(start)[:13]}"
    if not settings.is_file:
        inputs = simulated_inputs(plan, levels, names, settings.start)
        progress.note(f"no --initial: starting from a {inputs.title}")
    else:
        inputs = read_inputs(
            settings.initial, plan, levels, names, start=settings.start, method=settings.regrid,
            interpolation=settings.interpolation, progress=progress,
        )  # fmt: skip
    start = inputs.time
    if start is None:
        if settings.start is None:
            raise DataError(
                f"{settings.initial}: no time, and the sun and the sea need one",
                hint="say it with --start 2020-01-31T12:00",
            )
        start = np.datetime64(settings.start, "s")
    return inputs, None, start.astype("datetime64[s]"), inputs.title


def _sea(settings: Rollout, config: Any, plan: Any, start: np.datetime64, progress: Progress) -> SeaSurface:
    """The sea surface of the options; an increment or persistence of the model's own settings comes on top."""
    increment = settings.sst_increment + own_increment(config)
    if increment:
        progress.note(f"sea surface temperature {increment:+g} K")
    path = settings.sea_surface or (settings.initial if settings.is_file else None)
    if path is None:
        return simulated_sea_surface(plan, start, increment)
    persist = settings.persist_sst or isinstance(config.forcing, nodes.PersistenceDataForcing)
    return read_sea_surface(
        path, plan, start, method=settings.regrid, shift_hours=settings.forcing_shift_hours, persist=persist,
        increment=increment, progress=progress,
    )  # fmt: skip


# --- what it writes


def decoded_names(config: Any) -> tuple[str, ...]:
    """Names of the fields and diagnostics a decoder returns."""
    names = [*ABBREVIATED.values(), *config.tracers]
    for part in parts_of(config.decoder.diagnostics):
        if isinstance(part, nodes.SurfacePressureDiagnostics):
            names.append("surface_pressure")
        elif isinstance(part, nodes.NodalModelDiagnosticsDecoder):
            names += [name for one in parts_of(config.step.diagnostics) for name in names_of(one)]
    return tuple(names)


def _layout(settings: Rollout, model: Any, config: Any, start: np.datetime64) -> Layout:
    there = available(model, decoded_names(config))
    names = tuple(name for name in settings.neural_variables if name in there)
    missing = [name for name in settings.variables if name not in there]
    if missing or not names:
        raise SettingsError(
            f"--variables {','.join(missing)}: the model gives none of it"
            if missing
            else "--outputs: nothing to write",
            hint=f"accepted: {', '.join(there)}",
        )
    levels = tuple(float(p) for p in config.data.pressure_levels)
    pressures = levels if settings.output_levels == PRESSURE_LEVELS else settings.pressures
    deep = any(ATTRIBUTES[name][3] == "sigma" for name in names)
    plan = model.plan
    height = transform.synthesis(plan, model.equation.orography)
    surface = ATMOSPHERIC.dim(np.asarray(sphere_layout.to_standard(plan, height))[..., 0].T, "m") * EARTH.gravity
    return Layout(
        names, plan.longitude, plan.latitude, start, round(settings.interval_hours * 3600), settings.intervals + 1,
        settings.members, pressures, tuple(float(x) for x in model.levels.centers) if deep else None,
        surface={"geopotential_at_surface": surface},
    )  # fmt: skip
