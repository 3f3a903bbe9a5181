"""What the audit looks at: floors and gaps, columns scaled or imputed over all rows, sky and digests of images."""

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sciml.pipelines.galaxy import evidence
from sciml.pipelines.galaxy.samples import tiny_catalog
from sciml.pipelines.progress import Progress


@pytest.fixture
def raw():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"mass": random.normal(10, 0.5, 200), "sfr": random.normal(0, 1, 200), "size": random.lognormal(1, 0.5, 200)}
    )
    frame.loc[::7, "mass"] = np.nan
    return frame


def test_gaps_and_floors_are_patterns(raw):
    raw.loc[:20, "sfr"] = -4.0
    pattern = evidence.missing_pattern(raw)
    assert list(pattern.columns) == ["mass is missing", "sfr at its floor (-4)"]
    assert pattern["sfr at its floor (-4)"].sum() == 21 and pattern["mass is missing"].sum() == 29
    assert not len(evidence.missing_pattern(pd.DataFrame({"x": np.linspace(0, 1, 50), "all": np.nan})).columns)


def test_raw_columns_are_not_accused(raw):
    assert evidence.worked_on(raw) == {}
    fractions = pd.DataFrame({"bar": np.linspace(0, 1, 50), "z": np.linspace(0, 0.2, 50), "n": np.arange(50) % 7})
    assert evidence.worked_on(fractions) == {}
    rounded = raw.assign(mag=np.round(np.random.default_rng(1).normal(17.05, 0.2, 200), 1)).round(1)
    assert evidence.worked_on(rounded) == {}, "rounded measurements repeat"


@pytest.mark.parametrize(
    ("work", "how"), [(StandardScaler(), "standardised"), (MinMaxScaler(), "scaled to 0..1"),
     (SimpleImputer(), "imputed"), (SimpleImputer(strategy="median"), "imputed")]
)  # fmt: skip
def test_scaling_and_imputing_over_all_rows_leave_traces(raw, work, how):
    done = pd.DataFrame(work.fit_transform(raw), columns=raw.columns)
    expected = ["mass"] if how == "imputed" else ["mass", "sfr", "size"]
    assert evidence.worked_on(done).get(how) == expected


def test_pandas_scales_with_another_divisor(raw):
    assert evidence.worked_on((raw - raw.mean()) / raw.std())["standardised"] == ["mass", "sfr", "size"]


def test_scaling_fitted_on_a_part_leaves_none(raw):
    train = raw.iloc[:120]
    assert evidence.worked_on((raw - train.mean()) / train.std()) == {}
    assert "imputed" not in evidence.worked_on(pd.DataFrame(KNNImputer().fit_transform(raw), columns=raw.columns)), (
        "no single value gives it away"
    )


def test_statistics_of_all_rows_are_told_from_those_of_the_training_rows(raw):
    train = np.arange(0, 200, 2)
    assert evidence.fitted_on(raw.mean().to_dict(), raw, train) == ["mass", "sfr", "size"]
    assert evidence.fitted_on(raw.iloc[train].mean().to_dict(), raw, train) == []
    mixed = raw.iloc[train].mean().to_dict() | {"sfr": raw["sfr"].mean()}
    assert evidence.fitted_on(mixed, raw, train) == ["sfr"]
    exact = {name: float(np.float32(value)) for name, value in raw.mean().items()}
    assert evidence.fitted_on(exact, raw, train) == ["mass", "sfr", "size"], "a model keeps its statistics as float32"
    assert evidence.fitted_on({"other": 1.0}, raw, train) == []
    assert evidence.fitted_on({"mass": 3.0}, raw, train) == [], "something else, but not the mean of all rows"


def test_images_without_files_are_read_once():
    catalog = tiny_catalog(5, size=40)
    looked = evidence.with_image_facts(catalog, Progress())
    assert list(looked.image_facts.columns) == [
        "missing pixels",
        "sky band0",
        "sky noise band0",
        "sky band1",
        "sky noise band1",
    ]
    assert len(set(looked.digests)) == 5 and looked.thumbnails.shape == (5, 32, 32)
    assert (
        evidence.with_image_facts(looked, Progress()) is looked
        and evidence.with_image_facts(tiny_catalog(3), Progress()).thumbnails is None
    )
