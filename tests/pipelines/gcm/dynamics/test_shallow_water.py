"""Shallow water: terms of dinosaur, steady zonal flow (Williamson et al. 1992, case 2), mass."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere import layout, operators, transform
from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.core import make_core
from sciml.pipelines.gcm.dynamics.filters import exponential
from sciml.pipelines.gcm.dynamics.shallow_water import ShallowWaterState, shallow_water
from sciml.pipelines.gcm.dynamics.steppers import SCHEMES
from sciml.pipelines.gcm.scales import ATMOSPHERIC, EARTH

DAY = ATMOSPHERIC.nondim(1, "day")


def random_state(plan, states, seed=0):
    rng = np.random.default_rng(seed)
    turning = jnp.asarray(plan.total_wavenumber > 0, plan.dtype)[..., None]
    vorticity, divergence, potential = (states.random_field(plan, rng, 1, size) for size in (0.05, 0.01, 1e-3))
    return ShallowWaterState(turning * vorticity, turning * divergence, potential)


def test_terms_are_those_of_dinosaur(peer, states):
    with jax.enable_x64(True):
        plan = make_plan("T21", precision="float64")
        # The peer drops the largest wavenumber of the wind, too: leave it empty, with one more in the state.
        state = jax.tree.map(lambda x: operators.clip(plan, x, 2), random_state(plan, states))
        height = states.random_field(plan, np.random.default_rng(4), 1, 1e-3, slope=2.0)
        ours = shallow_water(plan, 0.04, height)
        grid = peer.spherical_harmonic.Grid.T21(radius=1.0)
        layer = peer.sigma_coordinates.SigmaCoordinates.equidistant(1)
        coords = peer.coordinate_systems.CoordinateSystem(grid, layer)
        orography = peer.to_rows(plan, ATMOSPHERIC.earth.gravity * height)[0]
        theirs = peer.shallow_water.ShallowWaterEquations(coords, peer.specs, orography, np.array([0.04]))
        rows = peer.shallow_water.State(*(peer.to_rows(plan, x) for x in jax.tree.leaves(state)))
        pairs = [
            (jax.jit(ours.explicit)(state), jax.jit(theirs.explicit_terms)(rows)),
            (ours.implicit(state), theirs.implicit_terms(rows)),
            (ours.implicit_solve(state, 0.2), theirs.implicit_inverse(rows, 0.2)),
        ]
        for mine, reference in pairs:
            for name in ("vorticity", "divergence", "potential"):
                if getattr(mine, name) is not None:
                    a, b = peer.to_rows(plan, getattr(mine, name)), getattr(reference, name)
                    assert float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b)) < 1e-12, name


def test_the_solve_inverts(states):
    with jax.enable_x64(True):
        plan = make_plan("T21", precision="float64")
        state, equation = random_state(plan, states), shallow_water(plan, 0.04)
        x = equation.implicit_solve(state, 0.3)
        linear = equation.implicit(x)
        assert linear.vorticity is None
        for name in ("divergence", "potential"):
            np.testing.assert_allclose(getattr(x, name) - 0.3 * getattr(linear, name), getattr(state, name), atol=1e-14)


def zonal_flow(plan):
    """(equation, state) of solid-body rotation at 2 pi a / 12 days in balance with the height."""
    speed = ATMOSPHERIC.nondim(2 * np.pi * EARTH.radius / (12 * 86400), "m s-1")
    mean = ATMOSPHERIC.nondim(2.94e4, "m2 s-2")
    sin_lat = jnp.broadcast_to(plan.sin_lat, (*plan.nodal_shape, 1))
    cos_lat = jnp.broadcast_to(plan.cos_lat, (*plan.nodal_shape, 1))
    potential = -(2 * ATMOSPHERIC.earth.angular_velocity * speed + speed**2) / 2 * sin_lat**2
    vorticity, divergence = operators.vorticity_divergence(plan, speed * cos_lat, 0 * cos_lat)
    return shallow_water(plan, mean), ShallowWaterState(vorticity, divergence, transform.analysis(plan, potential))


_OTHERS = [name for name in SCHEMES.names() if name not in ("imex_rk_sil3", "semi_implicit_leapfrog")]


@pytest.mark.parametrize(
    "scheme",
    ["imex_rk_sil3", "semi_implicit_leapfrog", *(pytest.param(name, marks=pytest.mark.slow) for name in _OTHERS)],
)
def test_balanced_zonal_flow_is_steady(scheme):
    with jax.enable_x64(True):
        plan = make_plan("T21", precision="float64")
        equation, state = zonal_flow(plan)
        core = make_core(equation, DAY / 72, scheme=scheme)
        end = core.state(core.advance(core.start(state), 72))
        for name in ("vorticity", "divergence", "potential"):
            np.testing.assert_allclose(getattr(end, name), getattr(state, name), atol=1e-11)


def test_mass_is_kept_to_round_off(states):
    plan = make_plan("T21")
    core = make_core(shallow_water(plan, 0.04), DAY / 72, filters=(exponential(plan, DAY / 72),))
    state = random_state(plan, states)
    mean = (plan.total_wavenumber == 0) & plan.mask
    before = float(state.potential[mean][0, 0])
    end = core.advance(state, 72)
    assert float(end.potential[mean][0, 0]) == pytest.approx(before, abs=1e-8)
    assert bool(jnp.all(jnp.isfinite(end.vorticity)))


@pytest.mark.slow
def test_flow_over_a_mountain_keeps_its_mass():
    """Williamson et al. (1992), case 5: 15 days at T42, mass to 1e-6."""
    plan = make_plan("T42")
    equation, state = zonal_flow(plan)
    lon, lat = np.deg2rad(plan.longitude)[:, None, None], np.deg2rad(plan.latitude)[None, :, None]
    far = np.minimum(np.sqrt((lon - 1.5 * np.pi) ** 2 + (lat - np.pi / 6) ** 2), np.pi / 9)
    height = ATMOSPHERIC.nondim(2000 * (1 - far / (np.pi / 9)), "m")
    mountain = operators.clip(
        plan, transform.analysis(plan, jnp.asarray(layout.from_standard(plan, height), jnp.float32))
    )
    speed = 20 / (2 * np.pi * EARTH.radius / (12 * 86400))
    mean = ATMOSPHERIC.nondim(9.80616 * 5960.0, "m2 s-2")
    depth = speed * state.potential - ATMOSPHERIC.earth.gravity * mountain
    state = ShallowWaterState(speed * state.vorticity, state.divergence, depth)
    core = make_core(shallow_water(plan, mean, mountain), DAY / 72, filters=(exponential(plan, DAY / 72),))
    zero = (plan.total_wavenumber == 0) & plan.mask
    root = np.sqrt(4 * np.pi)
    before = mean + float(state.potential[zero][0, 0]) / root
    end = core.advance(core.start(state), 15 * 72)
    after = mean + float(end.potential[zero][0, 0]) / root
    assert bool(jnp.all(jnp.isfinite(end.vorticity))) and after == pytest.approx(before, rel=1e-6)


def test_the_reference_must_be_positive():
    with pytest.raises(SettingsError, match="reference potential is -1"):
        shallow_water(make_plan("T21"), -1.0)
