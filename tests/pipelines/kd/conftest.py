"""Small weather for the distillation tests: files on disk, the pairs read from them, and settings."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sciml.pipelines.kd.design import make_design
from sciml.pipelines.kd.pairs import pair
from sciml.pipelines.kd.settings import Fit
from sciml.pipelines.kd.student import Shape, build
from sciml.pipelines.kd.teacher import read_teacher
from sciml.pipelines.kd.train import Job, Stage
from sciml.pipelines.kd.windows import DIRECT, PRIVILEGED, make_windows
from sciml.pipelines.readers.synthetic import write_kd_files

HEADS = {"point": (), "gaussian": (), "quantile": (0.1, 0.5, 0.9)}  # levels of each head in small networks


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Two threads on small matrices cost more than they give."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _usual_floats():
    """Training flushes denormal numbers to zero in its thread; other tests want them back."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def weather(tmp_path_factory):
    """weather(**options of the synthetic builder) -> namespace(nwp, obs: paths, fit: settings, pairs); made once."""
    made = {}

    def build(**options) -> SimpleNamespace:
        key = tuple(sorted(options.items()))
        if key not in made:
            nwp, obs = write_kd_files(tmp_path_factory.mktemp("weather"), **options)
            fit = Fit(teacher=nwp, observations=obs, batch_size=32)
            made[key] = SimpleNamespace(nwp=nwp, obs=obs, fit=fit, pairs=pair(read_teacher(fit), fit))
        return made[key]

    return build


@pytest.fixture(scope="session")
def daily(weather):
    """400 days, 2 stations, leads of 1 and 2 days, a few observations missing."""
    return weather(days=400, stations=2, leads_hours=(24, 48), observed_days=None, missing=0.03)


@pytest.fixture(scope="session")
def ensemble(weather):
    """200 days, 2 stations, 4 members."""
    return weather(days=200, stations=2, leads_hours=(24, 48), members=4, observed_days=None, missing=0.0)


@pytest.fixture(scope="session")
def half_daily(weather):
    """Issues every 12 h, leads 3 to 30 h, observations every 3 h; 90 days, one station."""
    return weather(
        days=90,
        stations=1,
        leads_hours=(3, 6, 15, 30),
        issue_hours=12,
        observation_hours=3,
        observed_days=None,
        missing=0.02,
    )


@pytest.fixture(scope="session")
def setting(weather):
    """A small design and jobs over it: setting.job(schedule, ...)."""
    made = weather(days=900, stations=2, leads_hours=(24, 48), observed_days=None, missing=0.03)
    fit = replace(
        made.fit, history=4, train_issues=90, epochs=3, archive_epochs=2, hidden=5, batch_size=16, learning_rate=5e-3
    )
    design = make_design(made.pairs, fit)

    def windows(block, kind="observed", inputs=DIRECT, design=design):
        return make_windows(design, getattr(design, block), fit, kind=kind, inputs=inputs)

    def shaped(train, kind="lstm_ae", head="point"):
        predictors = 0 if train.future is None else train.future.shape[2]
        return Shape(
            kind,
            train.channels,
            design.history,
            design.horizon,
            1,
            5,
            2 if kind == "lstm_ae" else 1,
            predictors,
            head,
            HEADS[head],
        )

    def job(
        schedule="none",
        *,
        kind="lstm_ae",
        head="point",
        inputs=DIRECT,
        seed=0,
        epochs=3,
        patience=None,
        design=design,
        **more,
    ) -> Job:
        train, validation = (windows(block, inputs=inputs, design=design) for block in ("train", "validation"))
        shape, stages = shaped(train, kind, head), []
        if schedule == "archive":
            stages.append(Stage("archive", "pretrain", windows("archive", "record", inputs), 2, patience))
        record = windows("archive", "record") if schedule == "joint" else None
        stages.append(
            Stage(
                "fit",
                schedule,
                windows("train", inputs=PRIVILEGED) if schedule == "hint" else train,
                epochs,
                patience,
                record,
            )
        )
        if schedule == "hint":
            seen = shaped(windows("train", inputs=PRIVILEGED), kind, head)
            twin = build(seen, 77)
            with torch.no_grad():
                twin.head.weight.normal_(0, 0.3, generator=torch.Generator().manual_seed(1))
            more["twin"] = (seen, {n: p.clone() for n, p in twin.state_dict().items()})
        return Job("arm", seed, shape, tuple(stages), train, validation, tuple(design.scaling.scale), **more)

    return SimpleNamespace(fit=fit, design=design, job=job, windows=windows)


@pytest.fixture(scope="session")
def disturbed():
    """disturbed(pairs, observed_after=t, issued_after=i) -> pairs with other observations and forecasts from there."""

    def change(pairs, *, observed_after: int | None = None, issued_after: int | None = None, seed: int = 1):
        rng = np.random.default_rng(seed)
        if observed_after is not None:
            observed = pairs.observed.copy()
            later = observed[observed_after:]
            observed[observed_after:] = later + rng.normal(5.0, 30.0, later.shape)  # what is missing stays missing
            pairs = replace(pairs, observed=observed)
        if issued_after is not None:
            values = {name: value.copy() for name, value in pairs.teacher.values.items()}
            for value in values.values():
                value[issued_after:] += rng.normal(5.0, 30.0, value[issued_after:].shape)
            teacher = replace(pairs.teacher, values=values)
            pairs = replace(pairs, teacher=teacher, forecast=np.stack([values[name] for name in pairs.predictor], -1))
        return pairs

    return change


@pytest.fixture(scope="session")
def run_results():
    """run_results(**options) -> the contents of a small results.json, as `kd fit` writes it and JSON gives it back."""

    def build(
        *,
        leads=(24.0,),
        seeds=2,
        targets=(("2m_temperature", "K"),),
        own=True,
        control=True,
        taught="distilled",
        meets=3,
        stops=None,
        epochs=8,
        start=9.0,
        mode="direct",
        self_taught=False,
    ) -> dict:
        unit = targets[0][1] if len({unit for _, unit in targets}) == 1 else "standard deviations"
        arms = ["alone"] + ["alone_own"] * own + ["shuffled"] * control + [taught] * bool(taught)
        return {
            "headline": {"name": "held-out RMSE", "value": 3.0, "units": unit},
            "targets": [{"name": name, "units": units, "original": name} for name, units in targets],
            "unit": unit,
            "lead_hours": list(leads),
            "stations": ["108", "159"],
            "data": {
                "teacher": "nwp.nc", "observations": None if self_taught else "obs.csv", "self_taught": self_taught,
                "members": 0, "cadence_hours": 24.0, "history": 14, "horizon": len(leads), "dropped": 1500,
                "blocks": {
                    name: {"start": f"20{year}-01-01T00:00", "end": f"20{year}-06-29T00:00", "issues": 180}
                    for name, year in (("train", 10), ("validation", 11), ("test", 12))
                } | {"archive": {"start": None, "end": None, "issues": 0}},
            },
            "operator": "linear", "mode": mode, "schedule": "archive", "student": {"kind": "lstm_ae", "hidden": 32},
            "epochs": epochs, "seeds": list(range(seeds)), "held_out_elements": 1234,
            "scores": [
                _score(name, leads, targets, seeds)
                for name in ("persistence", "climatology", "ar", "nwp", "mos", "mos_ar", *arms)
            ],
            "curves": [row for arm in arms for seed in range(seeds) for row in _curve(arm, seed, epochs, start, stops)],
            "comparison": _compared(seeds, epochs, meets, control) if taught else {},
            "example": {
                "station": "108", "lead_hours": leads[0], "target": targets[0][0],
                "valid_time": [f"2012-05-{day:02d}T00:00" for day in range(1, 31)],
                "observed": [None if day == 7 else 280.0 + day % 5 for day in range(30)],
                "nwp": [280.5 + day % 5 for day in range(30)],
                "alone": [282.0] * 30,
                **({taught: [281.0 + day % 3 for day in range(30)]} if taught else {}),
            },
        }  # fmt: skip

    return build


_RMSE = {
    "persistence": 3.2, "climatology": 4.4, "ar": 3.1, "nwp": 1.4, "mos": 1.35, "mos_ar": 1.3, "alone": 4.0,
    "alone_own": 4.5, "shuffled": 3.9, "distilled": 3.0, "residual": 1.2,
}  # fmt: skip


def _score(method, leads, targets, seeds) -> dict:
    rmse, student = _RMSE[method], method in ("alone", "alone_own", "shuffled", "distilled", "residual")
    by_lead = [rmse * (0.7 + 0.3 * (n + 1) / len(leads)) for n in range(len(leads))]
    own = {"rmse": rmse, "mae": 0.8 * rmse, "bias": -0.1}
    return {
        "method": method, "label": f"label of {method}", "kind": "student" if student else "baseline", **own,
        "rmse_sd": 0.04 if student and seeds > 1 else None, "skill": 1 - (rmse / 4.4) ** 2,
        "by_lead": {"rmse": by_lead, "mae": by_lead, "bias": [0.0] * len(leads), "skill": [0.5] * len(leads)},
        "by_target": {name: own for name, _ in targets},
    }  # fmt: skip


def _curve(arm, seed, epochs, start, stops) -> list[dict]:
    taught = arm in ("distilled", "residual", "shuffled")
    row = {"job": f"{arm}-{seed}", "arm": arm, "seed": seed, "windows": 0, "steps": 0, "cpu_seconds": 0.1}
    record = {"stage": "archive", "train_rmse": 3.0, "validation_rmse": 3.1}
    rows = [row | record | {"epoch": epoch} for epoch in range(5 if taught else 0)]
    begin = 3.3 if arm in ("distilled", "residual") else start
    for epoch in range((stops or epochs) + 1 if taught else epochs + 1):
        rmse = 2.8 + (begin - 2.8) * 0.55**epoch + 0.02 * seed
        rows.append(row | {"stage": "fit", "epoch": epoch, "train_rmse": rmse, "validation_rmse": rmse + 0.3})
    return rows


def _compared(seeds, epochs, meets, control) -> dict:
    def race(goal_epoch) -> dict:
        ratio = None if meets is None else goal_epoch / max(meets, 1)
        entry = {"goal": 2.9, "goal_arm": "alone", "goal_epoch": goal_epoch, "epoch": meets, "ratio": ratio}
        return {"seeds": [entry | {"seed": seed} for seed in range(seeds)], "epoch": meets, "ratio": ratio}

    return {
        "train": race(epochs),
        "validation": race(epochs - 2),
        "cost": {
            "alone": {"steps": 320.0, "cpu_seconds": 2.9, "archive_steps": 0.0, "archive_cpu_seconds": 0.0},
            "distilled": {"steps": 700.0, "cpu_seconds": 6.1, "archive_steps": 600.0, "archive_cpu_seconds": 5.5},
            "steps_ratio": 2.19, "cpu_ratio": 2.10,
        },
        "control": {"rmse": 3.9} if control else None,
        "verdict": {"helped": True, "text": "Distillation helped: 3.00 K against 4.00 K for the student alone"},
        "against_soft_target": {"alone": 2.7, "distilled": 2.3},
    }  # fmt: skip
