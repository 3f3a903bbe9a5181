"""Settings of features and embeddings resolved for the place where they are evaluated: which rows, which widths.

Axes: [k] levels of the place.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.neural.checkpoint import config
from sciml.pipelines.gcm.neural.features import DERIVATIVES, MEMORY, POSITIONAL, Spectral
from sciml.pipelines.gcm.neural.networks import Embedded, Features, Network, Selected
from sciml.pipelines.gcm.neural.surface import KINDS, SurfaceBlend

WIND = ("u", "v")
PRESSURE = "pressure"
ORBITAL = ("cos_orbital_phase", "sin_orbital_phase", "cos_solar_hour", "sin_solar_hour")


@dataclass(frozen=True, eq=False)
class Place:
    """Where features are made.

    fields: widths of the modal fields by name, wind included; winds: whether u, v are diagnosed from vorticity and
    divergence and therefore always features; memory: whether there is a previous state; random: widths of the random
    fields; centers [k] of the levels.
    """

    fields: Mapping[str, int]
    centers: np.ndarray
    winds: bool = True
    memory: bool = False
    random: Mapping[str, int] = field(default_factory=dict)


def random_widths(node: config.RandomField) -> dict[str, int]:
    """Widths of the random fields that RandomnessFeatures gives, by name."""
    if isinstance(node, config.BatchGaussianRandomFields):
        return {"randomness": len(node.correlation_times)}
    if isinstance(node, config.NamedGaussianRandomFields):
        return dict.fromkeys(node.names, 1)
    return {"randomness": 1} if isinstance(node, config.ZerosRandomField) else {}


def _prognostic(node: Any, place: Place) -> Selected:
    memory = isinstance(node, config.MemoryVelocityAndValues)
    if memory and not place.memory:
        raise SettingsError(
            "features of the previous state are asked for where there is none (an encoder without memory)"
        )
    wanted = set(place.fields if node.fields is None else node.fields) | (set(WIND) if place.winds else set())
    names = [name for name in place.fields if name in wanted]
    kinds = ("", *DERIVATIVES) if node.gradients else ("",)
    spectral = {Spectral(name, kind, memory): place.fields[name] for name in names for kind in kinds}
    return Selected({one.name: width for one, width in spectral.items()}, tuple(spectral))


def _pressure(node: Any, place: Place) -> Selected:
    memory = isinstance(node, config.MemoryPressureFeatures)
    name = (MEMORY if memory else "") + PRESSURE
    return Selected({name: len(place.centers)}, (Spectral("log_surface_pressure", "", memory),))


def _fixed(node: config.FloatDataFeatures, place: Place) -> Selected:
    kinds = ("", *(f"_{kind}" for kind in DERIVATIVES)) if node.gradients else ("",)
    widths = {name + kind: 1 for name in node.fields for kind in kinds}
    return Selected(widths, gradients=node.fields if node.gradients else ())


def _volume(node: config.EmbeddingVolumeFeatures, place: Place) -> Embedded:
    # NOTE: outputs are numbered in sorted order of the names, as the original unstacks them: the third is CNN1D_10.
    names = sorted(f"{node.feature_name}_{i}" for i in range(node.output_size))
    return Embedded(node.feature_name, embedding(node.embedding, place, dict.fromkeys(names, len(place.centers))))


def _surface(node: config.EmbeddingSurfaceFeatures, place: Place) -> Embedded:
    return Embedded(node.feature_name, embedding(node.embedding, place, {node.feature_name: node.output_size}))


_MAKERS: dict[type, Callable[[Any, Place], Any]] = {
    config.VelocityAndPrognostics: _prognostic,
    config.MemoryVelocityAndValues: _prognostic,
    config.RadiationFeatures: lambda node, place: Selected({"radiation": 1}),
    config.OrbitalTimeFeatures: lambda node, place: Selected(dict.fromkeys(ORBITAL, 1)),
    config.ForcingFeatures: lambda node, place: Selected(dict.fromkeys(node.forcing, 1)),
    config.LatitudeFeatures: lambda node, place: Selected({"cos_latitude": 1, "sin_latitude": 1}),
    config.RandomnessFeatures: lambda node, place: Selected(place.random),
    config.PressureFeatures: _pressure,
    config.MemoryPressureFeatures: _pressure,
    config.LearnedPositionalFeatures: lambda node, place: Selected(
        {POSITIONAL: node.latent_size}, channels=node.latent_size, scale=node.scale
    ),
    config.FloatDataFeatures: _fixed,
    config.EmbeddingSurfaceFeatures: _surface,
    config.EmbeddingVolumeFeatures: _volume,
}


def _parts(node: config.CombinedFeatures, place: Place) -> Sequence[Any]:
    kept = [one for one in node.features if type(one).__name__ not in node.kinds_to_exclude]
    return [part for one in kept if (part := feature_set(one, place)).parts]


def feature_set(node: config.Feature, place: Place) -> Features:
    """The features of `node` at `place`.

    SettingsError for features the place cannot give, for a transform without an entry for one, for equal names.
    """
    if isinstance(node, config.NullFeatures):
        return Features((), config.IdentityTransform(), place.centers)
    if isinstance(node, config.CombinedFeatures):
        return Features(tuple(_parts(node, place)), node.transform, place.centers, node.features_to_exclude)
    made = _MAKERS[type(node)](node, place)
    return Features((made,), getattr(node, "transform", config.IdentityTransform()), place.centers)


def embedding(node: config.Embedding, place: Place, outputs: Mapping[str, int]) -> Network | SurfaceBlend:
    """The embedding `node` with the fields `outputs` (name: width).

    SettingsError for learned positional features inside it: those belong to the network that is embedded into.
    """
    if isinstance(node, config.NodalLandSeaIceEmbedding):
        parts = {kind: getattr(node, kind) for kind in KINDS}
        networks = {kind: None if part is None else embedding(part, place, outputs) for kind, part in parts.items()}
        return SurfaceBlend(networks, outputs, node.output_transform, place.centers)
    features = feature_set(node.features, place)
    return Network({"features": features}, node.mapping, outputs, node.output_transform, place.centers)
