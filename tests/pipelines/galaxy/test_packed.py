"""The packed form: everything comes back, reads are fast, damage and doubt are named."""

import pickle

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy import packed
from sciml.pipelines.galaxy.catalog import ArrayImages, Catalog
from sciml.pipelines.galaxy.samples import tiny_catalog

text = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=8)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ids=st.lists(st.integers(10**17, 2**63 - 1), min_size=1, max_size=6, unique=True), names=st.lists(text, min_size=1, max_size=3, unique=True),
    numbers=st.lists(st.one_of(st.just(np.nan), st.floats(-1e300, 1e300)), min_size=6, max_size=6),
    codes=st.lists(st.sampled_from(["a/b", "ä", "z"]), min_size=6, max_size=6),
    classes=st.lists(text, min_size=2, max_size=3, unique=True),
)  # fmt: skip
def test_everything_comes_back(tmp_path, ids, names, numbers, codes, classes):
    """Ids of 19 digits, column names with slashes, categories, NaN, text; to the last bit."""
    n = len(ids)
    table = pd.DataFrame(
        {f"{name}/{i}": numbers[:n] for i, name in enumerate(names)} | {"code": pd.Categorical(codes[:n])}
    )
    catalog = Catalog(
        ids=np.array([str(v) for v in ids]), table=table, labels=np.arange(n) % len(classes), classes=tuple(classes), groups=np.array(codes[:n]),
        nuisance=pd.DataFrame({"snapshot": np.arange(n), "run": codes[:n]}), withheld=pd.DataFrame({"votes": numbers[:n]}),
        images=ArrayImages(np.arange(n * 8, dtype=np.float32).reshape(n, 2, 2, 2), ("g", "r"), present=np.arange(n) % 2 == 0),
        image_facts=pd.DataFrame({"file bytes": np.arange(n, dtype=float)}), thumbnails=np.zeros((n, 32, 32), np.uint8), digests=np.array(codes[:n]),
    )  # fmt: skip
    again = packed.open_packed(packed.write(tmp_path / "p.h5", catalog, overwrite=True))
    assert again.ids.tolist() == catalog.ids.tolist() and again.classes == catalog.classes
    for name in ("table", "nuisance", "withheld"):
        pd.testing.assert_frame_equal(
            getattr(again, name), getattr(catalog, name), check_dtype=False, check_categorical=False
        )
    assert again.table["code"].astype(str).tolist() == codes[:n] and again.categorical == ("code",)
    for name in ("labels", "groups", "digests", "thumbnails"):
        np.testing.assert_array_equal(getattr(again, name), getattr(catalog, name))
    np.testing.assert_array_equal(again.images.read(np.arange(n)), catalog.images.read(np.arange(n)))
    np.testing.assert_array_equal(again.images.present, catalog.images.present)
    assert again.images.bands == ("g", "r") and again.image_facts["file bytes"].tolist() == list(range(n))


def test_pictures_keep_their_grey_levels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 3, 6, 6), dtype=np.uint8)
    catalog = tiny_catalog(5, images=ArrayImages(pixels, levels=255))
    source = packed.open_packed(packed.write(tmp_path / "p.h5", catalog)).images
    assert source.dtype == np.uint8 and source.levels == 255
    np.testing.assert_array_equal(source.read_levels(np.arange(5)), pixels)
    np.testing.assert_array_equal(source.read(np.array([4, 1])), catalog.images.read(np.array([4, 1])))


@pytest.mark.parametrize(
    ("store", "error"), [("uint8", 1 / 510), ("uint16", 1 / 131070), ("float16", 5e-4), ("float32", 0)]
)
def test_pixel_types(tmp_path, store, error):
    images = np.random.default_rng(0).uniform(0, 1, (3, 1, 5, 5)).astype(np.float32)
    source = packed.open_packed(
        packed.write(tmp_path / "p.h5", tiny_catalog(3, images=ArrayImages(images)), store=store)
    ).images
    assert source.dtype == store and np.abs(source.read(np.arange(3)) - images).max() <= error * 1.01


def test_pixels_that_do_not_fit_their_type_are_refused(tmp_path):
    for store, value, words in (("uint8", 2.0, "holds pictures of 0..1"), ("float16", 1e6, "float16 ends at 65504")):
        images = ArrayImages(np.full((2, 1, 3, 3), value, np.float32))
        with pytest.raises(DataError, match=words):
            packed.write(tmp_path / "p.h5", tiny_catalog(2, images=images), store=store)
        assert not list(tmp_path.iterdir()), "nothing half-written stays behind"


def test_a_file_is_not_overwritten_unasked(tmp_path):
    path = packed.write(tmp_path / "deep" / "p.h5", tiny_catalog(4))
    with pytest.raises(DataError, match="exists already"):
        packed.write(path, tiny_catalog(6))
    assert len(packed.open_packed(packed.write(path, tiny_catalog(6), overwrite=True))) == 6
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="cannot be written"):
        packed.write(tmp_path / "file" / "p.h5", tiny_catalog(4))


def test_a_source_pickles_into_workers_and_survives_many_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "_BLOCK_BYTES", 4 * 2 * 16)
    catalog = tiny_catalog(7, size=4)
    source = packed.open_packed(packed.write(tmp_path / "p.h5", catalog)).images
    first = source.read(np.arange(7))
    np.testing.assert_array_equal(first, catalog.images.read(np.arange(7)))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(source)).read(np.arange(7)), first)


def test_a_table_alone_and_no_labels(tmp_path):
    catalog = tiny_catalog(4, labels=None, classes=())
    again = packed.open_packed(packed.write(tmp_path / "p.h5", catalog))
    assert again.labels is None and again.images is None and again.classes == () and again.groups is None


def test_damage_is_named(tmp_path):
    path = packed.write(tmp_path / "p.h5", tiny_catalog(40, size=24))
    raw = path.read_bytes()
    assert packed.is_packed(path) and not packed.is_packed(tmp_path / "nowhere.h5")
    for cut in (10, len(raw) // 2, len(raw) - 100):
        (tmp_path / "cut.h5").write_bytes(raw[:cut])
        with pytest.raises(DataError):
            packed.open_packed(tmp_path / "cut.h5").images.read(np.arange(40))
    with h5py.File(path, "a") as file:
        file.attrs["version"] = 99
    with pytest.raises(DataError, match="has version 99"):
        packed.open_packed(path)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(DataError, match="not a packed catalog"):
        packed.open_packed(tmp_path / "other.h5")
    source = packed.open_packed(packed.write(tmp_path / "q.h5", tiny_catalog(4, size=4))).images
    (tmp_path / "q.h5").unlink()
    with pytest.raises(DataError, match="can no longer be read"):
        source.read(0)
