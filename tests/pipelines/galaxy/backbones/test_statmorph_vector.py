"""Measurements as tokens: remembered, normalized by the training split, failures learned."""

import copy

import numpy as np
import pytest
import torch

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.backbones.statmorph_vector import StatmorphVector


class Fake:
    """Mean, scatter and a measurement that fails where the mean is negative; counts what it is asked."""

    def __init__(self):
        self.asked = 0

    def __call__(self, images):
        self.asked += len(images)
        mean, scatter = images.mean((1, 2)), images.std((1, 2))
        return np.stack([mean, scatter, np.where(mean < 0, np.nan, 1.0 + mean)], axis=1)


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return StatmorphVector(Fake(), ("mean", "scatter", "odd"), 2, d_image=8)


@pytest.fixture
def image():
    return torch.randn(6, 2, 5, 5, generator=torch.Generator().manual_seed(1))


def test_one_token_per_measurement_and_band(encoder, image):
    tokens, pooled, grid = encoder(image)
    assert tokens.shape == (6, 6, 8) and pooled.shape == (6, 8) and grid is None
    want = torch.cat([torch.from_numpy(Fake()(image[:, band].numpy())) for band in range(2)], 1).float()
    assert torch.equal(encoder.measured(image).nan_to_num(-9), want.nan_to_num(-9))


def test_a_cutout_is_measured_once_and_copies_share_what_is_known(encoder, image):
    encoder(image)
    encoder(image[[3, 1, 1]])
    assert encoder.measure.asked == 2 * 6
    average = copy.deepcopy(encoder)
    average(image)
    assert average.measure.asked == 2 * 6
    assert average.tokenizer.continuous.weight is not encoder.tokenizer.continuous.weight
    encoder(image + 1.0)
    assert encoder.measure.asked == 4 * 6


def test_the_oldest_are_forgotten(encoder, image, monkeypatch):
    monkeypatch.setattr("sciml.pipelines.galaxy.backbones.statmorph_vector._REMEMBERED", 4)
    encoder(image)
    assert len(encoder._known) == 4
    assert torch.isfinite(encoder(image[:1]).pooled).all()


def test_fit_takes_median_and_scatter_of_the_training_split(encoder):
    train = 5.0 + 2.0 * torch.randn(400, 2, 3, 3, generator=torch.Generator().manual_seed(2))
    assert encoder.fit(train) is encoder
    values = encoder.measured(train)
    z = (values - encoder.center) / encoder.spread
    assert z.nanmedian(0).values.abs().max() < 0.02
    assert torch.allclose(z.std(0), torch.ones(6), atol=0.15)
    state = encoder.state_dict()
    assert {"center", "spread"} <= state.keys()


def test_what_failed_is_a_token_of_its_own(encoder, image):
    values = encoder.measured(image)
    broken, wild = values.clone(), values.clone()
    broken[:, 1], wild[:, 1] = torch.nan, 1e9
    a, b = encoder.encode(broken), encoder.encode(wild)
    assert torch.equal(a.tokens, b.tokens) and torch.equal(a.pooled, b.pooled)
    assert torch.equal(a.tokens[:, 1], encoder.tokenizer.missing[1].expand(6, -1))
    assert not torch.allclose(a.pooled, encoder.encode(values).pooled)


def test_columns_that_never_succeed_do_not_harm(encoder):
    encoder.fit(-1.0 - torch.rand(20, 2, 3, 3))
    assert torch.isfinite(encoder.center).all() and (encoder.spread > 0).all()


def test_every_parameter_learns_and_bands_are_counted(encoder, image):
    out = encoder(image)
    (out.pooled.square().sum() + out.tokens.square().sum()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in encoder.parameters())
    with pytest.raises(SettingsError, match=r"built for images \[b, 2 bands, y, x\], got \[6, 1, 5, 5\]"):
        encoder(image[:, :1])
