"""Scalings against scikit-learn, and the columns it has no answer for."""

import numpy as np
import pytest

from sciml.pipelines.galaxy.tabular import scaling


def columns(seed, n=400):
    rng = np.random.default_rng(seed)
    return np.stack([rng.normal(3, 2, n), rng.lognormal(0, 2, n), np.round(rng.normal(0, 2, n), 1)], axis=1)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_quantiles_equal_scikit_learn_inside_the_range(missing):
    from sklearn.preprocessing import QuantileTransformer

    train, test = columns(0), columns(1)
    train[np.random.default_rng(2).random(train.shape) < missing] = np.nan
    arrays = scaling.fit("quantile", train)
    n = len(arrays["quantiles"])
    want = QuantileTransformer(n_quantiles=n, output_distribution="normal", subsample=None).fit(train).transform(test)
    inside = (test > np.nanmin(train, 0)) & (test < np.nanmax(train, 0))
    assert np.abs(scaling.apply("quantile", test, arrays) - want)[inside].max() < 1e-6


def test_standard_equals_scikit_learn():
    from sklearn.preprocessing import StandardScaler

    train, test = columns(0), columns(1)
    train[::7] = np.nan
    got = scaling.apply("standard", test, scaling.fit("standard", train))
    assert np.allclose(got, StandardScaler().fit(train).transform(test), atol=1e-12)


def test_robust_ignores_a_wild_value():
    train = columns(0)
    arrays = scaling.fit("robust", train)
    train[0] = 1e30
    wild = scaling.fit("robust", train)
    assert np.allclose(arrays["spread"], wild["spread"], rtol=0.05)
    normal = np.random.default_rng(3).normal(5, 2, (100000, 1))
    assert scaling.fit("robust", normal)["spread"][0] == pytest.approx(2.0, rel=0.02)


def test_a_floor_shared_by_many_stays_near():
    train = np.sort(np.random.default_rng(4).normal(size=1000))[:, None]
    train[:250] = train[250]
    z = scaling.apply("quantile", train, scaling.fit("quantile", train))
    assert z[0, 0] == pytest.approx(-1.15, abs=0.08)
    assert (np.diff(z[:, 0]) >= 0).all() and np.isfinite(z).all()


@pytest.mark.parametrize("method", scaling.METHODS)
def test_order_is_kept_and_constants_become_finite(method):
    train = np.stack([np.linspace(-2, 5, 50), np.full(50, 0.1) + 1e16], axis=1)
    test = np.stack([np.linspace(-9, 9, 30), np.full(30, 1e16)], axis=1)
    z = scaling.apply(method, test, scaling.fit(method, train))
    assert (np.diff(z[:, 0]) >= 0).all() and np.isfinite(z).all()
    if method != "none":
        assert (z[:, 1] == 0).all()
