"""The most informative columns stay, near copies go."""

import numpy as np

from sciml.pipelines.galaxy.tabular.selection import choose, information


def data(n=400):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, n)
    good = labels + 0.5 * rng.normal(size=n)
    values = np.stack([rng.normal(size=n), good, np.exp(good), rng.normal(size=n)], axis=1)
    return values, labels, np.stack([labels, rng.integers(0, 3, n)], axis=1)


NAMES = ("noise", "good", "twin", "other", "answer", "coin")


def test_the_informative_columns_are_kept():
    values, labels, codes = data()
    kept, reasons = choose(values, codes, NAMES, labels, n_columns=3)
    assert kept == {"good", "twin", "answer"}
    assert set(reasons) == {"noise", "other", "coin"} and "below the best 3" in reasons["noise"]


def test_a_monotonic_copy_is_left_out():
    values, labels, codes = data()
    kept, reasons = choose(values, codes, NAMES, labels, max_correlation=0.99)
    assert reasons == {"twin": "rank correlation 1.0000 with good"} and len(kept) == 5


def test_all_are_kept_by_default_without_labels():
    values, _, codes = data()
    assert choose(values, codes, NAMES, None) == (set(NAMES), {})


def test_information_of_the_label_itself_is_its_entropy():
    _, labels, codes = data()
    share = labels.mean()
    entropy = -share * np.log(share) - (1 - share) * np.log(1 - share)
    assert abs(information(codes[:, :1], labels, 0)[0] - entropy) < 1e-6
