"""From one global grid of longitudes and latitudes to another, with separable weights in float64.

Conservative: the value of a target cell is the mean over the source cells it overlaps, by area, which keeps the global
mean; a cell reaches half way to its neighbours, and to the poles. Bilinear: between the four surrounding points,
periodic in longitude and constant from the last latitude to the pole.
Axes: i longitude, j latitude in degrees; fields are [i, j, ...].
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

METHODS = ("conservative", "bilinear")


def _latitude_bounds(latitude: np.ndarray) -> np.ndarray:
    """sin of the cell boundaries [j + 1] of ascending `latitude` [j] in degrees."""
    middle = (latitude[1:] + latitude[:-1]) / 2
    return np.sin(np.radians(np.concatenate([[-90.0], middle, [90.0]])))


def _longitude_bounds(longitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """West and east boundary [i] of the cells of ascending `longitude` [i] in degrees, within one turn."""
    before = np.concatenate([longitude[-1:] - 360.0, longitude[:-1]])
    after = np.concatenate([longitude[1:], longitude[:1] + 360.0])
    return (before + longitude) / 2, (longitude + after) / 2


def _conservative_latitude(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    s, t = _latitude_bounds(source), _latitude_bounds(target)
    shared = np.minimum(t[1:, None], s[None, 1:]) - np.maximum(t[:-1, None], s[None, :-1])
    return np.maximum(shared, 0.0) / np.diff(t)[:, None]


def _conservative_longitude(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    (west, east), (left, right) = _longitude_bounds(source), _longitude_bounds(target)
    weights = np.zeros((len(target), len(source)))
    for turn in (-720.0, -360.0, 0.0, 360.0, 720.0):
        shared = np.minimum(right[:, None], east + turn) - np.maximum(left[:, None], west + turn)
        weights += np.maximum(shared, 0.0)
    return weights / (right - left)[:, None]


def _linear(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Weights [n, k] of linear interpolation from ascending `source` [k], constant outside."""
    below = np.clip(np.searchsorted(source, target, side="right") - 1, 0, len(source) - 2)
    share = np.clip((target - source[below]) / (source[below + 1] - source[below]), 0.0, 1.0)
    weights = np.zeros((len(target), len(source)))
    row = np.arange(len(target))
    weights[row, below] = 1 - share
    weights[row, below + 1] += share
    return weights


def _bilinear_longitude(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    around = np.concatenate([source[-1:] - 360.0, source, source[:1] + 360.0])
    weights = _linear(around, np.remainder(target - around[0], 360.0) + around[0])
    inner = weights[:, 1:-1]
    inner[:, -1] += weights[:, 0]
    inner[:, 0] += weights[:, -1]
    return inner


def check_axes(longitude: np.ndarray, latitude: np.ndarray) -> None:
    """ValueError unless both ascend, the longitudes within one turn and the latitudes within the poles."""
    if longitude.ndim != 1 or len(longitude) < 2 or not np.all(np.diff(longitude) > 0):
        raise ValueError(f"longitudes do not ascend: {longitude[:5]} ...")
    if longitude[-1] - longitude[0] >= 360.0:
        raise ValueError(f"longitudes from {longitude[0]:g} to {longitude[-1]:g} cover more than one turn")
    if latitude.ndim != 1 or len(latitude) < 2 or not np.all(np.diff(latitude) > 0):
        raise ValueError(f"latitudes do not ascend: {latitude[:5]} ...")
    if latitude[0] < -90.001 or latitude[-1] > 90.001:
        raise ValueError(f"latitudes from {latitude[0]:g} to {latitude[-1]:g} leave the sphere")


@dataclass(frozen=True)
class Regridder:
    """Weights of a map between two grids: longitude [i_target, i_source] and latitude [j_target, j_source]."""

    longitude: np.ndarray
    latitude: np.ndarray

    def __call__(self, field: np.ndarray, skipna: bool = False) -> np.ndarray:
        """`field` [i, j, ...] on the target grid, float64.

        With `skipna` the mean over the known part of a cell, else NaN wherever an unknown value has weight.
        """
        known = np.isfinite(field)
        if known.all():
            return self._map(np.asarray(field, dtype=np.float64))
        share = self._map(known.astype(np.float64))
        total = self._map(np.where(known, field, 0.0))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(share > (1e-9 if skipna else 1 - 1e-6), total / share, np.nan)

    def _map(self, field: np.ndarray) -> np.ndarray:
        rows = np.tensordot(self.longitude, field, axes=(1, 0))
        return np.moveaxis(np.tensordot(self.latitude, rows, axes=(1, 1)), 0, 1)


def regridder(
    source: tuple[np.ndarray, np.ndarray], target: tuple[np.ndarray, np.ndarray], method: str = "conservative"
) -> Regridder:
    """The map from grid `source` to grid `target`, each (longitude [i], latitude [j]) ascending in degrees.

    ValueError for axes that do not ascend or leave the sphere, and for another method than those in METHODS.
    """
    if method not in METHODS:
        raise ValueError(f"method {method!r}; accepted: {', '.join(METHODS)}")
    for axes in (source, target):
        check_axes(*(np.asarray(axis, dtype=np.float64) for axis in axes))
    (lon, lat), (to_lon, to_lat) = ([np.asarray(axis, dtype=np.float64) for axis in axes] for axes in (source, target))
    if method == "conservative":
        return Regridder(_conservative_longitude(lon, to_lon), _conservative_latitude(lat, to_lat))
    return Regridder(_bilinear_longitude(lon, to_lon), _linear(lat, to_lat))


def fill_nan_with_nearest(field: np.ndarray, longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """`field` [i, j, ...] with every NaN replaced by the nearest known value on the sphere of its own [i, j] layer.

    ValueError for a layer without any known value.
    """
    lon, lat = np.meshgrid(np.radians(longitude), np.radians(latitude), indexing="ij")
    points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1).reshape(-1, 3)
    layers = np.array(field, dtype=np.float64).reshape(len(points), -1)
    for layer in layers.T:
        unknown = np.isnan(layer)
        if unknown.all():
            raise ValueError("a field without any known value cannot be filled")
        if unknown.any():
            layer[unknown] = layer[~unknown][cKDTree(points[~unknown]).query(points[unknown])[1]]
    return layers.reshape(field.shape)
