import pytest

from sciml.pipelines.gcm import bench


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setitem(bench.CASES, "dry", ("T21", 5, False, 20.0))
    monkeypatch.setitem(bench.CASES, "moist", ("T21", 5, True, 20.0))


def test_our_rows_without_peers():
    rows = list(bench.measure(("moist",), repeats=1, peers=False))
    assert [(r["what"], r["clock"]) for r in rows] == [(w, c) for w in ("step", "gradient") for c in ("cpu", "wall")]
    assert all(r["ratio_to_ours"] == 1.0 and r["ms_per_step"] > 0 and r["difference"] == 0.0 for r in rows)


@pytest.mark.slow
def test_the_peer_computes_the_same():
    pytest.importorskip("dinosaur")
    rows = list(bench.measure(("dry", "moist"), repeats=1))
    assert {r["implementation"] for r in rows} == {"ours", "dinosaur real", "dinosaur fast"}
    assert all(r["difference"] < 2e-3 for r in rows)
