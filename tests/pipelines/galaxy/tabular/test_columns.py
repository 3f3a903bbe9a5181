"""Numbers, categories, useless columns and text that is neither."""

import numpy as np
import pandas as pd
import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy.tabular.columns import continuous_values, split_columns


def test_each_column_finds_its_place(table):
    table["empty"] = np.nan
    table["barred"] = np.arange(200) % 2 == 0
    continuous, categorical, dropped = split_columns(table)
    assert continuous == ("mass", "sfr", "noise") and categorical == ("kind", "barred")
    assert dropped == {"survey": "always 3.0", "empty": "every value is missing"}


def test_codes_and_infinities_are_missing():
    table = pd.DataFrame({"a": [1.0, -9999.0, np.inf, np.nan, 5.0]})
    assert continuous_values(table, ("a",), (-9999.0,))[:, 0].tolist()[::4] == [1.0, 5.0]
    assert np.isnan(continuous_values(table, ("a",), (-9999.0,))).sum() == 3


def test_a_column_of_gaps_and_one_value_is_kept():
    """That a value is there at all can be what tells."""
    table = pd.DataFrame({"a": [np.nan, 2.0, np.nan, 2.0]})
    assert split_columns(table)[0] == ("a",)


def test_text_is_named_with_its_row():
    table = pd.DataFrame({"mass": ["9.1", "n/a", "10.2"]}, index=["g1", "g2", "g3"])
    with pytest.raises(DataError, match=r"column \"mass\" holds 'n/a' in row g2, where a number belongs \(1 such"):
        continuous_values(table, ("mass",))
    names = pd.DataFrame({"name": [f"NGC {i}" for i in range(100)]})
    with pytest.raises(DataError, match='column "name" is text with 100 distinct values'):
        split_columns(names)


def test_a_name_may_occur_once():
    table = pd.DataFrame(np.ones((2, 2)), columns=["a", "a"])
    with pytest.raises(DataError, match='two columns "a"'):
        split_columns(table)


def test_nullable_integers_are_numbers():
    table = pd.DataFrame({"n": pd.array([1, None, 3], dtype="Int64")})
    assert np.isnan(continuous_values(table, ("n",))[1, 0])
