"""Probes: areas against scikit-learn, chance scored as chance, groups shuffled as groups."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from sciml.pipelines.galaxy import probes
from sciml.pipelines.galaxy.probes import probe, probe_column, probe_text, shuffles


def setting(n=300, n_class=2, seed=0, permutations=100, groups=None):
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(n) % n_class)
    fold = random.permutation(np.arange(n) % 5)
    return random, labels, fold, shuffles(labels, fold, groups, permutations)


def test_the_area_is_that_of_scikit_learn_fold_by_fold():
    random, labels, fold, _ = setting(200)
    probability = np.round(random.uniform(size=(200, 2)), 1)  # with ties
    areas = [roc_auc_score(labels[fold == k], probability[fold == k, 1]) for k in range(5)]
    pairs = [(labels[fold == k] == 1).sum() * (labels[fold == k] == 0).sum() for k in range(5)]
    found = probes._auc(probes._ranks(probability, fold), labels[None], fold, 2)[0]
    assert found == pytest.approx(np.average(areas, weights=pairs))


def test_three_classes_are_one_against_the_rest():
    random, labels, _, _ = setting(200, 3)
    fold = np.zeros(200, int)
    probability = random.dirichlet(np.ones(3), 200)
    expected = np.mean([roc_auc_score(labels == k, probability[:, k]) for k in range(3)])
    assert probes._auc(probes._ranks(probability, fold), labels[None], fold, 3)[0] == pytest.approx(expected)


@pytest.mark.parametrize("n_class", [2, 3])
def test_what_knows_the_label_scores_and_noise_does_not(n_class):
    random, labels, fold, shuffled = setting(300, n_class)
    known = probe((labels + random.normal(0, 0.3, 300))[:, None], labels, fold, shuffled)
    assert known.auc > 0.85 and known.p < 0.02 and known.accuracy > known.majority
    noise = probe(random.normal(size=(300, 4)), labels, fold, shuffled)
    assert 0.35 < noise.auc < 0.65 and noise.p > 0.01


def test_the_significance_is_fair():
    """Of 30 probes of noise few have p <= 0.1."""
    p = []
    for seed in range(30):
        random, labels, fold, shuffled = setting(60, seed=seed, permutations=60)
        p.append(probe_column(pd.Series(random.normal(size=60)), labels, fold, shuffled).p)
    assert sum(value <= 0.1 for value in p) <= 8 and max(p) > 0.5


def test_missing_cells_are_seen():
    random, labels, fold, shuffled = setting()
    values = np.where((labels == 1) & (random.uniform(size=300) < 0.6), np.nan, 1.0)
    assert probe(values[:, None], labels, fold, shuffled).auc > 0.75
    assert probe_column(pd.Series(values), labels, fold, shuffled).auc > 0.75


def test_nothing_to_see_is_no_score():
    _, labels, fold, shuffled = setting()
    assert (
        probe(np.full((300, 2), np.nan), labels, fold, shuffled) is None
        and probe(np.ones((300, 1)), labels, fold, shuffled) is None
    )
    assert probe_column(pd.Series([1.0] * 300), labels, fold, shuffled) is None
    assert probe_column(pd.Series(["a"] * 300), labels, fold, shuffled) is None
    assert probe_text(np.array(["x"] * 300), labels, fold, shuffled) is None
    assert probe(np.empty((300, 0)), labels, fold, shuffled) is None


def test_text_is_read_in_pieces_and_as_a_whole():
    random, labels, fold, shuffled = setting()
    classes = np.array(["Sc(m)", "Sb(m)", "Ei(m)"]), np.array(["Sc", "Sb(r)", "Ei"])
    words = pd.Series([random.choice(classes[0] if label else classes[1]) for label in labels])
    assert probe_column(words, labels, fold, shuffled).auc > 0.99
    ids = np.array([f"{91 if label else 92}-{i}" for i, label in enumerate(labels)])
    assert probe_text(ids, labels, fold, shuffled).auc > 0.99


def test_words_become_columns():
    frame = pd.DataFrame({"x": [1.0, np.nan], "kind": pd.Categorical(["a", None]), "flag": [True, False]})
    np.testing.assert_array_equal(probes.numeric(frame), [[1, 0, 1, 1], [np.nan, 1, 0, 0]])
    assert probes.numeric(pd.DataFrame(index=range(3))).shape == (3, 0)


def test_shuffles_keep_folds_and_groups():
    groups = np.array([f"g{i // 2}" if i < 40 else f"alone {i}" for i in range(60)])
    labels = np.array([(i // 2) % 2 if i < 40 else i % 2 for i in range(60)])
    fold = np.array([(i // 2) % 3 for i in range(60)])
    shuffled = shuffles(labels, fold, groups, 50, seed=1)
    assert shuffled.shape == (50, 60) and (shuffled != labels).any(axis=1).all()
    for k in range(3):
        assert (np.sort(shuffled[:, fold == k], axis=1) == np.sort(labels[fold == k])).all()
    assert (shuffled[:, 0:40:2] == shuffled[:, 1:40:2]).all(), "both members of a pair keep one label"
    np.testing.assert_array_equal(shuffled, shuffles(labels, fold, groups, 50, seed=1))


def test_a_property_of_the_group_is_not_significant_by_its_copies():
    """8 groups of 20 copies: one random number per group must not look like 160 independent objects."""
    random = np.random.default_rng(5)
    group = np.repeat(np.arange(24), 10)
    value, labels, fold = random.normal(size=24)[group], (np.arange(24) % 2)[group], (np.arange(24) // 2 % 3)[group]
    names = np.array([f"g{g}" for g in group])
    with_groups = probe_column(pd.Series(value), labels, fold, shuffles(labels, fold, names, 200))
    assert with_groups.p > 0.01


def test_a_class_missing_from_a_fold_is_no_crash():
    labels = np.array([0] * 30 + [1] * 3)
    fold = np.array([i % 3 for i in range(30)] + [0, 0, 1])
    score = probe(np.random.default_rng(0).normal(size=(33, 2)), labels, fold, shuffles(labels, fold, None, 20))
    assert 0 <= score.auc <= 1 and set(score.pairs) == {(0, 1)}


def test_a_p_value_beyond_the_number_of_permutations_is_a_normal_tail():
    chance = np.random.default_rng(0).normal(0.5, 0.05, 200)
    assert probes._significance(0.5, chance) == pytest.approx(0.5, abs=0.1)
    assert probes._significance(0.7, chance) == pytest.approx(3.2e-5, rel=2)
    assert probes._significance(0.9, np.full(50, 0.5)) < 1e-9
