"""The table has every column, flags and notes."""

import numpy as np

from sciml.pipelines.galaxy.morphology.definitions import BITS
from sciml.pipelines.galaxy.morphology.table import COLUMNS, empty_columns, make_table


def test_columns_flags_and_notes():
    columns = empty_columns(3)
    columns["gini"][1] = 0.5
    columns["reasons"][2] = BITS["no_flux"]
    table = make_table(columns, index=["a", "b", "c"])
    assert list(table.columns) == [*COLUMNS, "flag", "flag_sersic", "note"]
    assert table.loc["b", "gini"] == 0.5 and np.isnan(table.loc["a", "gini"])
    assert table["flag"].tolist() == [0, 0, 4] and table["flag"].dtype == np.int64
    assert table["note"].tolist()[:2] == ["", ""] and "flux" in table.loc["c", "note"]


def test_every_column_is_explained():
    assert all(text for _, text in COLUMNS.values())
