"""The state of a NeuralGCM run in a file: physical fields on the model's layers to look at and to change, and it all.

Written are wind, temperature, tracers and surface pressure on the grid, in SI units, and beside them every array of the
state as it is: spectral coefficients (rows 0, -, +1, -1, ..., see kernels/sphere/layout.py), clock, memory and random
fields. Reading takes the arrays as they are. A physical field that was changed in between, as data assimilation does,
adds the spectral analysis of its *change*: nothing else is touched, and an unchanged file starts exactly where it was
written. With a memory of the previous state the change is added there, too, so that both stay one time step apart.
Axes: [*modal], [*nodal] axes of the plan, e member, k layer; files have number, sigma, latitude, longitude.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from sciml.kernels.sphere import layout, operators, transform
from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.dynamics.state import State
from sciml.pipelines.gcm.fields import grid_fields
from sciml.pipelines.gcm.output.variables import ATTRIBUTES
from sciml.pipelines.gcm.scales import ATMOSPHERIC

_KIND = "sciml NeuralGCM state, version 1"
_ARRAY = "state_array"  # names of the raw arrays begin so
_DIMS = ("number", "sigma", "latitude", "longitude")


# --- arrays by name, for checkpoints and files


def to_tensors(tree: Any) -> dict[str, np.ndarray]:
    """Arrays of a ModelState by name; random keys as their data."""
    found = {}
    for path, x in jax.tree_util.tree_leaves_with_path(tree):
        data = jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
        found[jax.tree_util.keystr(path)] = np.asarray(data)
    return found


def from_tensors(tensors: Mapping[str, np.ndarray], like: Any) -> Any:
    """The ModelState that `tensors` were taken from; `like` has its structure, shapes and types. DataError if not."""
    named, form = jax.tree_util.tree_flatten_with_path(like)
    leaves = []
    for path, leaf in named:
        name = jax.tree_util.keystr(path)
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        shape = tuple(leaf.shape)
        if name not in tensors or tensors[name].shape[: len(shape)] != shape or len(tensors) != len(named):
            raise DataError(
                f"the checkpoint is of another model: {name} is "
                f"{list(tensors[name].shape) if name in tensors else 'missing'}, and {list(shape)} here",
                hint="start a new run without --resume, with the model and --members the state was written with",
            )
        x = jnp.asarray(tensors[name])
        leaves.append(jax.random.wrap_key_data(x) if is_key else x.astype(leaf.dtype))
    return jax.tree.unflatten(form, leaves)


# --- the file


def is_state_file(path: str | Path) -> bool:
    """Whether `path` is a NetCDF-4 file that `write_state` made."""
    path = Path(path)
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        if file.read(4) != b"\x89HDF":
            return False
    import h5py

    with h5py.File(path) as file:
        kind = file.attrs.get("sciml_state", "")
    return (kind.decode() if isinstance(kind, bytes) else str(kind)) == _KIND


def physical(model: Any, state: State) -> dict[str, np.ndarray]:
    """Wind, temperature, tracers [e, k, j, i] and surface pressure [e, j, i] of a modal state, SI units, float32."""
    names = ("u_component_of_wind", "v_component_of_wind", "temperature", *sorted(state.tracers), "surface_pressure")
    found = jax.device_get(_on_grid(model, state))
    rows = {name: np.ascontiguousarray(np.transpose(found[name], (2, 3, 1, 0)), np.float32) for name in names}
    return {name: x[:, 0] if name == "surface_pressure" else x for name, x in rows.items()}


@jax.jit
def _on_grid(model: Any, state: State) -> dict[str, Any]:
    return {name: layout.to_standard(model.plan, x) for name, x in grid_fields(model.equation, state).items()}


def write_state(
    path: Path, model: Any, state: Any, valid: np.datetime64, sea: Mapping[str, Any], attributes: Mapping[str, Any]
) -> None:
    """Write a ModelState valid at a time, with the sea surface [*nodal, 1, 1] it sees; atomically."""
    plan, variables = model.plan, {}
    for name, x in physical(model, state.state).items():
        long_name, standard, unit, _ = ATTRIBUTES[name]
        about = {"long_name": long_name, "standard_name": standard, "units": unit, "sha256": _digest(x)}
        dims = tuple(dim for dim in _DIMS if dim != "sigma" or x.ndim == 4)
        variables[name] = (dims, x, {key: value for key, value in about.items() if value})
    for name, x in sea.items():
        unit = "K" if name == "sea_surface_temperature" else "1"
        field = np.asarray(layout.to_standard(plan, np.asarray(x)))[..., 0, 0].T
        variables[name] = (("latitude", "longitude"), field, {"units": unit})
    for number, (name, x) in enumerate(to_tensors(state).items()):
        rows, modal = _unfolded(plan, x)
        dims = tuple(f"{_ARRAY}_{number}_{axis}" for axis in range(rows.ndim))
        variables[f"{_ARRAY}_{number}"] = (dims, rows, {"path": name, "modal": int(modal)})
    coords = {
        "latitude": ("latitude", plan.latitude, {"units": "degrees_north"}),
        "longitude": ("longitude", plan.longitude, {"units": "degrees_east"}),
        "sigma": ("sigma", np.asarray(model.levels.centers, np.float64), {"units": "1", "positive": "down"}),
        "time": ((), valid.astype("datetime64[ns]")),
    }
    kept = {key: value for key, value in attributes.items() if isinstance(value, str | int | float)}
    ds = xr.Dataset(variables, coords, {"Conventions": "CF-1.11", "sciml_state": _KIND, **kept})
    temporary = path.with_name(path.name + ".tmp")
    try:
        ds.to_netcdf(temporary, engine="h5netcdf")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DataError(f"cannot write {path}: {error.strerror or error}") from None


def read_state(path: str | Path, model: Any, like: Any) -> tuple[Any, np.datetime64, list[str]]:
    """(ModelState, its valid time, physical fields that were changed since it was written).

    `like` has the structure of the model's states for the members wanted. DataError for a file of another model, and
    for a changed field that is not finite.
    """
    path = Path(path)
    with xr.open_dataset(path, engine="h5netcdf") as file:
        ds = file.load()
    tensors = {}
    for variable in ds.data_vars.values():
        if str(variable.name).startswith(_ARRAY):
            x = variable.values
            tensors[variable.attrs["path"]] = _folded(model.plan, x) if variable.attrs["modal"] else x
    try:
        state = from_tensors(tensors, like)
    except (DataError, ValueError) as error:
        sizes = {dim: ds.sizes[dim] for dim in _DIMS if dim in ds.sizes}
        raise DataError(
            f"{path}: a state of another model or number of members ({sizes}): {error}",
            hint=f"use --members {ds.sizes.get('number', 1)} and the model that wrote it",
        ) from None
    changed = [
        name for name, x in ds.data_vars.items() if "sha256" in x.attrs and x.attrs["sha256"] != _digest(x.values)
    ]
    if changed:
        change = _changes(model, state.state, ds, changed, path)
        state = replace(state, state=_added(state.state, change), memory=_added(state.memory, change))
    return state, ds["time"].values.astype("datetime64[s]"), changed


def _digest(x: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(x, np.float32).tobytes()).hexdigest()


def _unfolded(plan: Any, x: np.ndarray) -> tuple[np.ndarray, bool]:
    """Coefficients [*modal, ...] as [row, l, ...], and whether `x` is such."""
    if x.shape[: len(plan.modal_shape)] != plan.modal_shape or x.dtype.kind != "f":
        return x, False
    return np.asarray(layout.modal_to_rows(plan, x, "zero_imag")), True


def _folded(plan: Any, rows: np.ndarray) -> np.ndarray:
    return np.asarray(layout.modal_from_rows(plan, rows, "zero_imag"))


def _added(state: State | None, change: State) -> State | None:
    return None if state is None else jax.tree.map(jnp.add, state, change)


def _changes(model: Any, state: State, ds: xr.Dataset, changed: list[str], path: Path) -> State:
    """The modal change of a state whose fields in the file differ from it, zero but for the fields `changed`."""
    before, after = physical(model, state), {}
    for name, was in before.items():
        values = np.asarray(ds[name].values, np.float32) if name in changed else was
        if values.shape != was.shape or not np.isfinite(values).all():
            raise DataError(
                f"{path}: {name} is {values.shape} with {(~np.isfinite(values)).sum()} values unknown, and the state is "
                f"{was.shape}",
                hint="change values only, and leave none unknown",
            )
        if name == "surface_pressure" and values.min() <= 0:
            raise DataError(f"{path}: surface_pressure of {values.min():g} Pa", hint="it must be positive")
        after[name] = values
    return _analysed(model, state, before, after)


def _analysed(model: Any, state: State, before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> State:
    plan = model.plan

    def nodal(name: str) -> np.ndarray:
        now, was = after[name].astype(np.float64), before[name]
        x = np.log(now / was)[:, None] if name == "surface_pressure" else now - was
        return layout.from_standard(plan, np.ascontiguousarray(np.transpose(x, (3, 2, 0, 1))).astype(np.float32))

    wind = [jnp.asarray(ATMOSPHERIC.nondim(nodal(f"{c}_component_of_wind"), "m s-1")) for c in "uv"]
    vorticity, divergence = operators.vorticity_divergence(plan, *wind)
    return State(
        vorticity=vorticity,
        divergence=divergence,
        temperature_variation=transform.analysis(plan, jnp.asarray(nodal("temperature"))),
        log_surface_pressure=transform.analysis(plan, jnp.asarray(nodal("surface_pressure"))),
        tracers={name: transform.analysis(plan, jnp.asarray(nodal(name))) for name in state.tracers},
    )
