"""Findings: cells of the table, what is grave, and what the model does not see."""

import json

from sciml.pipelines.galaxy.findings import AuditResult, Finding

LEAK = Finding(
    "column vote", ("vote",), "leak", "vote alone: accuracy 1.00", "take it out: --leave-out vote", 0.99, 0.0005
)
KEPT = Finding("column gz2_class", ("gz2_class",), "leak", "gives it away", auc=1.0, p=0.002, kept_out=True)
OK = Finding("duplicates", (), "ok", "no object occurs twice", count=0)


def test_the_cells_of_a_row():
    assert LEAK.row == (
        "column vote",
        "0.990",
        "<0.001",
        "leak",
        "vote alone: accuracy 1.00",
        "take it out: --leave-out vote",
    )
    assert KEPT.row[1:4] == ("1.000", "0.002", "leak, kept out") and OK.row[1:4] == ("0", "-", "ok")
    assert (
        Finding("classes", (), "note", "")[1:3] if False else Finding("classes", (), "note", "").row[1:3] == ("-", "-")
    )


def test_what_is_kept_out_is_told_and_harms_nothing():
    result = AuditResult((OK, KEPT), {"a": 1, "b": 2}, 1.234)
    assert result.worst == "ok" and result.leaking_columns == ()
    assert result.summary() == ["kept out of the inputs, for it gives the label away: gz2_class (AUC 1.00)"]
    assert AuditResult((OK,), {}, 0.0).summary() == ["nothing found that would let a model cheat"]


def test_what_the_model_sees_is_grave():
    result = AuditResult((OK, KEPT, LEAK), {"a": 1, "b": 2}, 1.234)
    assert (
        result.worst == "leak"
        and result.leaking_columns == ("vote",)
        and result.find("duplicates") is OK
        and result.find("x") is None
    )
    assert result.summary()[0] == "leak: column vote: vote alone: accuracy 1.00 -> take it out: --leave-out vote"
    assert len(result.rows()) == 3 and len(result.rows()[0]) == len(result.header)


def test_json():
    found = json.loads(json.dumps(AuditResult((LEAK,), {"a": 1}, 1.234).to_dict()))
    assert (
        found["worst"] == "leak"
        and found["seconds"] == 1.23
        and found["findings"][0]["auc"] == 0.99
        and found["classes"] == {"a": 1}
    )
