"""The configurables of fields: transforms, filters, networks, features, embeddings, with the original's defaults.

Source: the public repository neuralgcm/neuralgcm, legacy/{transforms,filters,towers,layers,mappings,features,
embeddings}.py, whose names and defaults these are.
"""

from collections.abc import Mapping
from typing import Any

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint import config as c
from sciml.pipelines.gcm.neural.checkpoint.quantities import seconds
from sciml.pipelines.gcm.neural.checkpoint.resolution import IGNORED, REQUIRED, UNNAMED, Known, Param

IDENTITY = c.IdentityTransform()


def known(make: Any, /, **params: Param) -> Known:
    """An entry of the table; every module of the original also has a name, which sets nothing here."""
    return Known(make, {"name": UNNAMED, **params})


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested tables side by side: those of `tracers` stand among the others.

    Raises:
      DataError: not a table, or one name occurs twice.
    """
    if not isinstance(value, Mapping):
        raise DataError(f"{value!r} is not a table"[:100])
    found: dict[str, Any] = {}
    for name, item in value.items():
        entries = flat(item, name) if isinstance(item, Mapping) else {name: item}
        for entry in entries:
            if entry in found:
                raise DataError(f'"{entry}" occurs twice')
        found |= entries
    return found


def masked(value: Any) -> tuple[str, ...]:
    """The names whose entry in a (nested) table of True and False is True.

    Raises:
      DataError: an entry is neither.
    """
    entries = flat(value)
    for name, chosen in entries.items():
        if not isinstance(chosen, bool):
            raise DataError(f'"{name}" is {chosen!r}; accepted: True, False'[:200])
    return tuple(sorted(name for name, chosen in entries.items() if chosen))


def _constants(value: Any) -> dict[str, Any]:
    """Shifts or scales by field, without those of the clock, which no network predicts."""
    return {name: item for name, item in flat(value).items() if name != "sim_time"}


def _ranges(value: Any) -> tuple[c.SigmaRange, ...]:
    found = []
    for name, limits in flat(value).items():
        if not isinstance(limits, (tuple, list)) or len(limits) != 2:
            raise DataError(f'"{name}" is {limits!r}; accepted: two limits of sigma'[:200])
        if tuple(limits) != (0, 1):  # all levels, as where no range is given
            found.append(c.SigmaRange(name, *limits))
    return tuple(found)


def _variable_filters(value: Any) -> tuple[c.VariableFilter, ...]:
    return tuple(c.VariableFilter(name, item) for name, item in sorted(flat(value).items()))


def _gelu(approximate: Any = True) -> str:
    return "gelu_tanh" if approximate else "gelu_erf"


def _transform(default: Any = IDENTITY, to: str = "transform") -> Param:
    return Param(default, to=to)


_SCALED = {"shifts": Param(read=_constants), "scales": Param(read=_constants), "global_scale": Param(None)}
_LEVELS = {"scales": Param(), "keys_to_scale": Param(())}
_CLIPPED = {"wavenumbers_to_clip": Param(1)}

TRANSFORMS = {
    "EmptyTransform": known(lambda: False),  # only met as "no gradients"
    "ToModalDiffOperators": known(lambda: True),  # only met as "gradients"
    "IdentityTransform": known(c.IdentityTransform),
    # NOTE the original accepts features_to_exclude and never looks at it.
    "ShiftAndNormalize": known(c.ShiftAndNormalize, **_SCALED, features_to_exclude=IGNORED),
    "InverseShiftAndNormalize": known(c.InverseShiftAndNormalize, **_SCALED),
    "LevelScale": known(c.LevelScale, **_LEVELS),
    "InverseLevelScale": known(c.InverseLevelScale, **_LEVELS),
    "TruncateSigmaLevels": known(c.TruncateSigmaLevels, sigma_ranges=Param(read=_ranges)),
    "TakeSurfaceAdjacentSigmaLevel": known(c.TakeSurfaceAdjacentSigmaLevel),
    "SoftClip": known(c.SoftClip, max_value=Param(), hinge_softness=Param(1.0)),
    "HardClip": known(c.HardClip, max_value=Param()),
    "ClipTransform": known(c.ClipTransform, **_CLIPPED),
    "SequentialTransform": known(c.SequentialTransform, transform_modules=Param(to="transforms")),
}


def _filter_of(transform: Any) -> c.ClipFilter:
    if not isinstance(transform, c.ClipTransform):
        raise DataError(f"{type(transform).__name__} as the filter of a step; accepted: ClipTransform")
    return c.ClipFilter(transform.wavenumbers_to_clip)


FILTERS = {
    "NoFilter": known(c.NoFilter),
    "ExponentialFilter": known(
        c.ExponentialFilter,
        tau=Param(seconds("0.010938"), to="tau_seconds", read=seconds),
        order=Param(18),
        cutoff=Param(0.0),
    ),
    "ClipFilter": known(c.ClipFilter, **_CLIPPED),
    "FilterFromTransform": known(_filter_of, transform_module=Param(to="transform")),
    "FixGlobalMeanFilter": known(c.FixGlobalMeanFilter, keys=Param(("log_surface_pressure",))),
    "SequentialStepFilter": known(c.SequentialStepFilter, filter_modules=Param(to="filters")),
    "DataNoFilter": known(c.DataNoFilter),
    "DataExponentialFilter": known(
        c.DataExponentialFilter, attenuation=Param(16.0), order=Param(18), cutoff=Param(0.0)
    ),
    "PerVariableDataFilter": known(
        c.PerVariableDataFilter, per_variable_filters=Param(to="filters", read=_variable_filters)
    ),
}

_ACTIVATION = {"activation": Param("relu", late=True), "activate_final": Param(False)}
_INITIAL = Param(None, to=None, only=(None,))  # initial weights other than Haiku's own
NETWORKS = {
    "gelu": Known(_gelu, {"approximate": Param(True)}),
    "relu": Known(lambda: "relu"),
    "silu": Known(lambda: "silu"),
    "MlpUniform": known(
        c.Mlp,
        num_hidden_units=Param(to="hidden_units"),
        num_hidden_layers=Param(to="hidden_layers"),
        with_bias=Param(True, to="bias"),
        **_ACTIVATION,
        **dict.fromkeys(("w_init", "b_init", "w_init_final", "b_init_final"), _INITIAL),
    ),
    "ColumnTower": Known(
        c.ColumnTower,
        {"column_net_factory": Param(to="net"), "checkpoint_tower": IGNORED, "name": Param(None)},
    ),
    "EpdTower": known(
        c.EpdTower,
        latent_size=Param(),
        num_process_blocks=Param(to="process_blocks"),
        encode_tower_factory=Param(to="encode", late=True),
        process_tower_factory=Param(to="process", late=True),
        decode_tower_factory=Param(to="decode", late=True),
        post_encode_activation=Param(None, late=True),
        pre_decode_activation=Param(None, late=True),
        final_activation=Param(None, late=True),
    ),
    "VerticalConvTower": known(
        c.VerticalConvTower,
        channels=Param(),
        kernel_shape=Param(to="kernel_size"),
        with_bias=Param(True, to="bias"),
        **_ACTIVATION,
        checkpoint_tower=IGNORED,
    ),
    "NodalMapping": known(c.NodalMapping, tower_factory=Param(to="tower")),
    "NodalVolumeMapping": known(c.NodalVolumeMapping, tower_factory=Param(to="tower")),
}

_STATE = {
    "fields_to_include": Param(None, to="fields"),
    "compute_gradients_module": Param(False, to="gradients"),
    "features_transform_module": _transform(),
}
_ONE = {"features_transform_module": _transform()}
_EMBEDDED = {"feature_name": Param(), "output_size": Param(), "embedding_module": Param(to="embedding"), **_ONE}
_FROM_CHECKPOINT = Param(REQUIRED, to=None, only=(None,))  # a path instead of the checkpoint's own fields
FEATURES = {
    "VelocityAndPrognostics": known(c.VelocityAndPrognostics, **_STATE),
    "MemoryVelocityAndValues": known(c.MemoryVelocityAndValues, **_STATE),
    "ForcingFeatures": known(c.ForcingFeatures, forcing_to_include=Param((), to="forcing"), **_ONE),
    "LearnedPositionalFeatures": known(c.LearnedPositionalFeatures, latent_size=Param(), scale=Param(1.0)),
    "FloatDataFeatures": known(
        c.FloatDataFeatures,
        covariate_data_path=_FROM_CHECKPOINT,
        covariate_keys=Param(to="fields"),
        renaming_dict=IGNORED,
        compute_gradients_module=Param(False, to="gradients"),
    ),
    "NullFeatures": known(c.NullFeatures),
    "EmbeddingSurfaceFeatures": known(c.EmbeddingSurfaceFeatures, **_EMBEDDED),
    "EmbeddingVolumeFeatures": known(c.EmbeddingVolumeFeatures, **_EMBEDDED),
    "CombinedFeatures": known(
        c.CombinedFeatures,
        feature_modules=Param(to="features"),
        feature_module_names_to_exclude=Param((), to="kinds_to_exclude"),
        features_to_exclude=Param(()),
        features_transform_module=_transform(),
    ),
    "ModalToNodalEmbedding": known(
        c.ModalToNodalEmbedding,
        modal_to_nodal_features_module=Param(to="features"),
        nodal_mapping_module=Param(to="mapping", late=True),
        output_transform_module=_transform(to="output_transform"),
    ),
    "NodalLandSeaIceEmbedding": known(
        c.NodalLandSeaIceEmbedding,
        static_vars_ds_path=_FROM_CHECKPOINT,
        land_embedding=Param(None, to="land"),
        sea_embedding=Param(None, to="sea"),
        sea_ice_embedding=Param(None, to="sea_ice"),
        output_transform_module=_transform(to="output_transform"),
    ),
    **{
        kind.__name__: known(kind, **_ONE)
        for kind in (
            *(c.RadiationFeatures, c.OrbitalTimeFeatures, c.LatitudeFeatures, c.RandomnessFeatures),
            *(c.PressureFeatures, c.MemoryPressureFeatures),
        )
    },
}
