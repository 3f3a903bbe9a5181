"""Targets beside the label: shares in 0..1, missing cells left out, and the columns that cannot be learned named."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy.auxiliary import auxiliary_loss, targets

TRAIN = np.arange(4)


def test_fractions_stay_and_others_become_ranks():
    table = pd.DataFrame({"votes": [0.0, 0.25, 1.0, 0.5, np.nan], "mass": [8.0, 9.0, 9.0, 10.0, 11.0]})
    made = targets(table, ("votes", "mass"), TRAIN)
    np.testing.assert_allclose(made[:, 0], [0, 0.25, 1, 0.5, np.nan])
    np.testing.assert_allclose(made[:, 1], [0.125, 0.5, 0.5, 0.875, 1.0])


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30, unique=True), st.integers(0, 5))
def test_ranks_are_monotone_and_know_the_training_rows_only(values, n_later):
    later = np.linspace(-2e6, 2e6, n_later)
    both = np.concatenate([values, later])
    train = np.arange(len(values))
    made = targets(pd.DataFrame({"a": both}), ("a",), train)[:, 0]
    alone = targets(pd.DataFrame({"a": values}), ("a",), train)[:, 0]
    np.testing.assert_array_equal(made[: len(values)], alone)
    assert (made >= 0).all() and (made <= 1).all() and (np.diff(made[np.argsort(both, kind="stable")]) >= 0).all()


@pytest.mark.parametrize(
    ("column", "words"),
    [([np.nan] * 5, "says nothing"), ([3.0] * 4 + [1.0], "says nothing"), (list("abcde"), "holds text")],
)
def test_what_cannot_be_learned_is_named(column, words):
    with pytest.raises(DataError, match=words):
        targets(pd.DataFrame({"a": column}), ("a",), TRAIN)
    with pytest.raises(DataError, match='did you mean "a"|accepted: a|no such column'):
        targets(pd.DataFrame({"a": column}), ("b",), TRAIN)


def test_the_loss_is_the_mean_over_what_is_known():
    logits = torch.tensor([[0.3, -2.0], [1.0, 0.5], [4.0, -1.0]], dtype=torch.float64)
    wanted = torch.tensor([[0.25, float("nan")], [1.0, 0.0], [float("nan"), float("nan")]])
    loss = auxiliary_loss(logits, wanted)
    p = torch.sigmoid(logits)
    first = -(0.25 * p[0, 0].log() + 0.75 * (1 - p[0, 0]).log())
    second = -(p[1, 0].log() + (1 - p[1, 1]).log()) / 2
    torch.testing.assert_close(
        loss, torch.stack([first, second, torch.tensor(0.0, dtype=torch.float64)]).float(), rtol=1e-6, atol=1e-6
    )
