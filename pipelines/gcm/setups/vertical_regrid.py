"""Between pressure levels and sigma layers, along the last axis, linear in pressure, geopotential hydrostatic.

Three ways to go on beyond the outermost values, each where it belongs: linear without limit (pressure at the surface
from geopotential), constant (wind and tracers, and everything on the way in), and conservative overlap between two sets
of layers. Works on NumPy and JAX arrays. Axes: k level of the source, n level of the target (last); all else in front.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

EXTRAPOLATIONS = ("constant", "linear")


def _space(*arrays: Any) -> Any:
    return jnp if any(isinstance(x, jax.Array) for x in arrays) else np


def _between(source: np.ndarray, target: Any, dtype: Any) -> tuple[Any, Any]:
    """(index of the upper neighbour, weight of the lower one) of `target` [..., n] among ascending `source` [k]."""
    space = _space(target)
    below = sum((target >= level).astype(np.int32) for level in source[1:-1]) if len(source) > 2 else 0 * target
    below = space.asarray(below, dtype=np.int32)
    start = space.asarray(source, dtype=dtype)
    return below, (target - start[below]) / (start[below + 1] - start[below])


def _neighbours(x: Any, below: Any) -> tuple[Any, Any]:
    """The values of `x` [..., k] at `below` [..., n] and one level further down."""
    space = _space(x, below)
    below = space.broadcast_to(below, (*x.shape[:-1], below.shape[-1]))
    return tuple(space.take_along_axis(x, index, axis=-1) for index in (below, below + 1))


def interpolate(x: Any, source: np.ndarray, target: Any, extrapolation: str = "constant") -> Any:
    """`x` [..., k] known at ascending `source` [k], linearly interpolated at `target` [..., n].

    ValueError unless `source` ascends, or for another extrapolation than constant or linear.
    """
    source = np.asarray(source)
    if source.ndim != 1 or len(source) < 2 or not np.all(np.diff(source) > 0):
        raise ValueError(f"levels {source} do not ascend")
    if extrapolation not in EXTRAPOLATIONS:
        raise ValueError(f"extrapolation {extrapolation!r}; accepted: {', '.join(EXTRAPOLATIONS)}")
    below, weight = _between(source, target, x.dtype)
    if extrapolation == "constant":
        weight = weight.clip(0.0, 1.0)
    lower, upper = _neighbours(x, below)
    return lower + weight * (upper - lower)


def hydrostatic(geopotential: Any, heat: Any, sigma: np.ndarray, target: Any) -> Any:
    """Geopotential at `target` [..., n] from that of the layers' centres `sigma` [k], both p / ps; constant beyond.

    heat [..., k] is R T_v. Taken linear in ln p between centres, its integral is the one the layers' geopotential is
    made of: exact at both ends, where an interpolation linear in p is 600 m too high at 50 hPa of 24 layers.
    """
    depth = np.log(sigma)
    below, weight = _between(depth, _space(target).log(target), geopotential.dtype)
    weight = weight.clip(0.0, 1.0)
    (lower, upper), (above, under) = (_neighbours(x, below) for x in (geopotential, heat))
    step = _space(below).asarray(np.diff(depth), dtype=geopotential.dtype)[below]
    return lower + weight * (upper - lower) + 0.5 * step * weight * (1 - weight) * (under - above)


def surface_pressure(
    geopotential: np.ndarray, pressure: np.ndarray, surface_geopotential: np.ndarray, logarithmic: bool = False
) -> np.ndarray:
    """Pressure [..., 1] at which the column `geopotential` [..., k] on ascending `pressure` [k] meets the surface.

    Linear in geopotential between levels, and below the lowest one from the slope of the last two; units of `pressure`.
    With `logarithmic` ln p is: in 13 levels the chord of p lies up to 80 Pa above the hydrostatic curve.
    """
    if logarithmic:
        return np.exp(surface_pressure(geopotential, np.log(pressure), surface_geopotential))
    count = (geopotential > surface_geopotential).sum(-1, keepdims=True)  # levels above the surface come first
    above = np.clip(count - 1, 0, len(pressure) - 2)
    high, low = (np.take_along_axis(geopotential, above + n, axis=-1) for n in (0, 1))
    weight = (high - surface_geopotential) / (high - low)
    return pressure[above] + weight * (pressure[above + 1] - pressure[above])


def pressure_to_sigma(x: np.ndarray, pressure: np.ndarray, surface: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """`x` [..., k] on ascending pressure [k] at sigma [n], surface pressure [..., 1]; constant beyond the data."""
    return interpolate(x, pressure, surface * sigma)


def sigma_to_pressure(x: Any, sigma: np.ndarray, surface: Any, pressure: np.ndarray, extrapolation: str) -> Any:
    """`x` [..., k] on layers sigma [k] at pressures [n], surface pressure [..., 1] in the same unit."""
    return interpolate(x, sigma, np.asarray(pressure, dtype=x.dtype) / surface, extrapolation)


def overlap_weights(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Weights [n, k] of the means over target layers from the means over source layers, from ascending boundaries.

    Each row sums to 1 where the target layer lies inside the source; ValueError where one lies outside.
    """
    source, target = (np.asarray(edges, dtype=np.float64) for edges in (source, target))
    top = np.maximum(target[:-1, None], source[None, :-1])
    bottom = np.minimum(target[1:, None], source[None, 1:])
    shared = np.maximum(bottom - top, 0.0)
    total = shared.sum(-1, keepdims=True)
    if not np.all(total > 0):
        raise ValueError(f"layers between {target} are not covered by those between {source}")
    return shared / total
