"""Analytic states of the atmosphere and bridges to dinosaur, shared by the tests of the dynamics."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere import layout, operators, transform
from sciml.pipelines.gcm.dynamics.state import CLOUD_ICE, CLOUD_LIQUID, SPECIFIC_HUMIDITY, State
from sciml.pipelines.gcm.scales import ATMOSPHERIC, EARTH

ETA_0, ETA_T, U_0, T_0, DELTA_T, LAPSE = 0.252, 0.2, 35.0, 288.0, 4.8e5, 0.005
ROOT = np.sqrt(4 * np.pi)  # coefficient of the field 1


def constant(plan, value, levels):
    """Modal array [*modal, k] of a field that is `value` everywhere."""
    is_mean = (plan.total_wavenumber == 0) & plan.mask
    return jnp.asarray(np.where(is_mean[..., None], ROOT * value, 0.0) * np.ones(levels), plan.dtype)


def balanced_bracket(lat, wind):
    """The bracket in temperature and surface geopotential of Jablonowski & Williamson (2006), eqs. 6 and 7."""
    s, c = np.sin(lat), np.cos(lat)
    rotation = EARTH.radius * EARTH.angular_velocity
    return (-2 * s**6 * (c**2 + 1 / 3) + 10 / 63) * wind + (8 / 5 * c**3 * (s**2 + 2 / 3) - np.pi / 4) * rotation


def jw_temperature(lat, sigma):
    """Temperature [..., k] K."""
    mean = T_0 * sigma ** (EARTH.gas_constant * LAPSE / EARTH.gravity) + DELTA_T * np.maximum(ETA_T - sigma, 0) ** 5
    turn = (sigma - ETA_0) * np.pi / 2
    factor = 0.75 * sigma * np.pi * U_0 / EARTH.gas_constant * np.sin(turn) * np.sqrt(np.cos(turn))
    return mean + factor * balanced_bracket(lat, 2 * U_0 * np.cos(turn) ** 1.5)


def jw_wind(lon, lat, sigma, perturbation):
    """Zonal wind [..., k] m s-1, with the Gaussian hill of `perturbation` m s-1 at 20 E, 40 N."""
    wind = U_0 * np.cos((sigma - ETA_0) * np.pi / 2) ** 1.5 * np.sin(2 * lat) ** 2
    far = np.arccos(np.sin(2 * np.pi / 9) * np.sin(lat) + np.cos(2 * np.pi / 9) * np.cos(lat) * np.cos(lon - np.pi / 9))
    return wind + perturbation * np.exp(-((far / 0.1) ** 2))


def jw_state(plan, levels, reference_temperature=288.0, perturbation=0.0, humidity=None):
    """(state, modal orography height) of the balanced jet, non-dimensional."""
    lon, lat = np.deg2rad(plan.longitude)[:, None, None], np.deg2rad(plan.latitude)[None, :, None]
    sigma = levels.centers
    wind = ATMOSPHERIC.nondim(jw_wind(lon, lat, sigma, perturbation), "m s-1")
    temperature = np.broadcast_to(jw_temperature(lat, sigma), wind.shape) - reference_temperature
    turn = (1 - ETA_0) * np.pi / 2
    height = U_0 * np.cos(turn) ** 1.5 * balanced_bracket(lat, U_0 * np.cos(turn) ** 1.5) / EARTH.gravity
    height = np.broadcast_to(ATMOSPHERIC.nondim(height, "m"), (*wind.shape[:2], 1))
    on_grid = [jnp.asarray(layout.from_standard(plan, x), plan.dtype) for x in (wind, temperature, height)]
    vorticity, divergence = operators.vorticity_divergence(plan, on_grid[0], 0 * on_grid[0])
    if perturbation == 0:
        divergence = 0 * divergence
    clip = [operators.clip(plan, x) for x in (vorticity, divergence, transform.analysis(plan, on_grid[1]))]
    pressure = constant(plan, np.log(ATMOSPHERIC.nondim(1000.0, "hPa")), 1)
    tracers = {} if humidity is None else {SPECIFIC_HUMIDITY: humidity}
    return State(*clip, pressure, tracers), operators.clip(plan, transform.analysis(plan, on_grid[2]))


def random_field(plan, rng, levels, size, slope=1.0, members=()):
    """Random modal field [*modal, *members, k] whose spectrum falls like l^-slope, without the largest wavenumber."""
    total = plan.total_wavenumber
    keep = plan.mask & (total < plan.truncation.total - 1)
    amplitude = np.where(keep, size / (1.0 + total) ** slope, 0.0)
    amplitude = amplitude.reshape(amplitude.shape + (1,) * (len(members) + 1))
    return jnp.asarray(amplitude * rng.standard_normal((*plan.modal_shape, *members, levels)), plan.dtype)


def random_state(plan, levels, seed=0, tracers=(CLOUD_ICE, CLOUD_LIQUID, SPECIFIC_HUMIDITY), members=()):
    """(state, orography): turbulent and moist, non-dimensional and in the range of the atmosphere."""
    rng = np.random.default_rng(seed)
    vorticity, divergence, temperature, *others = (
        random_field(plan, rng, levels, size, members=members)
        for size in (0.05, 0.01, 10.0, *({SPECIFIC_HUMIDITY: 0.01}.get(name, 0.003) for name in tracers))
    )
    mean = constant(plan, np.log(5.78), 1)
    rotating = jnp.asarray(plan.total_wavenumber > 0, plan.dtype)
    rotating = rotating.reshape(rotating.shape + (1,) * (len(members) + 1))
    vorticity, divergence = vorticity * rotating, divergence * rotating  # the mean of a curl or divergence is zero
    pressure = random_field(plan, rng, 1, 0.05, members=members)
    pressure = pressure + mean.reshape(mean.shape[:-1] + (1,) * (len(members) + 1))
    orography = random_field(plan, rng, 1, 1e-3, slope=2.0)
    return State(vorticity, divergence, temperature, pressure, dict(zip(tracers, others, strict=True))), orography


@pytest.fixture(autouse=True)
def _quickly(compiled_quickly):
    """Quick tests of numbers need no fast program."""


@pytest.fixture
def states():
    """The functions of this file."""
    return SimpleNamespace(jw=jw_state, random=random_state, random_field=random_field, constant=constant)


@pytest.fixture
def peer():
    """dinosaur's modules and the way to and from its arrays; skips where it is not installed."""
    names = ("spherical_harmonic", "sigma_coordinates", "coordinate_systems", "primitive_equations", "scales")
    names += ("time_integration", "filtering", "shallow_water", "units")
    found = {name: pytest.importorskip(f"dinosaur.{name}") for name in names}

    def to_rows(plan, x):
        """[*modal, k] to dinosaur's [k, row, l]."""
        return jnp.moveaxis(layout.modal_to_rows(plan, x, kind="real"), -1, 0)

    return SimpleNamespace(
        **found, to_rows=to_rows, specs=found["primitive_equations"].PrimitiveEquationsSpecs.from_si(
            scale=found["scales"].ATMOSPHERIC_SCALE
        )
    )  # fmt: skip
