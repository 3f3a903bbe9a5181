"""Exported networks give the same numbers, in ONNX too."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.kd.export import export, write_onnx
from sciml.pipelines.kd.fit import fit
from sciml.pipelines.kd.model import Model, load_model
from sciml.pipelines.kd.settings import Export
from sciml.pipelines.kd.student import Shape, build


@pytest.mark.parametrize("kind", ["lstm_ae", "lstm", "autoencoder"])
@pytest.mark.parametrize("predictors", [0, 3])
def test_onnx_equals_torch(tmp_path, kind, predictors, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)  # the extra does not install it
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    shape = Shape(kind, channels=4, length=5, horizon=3, targets=2, hidden=6, predictors=predictors, head="gaussian")
    student = build(shape, 1)
    with torch.no_grad():
        student.head.weight.normal_(generator=torch.Generator().manual_seed(2))
    model = Model(student, {"mode": "residual" if predictors else "direct"}, tmp_path)
    write_onnx(model, tmp_path / "model.onnx")
    draw = torch.Generator().manual_seed(3)
    inputs = {"past": torch.randn(5, 4, 7, generator=draw)}
    if predictors:
        inputs |= {"future": torch.randn(3, 3, 7, generator=draw), "anchor": torch.randn(3, 2, 7, generator=draw)}
    with torch.no_grad():
        wanted = student(*inputs.values())
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"))
    (found,) = session.run(None, {n: a.numpy() for n, a in inputs.items()})
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)


def test_an_exported_folder_is_the_same_model(daily, tmp_path):
    options = {"hidden": 4, "epochs": 1, "archive_epochs": 1, "seeds": 1, "workers": 1, "control": False}
    run = fit(replace(daily.fit, out=tmp_path / "run", **options))
    folder = export(Export(model=run.path, to=tmp_path / "model"))
    one, two = load_model(run.path), load_model(folder)
    assert one.config == two.config
    assert all(torch.equal(a, b) for a, b in zip(one.student.parameters(), two.student.parameters(), strict=True))
    card = (folder / "README.md").read_text()
    assert "## Held-out scores" in card and "distilled student" in card
    with pytest.raises(SettingsError, match="not an empty"):
        export(Export(model=run.path, to=folder))
