"""Exported models predict as the run does, also through ONNX, and say what they are."""

import copy
import json
import shutil

import numpy as np
import pytest
import torch

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.bundle import PREFIX, find_bundles
from sciml.pipelines.galaxy.export import export
from sciml.pipelines.galaxy.logits import predict_logits
from sciml.pipelines.galaxy.packed import open_packed
from sciml.pipelines.galaxy.training_settings import Export
from sciml.pipelines.galaxy.using import feed_of
from sciml.pipelines.progress import Progress


class Said(Progress):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


@pytest.mark.parametrize("arm", ["fusion", "image", "table"])
def test_there_and_back(finished, tmp_path, arm):
    folder, file = finished
    export(Export(model=folder, arm=arm, to=tmp_path / "model"))
    catalog = open_packed(file).take(np.arange(6))
    (a,), (b,) = find_bundles(folder, arm), find_bundles(tmp_path / "model")
    wanted = predict_logits(a.model, feed_of(a, catalog, "cpu"), np.arange(6))
    assert np.array_equal(predict_logits(b.model, feed_of(b, catalog, "cpu"), np.arange(6)), wanted)
    assert b.facts["temperature"] == a.facts["temperature"] and b.arm == arm
    card = (tmp_path / "model" / "README.md").read_text()
    assert "sciml galaxy predict" in card and "held-out scores" in card
    assert "curves" not in json.loads((tmp_path / "model" / "config.json").read_text())


def test_models_of_all_folds_and_members_go_together(finished, tmp_path):
    folder, file = finished
    run, card = tmp_path / "run", tmp_path / "model" / "README.md"
    shutil.copytree(folder, run)
    bundle = find_bundles(run, "table")[0]
    for fold, member in ((0, 1), (1, 0), (1, 1)):
        other = copy.deepcopy(bundle)
        other.facts.update(fold=fold, member=member, threshold=0.25 + 0.5 * fold)
        with torch.no_grad():
            next(other.model.parameters()).add_(0.1 * fold + 0.03 * member)
        other.save(run / "checkpoints" / f"{PREFIX}table-{fold}-{member}.safetensors")
    said = Said()
    export(Export(model=run, arm="table", to=tmp_path / "model"), said)
    assert "4 models" in said.notes[-1] and "4 models" in card.read_text()
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["README.md", *(f"model-{f}-{m}" for f in (0, 1) for m in (0, 1))]
    ours = find_bundles(tmp_path / "model")
    facts = lambda b: (b.facts["fold"], b.facts.get("member", 0), b.facts["threshold"])  # noqa: E731
    assert sorted(map(facts, ours)) == sorted(map(facts, find_bundles(run, "table")))
    export(Export(model=tmp_path / "model", to=tmp_path / "again"))  # an exported model is a model
    assert len(find_bundles(tmp_path / "again")) == 4
    export(Export(model=folder, arm="table", to=tmp_path / "model", overwrite=True))
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["README.md", "config.json", "model.safetensors"]


def test_a_full_folder_is_left_alone(finished, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine").write_text("x")
    with pytest.raises(SettingsError, match="not an empty folder"):
        export(Export(model=finished[0], to=tmp_path / "model"))


def test_onnx_equals_torch(finished, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    folder, file = finished
    export(Export(model=folder, to=tmp_path / "model", onnx=True))
    (bundle,), catalog = find_bundles(folder), open_packed(file).take(np.arange(5))
    feed = feed_of(bundle, catalog, "cpu")
    sample = feed.ready(feed.sample(torch.arange(5)))
    session = runtime.InferenceSession(str(tmp_path / "model" / "model.onnx"), providers=["CPUExecutionProvider"])
    values = dict(zip(("continuous", "missing", "categorical"), (t.numpy() for t in sample.table), strict=True))
    values["image"] = sample.image.numpy()
    names = {entry.name for entry in session.get_inputs()}
    (logits,) = session.run(["logits"], {name: value for name, value in values.items() if name in names})
    np.testing.assert_allclose(logits, predict_logits(bundle.model, feed, np.arange(5))[:, 0], atol=1e-4)
