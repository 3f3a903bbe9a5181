"""Convolutions of small maps give torch's values and gradients, and are used in training alone."""

import copy

import pytest
import torch
from torch import nn

from sciml.pipelines.galaxy.backbones import small_maps
from sciml.pipelines.galaxy.backbones.timm_backbone import build_timm

# channels before and after, pixels, kernel, stride, padding, groups, bias
CASES = {
    "dense": (6, 10, 2, 3, 1, 1, 1, True),
    "dense, four pixels": (6, 4, 4, 3, 1, 1, 1, False),
    "dense, every second pixel": (4, 6, 4, 3, 2, 1, 1, False),
    "dense, no padding": (3, 5, 6, 3, 1, 0, 1, True),
    "dense, patches": (3, 5, 8, 4, 4, 0, 1, True),
    "dense, odd map": (3, 5, 5, 3, 2, 1, 1, False),
    "dense, kernel beyond the map": (3, 5, 2, 7, 1, 3, 1, False),
    "depthwise": (8, 8, 4, 5, 1, 2, 8, True),
    "depthwise, every second pixel": (8, 8, 9, 5, 2, 2, 8, False),
    "depthwise, rows": (8, 8, 16, 5, 1, 2, 8, False),
    "depthwise, rows without padding": (4, 4, 15, 7, 1, 0, 4, True),
    "depthwise, kernel beyond the map": (8, 8, 2, 7, 1, 3, 8, True),
    "pointwise": (6, 10, 4, 1, 1, 0, 1, True),
    "pointwise, every second pixel": (6, 10, 7, 1, 2, 0, 1, False),
    "pointwise, one pixel": (6, 10, 1, 1, 1, 0, 1, False),
}


def layers(case):
    before, after, side, kernel, stride, padding, groups, bias = CASES[case]
    torch.manual_seed(0)
    plain = nn.Conv2d(before, after, kernel, stride, padding, groups=groups, bias=bias).double()
    ours = copy.deepcopy(plain)
    small_maps.adopt(ours)
    return plain, ours, torch.randn(3, before, side, side, dtype=torch.float64)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_torchs(case, layout):
    plain, ours, image = layers(case)
    assert ours._kind(image) == case.partition(",")[0]
    found = []
    for layer in (plain, ours):
        x = image.contiguous(memory_format=layout).requires_grad_()
        y = layer(x)
        (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
        found.append((y.detach(), x.grad, *(p.grad for p in layer.parameters())))
    for theirs, mine in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


def test_a_gradient_nobody_needs_is_not_computed():
    for case in ("dense", "depthwise"):
        _, ours, image = layers(case)
        x = image.requires_grad_()
        ours.weight.requires_grad_(False)
        ours(x).sum().backward()
        assert x.grad is not None and ours.weight.grad is None


def test_elsewhere_torch_computes():
    _, ours, image = layers("dense")
    wide = nn.Conv2d(6, 10, 3, padding=1)
    for other in (nn.Conv2d(6, 10, 3, padding="same"), nn.Conv2d(6, 10, 3, padding=1, padding_mode="reflect"),
                  nn.Conv2d(6, 10, 3, padding=1, groups=2), nn.Conv2d(6, 10, (1, 3), padding=(0, 1)),
                  nn.Conv2d(6, 10, 3, padding=2, dilation=2), nn.Conv2d(6, 10, 1, padding=1)):  # fmt: skip
        small_maps.adopt(other)
        assert other._kind(image.float()) == ""
    small_maps.adopt(wide)
    assert wide._kind(torch.zeros(1, 6, 8, 8)) == "" and wide._kind(torch.zeros(1, 6, 2, 2)) == "dense"
    for kernel, side, kind in ((3, 4, ""), (5, 4, "depthwise"), (5, 16, "depthwise"), (5, 17, "")):
        deep = nn.Conv2d(6, 6, kernel, padding=kernel // 2, groups=6)
        small_maps.adopt(deep)
        assert deep._kind(torch.zeros(1, 6, side, side)) == kind
    with torch.no_grad():
        assert ours._kind(image) == ""
    with torch.autocast("cpu", torch.bfloat16):
        assert wide._kind(torch.zeros(1, 6, 2, 2)) == ""
        assert wide(torch.zeros(1, 6, 2, 2)).dtype == torch.bfloat16


def test_evaluation_is_torchs_to_the_bit():
    plain, ours, image = layers("dense")
    assert torch.equal(plain.eval()(image), ours.eval()(image))


def test_only_plain_layers_are_adopted():
    class Other(nn.Conv2d):
        pass

    network = nn.Sequential(nn.Conv2d(1, 1, 3), Other(1, 1, 3))
    before = list(network.state_dict())
    small_maps.adopt(network)
    assert type(network[0]) is small_maps.Conv2d and type(network[1]) is Other and list(network.state_dict()) == before


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext"])
def test_a_network_trains_as_with_torchs_layers(name):
    torch.manual_seed(0)
    ours = build_timm(name, 3, 64).double().train()
    theirs = copy.deepcopy(ours)
    for module in theirs.modules():
        if type(module) is small_maps.Conv2d:
            module.__class__ = nn.Conv2d
    image = torch.randn(4, 3, 64, 64, dtype=torch.float64)
    for network in (ours, theirs):
        network(image).pooled.square().sum().backward()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-8, atol=1e-10)
