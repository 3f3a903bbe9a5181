"""Bundles: everything comes back from the file, and what is no bundle is said to be none."""

import numpy as np
import pytest

from sciml.pipelines.checkpoint import save_tensors
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.galaxy.bundle import common_threshold, find_bundles, load_bundle, run_folder
from sciml.pipelines.galaxy.logits import predict_logits
from sciml.pipelines.galaxy.using import feed_of


def test_a_bundle_predicts_what_the_run_stored(finished):
    from sciml.pipelines.galaxy.packed import open_packed
    from sciml.pipelines.galaxy.splits import hold_out
    from sciml.pipelines.run import Run

    folder, file = finished
    catalog = open_packed(file)
    split = hold_out(catalog, (0.65, 0.15, 0.2), 0)
    for arm in ("fusion", "image", "table"):
        bundle = load_bundle(folder / "checkpoints" / f"model-{arm}-0.safetensors")
        stored, _ = Run(folder).load(f"predictions-{arm}-0")
        found = predict_logits(bundle.model, feed_of(bundle, catalog, "cpu"), split.test, views=bundle.facts["views"])
        np.testing.assert_allclose(found, stored["test"], atol=1e-4)
        p = bundle.probability(found)
        np.testing.assert_allclose(p.sum(-1), 1.0)
        assert bundle.arm == arm and bundle.classes == ("a", "b")


def test_the_arm_that_fits_what_is_given(finished):
    folder, _ = finished
    assert find_bundles(folder)[0].arm == "fusion"
    assert find_bundles(folder, images=False)[0].arm == "table"
    assert find_bundles(folder.parent, table=False)[0].arm == "image"
    assert find_bundles(folder, "table")[0].arm == "table"


def test_what_is_no_model(finished, tmp_path):
    with pytest.raises(DataError, match="no such run or model"):
        run_folder(tmp_path / "none")
    with pytest.raises(DataError, match="neither a run folder"):
        run_folder(tmp_path)
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    with pytest.raises(DataError, match="has no trained model yet"):
        find_bundles(tmp_path / "run")
    save_tensors(tmp_path / "other.safetensors", {"a": np.zeros(1)}, {"format": "other"})
    with pytest.raises(DataError, match="format 'other'"):
        load_bundle(tmp_path / "other.safetensors")


def test_an_arm_that_was_not_trained(finished, tmp_path):
    import shutil

    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    shutil.copy(finished[0] / "checkpoints" / "model-table-0.safetensors", tmp_path / "run" / "checkpoints")
    with pytest.raises(SettingsError, match="has no image model; it has table"):
        find_bundles(tmp_path / "run", "image")
    assert find_bundles(tmp_path / "run")[0].arm == "table"


def test_the_threshold_of_several_models_is_the_median_of_the_folds_last_members():
    facts = [{"fold": f, "member": m, "threshold": t} for f, m, t in ((0, 1, 0.4), (0, 0, 0.9), (1, 0, 0.8), (1, 1, 0.2), (2, 0, 0.3))]
    assert common_threshold(facts) == 0.3
    assert common_threshold([{"fold": 0, "threshold": 0.7}]) == 0.7, "runs of earlier versions have no members"
    assert common_threshold([{"fold": 0, "threshold": None}]) is None
