"""Between pressure levels and sigma layers inside the model: columns of analyses in, of forecasts out.

Surface pressure is where the geopotential, linear in pressure and continued without limit, meets the ground. Fields are
linear in pressure; beyond the outermost level they stay constant, but temperature and geopotential on the way out,
which go on linearly: with 32 equal layers all output above 16 hPa is made by that.
Axes: [...] in front, p pressure level and k sigma layer, both from the top (last); pressures and geopotentials without
dimension. Source: Kochkov et al. (2024), Neural general circulation models for weather and climate, supplement C.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jax import Array

from sciml.pipelines.gcm.dynamics.implicit import columns
from sciml.pipelines.gcm.neural.normalization import Fields
from sciml.pipelines.gcm.setups.vertical_regrid import interpolate

LINEAR = ("t", "z")


def surface_pressure(geopotential: Array, pressure: np.ndarray, surface_geopotential: Array) -> Array:
    """Pressure [..., 1] at which the column geopotential [..., p] on ascending pressure [p] meets the surface's [..., 1].

    Where the geopotential is not monotonic, the number of levels above the surface decides, as in the original.
    """
    depth = surface_geopotential - geopotential
    above = jnp.clip((depth <= 0).sum(-1, keepdims=True) - 1, 0, len(pressure) - 2)
    levels = jnp.asarray(pressure, geopotential.dtype)
    high, low = (jnp.take_along_axis(depth, above + n, axis=-1) for n in (0, 1))
    weight = -high / (low - high)
    return levels[above] * (1 - weight) + levels[above + 1] * weight


def to_sigma(fields: Mapping[str, Array], pressure: np.ndarray, surface: Array, sigma: np.ndarray) -> Fields:
    """Fields [..., p] at the centres sigma [k] under surface pressure [..., 1]; constant beyond the levels."""
    target = surface * jnp.asarray(sigma, surface.dtype)
    return {name: interpolate(x, pressure, target, "constant") for name, x in fields.items()}


def to_pressure(fields: Mapping[str, Array], sigma: np.ndarray, surface: Array, pressure: np.ndarray) -> Fields:
    """Fields [..., k] at pressures [p]; "t" and "z" go on linearly beyond the layers, others stay constant."""
    target = jnp.asarray(pressure, surface.dtype) / surface
    return {
        name: interpolate(x, sigma, target, "linear" if name in LINEAR else "constant") for name, x in fields.items()
    }


def geopotential(
    temperature: Array, humidity: Array, surface_geopotential: Array, height: Array, gas_ratio: float
) -> Array:
    """Geopotential [..., k] of the layers from T [..., k] and q [..., k]; height [k, k] is G^T, gas_ratio R_v/R - 1.

    NOTE: cloud water does not weigh here, though it does in the pressure gradient of the dynamics.
    """
    return surface_geopotential + columns(temperature * (1 + gas_ratio * humidity), height)
