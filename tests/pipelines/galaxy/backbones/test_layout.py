"""One layout for every feature map: pixel order, prefix tokens, statistics of bands, resampling."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.backbones.layout import BandNorm, band_statistics, resized, unify


@settings(deadline=None, max_examples=50)
@given(
    b=st.integers(1, 3),
    d=st.integers(1, 9),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    n_prefix=st.integers(0, 3),
)
def test_every_layout_gives_the_same_tokens_row_by_row(b, d, height, width, n_prefix):
    image = torch.arange(float(b * d * height * width)).view(b, d, height, width)
    want = torch.stack([image[:, :, y, x] for y in range(height) for x in range(width)], dim=1)
    tokens, grid = unify(image, d, layout="NCHW")
    assert torch.equal(tokens, want) and grid == (height, width)
    tokens, grid = unify(image.permute(0, 2, 3, 1), d, layout="NHWC")
    assert torch.equal(tokens, want) and grid == (height, width)
    prefixed = torch.cat((torch.full((b, n_prefix, d), -1.0), want), dim=1)
    if n_prefix or math.isqrt(height * width - 1) ** 2 != height * width - 1 or height * width <= 2:
        tokens, grid = unify(prefixed, d, n_prefix)
        assert torch.equal(tokens, want)
        assert grid == (
            (height, height) if math.isqrt(height * width) ** 2 == height * width and height == width else grid
        )


def test_an_unnamed_layout_is_recognized_by_its_width():
    x = torch.randn(2, 7, 3, 4)
    assert torch.equal(unify(x, 7)[0], unify(x.permute(0, 2, 3, 1), 7)[0])
    assert unify(torch.randn(2, 5), 5)[0].shape == (2, 1, 5)
    with pytest.raises(SettingsError, match=r"shape \[2, 7, 3, 4\] has no axis of width 8"):
        unify(x, 8)


def test_a_class_token_nobody_declared_is_left_out_and_odd_counts_have_no_grid():
    tokens, grid = unify(torch.randn(1, 10, 4), 4)
    assert tokens.shape == (1, 9, 4) and grid == (3, 3)
    tokens, grid = unify(torch.randn(1, 7, 4), 4)
    assert tokens.shape == (1, 7, 4) and grid is None


def test_bands_are_normalized_each_by_its_own_numbers():
    norm = BandNorm((1.0, -2.0), (2.0, 0.5))
    image = torch.randn(3, 2, 4, 4)
    assert torch.allclose(norm(image)[:, 1], (image[:, 1] + 2.0) / 0.5)
    with pytest.raises(SettingsError, match=r"\[b, 2 bands, y, x\], got \[3, 1, 4, 4\]"):
        norm(image[:, :1])
    for std in ((1.0, 0.0), (1.0, math.nan), (math.inf, 1.0)):
        with pytest.raises(SettingsError, match="finite with positive std"):
            BandNorm((0.0, 0.0), std)


def test_statistics_of_another_number_of_bands_are_averaged():
    assert band_statistics(2, None, None) == ((0.0, 0.0), (1.0, 1.0))
    assert band_statistics(2, (1.0, 3.0), (4.0,)) == ((1.0, 3.0), (4.0, 4.0))
    mean, _ = band_statistics(5, (0.3, 0.6, 0.9), None)
    assert mean == pytest.approx((0.6,) * 5)


def test_resampling_keeps_the_mean_and_leaves_the_right_size_alone():
    image = torch.randn(1, 2, 24, 24)
    assert resized(image, (24, 24)) is image
    small = resized(image, (12, 12))
    assert small.shape == (1, 2, 12, 12)
    assert torch.allclose(resized(torch.full((1, 1, 10, 10), 3.0), (16, 16)), torch.tensor(3.0))
