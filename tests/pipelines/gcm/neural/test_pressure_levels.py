"""Pressure levels and sigma layers: exact on linear profiles, the original's numbers, extrapolation as it is."""

import jax.numpy as jnp
import numpy as np
import pytest

from sciml.pipelines.gcm.dynamics import vertical
from sciml.pipelines.gcm.neural import pressure_levels as pl
from sciml.pipelines.gcm.scales import ATMOSPHERIC

PRESSURE = np.array([1, 2, 3, 5, 7, 10, 30, 100, 250, 500, 700, 850, 925, 1000]) * ATMOSPHERIC.nondim(1.0, "hPa")
SIGMA = vertical.equidistant(8).centers
SCALE = ATMOSPHERIC.earth


def columns(seed=0, shape=(4, 3)):
    """Plausible columns [*shape, p]: geopotential falls with pressure, others are rough."""
    rng = np.random.default_rng(seed)
    z = SCALE.gravity * ATMOSPHERIC.nondim(7e3, "m") * (np.log(PRESSURE[-1] / PRESSURE) + 0.05)
    z = z * (1 + 0.02 * rng.normal(size=(*shape, 1)))
    rough = {name: rng.normal(size=(*shape, len(PRESSURE))) for name in ("t", "u", "specific_humidity")}
    return {name: jnp.asarray(x, jnp.float32) for name, x in ({"z": z} | rough).items()}


def test_surface_pressure_of_a_column_that_is_linear_in_pressure():
    pressure = np.array([100.0, 500.0, 900.0])
    z = jnp.asarray([[9.0, 5.0, 1.0]], jnp.float32)
    for ground, expected in ((5.0, 500.0), (3.0, 700.0), (-2.0, 1200.0), (11.0, -100.0)):
        assert float(pl.surface_pressure(z, pressure, jnp.float32([[ground]]))[0, 0]) == pytest.approx(
            expected, rel=1e-6
        )


def test_constant_and_linear_continuation():
    x = jnp.asarray(np.stack([SIGMA] * 2)[:, None], jnp.float32)
    surface, wanted = jnp.ones((2, 1, 1), jnp.float32), np.array([0.01, 0.3, 1.2])
    found = pl.to_pressure({"t": x, "z": x, "u": x}, SIGMA, surface, wanted)
    for name in ("t", "z"):
        np.testing.assert_allclose(found[name][0, 0], wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["u"][0, 0], [SIGMA[0], 0.3, SIGMA[-1]], rtol=1e-6)


def test_geopotential_leaves_cloud_water_out_and_counts_vapour():
    levels = vertical.equidistant(8)
    height = jnp.asarray(vertical.geopotential(levels, SCALE.gas_constant).T, jnp.float32)
    t, q = jnp.full((2, 8), 280.0), jnp.full((2, 8), 0.01)
    dry = pl.geopotential(t, 0 * q, jnp.zeros((2, 1)), height, 0.6)
    moist = pl.geopotential(t, q, jnp.ones((2, 1)), height, 0.6)
    np.testing.assert_allclose(moist - 1, dry * 1.006, rtol=1e-5)


def test_against_the_original():
    pytest.importorskip("neuralgcm")
    from dinosaur import sigma_coordinates
    from dinosaur import vertical_interpolation as theirs

    fields, ground = columns(), jnp.asarray(np.linspace(0, 3e-4, 12).reshape(4, 3, 1), jnp.float32)
    levels = theirs.PressureCoordinates(PRESSURE)
    sigma = sigma_coordinates.SigmaCoordinates.equidistant(8)
    first = lambda x: jnp.moveaxis(x, -1, 0)  # noqa: E731
    expected = theirs.get_surface_pressure(levels, first(fields["z"]), first(ground), SCALE.gravity)
    surface = pl.surface_pressure(fields["z"], PRESSURE, ground * SCALE.gravity)
    np.testing.assert_allclose(surface, jnp.moveaxis(expected, 0, -1), rtol=2e-6)

    constant = theirs.vectorize_vertical_interpolation(theirs.vertical_interpolation)
    linear = theirs.vectorize_vertical_interpolation(theirs.linear_interp_with_linear_extrap)
    inward = pl.to_sigma(fields, PRESSURE, surface, SIGMA)
    outward = pl.to_pressure(inward, SIGMA, surface, PRESSURE)
    for name, x in fields.items():
        there = theirs.interp_pressure_to_sigma(first(x), levels, sigma, first(surface), constant)
        assert error(inward[name], there) <= 1e-6, name
        way = linear if name in pl.LINEAR else constant
        back = theirs.interp_sigma_to_pressure(first(inward[name]), levels, sigma, first(surface), way)
        assert error(outward[name], back) <= 1e-6, name


def error(found, expected):
    """Relative L2 distance; the level axis of `expected` comes first."""
    expected = np.moveaxis(np.asarray(expected, np.float64), 0, -1)
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)
