"""`sciml galaxy train`: read or simulate, audit, train every arm and fold, score on held-out galaxies, write the report.

A run folder holds one checkpoint per model while it is trained, and `model-<arm>-<fold>[-<member>].safetensors` when it is done.
"""

from __future__ import annotations

import time
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import torch

from sciml.pipelines.compute import memory
from sciml.pipelines.compute.devices import choose_device
from sciml.pipelines.compute.threads import convolutions, probe, using
from sciml.pipelines.compute.world import World, join_processes, of_the_first
from sciml.pipelines.errors import DataError, ScimlError, SettingsError, Stopped
from sciml.pipelines.progress import Progress
from sciml.pipelines.run import Run, StopRequests, check_unchanged
from sciml.pipelines.settings import resolve

from . import calibrate, packed
from .audit import audit
from .bundle import PREFIX, Bundle
from .experiment import Experiment, Prepared, Which, prepare, prepare_model
from .features import cache
from .logits import predict_logits
from .measured import is_measured
from .ranking import best_threshold
from .results import average, bundle_file, finish, stored_predictions
from .settings import Audit, reading
from .starting import find_start, start_from
from .train import Hooks, Job, Trainer
from .training_settings import Train

_SEEDS_APART = 100_003  # of members: the seeds of folds lie in between
MAY_CHANGE = {"max_minutes", "device", "threads", "resume", "out", "workers"}


def train(settings: Train, given: dict | None = None, progress: Progress | None = None) -> Run:
    """Run or resume the comparison; returns its run folder, whose results.json holds everything that is printed."""
    progress = progress or Progress()
    join_processes()
    world = World()
    progress = progress if world.rank == 0 else Progress()  # the first process speaks for all
    device = choose_device(settings.device, progress.note)
    run = None
    if settings.resume is not None:
        run = Run.resume(settings.resume)
        settings = _resumed(run, settings, given or {})
    # which threads computed a sum decides its last bit, so a resumed run keeps the number it started with
    stored = run.status().get("threads") if run is not None else None
    threads = settings.threads or stored or (probe(convolutions()) if device == "cpu" and world.size == 1 else 1)
    memory.keep()
    with using(int(threads)):
        if run is None:
            _refuse_early(settings)
            run = _new_run(settings, device, world)
        if world.rank == 0:
            run.set_status("running", threads=int(threads))
        _work(run, settings, device, progress, world)
    return run


def _work(run: Run, settings: Train, device: str, progress: Progress, world: World) -> None:
    """Everything after the run folder exists; a failure is recorded."""
    try:
        experiment = _experiment(run, settings, progress, world)
        findings = None
        if settings.audit and world.rank == 0:
            findings = audit(
                experiment.catalog, _audit_settings(settings), split=experiment.splits[0] if settings.folds == 1 else None,
                progress=progress,
            )  # fmt: skip
            for line in findings.summary():
                progress.note(f"audit: {line}")
            run.write_json("audit.json", findings.to_dict())
        finished = _train_all(run, experiment, settings, device, progress, world)
        if world.rank == 0 and finished:
            finish(run, experiment, settings, findings, progress)
    except ScimlError as error:
        if world.rank == 0 and not isinstance(error, Stopped):
            run.set_status("failed", reason=str(error))
        raise
    if torch.distributed.is_initialized():
        torch.distributed.barrier()


def _refuse_early(settings: Train) -> None:
    """What can be told from names alone, before a folder is made."""
    from .backbones.registry import check_name

    if "table" not in settings.arms or len(settings.arms) > 1:
        check_name(settings.backbone)
    if settings.start is not None:
        find_start(settings.start, settings.backbone)
    for path in (settings.images, *settings.table):
        if path is not None and not path.exists():
            raise DataError(f"{path}: there is no such file or folder")
    if settings.label is None and (settings.images or settings.table) and not packed.is_packed(settings.images):
        raise SettingsError(
            "which column is the class?", hint='name it with --label, e.g. --label merger or --label "P_MG>0.4"'
        )


def _new_run(settings: Train, device: str, world: World) -> Run:
    if world.rank == 0:
        inputs = {f"table{n or ''}": path for n, path in enumerate(settings.table) if path.is_file()}
        if settings.images is not None and settings.images.is_file():
            inputs["images"] = settings.images
        run = Run.create(
            "galaxy", "train", settings, out=settings.out, inputs=inputs, device=device, seeds=[settings.seed]
        )
    return Run(Path(of_the_first(str(run.path) if world.rank == 0 else "")))


def _resumed(run: Run, settings: Train, given: dict) -> Train:
    """The run's own settings, with the few that a resumed run may change."""
    check_unchanged(run.settings(), given, MAY_CHANGE)
    run.check_inputs()
    stored = resolve(Train, {}, run.path / "settings.toml")
    changed = {name: getattr(settings, name) for name in MAY_CHANGE if name in given and name not in ("resume", "out")}
    return replace(stored, **changed)


def _experiment(run: Run, settings: Train, progress: Progress, world: World) -> Experiment:
    """The objects, read by every process; what has to be simulated or measured, the first makes for all."""
    waits = world.size > 1 and (settings.measure or (settings.images is None and not settings.table))
    if waits and world.rank > 0:
        torch.distributed.barrier()
    experiment = prepare(settings, run.path, progress)
    if waits and world.rank == 0:
        torch.distributed.barrier()
    for n, split in enumerate(experiment.splits[:1] if len(experiment.splits) == 1 else []):
        sizes = ", ".join(f"{name} {len(part):,}" for name, part in split.parts().items())
        progress.note(f"split {n + 1}: {sizes}" if len(experiment.splits) > 1 else sizes)
    return experiment


def _audit_settings(settings: Train) -> Audit:
    shared = {f.name: getattr(settings, f.name) for f in fields(Audit) if hasattr(settings, f.name) and f.name not in ("folds", "out")}
    return Audit(**shared, permutations=200)


def _train_all(
    run: Run, experiment: Experiment, settings: Train, device: str, progress: Progress, world: World
) -> bool:
    """Train what is not yet trained; False where --max-minutes ended it."""
    deadline = time.monotonic() + 60 * settings.max_minutes if settings.max_minutes else float("inf")
    jobs = experiment.jobs()
    if world.rank == 0:
        _keep_rows(run, [which.name for which in jobs])
    total = settings.epochs * sum(len(experiment.splits[which.fold].train) for which in jobs)
    share: dict = {}
    with StopRequests() as stop, progress.task("training", total, "objects") as task:

        def asked() -> bool:
            # every process must leave the loop at the same step, or the others wait for its gradients for ever
            mine = torch.tensor(float(stop.signum is not None or time.monotonic() > deadline))
            (any_of_them,) = world.sum(mine)
            return bool(any_of_them > 0)

        for which in jobs:
            if bundle_file(run.path, which).exists():
                task.advance(settings.epochs * len(experiment.splits[which.fold].train))
                continue
            if not _train_one(run, experiment, settings, which, device, progress, task, asked, share, world):
                if world.rank == 0:
                    run.set_status("stopped", reason="signal" if stop.signum else "max_minutes")
                    where = f"sciml galaxy train --resume {run.path}"
                    stop.check(f"stopped; the checkpoints are kept: continue with {where}")
                    progress.warn(f"stopped after --max-minutes {settings.max_minutes:g}; continue with {where}")
                return False
    return True


def _train_one(run, experiment, settings, which, device, progress, task, asked, share, world) -> bool:
    """One model; its bundle is written when it is finished."""
    (arm, fold, member), name, split = which, which.name, experiment.splits[which.fold]
    settings = replace(settings, seed=settings.seed + _SEEDS_APART * member)
    prepared = prepare_model(experiment, settings, arm, fold, device, share)
    if settings.start is not None and arm != "table" and run.load(name) is None:
        # a resumed model brings its own weights, and the run it began from may be gone
        start_from(prepared.model, find_start(settings.start, settings.backbone), settings.start)

    def on_epoch(row: dict) -> None:
        if world.rank == 0:
            run.metrics(arm=arm, fold=fold, member=member, **row)

    def on_step(objects: int) -> None:
        task.advance(objects, model=name)

    hooks = Hooks(run.load, run.save, on_epoch, on_step, asked)
    job = Job(name, arm, fold, split.train, split.validation, experiment.catalog.labels, len(experiment.catalog.classes), prepared.auxiliary)
    cached = _cached(prepared, settings, progress)
    trainer = Trainer(job, prepared.model, prepared.feed, settings, hooks, cached)
    task.advance(trainer.state.steps_done * settings.batch_size)
    if not trainer.run():
        return False
    task.advance((settings.epochs - len(trainer.state.rows)) * len(split.train))
    if world.rank == 0:
        _bundle(run, experiment, settings, which, prepared, trainer, cached)
    return True


def _cached(prepared: Prepared, settings: Train, progress: Progress):
    """Features of a frozen backbone; measurements do not depend on how the image lies, so one view does for them."""
    statmorph = settings.backbone == "statmorph"
    if prepared.model.backbone is None or not (settings.freeze and not statmorph):
        return None
    views = 8 if settings.augment and "none" not in settings.augment else 1
    prepared.model.to(prepared.feed.device)
    with progress.task("features of the frozen backbone", len(prepared.feed), "objects") as task:
        return cache(prepared.model, prepared.feed, max(views, settings.views), on_batch=task.advance)


def _bundle(run, experiment, settings, which: Which, prepared: Prepared, trainer: Trainer, cached) -> None:
    """Calibrate on the validation objects, and store model, preparation and predictions."""
    catalog, job, split = experiment.catalog, trainer.job, experiment.splits[which.fold]
    views = 1 if settings.backbone == "statmorph" else settings.views
    held = predict_logits(prepared.model, prepared.feed, split.validation, views=views, cached=cached)
    labels = catalog.labels[split.validation]
    t = calibrate.temperature(held.mean(1), labels, calibrate.SPREAD)
    threshold = None
    if experiment.positive is not None:
        # that of the average of this member and those before it: the last one's is the fold's
        before = [stored_predictions(run, which._replace(member=m)) for m in range(which.member)]
        members = [*((logits["validation"], facts["temperature"]) for logits, facts in before), (held, t)]
        threshold = best_threshold(labels == experiment.positive, average(members)[:, experiment.positive])
    prior = np.bincount(catalog.labels[split.train], minlength=len(catalog.classes)) / len(split.train)
    facts = {
        "arm": job.arm, "fold": job.fold, "member": which.member, "classes": list(catalog.classes), "positive": experiment.positive,
        "temperature": t, "threshold": threshold, "prior": prior.tolist(), "views": views,
        "bands": [] if catalog.images is None else list(catalog.images.bands), "choice": _choice(settings, prepared),
        "simulated": experiment.simulated, "best_epoch": trainer.state.best["epoch"], "seconds": trainer.state.seconds,
        "parameters": sum(p.numel() for p in prepared.model.parameters()), "curves": trainer.state.rows,
    }  # fmt: skip
    tested = predict_logits(prepared.model, prepared.feed, split.test, views=views, cached=cached)
    run.save(f"predictions-{job.name}", {"validation": held, "test": tested}, {})
    Bundle(prepared.model.cpu(), prepared.pixels, prepared.preprocessor, facts).save(bundle_file(run.path, which))
    (run.path / "checkpoints" / f"{job.name}.safetensors").unlink(missing_ok=True)


def _choice(settings: Train, prepared: Prepared) -> dict:
    """How files are read, for those that will be predicted; a packed file may have brought measurements unasked."""
    kept = reading(settings)
    if packed.is_packed(settings.images):
        kept |= packed.reading(settings.images)
    columns = () if prepared.preprocessor is None else prepared.preprocessor.columns
    return kept | {"measure": any(map(is_measured, columns))}


def _keep_rows(run: Run, jobs: list[str]) -> None:
    """metrics.jsonl as the checkpoints have it: later rows will be written again."""
    known = set()
    for name in jobs:
        stored = run.load(name) or run.load(f"{PREFIX}{name}")
        rows = [] if stored is None else stored[1].get("rows", stored[1].get("curves", []))
        known |= {(name, row["epoch"]) for row in rows}
    run.keep_metrics(lambda row: (row.get("job"), row.get("epoch")) in known)


def dry_run(settings: Train, progress: Progress) -> dict:
    """Resolved settings, sizes and estimated memory, without training."""
    import tempfile

    device = choose_device(settings.device, progress.note)
    _refuse_early(settings)
    with tempfile.TemporaryDirectory() as folder:
        small = replace(settings, simulate=min(settings.simulate, 32))
        experiment = prepare(small, Path(folder), progress)
        sizes = {}
        for arm in experiment.arms:
            model = prepare_model(experiment, settings, arm, 0, device).model
            sizes[arm] = sum(p.numel() for p in model.parameters())
    n = settings.simulate if experiment.simulated else len(experiment.catalog)
    images = experiment.catalog.images
    pixels = 0 if images is None else int(np.prod(images.shape))
    memory = 4 * (n * pixels + 5 * max(sizes.values()) + settings.batch_size * pixels * 60) / 2**20
    return {
        "settings": asdict(settings), "objects": n, "classes": experiment.catalog.counts(), "parameters": sizes,
        "models": [which.name for which in experiment.jobs()], "memory_MiB": round(memory, 1),
    }  # fmt: skip
