"""The fixed fields of a checkpoint: surface geopotential and land-sea mask on the model's data grid.

Axes: [i, j] longitude from 0 E eastwards, latitude from south to north.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint.config import DataCoordinates, Grid

FIELDS = ("geopotential_at_surface", "land_sea_mask")
_UNITS = {
    "geopotential_at_surface": ("m**2 s**-2", "m2 s-2", "m^2 s^-2", "m**2/s**2", "meter ** 2 / second ** 2"),
    "land_sea_mask": ("(0 - 1)", "1", "dimensionless", ""),
}
_ALLOWED = 1e-3  # degrees between the file's coordinates and the grid's


@dataclass(frozen=True)
class Aux:
    """Coordinates [degrees, hPa] and fixed fields, values and dtypes as the checkpoint has them."""

    longitude: np.ndarray
    latitude: np.ndarray
    level: np.ndarray
    fields: Mapping[str, np.ndarray] = field(default_factory=dict)  # name -> [i, j]

    @property
    def nodes(self) -> tuple[int, int]:
        """(longitudes, latitudes)."""
        return self.longitude.size, self.latitude.size

    @property
    def latitude_spacing(self) -> str:
        """As the original infers it: equal steps are equiangular, with poles if the last is at 90 N, others Gaussian."""
        steps = np.diff(self.latitude)
        if not np.allclose(steps, steps[0]):
            return "gauss"
        return "equiangular_with_poles" if np.isclose(self.latitude.max(), 90) else "equiangular"


def read_aux(given: Any, *, source: str) -> Aux:
    """From the dict form of an xarray Dataset (`to_dict`), dimensions in any order, arrays or lists.

    Raises:
      DataError: a coordinate or field is missing, of wrong units, shape or order, or not finite; the message names it.
    """
    if not isinstance(given, Mapping) or not all(isinstance(given.get(g), Mapping) for g in ("coords", "data_vars")):
        raise DataError(f"{source}: aux_ds_dict is not the dict form of a dataset (coords, data_vars)")
    coords = {name: _values(given["coords"], name, (name,), source) for name in ("longitude", "latitude", "level")}
    if coords["latitude"].size < 2 or (np.diff(coords["latitude"]) <= 0).any():
        raise DataError(f"{source}: latitudes of the fixed fields must go from south to north")
    return Aux(**coords, fields={name: _field(given["data_vars"], name, coords, source) for name in FIELDS})


def _field(entries: Mapping, name: str, coords: dict[str, np.ndarray], source: str) -> np.ndarray:
    values = _values(entries, name, ("longitude", "latitude"), source)
    units = (entries[name].get("attrs") or {}).get("units", "")
    if units not in _UNITS[name]:
        raise DataError(f'{source}: {name} is in "{units}"; accepted: {", ".join(_UNITS[name])}')
    if values.shape != (coords["longitude"].size, coords["latitude"].size):
        raise DataError(f"{source}: {name} has shape {values.shape}, its coordinates another")
    return values


def _values(entries: Mapping, name: str, dims: tuple[str, ...], source: str) -> np.ndarray:
    entry = entries.get(name)
    if not isinstance(entry, Mapping) or "data" not in entry:
        raise DataError(
            f"{source}: the fixed fields lack {name}; they hold {', '.join(map(str, entries)) or 'nothing'}"
        )
    try:
        values = np.asarray(entry["data"])
    except ValueError as error:
        raise DataError(f"{source}: {name} is no array: {error}") from error
    if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise DataError(f"{source}: {name} holds values that are no finite numbers")
    order = tuple(entry.get("dims", ()))
    if sorted(map(str, order)) != sorted(dims) or values.ndim != len(dims):
        raise DataError(f"{source}: {name} has dimensions {order}; wanted {dims}")
    return np.transpose(values, [order.index(dim) for dim in dims])


def check_grid(aux: Aux, data: DataCoordinates, *, source: str) -> None:
    """The coordinates are those of the data grid.

    Raises:
      DataError: they are not.
    """
    sizes = (data.grid.longitude_nodes, data.grid.latitude_nodes)
    if aux.nodes != sizes:
        raise DataError(f"{source}: {aux.nodes[0]} x {aux.nodes[1]} points, the grid has {sizes[0]} x {sizes[1]}")
    longitude, latitude = nodes_of(data.grid)
    for name, given, wanted in (("longitude", aux.longitude, longitude), ("latitude", aux.latitude, latitude)):
        if np.abs(given - wanted).max() > _ALLOWED:
            raise DataError(
                f"{source}: {name} of the fixed fields is not that of the {data.grid.latitude_spacing} grid"
            )


def nodes_of(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Longitudes and latitudes [degrees] of the grid points."""
    longitude = np.arange(grid.longitude_nodes) * (360 / grid.longitude_nodes) + np.rad2deg(grid.longitude_offset)
    n = grid.latitude_nodes
    if grid.latitude_spacing == "gauss":
        latitude = np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(n)[0]))
    elif grid.latitude_spacing == "equiangular":
        latitude = (np.arange(n) + 0.5) * (180 / n) - 90
    else:
        latitude = np.linspace(-90, 90, n)
    return longitude, latitude
