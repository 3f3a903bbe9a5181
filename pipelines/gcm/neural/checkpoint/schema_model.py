"""The configurables of a whole model: grids, orography, randomness, diagnostics, encoder, decoder, step, forcing.

Source: the public repository neuralgcm/neuralgcm, legacy/{model_builder,encoders,decoders,steps,correctors,equations,
parameterizations,orographies,stochastic,forcings,diagnostics}.py, whose names and defaults these are.
"""

import functools
from collections.abc import Callable
from typing import Any

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint import config as c
from sciml.pipelines.gcm.neural.checkpoint.quantities import kelvins, metres, number, seconds
from sciml.pipelines.gcm.neural.checkpoint.resolution import (
    IGNORED,
    UNNAMED,
    Known,
    Param,
)
from sciml.pipelines.gcm.neural.checkpoint.schema_fields import (
    flat,
    known,
    masked,
)

LINEAR = {"TL31": 16, "TL47": 24, "TL63": 32, "TL95": 48, "TL127": 64, "TL159": 80, "TL179": 90, "TL255": 128}
CUBIC = {"T21": 16, "T31": 24, "T42": 32, "T85": 64, "T106": 80, "T119": 90, "T170": 128, "T213": 160}
LINEAR |= {"TL639": 320, "TL1279": 640}
CUBIC |= {"T340": 256, "T425": 320}
"""Gaussian nodes between equator and pole by the truncation's name."""


# Grids ----------------------------------------------------------------------------------------------------------------
def _radius(value: Any) -> float:
    """The released models leave it open, and mean 1; nothing else was ever trained."""
    if value not in (None, 1, 1.0):
        raise DataError(f"radius {value!r}; accepted: 1.0"[:100])
    return 1.0


_GRID = {
    "latitude_spacing": Param("gauss"),
    "longitude_offset": Param(0.0),
    "radius": Param(1.0, read=_radius),
    "spherical_harmonics_impl": Param("real", to="layout"),
}


def _named_grid(name: str, nodes: int) -> Callable[..., c.Grid]:
    return functools.partial(c.Grid.of_gaussian, int(name.lstrip("TL")), nodes)


_PADDING = Param(None, to=None, only=(None,))  # would change the shape that random fields are drawn in
GRIDS = {
    "RealSphericalHarmonics": Known(lambda: "real", free=True),
    "RealSphericalHarmonicsWithZeroImag": Known(
        lambda: "zero_imag",
        {
            "base_shape_multiple": _PADDING,
            **dict.fromkeys(("reverse_einsum_arg_order", "stacked_fourier_transforms", "transform_precision"), IGNORED),
        },
        free=True,
    ),
    "Grid": Known(
        c.Grid,
        {
            **{n: Param() for n in ("longitude_wavenumbers", "total_wavenumbers", "longitude_nodes", "latitude_nodes")},
            **_GRID,
        },
        called=True,
    ),
    "GridWithWavenumbers": Known(
        c.Grid.of_wavenumbers,
        {"longitude_wavenumbers": Param(to="wavenumbers"), "dealiasing": Param("quadratic"), **_GRID},
        called=True,
    ),
    **{f"Grid{name}": Known(_named_grid(name, nodes), _GRID, called=True) for name, nodes in (LINEAR | CUBIC).items()},
    "SigmaCoordinates": Known(c.SigmaLevels, {"boundaries": Param()}, called=True),
    "SigmaCoordinatesEquidistant": Known(c.SigmaLevels.equidistant, {"layers": Param()}, called=True),
    "CoordinateSystem": Known(
        c.Coordinates, {"horizontal": Param(to="grid"), "vertical": Param(to="levels")}, called=True
    ),
}

# Orography, randomness, diagnostics -----------------------------------------------------------------------------------
OROGRAPHY = {
    "FilteredCustomOrography": known(
        c.FilteredCustomOrography,
        orography_data_path=Param(to=None, only=(None,)),
        filter_modules=Param((), to="filters"),
        renaming_dict=IGNORED,
    ),
    "LearnedOrography": known(c.LearnedOrography, base_orography_module=Param(to="base"), correction_scale=Param()),
}


def _series(read):
    def read_all(values: Any) -> tuple[float, ...]:
        if not isinstance(values, (tuple, list)):
            raise DataError(f"{values!r} is not a list"[:100])
        return tuple(read(value) for value in values)

    return read_all


def _chosen(subset: tuple[int, ...] | None, **series: tuple) -> dict[str, tuple]:
    """The `subset` of each series.

    Raises:
      DataError: the series differ in length, or an index is beyond them.
    """
    lengths = {name: len(values) for name, values in series.items()}
    if len(set(lengths.values())) != 1:
        raise DataError(f"lengths differ: {', '.join(f'{name} {n}' for name, n in lengths.items())}")
    size = next(iter(lengths.values()))
    subset = range(size) if subset is None else subset
    if not subset or not all(isinstance(i, int) and -size <= i < size for i in subset):
        raise DataError(f"field_subset {subset!r}; accepted: some of 0 to {size - 1}"[:200])
    return {name: tuple(values[i] for i in subset) for name, values in series.items()}


def _batch(subset, fixed, clip, **series) -> c.BatchGaussianRandomFields:
    chosen = _chosen(subset, **series)
    if not isinstance(fixed or 0, int) or not 0 <= (fixed or 0) <= len(chosen["variances"]):
        raise DataError(f"n_fixed_fields {fixed!r}; accepted: 0 to {len(chosen['variances'])}"[:200])
    return c.BatchGaussianRandomFields(**chosen, fixed=fixed or 0, clip=clip)


def _named(names, subset, clip, **series) -> c.NamedGaussianRandomFields:
    names = names or tuple(f"GRF{i}" for i in range(len(series["correlation_times"])))
    return c.NamedGaussianRandomFields(**_chosen(subset, names=names, **series), clip=clip)


_FIELDS = {
    "initial_correlation_times": Param(to="correlation_times", read=_series(seconds)),
    "initial_correlation_lengths": Param(to="correlation_lengths", read=_series(metres)),
    "variances": Param(read=_series(number)),
    "field_subset": Param(None, to="subset"),
    "clip": Param(6.0),
    "name": UNNAMED,
}
RANDOMNESS = {
    "NoRandomField": Known(c.NoRandomField, {"prefer_nodal": Param(True)}),
    "ZerosRandomField": Known(c.ZerosRandomField, {"prefer_nodal": Param(True)}),
    "BatchGaussianRandomFieldModule": Known(_batch, {**_FIELDS, "n_fixed_fields": Param(None, to="fixed")}),
    "DictOfGaussianRandomFieldModules": Known(_named, {**_FIELDS, "field_names": Param(None, to="names")}),
    "NoPerturbation": Known(lambda: None),
}

_WATER = {"moisture_species": Param(c.WATER)}
DIAGNOSTICS = {
    "NoDiagnostics": Known(c.NoDiagnostics),
    "SurfacePressureDiagnostics": Known(c.SurfacePressureDiagnostics),
    "NodalModelDiagnosticsDecoder": Known(c.NodalModelDiagnosticsDecoder),
    "PrecipitableWaterDiagnostics": Known(c.PrecipitableWaterDiagnostics, _WATER),
    "PrecipitationMinusEvaporationDiagnostics": Known(
        c.PrecipitationMinusEvaporationDiagnostics, {**_WATER, "method": Param("rate")}
    ),
    "PrecipitationDiagnosticsConstrained": known(
        c.PrecipitationDiagnosticsConstrained,
        embedding_module=Param(to="embedding"),
        **_WATER,
        is_precipitation=Param(True),
        method_precipitation=Param("cumulative"),
        method_evaporation=Param("rate"),
        field_name=Param("total_precipitation"),
    ),
    "CombinedDiagnostics": Known(c.CombinedDiagnostics, {"diagnostic_modules": Param(to="diagnostics")}),
}

# Encoder, decoder -----------------------------------------------------------------------------------------------------
_NO_PERTURBATION = Param(None, to=None, only=(None,))
_UNITS = Param(to="units", read=flat)
_LEARNED = {
    "inputs_to_units_mapping": _UNITS,
    "modal_to_nodal_data_features_module": Param(to="data_features"),
    "modal_to_nodal_model_features_module": Param(to="model_features"),
    "nodal_mapping_module": Param(to="mapping", late=True),
    "correction_transform_module": Param(to="correction_transform"),
    "prediction_mask": Param(to="predicted", read=masked),
    "time_axis": IGNORED,
    "orography_module": Param(to="orography"),
    "randomness_module": Param(c.ZerosRandomField(), to="randomness"),
    "perturbation_module": _NO_PERTURBATION,
}
_ENCODER = {**_LEARNED, "transform_module": Param(c.EncoderIdentityTransform(), to="transform")}
ENDS = {
    "EncoderIdentityTransform": known(c.EncoderIdentityTransform),
    "InputClipTransform": known(c.InputClipTransform, wavenumbers_to_clip=Param(1)),
    "EncoderFilterTransform": known(c.EncoderFilterTransform, filter_modules=Param((), to="filters")),
    "EncoderCombinedTransform": known(c.EncoderCombinedTransform, transforms=Param(())),
    **{
        f"DimensionalLearnedWeatherbenchToPrimitive{name}Encoder": Known(
            functools.partial(c.Encoder, memory=memory), {"name": UNNAMED, **_ENCODER}, kind=c.Encoder
        )
        for name, memory in (("", False), ("WithMemory", True))
    },
    "DecoderIdentityTransform": known(lambda: None),
    "DimensionalLearnedPrimitiveToWeatherbenchDecoder": known(
        c.Decoder,
        **_LEARNED,
        transform_module=Param(None, to=None, only=(None,)),
        diagnostics_module=Param(c.NoDiagnostics(), to="diagnostics"),
    ),
}

# Step, forcing --------------------------------------------------------------------------------------------------------
_EQUATIONS = {
    "orography_module": Param(to="orography"),
    "vertical_advection": Param("centered", late=True),
    "include_vertical_advection": Param(True),
}


def _on(corrector: c.Dycore, coordinates: c.Coordinates) -> c.Dycore:
    if not isinstance(corrector, c.Dycore):
        raise DataError(f"corrector_module is {corrector!r}; accepted: @DycoreWithPhysicsCorrector"[:200])
    return c.Dycore(corrector.equations, corrector.inner_steps, corrector.filter, corrector.integrator, coordinates)


_FORCED = {"inputs_to_units_mapping": _UNITS, "forcing_transform": Param(c.IdentityTransform(), to="transform")}
_INTEGRATORS = (
    *("imex_rk_sil3", "backward_forward_euler"),
    *("crank_nicolson_rk2", "crank_nicolson_rk3", "crank_nicolson_rk4"),
)
STEP = {
    **{name: Known(lambda name=name: name) for name in _INTEGRATORS},
    "centered_vertical_advection": Known(lambda: "centered"),
    "upwind_vertical_advection": Known(lambda: "upwind"),
    **{
        f"MoistPrimitiveEquations{name}": Known(
            functools.partial(c.PrimitiveEquations, cloud_moisture=bool(name)),
            {"name": UNNAMED, **_EQUATIONS},
            kind=c.PrimitiveEquations,
        )
        for name in ("", "WithCloudMoisture", "WithCloudMoisutre")  # the last as early models spell it
    },
    "DycoreWithPhysicsCorrector": known(
        c.Dycore,
        dycore_equation_module=Param(to="equations"),
        dycore_substeps=Param(to="inner_steps"),
        time_integrator=Param("imex_rk_sil3", to="integrator", late=True),
        filter_module=Param(c.NoFilter(), to="filter"),
        checkpoint_explicit_terms=IGNORED,
    ),
    "CustomCoordsCorrector": known(_on, corrector_module=Param(to="corrector"), custom_coords=Param(to="coordinates")),
    "DivCurlNeuralParameterization": known(
        c.DivCurlNeuralParameterization,
        modal_to_nodal_features_module=Param(to="features"),
        nodal_mapping_module=Param(to="mapping", late=True),
        tendency_transform_module=Param(to="tendency_transform"),
        prediction_mask=Param(to="predicted", read=masked),
        filter_module=Param(None, to="filter"),
    ),
    "StochasticPhysicsParameterizationStep": known(
        c.Step,
        corrector_module=Param(to="dycore"),
        physics_parameterization_module=Param(to="physics"),
        num_substeps=Param(1, to="substeps"),
        diagnostics_module=Param(c.NoDiagnostics(), to="diagnostics"),
        randomness_module=Param(c.ZerosRandomField(), to="randomness"),
        perturbation_module=_NO_PERTURBATION,
        checkpoint_substep=IGNORED,
    ),
    "IncrementSSTForcingTransform": known(
        c.IncrementSSTForcingTransform,
        temperature_change=Param(read=kelvins),
        key=Param("sea_surface_temperature"),
    ),
    "NoForcing": known(c.NoForcing, time_axis=IGNORED),
    "DynamicDataForcing": known(
        c.DynamicDataForcing,
        **_FORCED,
        dt_tolerance=Param(3600.0, to="tolerance", read=seconds),
        **dict.fromkeys(("time_axis", "data_time_step", "check_sim_time_errors"), IGNORED),
    ),
    "PersistenceDataForcing": known(c.PersistenceDataForcing, **_FORCED, time_axis=IGNORED),
}
