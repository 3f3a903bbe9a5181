"""Evaluation: the run's own test objects score as the run said, and foreign labels are refused."""

from dataclasses import replace

import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy import packed
from sciml.pipelines.galaxy.evaluate import evaluate
from sciml.pipelines.galaxy.packed import open_packed
from sciml.pipelines.galaxy.training_settings import Evaluate
from sciml.pipelines.run import Run


def test_the_runs_own_score(finished):
    folder, _ = finished
    found = evaluate(Evaluate(model=folder, arm="table", threads=1, bootstrap=20))
    stored = Run(folder).read_json("results.json")["arms"]["table"]["metrics"]["test"]
    assert found["scores"]["auc"]["value"] == pytest.approx(stored["auc"]["value"], abs=1e-6)
    assert sum(map(sum, found["confusion"])) == found["objects"]


def test_bins_and_other_objects(finished):
    folder, file = finished
    found = evaluate(Evaluate(model=folder, images=file, bins=("x1",), threads=1, bootstrap=20))
    assert found["objects"] == 96 and sum(row["n"] for row in found["bins"]["x1"]) == 96
    with pytest.raises(DataError, match="--bins x8: no such column"):
        evaluate(Evaluate(model=folder, images=file, bins=("x8",), threads=1, bootstrap=20))


def test_labels_that_are_no_class_of_the_model(finished, tmp_path):
    catalog = replace(open_packed(finished[1]), classes=("a", "star"))
    file = packed.write(tmp_path / "c.h5", catalog)
    with pytest.raises(DataError, match='"star" is none of the model'):
        evaluate(Evaluate(model=finished[0], images=file, threads=1))
    file = packed.write(tmp_path / "d.h5", replace(catalog, labels=None, classes=()))
    with pytest.raises(DataError, match="no labels to score against"):
        evaluate(Evaluate(model=finished[0], images=file, threads=1))
