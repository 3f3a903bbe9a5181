"""Air at rest: over any surface the equations leave it there; the noise of the Held-Suarez start is small and drawn."""

import numpy as np

from sciml.pipelines.gcm.dynamics.primitive_equations import primitive_equations
from sciml.pipelines.gcm.dynamics.vertical import equidistant
from sciml.pipelines.gcm.scales import EARTH
from sciml.pipelines.gcm.setups.case import Where
from sciml.pipelines.gcm.setups.initial import atmosphere, modal, orography
from sciml.pipelines.gcm.setups.resting import held_suarez, rest


def mountains(where):
    """Geopotential of smooth mountains of 4000 m, within T10."""
    bumps = np.cos(where.lat) ** 4 * np.cos(4 * where.lon) + np.sin(where.lat) ** 3
    return EARTH.gravity * 2000 * (1 + bumps)


def test_rest_over_mountains_has_no_tendency(exact):
    """ln ps is -Phi_s / (R T), so that both forces cancel coefficient by coefficient."""
    levels = equidistant(5)
    where = Where.of(exact, levels)
    still = rest(where, surface_geopotential=mountains(where))
    assert still.surface_pressure.min() < 6.5e4
    equation = primitive_equations(
        exact, levels, still.reference_temperature, orography(exact, still.surface_geopotential)
    )
    state = atmosphere(exact, still)
    explicit, implicit = equation.explicit(state), equation.implicit(state)
    force = float(abs(equation.orography_tendency).max())
    for name in ("vorticity", "temperature_variation", "log_surface_pressure"):
        other = getattr(implicit, name)
        total = getattr(explicit, name) + (0 if other is None else other)
        assert abs(total).max() < 1e-13 * force, name
    assert abs(explicit.divergence + implicit.divergence).max() < 1e-12 * force
    assert force > 1e-3


def test_flat_rest(globe):
    still = rest(globe.where)
    assert (still.surface_pressure == 1e5).all() and (still.temperature == 288).all() and not still.u.any()


def test_the_start_of_a_climate_is_drawn(globe, plan):
    one, same, other = (held_suarez(globe.where, seed).temperature for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert abs(one - other).max() > 0.1
    noise = one - 288.0
    assert 0.02 < np.sqrt((noise**2).mean()) < 0.1 and np.ptp(noise, axis=-1).max() == 0
    assert abs(noise[:, [0, -1]]).max() < 0.01  # regular at the poles
    x = np.asarray(modal(plan, noise[..., :1]))
    small = plan.mask & (plan.total_wavenumber > 16)
    assert (x[small] ** 2).sum() < 1e-2 * (x**2).sum()
