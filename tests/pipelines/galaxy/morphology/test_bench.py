"""The bench measures both engines on the same stamps and says how far they agree."""

import numpy as np
import pandas as pd
import pytest

from sciml.pipelines.galaxy.morphology.bench import ACCEPTED, agreement, bench, run_case
from sciml.pipelines.galaxy.morphology.cases import simulated


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    ours = pd.DataFrame({name: np.linspace(0, 1, 10) for name in ACCEPTED} | {"flag": 0})
    return ours, ours.copy()


def test_agreement_counts_shares():
    ours, peer = tables()
    ours.loc[0, "gini"] += 0.02
    ours.loc[1, "m20"] = np.nan
    ours.loc[2, "flag"] = 2
    row = agreement(ours, peer)
    assert row["compared"] == 9 and row["same_flag"] == 0.9
    assert (
        row["gini_all"] == 0.9
        and row["gini"] == pytest.approx(8 / 9)
        and row["m20"] == pytest.approx(8 / 9)
        and row["asymmetry"] == 1.0
    )


def test_one_case():
    pytest.importorskip("statmorph")
    row = run_case(simulated(3, seed=4, sizes=(64,)), rounds=2)
    assert row["galaxies"] == 3 and row["ratio"] == pytest.approx(row["statmorph_ms"] / row["ours_ms"])
    assert set(ACCEPTED) <= set(row)


@pytest.mark.slow
def test_the_accepted_agreement_and_speed():
    """95 % of the objects within the accepted differences; the speed itself is judged by the bench on a quiet machine."""
    pytest.importorskip("statmorph")
    for row in bench(n=40, rounds=2):
        assert all(row[name] >= 0.95 for name in ACCEPTED), row
        assert row["ratio"] > 5, row
