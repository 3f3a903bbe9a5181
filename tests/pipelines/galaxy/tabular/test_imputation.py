"""Median, mean and nearest neighbours, the last against scikit-learn."""

import numpy as np
import pytest

from sciml.pipelines.galaxy.tabular import imputation


def gappy(seed, n=60, c=4, rate=0.25):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, c)) @ rng.normal(size=(c, c))
    values[rng.random((n, c)) < rate] = np.nan
    return values


@pytest.mark.parametrize("method, statistic", [("median", np.nanmedian), ("mean", np.nanmean)])
def test_gaps_take_the_training_value(method, statistic):
    train, test = gappy(0), gappy(1)
    filled = imputation.apply(method, test, imputation.fit(method, train))
    gaps = np.isnan(test)
    assert np.array_equal(filled[~gaps], test[~gaps])
    assert np.array_equal(filled[gaps], np.broadcast_to(statistic(train, axis=0), test.shape)[gaps])


@pytest.mark.parametrize("k", [1, 3])
def test_neighbours_equal_scikit_learn(k):
    from sklearn.impute import KNNImputer

    train, test = gappy(2), gappy(3)
    arrays = imputation.fit("neighbours", train)
    scale = arrays["row_scale"]
    # scikit-learn measures distances in the units it is given
    want = KNNImputer(n_neighbors=k).fit(train / scale).transform(test / scale) * scale
    known = ~np.isnan(test).all(axis=1)
    assert np.allclose(imputation.apply("neighbours", test, arrays, k)[known], want[known], atol=1e-12)


def test_a_row_without_any_value_takes_the_median():
    train = gappy(4)
    arrays = imputation.fit("neighbours", train)
    empty = np.full((1, 4), np.nan)
    assert np.array_equal(imputation.apply("neighbours", empty, arrays)[0], np.nanmedian(train, axis=0))


def test_no_columns_are_no_trouble():
    assert imputation.apply("median", np.zeros((3, 0)), imputation.fit("median", np.zeros((3, 0)))).shape == (3, 0)
