"""Features: the named nodal fields that networks read, and the embeddings that are features of features.

`gradients` adds to each field f its f_dlon, f_dlat and f_del2.
"""

from dataclasses import dataclass

from sciml.pipelines.gcm.neural.checkpoint.config_networks import Mapping
from sciml.pipelines.gcm.neural.checkpoint.config_transforms import IdentityTransform, Transform
from sciml.pipelines.gcm.neural.checkpoint.nodes import Node, positive

IDENTITY = IdentityTransform()


@dataclass(frozen=True)
class VelocityAndPrognostics(Node):
    """Wind (always, where vorticity and divergence are given), and the fields of the state, all if `fields` is null."""

    fields: tuple[str, ...] | None = None
    gradients: bool = False
    transform: Transform = IDENTITY


@dataclass(frozen=True)
class MemoryVelocityAndValues(Node):
    """The same of the previous state, names with "memory_" before them."""

    fields: tuple[str, ...] | None = None
    gradients: bool = False
    transform: Transform = IDENTITY


@dataclass(frozen=True)
class RadiationFeatures(Node):
    """radiation: sunlight at the model's top, divided by its largest value."""

    transform: Transform = IDENTITY


@dataclass(frozen=True)
class OrbitalTimeFeatures(Node):
    """cos_orbital_phase, sin_orbital_phase, cos_solar_hour, sin_solar_hour."""

    transform: Transform = IDENTITY


@dataclass(frozen=True)
class ForcingFeatures(Node):
    """The named forcing fields."""

    forcing: tuple[str, ...] = ()
    transform: Transform = IDENTITY


@dataclass(frozen=True)
class LatitudeFeatures(Node):
    """cos_latitude, sin_latitude."""

    transform: Transform = IDENTITY


@dataclass(frozen=True)
class RandomnessFeatures(Node):
    """The random fields, each by its name, or all as "randomness" if they come as one batch."""

    transform: Transform = IDENTITY


@dataclass(frozen=True)
class PressureFeatures(Node):
    """pressure: sigma times surface pressure."""

    transform: Transform = IDENTITY


@dataclass(frozen=True)
class MemoryPressureFeatures(Node):
    """memory_pressure: the same of the previous state."""

    transform: Transform = IDENTITY


@dataclass(frozen=True)
class LearnedPositionalFeatures(Node):
    """learned_positional_features: `latent_size` weights per grid point, times `scale`."""

    latent_size: int
    scale: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        positive(self, "latent_size")


@dataclass(frozen=True)
class FloatDataFeatures(Node):
    """Fixed fields of the checkpoint, such as geopotential_at_surface and land_sea_mask."""

    fields: tuple[str, ...]
    gradients: bool = False


@dataclass(frozen=True)
class NullFeatures(Node):
    """No features."""


@dataclass(frozen=True)
class EmbeddingSurfaceFeatures(Node):
    """One field `feature_name` of `output_size` channels."""

    feature_name: str
    output_size: int
    embedding: "Embedding"
    transform: Transform = IDENTITY

    def __post_init__(self):
        super().__post_init__()
        positive(self, "output_size")


@dataclass(frozen=True)
class EmbeddingVolumeFeatures(Node):
    """Fields `feature_name`_0, _1 ... of all levels, `output_size` of them."""

    feature_name: str
    output_size: int
    embedding: "Embedding"
    transform: Transform = IDENTITY

    def __post_init__(self):
        super().__post_init__()
        positive(self, "output_size")


@dataclass(frozen=True)
class CombinedFeatures(Node):
    """The features of all parts under one transform; equal names are an error."""

    features: tuple["Feature", ...]
    kinds_to_exclude: tuple[str, ...] = ()
    features_to_exclude: tuple[str, ...] = ()
    transform: Transform = IDENTITY


@dataclass(frozen=True)
class ModalToNodalEmbedding(Node):
    """A network of features."""

    features: "Feature"
    mapping: Mapping
    output_transform: Transform = IDENTITY


@dataclass(frozen=True)
class NodalLandSeaIceEmbedding(Node):
    """land mask, (1 - mask) (1 - ice) and (1 - mask) ice weigh three embeddings; null is a constant vector."""

    land: ModalToNodalEmbedding | None = None
    sea: ModalToNodalEmbedding | None = None
    sea_ice: ModalToNodalEmbedding | None = None
    output_transform: Transform = IDENTITY


Embedding = ModalToNodalEmbedding | NodalLandSeaIceEmbedding

Feature = (
    VelocityAndPrognostics
    | MemoryVelocityAndValues
    | RadiationFeatures
    | OrbitalTimeFeatures
    | ForcingFeatures
    | LatitudeFeatures
    | RandomnessFeatures
    | PressureFeatures
    | MemoryPressureFeatures
    | LearnedPositionalFeatures
    | FloatDataFeatures
    | NullFeatures
    | EmbeddingSurfaceFeatures
    | EmbeddingVolumeFeatures
    | CombinedFeatures
)
