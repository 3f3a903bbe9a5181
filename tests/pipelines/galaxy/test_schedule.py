"""Orders, rates and averages are pure functions of seed and step."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sciml.pipelines.galaxy.schedule import Average, order_of, rate_factor, seed_of


@given(st.integers(1, 60), st.integers(0, 5), st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_an_order_holds_every_object_once(n, seed, epoch):
    labels = np.arange(n) % 3
    order = order_of(seed, epoch, labels)
    assert sorted(order.tolist()) == list(range(n))
    assert torch.equal(order, order_of(seed, epoch, labels))


@given(st.integers(1, 20), st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_balanced_orders_draw_each_class_alike(few, many):
    labels = np.array([0] * few + [1] * many)
    drawn = labels[order_of(0, 0, labels, balance=True).numpy()]
    assert len(drawn) == len(labels)
    assert abs(int((drawn == 0).sum()) - int((drawn == 1).sum())) <= 1


def test_every_object_comes_before_one_comes_twice():
    labels = np.array([0] * 4 + [1] * 12)
    counts = np.bincount(order_of(0, 0, labels, balance=True).numpy(), minlength=16)
    assert counts[:4].min() >= 2 and counts[4:].max() == 1


def test_the_rate_rises_then_falls_to_zero():
    rates = [rate_factor(step, 100, 10) for step in range(101)]
    assert rates[0] > 0 and max(rates) == rates[10] == 1.0
    assert all(a < b for a, b in zip(rates[:10], rates[1:11], strict=True))
    assert all(a > b for a, b in zip(rates[10:], rates[11:], strict=False))
    assert rates[100] == pytest.approx(0.0)


def test_seeds_differ():
    assert len({seed_of(0, a, b) for a in range(5) for b in range(5)}) == 25


def test_the_average_follows_the_weights():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = Average(model, 0.9)
    before = average.values["0.weight"].clone()
    with torch.no_grad():
        model[0].weight.add_(1.0)
        model[1].num_batches_tracked.add_(3)
    average.update(model, 1000)
    torch.testing.assert_close(average.values["0.weight"], before + 0.1)
    assert int(average.values["1.num_batches_tracked"]) == 3
    average.update(model, 0)  # the start is soon forgotten
    torch.testing.assert_close(average.values["0.weight"], before + 0.1 + 0.9 * 0.9)
