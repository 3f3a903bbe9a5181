"""`sciml kd fit`: train the student with and without the teacher, score everything on held-out time, and say what it brought.

Order: read and check the files, fix the design, train all arms and seeds (resumable), score on the test block, write
results.json, checkpoints/best.safetensors and the report page.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import torch

from sciml.pipelines.compute.devices import choose_device
from sciml.pipelines.compute.threads import cores
from sciml.pipelines.compute.world import join_processes, of_the_first
from sciml.pipelines.errors import DataError, ScimlError, SettingsError, Stopped
from sciml.pipelines.progress import Progress
from sciml.pipelines.readers.synthetic import write_kd_files
from sciml.pipelines.run import Run, StopRequests, check_unchanged
from sciml.pipelines.settings import resolve

from .checks import check_pairs
from .design import Design, make_design
from .lock import held
from .model import load_model, network_teacher
from .pairs import pair
from .plan import NO_RECORD, Planner, Spec, specs
from .pool import Outcome, Work, probe_threads, probe_together, run_jobs
from .results import finish
from .settings import Fit
from .student import build
from .teacher import Teacher, _chosen, read_teacher

MAY_CHANGE = {"max_minutes", "device", "workers", "threads", "resume", "out"}


def fit(settings: Fit, given: dict | None = None, progress: Progress | None = None) -> Run:
    """Run or resume the comparison; returns its run folder, whose results.json holds everything that is printed."""
    progress = progress or Progress()
    join_processes()
    rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
    progress = progress if rank == 0 else Progress()  # the first process speaks for all
    device = choose_device(settings.device, progress.note)
    with ExitStack() as locks:
        run = None
        if settings.resume is not None:
            if rank == 0:
                locks.enter_context(held(settings.resume))
            run = Run.resume(settings.resume)
            settings = _resumed(run, settings, given or {})
        design = prepare_design(settings, progress)
        initial = _initial(settings, Planner(design, settings))
        if run is None:
            run = _new_run(settings, device, rank)
            if rank == 0:
                locks.enter_context(held(run.path))
        _work(run, design, settings, device, progress, initial, rank)
    return run


def _work(
    run: Run, design: Design, settings: Fit, device: str, progress: Progress, initial: dict | None, rank: int
) -> None:
    """Train and score; a failure is recorded."""
    try:
        outcome = _train_all(run, design, settings, device, progress, initial, quiet=rank > 0)
        if rank == 0 and not outcome.stopped:
            finish(run, design, settings, outcome, progress)
    except ScimlError as error:
        if rank == 0 and not isinstance(error, Stopped):
            run.set_status("failed", reason=str(error))
        raise
    if torch.distributed.is_initialized():
        torch.distributed.barrier()


def prepare_design(settings: Fit, progress: Progress) -> Design:
    """Read, check and split."""
    teacher = _teacher(settings, progress)
    pairs = pair(teacher, settings, progress)
    for warning in check_pairs(pairs):
        progress.warn(warning)
    if settings.soft_weight == "spread" and pairs.spread is None:
        progress.warn(f"--soft-weight spread: {settings.teacher} is no ensemble, so all its forecasts weigh the same")
    design = make_design(pairs, settings, progress)
    if settings.schedule == "joint":
        Planner(design, settings).stages("distilled")  # refuses a record without windows, before anything is written
    _say_design(design, settings, progress)
    return design


def _teacher(settings: Fit, progress: Progress) -> Teacher:
    path = settings.teacher
    if (path / "config.json").is_file() or (path / "checkpoints").is_dir():
        if settings.observations is None:
            raise SettingsError(
                f"{path} is a trained network; it teaches from observations", hint="give --observations FILE"
            )
        return _chosen(network_teacher(load_model(path), settings.observations, progress), settings)
    if not path.exists() and path == Path("nwp.nc"):
        raise DataError(
            f"{path}: there is no such file here",
            hint="make a realistic one: sciml kd data --synthesize   (writes nwp.nc and obs.nc), then run this again",
        )
    return read_teacher(settings, progress)


def _say_design(design: Design, settings: Fit, progress: Progress) -> None:
    pairs = design.pairs
    leads = pairs.teacher.lead_hours
    progress.note(
        f"{', '.join(pairs.targets)} at {len(pairs.teacher.stations)} station(s), {len(leads)} lead(s) {leads[0]:g} to {leads[-1]:g} h, "
        f"past of {design.history} steps of {pairs.cadence / np.timedelta64(1, 'h'):g} h"
    )

    def day(issues: np.ndarray) -> str:
        first, last = (str(pairs.teacher.issue[n])[:10] for n in (issues[0], issues[-1]))
        return f"{first} to {last} ({len(issues):,} issues)"

    progress.note(f"train {day(design.train)}, validation {day(design.validation)}, test {day(design.test)}")
    if len(design.archive):
        progress.note(
            f"teacher's record before the validation block: {day(design.archive)}; {design.dropped:,} issues have no observed past or target"
        )


def _new_run(settings: Fit, device: str, rank: int) -> Run:
    if rank == 0:
        inputs = {"teacher": settings.teacher} | (
            {"observations": settings.observations} if settings.observations else {}
        )
        inputs = {name: path for name, path in inputs.items() if path.is_file()}
        seeds = list(range(settings.seed, settings.seed + settings.seeds))
        run = Run.create("kd", "fit", settings, out=settings.out, inputs=inputs, device=device, seeds=seeds)
    return Run(Path(of_the_first(str(run.path) if rank == 0 else "")))


def _resumed(run: Run, settings: Fit, given: dict) -> Fit:
    """The run's own settings, with the few that a resumed run may change."""
    old = run.settings()
    check_unchanged(old, given, MAY_CHANGE)
    run.check_inputs()
    stored = resolve(Fit, {}, run.path / "settings.toml")
    changed = {name: getattr(settings, name) for name in MAY_CHANGE if name in given and name not in ("resume", "out")}
    return replace(stored, **changed)


def _train_all(
    run: Run, design: Design, settings: Fit, device: str, progress: Progress, initial: dict | None, *, quiet: bool
) -> Outcome:
    jobs = specs(design, settings)
    work = Work(design, settings, run.path, device, 1, initial)
    single = not torch.distributed.is_initialized()
    together = _together(work, run, single)
    parallel = device == "cpu" and single and not together
    workers = min(settings.workers or (cores() if parallel else 1), len(jobs)) if parallel else 1
    # which threads computed a sum decides its last bit, so a resumed run keeps the number it started with
    threads = settings.threads or run.status().get("threads") or (1 if workers > 1 else probe_threads(work, cores()))
    work = replace(work, threads=int(threads), together=together)
    if not quiet:
        run.set_status("running", threads=int(threads), workers=workers, together=together)
        _rows_of_checkpoints(run, jobs)
    planner = Planner(design, settings)
    if (
        settings.schedule == "archive"
        and settings.mode == "direct"
        and not len(planner.windows("archive", "record", planner.inputs("alone")))
    ):
        progress.warn(f"{NO_RECORD}; the distilled student gets no pre-training and equals the student alone")
    sizes = {spec.name: _windows_of(planner, spec) for spec in jobs}
    total = sum(sum(stage.values()) for stage in sizes.values())
    deadline = time.monotonic() + 60 * settings.max_minutes if settings.max_minutes else float("inf")
    with StopRequests() as stop, progress.task("training", total, "windows") as task:
        on_row = _follower(run, task, sizes, quiet)
        asked = lambda: stop.signum is not None or time.monotonic() > deadline  # noqa: E731
        outcome = run_jobs(work, jobs, workers, on_row=on_row, should_stop=asked)
        if outcome.stopped and not quiet:
            run.set_status("stopped", reason="signal" if stop.signum else "max_minutes")
            stop.check(f"stopped; the checkpoints are kept: continue with sciml kd fit --resume {run.path}")
            progress.warn(
                f"stopped after --max-minutes {settings.max_minutes:g}; continue with sciml kd fit --resume {run.path}"
            )
    return outcome


def _together(work: Work, run: Run, single: bool) -> bool:
    """Whether seeds share their steps; a resumed run keeps what it began with, for the same last bits."""
    settings = work.settings
    if not single or settings.seeds == 1 or settings.together == "no":
        return False
    if settings.together == "yes":
        return True
    stored = run.status().get("together")
    return bool(stored) if stored is not None else work.device != "cpu" and probe_together(work, settings.seeds)


def _follower(run: Run, task, sizes: dict[str, dict[str, int]], quiet: bool) -> Callable[[dict], None]:
    """Writes each epoch's row and moves the bar; a stage that ended early counts as done when the next begins."""
    counted: dict[str, int] = {}

    def on_row(row: dict) -> None:
        if quiet:
            return
        run.metrics(**row)
        before = counted.get(row["job"], 0)
        counted[row["job"]] = row["windows"]
        task.advance(
            max(row["windows"] - before, 0), job=row["job"], epoch=row["epoch"], rmse=round(row["validation_rmse"], 3)
        )

    return on_row


def _windows_of(planner: Planner, spec: Spec) -> dict[str, int]:
    """Windows a job may see per stage; early stopping makes it an upper bound."""
    return {stage.name: stage.epochs * len(stage.windows) for stage in planner.stages(spec.arm)}


def _rows_of_checkpoints(run: Run, jobs: list[Spec]) -> None:
    """metrics.jsonl as the checkpoints have it: later rows will be written again, and rows that a kill lost are added."""
    stored = {spec.name: kept[1]["rows"] for spec in jobs if (kept := run.load(spec.name))}
    key = lambda row: (row.get("job"), row.get("stage"), row.get("epoch"))  # noqa: E731
    known = {key(row) for rows in stored.values() for row in rows}
    run.keep_metrics(lambda row: key(row) in known)
    written = {key(row) for row in run.read_metrics()}
    for row in (row for rows in stored.values() for row in rows if key(row) not in written):
        run.metrics(**row)


def _initial(settings: Fit, planner: Planner) -> dict | None:
    """Weights of --init-from; they must fit the taught student, and arms of another shape start from their seed."""
    if settings.init_from is None:
        return None
    student, arm = load_model(settings.init_from).student, "distilled"
    given, wanted = student.shape.to_dict(), planner.shape(arm).to_dict()
    differing = [f"{n} {given[n]} instead of {wanted[n]}" for n in wanted if given[n] != wanted[n]]
    if differing:
        raise SettingsError(
            f"--init-from {settings.init_from}: this network does not fit, it has {', '.join(differing)}",
            hint="give the settings and files that it was trained with, or start from random weights",
        )
    return {n: p.detach().clone() for n, p in student.state_dict().items()}


def dry_run(settings: Fit, progress: Progress) -> dict:
    """Resolved settings, sizes and estimated memory, without training."""
    choose_device(settings.device, progress.note)
    design = prepare_design(settings, progress)
    jobs = specs(design, settings)
    planner = Planner(design, settings)
    shape = planner.shape("distilled")
    weights = sum(p.numel() for p in build(shape, 0).parameters())
    windows = {
        name: len(planner.windows(name, "observed", planner.inputs("distilled")))
        for name in ("train", "validation", "test")
    }
    steps = design.history + design.horizon
    memory = 4 * (4 * weights + 128 * steps * shape.layers * shape.hidden * 12 + design.pairs.observed.size * 6) / 2**20
    return {
        "settings": {f.name: getattr(settings, f.name) for f in fields(settings)},
        "jobs": [spec.name for spec in jobs],
        "parameters": weights,
        "windows": windows | {"archive": len(planner.windows("archive", "record", planner.inputs("alone")))},
        "memory_MiB": round(memory, 1),
    }


def synthesize(settings, progress: Progress) -> tuple[Path, Path]:
    """Write the realistic pair of `sciml kd data --synthesize`."""
    for name in ("nwp.nc", "obs.nc"):
        target = settings.to / name
        if target.exists() and not settings.overwrite:
            raise SettingsError(f"{target}: exists already", hint="use --overwrite, or --to another folder")
    try:
        paths = write_kd_files(
            settings.to, days=settings.days, stations=settings.n_stations, members=settings.members,
            observed_days=settings.observed_days, seed=settings.seed,
        )  # fmt: skip
    except OSError as error:
        raise DataError(
            f"{settings.to}: cannot be written: {error.strerror or error}", hint="give another --to"
        ) from None
    progress.note(f"wrote {paths[0]} and {paths[1]}")
    return paths
