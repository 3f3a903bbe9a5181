"""Which weights a model has: their place in our parameter tree, their names in the original's, their shapes.

Haiku names a module by its parent's path, "~/" if it is made while the parent is, and its class's name, with _1, _2
... for further siblings of one name. Both trees follow from the settings alone; here they are walked together, so that
each weight is known by both names, its shape and the standard deviation of its first random value.
"""

import math
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint import config as c
from sciml.pipelines.gcm.neural.checkpoint import widths

Path = tuple[str, ...]


@dataclass(frozen=True)
class Weight:
    """One array: place in our tree, module and name in the original's, shape, spread of its initial value."""

    path: Path
    module: str
    name: str
    shape: tuple[int, ...]
    spread: float = 0.0  # of a normal law cut at two of it; 0 means zeros


@dataclass(frozen=True)
class _Spot:
    """A module in both trees at once."""

    path: Path
    module: str

    def at(self, *names: str) -> "_Spot":
        """The same module of the original, further down in our tree."""
        return _Spot(self.path + names, self.module)

    def child(self, name: str, *, called: bool = False) -> "_Spot":
        """A module made within this one; `called`: made when it runs, not when it is made."""
        return _Spot(self.path, f"{self.module}/{'' if called else '~/'}{name}")

    def weight(self, name: str, ours: str, shape: tuple[int, ...], spread: float = 0.0) -> Weight:
        return Weight((*self.path, ours), self.module, name, shape, spread)


class _Names:
    """Names within one parent: the second "x" is "x_1"."""

    def __init__(self):
        self._seen: Counter[str] = Counter()

    def __call__(self, name: str) -> str:
        count = self._seen[name]
        self._seen[name] += 1
        return f"{name}_{count}" if count else name


def weights(config: c.ModelConfig) -> list[Weight]:
    """Every weight of the model.

    Raises:
      DataError: the settings do not fit together, such as a feature without a scale.
    """
    return [*_step(config), *_encoders(config), *_decoder(config)]


_ROOT = "stochastic_modular_step_model"
_ENCODER = "dimensional_learned_weatherbench_to_primitive{}_encoder"


def _step(config: c.ModelConfig) -> Iterator[Weight]:
    step, top = config.step, _Spot((), _ROOT).child("stochastic_physics_parameterization_step")
    place = widths.model_place(config, step.randomness)
    yield from _randomness(step.randomness, top.at("randomness"))
    yield from _diagnostics(step.diagnostics, place, config, top.at("diagnostics"))
    corrector = top.child("custom_coords_corrector") if step.dycore.coordinates else top
    grid = (step.dycore.coordinates or config.model).grid
    core = corrector.child("dycore_with_physics_corrector").at("dycore")
    # The equations of motion are a mixin, not a module of the original: their orography is named by the corrector.
    yield from _orography(step.dycore.equations.orography, grid, core.at("orography"))
    physics = top.child("div_curl_neural_parameterization").at("physics")
    yield from _features(step.physics.features, place, config.model.grid, physics.at("features"))
    inputs = widths.features(step.physics.features, place)
    outputs = widths.state_outputs(config, step.physics.predicted, wind=True)
    widths.transformed(outputs, step.physics.tendency_transform, place)
    yield from _mapping(step.physics.mapping, inputs, sum(outputs.values()), physics.at("tower"))


def _encoders(config: c.ModelConfig) -> Iterator[Weight]:
    encoder, top = config.encoder, _Spot((), _ROOT)
    if not encoder.memory:
        yield from _encoder(config, encoder.randomness, top.child(_ENCODER.format("")).at("encoder"))
        return
    both = top.child(_ENCODER.format("_with_memory"))
    name = "learned_weatherbench_to_primitive_encoder"
    yield from _encoder(config, c.NoRandomField(), both.child(name).at("memory_encoder"))
    yield from _encoder(config, encoder.randomness, both.child(f"{name}_1").at("encoder"))


def _encoder(config: c.ModelConfig, randomness: c.RandomField, spot: _Spot) -> Iterator[Weight]:
    encoder = config.encoder
    data, model = widths.data_place(config), widths.model_place(config, randomness)
    yield from _orography(encoder.orography, config.model.grid, spot.at("orography"))
    inputs = yield from _sides(
        spot,
        ("data", encoder.data_features, data, config.data.grid),
        ("model", encoder.model_features, model, config.model.grid),
    )
    outputs = widths.state_outputs(config, encoder.predicted, wind=False)
    widths.transformed(outputs, encoder.correction_transform, model)
    yield from _mapping(encoder.mapping, inputs, sum(outputs.values()), spot.at("tower"))
    yield from _randomness(randomness, spot.at("randomness"))


def _decoder(config: c.ModelConfig) -> Iterator[Weight]:
    decoder = config.decoder
    spot = _Spot(("decoder",), _ROOT).child("dimensional_learned_primitive_to_weatherbench_decoder")
    data, model = widths.data_place(config), widths.model_place(config, decoder.randomness)
    yield from _orography(decoder.orography, config.model.grid, spot.at("orography"))
    inputs = yield from _sides(
        spot,
        ("model", decoder.model_features, model, config.model.grid),
        ("data", decoder.data_features, data, config.data.grid),
    )
    outputs = widths.data_outputs(config, decoder.predicted)
    widths.transformed(outputs, decoder.correction_transform, data)
    yield from _mapping(decoder.mapping, inputs, sum(outputs.values()), spot.at("tower"))
    yield from _randomness(decoder.randomness, spot.at("randomness"))
    yield from _diagnostics(decoder.diagnostics, model, config, spot.at("diagnostics"))


def _sides(spot: _Spot, *sides: tuple[str, c.Feature, widths.Place, c.Grid]) -> Generator[Weight, None, dict[str, int]]:
    """Weights of the features on each (side, node, place, grid), in their order; returns the channels of every feature."""
    names, inputs = _Names(), {}
    for side, node, place, grid in sides:
        yield from _features(node, place, grid, spot.at(f"{side}_features"), names)
        inputs |= {f"{side}_{name}": n for name, n in widths.features(node, place).items()}
    return inputs


def _orography(node: c.Orography, grid: c.Grid, spot: _Spot) -> Iterator[Weight]:
    if isinstance(node, c.LearnedOrography):
        yield spot.child("learned_orography").weight("orography", "correction", (grid.coefficients,))


def _randomness(node: c.RandomField, spot: _Spot) -> Iterator[Weight]:
    if isinstance(node, c.BatchGaussianRandomFields):
        module = spot.child("batch_gaussian_random_field_module")
        for name in ("correlation_lengths_raw", "correlation_times_raw"):
            yield module.weight(name, name, (len(node.variances) - node.fixed,))
    if isinstance(node, c.NamedGaussianRandomFields):
        module = spot.child("dict_of_gaussian_random_field_modules")
        for field in node.names:
            for name in ("correlation_length_raw", "correlation_time_raw"):
                yield module.child(field).at(field).weight(name, name, ())


def _diagnostics(node: c.Diagnostics, place: widths.Place, config: c.ModelConfig, spot: _Spot) -> Iterator[Weight]:
    parts = node.diagnostics if isinstance(node, c.CombinedDiagnostics) else (node,)
    learned = [part for part in parts if isinstance(part, c.PrecipitationDiagnosticsConstrained)]
    if len(learned) > 1:
        raise DataError(f"{len(learned)} PrecipitationDiagnosticsConstrained; accepted: at most one")
    for part in learned:
        module = spot.child("precipitation_diagnostics_constrained")
        yield from _embedding(part.embedding, place, config.model.grid, 1, module, _Names())


def _features(
    node: c.Feature, place: widths.Place, grid: c.Grid, spot: _Spot, names: _Names | None = None
) -> Iterator[Weight]:
    """Weights of a feature; all parts of combined features stand side by side in our tree."""
    names = names or _Names()
    module = spot.child(names(snake(type(node).__name__)))
    match node:
        case c.CombinedFeatures():
            inner = _Names()
            for part in node.features:
                yield from _features(part, place, grid, module, inner)
        case c.LearnedPositionalFeatures():
            shape = (node.latent_size, grid.longitude_nodes, grid.latitude_nodes)
            name = "learned_positional_features"
            yield module.at(name).weight(name, "values", shape)
        case c.EmbeddingSurfaceFeatures() | c.EmbeddingVolumeFeatures():
            outputs = sum(widths.features(_bare(node), place).values())
            channels = node.output_size if _is_volume(node.embedding) else outputs
            yield from _embedding(node.embedding, place, grid, channels, module.at(node.feature_name), _Names())


def _bare(node):
    return type(node)(node.feature_name, node.output_size, node.embedding)


def _is_volume(node: c.Embedding) -> bool:
    return isinstance(node, c.ModalToNodalEmbedding) and isinstance(node.mapping, c.NodalVolumeMapping)


def _embedding(
    node: c.Embedding, place: widths.Place, grid: c.Grid, outputs: int, spot: _Spot, names: _Names
) -> Iterator[Weight]:
    if isinstance(node, c.ModalToNodalEmbedding):
        module = spot.child(names("modal_to_nodal_embedding"))
        yield from _features(node.features, place, grid, module.at("features"))
        inputs = widths.features(node.features, place)
        yield from _mapping(node.mapping, inputs, outputs, module.at("tower"))
        return
    module, inner = spot.child(names("nodal_land_sea_ice_embedding")), _Names()
    for kind in ("land", "sea", "sea_ice"):
        part = getattr(node, kind)
        if part is None:
            yield module.at(kind).weight(f"{kind}_params", "values", (outputs, 1, 1), 1.0)
        else:
            yield from _embedding(part, place, grid, outputs, module.at(kind), inner)


def _mapping(node: c.Mapping, inputs: widths.Widths, outputs: int, spot: _Spot) -> Iterator[Weight]:
    if isinstance(node, c.NodalVolumeMapping):
        if len(set(inputs.values())) > 1:
            raise DataError(f"fields of different levels for one convolution: {inputs}"[:300])
        module = spot.child("nodal_volume_mapping", called=True).child("vertical_conv_tower")
        yield from _convolutions(node.tower, len(inputs), outputs, module)
        return
    module, width = spot.child("nodal_mapping", called=True), sum(inputs.values())
    if isinstance(node.tower, c.ColumnTower):
        yield from _column(node.tower, width, outputs, module.child(node.tower.name or "column_tower"))
        return
    tower, names = node.tower, _Names()
    stages = [("encode", tower.encode, width, tower.latent_size)]
    stages += [
        (f"process_{i}", tower.process, tower.latent_size, tower.latent_size) for i in range(tower.process_blocks)
    ]
    stages += [("decode", tower.decode, tower.latent_size, outputs)]
    module = module.child("epd_tower")
    for ours, column, width_in, width_out in stages:
        inner = module.child(names(column.name or "column_tower"), called=True)
        yield from _column(column, width_in, width_out, inner.at(ours))


def _column(node: c.ColumnTower, inputs: int, outputs: int, spot: _Spot) -> Iterator[Weight]:
    sizes = [inputs, *[node.net.hidden_units] * node.net.hidden_layers, outputs]
    module = spot.child("mlp_uniform")
    for i, (before, after) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
        layer = module.child(f"linear_{i}").at(f"linear_{i}")
        yield layer.weight("w", "kernel", (before, after), 1 / math.sqrt(max(before, 1)))
        if node.net.bias:
            yield layer.weight("b", "bias", (after,))


def _convolutions(node: c.VerticalConvTower, inputs: int, outputs: int, spot: _Spot) -> Iterator[Weight]:
    names, sizes = _Names(), [inputs, *node.channels, outputs]
    for i, (before, after) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
        layer = spot.child(names("conv_level")).at(f"conv_{i}")
        fan_in = node.kernel_size * before
        yield layer.weight("w", "kernel", (node.kernel_size, before, after), 1 / math.sqrt(max(fan_in, 1)))
        if node.bias:
            yield layer.weight("b", "bias", (after, 1))


def snake(name: str) -> str:
    """CamelCase as Haiku writes it: NodalMapping is nodal_mapping."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
