"""Fitted on the training rows alone, applied anywhere, stored without pickle."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.galaxy.tabular.preprocess import Preprocessor, Recipe, fit

RECIPES = [Recipe(), Recipe("mean", "standard"), Recipe("neighbours", "robust"), Recipe(scale="none", select=2)]
LABELS = np.arange(200) % 2


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: f"{recipe.impute}-{recipe.scale}")
def test_what_is_stored_transforms_the_same(recipe, table, tmp_path):
    fitted = fit(table.iloc[:150], recipe, LABELS[:150])
    fitted.save(tmp_path / "table.safetensors")
    back = Preprocessor.load(tmp_path / "table.safetensors")
    for one, other in zip(fitted.transform(table), back.transform(table), strict=True):
        assert torch.equal(one, other)
    assert json.loads(json.dumps(back.to_json())) == json.loads(json.dumps(fitted.to_json()))


def test_the_batch_is_what_an_encoder_wants(table):
    fitted = fit(table)
    batch = fitted.transform(table)
    assert fitted.columns == ("mass", "sfr", "noise", "kind") and fitted.dropped == {"survey": "always 3.0"}
    assert batch.continuous.dtype == torch.float32 and torch.isfinite(batch.continuous).all()
    assert np.array_equal(batch.missing[:, 1].numpy(), table["sfr"].isna().to_numpy())
    assert fitted.levels["kind"] == ("elliptical", "irregular", "spiral") and fitted.cardinalities == (4,)
    assert not batch.categorical[:7].any() and batch.categorical[7:].min() >= 1


def test_other_rows_change_nothing_that_was_fitted(table):
    """No leak: the test split may hold anything."""
    wild = table.copy()
    wild.loc[wild.index[150:], ["mass", "sfr", "noise"]] = 1e9
    one, other = fit(table.iloc[:150]), fit(wild.iloc[:150])
    assert one.to_json() == other.to_json()
    assert all(np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays)
    assert one.fitted_on(table.index[:150][::-1]) and not one.fitted_on(table.index)


def test_a_row_is_transformed_alone(table):
    fitted = fit(table, Recipe("neighbours"))
    whole = fitted.transform(table)
    for row in (0, 7, 199):
        alone = fitted.transform(table.iloc[[row]])
        assert torch.equal(alone.continuous[0], whole.continuous[row])


def test_wild_values_and_unseen_categories_stay_finite(table):
    fitted = fit(table, Recipe(scale="standard", missing_codes=(-9999.0,)))
    odd = table.iloc[:3].copy()
    odd["mass"] = [1e300, -np.inf, -9999.0]
    odd["kind"] = pd.Series(["ring", "spiral", "nan"], index=odd.index)
    batch = fitted.transform(odd)
    assert torch.isfinite(batch.continuous).all()
    assert batch.missing[:, 0].tolist() == [False, True, True]
    assert batch.categorical[:, 0].tolist() == [0, 3, 0]


def test_columns_may_come_in_any_order_but_must_come(table):
    fitted = fit(table)
    shuffled = fitted.transform(table[["noise", "kind", "survey", "sfr", "mass"]])
    assert torch.equal(shuffled.continuous, fitted.transform(table).continuous)
    with pytest.raises(DataError, match='no column "mass".*did you mean "Mass"'):
        fitted.transform(table.rename(columns={"mass": "Mass"}))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"impute": "medain"}, 'unknown method "medain"; did you mean "median"'),
        ({"scale": "minmax"}, "accepted: quantile, standard, robust, none"),
        ({"select": -1}, "select >= 0"),
    ],
)
def test_a_wrong_recipe_is_named(change, message):
    with pytest.raises(SettingsError, match=message):
        Recipe(**change)


def test_tables_nothing_can_be_learned_from(table):
    with pytest.raises(DataError, match="no rows"):
        fit(table.iloc[:0])
    with pytest.raises(DataError, match="no column of the table can be used.*survey: always 3.0"):
        fit(table[["survey"]])
    with pytest.raises(SettingsError, match="only be selected where there are labels"):
        fit(table, Recipe(select=1))


def test_a_foreign_header_is_refused(table):
    plain = fit(table).to_json()
    with pytest.raises(DataError, match="does not describe a table preprocessor"):
        Preprocessor.from_json({key: plain[key] for key in ("recipe", "levels")}, {})
