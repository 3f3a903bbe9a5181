"""One integration: a dynamical core, its initial state, and what is computed from a state for file, log and report.

A carry is what the time scheme hands from step to step: the state, or a pair of states for the leapfrog. Members of an
ensemble are an axis before the level of every array, so that one call advances them all.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from sciml.kernels.sphere import layout as sphere_layout
from sciml.kernels.sphere.plan import Plan, make_plan
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.progress import Progress
from sciml.pipelines.readers.files import require_file

from . import diagnostics, watch
from .core import Core, make_core
from .dynamics.filters import EXPONENTIAL_TAU, exponential, fix_global_mean, horizontal_diffusion
from .dynamics.primitive_equations import primitive_equations
from .dynamics.shallow_water import shallow_water
from .dynamics.vertical import SigmaLevels, equidistant
from .ensemble import vorticity as random_vorticity
from .fields import physical_fields
from .output.files import Layout
from .parallel import STATE, device_mesh, share
from .scales import ATMOSPHERIC, EARTH
from .settings import DEFAULT_VARIABLES, TRACERS, VARIABLES, Rollout
from .setups.case import Atmosphere, Fluid, Where
from .setups.cases import case
from .setups.held_suarez import held_suarez
from .setups.initial import atmosphere, fluid, modal, orography, reference_potential

# Steps x wavenumbers^3 x levels x members between two looks at the clock and at stop requests: some seconds of work.
_CHUNK_WORK = 4e8
_START = np.datetime64("2000-01-01T00:00:00")  # of cases without a date of their own
# what conservation laws watch, by its name in the report
_CONSERVED = {
    "primitive": {"mass": "mean_surface_pressure", "energy": "total_energy", "angular momentum": "angular_momentum"},
    "shallow_water": {
        "mass": "mean_height", "energy": "total_energy", "potential enstrophy": "potential_enstrophy",
    },
}  # fmt: skip


@dataclass
class Integration:
    """Made by `prepare`."""

    settings: Rollout
    core: Core
    state: Any  # initial, without members
    layout: Layout
    title: str
    equations: str
    sigma: np.ndarray | None  # of the layers' centres; None for the shallow-water equations
    facts: Callable[[Any, Any], dict[str, Any]]  # diagnostics of this kind of equations
    compiling: float = 0.0  # [s] spent by `compile`

    @property
    def conserved(self) -> dict[str, str]:
        """What should not drift: name in the report -> name of the fact."""
        return _CONSERVED[self.settings.kind]

    def described(self) -> dict[str, Any]:
        """What this is, for results and the file."""
        return {
            "title": self.title, "equations": self.equations, "case": self.settings.initial, "kind": self.settings.kind,
            "truncation": self.settings.truncation, "levels": self.settings.levels, "start": str(self.layout.start),
            "scheme": self.settings.scheme, "forced": self.settings.forced,
        }  # fmt: skip

    @property
    def attributes(self) -> dict[str, Any]:
        """What the file says of the model."""
        settings = self.settings
        return {
            "truncation": settings.truncation, "model_levels": settings.levels, "step_seconds": settings.step_seconds,
            "scheme": settings.scheme, "forcing": "held_suarez" if settings.forced else "none",
            "precision": settings.precision,
        }  # fmt: skip

    # --- files beside the frames: the dynamical core writes none

    def attach(self, run: Any, path: Path, layout: Layout, progress: Progress) -> None:
        """Say where the frames are written, and under which layout."""

    def finish(self, carry: Any) -> list[str]:
        """Complete the files beside the frames; returns warnings."""
        return []

    def close(self) -> None:
        """Leave the files beside the frames as they are."""

    def results(self) -> dict[str, Any]:
        """What results.json says beyond what every run has."""
        return {}

    # --- time

    @property
    def step_seconds(self) -> float:
        """Time step [s]."""
        return self.settings.step_seconds

    @property
    def steps_per_interval(self) -> int:
        """Steps between two frames."""
        return self.settings.steps_per_interval

    @property
    def chunk_steps(self) -> int:
        """Steps between two looks at the clock."""
        return chunk_steps(self.settings)

    @property
    def advice(self) -> str:
        """What to do after a blow-up."""
        settings = self.settings
        return (
            f"use --step-minutes {smaller_step(settings):g} (now {settings.step_seconds / 60:g}), "
            f"or --diffusion-hours {settings.diffusion / 2 or 6:.3g}"
        )

    def initial(self) -> Any:
        """The carry at the start, with members and their perturbations."""
        state = self.state
        if self.settings.members > 1:
            state = self._perturbed(state)
        if self.settings.digital_filter_hours:
            span = ATMOSPHERIC.nondim(self.settings.digital_filter_hours, "hour")
            state = self.core.initialise(state, span)
        return self.core.start(self._placed(state))

    def _placed(self, tree: Any) -> Any:
        """`tree` where the devices want it."""
        return tree if self.core.plan.how.mesh is None else share(self.core.plan, tree)

    def _perturbed(self, state: Any) -> Any:
        """`state` for every member, [*modal, e, k], with random wind in all but the first."""
        settings, plan = self.settings, self.core.plan
        sigma = self.sigma if self.sigma is not None else np.array([0.5])
        several = jax.tree.map(lambda x: jnp.repeat(x[..., None, :], settings.members, axis=-2), state)
        parts = [
            random_vorticity(settings.seed, member, sigma, settings.perturbation, EARTH.radius)
            for member in range(settings.members)
        ]
        rows = ATMOSPHERIC.nondim(np.stack(parts, axis=-2), "s-1")
        noise = sphere_layout.modal_from_rows(plan, rows)
        return replace(several, vorticity=several.vorticity + jnp.asarray(noise, several.vorticity.dtype))

    def compile(self, carry: Any) -> None:
        """Compile what the run needs, all of it at once: XLA takes one core for each, and holds no Python lock."""
        clock = time.monotonic()
        spare = jax.tree.map(jnp.copy, carry)
        with ThreadPoolExecutor() as pool:
            work = [pool.submit(self.core.advance, spare, 0)]
            work += [pool.submit(see, carry) for see in (self.fields, self.diagnose, self.spectrum)]
            for each in work:
                jax.block_until_ready(each.result())
        self.compiling += time.monotonic() - clock

    def advance(self, carry: Any, steps: int) -> Any:
        """`carry` after some steps; its old arrays are used up."""
        return jax.block_until_ready(self.core.advance(carry, steps))

    def date(self, day: float) -> str:
        """Model date and time after some days."""
        return str(self.layout.start + np.timedelta64(round(day * 1440), "m"))[:16]

    # --- to and from a checkpoint

    def tensors(self, carry: Any) -> dict[str, np.ndarray]:
        """Arrays of a carry by name."""
        return {jax.tree_util.keystr(path): np.asarray(x) for path, x in jax.tree_util.tree_leaves_with_path(carry)}

    def restore(self, tensors: Mapping[str, np.ndarray]) -> Any:
        """The carry that `tensors` were taken from."""
        like = jax.eval_shape(self.initial)
        named, form = jax.tree_util.tree_flatten_with_path(like)
        names = [jax.tree_util.keystr(path) for path, _ in named]
        shapes = {name: leaf.shape for name, (_, leaf) in zip(names, named, strict=True)}
        if {name: x.shape for name, x in tensors.items()} != shapes:
            raise DataError("the checkpoint is of another model", hint="start a new run without --resume")
        return self._placed(jax.tree.unflatten(form, [jnp.asarray(tensors[name]) for name in names]))

    # --- what is seen

    def fields(self, carry: Any) -> dict[str, np.ndarray]:
        """One frame: variables [number, level, latitude, longitude] of the file, as far as each has these axes."""
        state, layout = self.core.state(carry), self.layout
        found = physical_fields(self.core.equation, state, layout.variables, layout.pressures)
        return {name: x.reshape(layout.shape(name)) for name, x in found.items()}

    def diagnose(self, carry: Any) -> dict[str, float]:
        """Facts of a state for metrics and progress: means over the members, extremes over all."""
        with np.errstate(all="ignore"):  # a lost integration is told by `lost`, in words
            found = jax.device_get(self.facts(self.core.equation, self.core.state(carry)))
        return {name: float(x) for name, x in found.items()}

    def spectrum(self, carry: Any) -> np.ndarray:
        """Kinetic energy per total wavenumber [m2 s-2], mean over the members."""
        return diagnostics.kinetic_energy_spectrum(self.core.equation, self.core.state(carry))

    def sound(self, carry: Any) -> bool:
        """Whether all numbers are finite."""
        return bool(watch.all_finite(carry))

    def lost(self, carry: Any, most_wind: float) -> str:
        """Where the integration has left what an atmosphere can be; "" if it has not."""
        return watch.lost(self.core.plan, self.core.state(carry), self.sigma, most_wind)


def prepare(settings: Rollout, progress: Progress, platform: str, devices: Sequence[Any] | None = None) -> Integration:
    """Read or compute the initial state and build the core; `platform` is that of the device, e.g. cpu.

    Several `devices` share members and state (parallel.py).

    Raises SettingsError for an unknown truncation, DataError for an analysis that does not hold what is needed.
    """
    for path in (settings.initial if settings.is_file else None, settings.surface):
        if path is not None:
            require_file(Path(path))
    mesh = device_mesh(settings.members, devices) if devices is not None and len(devices) > 1 else None
    plan = _plan(settings, platform, mesh)
    about = f"{settings.truncation} ({plan.truncation.nlon} x {plan.truncation.nlat})"
    if settings.shallow_water:
        initial = case(settings.initial, Where.of(plan))
        equation, state, equations = _fluid(plan, initial)
        facts, sigma = diagnostics.fluid, None
    else:
        levels = equidistant(settings.levels)
        initial = _atmosphere_of(settings, plan, levels, progress)
        equation, state, equations = _atmosphere(plan, levels, initial)
        facts, sigma, about = diagnostics.atmosphere, levels.centers, f"{about}, {settings.levels} levels"
    if settings.forced:
        equations += ", forced as by Held and Suarez (1994)"
    forcing = held_suarez(equation.levels, plan.dtype) if settings.forced else None
    dt = ATMOSPHERIC.nondim(settings.step_seconds, "s")
    core = make_core(equation, dt, scheme=settings.scheme, filters=_filters(settings, plan, dt), forcing=forcing)
    core = core if mesh is None else share(plan, core)
    layout = _layout(settings, plan, initial, state, sigma)
    progress.note(f"{initial.title}; {about}; step {settings.step_seconds / 60:g} min, {settings.scheme}")
    return Integration(settings, core, state, layout, f"{initial.title}, {about}", equations, sigma, facts)


def _plan(settings: Rollout, platform: str, mesh: Mesh | None) -> Plan:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the command has its own words for TF32
        try:
            return make_plan(
                settings.truncation, precision=settings.precision, platform=platform, mesh=mesh, axis=mesh and STATE
            )
        except ValueError as error:
            raise SettingsError(f"--truncation {settings.truncation}: {error}", hint="e.g. T42, T85, TL63") from None


def _atmosphere_of(settings: Rollout, plan: Plan, levels: SigmaLevels, progress: Progress) -> Atmosphere:
    if not settings.is_file:
        return case(settings.initial, Where.of(plan, levels), settings.seed)
    from .setups.analysis import read_analysis

    return read_analysis(
        settings.initial,
        plan,
        levels,
        surface=settings.surface,
        start=settings.start,
        method=settings.regrid,
        progress=progress,
    )


def _atmosphere(plan: Plan, levels: SigmaLevels, initial: Atmosphere) -> tuple[Any, Any, str]:
    surface = orography(plan, initial.surface_geopotential)
    moist = bool(initial.tracers)
    equation = primitive_equations(plan, levels, initial.reference_temperature, surface, moist=moist)
    words = f"{'moist' if moist else 'dry'} hydrostatic primitive equations in sigma coordinates"
    return equation, atmosphere(plan, initial), words


def _fluid(plan: Plan, initial: Fluid) -> tuple[Any, Any, str]:
    bottom = modal(plan, ATMOSPHERIC.nondim(initial.bottom, "m"))
    equation = shallow_water(plan, reference_potential(plan, initial), bottom)
    return equation, fluid(plan, initial), "shallow-water equations"


def _filters(settings: Rollout, plan: Plan, dt: float) -> tuple[Any, ...]:
    hours = settings.filter_hours
    # the filter's own time scale is that of a factor exp(-1), and the setting's that of exp(-16)
    tau = EXPONENTIAL_TAU if hours is None else ATMOSPHERIC.nondim(hours, "hour") / 16
    found = [exponential(plan, dt, tau)] if settings.filtered else []
    if settings.diffusion:
        span = ATMOSPHERIC.nondim(settings.diffusion, "hour")
        spared = () if settings.shallow_water else ("log_surface_pressure",)
        found.append(horizontal_diffusion(plan, dt, span, settings.diffusion_power, spared))
    if settings.fixes_mass:
        found.append(fix_global_mean(plan, "potential" if settings.shallow_water else "log_surface_pressure"))
    return tuple(found)


def _layout(settings: Rollout, plan: Plan, initial: Any, state: Any, sigma: np.ndarray | None) -> Layout:
    names = settings.variables or DEFAULT_VARIABLES[settings.kind]
    if not settings.variables and not settings.shallow_water:
        names += tuple(state.tracers)
    there = set(VARIABLES[settings.kind]) - set(TRACERS) | set(getattr(state, "tracers", ()))
    for name in names:
        if name not in there:
            raise SettingsError(
                f"--variables {name}: --initial {settings.initial} holds none of it", hint=f"accepted: {sorted(there)}"
            )
    start = np.datetime64(settings.start, "s") if settings.start else getattr(initial, "time", None) or _START
    below = {"geopotential_at_surface": getattr(initial, "surface_geopotential", None)}
    if settings.shallow_water:
        below = {"height_of_bottom": initial.bottom}
    surface = {name: np.asarray(x)[..., 0].T for name, x in below.items()}
    pressures = None if settings.shallow_water else settings.pressures
    return Layout(
        tuple(names), plan.longitude, plan.latitude, start, round(settings.interval_hours * 3600), settings.intervals + 1,
        settings.members, pressures, None if pressures or sigma is None else tuple(sigma), surface=surface,
    )  # fmt: skip


def chunk_steps(settings: Rollout) -> int:
    """Steps in one compiled loop: the largest divisor of an interval's steps that takes some seconds at most."""
    most = _CHUNK_WORK / (max(settings.wavenumber, 1) ** 3 * settings.levels * settings.members)
    steps = settings.steps_per_interval
    return max(n for n in range(1, steps + 1) if steps % n == 0 and (n <= most or n == 1))


def smaller_step(settings: Rollout) -> float:
    """A step to try after a blow-up [min]: what `auto` takes, or half of that if it was taken."""
    automatic = replace(settings, step_minutes="auto").step_seconds / 60
    now = settings.step_seconds / 60
    if automatic < 0.99 * now:
        return automatic
    return settings.interval_hours * 60 / (2 * settings.steps_per_interval)
