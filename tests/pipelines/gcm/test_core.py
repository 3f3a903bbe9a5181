"""The core (test_against_dinosaur.py compares whole integrations): steady states, gradients, digital filter, members."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere import operators, transform
from sciml.kernels.sphere.grids import custom
from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.core import Core, Forced, build, make_core
from sciml.pipelines.gcm.dynamics.filters import exponential, fix_global_mean
from sciml.pipelines.gcm.dynamics.primitive_equations import primitive_equations
from sciml.pipelines.gcm.dynamics.products import GridTendency
from sciml.pipelines.gcm.dynamics.steppers import SCHEMES
from sciml.pipelines.gcm.dynamics.vertical import equidistant
from sciml.pipelines.gcm.scales import ATMOSPHERIC
from sciml.pipelines.gcm.unroll import unroll


def minutes(n):
    return ATMOSPHERIC.nondim(n, "min")


def copied(tree):
    """advance() takes over its argument's memory; this keeps the original."""
    return jax.tree.map(jnp.copy, tree)


def jet(states, truncation="T21", levels=8, step=20, precision="float32", perturbation=1.0, **options):
    plan = make_plan(truncation, precision=precision)
    layers = equidistant(levels)
    state, orography = states.jw(plan, layers, perturbation=perturbation)
    equation = primitive_equations(plan, layers, 288.0, orography)
    dt = minutes(step)
    return make_core(equation, dt, filters=(exponential(plan, dt),), **options), state


# --- steady states


def steady(states, plan, levels, step, hours, looser=1):
    layers = equidistant(levels)
    humidity = states.random_field(plan, np.random.default_rng(0), levels, 1e-3)
    humidity = humidity + states.constant(plan, 1.0, levels)
    state, orography = states.jw(plan, layers)
    state = replace(state, tracers={"dust": humidity})
    dt = minutes(step)
    core = make_core(primitive_equations(plan, layers, 288.0, orography), dt, filters=(exponential(plan, dt),))
    carry = copied(state)
    for _ in range(round(hours / 4)):
        carry = core.advance(carry, round(4 * 60 / step))
        assert float(jnp.max(jnp.abs(carry.divergence))) < 1e-3 * looser
        for name, tolerance in {"vorticity": 5e-4, "temperature_variation": 5e-2, "log_surface_pressure": 5e-4}.items():
            tolerance *= looser
            np.testing.assert_allclose(getattr(carry, name), getattr(state, name), atol=tolerance, err_msg=name)
        assert tracer_mass(core, carry) == pytest.approx(tracer_mass(core, state), rel=3e-5)


def tracer_mass(core, state):
    dust, pressure = state.tracers["dust"], state.log_surface_pressure
    x = transform.synthesis(core.plan, jnp.concatenate([dust, pressure], axis=-1))
    column = jnp.exp(x[..., -1:]) * (x[..., :-1] @ jnp.asarray(core.equation.levels.thickness, x.dtype))[..., None]
    mean = (core.plan.total_wavenumber == 0) & core.plan.mask
    return float(transform.analysis(core.plan, column)[mean][0, 0])


def test_the_balanced_jet_is_steady(states):
    steady(states, make_plan("T21"), 12, 20, 8, looser=4)  # half the resolution of the limits' own case


@pytest.mark.slow
def test_the_balanced_jet_is_steady_for_a_day(states):
    """Limits and case of dinosaur's own test: 42 wavenumbers, 26 levels, 10 minutes, 24 hours."""
    steady(states, make_plan(custom(42, "quadratic")), 26, 10, 24)


@pytest.mark.parametrize("profile", [288.0, np.linspace(220.0, 300.0, 8)], ids=["isothermal", "lapse rate"])
def test_rest_over_mountains_stays_at_rest(profile, states):
    with jax.enable_x64(True):
        plan, levels, constants = make_plan("T21", precision="float64"), equidistant(8), ATMOSPHERIC.earth
        rng = np.random.default_rng(3)
        orography = states.random_field(plan, rng, 1, 3000 / 6.37e6, slope=1.5)
        fall = constants.gravity / (constants.gas_constant * 260.0)
        pressure = states.constant(plan, np.log(5.78), 1) - fall * orography
        zero = jnp.zeros((*plan.modal_shape, 8))
        mean = states.constant(plan, 1.0, 8)
        state, _ = states.jw(plan, levels)
        state = replace(
            state,
            vorticity=zero,
            divergence=zero,
            temperature_variation=mean * jnp.asarray(260.0 - profile),
            log_surface_pressure=pressure,
        )
        core = make_core(primitive_equations(plan, levels, profile, orography), minutes(20))
        end = core.advance(copied(state), 36)
        wind = operators.cos_lat_wind(plan, end.vorticity, end.divergence)
        speed = max(float(jnp.max(jnp.abs(transform.synthesis(plan, x)))) for x in wind)
        assert ATMOSPHERIC.dim(speed, "m s-1") < 1e-8
        np.testing.assert_allclose(end.temperature_variation, state.temperature_variation, atol=1e-8)


# --- how it is used


DOUBLES = ("crank_nicolson_rk2", "crank_nicolson_rk3")  # the same code as crank_nicolson_rk4 with other numbers


@pytest.mark.parametrize(
    "scheme", [pytest.param(name, marks=[pytest.mark.slow] * (name in DOUBLES)) for name in SCHEMES.names()]
)
def test_every_scheme_integrates_the_wave(scheme, states):
    """The schemes differ by their time truncation only: 3 hours at 10 minutes agree to a few parts in a thousand."""
    core, state = jet(states, levels=4, step=10, scheme=scheme)
    reference, _ = jet(states, levels=4, step=5)
    end = core.state(core.advance(core.start(state), 18))
    best = reference.advance(copied(state), 36)
    assert float(jnp.linalg.norm(end.vorticity - best.vorticity) / jnp.linalg.norm(best.vorticity)) < 5e-3


def test_interrupted_and_continued_is_the_same_bit_for_bit(states):
    core, state = jet(states, levels=4)
    whole = core.advance(core.start(copied(state)), 6)
    parts = core.advance(core.advance(core.start(copied(state)), 2), 4)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True):
        np.testing.assert_array_equal(a, b)


def test_step_is_advance(states):
    core, state = jet(states, levels=4)
    one = jax.jit(Core.step)(core, state)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(core.advance(copied(state), 1)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_members_are_integrated_together(states):
    core, state = jet(states, levels=4)
    warmer = replace(state, temperature_variation=1.01 * state.temperature_variation)
    both = jax.tree.map(lambda *x: jnp.stack(x, axis=-2), state, warmer)
    together = core.advance(both, 3)
    for member, alone in enumerate((state, warmer)):
        end = core.advance(copied(alone), 3)
        np.testing.assert_allclose(together.vorticity[..., member, :], end.vorticity, atol=1e-6)
        np.testing.assert_allclose(together.log_surface_pressure[..., member, :], end.log_surface_pressure, atol=1e-6)


def test_mass_is_kept_by_its_filter(states):
    core, state = jet(states, levels=4)
    core = replace(core, filters=(*core.filters, fix_global_mean(core.plan)))
    mean = (core.plan.total_wavenumber == 0) & core.plan.mask
    end = core.advance(copied(state), 5)
    assert float(end.log_surface_pressure[mean][0, 0]) == float(state.log_surface_pressure[mean][0, 0])


def drag(equation, state):
    """A modal forcing: friction everywhere."""
    return replace(
        jax.tree.map(jnp.zeros_like, state), vorticity=-0.1 * state.vorticity, divergence=-0.1 * state.divergence
    )


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Drag:
    """The same at the grid points."""

    def grid_tendency(self, equation, grid):
        return GridTendency(cos_lat_u=-0.1 * grid.cos_lat_u, cos_lat_v=-0.1 * grid.cos_lat_v)


def test_forcings_of_both_kinds(states):
    plain, state = jet(states, levels=4)
    modal = replace(plain, forcing=jax.tree_util.Partial(drag))
    grid = replace(plain, forcing=Drag())
    assert isinstance(modal.forced, Forced) and plain.forced is plain.equation
    ends = [core.advance(copied(state), 4).vorticity for core in (plain, modal, grid)]
    assert float(jnp.linalg.norm(ends[1] - ends[2]) / jnp.linalg.norm(ends[1] - ends[0])) < 1e-3


@pytest.mark.slow  # test_integration.py has a quick one
def test_the_digital_filter_calms_an_unbalanced_state(states):
    core, state = jet(states, levels=4, perturbation=0.0)
    rng = np.random.default_rng(0)
    # External gravity waves with periods below 4 hours: the same in all levels, at wavenumbers from 10.
    waves = states.random_field(core.plan, rng, 1, 5e-3) * (core.plan.total_wavenumber >= 10)[..., None]
    rough = replace(state, divergence=state.divergence + waves)
    calm = core.initialise(rough, ATMOSPHERIC.nondim(6, "hour"))
    assert float(jnp.linalg.norm(calm.divergence)) < 0.2 * float(jnp.linalg.norm(rough.divergence))
    assert float(jnp.linalg.norm(calm.vorticity - state.vorticity) / jnp.linalg.norm(state.vorticity)) < 2e-2


def test_one_compilation_serves_every_interval(states):
    core, state = jet(states, levels=4)
    from sciml.pipelines.gcm.core import _advance

    carry = core.advance(copied(state), 1)
    before = _advance._cache_size()
    for n in (2, 3):
        carry = core.advance(carry, n)
    assert _advance._cache_size() == before
    assert _advance._cache_size() == before


def test_tables_are_arguments(states):
    """No table larger than a few numbers is a constant of the compiled step."""
    core, state = jet(states, levels=4)
    closed = jax.make_jaxpr(lambda core, state: core.step(state))(core, state)
    assert all(np.size(constant) < 100 for constant in closed.consts)


# --- gradients


def small_core(states, scheme, n_levels=3):
    plan = make_plan("T21", precision="float64")
    levels = equidistant(n_levels)
    state, orography = states.jw(plan, levels, perturbation=1.0)
    dt = minutes(20)
    equation = primitive_equations(plan, levels, 288.0, orography)
    return make_core(equation, dt, scheme=scheme, filters=(exponential(plan, dt),)), state


@pytest.mark.parametrize("scheme", ["backward_forward_euler", pytest.param("imex_rk_sil3", marks=pytest.mark.slow)])
def test_gradients_of_a_rollout_are_its_finite_differences(scheme, states):
    with jax.enable_x64(True):
        core, state = small_core(states, scheme)
        way = jax.tree.map(
            lambda x: 1e-3 * states.random_field(core.plan, np.random.default_rng(5), x.shape[-1], 1.0), state
        )

        def total(state):
            end, _ = unroll(core.step, state, 3)
            return jnp.sum(end.temperature_variation**2) + 1e3 * jnp.sum(end.vorticity**2)

        def moved(e):
            return float(total_jit(jax.tree.map(lambda x, w: x + e * w, state, way)))

        total_jit = jax.jit(total)
        slope = jax.jit(jax.grad(total))(state)
        along = sum(float(jnp.vdot(a, b)) for a, b in zip(jax.tree.leaves(slope), jax.tree.leaves(way), strict=True))
        e = 1e-2
        assert along == pytest.approx((moved(e) - moved(-e)) / (2 * e), rel=1e-5)
        forward = float(jax.jit(lambda s, w: jax.jvp(total, (s,), (w,))[1])(state, way))
        assert forward == pytest.approx(along, rel=1e-9)


def test_gradient_with_respect_to_a_forcing(states):
    with jax.enable_x64(True):
        core, state = small_core(states, "backward_forward_euler")

        def total(rate):
            def friction(equation, state):
                return replace(jax.tree.map(jnp.zeros_like, state), vorticity=-rate * state.vorticity)

            forced = Forced(core.equation, friction)
            end, _ = unroll(lambda s: core._filtered_step(forced, core.dt, s), state, 2)
            return jnp.sum(end.vorticity**2)

        value = jax.jit(total)
        slope = (float(value(0.11)) - float(value(0.09))) / 0.02
        assert float(jax.jit(jax.grad(total))(0.1)) == pytest.approx(slope, rel=1e-3)


@pytest.mark.slow
def test_memory_of_a_gradient_grows_like_the_square_root(states):
    core, state = jet(states, levels=4)
    size = sum(x.nbytes for x in jax.tree.leaves(state))

    def held(n):
        def total(core, state):
            return jnp.sum(unroll(core.step, state, n)[0].vorticity ** 2)

        return jax.jit(jax.grad(total, 1)).lower(core, state).compile().memory_analysis().temp_size_in_bytes / size

    found = {n: held(n) for n in (36, 144, 576)}
    assert found[576] - found[36] < 3 * (24 - 6) + 6, found


# --- building


def test_build_makes_a_core_in_one_call():
    core = build("T21", 5, 30.0)
    assert core.plan.truncation.name == "T21" and len(core.equation.levels) == 5
    assert core.dt == pytest.approx(minutes(30)) and len(core.filters) == 1


def test_bad_arguments_are_named(states):
    plan = make_plan("T21")
    equation = primitive_equations(plan, equidistant(3))
    with pytest.raises(SettingsError, match="time step is 0"):
        make_core(equation, 0.0)
    with pytest.raises(SettingsError, match="unknown time scheme"):
        make_core(equation, 0.1, scheme="leapfrog")
