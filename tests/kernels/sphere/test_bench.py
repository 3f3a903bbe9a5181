import os

import pytest

from sciml.kernels.sphere import bench, compiled


def test_rows_hold_times_ratios_and_errors():
    rows = list(bench.measure(("T21",), (3,), repeats=2, peers=False))
    assert {row["clock"] for row in rows} == {"cpu", "wall"}
    assert {row["implementation"] for row in rows} == {"ours", *(["ours, products"] if compiled.built() else [])}
    for row in rows:
        assert row["implementation"] != "ours" or row["ratio_to_ours"] == 1.0
        assert row["first_call_s"] > 0
        assert 0 < row["p20"] <= row["ms"] <= row["p80"] and row["error"] < 5e-7


def test_peers_are_measured_beside_ours_and_agree():
    pytest.importorskip("dinosaur")
    rows = list(bench.measure(("T21",), (2,), repeats=1))
    assert {row["implementation"] for row in rows} >= {"ours", "dinosaur real", "dinosaur fast"}
    assert all(row["share_of_peak"] is None for row in rows if row["implementation"] == "shtns")
    assert all(row["error"] < 1e-6 for row in rows)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen on this system")
def test_one_core_and_back():
    before = os.sched_getaffinity(0)
    with bench.one_core(True):
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before
