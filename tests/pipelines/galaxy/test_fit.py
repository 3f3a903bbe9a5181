"""A whole small training run, made once: its files, its numbers, its continuation."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sciml.pipelines.errors import DataError, SettingsError, Stopped
from sciml.pipelines.galaxy import calibrate, packed
from sciml.pipelines.galaxy import fit as module
from sciml.pipelines.galaxy.bundle import find_bundles
from sciml.pipelines.galaxy.data import prepare as prepare_data
from sciml.pipelines.galaxy.experiment import Which
from sciml.pipelines.galaxy.fit import dry_run, train
from sciml.pipelines.galaxy.ranking import best_threshold
from sciml.pipelines.galaxy.results import stored_predictions
from sciml.pipelines.galaxy.samples import tiny_folder
from sciml.pipelines.galaxy.settings import Data
from sciml.pipelines.galaxy.splits import hold_out
from sciml.pipelines.galaxy.training_settings import Train, Use
from sciml.pipelines.galaxy.using import load, probabilities
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


def test_members_are_averaged_where_the_run_is_scored_and_where_it_is_used(finished, tmp_path):
    one, two = {"arms": ("table",), **QUICK}, {"arms": ("table",), "members": 2, **QUICK}
    train(Train(images=finished[1], out=tmp_path / "one", **one), {})
    run = train(Train(images=finished[1], out=tmp_path / "two", **two), {})
    bundles = find_bundles(run.path)
    assert [(b.facts["fold"], b.facts["member"]) for b in bundles] == [(0, 0), (0, 1)]
    alone, (first, second) = find_bundles(tmp_path / "one")[0].model.state_dict(), [b.model.state_dict() for b in bundles]
    assert all(torch.equal(first[name], alone[name]) for name in alone), "the first member is the model without members"
    assert not all(torch.equal(first[name], second[name]) for name in first)

    frame = pd.read_csv(run.path / "predictions.csv", dtype={"id": str})
    frame = frame[frame["part"] == "test"].set_index("id")
    bundles, gathered = load(Use(model=run.path), Progress())  # without data: the test objects, which no member has seen
    p, _ = probabilities(bundles, gathered.catalog, Use(model=run.path, threads=1), Progress())
    np.testing.assert_allclose(p[:, 1], frame.loc[gathered.catalog.ids, "p_table_b"], atol=2e-5)
    results = run.read_json("results.json")
    assert results["members"] == 2 and results["arms"]["table"]["threshold"] == bundles[1].facts["threshold"]
    held = [stored_predictions(run, Which("table", 0, m)) for m in (0, 1)]
    mean = np.mean([calibrate.apply(z["validation"].mean(1), facts["temperature"]) for z, facts in held], axis=0)
    labels = packed.open_packed(finished[1]).labels[hold_out(packed.open_packed(finished[1]), (0.65, 0.15, 0.2), 0).validation]
    assert bundles[1].facts["threshold"] == best_threshold(labels == 1, mean[:, 1])


def test_a_run_stopped_in_its_second_member_continues_there(finished, tmp_path, monkeypatch):
    settings = Train(images=finished[1], out=tmp_path / "run", arms=("table",), members=2, **QUICK)
    whole = train(replace(settings, out=tmp_path / "whole"), {})
    with monkeypatch.context() as patch:
        stop_once_after(patch, 3)
        with pytest.raises(Stopped):
            train(settings, {})
    assert [path.name for path in (tmp_path / "run" / "checkpoints").glob("model-*")] == ["model-table-0.safetensors"]
    train(Train(resume=tmp_path / "run"), {"resume": tmp_path / "run"})
    assert (whole.path / "predictions.csv").read_bytes() == (tmp_path / "run" / "predictions.csv").read_bytes()


def test_a_model_of_a_packed_file_reads_plain_files_as_those_were_read(tmp_path):
    """What --field, --fit and --image-size said when it was packed also holds for the files it predicts."""
    images, table = tiny_folder(tmp_path, n=24, size=40)
    said = {"field": 0.5, "fit": "crop", "image_size": 16, "bands": ("x", "y", "z")}
    prepare_data(Data(images=images, table=(table,), id="objid", label="merger", pack=tmp_path / "p.h5", **said), Progress())
    settings = Train(images=tmp_path / "p.h5", out=tmp_path / "run", arms=("image",), **(QUICK | {"epochs": 1, "test": 0.3, "validation": 0.2}))
    train(settings, {})
    _, gathered = load(Use(model=tmp_path / "run", images=images), Progress())
    shown, first = gathered.catalog, packed.open_packed(tmp_path / "p.h5")
    assert shown.images.shape == (3, 16, 16) and shown.images.bands == ("x", "y", "z")
    at = {name: i for i, name in enumerate(shown.ids)}
    rows = np.array([at[name] for name in first.ids])
    np.testing.assert_allclose(shown.images.read(rows), first.images.read(np.arange(len(rows))), atol=1 / 255)


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
