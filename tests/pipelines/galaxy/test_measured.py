"""Morphology as columns: of the whole file whatever the network sees, kept where doubtful, and measured again to predict."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy import measured, packed, roles
from sciml.pipelines.galaxy.bundle import find_bundles
from sciml.pipelines.galaxy.catalog import ArrayImages, Middle, Subset
from sciml.pipelines.galaxy.fit import train
from sciml.pipelines.galaxy.gather import gather
from sciml.pipelines.galaxy.measured import COLUMNS, mean_of_bands, measure_source, whole_frame, with_measurements
from sciml.pipelines.galaxy.morphology.measure import measure
from sciml.pipelines.galaxy.predict import predict
from sciml.pipelines.galaxy.samples import tiny_catalog
from sciml.pipelines.galaxy.settings import Choice
from sciml.pipelines.galaxy.training_settings import Predict, Train
from sciml.pipelines.readers.galaxy_zoo import is_vote

SIZE = 48


def galaxies(n=5, size=SIZE, scale=3.0):
    """[n, 2, size, size]: discs on noise, every second one with a companion."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] - size / 2
    light = np.stack([60 * np.exp(-np.hypot(x, (1 + 0.1 * (i % 7)) * y) / scale) for i in range(n)])
    light[1::2] += 40 * np.exp(-np.hypot(x - 7, y + 4) / 2)
    return (light[:, None] * [[[[1.0]], [[0.6]]]] + random.normal(0, 0.3, (n, 2, size, size))).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """(folder of 24 cutouts, table with id, label and no other column)."""
    place = tmp_path_factory.mktemp("measured")
    (place / "cutouts").mkdir()
    names = [f"5877395055527{i:05d}" for i in range(24)]
    for name, image in zip(names, galaxies(24), strict=True):
        np.save(place / "cutouts" / f"{name}.npy", image)
    pd.DataFrame({"objid": names, "merger": np.arange(24) % 2}).to_csv(place / "table.csv", index=False)
    return place / "cutouts", place / "table.csv"


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    """A run whose only columns are measured."""
    settings = Train(
        images=folder[0], table=(folder[1],), label="merger", measure=True, arms=("fusion", "image"), fusion="verdicts", table_encoder="mlp",
        image_size=16, field=0.6, epochs=2, batch_size=8, width=8, blocks=1, bootstrap=20, threads=1, views=1, audit=False, validation=0.2, test=0.3,
        out=tmp_path_factory.mktemp("run") / "run",
    )  # fmt: skip
    return train(settings, {}).path


def close(a, b):
    pd.testing.assert_frame_equal(a.reset_index(drop=True), b.reset_index(drop=True), rtol=1e-4, atol=1e-6)


def test_no_column_is_taken_for_anything_but_an_input():
    assert len(COLUMNS) == 55 and not any("sn_per" in name or "sky" in name for name in COLUMNS)
    for name in COLUMNS:
        assert roles.nuisance_kind(name, COLUMNS) is None and not roles.bears_label(name, COLUMNS) and not is_vote(name)
        assert not roles.is_path(name) and not roles.is_magnitude(name)


def test_size_and_field_of_the_network_do_not_enter(folder, run):
    whole = gather(Choice(images=folder[0], measure=True, limit=4)).catalog
    small = gather(Choice(images=folder[0], measure=True, limit=4, image_size=12, field=0.5, fit="crop")).catalog
    assert small.images.shape[1:] == (12, 12) and list(whole.table.columns) == list(COLUMNS)
    pd.testing.assert_frame_equal(whole.table, small.table)
    assert whole.table.notna().to_numpy().mean() > 0.9
    assert gather(Choice(images=folder[0], limit=4)).catalog.table.empty


def test_the_order_of_objects_does_not_matter():
    source, order = ArrayImages(galaxies()), np.array([3, 0, 4, 1, 2])
    frame = measure_source(source, np.ones(5, bool))
    close(measure_source(Subset(source, order), np.ones(5, bool)), frame.iloc[order])


def test_it_is_the_mean_of_the_bands_and_bad_measurements_keep_their_values():
    images = np.concatenate([galaxies(2), galaxies(1, scale=6.0)])
    frame = measure_source(ArrayImages(images), np.ones(3, bool))
    table = measure(images.astype(np.float64).mean(1))
    assert table["flag"].tolist() == frame["measured flag"].tolist() and frame["measured flag"][2] > 1
    for name in ("gini", "m20", "asymmetry"):
        np.testing.assert_allclose(frame[f"measured {name}"], table[name], rtol=1e-6)
    assert np.isfinite(frame["measured gini"][2]), "blanked, it could not tell that the object is odd"


def test_missing_pixels_and_bands():
    image = np.stack([np.ones((3, 3)), np.full((3, 3), 3.0), np.full((3, 3), np.nan)])
    image[0, 0, 0] = np.nan
    mean = mean_of_bands(image)
    assert np.isnan(mean[0, 0]) and (mean.ravel()[1:] == 2.0).all()
    assert np.isnan(mean_of_bands(np.full((2, 3, 3), np.nan))).all()


def test_nothing_stops_the_others(monkeypatch):
    """No image, nothing but noise, a file that has gone, an image as large as a field, and a measurement that breaks."""
    images = galaxies(6)
    images[1] = np.nan

    class Broken(ArrayImages):
        def read(self, indices):
            if indices[0] == 2:
                raise DataError("gone")
            if indices[0] == 3:
                return np.zeros((1, 1, 1, measured.LARGEST + 1), np.float32)
            return super().read(indices)

    def fragile(shown, **options):
        if any(image.size and image[0, 0] == 7.0 for image in shown):
            raise ValueError("broken")
        return measure(shown, **options)

    images[4, :, 0, 0] = 7.0
    monkeypatch.setattr(measured, "measure", fragile)
    frame = measure_source(Broken(images), np.array([False, True, True, True, True, True]))
    assert frame.iloc[0].isna().all()
    assert (frame["measured flag"][1:5] == 4).all() and frame.drop(columns="measured flag").iloc[1:5].isna().all(axis=None)
    assert frame.iloc[5].notna().all()


def test_objects_are_measured_once_for_a_run(tmp_path, monkeypatch):
    """What a resumed run and further processes read is what the first measured; other objects are measured anew."""
    catalog, file = tiny_catalog(5, images=ArrayImages(galaxies())), tmp_path / "measured.npz"
    first, notes = with_measurements(catalog, kept=file)
    assert file.exists() and notes == ["measured 5 cutouts: 55 columns more"]
    with monkeypatch.context() as patch:
        patch.setattr(measured, "measure", lambda *_, **__: pytest.fail("measured again"))
        again, _ = with_measurements(catalog, kept=file)
    pd.testing.assert_frame_equal(again.table, first.table)
    turned, _ = with_measurements(catalog.take(np.array([4, 3, 2, 1, 0])), kept=file)
    close(turned.table[list(COLUMNS)].iloc[::-1], first.table[list(COLUMNS)])


def test_one_without_an_image_is_no_failure():
    images = galaxies(3)
    images[1] = np.nan
    catalog = tiny_catalog(3, images=ArrayImages(images, present=np.array([True, True, False])))
    _, notes = with_measurements(catalog)
    assert notes[1].startswith(f"1 cutouts could not be measured ({catalog.ids[1]})")


def test_cut_images_are_seen_whole():
    source = ArrayImages(galaxies(3))
    again = whole_frame(Subset(Middle(source, 0.5), np.array([2, 0])))
    assert np.array_equal(again(0), source.read(np.array([2]))[0]) and again(1).shape == (2, SIZE, SIZE)


def test_a_packed_file_keeps_what_was_measured_and_is_measured_if_asked(folder, tmp_path):
    made = gather(Choice(images=folder[0], measure=True, limit=3, image_size=24)).catalog
    file = packed.write(tmp_path / "a.h5", made)
    for again in (gather(Choice(images=file)), gather(Choice(images=file, measure=True))):
        pd.testing.assert_frame_equal(again.catalog.table, made.table)
    plain = packed.write(tmp_path / "b.h5", replace(made, table=pd.DataFrame()))
    own = gather(Choice(images=plain, measure=True)).catalog
    assert list(own.table.columns) == list(COLUMNS) and not np.allclose(own.table["measured gini"], made.table["measured gini"])
    with pytest.raises(DataError, match="no images to measure"):
        with_measurements(tiny_catalog(3))


def test_images_alone_are_measured_again_to_predict(folder, run, tmp_path):
    """The fusion model, and the numbers that the run itself found for its held-out objects."""
    with np.load(run / "measured.npz") as file:
        assert len(file["ids"]) == 24, "kept for a run that is resumed"
    frame = predict(Predict(model=run, images=folder[0], to=tmp_path / "p.csv", threads=1)).set_index("id")
    held = pd.read_csv(run / "predictions.csv", dtype={"id": str}, comment="#").query("part == 'test'").set_index("id")
    assert len(frame) == 24 and set(frame["modality"]) == {"image + table"} and len(held) > 4
    np.testing.assert_allclose(frame.loc[held.index, "p_1"], held["p_fusion_1"], atol=2e-5)
    alone = predict(Predict(model=run, images=folder[0], arm="image", to=tmp_path / "i.csv", threads=1)).set_index("id")
    assert set(alone["modality"]) == {"image"} and not np.allclose(alone["p_1"], frame["p_1"], atol=1e-4)


def test_an_object_of_which_nothing_is_known_has_the_shares_of_training(folder, run, tmp_path):
    """Nothing was seen and nothing measured: no verdict of either, only pi."""
    shutil.copytree(folder[0], tmp_path / "c")
    (tmp_path / "c" / "broken.npy").write_bytes(b"no image")
    frame = predict(Predict(model=run, images=tmp_path / "c", to=tmp_path / "p.csv", threads=1)).set_index("id")
    bundle = find_bundles(run)[0]
    assert frame.loc["broken", "modality"] == "none" and (frame["modality"] == "none").sum() == 1
    wanted = bundle.probability(np.log(np.array(bundle.facts["prior"]))[None, None])[0, 0, 1]
    assert frame.loc["broken", "p_1"] == pytest.approx(wanted, abs=1e-6)


def test_a_table_alone_cannot_be_measured(folder, run, tmp_path):
    assert find_bundles(run)[0].facts["choice"]["measure"]
    with pytest.raises(DataError, match="measured on images"):
        predict(Predict(model=run, table=(folder[1],), to=tmp_path / "p.csv", threads=1))
