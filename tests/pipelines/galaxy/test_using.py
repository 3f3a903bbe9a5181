"""Models on objects: read as in training, refused where they do not fit, averaged over folds and views."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.galaxy import packed
from sciml.pipelines.galaxy.catalog import ArrayImages
from sciml.pipelines.galaxy.samples import tiny_catalog
from sciml.pipelines.galaxy.training_settings import Use
from sciml.pipelines.galaxy.using import _as_trained, load, measures, probabilities, target_path
from sciml.pipelines.progress import Progress


def test_without_data_the_runs_own_test_objects(finished):
    folder, _ = finished
    bundles, gathered = load(Use(model=folder), Progress())
    assert len(bundles) == 1 and len(gathered.catalog) == pytest.approx(0.2 * 96, abs=1)
    p, sd = probabilities(bundles, gathered.catalog, Use(model=folder, threads=1), Progress())
    assert p.shape == sd.shape == (len(gathered.catalog), 2) and np.allclose(p.sum(1), 1) and (sd >= 0).all()
    alone, none = probabilities(bundles, gathered.catalog, Use(model=folder, threads=1, views=1), Progress())
    assert (none == 0).all() and not np.allclose(alone, p)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((6, 3, 16, 16), np.float32), "the images have 3 bands"),
        (np.zeros((6, 2, 24, 24), np.float32), "24 px wide, the model was trained on 16"),
    ],
)
def test_images_that_do_not_fit(finished, tmp_path, images, words):
    file = packed.write(tmp_path / "c.h5", tiny_catalog(6, images=ArrayImages(images)))
    with pytest.raises(DataError, match=words):
        load(Use(model=finished[0], images=file), Progress())


def test_files_are_read_as_in_training_unless_told_otherwise(tmp_path):
    facts = {"choice": {"field": 0.5, "fit": "crop", "bands": ["r", "g"], "id": None}}
    trained = SimpleNamespace(facts=facts, pixels=None, preprocessor=None, arm="image")
    choice = _as_trained(Use(images=tmp_path), trained, packed=False)
    assert (choice.field, choice.fit, choice.bands) == (0.5, "crop", ("r", "g"))
    assert _as_trained(Use(images=tmp_path, field=0.7), trained, packed=False).field == 0.7


def test_what_was_measured_in_training_is_measured_where_nothing_else_is_lacking(tmp_path):
    def trained(*columns):
        return SimpleNamespace(
            facts={"choice": {"measure": True}}, pixels=None, preprocessor=SimpleNamespace(columns=columns), arm="fusion"
        )

    only, mixed = trained("measured gini"), trained("measured gini", "mass")
    images, table = Use(images=tmp_path), Use(images=tmp_path, table=(tmp_path,))
    assert measures(only, alone=True) and measures(mixed) and not measures(mixed, alone=True) and not measures(trained("mass"))
    assert _as_trained(images, only, packed=False).measure
    assert not _as_trained(images, mixed, packed=False).measure, "with other columns gone, the image speaks alone"
    assert _as_trained(table, mixed, packed=False).measure and _as_trained(images, mixed, packed=True).measure
    assert not _as_trained(Use(table=(tmp_path,)), mixed, packed=False).measure
    assert _as_trained(table, mixed, packed=False).inputs == ("mass",), "the table need not have what is measured"


def test_other_columns_are_named(finished, tmp_path):
    catalog = tiny_catalog(6, size=16)
    renamed = replace(catalog, table=catalog.table.rename(columns={"x1": "x9"}))
    file = packed.write(tmp_path / "c.h5", renamed)
    bundles, gathered = load(Use(model=finished[0], images=file), Progress())
    with pytest.raises(DataError, match='no column "x1"'):
        probabilities(bundles, gathered.catalog, Use(model=finished[0], images=file, threads=1), Progress())


def test_a_target_is_never_overwritten_unasked(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("x")
    with pytest.raises(SettingsError, match="exists already"):
        target_path(file, False)
    assert target_path(file, True) == file
