"""The whole model: analysis to state (encoder), one step (physics held over dynamical steps), state to output (decoder).

Durations in seconds, lengths in metres, pressure in hPa, temperature in K.
"""

from dataclasses import dataclass
from typing import Literal

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint.config_features import Embedding, Feature
from sciml.pipelines.gcm.neural.checkpoint.config_grid import Coordinates, DataCoordinates, Scale
from sciml.pipelines.gcm.neural.checkpoint.config_networks import NodalMapping
from sciml.pipelines.gcm.neural.checkpoint.config_transforms import (
    DataFilter,
    IdentityTransform,
    NoFilter,
    StepFilter,
    Transform,
)
from sciml.pipelines.gcm.neural.checkpoint.nodes import Node, Table, positive

WATER = ("specific_humidity", "specific_cloud_ice_water_content", "specific_cloud_liquid_water_content")
Method = Literal["rate", "cumulative"]


# Orography ------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class FilteredCustomOrography(Node):
    """The checkpoint's surface height, interpolated spectrally to the grid, then filtered."""

    filters: tuple[DataFilter, ...] = ()


@dataclass(frozen=True)
class LearnedOrography(Node):
    """A base orography plus `correction_scale` times one weight per spectral coefficient."""

    base: FilteredCustomOrography
    correction_scale: float


Orography = FilteredCustomOrography | LearnedOrography


# Randomness -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class NoRandomField(Node):
    """No random field."""

    prefer_nodal: bool = True


@dataclass(frozen=True)
class ZerosRandomField(Node):
    """One random field that is always zero."""

    prefer_nodal: bool = True


@dataclass(frozen=True)
class BatchGaussianRandomFields(Node):
    """Independent Gaussian fields in one array; the last `fixed` of them keep their initial length and time."""

    correlation_times: tuple[float, ...]  # s, initial
    correlation_lengths: tuple[float, ...]  # m, initial
    variances: tuple[float, ...]
    fixed: int = 0
    clip: float = 6.0  # standard deviations

    def __post_init__(self):
        super().__post_init__()
        positive(self, "correlation_times", "correlation_lengths", "variances", "clip")


@dataclass(frozen=True)
class NamedGaussianRandomFields(Node):
    """Independent Gaussian fields by name, each with its own weights and keys."""

    names: tuple[str, ...]
    correlation_times: tuple[float, ...]  # s, initial
    correlation_lengths: tuple[float, ...]  # m, initial
    variances: tuple[float, ...]
    clip: float = 6.0  # standard deviations

    def __post_init__(self):
        super().__post_init__()
        positive(self, "correlation_times", "correlation_lengths", "variances", "clip")


RandomField = NoRandomField | ZerosRandomField | BatchGaussianRandomFields | NamedGaussianRandomFields


# Diagnostics ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class NoDiagnostics(Node):
    """Nothing."""


@dataclass(frozen=True)
class SurfacePressureDiagnostics(Node):
    """surface_pressure."""


@dataclass(frozen=True)
class NodalModelDiagnosticsDecoder(Node):
    """In the decoder: the diagnostics the step left in the model state."""


@dataclass(frozen=True)
class PrecipitableWaterDiagnostics(Node):
    """precipitable_water: the column's water as a depth."""

    moisture_species: tuple[str, ...] = WATER


@dataclass(frozen=True)
class PrecipitationMinusEvaporationDiagnostics(Node):
    """P_minus_E_rate or P_minus_E_cumulative from the column budget of the learned tendencies."""

    moisture_species: tuple[str, ...] = WATER
    method: Method = "rate"


@dataclass(frozen=True)
class PrecipitationDiagnosticsConstrained(Node):
    """Precipitation (or evaporation) from an embedding, the other from the column budget."""

    embedding: Embedding
    moisture_species: tuple[str, ...] = WATER
    is_precipitation: bool = True
    method_precipitation: Method = "cumulative"
    method_evaporation: Method = "rate"
    field_name: Literal["total_precipitation", "precipitation_cumulative_mean"] = "total_precipitation"


@dataclass(frozen=True)
class CombinedDiagnostics(Node):
    """Several diagnostics; equal names are an error."""

    diagnostics: tuple["Diagnostics", ...]


Diagnostics = (
    NoDiagnostics
    | SurfacePressureDiagnostics
    | NodalModelDiagnosticsDecoder
    | PrecipitableWaterDiagnostics
    | PrecipitationMinusEvaporationDiagnostics
    | PrecipitationDiagnosticsConstrained
    | CombinedDiagnostics
)


# Encoder and decoder --------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class EncoderIdentityTransform(Node):
    """The encoded state as it is."""


@dataclass(frozen=True)
class InputClipTransform(Node):
    """The highest total wavenumbers of the encoded state set to zero."""

    wavenumbers_to_clip: int = 1


@dataclass(frozen=True)
class EncoderFilterTransform(Node):
    """Filters of the encoded state, one after another."""

    filters: tuple[DataFilter, ...] = ()


@dataclass(frozen=True)
class EncoderCombinedTransform(Node):
    """Transforms of the encoded state, one after another."""

    transforms: tuple["EncoderTransform", ...] = ()


EncoderTransform = EncoderIdentityTransform | InputClipTransform | EncoderFilterTransform | EncoderCombinedTransform


@dataclass(frozen=True)
class Encoder(Node):
    """Analysis on pressure levels to model state: interpolation plus learned correction of the `predicted` fields.

    With `memory` a second encoder of the same settings and its own weights (no randomness) gives the previous state.
    """

    memory: bool
    units: Table  # of the inputs, by the original's short names
    data_features: Feature  # on the data grid, names with "data_" before them
    model_features: Feature  # on the model grid, names with "model_" before them
    mapping: NodalMapping
    correction_transform: Transform
    predicted: tuple[str, ...]
    orography: Orography
    transform: EncoderTransform = EncoderIdentityTransform()
    randomness: RandomField = ZerosRandomField()


@dataclass(frozen=True)
class Decoder(Node):
    """Model state to fields on pressure levels: interpolation plus learned correction of the `predicted` fields."""

    units: Table  # of the outputs, by the original's short names
    data_features: Feature
    model_features: Feature
    mapping: NodalMapping
    correction_transform: Transform
    predicted: tuple[str, ...]
    orography: Orography
    randomness: RandomField = ZerosRandomField()
    diagnostics: Diagnostics = NoDiagnostics()


# Step -----------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class DivCurlNeuralParameterization(Node):
    """Learned tendencies of wind (turned into those of vorticity and divergence), temperature and tracers."""

    features: Feature
    mapping: NodalMapping
    tendency_transform: Transform
    predicted: tuple[str, ...]  # of the state: vorticity and divergence stand for u and v
    filter: StepFilter | None = None


@dataclass(frozen=True)
class PrimitiveEquations(Node):
    """Moist primitive equations; with `cloud_moisture` cloud water and ice weigh in the pressure gradient."""

    orography: Orography
    cloud_moisture: bool = True
    include_vertical_advection: bool = True
    vertical_advection: Literal["centered", "upwind"] = "centered"


Integrator = Literal[
    "imex_rk_sil3", "backward_forward_euler", "crank_nicolson_rk2", "crank_nicolson_rk3", "crank_nicolson_rk4"
]


@dataclass(frozen=True)
class Dycore(Node):
    """`inner_steps` dynamical steps per call, the learned tendencies added to each stage, each step filtered.

    The filter takes its dt from the whole call, not from one inner step. `coordinates` null: those of the model.
    """

    equations: PrimitiveEquations
    inner_steps: int
    filter: StepFilter = NoFilter()
    integrator: Integrator = "imex_rk_sil3"
    coordinates: Coordinates | None = None

    def __post_init__(self):
        super().__post_init__()
        positive(self, "inner_steps")


@dataclass(frozen=True)
class Step(Node):
    """One model step: `substeps` times learned physics, then the dynamical core."""

    physics: DivCurlNeuralParameterization
    dycore: Dycore
    substeps: int = 1
    randomness: RandomField = ZerosRandomField()
    diagnostics: Diagnostics = NoDiagnostics()

    def __post_init__(self):
        super().__post_init__()
        positive(self, "substeps")


# Forcing --------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class IncrementSSTForcingTransform(Node):
    """`temperature_change` [K] added to the forcing field `key`."""

    temperature_change: float
    key: str = "sea_surface_temperature"


ForcingTransform = IdentityTransform | IncrementSSTForcingTransform


@dataclass(frozen=True)
class DynamicDataForcing(Node):
    """The forcing nearest in time, if within `tolerance` seconds."""

    units: Table
    tolerance: float = 3600.0
    transform: ForcingTransform = IdentityTransform()


@dataclass(frozen=True)
class PersistenceDataForcing(Node):
    """The first forcing of the data for all times."""

    units: Table
    transform: ForcingTransform = IdentityTransform()


@dataclass(frozen=True)
class NoForcing(Node):
    """No forcing."""


Forcing = DynamicDataForcing | PersistenceDataForcing | NoForcing


@dataclass(frozen=True)
class ModelConfig(Node):
    """Everything but the weights and the fixed fields."""

    model: Coordinates
    data: DataCoordinates
    scale: Scale
    reference_temperature: tuple[float, ...]  # K, one per layer
    reference_datetime: str  # the time at which the model's clock is 0
    step_seconds: float
    tracers: tuple[str, ...]
    forcing_variables: tuple[str, ...]
    encoder: Encoder
    step: Step
    decoder: Decoder
    forcing: Forcing

    def __post_init__(self):
        super().__post_init__()
        positive(self, "step_seconds", "reference_temperature")
        if len(self.reference_temperature) != self.model.levels.layers:
            raise DataError(
                f"{len(self.reference_temperature)} reference temperatures for {self.model.levels.layers} layers"
            )
