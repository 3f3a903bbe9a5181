"""Duplicates: the same picture turned, dimmed or saved again is found; different galaxies are not accused."""

import io
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sciml.pipelines.galaxy.duplicates import find_duplicates, grouped, hashes, near_pairs, turned
from sciml.pipelines.galaxy.samples import tiny_catalog
from sciml.pipelines.readers import cutouts
from sciml.pipelines.readers.cutouts import thumbnail
from sciml.pipelines.readers.images import Cutout, scaled
from sciml.pipelines.readers.synthetic_surveys import picture


def pixels(path) -> np.ndarray:
    """[band, y, x] in 0..1."""
    return scaled(np.moveaxis(np.asarray(Image.open(path)), -1, 0), 255)


def saved_again(image, quality=60):
    buffer = io.BytesIO()
    Image.fromarray(np.moveaxis((image * 255).astype(np.uint8), 0, -1)).save(buffer, "JPEG", quality=quality)
    return pixels(buffer)


ALTERED = {
    "turned": lambda image: np.rot90(image, 1, (1, 2)), "mirrored": lambda image: image[:, :, ::-1], "dimmed": lambda image: 0.6 * image,
    "saved again": saved_again, "grey": lambda image: image.mean(0, keepdims=True), "halved": lambda image: image[:, ::2, ::2],
}  # fmt: skip


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    return [pixels(picture(folder / f"{i}.png", seed=i, size=96)) for i in range(30)]


@pytest.mark.parametrize("how", ALTERED)
def test_an_altered_copy_is_found_and_nothing_else(sample, how):
    thumbnails = np.stack([thumbnail(image) for image in [*sample, np.ascontiguousarray(ALTERED[how](sample[7]))]])
    assert near_pairs(thumbnails, 36).tolist() == [[7, 30]]


def test_hashes_turn_with_the_picture(sample):
    thumbnails = np.stack([thumbnail(image) for image in sample[:4]])
    assert hashes(thumbnails).shape == (4, 32) and hashes(thumbnails).dtype == np.uint16
    versions = turned(thumbnails)
    assert len({version[0].tobytes() for version in versions}) == 8
    np.testing.assert_array_equal(versions[0], thumbnails)


def test_equal_pixels_and_blank_pictures():
    catalog = tiny_catalog(
        6,
        digests=np.array(["a", "b", "a", "", "", "b"]),
        thumbnails=np.zeros((6, 32, 32), np.uint8),
        table=pd.DataFrame(),
    )
    found = find_duplicates(catalog)
    assert found.exact.tolist() == [[0, 2], [1, 5]] and not len(found.near) and not len(found.rows)
    assert found.pairs().tolist() == [[0, 2], [1, 5]]


def test_equal_rows_of_the_table():
    table = tiny_catalog(60).table.reset_index(drop=True)
    table.loc[40] = table.loc[3]
    assert find_duplicates(tiny_catalog(60, table=table)).rows.tolist() == [[3, 40]]
    table.loc[50:, :] = np.nan
    assert find_duplicates(tiny_catalog(60, table=table)).rows.tolist() == [[3, 40]], "rows without numbers say nothing"
    few = pd.DataFrame({"a": [1.0, 1.0] * 30, "b": [2.0, 3.0] * 30, "c": [1.0] * 60})
    assert not len(find_duplicates(tiny_catalog(60, table=few)).rows), "columns of few values agree by chance"


def test_duplicates_become_groups_and_join_what_there_is():
    catalog = tiny_catalog(6, groups=np.array(["t", "u", "u", "v", "w", "x"]))
    groups = grouped(catalog, np.array([[0, 1], [3, 5]])).groups
    assert len(set(groups[:3])) == 1 and groups[3] == groups[5] and len(set(groups)) == 3
    assert grouped(tiny_catalog(3), np.empty((0, 2), np.int64)).groups.tolist() == tiny_catalog(3).ids.tolist()


def test_real_cutouts_are_all_different_and_planted_copies_are_found(galaxy_data, sample):
    folder = galaxy_data / "gz2_sample" / "images"
    found, _, _ = cutouts.find(folder)
    some = [pixels(path.paths[0]) for path in list(found.values())[:80]]
    planted = [np.ascontiguousarray(change(some[10 * k])) for k, change in enumerate(ALTERED.values())]
    thumbnails = np.stack([thumbnail(image) for image in [*some, *planted]])
    assert near_pairs(thumbnails, 36).tolist() == [[10 * k, 80 + k] for k in range(len(planted))]


@pytest.mark.slow
def test_all_702_real_cutouts_are_different(galaxy_data):
    found, _, _ = cutouts.find(galaxy_data / "gz2_sample" / "images")
    facts, _ = cutouts.inspect_all({name: Cutout(cutout.paths) for name, cutout in found.items()})
    assert not len(near_pairs(np.stack([fact.thumbnail for fact in facts.values()]), 36))


@pytest.fixture(scope="module")
def galaxy_data():
    folder = Path(os.environ.get("SCIML_TEST_DATA", Path(__file__).resolve().parents[4] / "shared" / "data")) / "galaxy"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set SCIML_TEST_DATA")
    return folder


def test_compact_galaxies_under_different_skies_are_no_duplicates():
    """Fluxes of round galaxies of one size: only their noise tells them apart, and it does."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64] - 31.5
    light = 300 * np.exp(-np.hypot(x, y) / 3)
    images = light + random.normal(size=(40, 1, 64, 64))
    thumbnails = np.stack([thumbnail(image.astype(np.float32), flux=True) for image in [*images, images[3] * 1.5]])
    assert [tuple(pair) for pair in near_pairs(thumbnails, 36)] == [(3, 40)]
