"""Spectral operators on folded coefficients x[*modal, ...]: derivatives, Laplacian, wind from vorticity and divergence.

A derivative by longitude swaps cosine and sine; cos(lat) d/dlat couples l with l - 1 and l + 1, which lie in the other
parity class p. Vectors are weighted by cos(lat). Radius 1. Source: the recursions of the Legendre functions.
"""

import jax.numpy as jnp
from jax import Array

from sciml.kernels.sphere import transform
from sciml.kernels.sphere.plan import Plan


def _table(plan: Plan, name: str, x: Array) -> Array:
    table = plan.operators[name]
    return table.reshape(*table.shape[:-1], *[1] * (x.ndim - table.ndim + 1))


def _neighbours(down: Array, up: Array) -> Array:
    """Sum of `down` moved to l - 1 and `up` moved to l + 1."""
    if down.shape[1] == 1:
        zero = jnp.zeros_like(down[:, :, :, :, :1])
        return jnp.concatenate([down[:, :, :, :, 1:], zero], 4) + jnp.concatenate([zero, up[:, :, :, :, :-1]], 4)
    zero = jnp.zeros_like(down[:, 0, :, :, :1])
    even = down[:, 1] + jnp.concatenate([zero, up[:, 1, :, :, :-1]], 3)
    odd = jnp.concatenate([down[:, 0, :, :, 1:], zero], 3) + up[:, 0]
    return jnp.stack([even, odd], 1)


def d_dlon(plan: Plan, x: Array) -> Array:
    """Derivative by longitude."""
    return _table(plan, "zonal", x) * x[::-1]


def cos_lat_d_dlat(plan: Plan, x: Array) -> Array:
    """cos(lat) d/dlat; what would land beyond the last total wavenumber is dropped."""
    return _neighbours(_table(plan, "gradient_down", x) * x, _table(plan, "gradient_up", x) * x)


def sec_lat_d_dlat_cos2(plan: Plan, x: Array) -> Array:
    """1/cos(lat) d/dlat of cos(lat)^2 times the field."""
    return _neighbours(_table(plan, "divergence_down", x) * x, _table(plan, "divergence_up", x) * x)


def laplacian(plan: Plan, x: Array) -> Array:
    """Laplacian: times -l (l + 1)."""
    return _table(plan, "laplacian", x) * x


def inverse_laplacian(plan: Plan, x: Array) -> Array:
    """Inverse of the Laplacian with global mean 0."""
    return _table(plan, "inverse_laplacian", x) * x


def clip(plan: Plan, x: Array, n: int = 1) -> Array:
    """Zero in the largest `n` total wavenumbers."""
    keep = plan.mask & (plan.total_wavenumber < plan.truncation.total - n)
    return jnp.where(keep.reshape(*keep.shape, *[1] * (x.ndim - keep.ndim)), x, 0)


def cos_lat_gradient(plan: Plan, x: Array) -> tuple[Array, Array]:
    """cos(lat) times the gradient: (eastward, northward)."""
    return d_dlon(plan, x), cos_lat_d_dlat(plan, x)


def divergence_cos_lat(plan: Plan, vector: tuple[Array, Array]) -> Array:
    """Divergence of v where `vector` holds the coefficients of v / cos(lat), i.e. of cos(lat) v over cos(lat)^2."""
    u, v = vector
    return d_dlon(plan, u) + sec_lat_d_dlat_cos2(plan, v)


def curl_cos_lat(plan: Plan, vector: tuple[Array, Array]) -> Array:
    """Vertical component of the curl; `vector` as in `divergence_cos_lat`."""
    u, v = vector
    return d_dlon(plan, v) - sec_lat_d_dlat_cos2(plan, u)


def cos_lat_wind(plan: Plan, vorticity: Array, divergence: Array) -> tuple[Array, Array]:
    """cos(lat) (u, v) as coefficients from vorticity and divergence."""
    stream, potential = inverse_laplacian(plan, vorticity), inverse_laplacian(plan, divergence)
    u = d_dlon(plan, potential) - cos_lat_d_dlat(plan, stream)
    v = cos_lat_d_dlat(plan, potential) + d_dlon(plan, stream)
    return u, v


def vorticity_divergence(plan: Plan, u: Array, v: Array) -> tuple[Array, Array]:
    """Coefficients of vorticity and divergence of the wind u, v[*nodal, ...], largest total wavenumber zero."""
    sec = plan.rows(plan.cos_lat * plan.sec2_lat, u.ndim)
    n = u.reshape(*plan.nodal_shape, -1).shape[-1]
    both = jnp.concatenate([(a * sec).reshape(*plan.nodal_shape, -1) for a in (u, v)], -1)
    x = transform.analysis(plan, both)
    parts = [a.reshape(*plan.modal_shape, *u.shape[len(plan.nodal_shape) :]) for a in (x[..., :n], x[..., n:])]
    return clip(plan, curl_cos_lat(plan, parts)), clip(plan, divergence_cos_lat(plan, parts))
