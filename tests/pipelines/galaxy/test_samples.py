"""Tiny samples are catalogs and files like any other."""

import numpy as np
import pandas as pd

from sciml.pipelines.galaxy.samples import tiny_catalog, tiny_folder


def test_a_catalog_in_memory():
    catalog = tiny_catalog(20, n_class=3, size=8)
    assert len(catalog) == 20 and catalog.classes == ("a", "b", "c") and catalog.images.shape == (2, 8, 8)
    np.testing.assert_array_equal(tiny_catalog(20).table, tiny_catalog(20).table)


def test_a_folder_and_its_table(tmp_path):
    images, table = tiny_folder(tmp_path, 4, size=16, snapshot=91)
    frame = pd.read_csv(table, dtype={"objid": str})
    assert sorted(p.stem for p in images.iterdir()) == frame["objid"].tolist() and (frame["snapshot"] == 91).all()
