"""What a run says in the end."""

import copy

import pytest

from sciml.pipelines.galaxy.results import binned_columns, verdict
from sciml.pipelines.galaxy.samples import tiny_catalog

AUC = lambda value: {"metrics": {"test": {"auc": {"value": value, "low": value - 0.05, "high": value + 0.05}}}}  # noqa: E731


def results(low, high, simulated=False):
    value = (low + high) / 2
    row = {"arm": "fusion", "against": "image", "metrics": {"auc": {"value": value, "low": low, "high": high}}}
    arms = {"fusion": AUC(0.9), "image": AUC(0.8), "table": AUC(0.7)}
    return {"arms": arms, "comparison": [row], "n": {"test": 100}, "simulated": simulated}


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0.02, 0.1, "Fusion beats image"), (-0.1, 0.1, "is not distinguishable from image"), (-0.2, -0.1, "is worse than image")],
)
def test_the_verdict_follows_the_interval(low, high, words):
    assert words in verdict(results(low, high))
    turned = copy.deepcopy(results(low, high))
    row = turned["comparison"][0]
    row["arm"], row["against"] = row["against"], row["arm"]
    row["metrics"]["auc"] = {"value": -(low + high) / 2, "low": -high, "high": -low}
    assert verdict(turned) == verdict(results(low, high))


def test_simulated_galaxies_are_called_so():
    assert "simulated" in verdict(results(0.1, 0.2, simulated=True))


def test_one_arm_is_told_alone():
    alone = results(0.1, 0.2)
    alone["arms"] = {"table": AUC(0.7)}
    assert verdict(alone).startswith("table alone: AUC 0.700")


def test_columns_for_bins():
    catalog = tiny_catalog(10)
    catalog.table["log_mass"] = range(10)
    catalog.table["log_mass_2"] = range(10)
    catalog.nuisance["redshift"] = range(10)
    assert list(binned_columns(catalog)) == ["redshift", "log_mass"]
