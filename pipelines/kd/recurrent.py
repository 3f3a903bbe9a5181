"""LSTM layers with one packed weight each, and a hand-derived backward pass for small networks on a CPU.

Gate equations (Hochreiter & Schmidhuber 1997 with forget gate, Gers et al. 2000), gate order i, f, g, o:

    [i f g o] = W [x_t; h_{t-1}; 1],   c_t = s(f) c_{t-1} + s(i) tanh(g),   h_t = s(o) tanh(c_t)

so one matrix W of shape [4H, F + H + 1] holds both weights and the bias of a layer.  Sequences are feature-major,
shape [T, F, B]: the batch is the contiguous axis, every gate is a contiguous block, and `h_t` is written straight
into the rows of the next step's input, so a step is one GEMM and a handful of in-place vector operations.

Legend: T time step, F input features, H hidden units, B batch.

Paths that compute the same numbers and are tested against each other: `reference_layer` (plain autograd), `packed_layer`
(the hand-derived gradient) and `vendor_layer` (torch's fused LSTM: oneDNN on a CPU, cuDNN on a GPU, with slices of the same weight).
The packed layer's pointwise part is ten torch calls, or one call of the compiled `_gates` where the installation could build it
(float32).  What was learned on two cores with AVX2, H = 32, 14 steps, one thread: a GEMM of a step runs at 80 GF/s, 15 us; a torch
call on 2,048 numbers costs 2-8 us, so ten of them cost more than the GEMM; `_gates` takes 8 us forward and 2 us backward.  oneDNN
reaches 10-25 GF/s.  Hence: with `_gates` always packed; without, packed from 128 x 32 states on, where vectors are long enough.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

try:
    from . import _gates
except ImportError:  # no compiler at installation
    _gates = None

# Time of oneDNN over that of the packed path, H = 32, for 16, 32, 64, 128, 256 windows (forward and backward, one thread of a busy
# machine).  With `_gates`: 1.9 2.1 2.9 1.5 2.1 at 14 -> 1 and 1.8 1.8 2.1 2.2 2.1 at 36 -> 24, hence always packed.  Without: 1.0 1.1
# 1.5 1.1 1.6 and 0.6 0.8 1.1 1.4 1.5, hence packed from here on, where it wins whatever the length.
LARGE = 128 * 32  # states per step

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


def reference_layer(x: Tensor, weight: Tensor) -> Tensor:
    """Hidden states [T, H, B] of one layer over x [T, F, B], by plain autograd: the specification."""
    hidden = weight.shape[0] // 4
    h = x.new_zeros(hidden, x.shape[2])
    c = torch.zeros_like(h)
    ones = x.new_ones(1, x.shape[2])
    states = []
    for step in x:
        i, f, g, o = (weight @ torch.cat((step, h, ones))).chunk(4)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        states.append(h)
    return torch.stack(states)


def vendor_layer(x: Tensor, weight: Tensor) -> Tensor:
    """The same through torch's fused LSTM (oneDNN on a CPU, cuDNN on a GPU)."""
    features, hidden = x.shape[1], weight.shape[0] // 4
    state = x.new_zeros(1, x.shape[2], hidden)
    parts = [weight[:, :features], weight[:, features:-1], weight[:, -1], torch.zeros_like(weight[:, -1])]
    flat = [part.contiguous() for part in parts]
    out, _, _ = torch._VF.lstm(x.transpose(1, 2), (state, state), flat, True, 1, 0.0, True, False, False)
    return out.transpose(1, 2)


class _Workspace:
    """Buffers and their slices for one layer shape; slicing costs more than the arithmetic at this size.

    `members` is () or (S,): S networks of one shape, each with a weight and a batch of its own.
    """

    def __init__(
        self, steps: int, features: int, hidden: int, batch: int, like: Tensor, members: tuple[int, ...] = ()
    ):
        new = like.new_empty
        self.inputs = new(steps + 1, *members, features + hidden + 1, batch)
        self.inputs[..., -1, :] = 1.0
        self.inputs[0, ..., features : features + hidden, :] = 0.0
        self.gates = new(steps, *members, 4 * hidden, batch)
        self.cells = new(steps + 1, *members, hidden, batch)
        self.cells[0] = 0.0
        self.squashed = new(steps, *members, hidden, batch)
        self.external = self.inputs[:steps, ..., :features, :]
        self.states = self.inputs[1:, ..., features : features + hidden, :]
        self.minus_one = like.new_tensor(-1.0)
        self.product = torch.bmm if members else torch.mm
        self.fused = _gates is not None and like.dtype == torch.float32 and like.device.type == "cpu" and not members
        self.forward_views = []
        self.backward_views = []
        self.forward_pointers = []
        self.backward_pointers = []
        self.gradients = new(steps, *members, 4 * hidden, batch)
        self.gradient = self.gradients[0]
        self.input_gradient = new(steps, *members, features + hidden + 1, batch)
        self.cell_gradient = new(*members, hidden, batch)
        self.scratch = new(*members, hidden, batch)
        self.external_gradient = self.input_gradient[..., :features, :]
        self.gradient_views = self.gradient.chunk(4, -2)
        for t in range(steps):
            gate = self.gates[t]
            i, f, g, o = gate.chunk(4, -2)
            cell, squash = self.cells[t + 1], self.squashed[t]
            self.forward_views.append((self.inputs[t], gate, i, f, g, o, self.cells[t], cell, squash, self.states[t]))
            recurrent = self.input_gradient[t, ..., features : features + hidden, :]
            transposed = self.inputs[t].mT
            if self.fused:
                self._point(t, gate, cell, squash)
            self.backward_views.append(
                (transposed, gate, i, f, g, o, self.cells[t], squash, recurrent, self.input_gradient[t])
            )

    def _point(self, t: int, gate: Tensor, cell: Tensor, squash: Tensor) -> None:
        """Addresses for `_gates`; the external gradient of a step comes with each backward pass."""
        features, hidden = self.external.shape[1], self.scratch.shape[0]
        last = t == len(self.gates) - 1
        after = self.scratch if last else self.input_gradient[t + 1, features : features + hidden]
        where = [a.data_ptr() for a in (gate, self.cells[t], cell, squash, self.states[t])]
        self.forward_pointers.append((self.inputs[t], gate, (*where, self.scratch.numel())))
        self.backward_pointers.append(
            (
                self.gradients[t], self.input_gradient[t], (where[0], where[1], where[3], after.data_ptr()),
                (self.cell_gradient.data_ptr(), self.gradients[t].data_ptr(), self.scratch.numel()),
            )
        )  # fmt: skip


class _Workspaces:
    """A small pool of workspaces keyed by shape; one is handed out until its backward pass returns it."""

    def __init__(self, keep: int = 16):
        self.keep = keep
        self.free: dict[tuple, list[_Workspace]] = {}

    def take(self, x: Tensor, weight: Tensor) -> tuple[tuple, _Workspace]:
        """For x [T, (S,) F, B] and weight [(S,) 4H, F + H + 1]."""
        steps, *members, features, batch = x.shape
        shape = (steps, features, weight.shape[-2] // 4, batch)
        # a tensor made in inference mode may not be written outside it
        key = (*shape, *members, weight.dtype, weight.device, torch.is_inference_mode_enabled())
        stack = self.free.get(key)
        return key, stack.pop() if stack else _Workspace(*shape, weight, tuple(members))

    def give(self, key: tuple, workspace: _Workspace) -> None:
        if key not in self.free and len(self.free) >= self.keep:
            self.free.pop(next(iter(self.free)))
        stack = self.free.setdefault(key, [])
        if len(stack) < 4:
            stack.append(workspace)


_pool = _Workspaces()


def _forward_steps(w: _Workspace, weight: Tensor) -> None:
    """Fill gates, cells and states of a workspace whose external inputs are set."""
    if w.fused:
        for inputs, gate, pointers in w.forward_pointers:
            torch.mm(weight, inputs, out=gate)
            _gates.forward(*pointers)
        return
    mm, mul, add = w.product, torch.mul, torch.add
    minus_one = w.minus_one
    for inputs, gate, i, f, g, o, before, cell, squash, state in w.forward_views:
        mm(weight, inputs, out=gate)
        # tanh(x) = 2 s(2x) - 1: torch's vector tanh costs 3-4 times its sigmoid, and so all gates go in one call
        g.mul_(2.0)
        gate.sigmoid_()
        add(minus_one, g, alpha=2.0, out=g)
        mul(i, g, out=cell)
        cell.addcmul_(f, before)
        mul(cell, 2.0, out=squash)
        squash.sigmoid_()
        add(minus_one, squash, alpha=2.0, out=squash)
        mul(o, squash, out=state)


def _backward_steps(w: _Workspace, weight: Tensor, grad: Tensor) -> Tensor:
    """Gradient of the weight from grad [T, H, B] of all states; leaves the inputs' gradient in the workspace."""
    if w.fused:
        # a step must be one block; the steps may lie apart, as in the workspace of the layer above
        return _fused_backward_steps(w, weight, grad if grad[0].is_contiguous() else grad.contiguous())
    mm, mul = w.product, torch.mul
    weight_t = weight.mT.contiguous()
    d_weight = torch.zeros_like(weight)
    accumulate = d_weight.baddbmm_ if weight.dim() == 3 else d_weight.addmm_
    d_gate, d_cell, scratch = w.gradient, w.cell_gradient.zero_(), w.scratch
    d_i, d_f, d_g, d_o = w.gradient_views
    d_state = None
    for t in range(len(w.backward_views) - 1, -1, -1):
        inputs_t, gate, i, f, g, o, before, squash, recurrent, d_input = w.backward_views[t]
        d_state = grad[t] if d_state is None else d_state.add_(grad[t])
        mul(d_state, o, out=scratch)
        _tanh_backward(scratch, squash, grad_input=scratch)
        d_cell.add_(scratch)
        mul(d_cell, i, out=scratch)
        _tanh_backward(scratch, g, grad_input=scratch)
        mul(d_cell, g, out=d_i)
        mul(d_cell, before, out=d_f)
        mul(d_state, squash, out=d_o)
        d_cell.mul_(f)
        # the three sigmoid gates in one call over the whole block; the g rows are overwritten after it
        _sigmoid_backward(d_gate, gate, grad_input=d_gate)
        d_g.copy_(scratch)
        accumulate(d_gate, inputs_t)
        mm(weight_t, d_gate, out=d_input)
        d_state = recurrent
    return d_weight


def _fused_backward_steps(w: _Workspace, weight: Tensor, grad: Tensor) -> Tensor:
    weight_t = weight.t().contiguous()
    w.cell_gradient.zero_()
    w.scratch.zero_()  # nothing comes from after the last step
    mm, backward = torch.mm, _gates.backward
    stride = grad.stride(0) * grad.element_size()
    external = grad.data_ptr() + len(grad) * stride
    for d_gate, d_input, before, after in reversed(w.backward_pointers):
        external -= stride
        backward(*before, external, *after)
        mm(weight_t, d_gate, out=d_input)
    # the sum over steps in one call: a fifth less than an addmm per step
    return torch.addbmm(weight, w.gradients, w.inputs[: len(grad)].transpose(1, 2), beta=0)


def _filled_workspace(x: Tensor, weight: Tensor) -> tuple[tuple, _Workspace]:
    """A workspace of the pool after the forward pass over x, and its key."""
    key, workspace = _pool.take(x, weight)
    workspace.external.copy_(x)
    _forward_steps(workspace, weight)
    return key, workspace


def _filled_workspaces(x: Tensor, weights: Sequence[Tensor]) -> list[tuple[tuple, _Workspace]]:
    """The same for stacked layers: each reads the states of the one below where they are."""
    filled = []
    for weight in weights:
        filled.append(_filled_workspace(x, weight))
        x = filled[-1][1].states
    return filled


class _PackedStack(torch.autograd.Function):
    """One node for all layers: at 14 steps of 64 x 32 a node of its own, and copies between them, cost as much as 8 GEMMs."""

    @staticmethod
    def forward(ctx, x: Tensor, *weights: Tensor) -> Tensor:
        ctx.filled = _filled_workspaces(x, weights)
        ctx.save_for_backward(x, *weights)
        return ctx.filled[-1][1].states.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        x, *weights = ctx.saved_tensors
        # a graph that is kept for a second backward pass has given its workspaces away: run forward again
        filled = ctx.filled or _filled_workspaces(x, weights)
        ctx.filled = None
        d_weights = []
        for (_, workspace), weight in zip(reversed(filled), reversed(weights), strict=True):
            d_weights.append(_backward_steps(workspace, weight, grad))
            grad = workspace.external_gradient
        d_x = grad.clone() if ctx.needs_input_grad[0] else None
        for key, workspace in filled:
            _pool.give(key, workspace)
        return d_x, *reversed(d_weights)


def packed_stack(x: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Hidden states [T, H, B] of the top one of stacked layers over x [T, F, B]; the CPU path.

    S networks at once: x [T, S, F, B], weights [S, 4H, F + H + 1], states [T, S, H, B].
    """
    if torch.is_grad_enabled():
        return _PackedStack.apply(x, *weights)
    filled = _filled_workspaces(x, weights)
    states = filled[-1][1].states.clone()
    for key, workspace in filled:
        _pool.give(key, workspace)
    return states


def packed_layer(x: Tensor, weight: Tensor) -> Tensor:
    """The same for a single layer."""
    return packed_stack(x, (weight,))


class PackedLSTM(nn.Module):
    """Stacked LSTM layers over feature-major sequences.

    x [T, F, B] -> states of the top layer [T, H, B].  `path` is "auto" (packed on a CPU, vendor elsewhere), "packed",
    "vendor", "reference", or a function of x and the layers' weights.
    """

    def __init__(
        self, features: int, hidden: int, layers: int, *, generator: torch.Generator | None = None, path: str = "auto"
    ):
        super().__init__()
        self.features, self.hidden, self.layers, self.path = features, hidden, layers, path
        sizes = [features] + [hidden] * (layers - 1)
        self.weights = nn.ParameterList(nn.Parameter(torch.empty(4 * hidden, size + hidden + 1)) for size in sizes)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Uniform +-1/sqrt(H) as in torch; forget-gate bias 1 (Jozefowicz et al. 2015), other biases 0."""
        bound = 1.0 / math.sqrt(self.hidden)
        with torch.no_grad():
            for weight in self.weights:
                weight.uniform_(-bound, bound, generator=generator)
                weight[:, -1] = 0.0
                weight[self.hidden : 2 * self.hidden, -1] = 1.0

    def forward(self, x: Tensor) -> Tensor:
        path = self.path
        if callable(path):
            return path(x, tuple(self.weights))
        if path == "auto":
            path = self._automatic(x)
        if path == "packed":
            return packed_stack(x, tuple(self.weights))
        layer = {"vendor": vendor_layer, "reference": reference_layer}[path]
        for weight in self.weights:
            x = layer(x, weight)
        return x

    def _automatic(self, x: Tensor) -> str:
        """A rule of the shape alone, so that a run repeats to the bit on the same machine."""
        if x.device.type != "cpu" or torch.onnx.is_in_onnx_export():
            return "vendor"
        compiled = _gates is not None and x.dtype == torch.float32
        return "packed" if compiled or x.shape[2] * self.hidden >= LARGE else "vendor"

    def as_torch(self) -> nn.LSTM:
        """The same layers as an `nn.LSTM` (batch_first=False): for export and for comparison."""
        like = self.weights[0]
        lstm = nn.LSTM(self.features, self.hidden, self.layers, device=like.device, dtype=like.dtype)
        with torch.no_grad():
            for k, weight in enumerate(self.weights):
                size = weight.shape[1] - self.hidden - 1
                getattr(lstm, f"weight_ih_l{k}").copy_(weight[:, :size])
                getattr(lstm, f"weight_hh_l{k}").copy_(weight[:, size:-1])
                getattr(lstm, f"bias_ih_l{k}").copy_(weight[:, -1])
                getattr(lstm, f"bias_hh_l{k}").zero_()
        return lstm
