"""Losses against torch's own and against their definitions."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sciml.pipelines.galaxy.losses import class_weights, log_shares, object_loss

LOGITS = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_that_of_torch(smoothing):
    wanted = F.cross_entropy(LOGITS, LABELS, label_smoothing=smoothing, reduction="none")
    torch.testing.assert_close(object_loss(LOGITS, LABELS, smoothing=smoothing), wanted)


def test_focal_is_its_formula_and_cross_entropy_at_zero():
    p = LOGITS.softmax(1)[torch.arange(7), LABELS]
    torch.testing.assert_close(object_loss(LOGITS, LABELS, "focal", gamma=2.0), -((1 - p) ** 2) * p.log())
    torch.testing.assert_close(object_loss(LOGITS, LABELS, "focal", gamma=0.0), object_loss(LOGITS, LABELS))


def test_focal_stays_finite_where_the_model_is_sure():
    logits = torch.tensor([[100.0, 0.0], [0.0, 100.0]], requires_grad=True)
    loss = object_loss(logits, torch.tensor([0, 0]), "focal")
    loss.sum().backward()
    assert torch.isfinite(loss).all() and torch.isfinite(logits.grad).all()


def test_weights_even_out_the_classes():
    labels = np.array([0] * 90 + [1] * 10)
    weights = class_weights(labels, 3)
    assert weights[2] == 0.0
    assert weights[0] * 90 == pytest.approx(weights[1] * 10)
    assert weights[labels].mean() == pytest.approx(1.0)


def test_shares_turn_logits_of_the_objects_into_those_of_balanced_classes():
    """Bayes: p(c | x) of the objects, divided by the share of c, is p(c | x) where classes are equally frequent."""
    labels = np.array([0] * 60 + [1] * 30 + [2] * 10)
    likelihood = np.array([0.2, 0.5, 0.9])  # of some x, in each class
    posterior = likelihood * np.array([0.6, 0.3, 0.1])
    balanced = torch.softmax(torch.from_numpy(np.log(posterior)) - log_shares(labels, 3), 0)
    np.testing.assert_allclose(balanced.numpy(), likelihood / likelihood.sum(), rtol=1e-12)
    assert log_shares(np.array([0, 1, 0, 1]), 3).tolist() == [0.0, 0.0, 0.0]
