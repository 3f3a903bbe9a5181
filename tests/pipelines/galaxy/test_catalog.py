"""The catalog keeps all of its parts in one order and refuses what does not fit."""

import numpy as np
import pandas as pd
import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy.catalog import ArrayImages, Catalog, ImageSource, Middle, Subset
from sciml.pipelines.galaxy.samples import tiny_catalog


def test_every_part_follows_the_objects():
    n = 12
    catalog = tiny_catalog(
        n, size=4, groups=np.array([f"g{i // 2}" for i in range(n)]), nuisance=pd.DataFrame({"snapshot": np.arange(n)}),
        withheld=pd.DataFrame({"votes": np.arange(n) / n}), image_facts=pd.DataFrame({"bytes": np.arange(n)}),
        thumbnails=np.arange(n * 4, dtype=np.uint8).reshape(n, 2, 2), digests=np.arange(n).astype(str),
    )  # fmt: skip
    order = np.array([7, 2, 9])
    part = catalog.take(order)
    assert part.ids.tolist() == catalog.ids[order].tolist() == list(part.table.index) == list(part.nuisance.index)
    assert part.nuisance["snapshot"].tolist() == order.tolist() and part.digests.tolist() == ["7", "2", "9"]
    assert part.groups.tolist() == ["g3", "g1", "g4"] and part.image_facts["bytes"].tolist() == order.tolist()
    np.testing.assert_array_equal(part.images.read(np.arange(3)), catalog.images.read(order))
    again = part.take(np.array([False, True, True]))
    np.testing.assert_array_equal(again.images.read(1)[0], catalog.images.read(9)[0])
    assert isinstance(again.images, Subset) and isinstance(again.images.source, ArrayImages), "subsets do not pile up"
    assert isinstance(catalog.images, ImageSource)


def test_columns_by_kind():
    table = pd.DataFrame({"x": np.zeros(4), "kind": pd.Categorical(["a", "b", "a", None])})
    catalog = tiny_catalog(4, table=table)
    assert (catalog.continuous, catalog.categorical, catalog.cardinalities) == (("x",), ("kind",), (2,))
    moved = catalog.without(["kind"])
    assert list(moved.table.columns) == ["x"] and list(moved.withheld.columns) == ["kind"] and len(moved) == 4
    with pytest.raises(DataError, match='no column "kinds"; did you mean "kind"'):
        catalog.without(["kinds"])


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"ids": np.array(["1", "1", "2"])}, "1 ids occur more than once: 1"), ({"labels": np.array([0, 1])}, "labels has 2 entries for 3"),
        ({"labels": np.array([0, 1, 2])}, "labels run from 0 to 2 with 2 classes"), ({"table": pd.DataFrame({"a": [1.0]})}, "table has 1 rows"),
        ({"images": ArrayImages(np.zeros((2, 1, 4, 4)))}, "images has 2 entries"),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit(parts, words):
    with pytest.raises(DataError, match=words):
        tiny_catalog(3, **parts)


def test_labels_are_required_of_two_classes():
    catalog = tiny_catalog(4)
    assert catalog.require_labels().tolist() == [0, 1, 0, 1] and catalog.counts() == {"a": 2, "b": 2}
    with pytest.raises(DataError, match='all 4 objects have the label "a"'):
        tiny_catalog(4, labels=np.zeros(4, int)).require_labels()
    with pytest.raises(DataError, match="has no labels"):
        tiny_catalog(4, labels=None, classes=()).require_labels()


def test_images_in_memory():
    images = ArrayImages(np.full((2, 3, 4, 4), 51, np.uint8), ("r", "g", "b"), levels=255)
    assert images.read(0).shape == (1, 3, 4, 4) and images.read(0).max() == np.float32(0.2) and images.present.all()
    with pytest.raises(DataError, match="2 band names for 3 bands"):
        ArrayImages(np.zeros((2, 3, 4, 4)), ("r", "g"))
    with pytest.raises(DataError, match="is needed"):
        ArrayImages(np.zeros((2, 4, 4)))


def test_the_middle_of_every_image():
    whole = ArrayImages(np.random.default_rng(0).normal(size=(3, 2, 8, 12)), present=np.array([True, False, True]))
    middle = Middle(whole, 0.5)
    assert middle.shape == (2, 4, 6) and len(middle) == 3 and middle.present.tolist() == [True, False, True]
    np.testing.assert_array_equal(middle.read([2, 0]), whole.read([2, 0])[:, :, 2:6, 3:9])
    np.testing.assert_array_equal(Subset(middle, [1]).read(0), whole.read(1)[:, :, 2:6, 3:9])


def test_an_empty_catalog_is_a_catalog():
    assert len(Catalog(np.array([], str), pd.DataFrame())) == 0
