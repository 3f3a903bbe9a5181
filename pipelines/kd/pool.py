"""Training jobs side by side: one process per core on a CPU, one after the other on a GPU or under torchrun.

Every job writes its own checkpoint, so a killed run continues from the last stored step of each.  Worker processes ignore
SIGINT and SIGTERM and end when the parent asks, or is gone.
"""

from __future__ import annotations

import os
import queue
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from sciml.pipelines.compute.threads import using
from sciml.pipelines.compute.workers import context, deaf, parent_lives
from sciml.pipelines.compute.world import World
from sciml.pipelines.errors import NumericalError, ScimlError
from sciml.pipelines.run import Run

from .cohort import Cohort
from .design import Design
from .plan import STANDALONE, Planner, Spec
from .settings import Fit
from .train import Hooks, Request, Trainer
from .trials import cross_validated

POLL = 0.2  # [s]


@dataclass
class Outcome:
    """Rows of every job, which jobs are done, and why the run stopped (signal number, "time" or None)."""

    rows: dict[str, list[dict]] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    stopped: bool = False


@dataclass(frozen=True)
class Work:
    """All a worker needs; `together`: seeds of one arm share their steps."""

    design: Design
    settings: Fit
    folder: Path
    device: str
    threads: int
    initial: dict | None = None
    together: bool = False


def prepare(threads: int) -> None:
    """Threads and denormals: a denormal state made one LSTM step 260 times slower (pytorch issue 81634)."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)


def run_jobs(
    work: Work, jobs: list[Spec], workers: int, *, on_row: Callable[[dict], None], should_stop: Callable[[], bool]
) -> Outcome:
    """Run `jobs` and return their rows; a failed job raises its error here after the others were stopped."""
    if workers > 1 and len(jobs) > 1:
        return _in_processes(work, jobs, min(workers, len(jobs)), on_row, should_stop)
    return _in_line(work, jobs, on_row, should_stop)


def goal_of(spec: Spec, rows: Mapping[str, list[dict]]) -> float | None:
    """Last training RMSE of the stronger stand-alone student with this seed."""
    last = [rows[name][-1]["train_rmse"] for name in spec.after if name.split("-")[0] in STANDALONE]
    return min(last) if last else None


def stays(spec: Spec, rows: Mapping[str, list[dict]], issues: int) -> bool:
    """Whether the trials that `spec` waited for keep it at its base."""
    found = cross_validated({name: rows[name] for name in spec.after}, issues)
    return found is not None and not found["leave"]


def _trainer(planner: Planner, work: Work, spec: Spec, goal: float | None, stay: bool, on_row, should_stop) -> Trainer:
    run = Run(work.folder)
    twin = None
    if any(name.startswith("twin") for name in spec.after):
        tensors, _ = run.load(f"twin-{spec.seed}")
        twin = {
            n.removeprefix("best."): torch.from_numpy(a.copy()) for n, a in tensors.items() if n.startswith("best.")
        }
    job = planner.job(spec, goal, twin, stay)
    return Trainer(job, work.settings, Hooks(run.load, run.save, on_row, should_stop), work.device)


def _in_line(work: Work, jobs: list[Spec], on_row, should_stop) -> Outcome:
    with using(work.threads):  # the caller's process is not ours
        return _one_by_one(work, jobs, on_row, should_stop)


def _one_by_one(work: Work, jobs: list[Spec], on_row, should_stop) -> Outcome:
    planner = Planner(work.design, work.settings, work.device, work.initial)
    outcome, world = Outcome(), World()

    def stop() -> bool:
        # every process must leave the loop at the same step, or the others wait for its gradients for ever
        (asked,) = world.sum(torch.tensor(float(should_stop())))
        return bool(asked > 0)

    waiting = list(jobs)
    while waiting:
        ready = [spec for spec in waiting if spec.arm == waiting[0].arm] if work.together else waiting[:1]
        waiting = [spec for spec in waiting if spec not in ready]
        trainers = []
        for spec in ready:
            goal, stay = goal_of(spec, outcome.rows), stays(spec, outcome.rows, len(work.design.train))
            trainers.append(_trainer(planner, work, spec, goal, stay, on_row, stop))
        finished = Cohort(trainers).run() if len(ready) > 1 else [trainers[0].run()]
        outcome.rows |= {spec.name: trainer.state.rows for spec, trainer in zip(ready, trainers, strict=True)}
        outcome.done |= {spec.name for spec, done in zip(ready, finished, strict=True) if done}
        if not all(finished):
            outcome.stopped = True
            return outcome
    return outcome


def _in_processes(work: Work, jobs: list[Spec], workers: int, on_row, should_stop) -> Outcome:
    started = context()
    events, stop = started.Queue(), started.Event()
    inboxes = [started.Queue() for _ in range(workers)]
    processes = [
        started.Process(target=_worker, args=(work, inbox, events, stop, n), daemon=True)
        for n, inbox in enumerate(inboxes)
    ]
    with deaf():
        for process in processes:
            process.start()
    try:
        issues = len(work.design.train)
        return _dispatch(jobs, processes, inboxes, events, stop, on_row, should_stop, issues)
    finally:
        stop.set()
        for inbox in inboxes:
            inbox.put(None)
        for process in processes:
            process.join(timeout=30)
            if process.is_alive():
                process.kill()  # it ignores SIGTERM


def _dispatch(jobs, processes, inboxes, events, stop, on_row, should_stop, issues: int = 1) -> Outcome:
    outcome, waiting = Outcome(), list(jobs)
    idle, running = list(range(len(inboxes))), {}
    failure: ScimlError | None = None
    while running or (waiting and not stop.is_set()):
        while idle and not stop.is_set():
            ready = next((s for s in waiting if set(s.after) <= outcome.done), None)
            if ready is None:
                break
            waiting.remove(ready)
            worker = idle.pop(0)
            running[worker] = ready
            inboxes[worker].put((ready, goal_of(ready, outcome.rows), stays(ready, outcome.rows, issues)))
        if should_stop():
            stop.set()
        try:
            kind, worker, value = events.get(timeout=POLL)
        except queue.Empty:
            dead = [n for n in running if not processes[n].is_alive()]
            if dead and stop.is_set():  # by the same Ctrl-C, or killed beside us: their checkpoints are kept
                outcome.stopped = True
                running = {n: spec for n, spec in running.items() if n not in dead}
            elif dead:
                raise NumericalError(
                    f"the process training {running[dead[0]].name} ended with exit code {processes[dead[0]].exitcode}",
                    hint="out of memory? try --workers 1; the run's checkpoints are kept: continue with --resume",
                ) from None
            continue
        if kind == "row":
            on_row(value)
            continue
        spec = running.pop(worker)
        idle.append(worker)
        if kind == "error":
            failure = failure or value
            stop.set()
        else:
            finished, rows = value
            outcome.rows[spec.name] = rows
            (outcome.done.add(spec.name) if finished else setattr(outcome, "stopped", True))
    if failure is not None:
        raise failure
    outcome.stopped |= bool(waiting)
    return outcome


def _worker(work: Work, inbox, events, stop, number: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    prepare(work.threads)
    planner = Planner(work.design, work.settings, work.device, work.initial)

    def stopping() -> bool:
        if not parent_lives():
            os._exit(1)  # the parent was killed; its next run resumes from our checkpoint
        return stop.is_set()

    while (task := _next(inbox, stopping)) is not None:
        spec, goal, stay = task
        try:
            say = lambda row: events.put(("row", number, row))  # noqa: E731
            trainer = _trainer(planner, work, spec, goal, stay, say, stopping)
            events.put(("done", number, (trainer.run(), trainer.state.rows)))
        except ScimlError as error:
            events.put(("error", number, error))


def _next(inbox, stopping: Callable[[], bool]):
    """The next task, or None at the end; looks every second whether the parent still lives."""
    while True:
        try:
            return inbox.get(timeout=1.0)
        except queue.Empty:
            stopping()


def probe_threads(work: Work, most: int) -> int:
    """The fastest number of threads for one training step: two made it 275 times slower on a busy machine."""
    if most == 1:
        return 1
    planner = Planner(work.design, work.settings, work.device)
    job = planner.job(Spec("alone", 0))
    timings = {}
    for threads in (1, most):
        prepare(threads)
        timings[threads] = _seconds(Trainer(job, work.settings, Hooks(), work.device))
    # a tie goes to one thread: the other cores are free for other jobs
    return most if timings[most] < 0.8 * timings[1] else 1


def probe_together(work: Work, seeds: int) -> bool:
    """Whether steps of `seeds` students at once take less time on the device than one after the other."""
    planner = Planner(work.design, work.settings, work.device)
    job = planner.job(Spec("alone", 0))
    new = lambda: Trainer(job, work.settings, Hooks(), work.device)  # noqa: E731
    alone = _seconds(new())
    trainers = [new() for _ in range(seeds)]
    return _seconds(*trainers, gradients=Cohort(trainers).gradients) < seeds * alone


def _seconds(*trainers: Trainer, gradients: Callable[[dict[int, Request]], None] | None = None) -> float:
    """Time of four training steps, after two that warm up."""
    stage = trainers[0].job.stages[-1]
    batch = next(iter(stage.windows.batches(128)))
    for n in range(6):
        if n == 2:
            _synchronize(trainers[0].device)
            begin = time.perf_counter()
        requests = {member: trainer.request(stage, batch) for member, trainer in enumerate(trainers)}
        gradients(requests) if gradients else trainers[0].gradient(requests[0])
        for member, trainer in enumerate(trainers):
            trainer.update(requests[member])
    _synchronize(trainers[0].device)
    return time.perf_counter() - begin


def _synchronize(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
