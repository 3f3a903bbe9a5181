"""Words and numbers of a run's results."""

import math
import subprocess
import sys

import pytest

from sciml.pipelines.kd.summary import (
    column_decimals,
    comparison_lines,
    fixed,
    lead_rows,
    number,
    pretraining_epochs,
    race_sentence,
    readable_unit,
    score_rows,
    station_names,
    taught_arm,
    with_spread,
)


def race(epoch, ratio, goal_epoch=80, seeds=1):
    entry = {"goal": 3.0, "goal_epoch": goal_epoch, "epoch": epoch, "ratio": ratio}
    return {"seeds": [entry] * seeds, "epoch": epoch, "ratio": ratio}


def test_reading_results_loads_no_framework():
    code = "import sys, sciml.pipelines.kd.report; print({'matplotlib', 'torch', 'numpy'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_numbers_have_three_digits_and_no_everyday_exponents():
    assert [number(v) for v in (3.0449, 11.163, 312.7, 1234567.0, 0.01234, 3e-5, 0.0)] == [
        "3.04", "11.2", "313", "1.23e+06", "0.0123", "3.00e-05", "0"
    ]  # fmt: skip
    assert number(None) == number(math.nan) == "-"
    assert [number(v) for v in (9.999, 0.0999999)] == ["10.0", "0.100"]


def test_a_spread_shows_its_first_digit():
    assert with_spread(3.0449, 0.0314) == "3.04 ± 0.03"
    assert with_spread(11.163, 0.475) == "11.2 ± 0.5"
    assert with_spread(3.0449, 0.0014) == "3.045 ± 0.001"
    assert with_spread(3.0449, None) == "3.04"
    assert with_spread(11.163, 0.475, decimals=2) == "11.16 ± 0.47"
    assert with_spread(3.0, 0.0) == "3.00 ± 0"


def test_columns_keep_their_decimals():
    assert column_decimals([13.5, 1.44, None, math.nan]) == 2
    assert column_decimals([0.05, 1e-6]) is None
    assert [fixed(v, 2) for v in (1.444, -0.001, None)] == ["1.44", "0.00", "-"]
    assert fixed(2e-6, None) == "2.00e-06"


@pytest.mark.parametrize(
    ("unit", "shown"), [("m s-1", "m s⁻¹"), ("kg m-2 s-1", "kg m⁻² s⁻¹"), ("ug m-3", "ug m⁻³"), ("K", "K"), ("1", "1")]
)
def test_units_have_raised_exponents(unit, shown):
    assert readable_unit(unit) == shown


def test_the_race_in_words():
    assert race_sentence(race(12, 6.67), 80) == (
        "reached at epoch 12 instead of 80: 6.7× fewer epochs over the observations"
    )
    assert race_sentence(race(None, None), 80) == "not reached within 80 epochs"
    assert "before the first epoch" in race_sentence(race(0, 80.0), 80)
    assert "2.0× more" in race_sentence(race(40, 0.5, goal_epoch=20), 80)
    assert "about as many" in race_sentence(race(80, 1.0), 80)
    assert race_sentence(race(12, 6.67, seeds=3), 80).endswith("(medians over 3 seeds)")


def test_a_race_that_only_some_seeds_finish():
    some = race(40, 2.0, seeds=2)
    some["seeds"] = [*some["seeds"], some["seeds"][0] | {"epoch": None, "ratio": None}]
    assert race_sentence(some, 80).endswith("(in 2 of 3 seeds)")
    some["epoch"] = some["ratio"] = None
    assert race_sentence(some, 80) == "not reached within 80 epochs (in 2 of 3 seeds)"


def test_rows_follow_the_results(run_results):
    results = run_results(leads=(24.0, 48.0))
    results["scores"][0]["by_lead"]["rmse"][1] = None
    rows, leads = score_rows(results), lead_rows(results)
    assert [row["method"] for row in rows] == [row["method"] for row in results["scores"]]
    assert rows[-1] == {
        "method": "distilled", "label": "label of distilled", "kind": "student", "rmse": 3.0, "rmse_sd": 0.04,
        "mae": pytest.approx(2.4), "bias": -0.1, "skill": pytest.approx(1 - (3 / 4.4) ** 2), "crps": None,
    }  # fmt: skip
    assert [len(row["rmse"]) for row in leads] == [2] * len(rows)
    assert math.isnan(leads[0]["rmse"][1])


def test_what_is_unknown_can_still_be_formatted(run_results):
    results = run_results()
    results["scores"][0] |= {"rmse": None, "skill": None}
    assert f"{score_rows(results)[0]['rmse']:.3f}" == "nan"


def test_comparison_in_sentences(run_results):
    lines = comparison_lines(run_results())
    assert lines[0] == "Distillation helped: 3.00 K against 4.00 K for the student alone."
    assert any(line.startswith("Training RMSE of the student alone after 8 epochs, 2.90 K: reached") for line in lines)
    assert any("600 steps and 5.50 s of it pre-training" in line and "2.19 times" in line for line in lines)
    assert any("shuffled" in line and "3.90 K" in line for line in lines)
    assert any("label of mos_ar, 1.30 K; it sees the fresh forecast" in line for line in lines)
    assert "soft target" in lines[-1] and "2.30 K distilled, 2.70 K alone" in lines[-1]


def test_sentences_leave_out_what_was_not_done(run_results):
    results = run_results(control=False, meets=None)
    results["comparison"]["against_soft_target"] = None
    text = " ".join(comparison_lines(results))
    assert "not reached within 8 epochs" in text
    assert "shuffled" not in text and "soft target" not in text
    assert comparison_lines(run_results(taught=None))[0].startswith("Only the student alone was trained")


def test_the_student_that_wins_needs_no_excuse(run_results):
    results = run_results(mode="residual", taught="residual", own=False, control=False)
    assert not any(line.startswith("Lowest") for line in comparison_lines(results))
    assert taught_arm(results) == "residual"
    assert score_rows(results)[-1]["label"] == "student correcting the forecast"


def test_pretraining_is_counted_per_seed(run_results):
    assert pretraining_epochs(run_results(seeds=3)) == [4, 4, 4]
    assert pretraining_epochs(run_results(taught=None)) == []


def test_stations_by_name_or_number(run_results):
    results = run_results()
    assert station_names(results) == "stations 108 and 159"
    assert station_names(results | {"stations": ["서울"]}) == "station 서울"
    assert station_names(results | {"stations": list("abc")}) == "stations a, b and c"
    assert station_names(results | {"stations": list("abcdef")}) == "6 stations"


@pytest.mark.parametrize(
    ("trials", "left", "words"),
    [
        (
            {"base_rmse": 1.24, "rmse": 1.3, "epoch": 2, "leave": False},
            0,
            "AR of 1 past step, and stays there: on the parts",
        ),
        (
            {"base_rmse": 1.63, "rmse": 1.55, "epoch": 9, "leave": True},
            2,
            "1.63 K; with its correction 1.55), and leaves it.",
        ),
        (None, 1, "leaves it in 1 of 2 seeds"),
    ],
)
def test_where_a_residual_student_starts_is_said(run_results, trials, left, words):
    results = run_results(mode="residual", taught="residual", own=False, control=False)
    base = {"kind": "mos_ar", "memory": 1, "label": "linear MOS + AR of 1 past step", "left": left, "trials": trials}
    (line,) = [line for line in comparison_lines(results | {"base": base}) if line.startswith("The student starts at")]
    assert words in line and line.endswith(".")
