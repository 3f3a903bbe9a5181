"""The four published NeuralGCM configurations as our own settings: `neuralgcm-2.8`, `-1.4`, `-0.7` and `-ens-1.4`.

Facts of the configurations published with Kochkov et al. (2024), Nature 632, doi:10.1038/s41586-024-07744-y: what the
four models share is written once below, what differs is one `Paper` each; normalisation constants are in papers.toml.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from sciml.pipelines.errors import SettingsError, suggest
from sciml.pipelines.gcm.neural.checkpoint import config as c
from sciml.pipelines.gcm.neural.checkpoint.haiku_names import initial
from sciml.pipelines.gcm.neural.checkpoint.model_card import UNTRAINED
from sciml.pipelines.gcm.neural.checkpoint.schema import ERA5_LEVELS
from sciml.pipelines.gcm.neural.checkpoint.store import Checkpoint
from sciml.pipelines.gcm.neural.checkpoint.surface import Aux, check_grid

_ICE, _LIQUID, _HUMIDITY = (
    "specific_cloud_ice_water_content",
    "specific_cloud_liquid_water_content",
    "specific_humidity",
)
_AIR = ("divergence", "vorticity", "u", "v", "temperature_variation")
_GRADIENTS = ("_dlon", "_dlat", "_del2")
_MOIST = (_HUMIDITY, *(f"{_HUMIDITY}{suffix}" for suffix in ("_del2", "_dlat", "_dlon")))
# Reference temperature below the top layer [K].
_TEMPERATURES = (
    *(211.47405876, 205.87815406, 206.40755302, 210.43452345, 214.5683887, 218.75303863, 223.23145107, 227.9710687),
    *(232.85381503, 237.53588735, 242.05068293, 246.29986585, 250.14294113, 253.74839535, 256.98024283, 259.94441031),
    *(262.7041158, 265.21752838, 267.62333985, 269.94462121, 272.10056439, 274.12518288, 275.99833711, 277.72759392),
    *(279.3292128, 280.79178708, 282.13507065, 283.41832023, 284.7682506, 286.33945487, 288.06707666),
)
# Correlation times [h] and lengths [km] of the random fields that have normalisation constants; every other one is used.
_TIMES = (1, 1, 2, 3, 4, 6, 8, 11, 14, 18, 23, 29, 35, 43, 52, 62, 73, 86, 100, 117)
_LENGTHS = (
    *(84, 134, 201, 292, 410, 561, 751, 984, 1268, 1610, 2016, 2495, 3054, 3703, 4449, 5304, 6275, 7374, 8612),
    10000,
)
_RANDOM = tuple(f"GRF_{time:03d}_hours_{length:05d}_km" for time, length in zip(_TIMES, _LENGTHS, strict=True))


@dataclass(frozen=True)
class Paper:
    """What sets one published model apart."""

    constants: str  # section of papers.toml
    wavenumber: int  # TL63, TL127, TL255; the dynamical core runs with one less (two less above TL63)
    inner_wavenumbers: int
    substeps: int
    inner_steps: int
    stability: tuple[float, int]  # time scale [s] and order of the filter above 0.4 of the spectrum
    top_temperature: float = 215.58614815  # reference, of the top layer [K]
    layout: str = "zero_imag"
    tendency_scale: float = 0.02
    positional: int = 32
    orography_scale: float = 2e-6
    learned_orography: tuple[str, ...] = ("encoder", "decoder")  # beside the dynamical core's own
    random: bool = False  # else the previous state is a feature, from a second encoder
    surface_networks: bool = False  # for land and sea ice; else constants
    decoder_gradients: bool = False  # of air and humidity; else all prognostic fields without
    encoder_filter: tuple[float, int] | float | None = None  # attenuation and order; or attenuation of moisture alone


PAPERS = {
    "neuralgcm-2.8": Paper(
        *("2.8", 63, 63, 1, 5, (240.0, 10)),
        top_temperature=223.58614815,
        layout="real",
        positional=8,
        orography_scale=1e-5,
        learned_orography=("encoder",),
        surface_networks=True,
        decoder_gradients=True,
        encoder_filter=(5.0, 15),
    ),
    "neuralgcm-1.4": Paper("1.4", 127, 126, 2, 5, (480.0, 6), encoder_filter=14.0),
    "neuralgcm-0.7": Paper("0.7", 255, 254, 2, 8, (240.0, 6), tendency_scale=0.01, encoder_filter=17.0),
    "neuralgcm-ens-1.4": Paper(
        *("1.4", 127, 126, 2, 5, (240.0, 10)),
        positional=8,
        orography_scale=1e-5,
        learned_orography=(),
        random=True,
        surface_networks=True,
        decoder_gradients=True,
    ),
}
NAMES = tuple(PAPERS)


def config(name: str) -> c.ModelConfig:
    """The settings of the published model `name`, one of NAMES.

    Raises:
      SettingsError: no such model.
    """
    if name not in PAPERS:
        raise SettingsError(f'unknown model "{name}"; {suggest(name, NAMES)}')
    paper = PAPERS[name]
    constants = _constants()[paper.constants]
    options = {"layout": paper.layout}
    levels = c.SigmaLevels.equidistant(32)
    grid = c.Grid.of_gaussian(paper.wavenumber, (paper.wavenumber + 1) // 2, **options)
    inner = c.Coordinates(c.Grid.of_wavenumbers(paper.inner_wavenumbers, **options), levels)
    return c.ModelConfig(
        model=c.Coordinates(grid, levels),
        data=c.DataCoordinates(grid, ERA5_LEVELS),
        scale="atmospheric",
        reference_temperature=(paper.top_temperature, *_TEMPERATURES),
        reference_datetime="1979-01-01T00",
        step_seconds=3600.0,
        tracers=(_HUMIDITY, _LIQUID, _ICE),
        forcing_variables=("sea_ice_cover", "sea_surface_temperature"),
        encoder=_encoder(paper, constants),
        step=_step(paper, constants, inner),
        decoder=_decoder(paper, constants),
        forcing=c.DynamicDataForcing(
            units={"sea_ice_cover": "dimensionless", "sea_surface_temperature": "kelvin", "sim_time": "dimensionless"},
            tolerance=365.25 * 86400,
        ),
    )


def checkpoint(name: str, seed: int, aux: Aux) -> Checkpoint:
    """The published model `name` with random weights from `seed` on the fixed fields `aux` of its grid.

    Raises:
      SettingsError: no such model.
      DataError: `aux` is on another grid.
    """
    settings = config(name)
    check_grid(aux, settings.data, source=f"the surface fields for {name}")
    provenance = {"source": f"{name}, random weights of seed {seed}", "licence": UNTRAINED}
    return Checkpoint(settings, initial(settings, seed), aux, provenance)


@cache
def _constants() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("papers.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


# Fields ---------------------------------------------------------------------------------------------------------------
def _normalize(paper: Paper, table: dict[str, list[float]], *, state: bool = True) -> c.ShiftAndNormalize:
    """[shift, scale] of each field and of its derivatives, spread out; on sigma also those of made features."""
    pairs: dict[str, tuple[float, float]] = {}
    for name, numbers in table.items():
        if paper.random and name.startswith("memory_"):
            continue
        for i, suffix in enumerate(("", *_GRADIENTS)[: len(numbers) // 2]):
            pairs[name + suffix] = (numbers[2 * i], numbers[2 * i + 1])
    if state:
        pairs |= {f"CNN1D_{i}": (0.0, 0.1) for i in range(64)}
        pairs |= dict.fromkeys(_RANDOM if paper.random else (), (0.0, 1.0))
    shifts, scales = ({name: pair[i] for name, pair in pairs.items()} for i in (0, 1))
    return c.ShiftAndNormalize(shifts, scales)


def _denormalize(scales: dict[str, float], levels: list[float], whole: float) -> c.SequentialTransform:
    shifts = dict.fromkeys(scales, 0.0)
    return c.SequentialTransform(
        (c.InverseShiftAndNormalize(shifts, scales, whole), c.LevelScale(tuple(levels), (_HUMIDITY,)))
    )


def _fixed(paper: Paper) -> tuple[c.Feature, ...]:
    return (
        c.FloatDataFeatures(("geopotential_at_surface",), gradients=True),
        c.FloatDataFeatures(("land_sea_mask",)),
        c.LearnedPositionalFeatures(paper.positional),
    )


def _orography(paper: Paper, learned: bool) -> c.Orography:
    base = c.FilteredCustomOrography((c.DataExponentialFilter(0.0, 1, 0.0),))
    return c.LearnedOrography(base, paper.orography_scale) if learned else base


def _random_fields() -> c.NamedGaussianRandomFields:
    return c.NamedGaussianRandomFields(
        names=_RANDOM[::2],
        correlation_times=tuple(3600.0 * hours for hours in _TIMES[::2]),
        correlation_lengths=tuple(1000.0 * kilometres for kilometres in _LENGTHS[::2]),
        variances=(1.0,) * 10,
    )


_LAYERS = {"activation": "gelu_tanh"}


def _tower(size: int, blocks: int, prefix: str = "", hidden_out: int = 0) -> c.NodalMapping:
    def stage(name: str, **layers) -> c.ColumnTower:
        return c.ColumnTower(c.Mlp(**layers, **_LAYERS), f"{prefix}{name}_tower")

    return c.NodalMapping(
        c.EpdTower(
            size,
            blocks,
            encode=stage("encode", hidden_units=0, hidden_layers=0),
            process=stage("process", hidden_units=size, hidden_layers=3),
            decode=stage("decode", hidden_units=size, hidden_layers=hidden_out, bias=False),
        )
    )


# Parts ----------------------------------------------------------------------------------------------------------------
_UNITS = {
    **{"sim_time": "dimensionless", "t": "kelvin", "u": "meter / second", "v": "meter / second", "z": "m**2 s**-2"},
    **dict.fromkeys((_ICE, _LIQUID, _HUMIDITY), "dimensionless"),
}


def _encoder(paper: Paper, constants: dict[str, Any]) -> c.Encoder:
    fields = ("u", "v", "t", "z", _HUMIDITY, _LIQUID, _ICE)
    air = c.VelocityAndPrognostics(fields, gradients=True)
    scaled = (
        _normalize(paper, constants["data"], state=False),
        c.InverseLevelScale(tuple(constants["data_levels"]), _MOIST),
    )
    model_features: c.Feature = c.NullFeatures()
    if paper.random:
        normalized = c.SequentialTransform((_normalize(paper, constants["state"]),))
        model_features = c.CombinedFeatures((c.RandomnessFeatures(),), transform=normalized)
    return c.Encoder(
        memory=not paper.random,
        units=_UNITS,
        data_features=c.CombinedFeatures(
            (c.RadiationFeatures(), c.LatitudeFeatures(), air, *_fixed(paper)), transform=c.SequentialTransform(scaled)
        ),
        model_features=model_features,
        mapping=_tower(384, 5),
        correction_transform=_denormalize(constants["encoded"], constants["state_levels"], 0.01),
        predicted=tuple(sorted(constants["encoded"])),
        orography=_orography(paper, "encoder" in paper.learned_orography),
        transform=_encoder_transform(paper),
        randomness=_random_fields() if paper.random else c.ZerosRandomField(),
    )


def _encoder_transform(paper: Paper) -> c.EncoderCombinedTransform:
    clip = c.InputClipTransform(1)
    if paper.encoder_filter is None:
        return c.EncoderCombinedTransform((clip,))
    if isinstance(paper.encoder_filter, tuple):
        attenuation, order = paper.encoder_filter
        return c.EncoderCombinedTransform(
            (clip, c.EncoderFilterTransform((c.DataExponentialFilter(attenuation, order),)))
        )
    wind, moisture = (c.DataExponentialFilter(a, 2, 0.62) for a in (14.0, paper.encoder_filter))
    filters = {
        "divergence": wind,
        "log_surface_pressure": c.DataExponentialFilter(8.0, 1, 0.82),
        "sim_time": c.DataNoFilter(),
        "temperature_variation": c.DataExponentialFilter(13.0, 3, 0.45),
        **dict.fromkeys((_ICE, _LIQUID, _HUMIDITY), moisture),
        "vorticity": wind,
    }
    per_variable = c.PerVariableDataFilter(tuple(c.VariableFilter(*entry) for entry in sorted(filters.items())))
    return c.EncoderCombinedTransform((clip, c.EncoderFilterTransform((per_variable,))))


def _step(paper: Paper, constants: dict[str, Any], inner: c.Coordinates) -> c.Step:
    stability = c.ExponentialFilter(*paper.stability, 0.4)
    physics = c.DivCurlNeuralParameterization(
        features=_physics_features(paper, constants),
        mapping=_tower(384, 5),
        tendency_transform=_denormalize(constants["tendency"], constants["tendency_levels"], paper.tendency_scale),
        predicted=("divergence", _ICE, _LIQUID, _HUMIDITY, "temperature_variation", "vorticity"),
        filter=c.SequentialStepFilter((stability,)),
    )
    dycore = c.Dycore(
        c.PrimitiveEquations(_orography(paper, True)),
        paper.inner_steps,
        c.SequentialStepFilter((c.ExponentialFilter(7200.0, 3), stability)),
        coordinates=inner,
    )
    return c.Step(physics, dycore, paper.substeps, _random_fields() if paper.random else c.ZerosRandomField())


def _physics_features(paper: Paper, constants: dict[str, Any]) -> c.CombinedFeatures:
    normalized = _normalize(paper, constants["state"])
    state = (*_AIR, "log_surface_pressure", _HUMIDITY, _LIQUID, _ICE)
    volume = c.CombinedFeatures(
        (c.VelocityAndPrognostics((*_AIR, _HUMIDITY, _LIQUID, _ICE)), c.PressureFeatures()), transform=normalized
    )
    convolutions = c.NodalVolumeMapping(c.VerticalConvTower((64,) * 4, 5, **_LAYERS))
    transforms = (
        normalized,
        c.InverseLevelScale(tuple(constants["state_levels"]), _MOIST),
        c.TruncateSigmaLevels(()),
        c.SoftClip(16.0),
    )
    parts = [
        c.EmbeddingSurfaceFeatures("surface_embedding", 8, _surface(paper, normalized)),
        c.EmbeddingVolumeFeatures("CNN1D", 32, c.ModalToNodalEmbedding(volume, convolutions)),
        c.PressureFeatures(),
        c.RadiationFeatures(),
        c.LatitudeFeatures(),
        c.VelocityAndPrognostics(state, gradients=True),
    ]
    memory, random = ((), (c.RandomnessFeatures(),)) if paper.random else ((c.MemoryVelocityAndValues(),), ())
    return c.CombinedFeatures((*parts, *memory, *_fixed(paper), *random), transform=c.SequentialTransform(transforms))


def _surface(paper: Paper, normalized: c.ShiftAndNormalize) -> c.NodalLandSeaIceEmbedding:
    lowest = c.VelocityAndPrognostics(("temperature_variation", _HUMIDITY), transform=c.TakeSurfaceAdjacentSigmaLevel())

    def network(*features: c.Feature) -> c.ModalToNodalEmbedding:
        combined = c.CombinedFeatures(features, transform=normalized)
        return c.ModalToNodalEmbedding(combined, _tower(8, 1, "surface_model_", hidden_out=1))

    sea = network(c.ForcingFeatures(("sea_surface_temperature",)))
    if not paper.surface_networks:
        return c.NodalLandSeaIceEmbedding(sea=sea)
    return c.NodalLandSeaIceEmbedding(network(lowest), sea, network(lowest, c.ForcingFeatures(("sea_ice_cover",))))


def _decoder(paper: Paper, constants: dict[str, Any]) -> c.Decoder:
    air = c.VelocityAndPrognostics()
    if paper.decoder_gradients:
        air = c.VelocityAndPrognostics((*_AIR, _HUMIDITY), gradients=True)
    random = (c.RandomnessFeatures(),) if paper.random else ()
    scaled = (
        _normalize(paper, constants["state"]),
        c.InverseLevelScale(tuple(constants["state_levels"]), _MOIST),
        c.TruncateSigmaLevels(()),
    )
    return c.Decoder(
        units=_UNITS,
        data_features=c.NullFeatures(),
        model_features=c.CombinedFeatures(
            (c.RadiationFeatures(), c.LatitudeFeatures(), air, *_fixed(paper), *random),
            transform=c.SequentialTransform(scaled),
        ),
        mapping=_tower(384, 5),
        correction_transform=_denormalize(constants["decoded"], constants["data_levels"], 0.01),
        predicted=tuple(sorted(constants["decoded"])),
        orography=_orography(paper, "decoder" in paper.learned_orography),
        randomness=c.NoRandomField() if paper.random else c.ZerosRandomField(),
    )
