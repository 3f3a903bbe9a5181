"""Forests on the folds of the command."""

import numpy as np

from sciml.pipelines.galaxy.bench.table_forest import rows
from sciml.pipelines.galaxy.samples import tiny_catalog


def test_a_forest_finds_what_a_column_says():
    catalog = tiny_catalog(200)
    table = catalog.table.copy()
    table["x0"] = np.where(np.arange(200) % 7 == 0, np.nan, catalog.labels)
    changed = tiny_catalog(200, table=table.reset_index(drop=True))
    found = rows(changed, folds=2, trees=10)
    assert [row["model"] for row in found] == ["random forest", "extra trees"]
    assert all(row["accuracy"] > 0.85 and len(row["folds"].split()) == 2 for row in found)
    assert all(row["accuracy"] < 0.75 for row in rows(tiny_catalog(200), folds=2, trees=10))
