"""Exported models predict as the run does, also through ONNX, and say what they are."""

import json

import numpy as np
import pytest
import torch

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.bundle import find_bundles
from sciml.pipelines.galaxy.export import export
from sciml.pipelines.galaxy.logits import predict_logits
from sciml.pipelines.galaxy.packed import open_packed
from sciml.pipelines.galaxy.training_settings import Export
from sciml.pipelines.galaxy.using import feed_of


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
