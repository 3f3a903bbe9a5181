"""Transforms resolved into stages: the same numbers as one after another, clips, levels, and errors that name a field."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.neural import normalization as n
from sciml.pipelines.gcm.neural.checkpoint import config

WIDTHS = {"mask": 1, "q": 4, "u": 4}
SIGMA = (np.arange(4) + 0.5) / 4
NORMALISE = config.ShiftAndNormalize(
    config.Table({"u": 0.1, "q": 3.0, "mask": 0.5, "unused": 9.0}),
    config.Table({"u": 2.0, "q": 0.25, "mask": 4.0, "unused": 1.0}),
)
LEVELS = config.InverseLevelScale((0.5, 1.0, 2.0, 4.0), ("q",))


@pytest.fixture
def fields():
    rng = np.random.default_rng(0)
    return {name: jnp.asarray(rng.normal(size=(5, width)), jnp.float32) for name, width in WIDTHS.items()}


def run(transform, fields):
    kept = n.kept_levels(transform, WIDTHS, SIGMA)
    return n.run_stages(n.resolve(transform, WIDTHS, SIGMA), n.pack(fields, kept))


def test_shift_scale_and_levels_make_one_stage(fields):
    transform = config.SequentialTransform((NORMALISE, LEVELS))
    assert len(n.resolve(transform, WIDTHS, SIGMA)) == 1
    expected = [
        (fields["mask"] - 0.5) / 4,
        (fields["q"] - 3) / 0.25 / jnp.asarray(LEVELS.scales),
        (fields["u"] - 0.1) / 2,
    ]
    np.testing.assert_allclose(run(transform, fields), jnp.concatenate(expected, -1), rtol=1e-6)


def test_the_inverse_undoes(fields):
    inverse = config.InverseShiftAndNormalize(NORMALISE.shifts, NORMALISE.scales)
    scales = config.LevelScale(LEVELS.scales, LEVELS.keys_to_scale)
    transform = config.SequentialTransform((NORMALISE, LEVELS, scales, inverse))
    found = n.unpack(run(transform, fields), WIDTHS)
    for name, x in fields.items():
        np.testing.assert_allclose(found[name], x, rtol=1e-5, atol=1e-6)


def test_a_global_scale_multiplies_the_scales(fields):
    transform = config.InverseShiftAndNormalize(config.Table(dict.fromkeys(WIDTHS, 0.0)), NORMALISE.scales, 0.02)
    np.testing.assert_allclose(n.unpack(run(transform, fields), WIDTHS)["u"], fields["u"] * 0.04, rtol=1e-6)


def test_clips_stand_where_they_stood(fields):
    transform = config.SequentialTransform((NORMALISE, config.HardClip(0.5), NORMALISE))
    expected = (jnp.clip((fields["u"] - 0.1) / 2, -0.5, 0.5) - 0.1) / 2
    np.testing.assert_allclose(n.unpack(run(transform, fields), WIDTHS)["u"], expected, rtol=1e-5, atol=1e-7)


def test_levels_are_chosen_before_everything_else(fields):
    transform = config.SequentialTransform((NORMALISE, LEVELS, config.TakeSurfaceAdjacentSigmaLevel()))
    found = n.unpack(run(transform, fields), dict.fromkeys(WIDTHS, 1))
    np.testing.assert_allclose(found["q"], (fields["q"][:, -1:] - 3) / 0.25 / 4, rtol=1e-6)
    ranges = config.TruncateSigmaLevels((config.SigmaRange("q", 0.3, 0.7),))
    assert n.kept_levels(ranges, WIDTHS, SIGMA)["q"] == slice(1, 3)
    assert n.kept_levels(ranges, WIDTHS, SIGMA)["u"] == slice(0, 4)


def test_soft_clip_is_odd_bounded_and_the_identity_near_zero():
    x = jnp.asarray(np.concatenate([np.linspace(-60, 60, 4001), [0.0, 1e-6, -1e-6, 1e4]]), jnp.float32)
    y = n.soft_clip(x, 16.0)
    np.testing.assert_array_equal(y, -n.soft_clip(-x, 16.0))
    assert float(jnp.abs(y).max()) <= 16 and float(y[-3]) == pytest.approx(1e-6, abs=2e-7)
    assert np.all(np.diff(np.asarray(y[:4001])) >= 0)
    exact = np.asarray(x, np.float64)
    inner = np.logaddexp(0, exact + 16)
    exact = 16 - np.logaddexp(0, 32 - inner) * 32 / np.logaddexp(0, 32)
    np.testing.assert_allclose(y, exact, rtol=2e-6, atol=3e-7)


@pytest.mark.parametrize(("limit", "hinge"), [(16.0, 1.0), (9.0, 1.0), (3.0, 1.0), (4.0, 0.25), (4.0, 0.4)])
def test_soft_clip_is_that_of_the_original(limit, hinge):
    pytest.importorskip("neuralgcm")
    import haiku as hk
    from neuralgcm.legacy import transforms

    x = jnp.linspace(-30, 30, 2001, dtype=jnp.float32)
    theirs = hk.without_apply_rng(hk.transform(lambda x: transforms.SoftClip(None, 0, None, {}, limit, hinge)(x)))
    # the nested form of the original loses the digits below 1e-7 of its limit
    np.testing.assert_allclose(n.soft_clip(x, limit, hinge), theirs.apply({}, x), rtol=1e-6, atol=2e-7 * limit)


@pytest.mark.parametrize(("limit", "hinge"), [(16.0, 1.0), (9.0, 1.0), (3.0, 1.0), (4.0, 0.25)])
def test_soft_clip_in_double_precision(limit, hinge):
    x = np.linspace(-30, 30, 2001)
    inner, width = np.logaddexp(0, (x + limit) / hinge), 2 * limit / hinge
    exact = limit - hinge * np.logaddexp(0, width - inner) * width / np.logaddexp(0, width)
    with jax.enable_x64(True):
        np.testing.assert_allclose(n.soft_clip(jnp.asarray(x), limit, hinge), exact, rtol=1e-13, atol=1e-13)


def test_gradient_of_the_soft_clip():
    slope = jax.vmap(jax.grad(lambda x: n.soft_clip(x, 16.0)))(jnp.asarray([-40.0, -3.0, 0.5, 15.0, 40.0]))
    np.testing.assert_allclose(slope, [0, 1, 1, 0.731, 0], atol=2e-2)


def test_errors_name_the_field():
    with pytest.raises(SettingsError, match='no shift for the field "u"'):
        n.resolve(config.ShiftAndNormalize(config.Table({"q": 0.0}), config.Table({"q": 1.0})), {"u": 4}, SIGMA)
    with pytest.raises(SettingsError, match='InverseLevelScale has 4 levels, the field "q" 7'):
        n.resolve(LEVELS, {"q": 7}, SIGMA)
    with pytest.raises(SettingsError, match="ClipTransform does not act on nodal fields"):
        n.resolve(config.ClipTransform(1), {"q": 4}, SIGMA)
