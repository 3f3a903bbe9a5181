"""Two verdicts added: Bayes' rule where they are independent, each alone where the other is absent, and no shared gradient."""

import numpy as np
import pytest
import torch
from torch import nn

from sciml.pipelines.galaxy.fusion.verdicts import VerdictFusion, Verdicts

SOME, OTHER = torch.tensor([True, False, True, False]), torch.tensor([True, True, False, False])


@pytest.fixture
def verdicts():
    torch.manual_seed(0)
    head = Verdicts(nn.Linear(10, 3), nn.Linear(7, 3), (10, 7), 3).double()
    head.know(np.array([0] * 6 + [1] * 3 + [2]))
    return head


def test_the_embedding_is_both_vectors_and_who_is_there(modalities):
    image, table = modalities
    fusion = VerdictFusion(10, 7)
    got = fusion(image, table, SOME, OTHER)
    assert got.shape == (4, fusion.d_fusion) == (4, 19) and not list(fusion.parameters())
    assert torch.equal(got[:, :10], torch.where(SOME[:, None], image.pooled, 0.0))
    assert torch.equal(got[:, 10:17], torch.where(OTHER[:, None], table[:, 0], 0.0))
    assert torch.equal(got[:, 17].bool(), SOME) and torch.equal(got[:, 18].bool(), OTHER)


def test_an_absent_modality_leaves_the_other_ones_verdict(modalities, verdicts):
    image, table = modalities
    z = verdicts(VerdictFusion(10, 7)(image, table, SOME, OTHER))
    assert torch.allclose(z[1], verdicts.table(table[1, 0]), atol=1e-12)
    assert torch.allclose(z[2], verdicts.image(image.pooled[2]), atol=1e-12)
    assert torch.equal(z[3], verdicts.log_prior)
    assert torch.allclose(verdicts(VerdictFusion(10, 7)(None, table)), verdicts.table(table[:, 0]), atol=1e-12)


def test_the_prior_counts_once():
    """Measurements independent given the class: the sum of the exact verdicts is the exact verdict on both."""
    prior = np.array([0.7, 0.3])
    of_image, of_table = np.array([[0.8, 0.2], [0.1, 0.9]]), np.array([[0.6, 0.4], [0.3, 0.7]])  # [class, what is seen]
    head = Verdicts(*(nn.Linear(2, 2, bias=False) for _ in range(2)), (2, 2), 2).double()
    head.know(np.array([0] * 7 + [1] * 3))
    with torch.no_grad():
        for layer, likelihood in ((head.image, of_image), (head.table, of_table)):
            posterior = prior[:, None] * likelihood
            layer.weight.copy_(torch.from_numpy(np.log(posterior / posterior.sum(0))))
    for a in (0, 1):
        for b in (0, 1):
            want = prior * of_image[:, a] * of_table[:, b]
            embedding = torch.tensor([[a == 0, a == 1, b == 0, b == 1, 1, 1]], dtype=torch.float64)
            got = torch.softmax(head(embedding), 1)[0].detach().numpy()
            assert got == pytest.approx(want / want.sum(), abs=1e-12)


def test_a_verdict_moves_only_its_own_weights(modalities, verdicts):
    image, table = modalities
    leaves = image.pooled.requires_grad_(), table.requires_grad_()
    first, second = verdicts.each(VerdictFusion(10, 7)(image, table))
    (first.logits.square().sum() + 0.0 * second.logits.sum()).backward()
    assert leaves[0].grad.abs().sum() > 0 and verdicts.image.weight.grad.abs().sum() > 0
    assert not leaves[1].grad.any() and not verdicts.table.weight.grad.any()


def test_a_class_without_objects_has_a_finite_prior():
    head = Verdicts(nn.Linear(1, 3), nn.Linear(1, 3), (1, 1), 3)
    head.know(np.array([0, 0, 1]))
    assert torch.isfinite(head.log_prior).all() and head.log_prior.exp().sum() == pytest.approx(1)
