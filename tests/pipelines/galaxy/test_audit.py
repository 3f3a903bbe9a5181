"""The audit: planted defects are found, clean samples are not accused, and the real samples give up their secrets."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy.audit import audit
from sciml.pipelines.galaxy.gather import gather
from sciml.pipelines.galaxy.samples import tiny_catalog, tiny_folder
from sciml.pipelines.galaxy.settings import Audit, Choice
from sciml.pipelines.galaxy.splits import Split, hold_out

QUICK = Audit(permutations=60, folds=2)


@pytest.fixture(scope="module")
def real():
    folder = Path(os.environ.get("SCIML_TEST_DATA", Path(__file__).resolve().parents[4] / "shared" / "data")) / "galaxy"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set SCIML_TEST_DATA")
    return folder


def test_a_clean_sample_passes():
    random = np.random.default_rng(3)
    catalog = tiny_catalog(100, labels=random.permutation(np.arange(100) % 2), size=24)
    result = audit(
        catalog, QUICK, split=hold_out(catalog), fitted=catalog.table.iloc[hold_out(catalog).train].mean().to_dict()
    )
    assert result.worst in ("ok", "note") and result.summary() == ["nothing found that would let a model cheat"]
    assert (
        result.find("duplicates").count == 0
        and result.find("preprocessing: fit").verdict == "ok"
        and result.counts == {"a": 50, "b": 50}
    )


def test_duplicates_on_both_sides_of_a_split_are_a_leak():
    catalog = tiny_catalog(60, size=24)
    images = catalog.images.array.copy()
    images[41] = images[2]
    images[50] = np.rot90(images[3], axes=(1, 2))
    catalog = replace(catalog, images=type(catalog.images)(images))
    rest = np.setdiff1d(np.arange(60), [2, 3, 41, 50])
    torn = Split(np.r_[2, 3, rest[:36]], rest[36:46], np.r_[41, 50, rest[46:]])
    whole = Split(np.r_[2, 3, 41, 50, rest[:36]], rest[36:46], rest[46:])
    result = audit(catalog, QUICK, split=torn)
    assert (
        result.find("duplicate images").verdict == "leak"
        and "1 on both sides of the split" in result.find("duplicate images").detail
    )
    assert result.find("near-duplicate images").count == 1 and result.find("near-duplicate images").verdict == "leak"
    assert "1 with different labels" in result.find("duplicate images").detail and result.pairs.tolist() == [
        [2, 41],
        [3, 50],
    ]
    assert audit(catalog, QUICK, split=whole).find("duplicate images").verdict == "suspect"


def test_duplicate_rows_are_found():
    table = tiny_catalog(60).table.reset_index(drop=True)
    table.loc[40] = table.loc[3]
    assert audit(tiny_catalog(60, table=table), QUICK).find("duplicate rows").count == 1


def test_torn_groups_are_a_leak_and_whole_ones_are_not():
    groups = np.array([f"tree{i // 3}" for i in range(60)])
    catalog = tiny_catalog(60, groups=groups, labels=np.array([(i // 3) % 2 for i in range(60)]))
    assert audit(catalog, QUICK, split=hold_out(catalog)).find("groups").verdict == "ok"
    careless = Split(np.arange(0, 60, 2), np.arange(1, 60, 4), np.arange(3, 60, 4))
    finding = audit(catalog, QUICK, split=careless).find("groups")
    assert finding.verdict == "leak" and finding.count == 20 and "20 of 20 groups" in finding.detail
    assert audit(catalog, QUICK).find("groups").verdict == "ok", "the audit's own folds keep groups together"


def test_preprocessing_fitted_on_all_rows_is_a_leak():
    catalog = tiny_catalog(90)
    split = hold_out(catalog)
    finding = audit(catalog, QUICK, split=split, fitted=catalog.table.mean().to_dict()).find("preprocessing: fit")
    assert finding.verdict == "leak" and finding.columns == ("x0", "x1", "x2")
    scaled = tiny_catalog(
        90, table=((catalog.table - catalog.table.mean()) / catalog.table.std()).reset_index(drop=True)
    )
    assert audit(scaled, QUICK).find("preprocessing: standardised").verdict == "suspect"


def test_without_two_classes_there_is_nothing_to_audit():
    with pytest.raises(DataError, match='have the label "a"'):
        audit(tiny_catalog(20, labels=np.zeros(20, int)))
    with pytest.raises(DataError, match="has no labels"):
        audit(tiny_catalog(20, labels=None, classes=()))
    single = audit(tiny_catalog(30, labels=np.array([1] + [0] * 29)), QUICK)
    assert (
        single.find("classes").verdict == "suspect"
        and "no probe can be cross-validated" in single.find("classes").advice
    )


def test_odd_tables_are_no_traceback():
    n = 40
    table = pd.DataFrame(
        {
            "gone": np.full(n, np.nan),
            "same": np.ones(n),
            "huge": np.linspace(1e38, 1e300, n),
            "kind": pd.Categorical(["a", None] * (n // 2)),
        }
    )
    withheld = pd.DataFrame({"text": [f"t{i}" for i in range(n)], "none": [None] * n, "number": np.arange(n)})
    result = audit(
        tiny_catalog(n, table=table, withheld=withheld, nuisance=pd.DataFrame({"snapshot": [91] * n})), QUICK
    )
    assert result.rows() and result.to_dict()["findings"]


def test_a_large_catalog_is_probed_in_part(monkeypatch):
    monkeypatch.setattr("sciml.pipelines.galaxy.audit.MOST_OBJECTS", 50)
    table = tiny_catalog(200).table.reset_index(drop=True)
    table.loc[190] = table.loc[3]
    result = audit(tiny_catalog(200, table=table), QUICK)
    assert result.find("duplicate rows").count == 1, "duplicates are counted over all objects"


def test_an_input_made_of_votes_is_named_with_the_option_that_takes_it_out(tmp_path):
    images, table = tiny_folder(tmp_path, 60, p_merger=np.arange(60) % 2 * 0.8 + 0.1)
    made = gather(Choice(table=(table,), label="merger"))
    assert audit(made.catalog, QUICK).find("column p_merger").kept_out
    made = gather(Choice(table=(table,), label="merger", inputs=("p_merger", "mass")))
    result = audit(made.catalog, QUICK)
    assert result.worst == "leak" and result.leaking_columns == ("p_merger",)
    assert audit(made.catalog.without(result.leaking_columns), QUICK).worst != "leak"


# --- real samples


TNG = {"label": "Phase", "classes": ("0=non", "-1=pre", "1=post")}


def test_the_snapshot_of_tng_alone_tells_the_classes_apart(real):
    """All non-mergers are of snapshot 91, mergers of 91 to 99; the gaps differ too. A third of the rows, two columns."""
    catalog = gather(Choice(table=(real / "tng_synergi" / "Illustris_raw.csv",), limit=2000, **TNG)).catalog
    result = audit(replace(catalog, table=catalog.table[["BulgeMass", "SFR"]]), QUICK)
    finding = result.find("nuisance snapshot")
    assert finding.verdict == "leak" and finding.auc == pytest.approx(0.895, abs=0.02) and result.worst == "leak"
    assert "Snapshot = 91 holds 100% of non" in finding.detail and "accuracy 0.7" in finding.detail
    gaps = result.find("missing cells")
    assert gaps.verdict == "suspect" and gaps.auc == pytest.approx(0.673, abs=0.03)
    assert (
        set(gaps.columns) == {"BulgeMass is missing", "SFR at its floor (-4)"} and "BulgeMass is missing" in gaps.detail
    )


@pytest.mark.slow
def test_the_snapshot_of_tng_alone_scores_090(real):
    """All 6261 rows and 12 columns: the inputs hardly do better than the snapshot."""
    result = audit(gather(Choice(table=(real / "tng_synergi" / "Illustris_raw.csv",), **TNG)).catalog)
    assert result.find("nuisance snapshot").auc == pytest.approx(0.897, abs=0.003)
    assert "accuracy 0.76" in result.find("nuisance snapshot").detail
    assert result.find("missing cells").auc == pytest.approx(0.673, abs=0.005)
    assert result.find("all inputs").auc == pytest.approx(0.924, abs=0.01)


def test_the_votes_of_galaxy_zoo_give_the_label_away(real):
    catalog = gather(Choice(table=(real / "gz2_sample" / "labels.csv",), label="label_m")).catalog
    assert not len(catalog.table.columns), "none of them is an input"
    result = audit(catalog, QUICK)
    for name, auc in (("gz2_class", 1.0), ("p_merger", 0.99), ("label_derived_merger", 0.90)):
        finding = result.find(f"column {name}")
        assert finding.verdict == "leak" and finding.kept_out and finding.auc == pytest.approx(auc, abs=0.01)
    assert "gz2_class (AUC 1.00)" in result.summary()[-1] and result.find("nuisance sample").verdict == "ok"


@pytest.mark.slow
def test_the_real_images_are_audited_in_seconds(real):
    choice = Choice(images=real / "gz2_sample" / "images", table=(real / "gz2_sample" / "labels.csv",), label="label_m")
    result = audit(gather(choice).catalog)
    assert result.find("duplicates").count == 0 and result.worst == "note" and result.seconds < 20
