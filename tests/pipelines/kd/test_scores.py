"""Scores against their definitions; the race and the verdict on hand-made curves."""

import numpy as np
import pytest

from sciml.pipelines.kd.scores import common_elements, compare, score

NAMES = ("t", "w")


def made(seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(30, 2, 3, 2))
    truth[rng.random(truth.shape) < 0.1] = np.nan
    return rng, truth


def test_only_elements_that_all_know():
    rng, truth = made()
    one, two = rng.normal(size=truth.shape), rng.normal(size=truth.shape)
    one[3], two[:, 1] = np.nan, np.nan
    known = common_elements(truth, {"a": [one], "b": [two, one]})
    assert np.array_equal(known, np.isfinite(truth) & np.isfinite(one) & np.isfinite(two))


def test_scores_are_their_definitions():
    rng, truth = made()
    members = [truth + rng.normal(size=truth.shape) for _ in range(3)]
    known, climate = np.isfinite(truth), np.zeros_like(truth)
    row = score("distilled", members, truth, known, climate, np.ones(2), NAMES)
    errors = [(m - truth)[known] for m in members]
    each = [np.sqrt(np.mean(e**2)) for e in errors]
    assert row["rmse"] == pytest.approx(np.mean(each)) and row["rmse_sd"] == pytest.approx(np.std(each, ddof=1))
    assert row["mae"] == pytest.approx(np.mean([np.abs(e).mean() for e in errors]))
    assert row["bias"] == pytest.approx(np.mean([e.mean() for e in errors]))
    assert row["skill"] == pytest.approx(1 - np.mean([np.mean(e**2) for e in errors]) / np.mean(truth[known] ** 2))
    lead = [np.sqrt(np.nanmean((m - truth)[:, 1] ** 2)) for m in members]
    assert row["by_lead"]["rmse"][1] == pytest.approx(np.mean(lead))


def test_mixed_units_are_weighed_and_given_back_per_target():
    rng, truth = made()
    error = rng.normal(size=truth.shape)
    weight = np.array([1.0, 0.1])
    row = score("mos", [truth + error], truth, np.isfinite(truth), truth * 0, weight, NAMES)
    known = np.isfinite(truth)
    assert row["rmse"] == pytest.approx(np.sqrt(np.mean((error * weight)[known] ** 2)))
    assert row["by_target"]["w"]["rmse"] == pytest.approx(np.sqrt(np.mean(error[..., 1][known[..., 1]] ** 2)))
    assert row["rmse_sd"] is None and row["kind"] == "baseline"


def curve(train, validation, stage="fit"):
    return [
        {"stage": stage, "epoch": n, "train_rmse": t, "validation_rmse": v, "steps": 10 * n, "cpu_seconds": float(n)}
        for n, (t, v) in enumerate(zip(train, validation, strict=True))
    ]  # fmt: skip


def entries(alone, distilled, shuffled=None, spread=0.01):
    def entry(method, rmse):
        return {"method": method, "rmse": rmse, "rmse_sd": spread, "rmse_per_seed": [rmse, rmse]}

    found = [entry("alone", alone), entry("distilled", distilled)]
    return found + ([entry("shuffled", shuffled)] if shuffled is not None else [])


def race(distilled, own=None):
    rows = {"alone-0": curve([9, 5, 4, 3], [9, 6, 4, 5]), "distilled-0": distilled}
    if own is not None:
        rows["alone_own-0"] = own
    return compare(rows, entries(5, 4), [0], 3, "K")


def test_the_goal_is_the_last_training_and_the_best_validation_rmse_of_the_stronger():
    found = race(curve([5, 3.5, 2, 1], [5, 3.9, 3, 2]), own=curve([9, 5, 4, 2.5], [9, 6, 4.5, 5]))
    (train,), (held,) = found["train"]["seeds"], found["validation"]["seeds"]
    assert (train["goal"], train["goal_arm"], train["epoch"], train["ratio"]) == (2.5, "alone_own", 2, 1.5)
    assert (held["goal"], held["goal_arm"], held["goal_epoch"], held["epoch"], held["ratio"]) == (4, "alone", 2, 1, 2.0)


def test_before_the_first_epoch_and_never():
    assert race(curve([2, 2], [9, 9]))["train"]["seeds"][0]["epoch"] == 0
    found = race(curve([8, 8], [9, 9]))
    assert found["train"]["epoch"] is None and found["train"]["ratio"] is None


def test_pretraining_is_counted():
    rows = curve([9, 8, 7], [9, 8, 7], "archive") + [r | {"steps": 25, "cpu_seconds": 4.0} for r in curve([5], [5])]
    cost = race(rows)["cost"]
    assert cost["distilled"]["archive_steps"] == 20 and cost["distilled"]["steps"] == 25
    assert cost["steps_ratio"] == pytest.approx(25 / 30)


@pytest.mark.parametrize(
    ("alone", "distilled", "shuffled", "helped", "words"),
    [
        (5.0, 4.0, 5.1, True, "shuffled teacher gives"),
        (5.0, 4.0, 4.0, False, "shuffled teacher does"),
        (5.0, 4.995, None, False, "within the spread"),
        (5.0, 5.5, None, False, "worse beyond"),
    ],
)
def test_verdict(alone, distilled, shuffled, helped, words):
    rows = {"alone-0": curve([3, 2], [3, 2]), "distilled-0": curve([3, 2], [3, 2])}
    verdict = compare(rows, entries(alone, distilled, shuffled), [0], 1, "K")["verdict"]
    assert verdict["helped"] is helped and words in verdict["text"]


def test_nothing_to_compare_without_a_distilled_student():
    assert compare({"alone-0": curve([3], [3])}, [], [0], 1, "K") == {}


def test_one_seed_has_no_spread_and_says_so():
    rows = {"alone-0": curve([3, 2], [3, 2]), "distilled-0": curve([3, 2], [3, 2])}
    single = [e | {"rmse_sd": None, "rmse_per_seed": [e["rmse"]]} for e in entries(5.0, 4.0)]
    verdict = compare(rows, single, [0], 1, "K")["verdict"]
    assert verdict["helped"] is True and "one seed only" in verdict["text"] and "±" not in verdict["text"]


def test_the_stronger_stand_alone_student_is_what_must_be_beaten():
    rows = {n: curve([3, 2], [3, 2]) for n in ("alone-0", "alone_own-0", "distilled-0")}
    own = {"method": "alone_own", "rmse": 3.5, "rmse_sd": 0.01, "rmse_per_seed": [3.5, 3.5]}
    verdict = compare(rows, [*entries(5.0, 4.0), own], [0], 1, "K")["verdict"]
    assert verdict["helped"] is False and "3.5" in verdict["text"]


def test_the_median_over_seeds_counts_those_that_never_arrive():
    rows = {f"alone-{n}": curve([9, 5, 3], [9, 5, 3]) for n in range(3)}
    rows |= {"distilled-0": curve([9, 2], [9, 2])} | {f"distilled-{n}": curve([9, 9], [9, 9]) for n in (1, 2)}
    found = compare(rows, entries(5, 4), [0, 1, 2], 2, "K")["train"]
    assert [s["epoch"] for s in found["seeds"]] == [1, None, None] and found["epoch"] is None and found["ratio"] is None


def test_missing_leads_are_not_zero():
    _, truth = made()
    truth[:, 1] = np.nan
    row = score("nwp", [truth + 1], truth, np.isfinite(truth), truth * 0, np.ones(2), NAMES)
    assert row["by_lead"]["rmse"][0] == pytest.approx(1) and np.isnan(row["by_lead"]["rmse"][1])


def test_trials_are_counted_once_for_all_seeds():
    one = {f"{arm}-{seed}": curve([3, 2], [3, 2]) for arm in ("alone", "distilled") for seed in (0, 1)}
    trials = {f"trial{n}-0": curve([3, 2], [3, 2]) for n in range(3)}
    without, counted = (compare(rows, entries(5, 4), [0, 1], 1, "K")["cost"] for rows in (one, one | trials))
    spent = sum(rows[-1]["steps"] for rows in trials.values())
    assert counted["distilled"]["steps"] == without["distilled"]["steps"] + spent / 2
    assert counted["alone"] == without["alone"]
