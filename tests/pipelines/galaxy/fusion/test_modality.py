"""Projection, learned tokens, positions, and the rates of modality dropout."""

import pytest
import torch

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.fusion.modality import Modality, modality_dropout


def test_the_learned_token_is_all_that_is_left():
    modality = Modality(5, 4, (2, 2)).double()
    present = torch.tensor([True, False])
    got = modality(torch.randn(2, 5, 5).double(), present, 2, (2, 2))
    assert got.mask.tolist() == [[True] * 5, [True] + [False] * 4]
    assert torch.equal(got.pooled[1], modality.missing) and not torch.equal(got.pooled[0], modality.missing)


def test_positions_are_interpolated_and_not_given_to_the_pooled_token():
    modality = Modality(5, 4, (2, 3)).double()
    x = torch.zeros(1, 7, 5).double()
    plain = modality.project(modality.norm(x))
    moved = modality(x, None, 1, (2, 3)).tokens - plain
    assert not moved[:, 0].any()
    assert torch.allclose(moved[0, 1:], modality.positions.flatten(1).T)
    assert torch.allclose(modality._positions((4, 6), 24).mean(0), modality.positions.mean((1, 2)), atol=1e-12)


def test_dropout_hides_at_its_rates_and_never_both():
    torch.manual_seed(0)
    image, table = torch.rand(40000) < 0.9, torch.rand(40000) < 0.8
    both = image & table
    seen_image, seen_table = modality_dropout(image, table, 0.2, 0.3)
    assert (seen_image | seen_table).equal(image | table)
    assert (both & ~seen_image).sum() / both.sum() == pytest.approx(0.2, abs=0.01)
    assert (both & ~seen_table).sum() / both.sum() == pytest.approx(0.3, abs=0.01)
    assert seen_image[~both].equal(image[~both]) and seen_table[~both].equal(table[~both])


def test_rates_must_leave_something():
    flags = torch.ones(2, dtype=torch.bool)
    with pytest.raises(SettingsError, match="add up to at most 1, got 0.7 and 0.6"):
        modality_dropout(flags, flags, 0.7, 0.6)
