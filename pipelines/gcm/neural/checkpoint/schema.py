"""From the gin text of a checkpoint to its ModelConfig, strictly.

Whatever the text binds must be known, well typed and of use: an unknown, missing, wrong or idle binding is an error
that names it and its line. Parameters the text leaves out take the original's defaults (schema_fields, schema_model).
"""

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint import config as c
from sciml.pipelines.gcm.neural.checkpoint import gin
from sciml.pipelines.gcm.neural.checkpoint.quantities import seconds
from sciml.pipelines.gcm.neural.checkpoint.resolution import (
    IGNORED,
    Known,
    Param,
    Resolver,
    check_names,
    check_used,
)
from sciml.pipelines.gcm.neural.checkpoint.schema_fields import FEATURES, FILTERS, NETWORKS, TRANSFORMS, known
from sciml.pipelines.gcm.neural.checkpoint.schema_model import (
    CUBIC,
    DIAGNOSTICS,
    ENDS,
    GRIDS,
    LINEAR,
    OROGRAPHY,
    RANDOMNESS,
    STEP,
)

ERA5_LEVELS = (
    *(1, 2, 3, 5, 7, 10, 20, 30, 50, 70, 100, 125, 150, 175, 200, 225, 250, 300, 350, 400, 450, 500, 550, 600, 650),
    *(700, 750, 775, 800, 825, 850, 875, 900, 925, 950, 975, 1000),
)  # hPa
_DEFAULT_TEMPERATURE = 288.0  # K
_ROOTS = (
    "WhirlModel",
    "get_model_specs",
    "get_physics_specs",
    "coordinate_system_from_dataset",
    "trajectory_from_step",
)


def _ignored(*names: str) -> dict[str, Param]:
    return dict.fromkeys(names, IGNORED)


WHOLE = {
    "WhirlModel": Known(
        dict,
        {"model_cls": Param(to="parts"), "from_xarray_fn": Param(to="reading"), "to_xarray_fn": IGNORED},
    ),
    "StochasticModularStepModel": known(
        dict,
        advance_module=Param(to="step"),
        encoder_module=Param(to="encoder"),
        decoder_module=Param(to="decoder"),
        forcing_module=Param(c.NoForcing(), to="forcing"),
    ),
    "get_model_specs": Known(
        dict,
        {
            "custom_coords": Param(to="model"),
            "model_time_step": Param(to="step_seconds", read=seconds),
            "reference_temperature": Param(None),
            "reference_datetime_str": Param(None, to="reference_datetime"),
        },
    ),
    "get_physics_specs": Known(lambda scale: scale, {"construct_fn": Param(to="scale")}),
    "primitive_eq_specs_constructor": Known(lambda scale: scale, {"scale": Param("default")}),
    "GET_ATMOSPHERIC_SCALE": Known(lambda: "atmospheric", called=True),
    "GET_DEFAULT_SCALE": Known(lambda: "default", called=True),
    "coordinate_system_from_dataset": Known(
        dict, {"truncation": Param("CUBIC"), "spherical_harmonics_impl": Param(None, to="layout")}
    ),
    "trajectory_from_step": Known(
        lambda: None, _ignored("checkpoint_step", "checkpoint_multistep", "checkpoint_post_process")
    ),
    "primitive_eq_to_xarray": Known(lambda: None),
    "data_to_xarray": Known(lambda: None),
    "data_to_xarray_with_renaming": Known(
        lambda: None,
        _ignored("additional_coords", "attrs", "renaming_dict", "sample_ids", "to_xarray_fn"),
    ),
    "xarray_to_state_and_dynamic_covariate_data": Known(
        dict,
        {
            "xarray_to_state_data_fn": Param(to="tracers"),
            "xarray_to_dynamic_covariate_data_fn": Param((), to="forcing_variables"),
            "values": IGNORED,
        },
    ),
    "xarray_to_data_with_renaming": Known(
        lambda tracers: tracers,
        {"xarray_to_data_fn": Param(to="tracers"), "renaming_dict": IGNORED, "values": IGNORED},
    ),
    "xarray_to_weatherbench_data": Known(
        lambda tracers: tracers,
        {
            "tracers_to_include": Param((), to="tracers"),
            "diagnostics_to_include": Param((), to=None, only=((), [])),
            "values": IGNORED,
        },
    ),
    "xarray_to_dynamic_covariate_data": Known(
        lambda names: names, {"covariates_to_include": Param((), to="names"), "values": IGNORED}
    ),
}
KNOWN: dict[str, Known] = {
    **TRANSFORMS,
    **FILTERS,
    **NETWORKS,
    **FEATURES,
    **GRIDS,
    **OROGRAPHY,
    **RANDOMNESS,
    **DIAGNOSTICS,
    **ENDS,
    **STEP,
    **WHOLE,
}


def model_config(
    text: str,
    *,
    source: str,
    nodes: tuple[int, int] | None = None,
    latitude_spacing: str = "gauss",
    levels: Sequence[float] = ERA5_LEVELS,
) -> c.ModelConfig:
    """The settings written in `text`.

    Args:
      text: the gin text of a checkpoint, with the user's edits behind it.
      source: names the text in messages.
      nodes: (longitudes, latitudes) of the checkpoint's fixed fields; by default those of the model grid.
      latitude_spacing: of those fields.
      levels: pressure levels of the data [hPa].

    Raises:
      DataError: the text is not gin, or binds what is unknown, wrong, missing or idle; with name and line.
    """
    bindings = gin.parse(text, source=source)
    check_names(bindings, KNOWN, source=source)
    built, used = _walk(bindings, source)
    kept = [binding for binding in bindings if not _of_the_original_loader(binding)]
    check_used(kept, KNOWN, used, lambda others: _used_by(others, source), source=source)
    return _assembled(built, source, nodes, latitude_spacing, levels)


def _walk(bindings: list[gin.Binding], source: str) -> tuple[dict[str, Any], set[tuple]]:
    resolver = Resolver(bindings, KNOWN, source=source)
    return {name: resolver.build(name) for name in _ROOTS}, resolver.used


def _used_by(bindings: list[gin.Binding], source: str) -> set[tuple]:
    resolver = Resolver(bindings, KNOWN, source=source)
    with contextlib.suppress(DataError):  # an older value need not make a whole model
        for name in _ROOTS:
            resolver.build(name)
    return resolver.used


def _of_the_original_loader(binding: gin.Binding) -> bool:
    """The original appends a radius of 1 for three grids, whichever of them the model has."""
    return binding.parameter == "radius" and binding.name in ("GridTL63", "GridTL127", "GridTL255")


def _assembled(built: dict, source: str, nodes, latitude_spacing: str, levels: Sequence[float]) -> c.ModelConfig:
    whole, specs = built["WhirlModel"], built["get_model_specs"]
    for name, value in (("model_cls", whole["parts"]), ("from_xarray_fn", whole["reading"])):
        if not isinstance(value, dict):
            raise DataError(f"{source}: WhirlModel.{name} is {value!r}, no part of a NeuralGCM v1 model"[:300])
    model = specs["model"]
    if not isinstance(model, c.Coordinates):
        raise DataError(f"{source}: get_model_specs.custom_coords is {model!r}; accepted: @CoordinateSystem()"[:300])
    grid = _data_grid(built["coordinate_system_from_dataset"], source, nodes or _nodes(model.grid), latitude_spacing)
    try:
        return c.ModelConfig(
            model=model,
            data=c.DataCoordinates(grid, tuple(levels)),
            scale=built["get_physics_specs"],
            reference_temperature=_temperatures(specs["reference_temperature"], model.levels.layers),
            reference_datetime=specs["reference_datetime"] or "1979-01-01T00",
            step_seconds=specs["step_seconds"],
            **whole["reading"],
            **whole["parts"],
        )
    except (DataError, TypeError) as error:
        raise DataError(f"{source}: {error}") from error


def _nodes(grid: c.Grid) -> tuple[int, int]:
    return grid.longitude_nodes, grid.latitude_nodes


def _data_grid(given: dict, source: str, nodes: tuple[int, int], latitude_spacing: str) -> c.Grid:
    """The grid of the checkpoint's fixed fields, known by its size as the original knows it."""
    names = {"LINEAR": LINEAR, "CUBIC": CUBIC}.get(str(given["truncation"]))
    if names is None:
        raise DataError(
            f"{source}: coordinate_system_from_dataset.truncation is {given['truncation']!r}; accepted: LINEAR, CUBIC"
        )
    for name, gaussian in names.items():
        if nodes == (4 * gaussian, 2 * gaussian):
            return c.Grid.of_gaussian(
                int(name.lstrip("TL")), gaussian, latitude_spacing=latitude_spacing, layout=given["layout"] or "real"
            )
    raise DataError(
        f"{source}: fixed fields of {nodes[0]} x {nodes[1]} points are on no {given['truncation'].lower()} grid; "
        f"accepted: {', '.join(f'{4 * g} x {2 * g} ({name})' for name, g in names.items())}"
    )


def _temperatures(value: Any, layers: int) -> tuple[float, ...]:
    """One per layer, in float64 as written.

    Raises:
      DataError: a list of another length.
    """
    if value is None or isinstance(value, (int, float)):
        return (float(_DEFAULT_TEMPERATURE if value is None else value),) * layers
    if not isinstance(value, (tuple, list)) or len(value) != layers:
        raise DataError(f"get_model_specs.reference_temperature holds {np.size(value)} values for {layers} layers")
    return tuple(value)
