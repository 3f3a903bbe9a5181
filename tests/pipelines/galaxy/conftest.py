"""A finished training run as files, made up from a known model of the classes: for figures, pages and sentences."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from sciml.pipelines.checkpoint import plain
from sciml.pipelines.galaxy import calibrate, fraction, gallery, metrics, ranking

STRENGTH = {"fusion": 1.5, "image": 1.1, "table": 0.7}


@pytest.fixture(scope="session")
def made_up_run(tmp_path_factory):
    """made_up_run(classes, arms, ...) -> namespace(folder, results as JSON gives them back); made once per set of options."""
    made = {}

    def build(**options) -> SimpleNamespace:
        key = tuple(sorted(options.items()))
        if key not in made:
            folder = tmp_path_factory.mktemp("run")
            made[key] = SimpleNamespace(folder=folder, results=_write(folder, **options))
        return made[key]

    return build


def _write(folder, *, classes=("non", "merger"), arms=("fusion", "image", "table"), n=160, n_boot=60, size=24,
           band=3, images=True, audited=True, simulated=True, folds=1, share=0.35, extras=True) -> dict:  # fmt: skip
    random, c = np.random.default_rng(5), len(classes)
    prior = np.r_[1 - share, np.full(c - 1, share / (c - 1))]
    labels = random.choice(c, n, p=prior)
    part = np.where(np.arange(n) < 0.4 * n, "validation", "test")
    logits = {a: 2.2 * (random.normal(size=(n, c)) + STRENGTH[a] * np.eye(c)[labels]) for a in arms}
    test, held = part == "test", part == "validation"
    t = {a: calibrate.temperature(z[held], labels[held]) for a, z in logits.items()}
    p = {a: calibrate.apply(z, t[a]) for a, z in logits.items()}
    positive = 1 if c == 2 else None
    cut = {a: ranking.best_threshold(labels[held] == 1, q[held, 1]) if c == 2 else None for a, q in p.items()}
    options = {"positive": positive, "n_bootstrap": n_boot}
    first, redshift = arms[0], random.uniform(0.02, 0.2, n)
    results = {
        "format": "sciml-galaxy-results-1", "classes": list(classes), "positive": positive, "simulated": simulated,
        "n": {"train": 3 * n, "validation": int(held.sum()), "test": int(test.sum())}, "folds": folds,
        "counts": {name: int((labels == k).sum()) for k, name in enumerate(classes)},
        "arms": {
            a: {
                "metrics": {
                    name: metrics.score(labels[rows], p[a][rows], classes, threshold=cut[a], **options)
                    for name, rows in (("test", test), ("validation", held))
                },
                "temperature": t[a], "threshold": cut[a], "best_epoch": 9, "parameters": 123_456, "seconds": 41.5,
                "curves": [_epoch(e, STRENGTH[a]) for e in range(1, 13)],
            }
            for a in arms
        },
        "comparison": metrics.compare(labels[test], {a: q[test] for a, q in p.items()}, classes, **options),
        "majority": {"accuracy": float(np.bincount(labels[test]).max() / test.sum())},
        "importance": _importance() if extras else None, "ablation": None,
        "bins": {
            "redshift": metrics.by_bin(labels[test], p[first][test], redshift[test], classes, n_bins=4, **options),
            "log_stellar_mass": metrics.by_bin(
                labels[test], p[first][test], 9 + 10 * redshift[test], classes, n_bins=3, **options
            ),
        } if extras else {},
        "fraction": fraction.estimate(labels[held], p[first][held], p[first][test], classes, target_labels=labels[test],
                                      threshold=cut[first], n_bootstrap=n_boot) if extras else None,
        "audit": _audit() if audited else None, "settings": {"seed": 0}, "command": "sciml galaxy train --seed 0",
        "verdict": "Fusion beats image alone: AUC +0.050 (+0.010 to +0.090) on 96 held-out galaxies.",
    }  # fmt: skip
    ids = np.array([f"12376487{i:011d}" for i in range(n)])
    frame = pd.DataFrame({"id": ids, "part": part, "fold": 0, "label": np.array(classes, object)[labels]})
    for a in arms:
        for k, name in enumerate(classes):
            frame[f"p_{a}_{name}"], frame[f"logit_{a}_{name}"] = p[a][:, k].round(6), logits[a][:, k].round(5)
    frame.to_csv(folder / "predictions.csv", index=False)
    if images:
        shown = gallery.choose(labels[test], p[first][test], 12, positive=positive).values()
        rows = np.flatnonzero(test)[np.unique(np.concatenate(list(shown)))]
        pictures = np.stack([_galaxy(labels[i], size, band, random) for i in rows])
        heat = np.stack([_heat(random) for _ in rows])
        np.savez_compressed(folder / "sample.npz", ids=ids[rows], images=pictures, heat=heat)
    results = json.loads(json.dumps(plain(results)))
    (folder / "results.json").write_text(json.dumps(results))
    return results


def _epoch(e: int, strength: float) -> dict:
    loss = 0.3 + 0.4 * 0.8**e / strength
    return {"epoch": e, "train_loss": loss - 0.01 * e, "validation_loss": loss + 0.002 * (e - 9) ** 2,
            "validation_auc": 0.5 + 0.28 * strength * (1 - 0.75**e)}  # fmt: skip


def _importance() -> list[dict]:
    row = lambda kind, name, drop, note="": {  # noqa: E731
        "kind": kind, "name": name, "columns": [name], "drop": drop, "low": drop - 0.02, "high": drop + 0.02, "note": note,
    }  # fmt: skip
    columns = [row("column", f"column_{n}", 0.06 / (n + 1)) for n in range(8)]
    return [row("modality", "image", 0.21), row("modality", "table", 0.12), *columns,
            row("column", "log_sfr", 0.05, "shares its information with h_alpha_flux (+0.91)"),
            row("columns", "log_sfr + h_alpha_flux", 0.11)]  # fmt: skip


def _audit() -> dict:
    finding = lambda probe, verdict, auc, detail, **more: {  # noqa: E731
        "probe": probe, "columns": [], "verdict": verdict, "detail": detail, "advice": "", "auc": auc, "p": 0.2,
        "count": None, "kept_out": False, **more,
    }  # fmt: skip
    found = [
        finding("classes", "ok", None, "non 100, merger 60"),
        finding("nuisance snapshot", "leak", 0.894, "accuracy 0.76 (most common class 0.39)", p=0.002,
                advice="match the classes in Snapshot"),
        finding("missing cells", "suspect", 0.66, "BulgeMass is missing in 9 % against 41 %", p=0.004),
        finding("column p_merger", "leak", 0.999, "gives the label away", kept_out=True, p=0.0005),
        finding("nuisance redshift", "ok", 0.512, "as good as chance"),
        finding("duplicates", "ok", None, "no object occurs twice", count=0),
    ]  # fmt: skip
    return {"worst": "leak", "classes": {"non": 100, "merger": 60}, "seconds": 2.0, "findings": found}


def _galaxy(label: int, size: int, band: int, random: np.random.Generator) -> np.ndarray:
    """An exponential disc, with a companion and a bridge where it merges; float32 [band, y, x]."""
    y, x = (np.indices((size, size)) - size / 2) / size
    angle, flat = random.uniform(0, np.pi), random.uniform(0.5, 1.0)
    u, v = x * np.cos(angle) + y * np.sin(angle), (y * np.cos(angle) - x * np.sin(angle)) / flat
    light = 60 * np.exp(-np.hypot(u, v) / 0.07)
    if label:
        bridge = np.exp(-((v - 0.4 * u) ** 2) / 0.004) * (np.abs(u) < 0.3)
        light += 35 * np.exp(-np.hypot(u - 0.25, v - 0.1) / 0.04) + 3 * bridge
    colour = np.linspace(0.7, 1.3, band)[:, None, None]
    return (light * colour + random.normal(0, 0.5, (band, size, size))).astype(np.float32)


def _heat(random: np.random.Generator) -> np.ndarray:
    y, x = np.indices((6, 6)) - 2.5 - random.uniform(-1.5, 1.5, (2, 1, 1))
    return np.exp(-(x**2 + y**2) / 3).astype(np.float32)


QUICK = {"epochs": 2, "batch_size": 16, "width": 8, "blocks": 1, "bootstrap": 50, "threads": 1, "views": 2, "audit": False}


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """(run folder, packed file) of a real training run of 96 objects whose images and columns tell the class."""
    from sciml.pipelines.galaxy import packed
    from sciml.pipelines.galaxy.fit import train
    from sciml.pipelines.galaxy.training_settings import Train

    from .test_train import learnable

    folder = tmp_path_factory.mktemp("galaxy")
    file = packed.write(folder / "galaxies.h5", learnable(96))
    run = train(Train(images=file, out=folder / "run", **(QUICK | {"audit": True})), {})
    return run.path, file


@pytest.fixture(scope="session")
def galaxy_data() -> Path:
    """The folder of real galaxy data: SCIML_TEST_DATA/galaxy, or shared/data/galaxy beside the repository."""
    default = Path(__file__).resolve().parents[4] / "shared" / "data"
    folder = Path(os.environ.get("SCIML_TEST_DATA", default)) / "galaxy"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set SCIML_TEST_DATA")
    return folder


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
