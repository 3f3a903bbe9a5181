import pytest

from sciml.kernels.sphere import laws


# the same laws on one grid suffice for the quick suite
@pytest.mark.parametrize(
    "case", ["TL63", *(pytest.param(name, marks=pytest.mark.slow) for name in ("T21", "T42", "T85", "TL127"))]
)
def test_the_transform_keeps_its_laws(case):
    rows = list(laws.measure((case,)))
    assert len(rows) == 14 and {row["case"] for row in rows} == {f"{case} float32", f"{case} float64"}
    assert [row for row in rows if not row["kept"]] == []


def test_a_broken_transform_is_noticed(monkeypatch):
    whole = laws.transform.synthesis
    monkeypatch.setattr(laws.transform, "synthesis", lambda plan, x: whole(plan, x) * (1 + 2e-6))
    broken = {row["what"] for row in laws.measure(("T21",)) if not row["kept"]}
    assert broken >= {"error of the synthesis", "error of the round trip", "adjointness"}
