"""Networks: columns through dense towers, levels through convolutions.

Packed columns hold the input fields in sorted order of their names, their levels one after another.
"""

from dataclasses import dataclass
from typing import Literal

from sciml.pipelines.gcm.neural.checkpoint.nodes import Node, positive

Activation = Literal["gelu_tanh", "gelu_erf", "relu", "silu"]


@dataclass(frozen=True)
class Mlp(Node):
    """`hidden_layers` dense layers of `hidden_units`, then one of the output's size; all with bias or all without."""

    hidden_units: int
    hidden_layers: int
    bias: bool = True
    activation: Activation = "relu"
    activate_final: bool = False


@dataclass(frozen=True)
class ColumnTower(Node):
    """One network applied to each column; `name` is the original's, which its weights' path carries."""

    net: Mlp
    name: str | None = None


@dataclass(frozen=True)
class EpdTower(Node):
    """Encode to `latent_size`, add `process_blocks` residual blocks, decode to the output's size."""

    latent_size: int
    process_blocks: int
    encode: ColumnTower
    process: ColumnTower
    decode: ColumnTower
    post_encode_activation: Activation | None = None
    pre_decode_activation: Activation | None = None
    final_activation: Activation | None = None

    def __post_init__(self):
        super().__post_init__()
        positive(self, "latent_size")


@dataclass(frozen=True)
class VerticalConvTower(Node):
    """Convolutions over levels with padding: one per entry of `channels`, then one to the output's channels."""

    channels: tuple[int, ...]
    kernel_size: int
    bias: bool = True
    activation: Activation = "relu"
    activate_final: bool = False

    def __post_init__(self):
        super().__post_init__()
        positive(self, "channels", "kernel_size")


@dataclass(frozen=True)
class NodalMapping(Node):
    """Packed columns through a tower: all fields' levels in, all outputs' levels out."""

    tower: EpdTower | ColumnTower


@dataclass(frozen=True)
class NodalVolumeMapping(Node):
    """Stacked fields [channel, level] through a tower over levels; one channel for each output field."""

    tower: VerticalConvTower


Mapping = NodalMapping | NodalVolumeMapping
