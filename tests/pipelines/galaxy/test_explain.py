"""Explanations: what carries the class is found, maps lie on the cutouts, files are whole."""

import json

import numpy as np
import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.explain import explain
from sciml.pipelines.galaxy.training_settings import Explain


def test_everything_a_fusion_model_can_say(finished, tmp_path):
    folder, file = finished
    found = explain(Explain(model=folder, images=file, to=tmp_path / "why", objects=4, repeats=2, threads=1))
    drops = {row["name"]: row["drop"] for row in found["importance"]}
    assert set(drops) >= {"image", "table", "x0", "x1", "x2"}
    assert drops["image"] > drops["x1"]
    assert [row["name"] for row in found["ablation"]] == ["image and table", "image, table hidden", "table, image hidden"]
    assert found["maps"] == ["attention", "grad_cam"]
    assert sum(row["attention"] for row in found["column_attention"]) <= 1.0 + 1e-6
    with np.load(tmp_path / "why" / "maps.npz") as maps:
        assert maps["grad_cam"].shape == (4, 16, 16) and 0 <= maps["grad_cam"].min() <= maps["grad_cam"].max() <= 1
    for name in ("importance.png", "grad_cam.png", "attention.png"):
        assert (tmp_path / "why" / name).read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "why" / "explain.json").read_text())["arm"] == "fusion"
    with pytest.raises(SettingsError, match="not an empty folder"):
        explain(Explain(model=folder, images=file, to=tmp_path / "why"))


def test_a_table_model(finished, tmp_path):
    found = explain(Explain(model=finished[0], arm="table", to=tmp_path / "why", repeats=2, threads=1))
    assert "maps" not in found and found["ablation"] == []
    assert {row["column"] for row in found["column_attention"]} == {"x0", "x1", "x2"}
