"""Two linear JAX primitives, each the transpose of the other, with tables that are constants of differentiation.

A primitive rather than custom_vjp: forward and reverse mode, their compositions, scan and remat all work, and a mapped
axis is folded into the columns by the batching rule, where vmap of the sums would transpose them.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir


def linear_pair(
    name: str, forward: Callable[..., Array], backward: Callable[..., Array]
) -> tuple[Callable[..., Array], Callable[..., Array]]:
    """(bind forward, bind backward) of two functions f(x, *tables, **static), linear in x and transposes of another.

    Both take x[axes, n] with `axes` leading axes (static argument) and the columns n last.
    """
    pair = Primitive(f"{name}"), Primitive(f"{name}_transpose")
    for primitive, other, function in zip(pair, pair[::-1], (forward, backward), strict=True):
        _define(primitive, other, function)
    return tuple(primitive.bind for primitive in pair)


def _define(primitive: Primitive, transpose: Primitive, function: Callable[..., Array]) -> None:
    def shape(x, *tables, **static):
        out = jax.eval_shape(
            lambda *args: function(*args, **static), *(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in (x, *tables))
        )
        return x.update(shape=out.shape, dtype=out.dtype)

    def tangent(primals, tangents, **static):
        out, (x, *_) = primitive.bind(*primals, **static), tangents
        if isinstance(x, ad.Zero):
            return out, ad.Zero.from_primal_value(out)
        return out, primitive.bind(x, *primals[1:], **static)

    def transposed(cotangent, x, *tables, **static):
        if isinstance(cotangent, ad.Zero):
            return [ad.Zero(x.aval), *[None] * len(tables)]
        return [transpose.bind(cotangent, *tables, **static), *[None] * len(tables)]

    def batched(args, axes, **static):
        (x, *tables), (axis, *others) = args, axes
        if any(a is not None for a in others):
            raise NotImplementedError(f"{primitive.name}: the tables of a plan cannot be mapped")
        x = jnp.moveaxis(x, axis, -2)
        flat = x.reshape(*x.shape[:-2], -1)
        out = primitive.bind(flat, *tables, **static)
        return out.reshape(*out.shape[:-1], *x.shape[-2:]), out.ndim - 1

    primitive.def_impl(
        jax.jit(lambda *args, **static: primitive.bind(*args, **static), static_argnames=("how", "flipped"))
    )
    primitive.def_abstract_eval(shape)
    ad.primitive_jvps[primitive] = tangent
    ad.primitive_transposes[primitive] = transposed
    batching.primitive_batchers[primitive] = batched
    mlir.register_lowering(primitive, mlir.lower_fun(function, multiple_results=False))
