"""results.json holds what was measured, and the kept student is the one that validates best."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from sciml.pipelines.kd.fit import fit
from sciml.pipelines.kd.model import load_model
from sciml.pipelines.kd.pool import Outcome
from sciml.pipelines.kd.results import _keep_best
from sciml.pipelines.kd.settings import Fit
from sciml.pipelines.run import Run


@pytest.fixture(scope="module")
def run(daily, tmp_path_factory):
    options = {"hidden": 4, "epochs": 2, "archive_epochs": 1, "seeds": 2, "workers": 1}
    return fit(replace(daily.fit, out=tmp_path_factory.mktemp("results") / "run", **options))


def test_the_kept_student_validates_best(run):
    curves = run.read_json("results.json")["curves"]
    best = {
        seed: min(r["validation_rmse"] for r in curves if r["job"] == f"distilled-{seed}" and r["steps"] > 0)
        for seed in (0, 1)
    }
    _, header = run.load("best")
    assert header["job"] == f"distilled-{min(best, key=best.get)}"


def test_the_stored_score_is_that_of_the_stored_student(run, daily):
    results, model = run.read_json("results.json"), load_model(run.path)
    design = model.read(daily.nwp, daily.obs)
    issue = design.pairs.teacher.issue.astype("datetime64[m]").astype(str)
    block = results["data"]["blocks"]["test"]
    chosen = np.flatnonzero((issue >= block["start"]) & (issue <= block["end"]))
    point, _ = model.forecast(design, chosen)
    error = (point - design.pairs.truth[chosen])[np.isfinite(design.pairs.forecast[chosen])]
    found = float(np.sqrt(np.nanmean(error**2)))
    _, header = run.load("best")
    seed = int(header["job"].rsplit("-", 1)[1])
    (row,) = [r for r in results["scores"] if r["method"] == "distilled"]
    assert found == pytest.approx(row["rmse_per_seed"][seed], rel=0.02)


def test_blocks_follow_each_other(run):
    blocks = run.read_json("results.json")["data"]["blocks"]
    assert (
        blocks["train"]["end"] < blocks["validation"]["start"] < blocks["validation"]["end"] < blocks["test"]["start"]
    )
    assert blocks["archive"]["issues"] >= blocks["train"]["issues"]


def test_soft_targets_have_their_own_name(run):
    comparison = run.read_json("results.json")["comparison"]
    assert comparison["against_soft_target"]["distilled"] > 0
    assert not any("soft" in row["method"] for row in run.read_json("results.json")["scores"])


def test_the_kept_student_is_the_one_whose_kept_weights_validate_best(tmp_path):
    """A lucky epoch whose weights were not kept does not choose the seed."""
    run = Run.create("kd", "fit", Fit(), out=tmp_path / "run")
    for name, kept in (("distilled-0", 2.0), ("distilled-1", 1.5)):
        run.save(name, {"best.w": np.full(1, kept, np.float32)}, {"best": {"rmse": kept}, "rows": []})
    rows = {"distilled-0": [{"validation_rmse": 1.0}], "distilled-1": [{"validation_rmse": 1.4}]}
    outcome = Outcome(rows, set(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sciml.pipelines.kd.results.configuration", lambda *a: {})
        patch.setattr("sciml.pipelines.kd.results.Planner", lambda *a: SimpleNamespace(shape=id, scaling=id))
        _keep_best(run, None, Fit(), outcome)
    assert run.load("best")[1]["job"] == "distilled-1"
