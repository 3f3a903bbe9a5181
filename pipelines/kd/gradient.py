"""Loss gradient of the usual student without autograd: LSTM autoencoder, point head, squared error, float32 on a CPU.

    L = sum w (f - y)^2 / W,   f = A h_dec + a (+ anchor),   h_dec = decoder(latent repeated, forecast),   latent = encoder(x)[-1]

At 64 windows a third of a training step went into the nodes of the graph and into copies between them.  Here every buffer is made
once, and what nobody asks for is not computed: the gradient of the past, of the initial states, of all encoder states but the last
one, and of each copy of the latent state (one product with the sum over leads instead).  Equality with autograd to round-off
is tested in tests/pipelines/kd/test_gradient.py; every other network, head, loss or device goes through autograd.

Legend: T step, F input features, H hidden units, k lead, p predictor, v target, B batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .recurrent import _gates, _Workspace
from .student import Student
from .windows import Batch

LOSSES = {"none": "hard", "archive": "hard", "pretrain": "soft"}  # those it knows, and which target they are against


class _Stack:
    """Stacked layers over T steps of B windows, with their buffers."""

    def __init__(self, weights: list[Tensor], gradients: list[Tensor], steps: int, batch: int):
        self.weights, self.gradients = weights, gradients
        hidden = weights[0].shape[0] // 4
        sizes = [weight.shape[1] - hidden - 1 for weight in weights]
        self.spaces = [_Workspace(steps, size, hidden, batch, weights[0]) for size in sizes]
        self.input, self.states = self.spaces[0].external, self.spaces[-1].states
        self.gate_sum = weights[0].new_empty(4 * hidden, batch)
        self.plans: list[list[tuple]] = []

    def plan(self, external: list[Tensor]) -> None:
        """Prepare the backward pass; external: where the gradient of each top state [H, B] will be found."""
        self.external = external  # kept alive: the plan holds addresses
        pointers = [g.data_ptr() for g in external]
        for n in range(len(self.spaces) - 1, -1, -1):
            space, size = self.spaces[n], self.spaces[n].external.shape[1]
            inner = size + space.scratch.shape[0]
            turned = self.weights[n].t()
            plan = []
            for t, (d_gate, d_input, before, after) in enumerate(space.backward_pointers):
                # rows of the input that somebody asks for: those from below the first layer and before the first step none
                first, last = (0 if n else size), (inner if t else size)
                product = (turned[first:last], d_gate, d_input[first:last]) if last > first else None
                plan.append(((*before, pointers[t], *after), product))
            self.plans.append(plan[::-1])
            pointers = [gradient.data_ptr() for gradient in space.input_gradient]

    def forward(self) -> Tensor:
        """States of the top layer [T, H, B] from `self.input`."""
        for n, (space, weight) in enumerate(zip(self.spaces, self.weights, strict=True)):
            if n:
                space.external.copy_(self.spaces[n - 1].states)
            for inputs, gate, pointers in space.forward_pointers:
                torch.mm(weight, inputs, out=gate)
                _gates.forward(*pointers)
        return self.states

    def backward(self) -> None:
        """Fill the weights' gradients."""
        mm, point = torch.mm, _gates.backward
        for n, plan in zip(range(len(self.spaces) - 1, -1, -1), self.plans, strict=True):
            space, gradient = self.spaces[n], self.gradients[n]
            space.cell_gradient.zero_()
            space.scratch.zero_()  # nothing comes from after the last step
            for pointers, product in plan:
                point(*pointers)
                if product is not None:
                    mm(product[0], product[1], out=product[2])
            past = space.inputs[: len(plan)].transpose(1, 2)
            torch.addbmm(gradient, space.gradients, past, beta=0, out=gradient)

    def input_gradient(self, features: int, out: Tensor) -> None:
        """Gradient [features, B] of inputs that are the same at every step: the first rows of the first layer's input."""
        torch.sum(self.spaces[0].gradients, 0, out=self.gate_sum)
        torch.mm(self.weights[0][:, :features].t(), self.gate_sum, out=out)


class _Buffers:
    """Everything for batches of one size."""

    def __init__(self, student: Student, weights: dict[str, Tensor], gradients: dict[str, Tensor], batch: int):
        shape = student.shape
        stack = lambda part, steps: _Stack(  # noqa: E731
            [weights[f"{part}.weights.{n}"] for n in range(shape.layers)],
            [gradients[f"{part}.weights.{n}"] for n in range(shape.layers)], steps, batch,
        )  # fmt: skip
        self.encoder, self.decoder = stack("encoder", shape.length), stack("decoder", shape.horizon)
        new = weights["head.weight"].new_empty
        self.out = new(shape.horizon, shape.targets, batch)
        self.d_states = new(shape.horizon, shape.hidden, batch)
        self.d_latent = new(shape.hidden, batch)
        nothing = torch.zeros_like(self.d_latent)
        self.encoder.plan([nothing] * (shape.length - 1) + [self.d_latent])
        self.decoder.plan(list(self.d_states))
        self.repeated = self.decoder.input[:, : shape.hidden]
        self.future = self.decoder.input[:, shape.hidden :]
        self.latent = self.encoder.states[-1]
        head = weights["head.weight"]
        self.head = head.unsqueeze(0).expand(shape.horizon, -1, -1)
        self.turned = head.t().unsqueeze(0).expand(shape.horizon, -1, -1)
        self.bias = weights["head.bias"].view(1, -1, 1)
        self.past_states = self.decoder.states.transpose(1, 2)


class DirectGradient:
    """The gradient of one batch's loss in one flat buffer, whose parts are the parameters' `.grad`."""

    def __init__(self, student: Student):
        self.student = student
        self.parameters = list(student.parameters())
        self.flat = torch.empty(sum(p.numel() for p in self.parameters))
        parts = self.flat.split([p.numel() for p in self.parameters])
        self.parts = [part.view_as(p) for part, p in zip(parts, self.parameters, strict=True)]
        names = [name for name, _ in student.named_parameters()]
        self.weights = dict(zip(names, (p.detach() for p in self.parameters), strict=True))
        self.gradients = dict(zip(names, self.parts, strict=True))
        self.buffers: dict[int, _Buffers] = {}

    @staticmethod
    def fits(student: Student, loss: str) -> bool:
        """Whether this network and loss can go this way."""
        weight = student.head.weight
        usual = student.shape.kind == "lstm_ae" and student.shape.head == "point" and loss in LOSSES
        here = _gates is not None and weight.device.type == "cpu" and weight.dtype == torch.float32
        return usual and here and {student.encoder.path, student.decoder.path} <= {"auto", "packed"}

    @torch.no_grad()
    def __call__(self, batch: Batch, loss: str, total: Tensor | float) -> None:
        """Set `.grad` of every parameter; `total` is the sum of weights that the loss is divided by."""
        buffers = self._buffers(len(batch))
        buffers.encoder.input.copy_(batch.x)
        buffers.encoder.forward()
        buffers.repeated.copy_(buffers.latent)
        if batch.future is not None:
            buffers.future.copy_(batch.future)
        states = buffers.decoder.forward()
        out = torch.baddbmm(buffers.bias, buffers.head, states, out=buffers.out)
        if batch.anchor is not None:
            out.add_(batch.anchor)
        hard = LOSSES[loss] == "hard"
        out.sub_(batch.target if hard else batch.soft)
        out.mul_(batch.weight if hard else batch.soft_weight).mul_(2.0 / total)
        self._backward(buffers, out)
        for parameter, part in zip(self.parameters, self.parts, strict=True):
            parameter.grad = part

    def _backward(self, buffers: _Buffers, d_out: Tensor) -> None:
        head = self.gradients["head.weight"]
        torch.addbmm(head, d_out, buffers.past_states, beta=0, out=head)
        torch.sum(d_out, (0, 2), out=self.gradients["head.bias"])
        torch.bmm(buffers.turned, d_out, out=buffers.d_states)
        buffers.decoder.backward()
        buffers.decoder.input_gradient(len(buffers.d_latent), buffers.d_latent)
        buffers.encoder.backward()

    def _buffers(self, batch: int) -> _Buffers:
        if batch not in self.buffers:
            if len(self.buffers) >= 4:  # the last batch of each stage has a size of its own
                self.buffers.clear()
            self.buffers[batch] = _Buffers(self.student, self.weights, self.gradients, batch)
        return self.buffers[batch]

    def clip(self, most: float) -> None:
        """Scale the gradient to a norm of at most `most`."""
        norm = torch.linalg.vector_norm(self.flat)
        self.flat.mul_((most / (norm + 1e-6)).clamp_(max=1.0))
