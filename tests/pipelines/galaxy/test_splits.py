"""Splits: disjoint, complete, balanced, groups whole, and a function of the seed and the names alone."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.galaxy import splits
from sciml.pipelines.galaxy.catalog import Catalog


def catalog_of(labels, groups=None, start=0):
    labels = np.asarray(labels)
    ids = np.array([f"galaxy {start + i}" for i in range(len(labels))])
    names = tuple(f"class {k}" for k in range(int(labels.max(initial=0)) + 1))
    return Catalog(ids=ids, table=pd.DataFrame(index=ids), labels=labels, classes=names, groups=groups)


labels_of = st.lists(st.integers(0, 2), min_size=30, max_size=120).filter(
    lambda v: min(np.bincount(v, minlength=3)) >= 5
)


@settings(max_examples=60, deadline=None)
@given(labels=labels_of, seed=st.integers(0, 99), k=st.integers(2, 5))
def test_folds_are_disjoint_complete_and_balanced(labels, seed, k):
    catalog = catalog_of(labels)
    parts = splits.k_fold(catalog, k, seed)
    assert np.array_equal(np.sort(np.concatenate([part.test for part in parts])), np.arange(len(labels)))
    for part in parts:
        everything = np.concatenate(list(part.parts().values()))
        assert len(set(everything.tolist())) == len(everything) == len(labels)
        for label in range(3):
            here = (catalog.labels[part.test] == label).sum()
            assert abs(here - (catalog.labels == label).sum() / k) < 1, "classes differ by at most one object"


@settings(max_examples=60, deadline=None)
@given(labels=labels_of, seed=st.integers(0, 99), order=st.randoms(use_true_random=False))
def test_a_split_knows_the_names_and_not_the_order(labels, seed, order):
    catalog = catalog_of(labels, groups=np.array([f"g{i // 2 if i % 3 else i}" for i in range(len(labels))]))
    shuffled = list(range(len(labels)))
    order.shuffle(shuffled)
    first, second = (splits.hold_out(c, seed=seed) for c in (catalog, catalog.take(np.array(shuffled))))
    for a, b in zip(first.parts().values(), second.parts().values(), strict=True):
        assert set(catalog.ids[a]) == set(catalog.ids[np.array(shuffled)[b]])
    again = splits.hold_out(catalog, seed=seed)
    assert all(np.array_equal(a, b) for a, b in zip(first.parts().values(), again.parts().values(), strict=True))


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 6), min_size=20, max_size=50), seed=st.integers(0, 99))
def test_groups_stay_whole(sizes, seed):
    groups = np.repeat([f"tree {g}" for g in range(len(sizes))], sizes)
    catalog = catalog_of(np.arange(len(groups)) % 2, groups=groups)
    for part in [*splits.k_fold(catalog, 3, seed), splits.hold_out(catalog, seed=seed)]:
        number = part.part_of(len(catalog))
        assert all(len(set(number[groups == name])) == 1 for name in set(groups))
        assert abs((number == 0).mean() - (0.7 if part.test.size < 0.2 * len(groups) else 0.57)) < 0.25


def test_seeds_give_other_splits():
    catalog = catalog_of(np.arange(200) % 2)
    a, b = (splits.hold_out(catalog, seed=seed) for seed in (0, 1))
    assert len(set(a.test) & set(b.test)) < 0.5 * len(a.test)
    folds = splits.k_fold(catalog, 5)
    validation = np.concatenate([part.validation for part in folds])
    assert len(set(validation.tolist())) > 0.3 * len(catalog), "each fold holds out other objects"


def test_a_new_object_moves_few_others():
    labels = np.arange(301) % 2
    catalog, fewer = catalog_of(labels), catalog_of(labels).take(np.delete(np.arange(301), 37))
    before, after = splits.fold_numbers(fewer), np.delete(splits.fold_numbers(catalog), 37)
    assert (before != after).sum() <= 4, "each cut between folds moves by at most one place"


def test_fractions_are_kept():
    part = splits.hold_out(catalog_of(np.arange(1000) % 4), (0.6, 0.0, 0.4))
    assert [len(v) for v in part.parts().values()] == [600, 0, 400]
    for wrong in ((0.5, 0.5), (0.5, 0.4, 0.2), (0.0, 0.5, 0.5), (1.2, -0.1, -0.1)):
        with pytest.raises(SettingsError, match="three shares that sum to 1"):
            splits.hold_out(catalog_of([0, 1, 0, 1]), wrong)


def test_too_few_objects_are_named():
    with pytest.raises(DataError, match='class "class 1" has 2 independent objects for 5 folds'):
        splits.fold_numbers(catalog_of([0] * 20 + [1] * 2))
    groups = np.array([f"g{i}" for i in range(20)] + ["m"] * 20)
    with pytest.raises(DataError, match='"class 1" has 1 independent'):
        splits.fold_numbers(catalog_of([0] * 20 + [1] * 20, groups), 2)
    with pytest.raises(SettingsError, match="at least 2"):
        splits.fold_numbers(catalog_of([0, 1]), 1)
    with pytest.raises(DataError, match="leave the validation part empty"):
        splits.hold_out(catalog_of([0, 1]), (0.98, 0.01, 0.01))


def test_every_beginning_of_the_ranking_holds_the_classes_in_proportion():
    catalog = catalog_of([0] * 180 + [1] * 20)
    order = splits.ranked(catalog, 3)
    assert np.array_equal(np.sort(order), np.arange(200))
    for n in (20, 50, 120):
        assert abs((catalog.labels[order[:n]] == 1).sum() - n / 10) <= 1
    assert not np.array_equal(order, splits.ranked(catalog, 4))


def test_a_catalog_without_labels_is_split_too():
    ids = np.array([str(i) for i in range(50)])
    catalog = Catalog(ids=ids, table=pd.DataFrame(index=ids))
    assert np.bincount(splits.fold_numbers(catalog)).tolist() == [10] * 5
