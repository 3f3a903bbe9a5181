"""The table of the dynamical core: every contestant, both clocks, and states that agree where dinosaur is there."""

import pytest

from sciml.pipelines.gcm.bench import peer, speed


@pytest.fixture
def rows(monkeypatch):
    """Of a case small enough for a test."""
    monkeypatch.setitem(speed.CASES, "tiny", ("T21", 4, True, 20.0))
    monkeypatch.setattr(speed, "STEPS", 2)
    return lambda peers: list(speed.measure(("tiny",), repeats=1, peers=peers))


@pytest.mark.slow
def test_ours_alone(rows):
    found = rows(False)
    assert [(r["what"], r["clock"]) for r in found] == [
        ("step", "cpu"), ("step", "wall"), ("gradient", "cpu"), ("gradient", "wall")
    ]  # fmt: skip
    assert all(r["implementation"] == "ours" and r["ratio_to_ours"] == 1 and r["difference"] == 0 for r in found)
    assert all(r["case"] == "tiny T21L4" and 0 < r["p20"] <= r["ms_per_step"] <= r["p80"] for r in found)


@pytest.mark.slow
def test_the_peer_computes_the_same(rows):
    pytest.importorskip("dinosaur")
    found = rows(True)
    assert {r["implementation"] for r in found} == {"ours", *(f"dinosaur {kind}" for kind in peer.CLASSES)}
    # divergence, most of which is round-off so early in float32, has the largest relative difference
    assert all(r["difference"] < 2e-3 for r in found)
