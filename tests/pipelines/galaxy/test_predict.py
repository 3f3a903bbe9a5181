"""Predictions as tables: CSV and FITS, corrected for another prevalence, with absent modalities said."""

import numpy as np
import pandas as pd
import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy import packed
from sciml.pipelines.galaxy.catalog import ArrayImages
from sciml.pipelines.galaxy.packed import open_packed
from sciml.pipelines.galaxy.predict import predict
from sciml.pipelines.galaxy.training_settings import Predict


def given(finished, tmp_path, name="p.csv", **values):
    values = {"model": finished[0], "images": finished[1], "threads": 1} | values
    return Predict(to=tmp_path / name, **values)


def test_a_table_of_every_object(finished, tmp_path):
    predict(given(finished, tmp_path))
    frame = pd.read_csv(tmp_path / "p.csv", dtype={"id": str})
    assert list(frame["id"]) == list(open_packed(finished[1]).ids)
    assert set(frame["predicted"]) <= {"a", "b"} and set(frame["modality"]) == {"image + table"}
    assert np.allclose(frame["p_a"] + frame["p_b"], 1, atol=1e-5) and (frame["entropy"] >= 0).all()
    assert (frame["label"] == frame["predicted"]).mean() > 0.5


def test_fits_holds_the_same(finished, tmp_path):
    from astropy.table import Table

    frame = predict(given(finished, tmp_path, "p.fits"))
    table = Table.read(tmp_path / "p.fits")
    assert np.allclose(table["p_a"], frame["p_a"]) and [str(i).strip() for i in table["id"]] == list(frame["id"])


def test_rarer_classes_become_less_probable(finished, tmp_path):
    plain = predict(given(finished, tmp_path))
    rare = predict(given(finished, tmp_path, "rare.csv", prevalence=0.01))
    assert (rare["p_b"] < plain["p_b"]).all()
    order = plain["p_b"].argsort()
    assert (rare["p_b"].to_numpy()[order][1:] >= rare["p_b"].to_numpy()[order][:-1] - 1e-6).all()


def test_absent_images_are_said(finished, tmp_path):
    catalog = open_packed(finished[1]).take(np.arange(8))
    images = ArrayImages(catalog.images.read(np.arange(8)), catalog.images.bands, present=np.arange(8) > 3)
    from dataclasses import replace

    file = packed.write(tmp_path / "some.h5", replace(catalog, images=images))
    frame = predict(given(finished, tmp_path, images=file))
    assert list(frame["modality"]) == ["table"] * 4 + ["image + table"] * 4
    assert np.isfinite(frame[["p_a", "p_b"]]).all(axis=None)


@pytest.mark.parametrize(
    ("values", "words"),
    [({"prevalence": 2.0}, "must lie between 0 and 1"), ({"name": "p.txt"}, "ends in .csv or .fits")],
)
def test_what_is_refused(finished, tmp_path, values, words):
    with pytest.raises(SettingsError, match=words):
        predict(given(finished, tmp_path, **values))


def test_an_existing_file_stays(finished, tmp_path):
    (tmp_path / "p.csv").write_text("mine")
    with pytest.raises(SettingsError, match="exists already"):
        predict(given(finished, tmp_path))
    assert (tmp_path / "p.csv").read_text() == "mine"
