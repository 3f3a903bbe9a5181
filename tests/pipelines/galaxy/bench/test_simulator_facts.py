"""Nuisance columns know nothing, and torn groups would hide it if they did."""

import numpy as np
import pytest

from sciml.pipelines.galaxy.bench.simulator_facts import nuisance_auc, rows
from sciml.pipelines.galaxy.catalog import Catalog


def test_torn_groups_bias_the_estimate_low():
    """Columns that only name the matched group: no information, and yet torn folds give less than 0.5."""
    import pandas as pd

    n = 800
    group = np.arange(n) // 4
    place = np.random.default_rng(0).normal(size=(n // 4, 2))[group]
    catalog = Catalog(
        ids=np.array([f"s{i}" for i in range(n)]), table=pd.DataFrame({"x": np.arange(float(n))}), labels=np.tile([0, 1, 0, 1], n // 4),
        classes=("non", "merger"), groups=group.astype(str),
    )  # fmt: skip
    assert nuisance_auc(catalog, place) == pytest.approx(0.5, abs=0.05)
    assert nuisance_auc(catalog, place, whole=False) < 0.45


def test_a_row_per_seed():
    (row,) = rows(200, seeds=(4,))
    assert row["seed"] == 4 and 0.3 < row["nuisance_auc"] < 0.7
