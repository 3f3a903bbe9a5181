"""Feeds: the same objects from memory and from disk, modalities left out, images held once."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sciml.pipelines.galaxy import feed as module
from sciml.pipelines.galaxy import pixels
from sciml.pipelines.galaxy.catalog import ArrayImages
from sciml.pipelines.galaxy.feed import Feed
from sciml.pipelines.galaxy.samples import tiny_catalog
from sciml.pipelines.galaxy.tabular import preprocess


@pytest.fixture
def parts():
    catalog = tiny_catalog(20, size=16)
    return catalog, pixels.fit(catalog.images, np.arange(10)), preprocess.fit(catalog.table.iloc[:10])


def test_memory_and_disk_give_the_same(parts, monkeypatch):
    held = Feed(*parts)
    monkeypatch.setattr(module, "IN_MEMORY", 0)
    read = Feed(*parts)
    assert held._held is not None and read._held is None
    index = torch.tensor([3, 1, 19])
    for a, b in zip(held.sample(index).table, read.sample(index).table, strict=True):
        assert torch.equal(a, b)
    assert torch.equal(held.sample(index).image, read.sample(index).image)


def test_what_is_left_out(parts):
    catalog, shown, columns = parts
    assert Feed(catalog, None, columns).sample(torch.arange(2)).image is None
    assert Feed(catalog, shown, None).sample(torch.arange(2)).table is None
    assert Feed(*parts).sample(torch.arange(2), with_images=False).image is None


def test_absent_images_are_said(parts):
    catalog, shown, columns = parts
    present = np.arange(20) % 2 == 0
    catalog = tiny_catalog(20, images=ArrayImages(catalog.images.array, present=present))
    assert Feed(catalog, shown, columns).sample(torch.arange(4)).image_present.tolist() == [True, False, True, False]
    assert Feed(*parts).sample(torch.arange(4)).image_present is None


def test_a_row_without_any_value_is_no_row_beside_an_image(parts):
    catalog, shown, columns = parts
    table = catalog.table.astype(float)
    table.iloc[4] = np.nan
    table.iloc[5, 1:] = np.nan
    empty = replace(catalog, table=table)
    assert Feed(catalog, shown, columns).sample(torch.arange(3)).table_present is None
    feed = Feed(empty, shown, columns)
    assert feed.sample(torch.tensor([5, 4])).table_present.tolist() == [True, False]
    assert feed.ready(feed.sample(torch.tensor([4]))).table_present.tolist() == [False]
    assert Feed(empty, None, columns).sample(torch.tensor([4])).table_present is None, "a model of the table alone has nothing else"


def test_shared_images_are_held_once(parts):
    share = {}
    a, b = Feed(*parts, share=share), Feed(*parts, share=share)
    assert a._held is b._held


def test_ready_images_are_prepared_and_turned(parts):
    feed = Feed(*parts)
    sample = feed.sample(torch.arange(2))
    torch.testing.assert_close(feed.ready(sample, 2).image, feed.pixels(sample.image).rot90(2, (-2, -1)))
