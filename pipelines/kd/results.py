"""What a comparison found: baselines and students on the held-out block, results.json, and the student that is kept.

All methods are scored on the same elements (see `scores`); of the students the seed that validates best becomes the run's model.
Legend: i issue, k lead, s station, v target.
"""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import torch

from sciml.pipelines.errors import DataError
from sciml.pipelines.progress import Progress
from sciml.pipelines.run import Run

from . import baselines
from .design import Design, predictor_features
from .model import configuration, forecast
from .pairs import Pairs
from .plan import Planner, Spec, pooled_unit
from .pool import Outcome
from .report import write_report
from .scores import common_elements, compare, score
from .settings import Fit
from .student import build
from .train import rmse
from .trials import cross_validated


def finish(run: Run, design: Design, settings: Fit, outcome: Outcome, progress: Progress) -> dict:
    """Score, compare, keep the best student, write results and report."""
    progress.note("scoring on the held-out block")
    forecasts = _baseline_forecasts(design, settings)
    students = _student_forecasts(run, design, settings, outcome)
    truth = design.pairs.truth[design.test]
    known = common_elements(truth, forecasts | {arm: list(by_seed.values()) for arm, by_seed in students.items()})
    if not known.any():
        raise DataError(
            "the held-out block has no valid time that every method can forecast",
            hint="shorten --history or the horizon",
        )
    scale = design.scaling.scale
    unit = pooled_unit(design)
    weight = np.ones(len(scale)) if unit else 1.0 / scale
    climate = forecasts["climatology"][0]
    rows = [
        score(name, members, truth, known, climate, weight, design.pairs.targets) for name, members in forecasts.items()
    ]
    rows += [
        score(arm, list(by_seed.values()), truth, known, climate, weight, design.pairs.targets)
        for arm, by_seed in students.items()
    ]
    seeds = list(range(settings.seed, settings.seed + settings.seeds))
    comparison = compare(outcome.rows, rows, seeds, settings.epochs, unit or "standard deviations")
    if comparison:
        comparison["against_soft_target"] = _against_soft_target(run, design, settings, outcome)
    results = {
        "headline": {"name": "held-out RMSE", "value": rows[-1]["rmse"], "units": unit or "standard deviations"},
        **_description(design, settings, seeds, unit),
        "held_out_elements": int(known.sum()),
        "scores": rows,
        "base": _base(run, design, settings, outcome),
        "curves": [row for name, job in outcome.rows.items() if not name.startswith("trial") for row in job],
        "comparison": comparison,
        "example": _example(design, forecasts, students, known),
    }
    _keep_best(run, design, settings, outcome)
    run.write_json("results.json", results)
    write_report(run.path, run.read_json("results.json"))
    run.set_status("finished")
    return results


def _baseline_forecasts(design: Design, settings: Fit) -> dict[str, list[np.ndarray]]:
    """Forecasts [i, k, s, v] of the test issues by every baseline."""
    pairs, train, held, test = design.pairs, design.train, design.validation, design.test
    # what is older than the training block is hidden from every method; later observations are inputs
    hidden = replace(pairs, observed=design.observed)
    linear = lambda **options: baselines.linear(hidden, train, held, **options)[test]  # noqa: E731
    found = {
        "persistence": baselines.persistence(pairs, design.history)[test],
        "climatology": baselines.climatology(hidden, train)[test],
        "ar": linear(history=design.history),
        "nwp": pairs.forecast[test] if pairs.same_quantity else design.corrected[test],
        "mos": linear(forecast=True) if pairs.same_quantity else design.corrected[test],
        "mos_ar": baselines.linear(_corrected(hidden, design), train, held, history=design.history, forecast=True)[
            test
        ],
    }
    if settings.mode == "residual":
        # the record of past forecasts and their errors is what the residual student sees too
        found["mos_all"] = baselines.linear(
            _corrected(hidden, design),
            train,
            held,
            history=design.history,
            forecast=True,
            predictors=predictor_features(design)[..., :-1],
        )[test]
    return {name: [value] for name, value in found.items()}


def _corrected(pairs: Pairs, design: Design) -> Pairs:
    """Pairs whose forecast went through the operator, for regressions of another quantity."""
    return pairs if pairs.same_quantity else replace(pairs, forecast=design.corrected)


def _student_forecasts(run: Run, design: Design, settings: Fit, outcome: Outcome) -> dict[str, dict[int, np.ndarray]]:
    planner = Planner(design, settings)
    found: dict[str, dict[int, np.ndarray]] = {}
    for name in outcome.done:
        arm, seed = name.rsplit("-", 1)
        if arm == "twin" or arm.startswith("trial"):
            continue
        student = build(planner.shape(arm), int(seed))
        student.load_state_dict(_best(run, name))
        point, _ = forecast(student, design, design.test, settings, planner.inputs(arm), planner.scaling(arm))
        found.setdefault(arm, {})[int(seed)] = point
    order = [arm for arm in ("alone", "alone_own", "shuffled", "distilled") if arm in found]
    return {arm: dict(sorted(found[arm].items())) for arm in order}


def _best(run: Run, name: str) -> dict[str, torch.Tensor]:
    tensors, _ = run.load(name)
    return {n.removeprefix("best."): torch.from_numpy(np.array(a)) for n, a in tensors.items() if n.startswith("best.")}


def _base(run: Run, design: Design, settings: Fit, outcome: Outcome) -> dict | None:
    """What the residual students started at, what the trials said, and how many seeds left it."""
    if settings.mode != "residual":
        return None
    taught = [run.load(name)[1] for name in outcome.done if name.startswith("distilled-")]
    return {
        "kind": design.base.kind,
        "memory": design.base.memory,
        "label": design.base.label,
        "left": sum(header["best"]["epoch"] > 0 for header in taught),
        "trials": cross_validated(outcome.rows, len(design.train)),
    }


def _against_soft_target(run: Run, design: Design, settings: Fit, outcome: Outcome) -> dict | None:
    """RMSE on the training windows against the bias-corrected teacher: another quantity, under another name."""
    if settings.mode == "residual":
        return None
    planner, found = Planner(design, settings), {}
    for arm in ("alone", "distilled"):
        names = [n for n in outcome.done if n.rsplit("-", 1)[0] == arm]
        values = []
        for name in names:
            job = planner.job(Spec(arm, int(name.rsplit("-", 1)[1])))
            student = build(job.shape, 0)
            student.load_state_dict(_best(run, name))
            values.append(rmse(student, job.train, job.unit_scale, against="soft"))
        found[arm] = float(np.mean(values)) if values else None
    return found


def _keep_best(run: Run, design: Design, settings: Fit, outcome: Outcome) -> None:
    """The student of the seed that validates best becomes the run's model."""
    arms = {name.rsplit("-", 1)[0] for name in outcome.done}
    arm = "distilled" if "distilled" in arms else "alone"
    chosen = min(
        (n for n in outcome.done if n.startswith(f"{arm}-")),
        key=lambda n: run.load(n)[1]["best"]["rmse"],
    )
    planner = Planner(design, settings)
    config = configuration(design, planner.shape(arm), planner.scaling(arm), settings)
    header = {"config": config, "job": chosen}
    run.save("best", {f"model.{n}": a.numpy() for n, a in _best(run, chosen).items()}, header)
    shutil.copyfile(run.path / "checkpoints" / f"{chosen}.safetensors", run.path / "checkpoints" / "last.safetensors")


def _description(design: Design, settings: Fit, seeds: list[int], unit: str) -> dict:
    pairs, teacher = design.pairs, design.pairs.teacher

    def block(issues: np.ndarray) -> dict:
        if not len(issues):
            return {"start": None, "end": None, "issues": 0}
        return {
            "start": str(teacher.issue[issues[0]])[:16],
            "end": str(teacher.issue[issues[-1]])[:16],
            "issues": len(issues),
        }

    return {
        "targets": [
            {"name": n, "units": u, "original": teacher.original.get(p, n) if n == p else n}
            for n, u, p in zip(pairs.targets, pairs.units, pairs.predictor, strict=True)
        ],
        "unit": unit or "standard deviations",
        "lead_hours": teacher.lead_hours.tolist(),
        "stations": list(teacher.stations),
        "data": {
            "teacher": str(settings.teacher),
            "observations": None if settings.observations is None else str(settings.observations),
            "self_taught": settings.observations is None,
            "members": teacher.members,
            "cadence_hours": float(pairs.cadence / np.timedelta64(1, "h")),
            "history": design.history,
            "horizon": design.horizon,
            "dropped": design.dropped,
            "blocks": {name: block(getattr(design, name)) for name in ("train", "validation", "test", "archive")},
        },
        "operator": design.operator.kind,
        "mode": settings.mode,
        "schedule": settings.schedule,
        "student": Planner(design, settings).shape("alone").to_dict(),
        "epochs": settings.epochs,
        "seeds": seeds,
    }


def _example(design: Design, forecasts: dict, students: dict, known: np.ndarray) -> dict:
    """A stretch of the held-out block at the station and lead known best, for the report."""
    pairs = design.pairs
    k, s = np.unravel_index(known[..., 0].sum(0).argmax(), known.shape[1:3])
    issues = design.test[-90:]
    tail = slice(len(design.test) - len(issues), None)
    truth = pairs.truth[issues][:, k, s, 0]
    arms = {
        arm: next(iter(by_seed.values()))[tail][:, k, s, 0]
        for arm, by_seed in students.items()
        if arm in ("alone", "distilled")
    }
    plain = lambda a: [None if not np.isfinite(x) else float(x) for x in a]  # noqa: E731
    return {
        "station": pairs.teacher.stations[s],
        "lead_hours": float(pairs.teacher.lead_hours[k]),
        "target": pairs.targets[0],
        "valid_time": [str(t)[:16] for t in pairs.teacher.issue[issues] + pairs.teacher.lead[k]],
        "observed": plain(truth),
        "nwp": plain(forecasts["nwp"][0][tail][:, k, s, 0]),
        **{arm: plain(values) for arm, values in arms.items()},
    }
