"""`sciml gcm rollout`: integrate, write a frame at every output interval, checkpoint, watch, and report.

Order at an output time: fields, checks, frame committed to the file, metrics row, checkpoint. A checkpoint therefore never
knows a frame that the file lacks, and resuming drops what the file has beyond the checkpoint; the same numbers follow
again, bit for bit on the same device, because the steps between two checkpoints are one compiled loop in both runs.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from sciml.pipelines.checkpoint import write_atomic
from sciml.pipelines.errors import DataError, NumericalError, ScimlError, SettingsError, Stopped
from sciml.pipelines.progress import Progress, Task
from sciml.pipelines.run import Run, StopRequests, check_unchanged
from sciml.pipelines.settings import dump, resolve

from .devices import arithmetic, choose_devices
from .integration import Integration, prepare
from .memory import estimate
from .output.files import Layout, NetCDFOutput, open_output
from .settings import Rollout
from .watch import MOST_WIND

MAY_CHANGE = {"days", "max_minutes", "device", "devices", "resume", "out", "report", "overwrite"}


def rollout(settings: Rollout, given: Mapping[str, Any] | None = None, progress: Progress | None = None) -> Run:
    """Run or resume; returns the run folder, whose results.json holds everything that is printed.

    Raises SettingsError, DataError (input, full disk), NumericalError (blow-up), DeviceError, Stopped.
    """
    progress = progress or Progress()
    began = time.monotonic()
    run = None
    if settings.resume is not None:
        run = Run.resume(settings.resume)
        settings = _resumed(run, settings, given or {})
    else:
        # a longer --days on resume must not change what the length of the run decided
        settings = replace(settings, every_hours=settings.interval_hours, fix_mass=settings.fixes_mass)
        _check_place(settings)
    devices = choose_devices(settings.device, settings.devices, progress)
    device = devices[0]
    with arithmetic(settings.precision, device, progress):
        integration = _prepared(settings, progress, device.platform, devices)
        run = run or _new_run(settings, device)
        try:
            _Loop(run, settings, integration, str(device), progress, began).run_all()
        except ScimlError as error:
            if not isinstance(error, Stopped):
                run.set_status("failed", reason=str(error))
            raise
    return run


def dry_run(settings: Rollout, progress: Progress | None = None) -> dict[str, Any]:
    """Resolved settings, sizes and estimated memory, without integrating."""
    progress = progress or Progress()
    device = choose_devices(settings.device, settings.devices, progress)[0]
    return {
        "settings": {f.name: getattr(settings, f.name) for f in fields(settings)},
        "sizes": {"device": str(device), **_sizes(settings)},
    }


def _sizes(settings: Rollout) -> dict[str, Any]:
    if settings.neural:
        from .neural.rollout_memory import estimate as neural_estimate

        return neural_estimate(settings)
    return estimate(settings)


def _prepared(settings: Rollout, progress: Progress, platform: str, devices: Sequence[Any]) -> Any:
    """The integration of the settings: of the dynamical core alone, or of a NeuralGCM model."""
    if settings.neural:
        from .neural.rollout_prepare import prepare as prepare_neural

        return prepare_neural(settings, progress, platform)
    return prepare(settings, progress, platform, devices)


def _check_place(settings: Rollout) -> None:
    """Refuse a --to that is there already, or whose folder cannot be written, before anything is made."""
    if settings.to is None:
        return
    if settings.to.exists() and not settings.overwrite:
        raise SettingsError(f"{settings.to}: exists already", hint="use --overwrite, or --to another name")
    folder = settings.to.absolute().parent
    if settings.to.suffix == ".zarr":  # which makes its parents
        folder = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise DataError(
            f"--to {settings.to}: cannot write into {folder}: {error.strerror or error}; nothing was written",
            hint="choose another place with --to",
        ) from None


def _new_run(settings: Rollout, device: Any) -> Run:
    inputs = {"initial": Path(settings.initial)} if settings.is_file else {}
    for name in ("surface", "checkpoint", "sea_surface"):
        path = getattr(settings, name)
        inputs |= {name: path} if path is not None and path.is_file() else {}
    return Run.create(
        "gcm", "rollout", settings, out=settings.out, inputs=inputs, device=str(device), seeds=[settings.seed]
    )


def _resumed(run: Run, settings: Rollout, given: Mapping[str, Any]) -> Rollout:
    """The run's own settings, with the few that a resumed run may change."""
    check_unchanged(run.settings(), given, MAY_CHANGE)
    run.check_inputs()
    stored = resolve(Rollout, {}, run.path / "settings.toml")
    changed = {name: getattr(settings, name) for name in MAY_CHANGE if name in given and name not in ("resume", "out")}
    resumed = replace(stored, **changed)
    if resumed.intervals < stored.intervals:
        raise SettingsError(
            f"--days {resumed.days:g}: the run is {stored.days:g} days long, and a resumed run can only be extended",
            hint=f"leave --days away, or start a new run with --days {resumed.days:g}",
        )
    return resumed


class _Loop:
    """One process' part of a run: from the start or from the last checkpoint to the end or to a stop."""

    def __init__(
        self, run: Run, settings: Rollout, integration: Integration, device: str, progress: Progress, began: float
    ):
        self.run, self.settings, self.integration = run, settings, integration
        self.device, self.progress, self.began = device, progress, began
        self.path = _output_path(run, settings)
        layout = _layout(run, settings, integration)
        self.output = open_output(self.path, layout)
        integration.attach(run, self.path, layout, progress)
        self.chunk = integration.chunk_steps
        self.steps = 0  # since the last frame
        self.spectra: list[dict[str, Any]] = []
        self.seconds = {"total": 0.0, "compile": 0.0, "integration": 0.0}
        self.before = dict(self.seconds)  # what earlier processes spent

    def run_all(self) -> None:
        """Everything up to results.json and the report."""
        settings = self.settings
        self.run.set_status("running", output=str(self.path.absolute()))
        write_atomic(self.run.path / "settings.toml", dump(settings, leave_out=("out", "resume")).encode())
        deadline = self.began + 60 * settings.max_minutes if settings.max_minutes else float("inf")
        with StopRequests() as stop:
            carry = self._start()
            with self.progress.task("rollout", settings.days - self._day(), "days") as task:
                if carry is not None and self.output.frames == 0:
                    self._frame(carry, task)
                while carry is not None and self.output.frames <= settings.intervals:
                    carry = self._advance(carry, task)
                    if self.output.frames <= settings.intervals and self._stopped(stop, deadline):
                        return
        self._finish(carry)

    # --- parts

    def _start(self) -> Any:
        """The state to go on from, of the last checkpoint or the initial one; None if all frames are written and packed."""
        kept = self.run.load("last")
        if kept is None:
            self.run.keep_metrics(lambda row: False)
            self.output.create()
            self._warn_of_space()
            carry = self.integration.initial()
        else:
            tensors, header = kept
            self.steps, self.spectra, self.before = header["steps"], header["spectra"], header["seconds"]
            if header["frames"] > self.settings.intervals and self.output.packed():
                self.progress.note(f"{self.run.path} has all its frames")
                return None
            self.output.reopen(header["frames"])
            self.run.keep_metrics(lambda row: row.get("frame", -1) < header["frames"])
            self.progress.note(f"continuing {self.run.path} at day {self._day():g}")
            carry = self.integration.restore(tensors)
        self.integration.compile(carry)
        self.seconds["compile"] = self.integration.compiling
        return carry

    def _advance(self, carry: Any, task: Task) -> Any:
        """One chunk of steps, and the frame if it ends an interval."""
        clock = time.monotonic()
        carry = self.integration.advance(carry, self.chunk)
        spent = time.monotonic() - clock
        self.seconds["integration"] += spent
        self.steps += self.chunk
        days = self.chunk * self.integration.step_seconds / 86400
        if self.steps == self.integration.steps_per_interval:
            self.steps = 0
            self._frame(carry, task)
        elif not self.integration.sound(carry):
            self._lost()
        else:
            self._checkpoint(carry)
        task.advance(days, **{"years/day": round(days / 365.25 / (spent / 86400), 1)})
        return carry

    def _frame(self, carry: Any, task: Task) -> None:
        frame = self.output.frames
        facts = self.integration.diagnose(carry)
        if not _sound(facts):
            self._lost()
        self.output.append(self.integration.fields(carry))
        day = frame * self.settings.interval_hours / 24
        self.run.metrics(frame=frame, day=day, **facts)
        if frame in self.settings.report_frames:
            self.spectra.append({"day": day, "kinetic_energy": self.integration.spectrum(carry).tolist()})
        self._checkpoint(carry)
        task.update(**shown(self.integration.date(day), facts))

    def _checkpoint(self, carry: Any) -> None:
        self.seconds["total"] = time.monotonic() - self.began
        spent = {name: self.before.get(name, 0.0) + value for name, value in self.seconds.items()}
        header = {"frames": self.output.frames, "steps": self.steps, "spectra": self.spectra, "seconds": spent}
        self.run.save("last", self.integration.tensors(carry), header)

    def _stopped(self, stop: StopRequests, deadline: float) -> bool:
        """Whether --max-minutes is over; Stopped if a signal has come. Either leaves the checkpoint just written."""
        reason = "signal" if stop.signum is not None else "max_minutes" if time.monotonic() > deadline else ""
        if not reason:
            return False
        day, again = self._day(), f"continue with sciml gcm rollout --resume {self.run.path}"
        self.run.set_status("stopped", reason=reason, day=day)
        self.output.close()
        self.integration.close()
        stop.check(f"stopped at day {day:g}; {self.output.frames} frames and a checkpoint are kept", hint=again)
        self.progress.warn(f"stopped at day {day:g} after --max-minutes {self.settings.max_minutes:g}; {again}")
        return True

    def _day(self) -> float:
        hours = max(self.output.frames - 1, 0) * self.settings.interval_hours
        return hours / 24 + self.steps * self.integration.step_seconds / 86400

    def _lost(self) -> None:
        """Find the step at which the integration was lost by repeating the last chunk step by step; NumericalError."""
        settings, kept = self.settings, self.run.load("last")
        if kept is None:
            raise DataError(
                f"--initial {settings.initial}: the initial state is not of this Earth: "
                f"{self.integration.lost(self.integration.initial(), MOST_WIND)}",
                hint="look at the file's winds, temperatures and units",
            )
        tensors, header = kept
        carry, where, step, frames = self.integration.restore(tensors), "", 0, header["frames"]
        while not where and step < self.chunk:
            carry, step = self.integration.advance(carry, 1), step + 1
            where = self.integration.lost(carry, MOST_WIND)
        total = (frames - 1) * self.integration.steps_per_interval + header["steps"] + step
        day = total * self.integration.step_seconds / 86400
        raise NumericalError(
            f"the integration was lost at step {total} (day {day:.4g}, {self.integration.date(day)}): {where}; "
            f"{frames} frames up to day {(frames - 1) * settings.interval_hours / 24:g} are kept in {self.path}",
            hint=self.integration.advice,
        )

    def _warn_of_space(self) -> None:
        free = shutil.disk_usage(self.path.absolute().parent).free
        need = self.output.layout.frame_bytes() * (self.settings.intervals + 1)
        if isinstance(self.output, NetCDFOutput):
            need = int(need * 1.7)  # the compressed copy stands beside the file until it takes its place
        if need > free:
            self.progress.warn(
                f"the run will write up to {need / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free in "
                f"{self.path.absolute().parent}: write fewer --variables or --output-levels, or longer --every-hours"
            )

    def _finish(self, carry: Any) -> None:
        """Pack the file, write the results and the report; carry is None if that file is packed already."""
        warnings = [] if carry is None else [self.output.finish(), *self.integration.finish(carry)]
        for warning in filter(None, warnings):
            self.progress.warn(warning)
        self.seconds["total"] = time.monotonic() - self.began
        results = self._results()
        self.run.write_json("results.json", results)
        if self.settings.report:
            from .report.page import write_report

            write_report(self.run, results)
        self.run.set_status("finished", day=self.settings.days, reason=None)

    def _results(self) -> dict[str, Any]:
        settings, rows = self.settings, self.run.read_metrics()
        spent = {name: self.before.get(name, 0.0) + value for name, value in self.seconds.items()}
        rate = settings.days / 365.25 / (spent["integration"] / 86400) if spent["integration"] > 0 else None
        first, last = rows[0], rows[-1]
        drift = {name: last[key] / first[key] - 1 for name, key in self.integration.conserved.items() if first[key]}
        return {
            "headline": {"name": "simulated years per day", "value": rate, "units": ""},
            **self.integration.described(),
            "days": settings.days, "frames": len(rows), "every_hours": settings.interval_hours,
            "steps": settings.intervals * self.integration.steps_per_interval, "step_seconds": self.integration.step_seconds,
            "precision": settings.precision, "device": self.device,
            "members": settings.members, "seed": settings.seed,
            "variables": list(self.output.layout.variables), "report_frames": list(settings.report_frames),
            "output": str(self.path), "seconds": spent, "simulated_years_per_day": rate, "drift": drift,
            "conserved": self.integration.conserved, "last": last, "spectra": self.spectra,
            "extremes": {"max_wind": max(row["max_wind"] for row in rows)}, **self.integration.results(),
        }  # fmt: skip


def _sound(facts: Mapping[str, float]) -> bool:
    return all(np.isfinite(value) for value in facts.values()) and facts["max_wind"] <= MOST_WIND


def shown(date: str, facts: Mapping[str, float]) -> dict[str, str]:
    """What stands beside the progress bar."""
    found = {"date": date, "wind": f"{facts['max_wind']:.0f} m/s"}
    if "temperature_min" in facts:
        found["T"] = f"{facts['temperature_min']:.0f} to {facts['temperature_max']:.0f} K"
    if "mean_surface_pressure" in facts:
        found["ps"] = f"{facts['mean_surface_pressure'] / 100:.2f} hPa"
    if "mean_height" in facts:
        found["height"] = f"{facts['mean_height']:.2f} m"
    return found


def _output_path(run: Run, settings: Rollout) -> Path:
    """The file of frames: in the run folder, or --to, which a run resumed from another folder still finds."""
    if settings.to is None:
        return run.path / "rollout.nc"
    recorded = Path(run.status().get("output", settings.to))
    return recorded if recorded.exists() and not settings.to.exists() else settings.to


def _layout(run: Run, settings: Rollout, integration: Integration) -> Layout:
    environment = run.environment()
    made = environment.get("created", "")
    attributes = {
        "Conventions": "CF-1.11",
        "title": integration.described()["title"],
        "source": f"sciml {environment.get('versions', {}).get('sciml', '')}: {integration.described()['equations']}",
        "history": f"{made} {' '.join(['sciml', *environment.get('argv', [])[1:]])}",
        **integration.attributes,
    }
    return replace(integration.layout, frames=settings.intervals + 1, attributes=attributes)
