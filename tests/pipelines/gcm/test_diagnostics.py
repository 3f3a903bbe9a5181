"""Integrals of states known in closed form, and integrals in float32 that resolve small drifts."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere import layout
from sciml.kernels.sphere.grids import GRIDS
from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.gcm import diagnostics
from sciml.pipelines.gcm.dynamics.primitive_equations import primitive_equations
from sciml.pipelines.gcm.dynamics.shallow_water import shallow_water
from sciml.pipelines.gcm.dynamics.vertical import SigmaLevels
from sciml.pipelines.gcm.scales import ATMOSPHERIC, EARTH
from sciml.pipelines.gcm.setups import baroclinic, fluids, resting
from sciml.pipelines.gcm.setups.case import Where
from sciml.pipelines.gcm.setups.initial import atmosphere, fluid, modal, orography, reference_potential

LEVELS = SigmaLevels((0.0, 0.2, 0.5, 0.8, 1.0))
MASS = 1e5 / EARTH.gravity  # kg m-2 under 1000 hPa


@pytest.fixture(scope="module")
def plan():
    return make_plan("T21")


def built(plan, initial, dtype=None):
    surface = orography(plan, initial.surface_geopotential)
    equation = primitive_equations(plan, LEVELS, initial.reference_temperature, surface, moist=bool(initial.tracers))
    return equation, atmosphere(plan, initial)


def several(*states):
    return jax.tree.map(lambda *parts: jnp.stack(parts, -2), *states)


@pytest.mark.parametrize("kind", GRIDS)
def test_means_over_the_sphere(kind):
    small = make_plan("T21", grid=kind)
    assert diagnostics.area_weights(small).sum() == pytest.approx(1)
    lat = Where.of(small).lat
    field = np.concatenate([np.ones_like(lat), np.sin(lat), np.sin(lat) ** 2], -1)
    nodal = layout.from_standard(small, np.broadcast_to(field, (64, 32, 3)).astype(np.float32))
    np.testing.assert_allclose(diagnostics.sphere_mean(small, jnp.asarray(nodal)), [1, 0, 1 / 3], atol=1e-7)


def test_air_at_rest(plan):
    facts = diagnostics.atmosphere(*built(plan, resting.rest(Where.of(plan, LEVELS))))
    assert facts["mean_surface_pressure"] == pytest.approx(1e5, rel=2e-7)
    assert facts["total_energy"] == pytest.approx(EARTH.heat_capacity * 288 * MASS, rel=3e-7)
    planetary = EARTH.angular_velocity * EARTH.radius**2 * 2 / 3 * MASS
    assert facts["angular_momentum"] == pytest.approx(planetary, rel=3e-7)
    assert facts["max_wind"] == facts["kinetic_energy"] == facts["enstrophy"] == 0
    assert facts["temperature_min"] == pytest.approx(288) == facts["temperature_max"]


def test_solid_body_rotation(plan):
    where, speed = Where.of(plan, LEVELS), 40.0
    spinning = replace(resting.rest(where), u=where.full(speed * np.cos(where.lat)))
    equation, state = built(plan, spinning)
    facts = diagnostics.atmosphere(equation, state)
    assert facts["max_wind"] == pytest.approx(speed, rel=2e-3)
    assert facts["kinetic_energy"] == pytest.approx(speed**2 / 3 * MASS, rel=1e-6)
    assert facts["enstrophy"] == pytest.approx((2 * speed / EARTH.radius) ** 2 / 6, rel=1e-6)
    planetary = EARTH.angular_velocity * EARTH.radius**2 * 2 / 3 * MASS
    assert facts["angular_momentum"] == pytest.approx(planetary + EARTH.radius * speed * 2 / 3 * MASS, rel=3e-7)
    spectrum = diagnostics.kinetic_energy_spectrum(equation, state)
    assert spectrum.shape == (plan.truncation.total,)
    assert spectrum[1] == pytest.approx(speed**2 / 3, rel=1e-6) and np.delete(spectrum, 1).max() < 1e-9


def mountainous(where):
    """The growing wave with some more structure, moisture and mountains."""
    bumps = np.cos(where.lat) ** 4 * np.cos(3 * where.lon)
    wave = baroclinic.baroclinic_wave(where)
    return replace(
        wave,
        v=where.full(10 * np.cos(where.lat) ** 2 * np.sin(2 * where.lon)),
        surface_pressure=where.flat(9.8e4 - 2e4 * bumps),
        surface_geopotential=where.flat(EARTH.gravity * 1000 * (1 + bumps)),
        tracers={"specific_humidity": where.full(0.01 * np.cos(where.lat) ** 2 * where.sigma)},
    )


def test_float32_agrees_with_float64_and_resolves_drifts(plan):
    """The integrals of the same numbers agree to 2e-7; what they change by in time, the drift, to 2e-8."""
    where = Where.of(plan, LEVELS)
    initial = mountainous(where)
    equation, state = built(plan, initial)
    rng = np.random.default_rng(0)
    later = jax.tree.map(lambda x: x * np.float32(1 + 1e-4) + 1e-6 * rng.normal(size=x.shape).astype(np.float32), state)
    later = replace(later, log_surface_pressure=state.log_surface_pressure * np.float32(1 + 1e-6))
    facts, then = (diagnostics.atmosphere(equation, one) for one in (state, later))
    with jax.enable_x64(True):
        exact = built(make_plan("T21", precision="float64"), initial)[0]
        wide = [jax.tree.map(lambda x: jnp.asarray(np.asarray(x), jnp.float64), one) for one in (state, later)]
        reference, reference_then = (diagnostics.atmosphere(exact, one) for one in wide)
    for name, limit in {
        "mean_surface_pressure": 2e-7, "total_energy": 2e-7, "angular_momentum": 2e-7, "kinetic_energy": 1e-6,
        "enstrophy": 1e-6, "mean_specific_humidity": 1e-6, "max_wind": 1e-5, "surface_pressure_max": 1e-6,
    }.items():  # fmt: skip
        assert facts[name] == pytest.approx(float(reference[name]), rel=limit), name
    for name in ("mean_surface_pressure", "total_energy", "angular_momentum"):
        drift, expected = then[name] / facts[name] - 1, reference_then[name] / reference[name] - 1
        assert drift == pytest.approx(expected, abs=2e-8), name
        assert abs(expected) > 1e-6


def test_energy_is_that_of_the_fields(plan):
    where = Where.of(plan, LEVELS)
    initial = mountainous(where)
    facts = diagnostics.atmosphere(*built(plan, initial))
    weights = np.asarray(layout.to_standard(plan, diagnostics.area_weights(plan)))
    area = np.cos(where.lat[0, :, 0])
    area = np.broadcast_to(area / area.sum() / 64, (64, 32))
    assert weights.shape == (64, 32)
    column = ((initial.u**2 + initial.v**2) / 2 + EARTH.heat_capacity * initial.temperature) @ LEVELS.thickness
    energy = initial.surface_pressure[..., 0] * (column + initial.surface_geopotential[..., 0]) / EARTH.gravity
    assert facts["total_energy"] == pytest.approx((energy * area).sum(), rel=3e-3)


def test_members(plan):
    """Means are averaged, extremes taken over all, the spectrum's sum is the kinetic energy."""
    where = Where.of(plan, LEVELS)
    equation, one = built(plan, mountainous(where))
    other = replace(one, vorticity=0.2 * one.vorticity, log_surface_pressure=1.001 * one.log_surface_pressure)
    alone = [diagnostics.atmosphere(equation, state) for state in (one, other)]
    both = diagnostics.atmosphere(equation, several(one, other))
    assert both.keys() == alone[0].keys()
    for name in both:
        pair = [float(facts[name]) for facts in alone]
        how = min if name.endswith("min") else max if name.endswith("max") or name == "max_wind" else np.mean
        assert float(both[name]) == pytest.approx(how(pair), rel=3e-6), name
    spectra = [diagnostics.kinetic_energy_spectrum(equation, state) for state in (one, other)]
    found = diagnostics.kinetic_energy_spectrum(equation, several(one, other))
    np.testing.assert_allclose(found, np.mean(spectra, 0), rtol=1e-5, atol=1e-9)


def test_the_spectrum_sums_to_the_kinetic_energy(plan):
    where = Where.of(plan, LEVELS)
    initial = replace(mountainous(where), surface_pressure=where.flat(1e5))
    equation, state = built(plan, initial)
    spectrum = diagnostics.kinetic_energy_spectrum(equation, state)
    assert spectrum.sum() == pytest.approx(diagnostics.atmosphere(equation, state)["kinetic_energy"] / MASS, rel=2e-3)


def swirling(plan, **changes):
    initial = replace(fluids.williamson2(Where.of(plan)), **changes)
    bottom = modal(plan, ATMOSPHERIC.nondim(initial.bottom, "m"))
    return initial, shallow_water(plan, reference_potential(plan, initial), bottom), fluid(plan, initial)


def test_integrals_of_a_fluid(plan):
    where = Where.of(plan)
    bottom = where.flat(500 * np.cos(where.lat) ** 2)
    initial, equation, state = swirling(plan, bottom=bottom)
    facts = diagnostics.fluid(equation, state)
    with jax.enable_x64(True):
        exact = make_plan("T21", precision="float64")
        weights = layout.to_standard(exact, diagnostics.area_weights(exact))
    gauss = np.polynomial.legendre.leggauss(32)[1] / 128
    assert weights.shape == (64, 32)

    def mean(x):
        return np.einsum("ijk,j->", x, gauss)

    depth = initial.height - bottom
    assert facts["mean_height"] == pytest.approx(mean(depth), rel=1e-7)
    energy = mean(depth * initial.u**2 / 2 + EARTH.gravity * (initial.height**2 - bottom**2) / 2)
    assert facts["total_energy"] == pytest.approx(energy, rel=2e-7)
    speed = initial.u.max() / np.cos(where.lat).max()
    total = 2 * (EARTH.angular_velocity + speed / EARTH.radius) * np.sin(where.lat)
    assert facts["potential_enstrophy"] == pytest.approx(mean(total**2 / depth / 2), rel=1e-6)
    assert facts["max_wind"] == pytest.approx(initial.u.max(), rel=1e-5)
    assert diagnostics.kinetic_energy_spectrum(equation, state)[1] == pytest.approx(speed**2 / 3, rel=1e-6)
    both = diagnostics.fluid(equation, several(state, replace(state, vorticity=0 * state.vorticity)))
    assert both["mean_height"] == pytest.approx(facts["mean_height"], rel=1e-8)
    assert both["total_energy"] == pytest.approx(energy - mean(depth * initial.u**2 / 4), rel=3e-7)
