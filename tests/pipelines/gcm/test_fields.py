"""Physical fields of states that are known in closed form; members; levels; the poles."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere.grids import GRIDS
from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.gcm import fields
from sciml.pipelines.gcm.dynamics.primitive_equations import primitive_equations
from sciml.pipelines.gcm.dynamics.shallow_water import shallow_water
from sciml.pipelines.gcm.dynamics.vertical import equidistant
from sciml.pipelines.gcm.fields import physical_fields
from sciml.pipelines.gcm.scales import ATMOSPHERIC, EARTH
from sciml.pipelines.gcm.settings import VARIABLES
from sciml.pipelines.gcm.setups import baroclinic, fluids, resting
from sciml.pipelines.gcm.setups.case import Where
from sciml.pipelines.gcm.setups.initial import atmosphere, fluid, modal, orography, reference_potential

RT = EARTH.gas_constant * 288.0
EXPONENT = EARTH.gas_constant * fields.STANDARD_LAPSE_RATE / EARTH.gravity
DRY = [name for name in VARIABLES["primitive"] if not name.startswith("specific")]


@pytest.fixture(scope="module")
def plan():
    return make_plan("T21")


def built(plan, levels, initial):
    """(equation, state) of an initial state."""
    surface = orography(plan, initial.surface_geopotential)
    equation = primitive_equations(plan, levels, initial.reference_temperature, surface, moist=bool(initial.tracers))
    return equation, atmosphere(plan, initial)


def still(plan, n=6, **changes):
    """(where, equation, state) of air at rest with some parts changed; a change may be a function of where."""
    levels = equidistant(n)
    where = Where.of(plan, levels)
    made = {name: x(where) if callable(x) else x for name, x in changes.items()}
    return where, *built(plan, levels, replace(resting.rest(where), **made))


def several(*states):
    """Members in one state."""
    return jax.tree.map(lambda *parts: jnp.stack(parts, -2), *states)


@pytest.mark.parametrize("kind", GRIDS)
def test_solid_body_rotation_about_any_axis(kind):
    """Wind across the poles included, where the grid has points on them."""
    small = make_plan("T21", grid=kind)

    def wind(where, speed=30.0, tilt=0.7):
        u = np.cos(tilt) * np.cos(where.lat) + np.sin(tilt) * np.sin(where.lat) * np.cos(where.lon)
        return where.full(speed * u), where.full(-speed * np.sin(tilt) * np.sin(where.lon) + 0 * where.lat)

    where, equation, state = still(small, 2, u=lambda w: wind(w)[0], v=lambda w: wind(w)[1])
    found = physical_fields(equation, state, ("u_component_of_wind", "v_component_of_wind", "vorticity", "divergence"))
    u, v = wind(where)
    np.testing.assert_allclose(found["u_component_of_wind"], u.T, atol=2e-3 if kind == GRIDS[2] else 1e-3)
    np.testing.assert_allclose(found["v_component_of_wind"], v.T, atol=2e-3 if kind == GRIDS[2] else 1e-3)
    expected = (
        60 / EARTH.radius * (np.cos(0.7) * np.sin(where.lat) - np.sin(0.7) * np.cos(where.lat) * np.cos(where.lon))
    )
    np.testing.assert_allclose(found["vorticity"], where.full(expected).T, atol=1e-9)
    assert abs(found["divergence"]).max() < 1e-10


def test_geopotential_of_isothermal_air(plan):
    """R T ln(p0 / p) at every pressure below the ground of mountains, too, but for the standard lapse rate there."""
    levels = equidistant(6)
    where = Where.of(plan, levels)
    mountains = where.flat(EARTH.gravity * 3000 * np.cos(where.lat) ** 4 * np.cos(2 * where.lon) ** 2)
    initial = resting.rest(where, surface_geopotential=mountains)
    equation, state = built(plan, levels, initial)
    pressures = (10.0, 50.0, 120.0, 300.0, 500.0, 600.0)
    found = physical_fields(equation, state, ("geopotential", "temperature", "surface_pressure"), pressures)
    expected = RT * np.log(1000 / np.array(pressures))[:, None, None]
    assert found["surface_pressure"].shape == (32, 64) and found["surface_pressure"].min() < 7.2e4
    np.testing.assert_allclose(found["geopotential"], np.broadcast_to(expected, found["geopotential"].shape), atol=1.5)
    np.testing.assert_allclose(found["temperature"], 288.0, atol=1e-3)
    layers = physical_fields(equation, state, ("geopotential",))["geopotential"]
    column = -RT * np.log(levels.centers)[:, None, None] + mountains.T
    np.testing.assert_allclose(layers, column, atol=1.5)


def test_geopotential_is_the_hydrostatic_integral(plan):
    """Of the balanced jet on 30 layers, against its closed form, at pressure levels between them."""
    levels = equidistant(30)
    where = Where.of(plan, levels)
    equation, state = built(plan, levels, baroclinic.steady_state(where))
    pressures = (70.0, 250.0, 500.0, 850.0, 970.0)
    found = physical_fields(equation, state, ("geopotential",), pressures)["geopotential"]
    expected = baroclinic.geopotential(where.lat[0], np.array(pressures) / 1000).T[..., None]
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=1e-3, atol=30.0)
    assert np.sqrt(((found - expected)[1:] ** 2).mean()) < 12  # 1.2 m


def test_levels_of_a_linear_profile(plan):
    """Wind linear in pressure is exact between the layers and constant beyond; temperature warms below the lowest."""
    where, equation, state = still(plan, 10, u=lambda w: w.full((10 + 20 * w.sigma) * np.cos(w.lat)))
    pressures = (20.0, 50.0, 333.0, 700.0, 950.0, 990.0)
    found = physical_fields(equation, state, ("u_component_of_wind", "temperature"), pressures)
    sigma = np.clip(np.array(pressures) / 1000, 0.05, 0.95)
    expected = (10 + 20 * sigma[:, None, None]) * np.cos(where.lat.T)
    np.testing.assert_allclose(found["u_component_of_wind"], np.broadcast_to(expected, (6, 32, 64)), atol=2e-3)
    warm = 288 * np.maximum(np.array(pressures) / 950, 1) ** EXPONENT
    np.testing.assert_allclose(found["temperature"], np.broadcast_to(warm[:, None, None], (6, 32, 64)), atol=1e-2)


def test_geopotential_goes_on_below_the_ground(plan):
    """With the lapse rate of the temperature there: d Phi = -R T d ln p."""
    _, equation, state = still(plan, 10)
    pressures = tuple(np.linspace(951, 1100, 150))
    found = physical_fields(equation, state, ("geopotential", "temperature"), pressures)
    height, warm = (found[name][:, 0, 0].astype(np.float64) for name in ("geopotential", "temperature"))
    steps = np.diff(np.log(pressures)) * (warm[1:] + warm[:-1]) / 2 * EARTH.gas_constant
    np.testing.assert_allclose(height[0] - height[-1], steps.sum(), rtol=1e-4)


def test_sea_level_pressure(plan):
    """That of the ground over a flat sea; over mountains in the standard atmosphere that of sea level."""
    _, equation, state = still(plan)
    found = physical_fields(equation, state, ("mean_sea_level_pressure", "surface_pressure"))
    np.testing.assert_allclose(found["mean_sea_level_pressure"], found["surface_pressure"], rtol=1e-6)

    def ground(w):
        return 288.15 - fields.STANDARD_LAPSE_RATE * 2000 * np.cos(w.lat) ** 2

    where, equation, state = still(
        plan,
        surface_geopotential=lambda w: w.flat(EARTH.gravity * 2000 * np.cos(w.lat) ** 2),
        surface_pressure=lambda w: w.flat(101325 * (ground(w) / 288.15) ** (1 / EXPONENT)),
        temperature=lambda w: w.full(ground(w) * w.sigma**EXPONENT),
    )
    found = physical_fields(equation, state, ("mean_sea_level_pressure", "surface_pressure"))
    assert found["surface_pressure"].min() < 8e4
    np.testing.assert_allclose(found["mean_sea_level_pressure"], 101325, atol=15)


def test_vertical_velocity_obeys_continuity(plan):
    """omega = -integral of the divergence from the top where ps is uniform: air rises under divergence aloft."""
    levels = equidistant(40)
    where, equation, state = still(plan, 40)
    amplitude = ATMOSPHERIC.nondim(1e-5, "s-1")
    pattern = modal(plan, where.full(amplitude * np.sin(where.lat) * np.sin(np.pi * levels.centers)))
    state = replace(state, divergence=jnp.asarray(pattern, jnp.float32))
    omega = physical_fields(equation, state, ("vertical_velocity",))["vertical_velocity"]
    expected = -1e5 * 1e-5 * (1 - np.cos(np.pi * levels.centers)) / np.pi
    expected = expected[:, None, None] * np.sin(where.lat.T)
    np.testing.assert_allclose(omega, np.broadcast_to(expected, omega.shape), atol=0.004)
    assert omega[20, 31, 0] < -0.2


def test_moist_air_is_lighter(plan):
    where, equation, state = still(plan, tracers=lambda w: {"specific_humidity": w.full(0.01)})
    names = ("geopotential", "temperature", "specific_humidity")
    found = physical_fields(equation, state, names)
    factor = 1 + 0.01 * (EARTH.gas_constant_vapor / EARTH.gas_constant - 1)
    expected = -RT * factor * np.log(where.sigma)[:, None, None]
    np.testing.assert_allclose(found["geopotential"], np.broadcast_to(expected, (6, 32, 64)), rtol=1e-5)
    np.testing.assert_allclose(found["specific_humidity"], 0.01, rtol=1e-5)
    np.testing.assert_allclose(found["temperature"], 288.0, rtol=1e-6)


@pytest.mark.parametrize("pressures", [None, (300.0, 900.0)])
def test_members_are_what_each_is_alone(plan, pressures):
    levels = equidistant(4)
    where = Where.of(plan, levels)
    equation, one = built(plan, levels, baroclinic.baroclinic_wave(where))
    other = replace(one, vorticity=0.5 * one.vorticity, log_surface_pressure=one.log_surface_pressure * 1.001)
    both = physical_fields(equation, several(one, other), DRY, pressures)
    for member, state in enumerate((one, other)):
        alone = physical_fields(equation, state, DRY, pressures)
        for name in DRY:
            assert both[name].shape == (2, *alone[name].shape)
            size = abs(alone[name]).max()
            np.testing.assert_allclose(both[name][member], alone[name], atol=1e-5 * size, err_msg=name)


def test_fields_of_a_fluid(plan):
    where = Where.of(plan)
    initial = fluids.williamson5(where)
    bottom = modal(plan, ATMOSPHERIC.nondim(initial.bottom, "m"))
    equation = shallow_water(plan, reference_potential(plan, initial), bottom)
    state = fluid(plan, initial)
    found = physical_fields(equation, state, VARIABLES["shallow_water"])
    assert all(x.shape == (1, 32, 64) for x in found.values())
    np.testing.assert_allclose(
        found["height"], initial.height.T, atol=60
    )  # a cone on T21 rings, but as bottom and depth
    smooth = np.s_[:, :16, :16]
    np.testing.assert_allclose(found["height"][smooth], initial.height.T[smooth], atol=0.5)
    np.testing.assert_allclose(found["depth"][smooth], (initial.height - initial.bottom).T[smooth], atol=30)
    np.testing.assert_allclose(found["u_component_of_wind"], initial.u.T, atol=1e-2)
    total = found["vorticity"] + 2 * EARTH.angular_velocity * np.sin(where.lat.T)
    np.testing.assert_allclose(found["potential_vorticity"], total / found["depth"], rtol=1e-3, atol=1e-12)
    both = physical_fields(
        equation, several(state, replace(state, vorticity=2 * state.vorticity)), ("height", "vorticity")
    )
    assert both["height"].shape == (2, 1, 32, 64)
    np.testing.assert_allclose(both["vorticity"][1], 2 * found["vorticity"], atol=1e-10)


def test_an_unknown_field(plan):
    _, equation, state = still(plan, 2)
    with pytest.raises(KeyError):
        physical_fields(equation, state, ("rain",))
