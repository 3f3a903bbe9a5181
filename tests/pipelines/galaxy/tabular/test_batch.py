"""Rows, devices and emptied rows of a batch."""

import pytest
import torch

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.tabular.batch import check_columns, check_shape, no_columns


def test_rows_dtype_and_size(make_batch):
    batch = make_batch(6)
    assert batch.size == 6 and batch.rows(slice(2, 4)).size == 2
    assert batch.rows(torch.tensor([5, 0])).continuous.equal(batch.continuous[[5, 0]])
    half = batch.to(torch.float32)
    assert half.continuous.dtype == torch.float32 and half.missing.dtype == torch.bool
    assert half.categorical.dtype == torch.int64
    assert no_columns(4).size == 4


def test_an_emptied_row_holds_nothing(make_batch):
    batch = make_batch(3)
    batch.continuous[1] = torch.nan
    emptied = batch.without(torch.tensor([False, True, False]))
    assert emptied.continuous[1].tolist() == [0.0] * 5 and emptied.missing[1].all() and not emptied.categorical[1].any()
    assert emptied.continuous[[0, 2]].equal(batch.continuous[[0, 2]])


def test_columns_that_do_not_fit_are_counted(make_batch):
    with pytest.raises(
        SettingsError, match="5 continuous and 2 categorical columns, the encoder was built for 4 and 2"
    ):
        check_columns(make_batch(), 4, 2)
    with pytest.raises(SettingsError, match="at least one column"):
        check_shape(0, ())
    with pytest.raises(SettingsError, match=r"sizes \(3, 0\)"):
        check_shape(1, (3, 0))
