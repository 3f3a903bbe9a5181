"""A stored student predicts what it predicted in training, from new files and without the teacher."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.kd.base import _fit, _Problem
from sciml.pipelines.kd.evaluate import evaluate
from sciml.pipelines.kd.export import export
from sciml.pipelines.kd.fit import fit
from sciml.pipelines.kd.model import load_model, network_teacher
from sciml.pipelines.kd.settings import Evaluate, Export


@pytest.fixture(scope="module")
def trained(daily, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "run"
    options = {"hidden": 4, "epochs": 2, "archive_epochs": 1, "seeds": 1, "workers": 1, "control": False}
    return fit(replace(daily.fit, out=folder, **options))


def test_the_forecast_needs_no_teacher_file(trained, daily):
    model = load_model(trained.path)
    with_file, without = model.read(daily.nwp, daily.obs), model.read(None, daily.obs)
    one, _ = model.forecast(with_file, np.arange(len(with_file.pairs.anchor)))
    two, _ = model.forecast(without, np.arange(len(without.pairs.anchor)))
    shared, a, b = np.intersect1d(with_file.pairs.teacher.issue, without.pairs.teacher.issue, return_indices=True)
    both = np.isfinite(one[a]) & np.isfinite(two[b])
    assert len(shared) > 300 and both.mean() > 0.8
    np.testing.assert_allclose(one[a][both], two[b][both], rtol=1e-5)


def test_a_network_teaches(trained, daily):
    teacher = network_teacher(load_model(trained.path), daily.obs)
    assert set(teacher.values) == {"2m_temperature"} and list(teacher.lead_hours) == [24.0, 48.0]
    assert np.isfinite(teacher.values["2m_temperature"]).mean() > 0.8


@pytest.fixture(scope="module")
def correcting(daily, tmp_path_factory):
    """A residual run whose base is a regression with memory."""
    memory = lambda pairs, observed, operator, train, held, history: _fit(  # noqa: E731
        _Problem(pairs, observed, operator(pairs.forecast), pairs.truth, train), 2, 1e-3
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sciml.pipelines.kd.design.choose_base", memory)
        options = {"hidden": 4, "epochs": 2, "seeds": 1, "workers": 1, "mode": "residual", "head": "gaussian"}
        return fit(replace(daily.fit, out=tmp_path_factory.mktemp("model") / "run", **options))


def test_the_base_travels_with_the_model(correcting, daily, tmp_path):
    """Checkpoint, export and prediction start at the numbers that the fit started at."""
    results = correcting.read_json("results.json")
    assert results["base"]["kind"] == "mos_ar" and results["base"]["memory"] == 2
    assert not any(row["arm"].startswith("trial") for row in results["curves"])
    scored = {row["method"]: row["rmse"] for row in results["scores"]}
    folder = export(Export(model=correcting.path, to=tmp_path / "model"))
    assert "MOS + AR" in (folder / "README.md").read_text()
    for where in (correcting.path, folder):
        block = results["data"]["blocks"]["test"]
        found = evaluate(
            Evaluate(model=where, teacher=daily.nwp, observations=daily.obs, start=block["start"], end=block["end"])
        )
        assert found["scores"][-1]["rmse"] == pytest.approx(scored["distilled"], rel=2e-3)
    model = load_model(folder)
    design = model.read(daily.nwp, daily.obs)
    with torch.no_grad():
        model.student.head.weight.zero_()
        model.student.head.bias.zero_()
    point, _ = model.forecast(design, np.arange(len(design.pairs.anchor)))
    known = np.isfinite(point)
    assert known.any() and not np.allclose(design.first_guess[known], design.corrected[known], atol=0.1)
    np.testing.assert_allclose(point[known], design.first_guess[known], rtol=1e-5)


def test_the_newest_run_of_a_folder(trained):
    assert load_model(trained.path.parent).folder == trained.path


def test_what_is_missing_is_said(trained, daily, tmp_path):
    with pytest.raises(DataError, match="no such run"):
        load_model(tmp_path / "nothing")
    with pytest.raises(DataError, match="neither a run folder"):
        load_model(tmp_path)
    with pytest.raises(SettingsError, match="observations are needed"):
        load_model(trained.path).read(daily.nwp, None)
