"""How many channels each feature and output has, from the settings alone: the sizes of the networks follow.

A width is a number of values per column: levels for a field of the air, 1 for one of the surface.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint import config as c

Widths = dict[str, int]
_GRADIENTS = ("_dlon", "_dlat", "_del2")


@dataclass(frozen=True)
class Place:
    """Where features are computed: the fields of the state there by width, and what else can be read."""

    state: Mapping[str, int]
    wind: bool  # u and v come from vorticity and divergence
    memory: bool
    forcing: tuple[str, ...]
    randomness: c.RandomField
    sigma: tuple[float, ...]  # level centres, empty on pressure levels


def model_place(config: c.ModelConfig, randomness: c.RandomField) -> Place:
    """The model grid: the state of the dynamical core."""
    levels = config.model.levels
    air = ("vorticity", "divergence", "temperature_variation", *config.tracers)
    boundaries = np.asarray(levels.boundaries)
    centres = tuple((boundaries[1:] + boundaries[:-1]) / 2)
    state = {**dict.fromkeys(air, levels.layers), "log_surface_pressure": 1}
    return Place(state, True, config.encoder.memory, config.forcing_variables, randomness, centres)


def data_place(config: c.ModelConfig) -> Place:
    """The data grid: fields on pressure levels by the original's short names."""
    fields = ("u", "v", "t", "z", *config.tracers)
    widths = dict.fromkeys(fields, len(config.data.pressure_levels))
    return Place(widths, False, False, config.forcing_variables, c.NoRandomField(), ())


def state_outputs(config: c.ModelConfig, predicted: tuple[str, ...], *, wind: bool) -> Widths:
    """Widths of the `predicted` fields of a state; `wind`: u, v instead of divergence, vorticity."""
    names = {"divergence": "u", "vorticity": "v"} if wind else {}
    state = model_place(config, c.NoRandomField()).state
    return {names.get(name, name): _found(name, state, "predicted") for name in predicted if name != "sim_time"}


def data_outputs(config: c.ModelConfig, predicted: tuple[str, ...]) -> Widths:
    """Widths of the `predicted` fields on pressure levels."""
    fields = data_place(config).state
    return {name: _found(name, fields, "predicted") for name in predicted if name != "sim_time"}


def _found(name: str, widths: Mapping[str, int], what: str) -> int:
    if name not in widths:
        raise DataError(f'"{name}" cannot be {what}; accepted: {", ".join(sorted(widths))}')
    return widths[name]


def features(node: c.Feature, place: Place) -> Widths:
    """Widths of the features of `node`, by name.

    Raises:
      DataError: two features of one name, or a feature of what is not there (memory, forcing).
    """
    match node:
        case c.CombinedFeatures():
            return _combined(node, place)
        case c.VelocityAndPrognostics():
            return transformed(_fields(node, place, ""), node.transform, place)
        case c.MemoryVelocityAndValues():
            _need_memory(node, place)
            return transformed(_fields(node, place, "memory_"), node.transform, place)
        case c.FloatDataFeatures():
            return _with_gradients(dict.fromkeys(node.fields, 1), node.gradients)
        case c.LearnedPositionalFeatures():
            return {"learned_positional_features": node.latent_size}
        case c.NullFeatures():
            return {}
        case _:
            return transformed(_simple(node, place), node.transform, place)


def _simple(node: c.Feature, place: Place) -> Widths:
    layers = len(place.sigma)
    match node:
        case c.RadiationFeatures():
            return {"radiation": 1}
        case c.OrbitalTimeFeatures():
            return dict.fromkeys(("cos_orbital_phase", "sin_orbital_phase", "cos_solar_hour", "sin_solar_hour"), 1)
        case c.LatitudeFeatures():
            return {"cos_latitude": 1, "sin_latitude": 1}
        case c.ForcingFeatures():
            return {name: _found(name, dict.fromkeys(place.forcing, 1), "a forcing feature") for name in node.forcing}
        case c.RandomnessFeatures():
            return _random(place.randomness)
        case c.PressureFeatures():
            return {"pressure": layers}
        case c.MemoryPressureFeatures():
            _need_memory(node, place)
            return {"memory_pressure": layers}
        case c.EmbeddingSurfaceFeatures():
            return {node.feature_name: node.output_size}
        case c.EmbeddingVolumeFeatures():
            return {f"{node.feature_name}_{i}": layers for i in range(node.output_size)}
    raise DataError(f"no width is known of {type(node).__name__}")


def _need_memory(node: c.Feature, place: Place) -> None:
    if not place.memory:
        raise DataError(f"{type(node).__name__} needs an encoder with memory")


def _combined(node: c.CombinedFeatures, place: Place) -> Widths:
    found: Widths = {}
    for part in node.features:
        if type(part).__name__ in node.kinds_to_exclude:
            continue
        for name, width in features(part, place).items():
            if name in found:
                raise DataError(f'two features are called "{name}"')
            found[name] = width
    widths = transformed(found, node.transform, place)
    return {name: width for name, width in widths.items() if name not in node.features_to_exclude}


def _fields(node: c.VelocityAndPrognostics | c.MemoryVelocityAndValues, place: Place, prefix: str) -> Widths:
    chosen = {name: n for name, n in place.state.items() if node.fields is None or name in node.fields}
    if place.wind:
        chosen |= dict.fromkeys(("u", "v"), place.state["vorticity"])
    return _with_gradients({prefix + name: n for name, n in chosen.items()}, node.gradients)


def _with_gradients(widths: Widths, gradients: bool) -> Widths:
    if not gradients:
        return widths
    return widths | {name + suffix: n for name, n in widths.items() for suffix in _GRADIENTS}


def _random(randomness: c.RandomField) -> Widths:
    match randomness:
        case c.NoRandomField():
            return {}
        case c.ZerosRandomField():
            return {"randomness": 1}
        case c.BatchGaussianRandomFields():
            return {"randomness": len(randomness.variances)}
        case c.NamedGaussianRandomFields():
            return dict.fromkeys(randomness.names, 1)
    raise DataError(f"no width is known of {type(randomness).__name__}")


def transformed(widths: Widths, transform: c.Transform, place: Place) -> Widths:
    """Widths after `transform`.

    Raises:
      DataError: a field without shift or scale.
    """
    match transform:
        case c.SequentialTransform():
            for part in transform.transforms:
                widths = transformed(widths, part, place)
        case c.TakeSurfaceAdjacentSigmaLevel():
            return dict.fromkeys(widths, 1)
        case c.TruncateSigmaLevels():
            ranges = {r.field: (r.lower, r.upper) for r in transform.sigma_ranges}
            return {name: _kept(n, ranges.get(name, (0.0, 1.0)), place) for name, n in widths.items()}
        case c.ShiftAndNormalize() | c.InverseShiftAndNormalize():
            for name in widths:
                if name not in transform.shifts or name not in transform.scales:
                    raise DataError(f'{type(transform).__name__} has no shift or scale for "{name}"')
        case c.LevelScale() | c.InverseLevelScale():
            for name in transform.keys_to_scale:
                if widths.get(name, len(transform.scales)) != len(transform.scales):
                    raise DataError(
                        f"{type(transform).__name__} has {len(transform.scales)} scales for the {widths[name]} levels "
                        f'of "{name}"'
                    )
    return widths


def _kept(width: int, limits: tuple[float, float], place: Place) -> int:
    """Levels with sigma above the lower limit and below the upper one, as the original slices them."""
    sigma = np.asarray(place.sigma)
    lower = int(np.argmax(sigma - limits[0] > 0))
    upper = len(sigma) if limits[1] > sigma.max() else int(np.argmin(sigma - limits[1] < 0))
    return len(range(width)[lower:upper])
