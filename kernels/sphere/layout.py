"""Between the folded arrays and the orders that people read: longitude by latitude, rows by total wavenumber.

Works on NumPy and JAX arrays alike. Axes: i longitude, j latitude from south to north, l total wavenumber; columns
last. Row orders of coefficients: "real" 0, +1, -1, +2, -2 ... and "zero_imag" 0, (dead), +1, -1 ..., where +m is the
cosine and -m the sine: the two orders in which NeuralGCM checkpoints were trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sciml.kernels.sphere.geometry import Geometry

if TYPE_CHECKING:
    from sciml.kernels.sphere.plan import Plan

ROWS = ("real", "zero_imag")


def _space(x):
    return np if isinstance(x, np.ndarray) else x.__array_namespace__()


def _geometry(plan: Plan | Geometry) -> Geometry:
    return getattr(plan, "geometry", plan)


def to_standard(plan: Plan | Geometry, z):
    """Values z[*nodal, ...] as [i, j, ...]."""
    geometry = _geometry(plan)
    flat = z.reshape(-1, *z.shape[len(geometry.nodal_shape) :])
    return flat[geometry.representatives]


def from_standard(plan: Plan | Geometry, f):
    """Values f[i, j, ...] as [*nodal, ...]; ValueError for another grid."""
    geometry = _geometry(plan)
    grid = geometry.truncation.nlon, geometry.truncation.nlat
    if f.shape[:2] != grid:
        raise ValueError(f"field of shape {f.shape}; the grid has {grid[0]} longitudes and {grid[1]} latitudes first")
    return f[geometry.points]


def split(plan: Plan | Geometry, x):
    """Folded coefficients x[*modal, ...] as [s, m, l, ...], the order of reference.py."""
    geometry = _geometry(plan)
    t, rest, space = geometry.truncation, x.shape[len(geometry.modal_shape) :], _space(x)
    s, p, q, m, n = geometry.modal_shape
    x = space.moveaxis(x, (0, 3, 2, 4, 1), (0, 1, 2, 3, 4)).reshape(s, q * m, p * n, *rest)
    return x[:, : t.zonal, : t.total]


def join(plan: Plan | Geometry, x):
    """Inverse of `split`; dead entries become 0. Cuts or pads coefficients of another truncation."""
    geometry = _geometry(plan)
    t, rest, space = geometry.truncation, x.shape[3:], _space(x)
    s, p, q, m, n = geometry.modal_shape
    x = x[:, : t.zonal, : t.total]
    pad = [(0, 0), (0, q * m - x.shape[1]), (0, p * n - x.shape[2]), *[(0, 0)] * len(rest)]
    x = space.pad(x, pad).reshape(s, m, q, n, p, *rest)
    x = space.moveaxis(x, (0, 4, 2, 1, 3), (0, 1, 2, 3, 4))
    live = geometry.wavenumbers[2]
    return space.where(live.reshape(*live.shape, *[1] * len(rest)), x, 0)


def resample(source: Plan | Geometry, target: Plan | Geometry, x):
    """Coefficients of one truncation as those of another: cut or padded with zeros.

    With the same parity classes this moves nothing but what is cut.
    """
    a, b = _geometry(source), _geometry(target)
    if (a.hemispheres, a.turns) != (b.hemispheres, b.turns):
        return join(target, split(source, x))
    space, (*_, m, n) = _space(x), b.modal_shape
    x = x[:, :, :, :m, :n]
    pad = [(0, 0)] * 3 + [(0, m - x.shape[3]), (0, n - x.shape[4])] + [(0, 0)] * (x.ndim - 5)
    live = b.wavenumbers[2]
    return space.where(live.reshape(*live.shape, *[1] * (x.ndim - 5)), space.pad(x, pad), 0)


def modal_to_rows(plan: Plan | Geometry, x, kind: str = "real"):
    """Folded coefficients as [row, l, ...] in the row order `kind`."""
    if kind not in ROWS:
        raise ValueError(f"row order {kind!r}; accepted: {', '.join(ROWS)}")
    x, space = split(plan, x), _space(x)
    rows = space.moveaxis(x, 0, 1).reshape(-1, *x.shape[2:])
    return rows if kind == "zero_imag" else space.concatenate([rows[:1], rows[2:]])


def modal_from_rows(plan: Plan | Geometry, rows, kind: str = "real"):
    """Inverse of `modal_to_rows`."""
    if kind not in ROWS:
        raise ValueError(f"row order {kind!r}; accepted: {', '.join(ROWS)}")
    space = _space(rows)
    if kind == "real":
        rows = space.concatenate([rows[:1], space.zeros_like(rows[:1]), rows[1:]])
    return join(plan, space.moveaxis(rows.reshape(-1, 2, *rows.shape[1:]), 1, 0))
