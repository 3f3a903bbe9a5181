"""One run of a NeuralGCM model, as the loop of `sciml gcm rollout` drives it: start, steps, frames, checkpoint, guard.

The forcing of a step is that of its beginning, taken from the file on the host: only the times that are needed are read,
and memory does not grow with the length of the run. A carry holds the model's state, the steps taken and the members
lost. Axes: [*modal], [*nodal] axes of the plan, e member (always there), k layer, p pressure level.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm import diagnostics, watch
from sciml.pipelines.gcm.output.files import Layout
from sciml.pipelines.gcm.output.variables import ATTRIBUTES
from sciml.pipelines.gcm.settings import Rollout
from sciml.pipelines.gcm.watch import MOST_WIND
from sciml.pipelines.progress import Progress

from . import members, rollout_guard
from .climate import Means
from .inputs import Inputs, sim_time_of
from .inputs_sea_surface import NAMES, SeaSurface
from .rollout_frames import frame, global_means
from .rollout_state import from_tensors, to_tensors, write_state

_CONSERVED = {"mass": "mean_surface_pressure", "energy": "total_energy"}
_CHUNK = 6.0  # model steps of one member at TL63 between two looks at the clock: some seconds on a CPU


@dataclass(frozen=True)
class Carry:
    """What is carried: ModelState, steps since the start, and per member [e] the step at which it was lost, or -1."""

    state: Any
    steps: int
    lost: np.ndarray

    @property
    def sound(self) -> np.ndarray:
        """Which members [e] are still an atmosphere."""
        return self.lost < 0


def state_like(model: Any, members: int) -> Any:
    """Structure, shapes and types of a model's states; reads and computes nothing."""
    plan = model.plan
    deep = jax.ShapeDtypeStruct((*plan.nodal_shape, 1, len(model.pressure_levels)), jnp.float32)
    flat = jax.ShapeDtypeStruct((*plan.nodal_shape, 1, 1), jnp.float32)
    inputs, forcing = dict.fromkeys(model.input_variables, deep), dict.fromkeys(NAMES, flat)
    encode = partial(type(model).encode, members=members)
    return jax.eval_shape(encode, model, inputs, forcing, jax.random.key(0), sim_time=jnp.float32(0))


@dataclass
class NeuralIntegration:
    """Made by rollout_prepare.prepare; the protocol is that of pipelines.gcm.integration.Integration."""

    settings: Rollout
    model: Any
    layout: Layout
    title: str
    sea: SeaSurface
    inputs: Inputs | None  # None: the run starts from `state`
    state: Any = None  # ModelState of a file of ours
    about: dict[str, Any] = field(default_factory=dict)  # of the model, for results and the file
    compiling: float = 0.0
    progress: Progress = field(default_factory=Progress)
    means: list[Means] = field(default_factory=list)
    _seen: tuple[int, dict[str, np.ndarray]] | None = None
    _run: Any = None
    _path: Path | None = None

    # --- what this is

    @property
    def conserved(self) -> dict[str, str]:
        """What should drift little: name in the report -> name of the fact."""
        return dict(_CONSERVED)

    @property
    def sigma(self) -> np.ndarray:
        """Centres of the layers."""
        return np.asarray(self.model.levels.centers)

    @property
    def step_seconds(self) -> float:
        """Time step [s]."""
        return 3600.0 * self.model.step_hours

    @property
    def steps_per_interval(self) -> int:
        """Steps between two frames."""
        return round(self.settings.interval_hours * 3600 / self.step_seconds)

    @property
    def chunk_steps(self) -> int:
        """Steps between two looks at the clock; a divisor of an interval's."""
        work = (self.model.plan.truncation.zonal / 64) ** 3 * self.settings.members
        steps = self.steps_per_interval
        return max(n for n in range(1, steps + 1) if steps % n == 0 and (n <= _CHUNK / work or n == 1))

    @property
    def advice(self) -> str:
        """What to do after a blow-up."""
        if self.settings.random_weights:
            return "untrained weights run away within a day: write --every-hours 1 and look at the first hours"
        return "try another --seed or initial time, --fix-mass in long runs, or look at the inputs' values"

    @property
    def attributes(self) -> dict[str, Any]:
        """What the file says of the model."""
        settings = self.settings
        return {
            "model": self.about["model"], "model_levels": len(self.sigma), "step_seconds": self.step_seconds,
            "precision": settings.precision, "seed": settings.seed, "sst_increment": settings.sst_increment,
            "forcing_shift_hours": settings.forcing_shift_hours, "persist_sst": int(settings.persist_sst),
            "fix_mass": int(settings.fixes_mass), **self.about.get("file", {}),
        }  # fmt: skip

    def described(self) -> dict[str, Any]:
        """What this is, for results and the file."""
        t = self.model.plan.truncation
        return {
            "title": self.title, "equations": "NeuralGCM: primitive equations with learned physics, encoder and decoder",
            "case": "neural", "kind": "neural", "truncation": f"{t.nlon} x {t.nlat}", "levels": len(self.sigma),
            "start": str(self.layout.start), "scheme": self.about["scheme"], "forced": False,
            "parameters": self.about["parameters"], "model": self.about["model"],
        }  # fmt: skip

    def results(self) -> dict[str, Any]:
        """Members lost, and the files beside the frames."""
        lost = {str(n): value for n, value in sorted(self.about.get("lost", {}).items())}
        files = {means.period: str(means.path) for means in self.means if means.output is not None}
        found: dict[str, Any] = {"lost_members": lost, "means": files}
        if self.writes_state and self._run is not None:
            found["state"] = str(self.state_path)
        return found

    # --- files beside the frames

    @property
    def writes_state(self) -> bool:
        """Whether the state at the end is written."""
        return any(ATTRIBUTES[name][3] == "sigma" and name.endswith("_on_sigma") for name in self.layout.variables)

    @property
    def state_path(self) -> Path:
        """The file of the state at the end."""
        return self._path.with_name(f"{self._path.stem}.state.nc")

    def attach(self, run: Any, path: Path, layout: Layout, progress: Progress) -> None:
        """Say where the frames are written, and under which layout."""
        self._run, self._path, self.progress = run, path, progress
        hours, sample = round(self.settings.days * 24), self.settings.sample_hours
        self.means = [Means(period, path, layout, hours, sample) for period in self.settings.means]
        for means in self.means:
            if means.output is None:
                progress.note(
                    f"the run holds no whole {means.period.removesuffix('ly')}: no {means.period} mean is written"
                )

    def finish(self, carry: Any = None) -> list[str]:
        """Complete the files beside the frames; returns warnings."""
        if carry is not None and self.writes_state:
            when = self._valid(carry.steps)
            write_state(self.state_path, self.model, carry.state, when, self.sea.at(when), self.attributes)
        return [means.finish() for means in self.means]

    def close(self) -> None:
        """Leave the files beside the frames as they are."""
        for means in self.means:
            means.close()

    # --- time

    def _valid(self, steps: int) -> np.datetime64:
        return self.layout.start + np.timedelta64(round(steps * self.step_seconds), "s")

    def date(self, day: float) -> str:
        """Model date and time after some days."""
        return str(self.layout.start + np.timedelta64(round(day * 1440), "m"))[:16]

    def initial(self) -> Carry:
        """The carry at the start."""
        state = self.state if self.inputs is None else self._encoded()
        for means in self.means:
            means.create()
        carry = Carry(state, 0, np.full(self.settings.members, -1))
        self._sample(carry)
        return carry

    def _encoded(self) -> Any:
        sim_time = sim_time_of(self.layout.start, self.model.config.reference_datetime)
        key = jax.random.key(self.settings.seed)
        inputs, forcing = self.inputs.nodal(self.model.plan), self.sea.at(self.layout.start)
        return members.encode(self.model, inputs, forcing, key, self.settings.members, jnp.float32(sim_time))

    def compile(self, carry: Carry) -> None:
        """Compile what the run needs, all of it at once."""
        clock = time.monotonic()
        forcing = self.sea.at(self._valid(carry.steps))
        with ThreadPoolExecutor() as pool:
            work = [pool.submit(members.prepare, self.model, carry.state, forcing, self.settings.fixes_mass)]
            work += [pool.submit(see, carry) for see in (self.diagnose, self.spectrum, self.sound)]
            for each in work:
                jax.block_until_ready(each.result())
        self.compiling += time.monotonic() - clock

    def advance(self, carry: Carry, steps: int) -> Carry:
        """`carry` after some steps; its old arrays are used up. Members that are lost on the way become NaN."""
        for _ in range(steps):
            forcing = self.sea.at(self._valid(carry.steps))
            state = members.advance(self.model, carry.state, forcing, self.settings.fixes_mass)
            carry = replace(carry, state=state, steps=carry.steps + 1)
            self._sample(carry)
        jax.block_until_ready(carry.state)
        return self._guarded(carry)

    def _sample(self, carry: Carry) -> None:
        """Give the means what they are due."""
        hours = carry.steps * self.step_seconds / 3600
        if self.means and hours % self.settings.sample_hours == 0:
            fields = self.fields(carry)
            for means in self.means:
                means.add(round(hours), fields)

    def _guarded(self, carry: Carry) -> Carry:
        """`carry` with newly lost members set to NaN, as long as others are left."""
        if self.settings.members == 1:
            return carry
        dynamic = carry.state.state
        now = rollout_guard.sound_members(self.model.plan, dynamic, MOST_WIND)
        newly = carry.sound & ~now
        if not newly.any() or not now.any():
            return carry
        for member in np.flatnonzero(newly):
            self._say_lost(carry, int(member))
        lost = np.where(newly, carry.steps, carry.lost)
        self._seen = None
        return replace(carry, state=replace(carry.state, state=rollout_guard.without(dynamic, lost >= 0)), lost=lost)

    def _say_lost(self, carry: Carry, member: int) -> None:
        why = rollout_guard.what_happened(self.model.plan, carry.state.state, member, self.sigma, MOST_WIND)
        when = str(self._valid(carry.steps))[:16]
        day = carry.steps * self.step_seconds / 86400
        self.about.setdefault("lost", {})[member] = {"day": day, "date": when, "why": why}
        kept = ""
        if self._run is not None:
            last = self._run.path / "checkpoints" / "last.safetensors"
            if last.is_file():
                shutil.copy(last, last.with_name(f"before_loss_of_member_{member}.safetensors"))
                kept = f"; the state before it is kept in {last.parent}"
        self.progress.warn(
            f"member {member} was lost by day {day:.4g} ({when}): {why}; its frames are NaN from here, the others go on{kept}"
        )

    # --- to and from a checkpoint

    def tensors(self, carry: Carry) -> dict[str, np.ndarray]:
        """Arrays of a carry by name, with the unfinished means."""
        found = to_tensors(carry.state) | {"carry.steps": np.array(carry.steps), "carry.lost": np.asarray(carry.lost)}
        for means in self.means:
            found |= means.tensors()
        return found

    def restore(self, tensors: Mapping[str, np.ndarray]) -> Carry:
        """The carry that `tensors` were taken from."""
        own = {name: x for name, x in tensors.items() if not name.startswith(("carry.", "means."))}
        if "carry.lost" not in tensors or len(tensors["carry.lost"]) != self.settings.members:
            raise DataError("the checkpoint is of another model", hint="start a new run without --resume")
        for means in self.means:
            means.restore(tensors)
        self._seen = None
        lost = np.array(tensors["carry.lost"])
        for member in np.flatnonzero(lost >= 0):
            day = float(lost[member] * self.step_seconds / 86400)
            said = {"day": day, "date": self.date(day), "why": "before the run was resumed"}
            self.about.setdefault("lost", {}).setdefault(int(member), said)
        return Carry(
            from_tensors(own, state_like(self.model, self.settings.members)), int(tensors["carry.steps"]), lost
        )

    # --- what is seen

    def fields(self, carry: Carry) -> dict[str, np.ndarray]:
        """One frame: variables [number, level, latitude, longitude] of the file, as far as each has these axes."""
        if self._seen is None or self._seen[0] != carry.steps:
            forcing = self.sea.at(self._valid(carry.steps))
            found = frame(self.model, carry.state, forcing, self.layout.variables, self.layout.pressures)
            for name, x in found.items():
                if not carry.sound.all() and x.shape[0] == len(carry.sound):
                    found[name] = np.where(carry.sound.reshape(-1, *[1] * (x.ndim - 1)), x, np.nan).astype(x.dtype)
            self._seen = carry.steps, {name: x.reshape(self.layout.shape(name)) for name, x in found.items()}
        return self._seen[1]

    def diagnose(self, carry: Carry) -> dict[str, float]:
        """Facts of a state for metrics and progress: means over the members left, extremes over all of them."""
        state = rollout_guard.members(carry.state.state, carry.sound)
        with np.errstate(all="ignore"):
            facts = jax.device_get(diagnostics.atmosphere(self.model.equation, state))
        found = {name: float(x) for name, x in facts.items()}
        found |= global_means(self.fields(carry), self.layout)
        if self.settings.members > 1:
            found["members"] = float(carry.sound.sum())
        return found

    def spectrum(self, carry: Carry) -> np.ndarray:
        """Kinetic energy per total wavenumber [m2 s-2], mean over the members left."""
        state = rollout_guard.members(carry.state.state, carry.sound)
        return diagnostics.kinetic_energy_spectrum(self.model.equation, state)

    def sound(self, carry: Carry) -> bool:
        """Whether at least one member is finite, all those that are not known as lost if there are several."""
        return bool(watch.all_finite(rollout_guard.members(carry.state.state, carry.sound)))

    def lost(self, carry: Carry, most_wind: float) -> str:
        """Where the integration has left what an atmosphere can be; "" if it has not."""
        state = rollout_guard.members(carry.state.state, carry.sound)
        return watch.lost(self.model.plan, state, self.sigma, most_wind)
