"""Gaussian random fields on the sphere with learned correlation lengths and times, as first-order autoregressions.

    c' = phi c + s_l eta,  phi = exp(-dt / tau),  s_l^2 = 4 pi v (1 - phi^2) exp(-kappa l (l + 1)) / sum
    kappa = (length / radius)^2 / 2,  sum = sum over coefficients of exp(-kappa l (l + 1)),  eta normal within +-clip

so that the mean over the sphere of the field's variance is v; the first state is s_l eta / sqrt(1 - phi^2). Lengths and
times are initial values times softplus(raw + ln(e - 1)) of what training found. The draws are those of the original, key
by key: each field is drawn in its order of rows, dead row included, and then permuted into the folded order. A member is
an autoregression of its own: member 0 starts from the given key, member e from fold_in(key, e).
Source: Palmer et al. (2009), ECMWF Technical Memorandum 598, appendix 8. Axes: [*modal], [*nodal] axes of the plan,
e member, f field.
"""

import zlib
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sciml.kernels.sphere import layout, transform
from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.gcm.neural.checkpoint.config import (
    BatchGaussianRandomFields,
    NamedGaussianRandomFields,
    NoRandomField,
    ZerosRandomField,
)
from sciml.pipelines.gcm.scales import ATMOSPHERIC, EARTH, Scale

_ONE = 0.5413248546129181  # softplus of it is 1
_ADVANCE, _DECODER = (np.uint32(zlib.crc32(word)) for word in (b"advance", b"decoder"))
BATCH = "randomness"  # name of the feature that holds all fields of a batch


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class RandomState:
    """What a random field carries: key data uint32 [e, 2], steps taken int32, coefficients [*modal, e, f]."""

    key: Array
    step: Array
    core: Array


@dataclass(frozen=True)
class RandomFields:
    """Random fields of one kind on a plan; made by `random_fields`. Hashable: everything traced is an argument.

    times [s] and lengths [m] are initial values; names is None for a batch; fixed: how many, at the end, keep theirs.
    dt: the step that `advance` makes, without dimension.
    """

    times: tuple[float, ...]
    lengths: tuple[float, ...]
    variances: tuple[float, ...]
    names: tuple[str, ...] | None
    dt: float
    rows: str
    fixed: int = 0
    clip: float = 6.0
    zeros: bool = False
    scale: Scale = field(default=ATMOSPHERIC)

    @property
    def count(self) -> int:
        """Number of fields f."""
        return len(self.variances)

    # --- learned scales

    def _raw(self, params: Any, what: str) -> Array:
        """The learned numbers [f] behind times or lengths."""
        if self.names is not None:
            return jnp.stack([jnp.asarray(params[name][f"correlation_{what}_raw"]) for name in self.names])
        return jnp.concatenate([params[f"correlation_{what}s_raw"], jnp.zeros(self.fixed)])

    def _learned(self, params: Any, what: str, initial: tuple[float, ...], unit: str) -> Array:
        start = jnp.asarray([self.scale.nondim(x, unit) for x in initial], jnp.float32)
        return start * jax.nn.softplus(self._raw(params, what) + _ONE)

    def _memory(self, params: Any) -> tuple[Array, Array]:
        """phi and 1 - phi^2, both [f]."""
        tau = self._learned(params, "time", self.times, "s")
        return jnp.exp(-self.dt / tau), -jnp.expm1(-2 * self.dt / tau)

    def _amplitude(self, plan: Plan, params: Any) -> Array:
        """s_l [*modal, 1, f] of the noise, 0 at dead coefficients."""
        radius = self.scale.nondim(EARTH.radius, "m")
        kappa = (self._learned(params, "length", self.lengths, "m") / radius) ** 2 / 2
        total = jnp.asarray(plan.total_wavenumber, jnp.float32)[..., None]
        shape = jnp.where(plan.mask[..., None], jnp.exp(-0.5 * kappa * total * (total + 1)), 0.0)
        whole = (shape**2).sum(tuple(range(shape.ndim - 1)))
        variance = 4 * np.pi * radius**2 * jnp.asarray(self.variances, jnp.float32)
        norm = jnp.sqrt(variance * self._memory(params)[1] / whole) / radius
        return (norm * shape)[..., None, :]

    # --- draws

    def _drawn(self, plan: Plan, keys: Array) -> Array:
        """Normal numbers [*modal, e, f] from one key per member and field [e, f]."""
        t = plan.truncation
        shape = (2 * t.zonal - (self.rows == "real"), t.total)
        draw = jax.vmap(jax.vmap(lambda key: jax.random.truncated_normal(key, -self.clip, self.clip, shape)))
        rows = jnp.moveaxis(draw(keys), (0, 1), (2, 3))
        return layout.modal_from_rows(plan, rows, self.rows)

    def start(self, plan: Plan, params: Any, keys: Array) -> RandomState:
        """Unconditional sample from one key per member [e]."""
        if not self.count:
            return RandomState(jax.random.key_data(keys), jnp.int32(0), jnp.zeros((*plan.modal_shape, len(keys), 0)))
        split = jax.vmap(lambda key: jax.random.split(key, self.count + 1))(keys)
        first = jax.vmap(jax.vmap(lambda key: jax.random.split(key)[0]))(split[:, :-1])
        one = 1 / jnp.sqrt(self._memory(params)[1])
        core = one * self._amplitude(plan, params) * self._drawn(plan, first)
        return RandomState(jax.random.key_data(split[:, -1]), jnp.int32(0), core)

    def advance(self, plan: Plan, params: Any, state: RandomState) -> RandomState:
        """The fields one step later."""
        if not self.count:
            return replace(state, step=state.step + 1)
        salt = _ADVANCE + state.step.astype(jnp.uint32)
        # a batch hands its step on to each field, fields with names start theirs anew
        inner = _ADVANCE if self.names is not None else salt
        now = jax.vmap(lambda key: jax.random.fold_in(key, salt))(jax.random.wrap_key_data(state.key))
        keys = jax.vmap(lambda key: jax.random.split(key, self.count))(now)
        keys = jax.vmap(jax.vmap(lambda key: jax.random.fold_in(key, inner)))(keys)
        noise = self._amplitude(plan, params) * self._drawn(plan, keys)
        return RandomState(state.key, state.step + 1, self._memory(params)[0] * state.core + noise)

    def values(self, plan: Plan, state: RandomState) -> dict[str, Array]:
        """The fields at the grid points by feature name: [*nodal, e, f] of a batch, else [*nodal, e, 1] each."""
        if self.zeros:
            return {BATCH: jnp.zeros((*plan.nodal_shape, state.key.shape[0], 1), plan.dtype)}
        if not self.count:
            return {}
        found = transform.synthesis(plan, state.core)
        if self.names is None:
            return {BATCH: found}
        return {name: found[..., i : i + 1] for i, name in enumerate(self.names)}


def random_fields(config: Any, dt: float, rows: str, scale: Scale = ATMOSPHERIC) -> RandomFields:
    """The random fields of `config`, a node of checkpoint.config, for steps of length `dt` without dimension.

    rows: the order of coefficients "real" or "zero_imag" in which the original draws.
    """
    if isinstance(config, NoRandomField | ZerosRandomField):
        return RandomFields((), (), (), None, dt, rows, zeros=isinstance(config, ZerosRandomField), scale=scale)
    assert isinstance(config, BatchGaussianRandomFields | NamedGaussianRandomFields), config
    common = config.correlation_times, config.correlation_lengths, config.variances
    names = getattr(config, "names", None)
    return RandomFields(*common, names, dt, rows, getattr(config, "fixed", 0), config.clip, scale=scale)


def member_keys(key: Array, members: int) -> Array:
    """One key per member [e]: `key` itself for the first, further ones with their number folded in."""
    further = jax.vmap(lambda e: jax.random.fold_in(key, e))(jnp.arange(1, members))
    return jnp.concatenate([key[None], further]) if members > 1 else key[None]


def decoding_keys(state: RandomState) -> Array:
    """Keys [e] for the decoder's random fields at the step of `state`."""
    salt = _DECODER + state.step.astype(jnp.uint32)
    return jax.vmap(lambda key: jax.random.fold_in(key, salt))(jax.random.wrap_key_data(state.key))


def call_keys(keys: Array, *, memory: bool = False) -> tuple[Array, Array]:
    """Keys [e] for the encoder's random fields and for those of the step, as the original hands them out.

    memory: the encoder of the previous state, which draws nothing, takes a key before them.
    """

    def three(key: Array) -> list[Array]:
        found = []
        for _ in range(3):
            key, given = jax.random.split(key)
            found.append(given)
        return found

    first, second, third = jax.vmap(three)(keys)
    return (second, third) if memory else (first, second)
