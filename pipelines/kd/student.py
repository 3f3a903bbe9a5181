"""The light networks: LSTM autoencoder (default), single LSTM, dense autoencoder.

LSTM autoencoder (Ko & Jung 2022, doi:10.3390/app122010405): an encoder of two stacked LSTM layers reads the past, its last state
is repeated over the horizon, a decoder of two stacked LSTM layers reads the copies, one linear head maps each decoder state
to the targets.  Legend: l past step, c channel, k lead, p predictor, v target, q output per target, b batch; feature-major.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from sciml.pipelines.errors import DataError

from .recurrent import PackedLSTM


@dataclass(frozen=True)
class Shape:
    """Everything needed to build a student again; stored beside its weights."""

    kind: str
    channels: int
    length: int
    horizon: int
    targets: int
    hidden: int = 32
    layers: int = 2
    predictors: int = 0
    head: str = "point"
    quantiles: tuple[float, ...] = ()

    @property
    def outputs(self) -> int:
        """Numbers predicted per lead and target."""
        return {"point": 1, "gaussian": 2, "quantile": len(self.quantiles)}[self.head]

    def to_dict(self) -> dict:
        """Plain values for JSON."""
        return asdict(self) | {"quantiles": list(self.quantiles)}

    @classmethod
    def from_dict(cls, plain: dict) -> Shape:
        """The inverse of `to_dict`; DataError names what does not fit."""
        try:
            return cls(**(plain | {"quantiles": tuple(plain.get("quantiles", ()))}))
        except TypeError as error:
            raise DataError(f"the model's configuration does not describe a student: {error}") from None


class Student(nn.Module):
    """x [l, c, b], future [k, p, b] or None, anchor [k, v, b] or None -> outputs [k, v, q, b] in normalised units.

    With an anchor the network predicts a correction of it, and its head starts at zero: epoch 0 is the anchor itself.
    """

    def __init__(self, shape: Shape, generator: torch.Generator | None = None):
        super().__init__()
        self.shape = shape
        width = shape.hidden
        if shape.kind == "lstm_ae":
            self.encoder = PackedLSTM(shape.channels, width, shape.layers, generator=generator)
            self.decoder = PackedLSTM(width + shape.predictors, width, shape.layers, generator=generator)
        elif shape.kind == "lstm":
            self.encoder = PackedLSTM(shape.channels, width, shape.layers, generator=generator)
            # one layer of its own per lead stands in for the decoder
            self.lead = _dense(width + shape.horizon + shape.predictors, width, generator)
        else:
            flat = shape.channels * shape.length
            self.squeeze = _dense(flat, 2 * width, generator)
            self.latent = _dense(2 * width, width, generator)
            self.expand = _dense(width + shape.horizon + shape.predictors, 2 * width, generator)
        inner = 2 * width if shape.kind == "autoencoder" else width
        self.head = _dense(inner, shape.targets * shape.outputs, generator)
        if shape.predictors:
            with torch.no_grad():
                self.head.weight.zero_()

    def encode(self, x: Tensor) -> Tensor:
        """Latent state [h, b] of the past."""
        if self.shape.kind == "autoencoder":
            return torch.tanh(self.latent(torch.tanh(self.squeeze(x.flatten(0, 1).t())))).t()
        return self.encoder(x)[-1]

    def forward(self, x: Tensor, future: Tensor | None = None, anchor: Tensor | None = None) -> Tensor:
        return self.decode(self.encode(x), future, anchor)

    def decode(self, latent: Tensor, future: Tensor | None = None, anchor: Tensor | None = None) -> Tensor:
        """Outputs [k, v, q, b] from the latent state."""
        shape = self.shape
        repeated = latent.unsqueeze(0).expand(shape.horizon, -1, -1)
        parts = [repeated, future] if shape.predictors else [repeated]
        if shape.kind == "lstm_ae":
            states = self.decoder(torch.cat(parts, 1) if len(parts) > 1 else repeated)
        else:
            which = torch.eye(shape.horizon, dtype=latent.dtype, device=latent.device).unsqueeze(2)
            joined = torch.cat([*parts, which.expand(-1, -1, latent.shape[1])], 1)
            layer = self.lead if shape.kind == "lstm" else self.expand
            states = torch.tanh(layer(joined.transpose(1, 2))).transpose(1, 2)
        out = (self.head.weight @ states + self.head.bias.unsqueeze(1)).unflatten(1, (shape.targets, shape.outputs))
        return out if anchor is None else self._anchored(out, anchor)

    def _anchored(self, out: Tensor, anchor: Tensor) -> Tensor:
        if self.shape.head == "gaussian":
            return torch.cat((out[:, :, :1] + anchor.unsqueeze(2), out[:, :, 1:]), 2)
        return out + anchor.unsqueeze(2)

    def point(self, out: Tensor) -> Tensor:
        """The point forecast [k, v, b] that is scored: value, mean or median."""
        if self.shape.head == "quantile":
            return out[:, :, self.shape.quantiles.index(0.5)]
        return out[:, :, 0]


def _dense(inputs: int, outputs: int, generator: torch.Generator | None) -> nn.Linear:
    """Linear layer with torch's default bounds, drawn from `generator`."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
    bound = 1.0 / math.sqrt(inputs)
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.zero_()
    return layer


def build(shape: Shape, seed: int) -> Student:
    """A student whose weights depend on `shape` and `seed` alone."""
    return Student(shape, torch.Generator().manual_seed(seed))
