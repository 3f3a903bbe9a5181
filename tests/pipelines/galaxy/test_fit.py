"""A whole small training run, made once: its files, its numbers, its continuation."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sciml.pipelines.errors import DataError, SettingsError, Stopped
from sciml.pipelines.galaxy import fit as module
from sciml.pipelines.galaxy import packed
from sciml.pipelines.galaxy.fit import dry_run, train
from sciml.pipelines.galaxy.training_settings import Train
from sciml.pipelines.progress import Progress
from sciml.pipelines.run import Run

from .conftest import QUICK
from .test_train import learnable


def test_files_of_a_run(finished):
    folder, _ = finished
    assert Run(folder).status()["state"] == "finished"
    for name in ("results.json", "predictions.csv", "sample.npz", "audit.json", "report/index.html"):
        assert (folder / name).stat().st_size > 0
    kept = sorted(p.name for p in (folder / "checkpoints").iterdir())
    wanted = [f"{kind}-{arm}-0.safetensors" for kind in ("model", "predictions") for arm in ("fusion", "image", "table")]
    assert kept == wanted


def test_results_hold_every_arm(finished):
    results = Run(finished[0]).read_json("results.json")
    assert list(results["arms"]) == ["fusion", "image", "table"]
    assert results["n"]["train"] + results["n"]["validation"] + results["n"]["test"] == 96
    for arm in results["arms"].values():
        auc = arm["metrics"]["test"]["auc"]
        assert auc["low"] <= auc["value"] <= auc["high"]
        assert len(arm["curves"]) == 2 and arm["parameters"] > 0 and arm["temperature"] > 0
    assert results["arms"]["image"]["metrics"]["test"]["auc"]["value"] > 0.6
    assert {row["name"] for row in results["importance"]} >= {"image", "table", "x0"}
    assert len(results["ablation"]) == 3 and not results["simulated"]


def test_predictions_are_scored_rows(finished):
    frame = pd.read_csv(finished[0] / "predictions.csv", dtype={"id": str})
    results = Run(finished[0]).read_json("results.json")
    test = frame[frame["part"] == "test"]
    assert len(test) == results["n"]["test"] and frame["id"].str.len().eq(18).all()
    assert np.allclose(test[["p_fusion_a", "p_fusion_b"]].sum(axis=1), 1, atol=1e-5)


def stop_once_after(monkeypatch, epochs):
    """SIGTERM, as it would come after so many epochs in all."""
    seen, original = [], module.Hooks

    def hooks(load, save, on_epoch, on_step, should_stop):
        def counted(row):
            on_epoch(row)
            seen.append(row)
            if len(seen) == epochs:
                os.kill(os.getpid(), signal.SIGTERM)

        return original(load, save, counted, on_step, should_stop)

    monkeypatch.setattr(module, "Hooks", hooks)


def test_a_stopped_run_continues_to_the_same_numbers(finished, tmp_path, monkeypatch):
    _, file = finished
    settings = Train(images=file, out=tmp_path / "run", **QUICK)
    with monkeypatch.context() as patch:
        stop_once_after(patch, 3)
        with pytest.raises(Stopped, match="continue with sciml galaxy train --resume"):
            train(settings, {})
    assert Run(tmp_path / "run").status()["state"] == "stopped"
    train(Train(resume=tmp_path / "run"), {"resume": tmp_path / "run"})
    a, b = (pd.read_csv(path / "predictions.csv") for path in (finished[0], tmp_path / "run"))
    pd.testing.assert_frame_equal(a, b)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert len({(row["job"], row["epoch"]) for row in rows}) == len(rows) == 6


def test_folds_predict_every_object_once(finished, tmp_path):
    run = train(Train(images=finished[1], out=tmp_path / "run", folds=3, arms=("table",), **QUICK), {})
    frame = pd.read_csv(run.path / "predictions.csv", dtype={"id": str})
    test = frame[frame["part"] == "test"]
    assert sorted(test["id"]) == sorted(packed.open_packed(finished[1]).ids)
    assert run.read_json("results.json")["folds"] == 3


def test_a_minute_is_not_enough(finished, tmp_path):
    run = train(Train(images=finished[1], out=tmp_path / "run", **(QUICK | {"max_minutes": 1e-4})), {})
    assert run.status()["state"] == "stopped" and run.read_json("results.json") is None


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"images": Path("nowhere")}, DataError, "nowhere: there is no such file"),
        ({"table": (Path("pyproject.toml"),)}, (SettingsError, DataError), "which column is the class|no such file"),
        ({"backbone": "resnet19"}, SettingsError, 'unknown backbone "resnet19"'),
        ({"label": "phase"}, SettingsError, "simulated galaxies have the labels merger"),
        ({"positive": "star", "label": "merger"}, SettingsError, 'no such class'),
    ],
)  # fmt: skip
def test_what_cannot_be_trained(values, error, words, tmp_path):
    small = {"simulate": 24} if "images" not in values and "table" not in values else {}
    with pytest.raises(error, match=words):
        train(Train(out=tmp_path / "run", **(QUICK | small | values)), {})


def test_a_dry_run_trains_nothing(finished, tmp_path):
    sizes = dry_run(Train(images=finished[1], **QUICK), Progress())
    assert sizes["objects"] == 96 and set(sizes["parameters"]) == {"fusion", "image", "table"}
    assert not list(tmp_path.iterdir())


def test_one_arm_needs_its_data(tmp_path):
    catalog = replace(learnable(40), images=None)
    file = packed.write(tmp_path / "table.h5", catalog)
    with pytest.raises(SettingsError, match="--arms image: no object has an image"):
        train(Train(images=file, out=tmp_path / "run", **(QUICK | {"arms": ("image",)})), {})
