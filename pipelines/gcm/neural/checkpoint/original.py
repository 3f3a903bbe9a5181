"""A model of ours in the original's format: its gin text, and the dict that its `from_checkpoint` takes.

So a model that was changed or trained here runs in the original package, which tests use to compare the two. Each node
gets a scope of its own (n1, n2, ...), so that no binding reaches another node; the parameters are those of the schema,
read backwards.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint import config as c
from sciml.pipelines.gcm.neural.checkpoint.haiku_names import to_haiku
from sciml.pipelines.gcm.neural.checkpoint.schema import KNOWN
from sciml.pipelines.gcm.neural.checkpoint.schema_model import CUBIC, LINEAR
from sciml.pipelines.gcm.neural.checkpoint.store import Checkpoint

_STATE = ("divergence", "log_surface_pressure", "temperature_variation", "vorticity", "sim_time")
_DATA = ("t", "u", "v", "z", "sim_time")
_IMPLEMENTATION = {"real": "@RealSphericalHarmonics", "zero_imag": "@RealSphericalHarmonicsWithZeroImag"}
# Nodes of another name there; every other node has its own.
_NAMES = {
    c.Mlp: "MlpUniform",
    c.Decoder: "DimensionalLearnedPrimitiveToWeatherbenchDecoder",
    c.Step: "StochasticPhysicsParameterizationStep",
    c.BatchGaussianRandomFields: "BatchGaussianRandomFieldModule",
    c.NamedGaussianRandomFields: "DictOfGaussianRandomFieldModules",
    c.SigmaLevels: "SigmaCoordinates",
    c.Coordinates: "CoordinateSystem",
}
_RENAMING = {
    **{"geopotential": "z", "temperature": "t", "u_component_of_wind": "u", "v_component_of_wind": "v"},
    **{"longitude": "lon", "latitude": "lat"},
}


def to_checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    """The dict with model_config_str, aux_ds_dict and params."""
    aux = checkpoint.aux
    coords = {
        name: {"dims": (name,), "attrs": {}, "data": getattr(aux, name)} for name in ("longitude", "latitude", "level")
    }
    units = {"geopotential_at_surface": "m**2 s**-2", "land_sea_mask": "(0 - 1)"}
    fields = {
        name: {"dims": ("longitude", "latitude"), "attrs": {"units": units[name]}, "data": np.asarray(values)}
        for name, values in aux.fields.items()
    }
    sizes = {name: entry["data"].size for name, entry in coords.items()}
    return {
        "model_config_str": to_gin(checkpoint.config),
        "aux_ds_dict": {"coords": coords, "attrs": {}, "dims": sizes, "data_vars": fields},
        "params": to_haiku(checkpoint.config, checkpoint.params),
    }


def to_gin(config: c.ModelConfig) -> str:
    """The gin text from which the original builds the model; `schema.model_config` gives the same config back.

    Raises:
      DataError: the data grid is none that the original finds by its size.
    """
    return _Writer(config).text()


class _Writer:
    """Collects bindings, one scope per node."""

    def __init__(self, config: c.ModelConfig):
        self._config, self._lines, self._count = config, [], 0

    def text(self) -> str:
        config = self._config
        nodes = (config.data.grid.longitude_nodes, config.data.grid.latitude_nodes)
        sizes = {(4 * g, 2 * g): kind for kind, names in (("CUBIC", CUBIC), ("LINEAR", LINEAR)) for g in names.values()}
        if nodes not in sizes:
            raise DataError(f"no grid of the original has {nodes[0]} x {nodes[1]} points")
        self._bind("coordinate_system_from_dataset", truncation=repr(sizes[nodes]))
        self._bind("coordinate_system_from_dataset", spherical_harmonics_impl=_IMPLEMENTATION[config.data.grid.layout])
        self._bind("get_physics_specs", construct_fn="@primitive_eq_specs_constructor")
        self._bind("primitive_eq_specs_constructor", scale=f"@GET_{config.scale.upper()}_SCALE()")
        self._bind(
            "get_model_specs",
            custom_coords=f"{self._node(config.model)}()",
            model_time_step=f"'{config.step_seconds!r} s'",
            reference_temperature=list(config.reference_temperature),
            reference_datetime_str=repr(config.reference_datetime),
        )
        self._bind(
            "StochasticModularStepModel",
            advance_module=self._node(config.step),
            encoder_module=self._node(config.encoder),
            decoder_module=self._node(config.decoder),
            forcing_module=self._node(config.forcing),
        )
        self._reading()
        return "\n".join(self._lines) + "\n"

    def _reading(self) -> None:
        """How the original reads and writes data; fixed but for the names."""
        self._bind(
            "WhirlModel",
            model_cls="@StochasticModularStepModel",
            from_xarray_fn="@xarray_to_state_and_dynamic_covariate_data",
            to_xarray_fn="@data_to_xarray_with_renaming",
        )
        self._bind(
            "xarray_to_state_and_dynamic_covariate_data",
            xarray_to_state_data_fn="@xarray_to_data_with_renaming",
            xarray_to_dynamic_covariate_data_fn="@xarray_to_dynamic_covariate_data",
        )
        self._bind("xarray_to_dynamic_covariate_data", covariates_to_include=self._config.forcing_variables)
        self._bind(
            "xarray_to_data_with_renaming",
            xarray_to_data_fn="@xarray_to_weatherbench_data",
            renaming_dict=_RENAMING,
        )
        self._bind("xarray_to_weatherbench_data", tracers_to_include=self._config.tracers)
        self._bind(
            "data_to_xarray_with_renaming",
            to_xarray_fn="@primitive_eq_to_xarray",
            renaming_dict=_RENAMING,
        )

    def _bind(self, selector: str, **parameters: Any) -> None:
        for name, value in parameters.items():
            self._lines.append(f"{selector}.{name} = {value if isinstance(value, str) else _literal(value)}")

    def _node(self, node: c.Node) -> str:
        """A reference to the node, whose bindings are written."""
        if isinstance(node, c.Dycore) and node.coordinates is not None:
            inner = dataclasses.replace(node, coordinates=None)
            return self._made("CustomCoordsCorrector", corrector_module=inner, custom_coords=node.coordinates)
        if isinstance(node, c.SigmaLevels) and node == c.SigmaLevels.equidistant(node.layers):
            return self._made("SigmaCoordinatesEquidistant", layers=node.layers)
        name, values = self._described(node)
        given = {}
        for parameter, param in KNOWN[name].params.items():
            target = parameter if param.to == "" else param.to
            if target in values:
                given[parameter] = values[target]
            elif target is None and param.default is not None:  # required, though it sets nothing here
                given[parameter] = None
            elif parameter == "renaming_dict":
                given[parameter] = {"longitude": "lon", "latitude": "lat"}
        return self._made(name, **given)

    def _described(self, node: c.Node) -> tuple[str, dict[str, Any]]:
        """The configurable of a node and its values by field, in the forms the original wants."""
        values = {field.name: getattr(node, field.name) for field in dataclasses.fields(node)}
        name = _NAMES.get(type(node), type(node).__name__)
        match node:
            case c.Encoder():
                memory = "WithMemory" if values.pop("memory") else ""
                name = f"DimensionalLearnedWeatherbenchToPrimitive{memory}Encoder"
            case c.PrimitiveEquations():
                name = "MoistPrimitiveEquationsWithCloudMoisture" if node.cloud_moisture else "MoistPrimitiveEquations"
                values["vertical_advection"] = _Raw(f"@{node.vertical_advection}_vertical_advection")
            case c.Dycore():
                name = "DycoreWithPhysicsCorrector"
                values["integrator"] = _Raw(f"@{node.integrator}")
            case c.Grid():
                values["layout"] = _Raw(_IMPLEMENTATION[node.layout])
            case c.BatchGaussianRandomFields() | c.NamedGaussianRandomFields():
                values["correlation_times"] = [f"{seconds!r} s" for seconds in node.correlation_times]
                values["correlation_lengths"] = [f"{metres!r} m" for metres in node.correlation_lengths]
            case c.ExponentialFilter():
                values["tau_seconds"] = f"{node.tau_seconds!r} s"
            case c.DynamicDataForcing():
                values["tolerance"] = f"{node.tolerance!r} s"
            case c.IncrementSSTForcingTransform():
                values["temperature_change"] = f"{node.temperature_change!r} kelvin"
            case c.TruncateSigmaLevels():
                values["sigma_ranges"] = {r.field: (r.lower, r.upper) for r in node.sigma_ranges}
            case c.PerVariableDataFilter():
                values["filters"] = self._nested({entry.field: entry.filter for entry in node.filters})
            case c.InverseShiftAndNormalize():
                values |= {"shifts": self._nested(node.shifts), "scales": self._nested(node.scales)}
        if "predicted" in values:
            known = _DATA if isinstance(node, c.Decoder) else _STATE
            names = (*known, *self._config.tracers)
            values["predicted"] = self._nested({name: name in node.predicted for name in names})
        if isinstance(node, (c.Encoder, c.Decoder)):
            values["units"] = self._units(node.units)
        return name, values

    def _nested(self, entries: Mapping[str, Any]) -> dict[str, Any]:
        """With the tracers in a table of their own."""
        nested = {name: value for name, value in entries.items() if name not in self._config.tracers}
        tracers = {name: value for name, value in entries.items() if name in self._config.tracers}
        return nested | ({"tracers": tracers} if tracers else {})

    def _units(self, units: Mapping[str, str]) -> dict[str, Any]:
        nested = self._nested(units)
        made = {name: nested.pop(name) for name in list(nested) if name not in (*_DATA, "tracers")}
        return nested | ({"diagnostics": made} if made else {})

    def _made(self, configurable: str, **values: Any) -> str:
        self._count += 1
        scope = f"n{self._count}/{configurable}"
        for name, value in values.items():
            self._lines.append(f"{scope}.{name} = {self._shown(name, value)}")
        return f"@{scope}"

    def _shown(self, parameter: str, value: Any) -> str:
        if isinstance(value, _Raw):
            return value.text
        if parameter == "compute_gradients_module":
            return "@ToModalDiffOperators" if value else "@EmptyTransform"
        if parameter in ("activation", "post_encode_activation", "pre_decode_activation", "final_activation"):
            return "None" if value is None else self._activation(value)
        if isinstance(value, c.Node):
            called = isinstance(value, (c.Grid, c.Coordinates, c.SigmaLevels))
            return self._node(value) + ("()" if called else "")
        if isinstance(value, Mapping):
            return "{" + ", ".join(f"{name!r}: {self._shown('', item)}" for name, item in value.items()) + "}"
        if isinstance(value, (tuple, list)):
            return "(" + "".join(f"{self._shown('', item)}, " for item in value) + ")"
        return repr(value)

    def _activation(self, name: str) -> str:
        """The original calls an activation at run time only, where no scope is in force: one gelu for the whole text."""
        if not name.startswith("gelu"):
            return f"@{name}"
        line = f"gelu.approximate = {name == 'gelu_tanh'}"
        if line not in self._lines:
            self._lines.append(line)
        return "@gelu"


@dataclasses.dataclass(frozen=True)
class _Raw:
    """Text as it is."""

    text: str


def _literal(value: Any) -> str:
    return repr(dict(value) if isinstance(value, Mapping) else value)
