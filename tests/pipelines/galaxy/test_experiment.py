"""What a run consists of: simulated or given objects, arms, splits, and models prepared on training objects alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy import packed
from sciml.pipelines.galaxy.catalog import ArrayImages
from sciml.pipelines.galaxy.experiment import prepare, prepare_model
from sciml.pipelines.galaxy.samples import tiny_catalog
from sciml.pipelines.galaxy.training_settings import Train
from sciml.pipelines.progress import Progress


def given(tmp_path, catalog=None, **values):
    file = packed.write(tmp_path / "c.h5", catalog or tiny_catalog(60, size=16), overwrite=True)
    return Train(images=file, width=8, **values)


SCENARIOS = ("isolated", "clumpy", "projection", "relaxed", "pre", "post")


@pytest.mark.parametrize(
    ("label", "classes"), [(None, ("non", "merger")), ("stage", ("non", "pre", "post")), ("scenario", SCENARIOS)]
)
def test_simulated_galaxies_are_kept(tmp_path, label, classes):
    settings = Train(simulate=80 if label == "scenario" else 16, image_size=16, label=label, folds=2)
    first = prepare(settings, tmp_path, Progress())
    assert first.simulated and first.catalog.classes == classes and not len(first.catalog.withheld.columns)
    assert (tmp_path / "simulated.h5").is_file()
    behind = packed.open_packed(tmp_path / "simulated.h5").withheld["scenario"].astype(str)
    merging = behind.isin(("pre", "post")).to_numpy()
    expected = {None: merging, "stage": np.where(merging, 1 + (behind == "post"), 0)}
    expected["scenario"] = [SCENARIOS.index(name) for name in behind]
    assert np.array_equal(first.catalog.labels, expected[label])
    again = prepare(settings, tmp_path, Progress())
    assert np.array_equal(first.catalog.images.read([0]), again.catalog.images.read([0]))


def test_arms_follow_what_is_there(tmp_path):
    assert prepare(given(tmp_path), tmp_path, Progress()).arms == ("fusion", "image", "table")
    only = replace(tiny_catalog(60), images=None)
    assert prepare(given(tmp_path, only), tmp_path, Progress()).arms == ("table",)
    assert prepare(given(tmp_path, arms=("table", "image")), tmp_path, Progress()).arms == ("image", "table")


def test_objects_without_an_image_are_left_out_of_a_comparison(tmp_path):
    images = ArrayImages(np.zeros((60, 1, 16, 16), np.float32), present=np.arange(60) % 5 > 0)
    experiment = prepare(given(tmp_path, tiny_catalog(60, images=images)), tmp_path, Progress())
    assert len(experiment.catalog) == 48
    assert len(prepare(given(tmp_path, tiny_catalog(60, images=images), arms=("fusion", "table")), tmp_path, Progress()).catalog) == 60


def test_preparation_sees_training_objects_alone(tmp_path):
    settings = given(tmp_path)
    experiment = prepare(settings, tmp_path, Progress())
    before = prepare_model(experiment, settings, "fusion", 0, "cpu")
    test = experiment.splits[0].test
    images = experiment.catalog.images.read(np.arange(60))
    images[test] *= 1000
    table = experiment.catalog.table.copy()
    table.iloc[test] = 1e6
    changed = replace(experiment, catalog=replace(experiment.catalog, images=ArrayImages(images), table=table))
    after = prepare_model(changed, settings, "fusion", 0, "cpu")
    assert replace(before.pixels, bands=()) == replace(after.pixels, bands=())
    assert before.preprocessor.fitted_on(experiment.catalog.ids[experiment.splits[0].train])
    for name, value in before.preprocessor.arrays.items():
        assert np.array_equal(value, after.preprocessor.arrays[name])
    for name, value in before.model.state_dict().items():
        assert torch.equal(value, after.model.state_dict()[name])


def test_the_positive_class(tmp_path):
    assert prepare(given(tmp_path), tmp_path, Progress()).positive == 1
    assert prepare(given(tmp_path, positive="a"), tmp_path, Progress()).positive == 0
    three = tiny_catalog(60, n_class=3)
    assert prepare(given(tmp_path, three), tmp_path, Progress()).positive is None
    with pytest.raises(SettingsError, match='--positive "d": no such class'):
        prepare(given(tmp_path, three, positive="d"), tmp_path, Progress())
