"""Permutation importance: what is used costs, what is not costs nothing, what is said twice is shared."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from sciml.pipelines.galaxy.importance import calls, correlations, importance


@pytest.fixture(scope="module")
def known():
    """300 objects, a table of which two columns are used and one is a copy, and images of one number."""
    random = np.random.default_rng(0)
    labels = (np.arange(300) % 2).astype(int)
    strong, weak = labels + 0.8 * random.normal(size=300), labels + 2 * random.normal(size=300)
    table = pd.DataFrame({"weak": weak, "noise": random.normal(size=300), "strong": strong}, index=np.arange(300) * 7)
    table["kind"] = pd.Categorical(np.where(labels == 1, "a", "b"))
    return labels, table, (labels + random.normal(size=300))[:, None]


def model(table, images):
    assert isinstance(table["kind"].dtype, pd.CategoricalDtype)
    z = 3 * table["strong"].to_numpy() + table["weak"].to_numpy() + (0 if images is None else images[:, 0]) - 2
    p = 1 / (1 + np.exp(-z))
    return np.c_[1 - p, p]


def test_what_is_used_costs(known):
    labels, table, images = known
    rows = importance(model, table, labels, images=images, n_bootstrap=50)
    assert [row["name"] for row in rows[:2]] == ["table", "image"] and rows[0]["kind"] == "modality"
    by_name = {row["name"]: row for row in rows}
    assert by_name["strong"]["drop"] > by_name["weak"]["drop"] > 0 and by_name["strong"]["low"] > 0
    for name in ("noise", "kind"):
        assert [by_name[name][key] for key in ("drop", "low", "high")] == pytest.approx([0, 0, 0], abs=1e-12)
    assert [row["name"] for row in rows[2:4]] == ["strong", "weak"]


def test_the_drop_is_that_of_the_auc(known):
    labels, table, _ = known
    rows = importance(model, table, labels, columns=["strong"], n_repeat=2, n_bootstrap=0, seed=4)
    row = next(row for row in rows if row["name"] == "strong")
    random, after = np.random.default_rng(4), []
    for place in range(4):  # the table is shuffled before the column
        order = random.permutation(300)
        if place >= 2:
            mixed = table.assign(strong=table["strong"].to_numpy()[order])
            after.append(roc_auc_score(labels, model(mixed, None)[:, 1]))
    assert row["drop"] == pytest.approx(roc_auc_score(labels, model(table, None)[:, 1]) - np.mean(after), abs=1e-12)
    assert np.isnan(row["low"])


def test_it_is_seeded_and_leaves_its_input_alone(known):
    labels, table, images = known
    before = table.copy(deep=True)
    one = importance(model, table, labels, images=images, n_repeat=2, n_bootstrap=20, seed=1)
    assert one == importance(model, table, labels, images=images, n_repeat=2, n_bootstrap=20, seed=1)
    assert one != importance(model, table, labels, images=images, n_repeat=2, n_bootstrap=20, seed=2)
    pd.testing.assert_frame_equal(table, before)


def test_columns_that_say_the_same_are_named_and_shuffled_together(known):
    labels, table, _ = known
    table = table.assign(copy=-(table["strong"] ** 3))
    both = lambda t, _: model(t.assign(strong=(t["strong"] - np.cbrt(t["copy"])) / 2), None)  # noqa: E731
    rows = {row["name"]: row for row in importance(both, table, labels, n_repeat=2, n_bootstrap=20)}
    assert rows["strong"]["note"] == "shares its information with copy (-1.00)"
    together = rows["strong + copy"]
    assert together["kind"] == "columns" and together["columns"] == ["strong", "copy"]
    assert together["drop"] > rows["strong"]["drop"] + rows["copy"]["drop"]


def test_correlations_see_any_monotonic_law_and_nothing_else():
    random = np.random.default_rng(0)
    x = random.normal(size=200)
    table = pd.DataFrame({"x": x, "y": np.exp(x), "z": random.normal(size=200), "constant": 1.0, "word": "a"})
    table.loc[3, "y"] = np.nan
    found = correlations(table)
    assert set(found) == {"x", "y"} and found["x"][0][0] == "y" and found["x"][0][1] > 0.99


def test_image_alone_and_row_numbers():
    labels = np.arange(40) % 2
    pixels = labels + 0.1 * np.arange(40) / 40

    def predict(table, rows):
        assert table is None
        p = np.clip(pixels[rows], 0.01, 0.99)
        return np.c_[1 - p, p]

    (row,) = importance(predict, None, labels, images=np.arange(40), n_bootstrap=10)
    assert row["name"] == "image" and row["drop"] > 0.3
    assert calls(None, np.arange(40)) == 1


def test_progress_is_told_of_every_prediction(known):
    labels, table, images = known
    told = []
    rows = importance(model, table, labels, images=images, n_repeat=3, n_bootstrap=0, advance=told.append)
    assert sum(told) == 3 * len(rows) == 3 * calls(table, images)


def test_three_classes_and_one(known):
    _, table, _ = known
    labels = np.arange(300) % 3
    soft = lambda t, _: np.full((300, 3), 1 / 3) + 0.1 * np.c_[t["weak"] > 0, t["weak"] <= 0, 0 * t["weak"]] - 0.1 / 3  # noqa: E731
    rows = importance(soft, table[["weak"]], labels, n_repeat=1, n_bootstrap=5)
    assert all(np.isfinite(row["drop"]) for row in rows)
    rows = importance(model, table, np.zeros(300, int), n_repeat=1, n_bootstrap=5)
    assert all(np.isnan(row["drop"]) for row in rows)
