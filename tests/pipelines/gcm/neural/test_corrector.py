"""The nest of dynamical steps: what it cuts, what it holds, and the original's result."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere import layout
from sciml.kernels.sphere.grids import custom
from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.gcm.dynamics.filters import exponential, fix_global_mean, horizontal_diffusion
from sciml.pipelines.gcm.dynamics.primitive_equations import primitive_equations
from sciml.pipelines.gcm.dynamics.vertical import equidistant
from sciml.pipelines.gcm.neural.corrector import corrector, merged, next_time
from sciml.pipelines.gcm.scales import ATMOSPHERIC

LEVELS, STEPS = 6, 3
HOUR = ATMOSPHERIC.nondim(1.0, "hour")


@pytest.fixture(scope="module")
def plans():
    return make_plan("TL31"), make_plan(custom(31))


def filters(plan, fixed=False):
    minute = HOUR / 60
    found = exponential(plan, HOUR, 120 * minute, 3), exponential(plan, HOUR, 4 * minute, 10, 0.4)
    return (*found, fix_global_mean(plan)) if fixed else found


def setting(plans, states, members=(1,), **options):
    """(corrector, state, tendency) with a reference profile as the released models have."""
    model, inner = plans
    state, _ = states.random(model, LEVELS, members=members)
    tendency, _ = states.random(model, LEVELS, seed=1, members=members)
    tendency = jax.tree.map(lambda x: 1e-3 * x, tendency)
    _, orography = states.random(inner, LEVELS)
    profile = np.linspace(220.0, 290.0, LEVELS)
    equation = primitive_equations(inner, equidistant(LEVELS), profile, orography, expanded=True)
    return corrector(model, equation, HOUR, STEPS, filters(inner, **options)), state, tendency


def test_one_call(plans, states):
    """What the dynamics do not carry is lost, members do not meet, and the mean log surface pressure can be fixed."""
    nest, state, tendency = setting(plans, states, members=(2,), fixed=True)
    step, model = jax.jit(lambda n, s, t: n(s, t)), plans[0]
    found = step(nest, state, tendency)
    swapped = step(nest, *(jax.tree.map(lambda x: x[..., ::-1, :], tree) for tree in (state, tendency)))
    lost = (model.zonal_wavenumber >= 31) | (model.total_wavenumber > 31)
    for x, y, before in zip(*(jax.tree.leaves(tree) for tree in (found, swapped, state)), strict=True):
        assert x.shape == before.shape and not np.asarray(x)[lost].any() and np.isfinite(x).all()
        assert np.abs(x - before).max() > 1e-4 * np.abs(before).max()
        np.testing.assert_allclose(x, y[..., ::-1, :], atol=1e-6 * float(jnp.abs(y).max()))
    means = [one.log_surface_pressure[0, 0, 0, 0, 0] for one in (found, state)]
    np.testing.assert_array_equal(*means)


def test_neighbouring_dampings_are_one(plans):
    inner = plans[1]
    one, other = filters(inner)
    spared = horizontal_diffusion(inner, HOUR, 1.0, spared=("log_surface_pressure",))
    found = merged((one, other, fix_global_mean(inner), spared, one))
    assert len(found) == 4
    np.testing.assert_array_equal(found[0].factor, one.factor * other.factor)


def test_time_does_not_drift():
    """In float32, 60 years from the origin: every hour for a month, 54 s are one unit in the last place."""
    advance = jax.jit(next_time)
    now = np.float32(-92034.607104)
    for hour in range(1, 720):
        now = advance(now, HOUR)
        assert now == np.float32(np.float32(HOUR) * np.float32(hour - 175296))


@pytest.mark.parametrize("rows", [pytest.param("real", marks=pytest.mark.slow), "zero_imag"])
def test_against_the_original(plans, states, rows):
    """State and tendency through dinosaur's grids, equations, integrator and filters, one call."""
    names = ("spherical_harmonic", "sigma_coordinates", "coordinate_systems", "primitive_equations", "scales")
    d = {name: pytest.importorskip(f"dinosaur.{name}") for name in (*names, "time_integration")}
    harmonics, systems, ti = d["spherical_harmonic"], d["coordinate_systems"], d["time_integration"]
    nest, state, tendency = setting(plans, states)
    kind = {"real": harmonics.RealSphericalHarmonics, "zero_imag": harmonics.RealSphericalHarmonicsWithZeroImag}[rows]
    sigma = d["sigma_coordinates"].SigmaCoordinates.equidistant(LEVELS)
    options = {"radius": 1.0, "spherical_harmonics_impl": kind}
    outer = systems.CoordinateSystem(harmonics.Grid.TL31(**options), sigma)
    inner = systems.CoordinateSystem(harmonics.Grid.with_wavenumbers(31, "quadratic", **options), sigma)
    specs = d["primitive_equations"].PrimitiveEquationsSpecs.from_si(scale=d["scales"].ATMOSPHERIC_SCALE)

    def there(plan, x):
        return jnp.moveaxis(layout.modal_to_rows(plan, x, rows)[:, :, 0], -1, 0)

    def theirs(s):
        tracers = {name: there(plans[0], x) for name, x in s.tracers.items()}
        fields = (s.vorticity, s.divergence, s.temperature_variation, s.log_surface_pressure)
        return d["primitive_equations"].State(*(there(plans[0], x) for x in fields), tracers)

    height = layout.modal_to_rows(plans[1], nest.core.equation.orography, rows)[..., 0]
    equation = d["primitive_equations"].MoistPrimitiveEquationsWithCloudMoisture(
        np.linspace(220.0, 290.0, LEVELS), height, inner, specs
    )
    cut, pad = (systems.get_spectral_interpolate_fn(*pair) for pair in ((outer, inner), (inner, outer)))
    held = cut(theirs(tendency))
    both = ti.compose_equations((equation, ti.ExplicitODE.from_functions(lambda _: held)))
    minute = HOUR / 60
    damping = [ti.exponential_step_filter(inner.horizontal, HOUR, tau * minute, order, cutoff)
               for tau, order, cutoff in ((120, 3, 0), (4, 10, 0.4))]  # fmt: skip
    step = ti.step_with_filters(ti.imex_rk_sil3(both, HOUR / STEPS), damping)
    expected = jax.jit(lambda s: pad(ti.repeated(step, STEPS)(cut(s))))(theirs(state))
    found = theirs(jax.jit(lambda n, s, t: n(s, t))(nest, state, tendency))
    for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert jnp.linalg.norm(x - y) <= 3e-6 * jnp.linalg.norm(y)
