"""Synthesis and analysis as three batched matrix products: Legendre, Fourier, butterfly.

    y[s,p,q,m',j',n] = P x      over l', batches (s, p, q, m')
    f[s,p,q,r,j',n]  = F y      over m' (and s, where the mirror is not folded), batches (p, q)
    z[g,r,j',n]      = H f      the signs of the symmetry copies

Columns come last throughout, so that every sum is a matrix product without a transpose; the analysis is the transpose
of the three with the quadrature weights in its tables. Source: the parity of the harmonics, as in ecTrans.
"""

import jax.numpy as jnp
from jax import Array, lax
from jax.sharding import NamedSharding, PartitionSpec

from sciml.kernels.sphere.plan import How, Plan
from sciml.kernels.sphere.primitive import linear_pair


def _dot(subscripts: str, a: Array, b: Array, how: How) -> Array:
    precision = {"BF16_BF16_F32_X3": "BF16_BF16_F32_X3", "TF32": lax.Precision.HIGH}.get(
        how.precision, lax.Precision.HIGHEST
    )
    return jnp.einsum(subscripts, a, b, precision=precision)


def _shared(x: Array, axis: int, how: How) -> Array:
    """`x` with `axis` shared by the devices of the mesh."""
    if how.mesh is None:
        return x
    spec = [PartitionSpec.UNCONSTRAINED] * x.ndim
    spec[axis] = how.axis
    for other in range(6 if x.ndim == 6 else x.ndim - 1):
        if other != axis and other < x.ndim - 1:
            spec[other] = None
    return lax.with_sharding_constraint(x, NamedSharding(how.mesh, PartitionSpec(*spec)))


def _butterfly(table: Array, x: Array, how: How, *, transpose: bool) -> Array:
    """Signs applied over the leading axis; a dot on a CPU, where sums of slices are 3 times slower, additions else."""
    flat = x.reshape(x.shape[0], -1)
    if how.dot_butterfly:
        return _dot("gb,gk->bk" if transpose else "gb,bk->gk", table, flat, how)
    signs = how.geometry.signs.T if transpose else how.geometry.signs
    rows = [sum(float(sign) * flat[n] for n, sign in enumerate(row) if sign) for row in signs]
    return jnp.stack(rows)


def _zonal_mean(legendre: Array, x: Array, y: Array, subscripts: str, how: How) -> Array:
    """`y` with its m = 0 part computed in full float32: the mean state must not lose bits to the fast passes."""
    if how.precision != "BF16_BF16_F32_X3" or how.dot_butterfly:
        return y
    exact = jnp.einsum(subscripts, legendre[:, :, :1, :1], x[:, :, :1, :1], precision=lax.Precision.HIGHEST)
    return y.at[:, :, :1, :1].set(exact)


def _synthesise(x: Array, legendre: Array, fourier: Array, butterfly: Array, *hemisphere: Array, how: How) -> Array:
    geometry, n = how.geometry, x.shape[-1]
    (s, p, q, m, _), (g, r, j) = geometry.modal_shape, geometry.nodal_shape
    x = _shared(x, 3, how)
    y = _zonal_mean(legendre, x, _dot("spqmjl,spqmln->spqmjn", legendre, x, how), "spqmjl,spqmln->spqmjn", how)
    if hemisphere:
        y = _dot("hpm,spqmjn->shqmjn", hemisphere[0], y, how)
    y = _shared(_shared(y, 3, how), 4, how)
    if geometry.mirrors == 2:
        f = _dot("spqrm,spqmk->spqrk", fourier, y.reshape(s, p, q, m, -1), how)
    else:
        y = y.transpose(1, 2, 0, 3, 4, 5).reshape(p, q, s * m, -1)
        f = _dot("pqrm,pqmk->pqrk", fourier, y, how)
    return _butterfly(butterfly, f.reshape(butterfly.shape[1], -1), how, transpose=False).reshape(g, r, j, n)


def _gather(z: Array, legendre: Array, fourier: Array, butterfly: Array, *hemisphere: Array, how: How) -> Array:
    geometry, n = how.geometry, z.shape[-1]
    (s, p, q, m, _), (g, r, j) = geometry.modal_shape, geometry.nodal_shape
    z = _shared(z, 2, how)
    f = _butterfly(butterfly, z.reshape(g, -1), how, transpose=True)
    if geometry.mirrors == 2:
        y = _dot("spqrm,spqrk->spqmk", fourier, f.reshape(s, p, q, r, -1), how)
    else:
        y = _dot("pqrm,pqrk->pqmk", fourier, f.reshape(p, q, r, -1), how)
        y = y.reshape(p, q, s, m, j, n).transpose(2, 0, 1, 3, 4, 5)
    y = _shared(_shared(y.reshape(s, p, q, m, j, n), 4, how), 3, how)
    if hemisphere:
        y = _dot("hpm,shqmjn->spqmjn", hemisphere[0], y, how)
    return _zonal_mean(legendre, y, _dot("spqmjl,spqmjn->spqmln", legendre, y, how), "spqmjl,spqmjn->spqmln", how)


_synthesis, _adjoint = linear_pair("sphere_synthesis", _synthesise, _gather)


def _checked(x: Array, shape: tuple[int, ...], what: str) -> Array:
    if x.shape[: len(shape)] != shape:
        raise ValueError(f"{what} has shape {x.shape}; its leading axes must be {shape}, columns after them")
    return x.reshape(*shape, -1)


def _apply(
    function, x: Array, tables: tuple, plan: Plan, inner: tuple[int, ...], outer: tuple[int, ...], what: str
) -> Array:
    flat = _checked(x, inner, what)
    if plan.tables.hemisphere is not None:
        tables = (*tables, plan.tables.hemisphere)
    return function(flat.astype(plan.dtype), *tables, how=plan.how).reshape(*outer, *x.shape[len(inner) :])


def synthesis(plan: Plan, x: Array) -> Array:
    """Coefficients x[*modal, ...] to values [*nodal, ...]; dead coefficients are ignored unless they are NaN."""
    t = plan.tables
    return _apply(
        _synthesis, x, (t.legendre, t.fourier, t.butterfly), plan, plan.modal_shape, plan.nodal_shape, "modal array"
    )


def adjoint(plan: Plan, z: Array) -> Array:
    """Transpose of `synthesis`: values z[*nodal, ...] to [*modal, ...] without quadrature weights."""
    t = plan.tables
    return _apply(
        _adjoint, z, (t.legendre, t.fourier, t.butterfly), plan, plan.nodal_shape, plan.modal_shape, "nodal array"
    )


def analysis(plan: Plan, z: Array) -> Array:
    """Values z[*nodal, ...] to coefficients [*modal, ...]; exactly 0 at dead coefficients."""
    t = plan.tables
    return _apply(
        _adjoint,
        z,
        (t.legendre_weighted, t.fourier_weighted, t.butterfly),
        plan,
        plan.nodal_shape,
        plan.modal_shape,
        "nodal array",
    )
