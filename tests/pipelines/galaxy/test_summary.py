"""Numbers as words: the same for the terminal and the page."""

import json

import pytest

from sciml.pipelines.galaxy import metrics, summary


def test_numbers():
    assert summary.number(0.91249) == "0.912" and summary.number(None) == summary.number(float("nan")) == "-"
    assert summary.number(-0.0001) == "0.000" and summary.signed(0.05) == "+0.050" and summary.signed(-0.05) == "-0.050"
    row = {"value": 0.9124, "low": 0.89, "high": 0.931}
    assert summary.between(row) == "0.912 (0.890 to 0.931)" and summary.bounds(row) == "0.890 to 0.931"
    assert summary.between({"value": 0.05, "low": -0.01, "high": 0.1}, sign=True) == "+0.050 (-0.010 to +0.100)"
    assert summary.between({"value": 0.5, "low": None, "high": float("nan")}) == "0.500"
    assert (
        summary.between({"value": None, "low": None, "high": None}) == "-"
        and summary.bounds(dict.fromkeys(("low", "high"))) == ""
    )
    assert summary.signed(None) == "-"


def test_the_metrics_are_those_that_are_scored():
    assert tuple(summary.METRICS) == metrics.NAMES and summary.LOWER_IS_BETTER == metrics.LOWER_IS_BETTER


def test_the_table_of_scores(made_up_run):
    results = made_up_run().results
    head, rows = summary.score_table(results)
    assert head == ["model sees", "AUC", "average precision", "accuracy", "F1"]
    assert [row[0] for row in rows] == ["image + table", "image only", "table only"]
    assert rows[0][1] == summary.between(results["arms"]["fusion"]["metrics"]["test"]["auc"])
    head, rows = summary.comparison_table(results)
    assert [row[0] for row in rows][0] == "image + table minus image only" and rows[0][1][0] in "+-"
    assert summary.comparison_table(results | {"comparison": []})[1] == []


def test_lines_below_the_table(made_up_run):
    results = made_up_run().results
    lines = summary.comparison_lines(results)
    assert lines[0] == results["verdict"] and lines[1] == summary.SIMULATED
    assert any("most common class" in line for line in lines) and any("audit has doubts" in line for line in lines)
    assert summary.comparison_lines({"arms": {}, "classes": ["a", "b"]}) == []


def test_the_corrected_share(made_up_run):
    results = made_up_run().results
    share = results["fraction"]["shares"]["merger"]
    text = summary.fraction_sentence(results)
    assert summary.between(share["em"]) in text and text.endswith(f"true {share['truth']:.3f}.")
    assert summary.fraction_sentence(results | {"fraction": None}) == ""


def test_the_audit_in_a_sentence(made_up_run):
    results = json.loads(json.dumps(made_up_run().results))
    assert (
        summary.audit_sentence(results) == "The audit has doubts (1 leak, 1 suspect): nuisance snapshot, missing cells."
    )
    for finding in results["audit"]["findings"]:
        finding["verdict"] = "ok"
    assert "found nothing" in summary.audit_sentence(results)
    assert summary.audit_sentence({"audit": None}) == ""


@pytest.mark.parametrize(("folds", "words"), [(1, "are held out for the test"), (5, "5-fold cross-validation")])
def test_how_the_objects_were_used(made_up_run, folds, words):
    text = summary.sample_sentence(made_up_run().results | {"folds": folds})
    assert words in text and "merger" in text and "average" not in text
    assert "average of 3 models" in summary.sample_sentence(made_up_run().results | {"folds": folds, "members": 3})


def test_the_arm_and_classes_in_front(made_up_run):
    results = made_up_run().results
    assert summary.main_arm(results) == "fusion" and summary.shown_classes(results) == ["merger"]
    three = made_up_run(classes=("non", "pre", "post"), share=0.6).results
    assert summary.positive_of(three) is None and summary.shown_classes(three) == ["non", "pre", "post"]
    assert (
        summary.positive_of(results | {"positive": None}) == 1 and summary.arm_label("late_average") == "late average"
    )
