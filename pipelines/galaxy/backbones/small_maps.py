"""Convolutions whose map is a few pixels wide, trained on a CPU as products of matrices: the same sums in another order.

    y[b, i, j] = sum over a, c of  W[:, a, c] x[b, s i + a - p, s j + c - p],   what lies outside the map left out

Cutouts of 64 pixels end as maps of 2 to 4 pixels, where most of a 3 x 3 kernel meets padding (5 of 9 taps at 2 pixels) and where the
gradient of a depthwise kernel, a sum over the batch, is what a convolution library does worst: on a CPU with AVX2 the weights of a
5 x 5 depthwise layer with 672 channels at 4 x 4 pixels took 26 ms per batch of 32 and take 1.2 ms; a whole step of ResNet-18, 1.5
times as long. Only training takes this path, in full precision; everything else is left to `torch.nn.Conv2d`.

Axes: b object, i j pixels of the result, y x of the map, a c taps, n channels before, m after.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDEST = 4  # pixels a side of a result that is computed here; on wider ones oneDNN is at least as fast
WIDEST_DENSE = 2  # of one whose values and gradient of the map are computed here as well


class Span(NamedTuple):
    """Taps [a, first:last] fall on the map's pixels [y, left:right] for the result's pixel (i, j)."""

    i: int
    j: int
    a: int
    first: int
    last: int
    y: int
    left: int
    right: int


class Conv2d(nn.Conv2d):
    """torch.nn.Conv2d, faster in training on small maps."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        kind = self._kind(input) if self.training else ""
        if not kind:
            return super()._conv_forward(input, weight, bias)
        if kind == "pointwise":
            rows = input[:, :, :: self.stride[0], :: self.stride[1]].permute(0, 2, 3, 1)
            return F.linear(rows, weight.flatten(1), bias).permute(0, 3, 1, 2)
        result = _BY_KIND[kind].apply(input, weight, self.stride[0], self.padding[0])
        return result if bias is None else result + bias[:, None, None]

    def _kind(self, image: Tensor) -> str:
        """How this layer is computed for such an input; "" by torch."""
        square = len(set(image.shape[2:])) == len(set(self.kernel_size)) == len(set(self.stride)) == 1
        plain = self.padding_mode == "zeros" and not isinstance(self.padding, str) and self.dilation == (1, 1)
        if not (plain and square and len(set(self.padding)) == 1 and image.device.type == "cpu"):
            return ""
        if image.dtype != self.weight.dtype or torch.is_autocast_enabled("cpu") or not torch.is_grad_enabled():
            return ""
        kernel, stride, padding = self.kernel_size[0], self.stride[0], self.padding[0]
        side = (image.shape[-1] + 2 * padding - kernel) // stride + 1
        if not 0 < side <= WIDEST:
            return ""
        if self.groups == self.in_channels == self.out_channels and kernel > 1:
            return "depthwise"
        if self.groups > 1:
            return ""
        if kernel == 1:
            return "pointwise" if padding == 0 else ""
        return "dense"


def adopt(network: nn.Module) -> None:
    """Let every plain convolution of `network` take the path of this module; names and values of its weights stay."""
    for module in network.modules():
        if type(module) is nn.Conv2d:
            module.__class__ = Conv2d


class _Dense(torch.autograd.Function):
    """(x [b, n, y, x], weight [m, n, a, c], stride, padding) -> [b, m, i, j]."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.geometry = stride, padding
        side = _side(x, weight, stride, padding)
        if side > WIDEST_DENSE:
            ctx.save_for_backward(x, weight)
            return F.conv2d(x, weight, None, stride, padding)
        image, taps = _last(x), _last(weight)
        ctx.save_for_backward(x, taps.permute(0, 3, 1, 2))  # so that going back need not order them again
        result = x.new_zeros(len(x), side, side, len(weight))
        for s in spans(image.shape[1], side, taps.shape[1], stride, padding):
            values, kernel = image[:, s.y, s.left : s.right], taps[:, s.a, s.first : s.last]
            result[:, s.i, s.j].addmm_(values.flatten(1), kernel.flatten(1).t())
        return result.permute(0, 3, 1, 2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, change: Tensor):
        x, weight = ctx.saved_tensors
        stride, padding = ctx.geometry
        for_map, for_weight, *_ = ctx.needs_input_grad
        side = change.shape[-1]
        of_map = of_weight = None
        places = spans(x.shape[-1], side, weight.shape[-1], stride, padding)
        if for_weight:
            of_weight = _dense_weight(_last(change), _last(x), weight.shape, places)
        if for_map and side <= WIDEST_DENSE:
            of_map = _dense_map(_last(change), _last(weight), x.shape, places)
        elif for_map:
            of_map = _native(change, x, weight, stride, padding, 1)
        return of_map, of_weight, None, None


class _Depthwise(torch.autograd.Function):
    """(x [b, n, y, x], weight [n, 1, a, c], stride, padding) -> [b, n, i, j]."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.geometry = stride, padding
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, None, stride, padding, groups=len(weight))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, change: Tensor):
        x, weight = ctx.saved_tensors
        stride, padding = ctx.geometry
        for_map, for_weight, *_ = ctx.needs_input_grad
        of_map = _native(change, x, weight, stride, padding, len(weight)) if for_map else None
        of_weight = None
        if for_weight:
            # every pixel of the result with every pixel of the map, then the pairs of each tap together
            pairs = torch.bmm(_first(change).mT, _first(x))
            fold = tap_of_pairs(x.shape[-1], change.shape[-1], weight.shape[-1], stride, padding).to(x.dtype)
            of_weight = (pairs.flatten(1) @ fold).view_as(weight)
        return of_map, of_weight, None, None


_BY_KIND = {"dense": _Dense, "depthwise": _Depthwise}


def _dense_map(change: Tensor, taps: Tensor, shape: torch.Size, places: tuple[Span, ...]) -> Tensor:
    """Gradient [b, n, y, x] of the map."""
    b, n, height, width = shape
    found = change.new_zeros(b, height, width * n)
    for s in places:
        found[:, s.y, s.left * n : s.right * n].addmm_(change[:, s.i, s.j], taps[:, s.a, s.first : s.last].flatten(1))
    return found.view(b, height, width, n).permute(0, 3, 1, 2)


def _dense_weight(change: Tensor, image: Tensor, shape: torch.Size, places: tuple[Span, ...]) -> Tensor:
    """Gradient [m, n, a, c] of the weight."""
    m, n, high, wide = shape
    found = change.new_zeros(m, high, wide * n)
    for s in places:
        values = image[:, s.y, s.left : s.right].flatten(1)
        found[:, s.a, s.first * n : s.last * n].addmm_(change[:, s.i, s.j].t(), values)
    return found.view(m, high, wide, n).permute(0, 3, 1, 2)


def _native(change: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int, groups: int) -> Tensor:
    """Gradient of the map, by torch."""
    return torch.ops.aten.convolution_backward(
        change, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups, [True, False, False]
    )[0]


def _side(x: Tensor, weight: Tensor, stride: int, padding: int) -> int:
    return (x.shape[-1] + 2 * padding - weight.shape[-1]) // stride + 1


def _last(x: Tensor) -> Tensor:
    """[b, n, y, x] -> [b, y, x, n], contiguous."""
    return x.permute(0, 2, 3, 1).contiguous()


def _first(x: Tensor) -> Tensor:
    """[b, n, y, x] -> [n, b, y x], contiguous in the pixels' order it is multiplied in."""
    return x.flatten(2).permute(1, 0, 2).contiguous()


@lru_cache(maxsize=256)
def spans(width: int, side: int, kernel: int, stride: int, padding: int) -> tuple[Span, ...]:
    """Where a kernel meets a map of `width` pixels for a result of `side` pixels, without the padding."""
    reach = []
    for i in range(side):
        first = max(0, padding - i * stride)
        last = min(kernel, width + padding - i * stride)
        reach.append((first, last, i * stride + first - padding))
    return tuple(
        Span(i, j, a, first, last, y + a - top, left, left + last - first)
        for i, (top, bottom, y) in enumerate(reach)
        for j, (first, last, left) in enumerate(reach)
        for a in range(top, bottom)
        if last > first
    )


@lru_cache(maxsize=64)
def tap_of_pairs(width: int, side: int, kernel: int, stride: int, padding: int) -> Tensor:
    """[side^2 width^2, kernel^2], 1 where the tap joins that pixel of the result with that of the map."""
    fold = torch.zeros(side, side, width, width, kernel, kernel)
    for s in spans(width, side, kernel, stride, padding):
        for c in range(s.first, s.last):
            fold[s.i, s.j, s.y, s.left + c - s.first, s.a, c] = 1.0
    return fold.view(side**2 * width**2, kernel**2)
