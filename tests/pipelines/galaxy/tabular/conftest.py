"""Batches and tables shared by the tests of the table encoders."""

import numpy as np
import pandas as pd
import pytest
import torch

from sciml.pipelines.galaxy.tabular.batch import TableBatch


@pytest.fixture
def make_batch():
    """make_batch(size, c, cardinalities, dtype, missing rate, seed) -> TableBatch."""

    def make(size=6, c=5, cardinalities=(3, 4), dtype=torch.float64, missing=0.0, seed=0):
        made = torch.Generator().manual_seed(seed)
        codes = [torch.randint(0, n, (size, 1), generator=made) for n in cardinalities]
        return TableBatch(
            torch.randn(size, c, generator=made, dtype=torch.float64).to(dtype),
            torch.rand(size, c, generator=made) < missing,
            torch.cat(codes, 1) if codes else torch.zeros(size, 0, dtype=torch.int64),
        )

    return make


@pytest.fixture
def table():
    """200 rows: mass (log-normal), sfr (with a floor at -4 and gaps), noise, a category with gaps, a constant."""
    rng = np.random.default_rng(0)
    mass = rng.normal(10.0, 0.7, 200)
    sfr = np.maximum(mass - 10.0 + rng.normal(0, 0.5, 200), -0.5)
    sfr[rng.random(200) < 0.2] = np.nan
    kind = pd.Categorical(rng.choice(["spiral", "elliptical", "irregular"], 200))
    frame = pd.DataFrame({"mass": mass, "sfr": sfr, "noise": rng.random(200), "kind": kind, "survey": 3.0})
    frame.index = [f"12376{i:014d}" for i in range(200)]
    frame.loc[frame.index[:7], "kind"] = np.nan
    return frame
