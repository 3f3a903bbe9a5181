"""Losses and scores against numerical integration, and laws they obey."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from sciml.pipelines.kd.losses import FLOOR, crps, deviation, head_loss

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
HEADS = {"point": (1, ()), "gaussian": (2, ()), "quantile": (len(LEVELS), LEVELS)}


def drawn(head, batch=6, seed=0):
    g = torch.Generator().manual_seed(seed)
    new = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)  # noqa: E731
    return (
        new(3, 2, HEADS[head][0], batch),
        new(3, 2, batch),
        (new(3, 2, batch) > -0.5).double() * new(3, 2, batch).abs(),
    )


@given(mean=st.floats(-3, 3), raw=st.floats(-4, 4), y=st.floats(-5, 5))
@settings(max_examples=25, deadline=None)
def test_gaussian_crps_is_the_integral(mean, raw, y):
    """CRPS = integral of (F(x) - 1[x >= y])^2."""
    out = torch.tensor([mean, raw], dtype=torch.float64).view(1, 1, 2, 1)
    sigma = float(np.log1p(np.exp(raw))) + FLOOR
    law = stats.norm(mean, sigma)
    below = integrate.quad(lambda x: law.cdf(x) ** 2, min(mean, y) - 12 * sigma, y, limit=300, points=[min(mean, y)])[0]
    above = integrate.quad(lambda x: law.sf(x) ** 2, y, max(mean, y) + 12 * sigma, limit=300, points=[max(mean, y)])[0]
    found = crps("gaussian", out, torch.full((1, 1, 1), y, dtype=torch.float64))
    assert found.item() == pytest.approx(below + above, abs=2e-6)


def test_gaussian_likelihood():
    out, y, weight = drawn("gaussian")
    law = stats.norm(out[:, :, 0].numpy(), deviation(out[:, :, 1]).numpy())
    wanted = -(law.logpdf(y.numpy()) + 0.5 * np.log(2 * np.pi)) * weight.numpy()
    assert head_loss("gaussian", out, y, weight, 2.0).item() == pytest.approx(wanted.sum() / 2, rel=1e-12)


def test_pinball_by_hand():
    """Observation 2 above a 0.9-quantile costs 0.9 * 2, 2 below it 0.1 * 2; levels are averaged."""
    y, one = torch.zeros(1, 1, 1), torch.ones(1, 1, 1)
    low, high = torch.full((1, 1, 1, 1), -2.0), torch.full((1, 1, 1, 1), 2.0)
    assert head_loss("quantile", low, y, one, 1.0, (0.9,)).item() == pytest.approx(1.8)
    assert head_loss("quantile", high, y, one, 1.0, (0.9,)).item() == pytest.approx(0.2)
    both = torch.tensor([-2.0, 2.0]).view(1, 1, 2, 1)
    assert head_loss("quantile", both, y, one, 1.0, (0.1, 0.9)).item() == pytest.approx((0.2 + 0.2) / 2)


def test_pinball_is_proper():
    """Over many draws of a law, its own quantiles score best."""
    draws = torch.from_numpy(stats.gamma(3.0).rvs(20000, random_state=0))
    true = torch.tensor(stats.gamma(3.0).ppf(LEVELS)).view(1, 1, -1, 1)

    def score(levels):
        one = torch.ones(1, 1, 20000)
        return head_loss("quantile", levels.expand(1, 1, -1, 20000), draws.view(1, 1, -1), one, 2e4, LEVELS).item()

    best = score(true)
    for i in range(len(LEVELS)):
        for shift in (-0.3, 0.3):
            moved = true.clone()
            moved[0, 0, i] += shift
            assert score(moved) > best


@pytest.mark.parametrize(
    "score",
    [
        lambda o, y: head_loss("gaussian", o, y, torch.ones_like(y), y.numel()),
        lambda o, y: crps("gaussian", o, y).mean(),
    ],
)
def test_gaussian_scores_are_proper(score):
    """A law's own mean and deviation score best."""
    y = torch.from_numpy(stats.norm(1.0, 2.0).rvs(20000, random_state=0)).view(1, 1, -1)
    raw = float(np.log(np.expm1(2.0 - FLOOR)))
    law = lambda m, r: torch.tensor([m, r], dtype=torch.float64).view(1, 1, 2, 1).expand(1, 1, 2, 20000)  # noqa: E731
    best = score(law(1.0, raw), y)
    for m, r in ((0.7, raw), (1.3, raw), (1.0, raw - 0.4), (1.0, raw + 0.4)):
        assert score(law(m, r), y) > best


def test_quantile_crps_tends_to_the_gaussian():
    levels = tuple((np.arange(400) + 0.5) / 400)
    out = torch.tensor(stats.norm.ppf(levels)).view(1, 1, -1, 1)
    raw = float(np.log(np.expm1(1.0 - FLOOR)))
    gaussian = torch.tensor([0.0, raw], dtype=torch.float64).view(1, 1, 2, 1)
    for y in (-1.5, 0.0, 2.0):
        seen = torch.full((1, 1, 1), y, dtype=torch.float64)
        assert crps("quantile", out, seen, levels).item() == pytest.approx(
            crps("gaussian", gaussian, seen).item(), abs=2e-3
        )


def test_crossing_quantiles_are_sorted_before_scoring():
    out, y, _ = drawn("quantile")
    assert torch.equal(crps("quantile", out, y, LEVELS), crps("quantile", out.sort(2).values, y, LEVELS))


def test_point_crps_is_the_absolute_error():
    out, y, _ = drawn("point")
    assert torch.equal(crps("point", out, y), (out[:, :, 0] - y).abs())


@pytest.mark.parametrize("head", HEADS)
def test_masked_elements_do_not_matter(head):
    out, y, weight = drawn(head)
    levels = HEADS[head][1]
    masked = weight == 0
    assert masked.any() and not masked.all()
    other = torch.where(masked, y + 100, y)
    moved = torch.where(masked.unsqueeze(2), out + 50, out).requires_grad_()
    total = weight.sum()
    loss = head_loss(head, moved, other, weight, total, levels)
    assert loss.item() == pytest.approx(head_loss(head, out, y, weight, total, levels).item(), rel=1e-12)
    loss.backward()
    assert (moved.grad.permute(0, 1, 3, 2)[masked] == 0).all()


@pytest.mark.parametrize("head", HEADS)
@given(cut=st.integers(0, 6))
@settings(max_examples=7, deadline=None)
def test_shards_add_up_to_the_batch(head, cut):
    out, y, weight = drawn(head)
    levels, total = HEADS[head][1], weight.sum()
    parts = [
        head_loss(head, out[..., s], y[..., s], weight[..., s], total, levels)
        for s in (slice(0, cut), slice(cut, None))
    ]
    assert sum(parts).item() == pytest.approx(head_loss(head, out, y, weight, total, levels).item(), rel=1e-12)


@pytest.mark.parametrize("head", HEADS)
def test_weights_scale_out(head):
    out, y, weight = drawn(head)
    levels = HEADS[head][1]
    once = head_loss(head, out, y, weight, weight.sum(), levels)
    assert head_loss(head, out, y, 3 * weight, 3 * weight.sum(), levels).item() == pytest.approx(once.item(), rel=1e-12)


def test_deviation_is_positive_and_grows():
    raw = torch.linspace(-200, 50, 100)
    assert (deviation(raw) >= FLOOR).all() and (deviation(raw).diff() >= 0).all()
