"""Shifts, scales and clips between physical fields and the numbers that networks work with.

A transform of named fields is resolved once, for their widths, into stages on the packed columns:

    y = clip((x - shift) factor),   shift and factor one number per column, clip none, hard or soft

    soft(x) = sign(x) (min(|x|, h) - w log(1 + exp(-| |x| - h | / w)))       h = max_value, w = hinge_softness

NOTE: the original's soft clip nests two softplus functions, h - sp(2h - sp(x + h)) 2h / sp(2h); the form above equals
it up to w exp(-h / w), 1e-7 for the h = 16 w of the released models, costs a third and loses no digits near 0. Smaller h and float64
take the nested form.
Packed columns hold the fields in sorted order of their names (ASCII), each from its top level down.
Source: Kochkov et al. (2024), Neural general circulation models for weather and climate, supplement C.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.neural.checkpoint import config

Fields = dict[str, Array]
_SELECTING = (config.TruncateSigmaLevels, config.TakeSurfaceAdjacentSigmaLevel)


@dataclass(frozen=True, eq=False)
class Stage:
    """(x - shift) factor on packed columns [..., k], in the precision of x, then the clip; None leaves a part out."""

    shift: np.ndarray | None
    factor: np.ndarray | None
    clip: config.SoftClip | config.HardClip | None = None


def _log1p_exp(d: Array) -> Array:
    """log(1 + exp(-d)) for d >= 0, to float32: 2 atanh(s) by its series with s = u / (2 + u) <= 1/3, u = exp(-d)."""
    u = jnp.exp(-d)
    s = u / (2 + u)
    square, total = s * s, 1 / 13
    for n in (11, 9, 7, 5, 3, 1):
        total = total * square + 1 / n
    return 2 * s * total


def soft_clip(x: Array, max_value: float, hinge: float = 1.0) -> Array:
    """`x` kept smoothly within [-max_value, max_value]."""
    if max_value >= 16 * hinge and x.dtype != jnp.float64:
        size = jnp.abs(x)
        kept = jnp.minimum(size, max_value) - hinge * _log1p_exp(jnp.abs(size - max_value) / hinge)
        return jnp.copysign(kept, x)
    inner = hinge * jax.nn.softplus((x + max_value) / hinge)
    width = 2 * max_value
    top = hinge * float(np.logaddexp(0.0, width / hinge))
    return max_value - hinge * jax.nn.softplus((width - inner) / hinge) * (width / top)


def _clipped(x: Array, clip: config.SoftClip | config.HardClip | None) -> Array:
    if clip is None:
        return x
    if isinstance(clip, config.HardClip):
        return jnp.clip(x, -clip.max_value, clip.max_value)
    return soft_clip(x, clip.max_value, clip.hinge_softness)


def run_stages(stages: tuple[Stage, ...], x: Array) -> Array:
    """The stages on packed columns [..., k]."""
    for stage in stages:
        x = x if stage.shift is None else x - jnp.asarray(stage.shift, x.dtype)
        x = x if stage.factor is None else x * jnp.asarray(stage.factor, x.dtype)
        x = _clipped(x, stage.clip)
    return x


def flatten(transform: config.Transform) -> list[config.Transform]:
    """The transforms of nested sequences in their order, without identities."""
    if isinstance(transform, config.SequentialTransform):
        return [one for part in transform.transforms for one in flatten(part)]
    return [] if isinstance(transform, config.IdentityTransform) else [transform]


def _kept(transform: config.Transform, name: str, width: int, levels: np.ndarray) -> slice:
    """Which levels of a field `transform` keeps; `levels` [k] are sigma at the centres."""
    if isinstance(transform, config.TakeSurfaceAdjacentSigmaLevel):
        return slice(width - 1, width)
    given = {one.field: one for one in transform.sigma_ranges}
    lower, upper = (given[name].lower, given[name].upper) if name in given else (0.0, 1.0)
    first = int(np.argmax(levels > lower))
    # NOTE: as in the original, the upper bound counts as "all" beyond the lowest centre, whatever the field's width.
    last = len(levels) if upper > levels.max() else int(np.argmin(levels < upper))
    return slice(first, min(last, width))


def kept_levels(transform: config.Transform, widths: Mapping[str, int], levels: np.ndarray) -> dict[str, slice]:
    """The levels of each field that survive `transform`, as one slice of the field's own levels."""
    slices = {name: slice(0, width) for name, width in widths.items()}
    for one in flatten(transform):
        if isinstance(one, _SELECTING):
            for name, old in slices.items():
                new = _kept(one, name, old.stop - old.start, levels)
                slices[name] = slice(old.start + new.start, min(old.start + new.stop, old.stop))
    return slices


def _entry(table: Mapping[str, float], name: str, what: str) -> float:
    if name not in table:
        raise SettingsError(f'the transform has no {what} for the field "{name}"; it has: {", ".join(sorted(table))}')
    return float(table[name])


def _level_factor(one: config.LevelScale | config.InverseLevelScale, name: str, kept: slice) -> np.ndarray | float:
    if name not in one.keys_to_scale:
        return 1.0
    scales = np.asarray(one.scales, dtype=np.float64)
    scales = scales if isinstance(one, config.LevelScale) else 1 / scales
    if len(scales) < kept.stop:
        raise SettingsError(f'{type(one).__name__} has {len(scales)} levels, the field "{name}" {kept.stop}')
    return scales[kept]


def _affine(one: config.Transform, name: str, kept: slice) -> tuple[float, np.ndarray | float]:
    """(shift, factor) of one transform of one field, acting as (x - shift) factor."""
    if isinstance(one, (config.LevelScale, config.InverseLevelScale)):
        return 0.0, _level_factor(one, name, kept)
    if not isinstance(one, (config.ShiftAndNormalize, config.InverseShiftAndNormalize)):
        raise SettingsError(f"{type(one).__name__} does not act on nodal fields")
    shift, scale = _entry(one.shifts, name, "shift"), _entry(one.scales, name, "scale")
    scale *= 1.0 if one.global_scale is None else one.global_scale
    return (shift, 1 / scale) if isinstance(one, config.ShiftAndNormalize) else (-shift / scale, scale)


def resolve(transform: config.Transform, widths: Mapping[str, int], levels: np.ndarray) -> tuple[Stage, ...]:
    """Stages of `transform` on fields of `widths`, packed in that order once levels are dropped (see kept_levels).

    SettingsError for a field without shift or scale, or a transform that does not act on nodal fields.
    """
    names, kept = list(widths), kept_levels(transform, widths, levels)
    sizes = {name: kept[name].stop - kept[name].start for name in names}
    ones = {name: (np.zeros(sizes[name]), np.ones(sizes[name])) for name in names}
    stages, current = [], dict(ones)

    def close(clip: config.SoftClip | config.HardClip | None) -> None:
        # NumPy arrays: stages are kept between traces.
        shift, factor = (np.concatenate([current[name][i] for name in names] or [np.zeros(0)]) for i in (0, 1))
        shift, factor = shift if shift.any() else None, None if np.all(factor == 1) else factor
        if shift is not None or factor is not None or clip is not None:
            stages.append(Stage(shift, factor, clip))

    for one in flatten(transform):
        if isinstance(one, (config.SoftClip, config.HardClip)):
            close(one)
            current = dict(ones)
        elif not isinstance(one, _SELECTING):
            for name, (shift, factor) in current.items():
                # ((x - a) f - b) g = (x - (a + b / f)) f g
                b, g = _affine(one, name, kept[name])
                current[name] = shift + b / factor, factor * g
    close(None)
    return tuple(stages)


def pack(fields: Mapping[str, Array], kept: Mapping[str, slice]) -> Array:
    """The `kept` levels of fields [..., k] side by side, in the order of `kept`."""
    return jnp.concatenate([fields[name][..., levels] for name, levels in kept.items()], axis=-1)


def unpack(x: Array, widths: Mapping[str, int]) -> Fields:
    """Columns [..., k] as fields of `widths`, which stand side by side in that order."""
    fields, start = {}, 0
    for name, width in widths.items():
        fields[name] = x[..., start : start + width]
        start += width
    return fields
