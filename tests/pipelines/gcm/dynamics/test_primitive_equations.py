"""The primitive equations: term by term against dinosaur, and their laws."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere import transform
from sciml.kernels.sphere.grids import truncation
from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.dynamics import batches
from sciml.pipelines.gcm.dynamics.primitive_equations import primitive_equations
from sciml.pipelines.gcm.dynamics.products import GridTendency
from sciml.pipelines.gcm.dynamics.state import CLOUD_ICE, CLOUD_LIQUID, SPECIFIC_HUMIDITY
from sciml.pipelines.gcm.dynamics.vertical import SigmaLevels, equidistant
from sciml.pipelines.gcm.scales import ATMOSPHERIC

UNEVEN = SigmaLevels((0.0, 0.05, 0.15, 0.3, 0.5, 0.75, 0.9, 1.0))
DYNAMIC = ("vorticity", "divergence", "temperature_variation", "log_surface_pressure")


def difference(a, b):
    """Relative L2 difference of two arrays."""
    return float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b))


def dinosaur_equation(peer, levels, profile, orography_rows, name):
    sigma = peer.sigma_coordinates.SigmaCoordinates(np.array(levels.boundaries))
    coords = peer.coordinate_systems.CoordinateSystem(peer.spherical_harmonic.Grid.T21(radius=1.0), sigma)
    return getattr(peer.primitive_equations, name)(
        reference_temperature=profile, orography=orography_rows, coords=coords, physics_specs=peer.specs
    )


@pytest.mark.parametrize(
    ("levels", "moisture"),
    # the cloudy equations hold the terms of the humid ones
    [(equidistant(6), "dry"), pytest.param(UNEVEN, "humid", marks=pytest.mark.slow), (UNEVEN, "cloudy")],
    ids=["dry", "humid", "cloudy"],
)
def test_terms_are_those_of_dinosaur(levels, moisture, peer, states):
    tracers = {"dry": (), "humid": (SPECIFIC_HUMIDITY,), "cloudy": (CLOUD_ICE, CLOUD_LIQUID, SPECIFIC_HUMIDITY)}
    name = {"dry": "", "humid": "Moist", "cloudy": "Moist"}[moisture] + "PrimitiveEquations"
    name += "WithCloudMoisture" if moisture == "cloudy" else ""
    with jax.enable_x64(True):
        plan = make_plan(truncation("T21"), precision="float64")
        state, orography = states.random(plan, len(levels), tracers=tracers[moisture])
        profile = np.linspace(220, 300, len(levels))
        ours = primitive_equations(plan, levels, profile, orography)
        theirs = dinosaur_equation(peer, levels, profile, peer.to_rows(plan, orography)[0], name)
        rows = peer.primitive_equations.State(
            *(peer.to_rows(plan, getattr(state, field)) for field in DYNAMIC),
            tracers={key: peer.to_rows(plan, x) for key, x in state.tracers.items()},
        )
        pairs = [
            (jax.jit(ours.explicit)(state), jax.jit(theirs.explicit_terms)(rows)),
            (ours.implicit(state), theirs.implicit_terms(rows)),
            (ours.implicit_solve(state, 0.1), theirs.implicit_inverse(rows, 0.1)),
        ]
        for mine, reference in pairs:
            for field in DYNAMIC:
                if getattr(mine, field) is not None:
                    assert difference(peer.to_rows(plan, getattr(mine, field)), getattr(reference, field)) < 1e-12, (
                        field
                    )
            for key, x in mine.tracers.items():
                assert x is None or difference(peer.to_rows(plan, x), reference.tracers[key]) < 1e-12, key


def small(precision="float32", levels=5, **options):
    plan = make_plan(truncation("T21"), precision=precision)
    return plan, equidistant(levels), options


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_air_without_water_is_dry(precision, states):
    with jax.enable_x64(precision == "float64"):
        plan, levels, _ = small(precision)
        state, orography = states.random(plan, 5, tracers=(SPECIFIC_HUMIDITY,))
        still = jax.tree.map(jnp.zeros_like, state.tracers)
        moist = primitive_equations(plan, levels, 250.0, orography)
        dry = primitive_equations(plan, levels, 250.0, orography, moist=False)
        wet = jax.jit(moist.explicit)(replace(state, tracers=still))
        without = jax.jit(dry.explicit)(replace(state, tracers={}))
        for field in DYNAMIC:
            close = difference(getattr(wet, field), getattr(without, field))
            assert close < (1e-12 if precision == "float64" else 1e-6)


@pytest.mark.parametrize("field_by_field", [False, True])
def test_columns_transformed(field_by_field, states, monkeypatch):
    """(5 + t) k + 2 columns are synthesised and (6 + 3 t) k + 1 analysed, in one call each on an accelerator."""
    plan, levels, _ = small()
    state, orography = states.random(plan, 5)
    equation = primitive_equations(plan, levels, 250.0, orography)
    monkeypatch.setattr(batches, "by_field", lambda plan: field_by_field)
    widths = {"synthesis": [], "analysis": []}
    for name, kept in widths.items():
        real = getattr(transform, name)
        monkeypatch.setattr(
            transform, name, lambda plan, x, kept=kept, real=real: (kept.append(x.shape[-1]), real(plan, x))[1]
        )
    jax.eval_shape(equation.explicit, state)
    assert sum(widths["synthesis"]) == (5 + 3) * 5 + 2 and sum(widths["analysis"]) == (6 + 3 * 3) * 5 + 1
    assert [len(calls) for calls in widths.values()] == ([9, 16] if field_by_field else [1, 1])


@pytest.mark.parametrize("tracers", [(), (SPECIFIC_HUMIDITY,)])
def test_dry_air_has_no_columns_for_water(tracers, states):
    plan, levels, _ = small()
    state, _ = states.random(plan, 5, tracers=tracers)
    grid = jax.eval_shape(primitive_equations(plan, levels).to_grid, state)
    assert tuple(grid.tracers) == tracers


def test_members_are_independent_columns(states):
    plan, levels, _ = small()
    state, orography = states.random(plan, 5, members=(3,))
    equation = primitive_equations(plan, levels, 250.0, orography)
    axes = len(plan.modal_shape)

    @jax.jit
    def both(state):
        return equation.implicit_solve(equation.explicit(state), 0.1)

    together = both(state)
    for member in range(3):
        one = jax.tree.map(lambda x, member=member: jnp.take(x, member, axis=axes), state)
        alone = both(one)
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            assert difference(jnp.take(a, member, axis=axes), b) < 1e-5


def test_vmap_is_the_member_axis(states):
    plan, levels, _ = small()
    state, orography = states.random(plan, 5, members=(2,))
    equation = primitive_equations(plan, levels, 250.0, orography)
    axes = len(plan.modal_shape)
    mapped = jax.jit(jax.vmap(equation.explicit, in_axes=axes, out_axes=axes))(state)
    for a, b in zip(jax.tree.leaves(mapped), jax.tree.leaves(jax.jit(equation.explicit)(state)), strict=True):
        assert difference(a, b) < 1e-5


def test_the_solve_inverts_the_linear_terms(states):
    with jax.enable_x64(True):
        plan, _, _ = small("float64")
        state, _ = states.random(plan, len(UNEVEN))
        equation = primitive_equations(plan, UNEVEN, np.linspace(220, 300, len(UNEVEN)))
        for eta in (0.15, -0.15):
            x = equation.implicit_solve(state, eta)
            linear = equation.implicit(x)
            assert linear.vorticity is None and set(linear.tracers.values()) == {None}
            for field in DYNAMIC[1:]:
                back = getattr(x, field) - eta * getattr(linear, field)
                assert difference(back, getattr(state, field)) < 1e-12


def test_tracers_are_conserved_in_the_large(states):
    """The global integral of ps q changes by the time scheme alone: d(ps q) = ps dq + q ps dlnps sums to zero."""
    with jax.enable_x64(True):
        plan, levels, _ = small("float64", levels=6)
        state, orography = states.random(plan, 6, tracers=("dust",))
        equation = primitive_equations(plan, levels, 250.0, orography)
        explicit, implicit = jax.jit(equation.explicit)(state), equation.implicit(state)
        columns = jnp.concatenate(
            [state.tracers["dust"], state.log_surface_pressure, explicit.tracers["dust"]], axis=-1
        )
        rate = explicit.log_surface_pressure + implicit.log_surface_pressure
        x = transform.synthesis(plan, jnp.concatenate([columns, rate], axis=-1))
        dust, pressure, change, rate = x[..., :6], jnp.exp(x[..., 6:7]), x[..., 7:13], x[..., 13:]
        total = transform.analysis(plan, pressure * (change + dust * rate)) @ levels.thickness
        scale = transform.analysis(plan, pressure * jnp.abs(change)) @ levels.thickness
        mean = (plan.total_wavenumber == 0) & plan.mask
        # exp(lnps) is no polynomial, so the grid integrates it to truncation only
        assert abs(float(jnp.sum(total[mean]))) < 1e-3 * float(jnp.sum(scale[mean]))


def test_forcing_acts_at_the_grid_points(states):
    """A drag on the wind and a source of every scalar come out as themselves."""
    with jax.enable_x64(True):
        plan, levels, _ = small("float64")
        state, orography = states.random(plan, 5, tracers=("dust",))
        equation = primitive_equations(plan, levels, 250.0, orography)

        def forcing(equation, grid):
            return GridTendency(
                cos_lat_u=-0.1 * grid.cos_lat_u,
                cos_lat_v=-0.1 * grid.cos_lat_v,
                temperature=-0.2 * grid.temperature_variation,
                log_surface_pressure=-0.3 * grid.log_surface_pressure,
                tracers={"dust": -0.4 * grid.tracers["dust"]},
            )

        free = jax.jit(equation.explicit)(state)
        forced = jax.jit(lambda state: equation.explicit(state, forcing))(state)
        for field, rate in zip(DYNAMIC, (0.1, 0.1, 0.2, 0.3), strict=True):
            added = getattr(forced, field) - getattr(free, field)
            assert difference(added, -rate * getattr(state, field)) < 1e-10, field
        added = forced.tracers["dust"] - free.tracers["dust"]
        assert difference(added, -0.4 * state.tracers["dust"]) < 1e-10


def test_rest_over_mountains_has_no_tendency(states):
    """An isothermal atmosphere at rest, surface pressure falling with height: explicit and implicit forces cancel."""
    with jax.enable_x64(True):
        plan, levels, _ = small("float64")
        constants = ATMOSPHERIC.earth
        rng = np.random.default_rng(3)
        orography = states.random_field(plan, rng, 1, 2000 / 6.37e6, slope=1.5)
        pressure = (
            states.constant(plan, np.log(5.78), 1) - constants.gravity / (constants.gas_constant * 260) * orography
        )
        zero = jnp.zeros((*plan.modal_shape, 5))
        state = type(states.random(plan, 5)[0])(zero, zero, states.constant(plan, -28.0, 5), pressure)
        equation = primitive_equations(plan, levels, 288.0, orography)
        explicit, implicit = jax.jit(equation.explicit)(state), equation.implicit(state)
        size = float(jnp.max(jnp.abs(implicit.divergence)))
        np.testing.assert_allclose(explicit.divergence + implicit.divergence, 0, atol=1e-12 * size)
        np.testing.assert_allclose(explicit.vorticity, 0, atol=1e-12 * size)


def test_the_reference_profile_must_fit():
    plan, levels, _ = small()
    with pytest.raises(SettingsError, match=r"shape \(4,\) for 5 levels"):
        primitive_equations(plan, levels, np.full(4, 250.0))


def test_the_expanded_form_of_the_humidity_terms(states):
    """The same where the largest wavenumber is empty, as states.random makes it, and not where it is not."""
    plan = make_plan("T21")
    state, orography = states.random(plan, 4)
    plain, expanded = (
        primitive_equations(plan, equidistant(4), 280.0, orography, expanded=form) for form in (False, True)
    )
    explicit = jax.jit(lambda equation, state: equation.explicit(state))
    for one, other in zip(*(jax.tree.leaves(explicit(x, state)) for x in (plain, expanded)), strict=True):
        assert difference(one, other) < 2e-5
    top = (plan.total_wavenumber == plan.truncation.total - 1) & plan.mask
    filled = replace(state, log_surface_pressure=state.log_surface_pressure + 0.01 * top[..., None])
    one, other = (explicit(x, filled).vorticity for x in (plain, expanded))
    assert difference(one, other) > 1e-3
