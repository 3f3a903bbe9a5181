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
# and so it is with depthwise kernels of 3 pixels on any map: 0.1 ms where 5 pixels take 5 ms
WIDEST_DEPTHWISE = 16
WIDEST_PAIRS = 8  # of a result each of whose pixels is paired with each of the map's; on wider ones rows are


class Tap(NamedTuple):
    """Along one axis: tap `number` joins the result's pixels `result` with the map's pixels `map`, as many."""

    number: int
    result: slice
    map: slice


Place = tuple[tuple[int, int], tuple[int, int], int]  # size, strides and offset of a matrix within an array


class Strip(NamedTuple):
    """Three matrices: result += map @ weight^T."""

    result: Place
    map: Place
    weight: Place


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
        side = _side(image, self.weight, stride, padding)
        if self.groups == self.in_channels == self.out_channels and kernel > 1:
            widest = WIDEST_DEPTHWISE if stride == 1 else WIDEST_PAIRS
            return "depthwise" if kernel > 3 and 0 < side <= widest and image.shape[-1] <= 2 * side else ""
        if self.groups > 1 or not 0 < side <= WIDEST:
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
        side = _side(x, weight, stride, padding)
        ctx.stride, ctx.geometry = stride, (x.shape[-1], side, weight.shape[-1], stride, padding)
        ctx.strips = strips(len(x), x.shape[1], len(weight), *ctx.geometry)
        image, kernel = _by_rows(x, stride), weight.permute(0, 2, 3, 1).contiguous()
        ctx.save_for_backward(image, kernel)
        result = x.new_zeros(side, len(x), side, len(weight))
        for strip in ctx.strips:
            _matrix(result, strip.result).addmm_(_matrix(image, strip.map), _matrix(kernel, strip.weight).t())
        return _by_objects(result)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, change: Tensor):
        image, kernel = ctx.saved_tensors
        for_map, for_weight, *_ = ctx.needs_input_grad
        change = _by_rows(change)
        of_map = _by_objects(_dense_map(change, kernel, image.shape, ctx.strips), ctx.stride) if for_map else None
        of_weight = _dense_weight(change, image, kernel.shape, *ctx.geometry) if for_weight else None
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
        of_map = _native(change, x, weight, stride, padding) if for_map else None
        of_weight = None
        if for_weight:
            gradient = _depthwise_pairs if change.shape[-1] <= WIDEST_PAIRS else _depthwise_rows
            of_weight = gradient(change, x, weight.shape[-1], stride, padding).view_as(weight)
        return of_map, of_weight, None, None


_BY_KIND = {"dense": _Dense, "depthwise": _Depthwise}


def _dense_map(change: Tensor, kernel: Tensor, shape: torch.Size, strips: tuple[Strip, ...]) -> Tensor:
    """Gradient of the map, [y, b, x, n] like it."""
    found = change.new_zeros(shape)
    for strip in strips:
        _matrix(found, strip.map).addmm_(_matrix(change, strip.result), _matrix(kernel, strip.weight))
    return found


def _dense_weight(
    change: Tensor, image: Tensor, shape: torch.Size, width: int, side: int, kernel: int, stride: int, padding: int
) -> Tensor:
    """Gradient [m, n, a, c] of the weight, whose shape is [m, a, c, n]: tap by tap, since strips would add to each part of it often."""
    taps, row_of = taps_of(width, side, kernel, stride, padding), order_of_rows(width, stride).index
    found = change.new_empty(shape) if len(taps) == kernel else change.new_zeros(shape)
    for right in taps:
        values, told = image[:, :, right.map].contiguous(), change[:, :, right.result].contiguous()
        for down in taps:
            first = row_of(down.map.start)
            rows = values[first : first + down.result.stop - down.result.start]
            torch.mm(told[down.result].flatten(0, 2).t(), rows.flatten(0, 2), out=found[:, down.number, right.number])
    return found.permute(0, 3, 1, 2)


def _by_rows(x: Tensor, stride: int = 1) -> Tensor:
    """[b, n, y, x] -> [y, b, x, n], contiguous, rows as in `order_of_rows`."""
    rows = x.permute(2, 0, 3, 1)
    return rows.contiguous() if stride == 1 else torch.cat([rows[first::stride] for first in range(stride)])


def _by_objects(rows: Tensor, stride: int = 1) -> Tensor:
    """[b, n, y, x] in channels_last, of what `_by_rows` gives."""
    b, width, n = rows.shape[1:]
    x = rows.new_empty(b, len(rows), width, n)
    begin = 0
    for first in range(stride):
        part = x[:, first::stride].transpose(0, 1)
        part.copy_(rows[begin : begin + len(part)])
        begin += len(part)
    return x.permute(0, 3, 1, 2)


def _matrix(array: Tensor, place: Place) -> Tensor:
    """The matrix at that place of a contiguous array, without a copy."""
    size, stride, offset = place
    return array.as_strided(size, stride, array.storage_offset() + offset)


def _depthwise_pairs(change: Tensor, x: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """Gradient [n, a c] of the weight: every pixel of the result with every pixel of the map, then the pairs of each tap together."""
    pairs = torch.bmm(_first(change).mT, _first(x))
    return pairs.flatten(1) @ tap_of_pairs(x.shape[-1], change.shape[-1], kernel, stride, padding).to(x.dtype)


def _depthwise_rows(change: Tensor, x: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """The same for stride 1: for each vertical tap the rows it joins, each of their pixels with each, then those of each tap together."""
    n, side, width = x.shape[1], change.shape[-1], x.shape[-1]
    rows, image = (t.permute(1, 2, 0, 3).contiguous() for t in (change, x))  # [n, i, b, j], [n, y, b, x]
    pairs = x.new_zeros(n, kernel, side, width)
    for tap in taps_of(width, side, kernel, stride, padding):
        told, met = rows[:, tap.result].flatten(1, 2), image[:, tap.map].flatten(1, 2)
        torch.bmm(told.mT, met, out=pairs[:, tap.number])
    return pairs.flatten(2) @ line_of_taps(width, side, kernel, stride, padding).to(x.dtype).flatten(0, 1)


def _native(change: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """Gradient of the map, by torch."""
    return torch.ops.aten.convolution_backward(
        change, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], len(weight), [True, False, False]
    )[0]


def _side(x: Tensor, weight: Tensor, stride: int, padding: int) -> int:
    return (x.shape[-1] + 2 * padding - weight.shape[-1]) // stride + 1


def _first(x: Tensor) -> Tensor:
    """[b, n, y, x] -> [n, b, y x], contiguous in the pixels' order it is multiplied in."""
    return x.flatten(2).permute(1, 0, 2).contiguous()


@lru_cache(maxsize=256)
def taps_of(width: int, side: int, kernel: int, stride: int, padding: int) -> tuple[Tap, ...]:
    """Along one axis the taps that reach the map, `width` pixels wide, from a result of `side` pixels."""
    taps = []
    for number in range(kernel):
        met = [i for i in range(side) if 0 <= i * stride + number - padding < width]
        if met:
            first, last = (i * stride + number - padding for i in (met[0], met[-1]))
            taps.append(Tap(number, slice(met[0], met[-1] + 1), slice(first, last + 1, stride)))
    return tuple(taps)


def order_of_rows(width: int, stride: int) -> list[int]:
    """Every stride-th row first, then those that follow them, and so on: the rows that a tap meets lie together."""
    return [y for first in range(stride) for y in range(first, width, stride)]


@lru_cache(maxsize=256)
def strips(b: int, n: int, m: int, width: int, side: int, kernel: int, stride: int, padding: int) -> tuple[Strip, ...]:
    """All that a dense layer multiplies: for a tap downwards and a column of the result the strip of the map's rows that it meets.

    Along a strip pixel and tap step together, so that pixels x channels are one axis of map and weight alike, and nothing is copied:
    longer sums and fewer calls than tap by tap, 20 % of the layer's time.
    Arrays: result [i, b, j, m], map [y, b, x, n] as `_by_rows` orders it, weight [m, a, c, n].
    """
    row_of = order_of_rows(width, stride).index
    found = []
    for tap in taps_of(width, side, kernel, stride, padding):
        count = b * (tap.result.stop - tap.result.start)
        for j in range(side):
            corner = j * stride - padding
            left, right = max(corner, 0), min(corner + kernel, width)
            if left < right:
                found.append(Strip(
                    ((count, m), (side * m, 1), (tap.result.start * b * side + j) * m),
                    ((count, (right - left) * n), (width * n, 1), (row_of(tap.map.start) * b * width + left) * n),
                    ((m, (right - left) * n), (kernel**2 * n, 1), (tap.number * kernel + left - corner) * n),
                ))  # fmt: skip
    return tuple(found)


@lru_cache(maxsize=64)
def line_of_taps(width: int, side: int, kernel: int, stride: int, padding: int) -> Tensor:
    """[side, width, kernel] along one axis: 1 where the tap joins that pixel of the result with that of the map."""
    line = torch.zeros(side, width, kernel)
    for tap in taps_of(width, side, kernel, stride, padding):
        line[range(side)[tap.result], range(width)[tap.map], tap.number] = 1.0
    return line


@lru_cache(maxsize=64)
def tap_of_pairs(width: int, side: int, kernel: int, stride: int, padding: int) -> Tensor:
    """[side^2 width^2, kernel^2], the same in the plane."""
    line = line_of_taps(width, side, kernel, stride, padding)
    return torch.einsum("iya,jxc->ijyxac", line, line).reshape(side**2 * width**2, kernel**2)
