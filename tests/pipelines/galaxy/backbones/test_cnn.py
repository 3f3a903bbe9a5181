"""The small network: sizes and bands, what it does to a symmetric galaxy, layers for rates."""

import pytest
import torch

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.backbones.cnn import FINE, Blur, CutoutNet


@pytest.mark.parametrize("bands", [1, 3, 5])
@pytest.mark.parametrize("size", [16, 33, 64, 96])
def test_any_bands_and_sizes(bands, size):
    net = CutoutNet(bands, widths=(4, 4, 6, 8)).eval()
    tokens, pooled, grid = net(torch.randn(2, bands, size, size))
    assert grid == net.token_grid(size) == ((size + 7) // 8,) * 2
    assert tokens.shape == (2, grid[0] * grid[1], 8) and pooled.shape == (2, net.d_image) == (2, 8)
    assert torch.isfinite(pooled).all()


@pytest.mark.parametrize("size", [32, 65, 96])
def test_a_stem_of_stride_two_halves_the_grid(size):
    net = CutoutNet(2, **FINE | {"widths": (4, 4, 6, 8)}).eval()
    tokens, pooled, grid = net(torch.randn(2, 2, size, size))
    assert grid == net.token_grid(size) == ((size + 15) // 16,) * 2
    assert tokens.shape == (2, grid[0] * grid[1], 8) and torch.isfinite(pooled).all()
    with pytest.raises(SettingsError, match="at least 32 px"):
        net(torch.randn(1, 2, 31, 31))


def test_a_symmetric_galaxy_has_no_residual():
    torch.manual_seed(0)
    net = CutoutNet(2, widths=(4, 4, 6, 8)).eval()
    image = torch.randn(1, 2, 32, 32)
    image = image + image.flip(-1, -2)
    with torch.no_grad():
        before = net(image).pooled
        net.stem.weight[:, 2:].normal_()
        assert torch.allclose(net(image).pooled, before, atol=1e-6)
        lopsided = image.clone()
        lopsided[..., :8, :8] += 3.0
        one = net(lopsided).pooled
        net.stem.weight[:, 2:].zero_()
        assert not torch.allclose(net(lopsided).pooled, one, atol=1e-4)


def test_the_filter_is_binomial_and_removes_the_finest_wave():
    blur = Blur(1)
    assert torch.allclose(blur(torch.ones(1, 1, 9, 9))[..., 1:-1, 1:-1], torch.ones(()))
    wave = ((-1.0) ** torch.arange(8)).expand(1, 1, 8, 8)
    assert blur(wave)[..., 1:, 1:].abs().max() < 1e-7


def test_layers_rise_from_the_stem_to_the_vector():
    net = CutoutNet(1)
    depths = {name: net.depth_of(name) for name, _ in net.named_parameters()}
    assert {n for _, n in depths.values()} == {5} and {layer for layer, _ in depths.values()} == set(range(5))
    assert depths["stem.weight"][0] == 0 and depths["stages.1.1.first.weight"][0] == 2 and depths["pool.weight"][0] == 4


def test_memory_formats_give_the_same_numbers():
    torch.manual_seed(0)
    net = CutoutNet(3, widths=(4, 8, 8, 8)).eval().double()
    image = torch.randn(2, 3, 32, 32).double()
    before = net(image)
    net.memory_format = torch.contiguous_format
    assert torch.allclose(net(image).tokens, before.tokens, atol=1e-12)


def test_every_parameter_learns():
    net = CutoutNet(2, widths=(4, 4, 6, 8))
    assert not any(stage[1].second_norm.weight.any() for stage in net.stages), "a block starts as the identity"
    for stage in net.stages:
        torch.nn.init.ones_(stage[1].second_norm.weight)
    net(torch.randn(8, 2, 32, 32)).pooled.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_a_cutout_may_be_too_small():
    with pytest.raises(SettingsError, match="at least 16 px"):
        CutoutNet(1)(torch.zeros(1, 1, 15, 15))
