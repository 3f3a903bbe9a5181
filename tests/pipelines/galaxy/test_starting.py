"""Starting weights: what is taken, what is not, and what does not fit."""

from dataclasses import replace

import pytest
import torch

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.galaxy.bundle import load_bundle
from sciml.pipelines.galaxy.experiment import prepare, prepare_model
from sciml.pipelines.galaxy.fit import train
from sciml.pipelines.galaxy.model import ModelShape, build
from sciml.pipelines.galaxy.samples import tiny_catalog
from sciml.pipelines.galaxy.starting import find_start, start_from
from sciml.pipelines.galaxy.training_settings import Train
from sciml.pipelines.progress import Progress

from .conftest import QUICK
from .test_experiment import given


def shape_like(bundle, **changed) -> ModelShape:
    return replace(bundle.model.shape, table="", n_continuous=0, cardinalities=(), **changed)


def test_weights_are_taken_and_band_statistics_are_not(finished):
    bundle = find_start(finished[0], "cnn")
    assert bundle.arm == "image"
    model = build(shape_like(bundle), 5, mean=(3.0,), std=(7.0,))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    taken = start_from(model, bundle, finished[0])
    theirs, kept = bundle.model.backbone.state_dict(), ("norm.mean", "norm.std")
    assert taken == len(theirs) - len(kept)
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, before[f"backbone.{name}"] if name in kept else theirs[name]), name
    for name, value in model.state_dict().items():
        if not name.startswith("backbone."):
            assert torch.equal(value, before[name]), name


def test_a_run_begins_where_the_other_ended(finished, tmp_path):
    """At a rate of nearly nothing the encoder is still the other run's, in the arms that see images."""
    folder, file = finished
    quick = QUICK | {"epochs": 1, "learning_rate": 1e-12, "ema": 0.0}
    run = train(Train(images=file, out=tmp_path / "run", start=folder, arms=("fusion", "table"), **quick), {})
    theirs = find_start(folder, "cnn").model.backbone
    ours = load_bundle(run.path / "checkpoints" / "model-fusion-0.safetensors").model.backbone
    for name, value in ours.named_parameters():
        torch.testing.assert_close(value, dict(theirs.named_parameters())[name], atol=1e-6, rtol=0)
    assert (run.path / "checkpoints" / "model-table-0.safetensors").is_file()


def test_what_does_not_fit_is_said(finished, tmp_path):
    bundle = find_start(finished[0], "cnn")
    with pytest.raises(DataError, match=r"stem.weight is .* 2 bands of 16 px, here are 3 bands") as caught:
        start_from(build(shape_like(bundle, n_bands=3), 0), bundle, finished[0])
    assert "--bands" in caught.value.hint
    with pytest.raises(SettingsError, match="its image encoder is cnn, not cnn_fine") as caught:
        find_start(finished[0], "cnn_fine")
    assert caught.value.hint == "add --backbone cnn"
    with pytest.raises(DataError, match="no such run or model"):
        train(Train(images=finished[1], start=tmp_path / "none", out=tmp_path / "run"), {})
    assert not (tmp_path / "run").exists()
    with pytest.raises(SettingsError, match="leave one out"):
        Train(start=tmp_path, pretrained=True)


def test_a_model_of_the_table_gives_and_takes_nothing(finished, tmp_path):
    import shutil

    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    shutil.copy(finished[0] / "checkpoints" / "model-table-0.safetensors", tmp_path / "run" / "checkpoints")
    with pytest.raises(DataError, match="sees the table only"):
        find_start(tmp_path / "run", "cnn")
    settings = given(tmp_path, tiny_catalog(60, size=16))
    table = prepare_model(prepare(settings, tmp_path, Progress()), settings, "table", 0, "cpu").model
    assert start_from(table, find_start(finished[0], "cnn"), finished[0]) == 0
