"""Synthesis and analysis as three batched matrix products: Legendre, Fourier, butterfly.

    y[s,p,q,m',j',n] = P x      over l', batches (s, p, q, m')
    f[s,p,q,r,j',n]  = F y      over m' (and s, where the mirror is not folded), batches (p, q)
    z[g,r,j',n]      = H f      the signs of the symmetry copies

Columns come last throughout, so that every sum is a matrix product without a transpose; the analysis is the transpose
of the three with the quadrature weights in its tables. Those are stored the other way round, summed index last: read
along the wrong axis the same products take 1.3 to 2 times the CPU time. Source: the parity of the harmonics, as in
ecTrans.

On a CPU compiled code does the same in one pass over memory where it was built (compiled.py); what follows is for the
rest: accelerators, several devices, other folds. On several devices the coefficients are shared by m' and the values by
j': the first sum is then local, so are the other two, and in between one all-to-all swaps the shared axis.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.sharding import PartitionSpec

from sciml.kernels.sphere import compiled
from sciml.kernels.sphere.plan import How, Plan
from sciml.kernels.sphere.primitive import linear_pair


def _dot(subscripts: str, a: Array, b: Array, how: How) -> Array:
    precision = {"BF16_BF16_F32_X3": "BF16_BF16_F32_X3", "TF32": lax.Precision.HIGH}.get(
        how.precision, lax.Precision.HIGHEST
    )
    return jnp.einsum(subscripts, a, b, precision=precision)


def _on_devices(function, x: Array, tables: tuple[Array, ...], specs: tuple, how: How) -> Array:
    """`function` on the share that each device of the mesh holds; `specs` of x and of the result, without columns.

    Further axes of the mesh share the columns where they divide them; left to the compiler, they would be gathered for
    the exchange.
    """
    if how.mesh is None:
        return function(x, *tables)
    others = tuple(name for name in how.mesh.axis_names if name != how.axis)
    columns = others if x.shape[-1] % math.prod(how.mesh.shape[name] for name in others) == 0 else None
    held, result = (
        PartitionSpec(*spec, *[None] * (axes - len(spec)), columns)
        for spec, axes in zip(specs, (x.ndim - 1, 9 - x.ndim), strict=True)
    )
    return jax.shard_map(function, mesh=how.mesh, in_specs=(held, *how.table_specs[: len(tables)]), out_specs=result)(
        x, *tables
    )


def _swap(y: Array, split: int, join: int, how: How) -> Array:
    """y[s, p, q, m', j', n] shared along axis `split` from now on, no longer along `join`."""
    if how.axis is None:
        return y
    return lax.all_to_all(y, how.axis, split, join, tiled=True)


def _butterfly(table: Array, x: Array, how: How, *, transpose: bool) -> Array:
    """Signs applied over the leading axis; a dot on a CPU, where sums of slices are 3 times slower, additions else."""
    if how.dot_butterfly:
        return _dot("gb,grjn->brjn" if transpose else "gb,brjn->grjn", table, x, how)
    signs = how.geometry.signs.T if transpose else how.geometry.signs
    return jnp.stack([sum(float(sign) * x[n] for n, sign in enumerate(row) if sign) for row in signs])


def _legendre_sum(subscripts: str, legendre: Array, x: Array, how: How) -> Array:
    """The Legendre product, with m = 0 in full float32: the mean state must not lose bits to the fast passes."""
    y = _dot(subscripts, legendre, x, how)
    if how.precision != "BF16_BF16_F32_X3" or how.dot_butterfly:
        return y
    exact = jnp.einsum(subscripts, legendre[:, :, :1, :1], x[:, :, :1, :1], precision=lax.Precision.HIGHEST)
    return y.at[:, :, :1, :1].set(exact)


def _local_synthesis(
    x: Array, legendre: Array, fourier: Array, butterfly: Array, *hemisphere: Array, how: How, flipped: bool
) -> Array:
    jl, rm = ("lj", "mr") if flipped else ("jl", "rm")
    y = _legendre_sum(f"spqm{jl},spqmln->spqmjn", legendre, x, how)
    if hemisphere:
        y = _dot("hpm,spqmjn->shqmjn", hemisphere[0], y, how)
    y = _swap(y, 4, 3, how)
    if how.geometry.mirrors == 2:
        f = _dot(f"spq{rm},spqmjn->spqrjn", fourier, y, how)
    else:
        s, p, q, m, *columns = y.shape
        y = y.transpose(1, 2, 0, 3, 4, 5).reshape(p, q, s * m, *columns)
        f = _dot(f"pq{rm},pqmjn->pqrjn", fourier, y, how)
    return _butterfly(butterfly, f.reshape(butterfly.shape[1], *f.shape[-3:]), how, transpose=False)


def _local_gather(
    z: Array, legendre: Array, fourier: Array, butterfly: Array, *hemisphere: Array, how: How, flipped: bool
) -> Array:
    s, p, q, m, _ = how.geometry.modal_shape
    jl, rm = ("lj", "mr") if flipped else ("jl", "rm")
    f = _butterfly(butterfly, z, how, transpose=True)
    if how.geometry.mirrors == 2:
        y = _dot(f"spq{rm},spqrjn->spqmjn", fourier, f.reshape(s, p, q, *z.shape[1:]), how)
    else:
        y = _dot(f"pq{rm},pqrjn->pqmjn", fourier, f.reshape(p, q, *z.shape[1:]), how)
        y = y.reshape(p, q, s, m, *z.shape[2:]).transpose(2, 0, 1, 3, 4, 5)
    y = _swap(y, 3, 4, how)
    if hemisphere:
        y = _dot("hpm,shqmjn->spqmjn", hemisphere[0], y, how)
    return _legendre_sum(f"spqm{jl},spqmjn->spqmln", legendre, y, how)


def _synthesise(x: Array, *tables: Array, how: How, flipped: bool) -> Array:
    function = partial(_local_synthesis, how=how, flipped=flipped)
    if how.compiled and x.shape[-1] >= compiled.LEAST_COLUMNS:
        function = partial(compiled.synthesis, geometry=how.geometry, flipped=flipped)
    return _on_devices(function, x, tables, (how.modal_spec, how.nodal_spec), how)


def _gather(z: Array, *tables: Array, how: How, flipped: bool) -> Array:
    function = partial(_local_gather, how=how, flipped=flipped)
    if how.compiled and z.shape[-1] >= compiled.LEAST_COLUMNS:
        function = partial(compiled.gather, geometry=how.geometry, flipped=flipped)
    return _on_devices(function, z, tables, (how.nodal_spec, how.modal_spec), how)


_synthesis, _adjoint = linear_pair("sphere_synthesis", _synthesise, _gather)


def _checked(x: Array, shape: tuple[int, ...], what: str) -> Array:
    if x.shape[: len(shape)] != shape:
        raise ValueError(f"{what} has shape {x.shape}; its leading axes must be {shape}, columns after them")
    return x.reshape(*shape, -1)


def _apply(
    function, x: Array, tables: tuple, plan: Plan, inner: tuple[int, ...], outer: tuple[int, ...], flipped: bool = False
) -> Array:
    flat = _checked(x, inner, "modal array" if inner == plan.modal_shape else "nodal array")
    if plan.tables.hemisphere is not None:
        tables = (*tables, plan.tables.hemisphere)
    return function(flat.astype(plan.dtype), *tables, how=plan.how, flipped=flipped).reshape(
        *outer, *x.shape[len(inner) :]
    )


def synthesis(plan: Plan, x: Array) -> Array:
    """Coefficients x[*modal, ...] to values [*nodal, ...]; dead coefficients are ignored unless they are NaN."""
    t = plan.tables
    return _apply(_synthesis, x, (t.legendre, t.fourier, t.butterfly), plan, plan.modal_shape, plan.nodal_shape)


def adjoint(plan: Plan, z: Array) -> Array:
    """Transpose of `synthesis`: values z[*nodal, ...] to [*modal, ...] without quadrature weights."""
    t = plan.tables
    return _apply(_adjoint, z, (t.legendre, t.fourier, t.butterfly), plan, plan.nodal_shape, plan.modal_shape)


def analysis(plan: Plan, z: Array) -> Array:
    """Values z[*nodal, ...] to coefficients [*modal, ...]; exactly 0 at dead coefficients."""
    t, shapes = plan.tables, (plan.nodal_shape, plan.modal_shape)
    return _apply(_adjoint, z, (t.legendre_weighted, t.fourier_weighted, t.butterfly), plan, *shapes, flipped=True)
