"""Transforms of feature and output fields, and filters of modal fields.

Fields are named; the tracers of nested tables in the original stand beside the others, their names being unique.
"""

from dataclasses import dataclass

from sciml.pipelines.gcm.neural.checkpoint.nodes import Node, Table, positive


@dataclass(frozen=True)
class IdentityTransform(Node):
    """Fields as they are."""


@dataclass(frozen=True)
class ShiftAndNormalize(Node):
    """(x - shift) / (scale global_scale), per field; a field without an entry is an error."""

    shifts: Table
    scales: Table
    global_scale: float | None = None


@dataclass(frozen=True)
class InverseShiftAndNormalize(Node):
    """x scale global_scale + shift, per field."""

    shifts: Table
    scales: Table
    global_scale: float | None = None


@dataclass(frozen=True)
class LevelScale(Node):
    """x times one number per level, for the named fields."""

    scales: tuple[float, ...]
    keys_to_scale: tuple[str, ...] = ()


@dataclass(frozen=True)
class InverseLevelScale(Node):
    """x divided by one number per level, for the named fields."""

    scales: tuple[float, ...]
    keys_to_scale: tuple[str, ...] = ()


@dataclass(frozen=True)
class SigmaRange(Node):
    """The levels kept of one field: sigma in [lower, upper]."""

    field: str
    lower: float
    upper: float


@dataclass(frozen=True)
class TruncateSigmaLevels(Node):
    """Only the levels within a range of sigma, per field; all levels of fields without a range."""

    sigma_ranges: tuple[SigmaRange, ...]


@dataclass(frozen=True)
class TakeSurfaceAdjacentSigmaLevel(Node):
    """Only the lowest layer of each field."""


@dataclass(frozen=True)
class SoftClip(Node):
    """Values kept smoothly within [-max_value, max_value]."""

    max_value: float
    hinge_softness: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        positive(self, "max_value", "hinge_softness")


@dataclass(frozen=True)
class HardClip(Node):
    """Values clipped to [-max_value, max_value]."""

    max_value: float

    def __post_init__(self):
        super().__post_init__()
        positive(self, "max_value")


@dataclass(frozen=True)
class ClipTransform(Node):
    """The highest total wavenumbers of modal fields set to zero."""

    wavenumbers_to_clip: int = 1


@dataclass(frozen=True)
class SequentialTransform(Node):
    """Transforms one after another."""

    transforms: tuple["Transform", ...]


Transform = (
    IdentityTransform
    | ShiftAndNormalize
    | InverseShiftAndNormalize
    | LevelScale
    | InverseLevelScale
    | TruncateSigmaLevels
    | TakeSurfaceAdjacentSigmaLevel
    | SoftClip
    | HardClip
    | ClipTransform
    | SequentialTransform
)


@dataclass(frozen=True)
class DataNoFilter(Node):
    """No filter."""


@dataclass(frozen=True)
class DataExponentialFilter(Node):
    """exp(-attenuation ((k - cutoff) / (1 - cutoff))^(2 order)) above k = l / l_max = cutoff."""

    attenuation: float = 16.0
    order: int = 18
    cutoff: float = 0.0


@dataclass(frozen=True)
class VariableFilter(Node):
    """The filter of one modal field; `sim_time` stands for itself and is never filtered."""

    field: str
    filter: DataNoFilter | DataExponentialFilter


@dataclass(frozen=True)
class PerVariableDataFilter(Node):
    """A filter for each modal field."""

    filters: tuple[VariableFilter, ...]


DataFilter = DataNoFilter | DataExponentialFilter | PerVariableDataFilter


@dataclass(frozen=True)
class NoFilter(Node):
    """No filter of a step."""


@dataclass(frozen=True)
class ExponentialFilter(Node):
    """As DataExponentialFilter with attenuation dt / tau, dt the time step its owner was built with."""

    tau_seconds: float
    order: int = 18
    cutoff: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        positive(self, "tau_seconds", "order")


@dataclass(frozen=True)
class ClipFilter(Node):
    """The highest total wavenumbers of each modal field set to zero after a step."""

    wavenumbers_to_clip: int = 1


@dataclass(frozen=True)
class FixGlobalMeanFilter(Node):
    """The coefficients at l = 0 of the named fields kept as they were before the step."""

    keys: tuple[str, ...] = ("log_surface_pressure",)


@dataclass(frozen=True)
class SequentialStepFilter(Node):
    """Filters of a step one after another."""

    filters: tuple["StepFilter", ...]


StepFilter = NoFilter | ExponentialFilter | ClipFilter | FixGlobalMeanFilter | SequentialStepFilter
