"""Random fields: their statistics, exact resume, and the original's draws key by key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere import layout
from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.gcm.neural.checkpoint import config
from sciml.pipelines.gcm.neural.randomness import RandomState, call_keys, member_keys, random_fields
from sciml.pipelines.gcm.scales import ATMOSPHERIC

HOUR = ATMOSPHERIC.nondim(1.0, "hour")
TIMES, LENGTHS, VARIANCES = (3600.0, 8 * 3600.0, 72 * 3600.0), (4.1e5, 1.3e6, 4.4e6), (1.0, 2.0, 0.5)
BATCH = config.BatchGaussianRandomFields(TIMES, LENGTHS, VARIANCES)
PARTLY_FIXED = config.BatchGaussianRandomFields(TIMES, LENGTHS, VARIANCES, fixed=1)
NAMED = config.NamedGaussianRandomFields(("GRF0", "GRF2", "GRF10"), TIMES, LENGTHS, VARIANCES)


@pytest.fixture(scope="module")
def plan():
    return make_plan("T21")


def weights(node, rng):
    """Raw learned numbers in the original's form."""
    if isinstance(node, config.NamedGaussianRandomFields):
        return {
            name: {f"correlation_{what}_raw": np.float32(rng.normal(0, 0.3)) for what in ("time", "length")}
            for name in node.names
        }
    n = len(node.variances) - node.fixed
    return {f"correlation_{what}_raw": np.float32(rng.normal(0, 0.3, n)) for what in ("times", "lengths")}


def test_variance_and_memory(plan):
    """Means over 400 members: the variance asked for, and exp(-dt / tau) of it an hour later."""
    fields = random_fields(BATCH, HOUR, "real")
    params = {f"correlation_{what}_raw": np.zeros(3, np.float32) for what in ("times", "lengths")}
    now = fields.start(plan, params, member_keys(jax.random.key(1), 400))
    later = fields.advance(plan, params, now)
    live = plan.mask
    variance = (now.core[live] ** 2).sum(0).mean(0) / (4 * np.pi)
    np.testing.assert_allclose(variance, VARIANCES, rtol=0.1)
    again = (later.core[live] ** 2).sum(0).mean(0) / (4 * np.pi)
    np.testing.assert_allclose(again, VARIANCES, rtol=0.1)
    covariance = (now.core[live] * later.core[live]).sum(0).mean(0) / (4 * np.pi)
    np.testing.assert_allclose(covariance / variance, np.exp(-3600.0 / np.array(TIMES)), atol=0.05)


def test_members_and_resume(plan):
    """Member 0 is the run of one member; a state restored from plain arrays goes on the same."""
    fields, params = random_fields(NAMED, HOUR, "zero_imag"), weights(NAMED, np.random.default_rng(0))
    key = jax.random.key(7)
    alone, three = (fields.start(plan, params, member_keys(key, n)) for n in (1, 3))
    np.testing.assert_array_equal(alone.core, three.core[..., :1, :])
    assert np.abs(three.core[..., 0, :] - three.core[..., 2, :]).max() > 0
    kept = [np.asarray(x) for x in jax.tree.leaves(three)]
    assert [x.dtype.kind for x in kept] == ["u", "i", "f"]
    restored = jax.tree.unflatten(jax.tree.structure(three), [jnp.asarray(x) for x in kept])
    a, b = fields.advance(plan, params, three), fields.advance(plan, params, restored)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)
    assert set(fields.values(plan, a)) == {"GRF0", "GRF2", "GRF10"}
    assert fields.values(plan, a)["GRF2"].shape == (*plan.nodal_shape, 3, 1)


def test_the_encoder_of_memory_takes_a_key_first():
    keys = member_keys(jax.random.key(4), 2)
    without, given = call_keys(keys), call_keys(keys, memory=True)
    np.testing.assert_array_equal(jax.random.key_data(without[1]), jax.random.key_data(given[0]))
    assert (jax.random.key_data(given[1]) != jax.random.key_data(given[0])).any()


def test_no_fields(plan):
    keys = member_keys(jax.random.key(0), 2)
    zeros, none = (random_fields(node, HOUR, "real") for node in (config.ZerosRandomField(), config.NoRandomField()))
    state = zeros.advance(plan, {}, zeros.start(plan, {}, keys))
    assert isinstance(state, RandomState) and state.step == 1
    assert zeros.values(plan, state)["randomness"].shape == (*plan.nodal_shape, 2, 1) and none.values(plan, state) == {}


def original(node, rows, params, steps, key):
    """(keys the original hands out, its coefficients [f, row, l] at the start and after each of `steps`)."""
    haiku, stochastic = pytest.importorskip("haiku"), pytest.importorskip("neuralgcm.legacy.stochastic")
    harmonics, systems = (
        pytest.importorskip("dinosaur.spherical_harmonic"),
        pytest.importorskip("dinosaur.coordinate_systems"),
    )
    sigma, scales = pytest.importorskip("dinosaur.sigma_coordinates"), pytest.importorskip("dinosaur.scales")
    specs = pytest.importorskip("dinosaur.primitive_equations").PrimitiveEquationsSpecs
    kind = {"real": harmonics.RealSphericalHarmonics, "zero_imag": harmonics.RealSphericalHarmonicsWithZeroImag}[rows]
    grid = harmonics.Grid.T21(radius=1.0, spherical_harmonics_impl=kind)
    coords = systems.CoordinateSystem(grid, sigma.SigmaCoordinates.equidistant(2))
    options = {
        "initial_correlation_times": [f"{t / 3600} hours" for t in TIMES],
        "initial_correlation_lengths": [f"{x / 1000} km" for x in LENGTHS], "variances": VARIANCES,
    }  # fmt: skip
    common = coords, HOUR, specs.from_si(scale=scales.ATMOSPHERIC_SCALE), {}

    def run():
        if isinstance(node, config.NamedGaussianRandomFields):
            module = stochastic.DictOfGaussianRandomFieldModules(*common, field_names=node.names, **options)
        else:
            module = stochastic.BatchGaussianRandomFieldModule(*common, n_fixed_fields=node.fixed, **options)
        keys = [haiku.next_rng_key() for _ in range(2)]
        states = [module.unconditional_sample(keys[1])]
        for _ in range(steps):
            states.append(module.advance(states[-1]))
        found = [state.core for state in states]
        if isinstance(found[0], dict):
            found = [jnp.stack([core[name] for name in node.names]) for core in found]
        return [jax.random.key_data(key) for key in keys], found, states[-1].nodal_value

    root = next(iter(haiku.transform(run).init(key)))
    if isinstance(node, config.NamedGaussianRandomFields):
        there = {f"{root.rpartition('/')[0]}/{name}": part for name, part in params.items()}
    else:
        there = {root: params}
    return jax.jit(haiku.transform(run).apply)(there, key)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("node", "rows"),
    [(BATCH, "zero_imag"), (NAMED, "real"), pytest.param(PARTLY_FIXED, "zero_imag", marks=SLOW),
     pytest.param(BATCH, "real", marks=SLOW), pytest.param(NAMED, "zero_imag", marks=SLOW)],
    ids=["batch", "named", "partly fixed", "batch real", "named zero_imag"],
)  # fmt: skip
def test_against_the_original(plan, node, rows):
    """The same keys and, to round-off of the amplitudes, the same coefficients over three steps."""
    params, key = weights(node, np.random.default_rng(3)), jax.random.key(5)
    keys, expected, nodal = original(node, rows, params, 3, key)
    fields = random_fields(node, HOUR, rows)
    own = call_keys(member_keys(key, 1))
    for a, b in zip(own, keys, strict=True):
        np.testing.assert_array_equal(jax.random.key_data(a)[0], b)
    state = jax.jit(lambda p, k: fields.start(plan, p, k))(params, own[1])
    advance = jax.jit(lambda p, s: fields.advance(plan, p, s))
    for step, theirs in enumerate(expected):
        state = advance(params, state) if step else state
        found = np.moveaxis(layout.modal_to_rows(plan, np.asarray(state.core), rows)[:, :, 0], -1, 0)
        assert np.linalg.norm(found - theirs) <= 1e-6 * np.linalg.norm(theirs)
    values = fields.values(plan, state)
    theirs = jnp.stack([nodal[name] for name in node.names]) if isinstance(nodal, dict) else nodal
    found = (
        jnp.concatenate([values[name] for name in node.names], -1) if isinstance(nodal, dict) else values["randomness"]
    )
    found = np.moveaxis(layout.to_standard(plan, np.asarray(found))[:, :, 0], -1, 0)
    assert np.linalg.norm(found - theirs) <= 2e-6 * np.linalg.norm(theirs)
