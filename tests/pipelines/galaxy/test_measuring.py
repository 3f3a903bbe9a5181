"""`sciml galaxy morphology` on files: one row per galaxy and band, bad files named, nothing stops a run."""

import numpy as np
import pandas as pd
import pytest

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.galaxy import packed
from sciml.pipelines.galaxy.catalog import ArrayImages
from sciml.pipelines.galaxy.measuring import measure_files
from sciml.pipelines.galaxy.morphology_settings import Morphology
from sciml.pipelines.galaxy.samples import tiny_catalog
from sciml.pipelines.progress import Progress


def galaxies(n=4, size=64, bands=2):
    random = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] - size / 2
    light = 200 * np.exp(-np.hypot(x, 0.7 * y) / 4)
    return (light + random.normal(size=(n, bands, size, size))).astype(np.float32)


def given(tmp_path, images, **values):
    return Morphology(images=images, to=tmp_path / "m.csv", workers=1, threads=1, sersic=False, **values)


def test_a_packed_file(tmp_path):
    file = packed.write(tmp_path / "g.h5", tiny_catalog(4, images=ArrayImages(galaxies(), ("g", "r"))))
    found = measure_files(given(tmp_path, file), Progress())
    frame = pd.read_csv(tmp_path / "m.csv", dtype={"id": str})
    assert found["galaxies"] == 4 and len(frame) == 8 and set(frame["band"]) == {"g", "r"}
    good = frame[frame["flag"] <= 1]
    assert len(good) >= 6 and good["gini"].between(0.3, 0.8).all() and good["concentration"].between(2, 5).all()
    with pytest.raises(SettingsError, match="--bands z"):
        measure_files(given(tmp_path, file, bands=("z",), overwrite=True), Progress())


def test_a_folder_with_a_bad_file(tmp_path):
    folder = tmp_path / "cutouts"
    folder.mkdir()
    for k, image in enumerate(galaxies(10, bands=1)):
        np.save(folder / f"{k}.npy", image[0])
    (folder / "10.npy").write_bytes(b"broken")
    found = measure_files(given(tmp_path, folder), Progress())
    assert found["galaxies"] == 10 and found["skipped"] == 1
    with pytest.raises(DataError, match="most-skipped|unreadable|too many"):
        measure_files(given(tmp_path, folder, most_skipped=0.01, overwrite=True), Progress())


def test_both_engines_write_the_same_columns(tmp_path):
    file = packed.write(tmp_path / "g.h5", tiny_catalog(2, images=ArrayImages(galaxies(2, bands=1), ("r",))))
    measure_files(given(tmp_path, file), Progress())
    ours = pd.read_csv(tmp_path / "m.csv")
    measure_files(given(tmp_path, file, engine="statmorph", overwrite=True), Progress())
    theirs = pd.read_csv(tmp_path / "m.csv")
    assert list(ours) == list(theirs)
    assert (ours["gini"] - theirs["gini"]).abs().max() < 0.02
