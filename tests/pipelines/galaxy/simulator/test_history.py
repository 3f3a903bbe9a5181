"""Star formation histories: masses, rates, bursts."""

import numpy as np
import pytest

from sciml.pipelines.galaxy.simulator import history
from sciml.pipelines.galaxy.simulator.history import Activity, build, factor, recent, steady

RATE = np.array([10**-9.8, 10**-10.3, 10**-11.8])


def quiet(n=3, **changes) -> Activity:
    never, nothing = np.full(n, -np.inf), np.zeros(n)
    values = {"since_passage": never, "since_coalescence": never, "first": nothing, "second": nothing, "quench": np.ones(n),
              "own_age": nothing, "own": nothing}  # fmt: skip
    return Activity(**(values | {name: np.full(n, float(value)) for name, value in changes.items()}))


def test_ages_tile_the_span():
    edges = history.age_edges()
    assert edges[0] == 0 and edges[-1] == history.SPAN and (np.diff(edges) > 0).all() and len(edges) == 11


def test_steady_histories_have_the_wanted_rate_today():
    mass, rate = steady(RATE)
    assert np.allclose(mass.sum(1), 1.0)
    assert np.allclose(rate / (1 - history.RETURNED), RATE * 1e9, rtol=2e-3)
    assert mass[0, :3].sum() > 50 * mass[2, :3].sum()
    width = history.age_edges()[1]
    assert np.allclose(mass[:, 0] / width, rate, rtol=0.01)  # the youngest stars formed at today's rate


def test_nothing_happens_without_a_merger():
    assert np.allclose(factor(quiet(), np.linspace(0, 2, 5)), 1.0)
    assert np.allclose(recent(np.ones(3), quiet()), 0.0)


def test_bursts_rise_before_and_decay_after_coalescence():
    lookback = np.array([0.0])
    before, at, after = (
        factor(quiet(since_passage=0.8, since_coalescence=t, second=4.0, first=0.0, quench=1.0), lookback)[0, 0]
        for t in (-0.3, 0.0, 0.3)
    )
    assert at == pytest.approx(5.0)
    assert 1.0 < before < at and after < before  # and what follows is quenched
    passed = factor(quiet(since_passage=0.1, since_coalescence=-0.9, first=1.0), lookback)[0, 0]
    coming = factor(quiet(since_passage=-0.1, since_coalescence=-1.1, first=1.0), lookback)[0, 0]
    assert passed == pytest.approx(1 + np.exp(-0.5)) and coming == pytest.approx(1.0)


def test_a_remnant_has_stars_of_the_age_of_its_burst():
    stars = build(
        RATE, np.full(3, 0.3), np.full(3, 0.6), quiet(since_passage=1.2, since_coalescence=0.5, second=6.0, quench=0.5)
    )
    plain = build(RATE, np.full(3, 0.3), np.full(3, 0.6), quiet())
    edges = history.age_edges()
    burst = (edges[:-1] < 0.5) & (edges[1:] > 0.4)
    assert (stars.nucleus[:, burst].sum(1) > 0).all()
    assert (stars.rate < plain.rate).all()
    for made in (stars, plain):
        assert np.allclose(made.total.sum(1), 1 / (1 - history.RETURNED))
        assert (made.total >= -1e-15).all()
        assert (made.bulge[:, edges[:-1] < 1.5] == 0).all() and (made.young[:, edges[1:] > 0.2] == 0).all()


def test_own_bursts_look_the_same_without_a_merger():
    stars = build(RATE, np.full(3, 0.2), np.full(3, 0.5), quiet(own_age=0.1, own=3.0))
    assert (stars.rate > build(RATE, np.full(3, 0.2), np.full(3, 0.5), quiet()).rate).all()
