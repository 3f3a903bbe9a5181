"""From physical fields on the grid to non-dimensional coefficients, in float64 whatever the run's precision.

In float32 a transform of ln(1000 hPa) alone is wrong by 4 Pa; here the rounding comes last, once.
Axes: i longitude, j latitude, k level; [*modal] modal axes of the plan.
"""

from functools import partial

import jax.numpy as jnp
import numpy as np

from sciml.kernels.sphere import layout, reference
from sciml.kernels.sphere.grids import latitudes
from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.gcm.dynamics.shallow_water import ShallowWaterState
from sciml.pipelines.gcm.dynamics.state import State
from sciml.pipelines.gcm.scales import ATMOSPHERIC, EARTH
from sciml.pipelines.gcm.setups.case import Atmosphere, Fluid

_nondim = ATMOSPHERIC.nondim
# 1 - sin(lat) at which a pole is taken: u / cos(lat) times a harmonic of wavenumber 1, there 0 / 0, has its limit then.
_POLE = 1e-12


def coefficients(plan: Plan, field: np.ndarray, sin_lat: np.ndarray | None = None) -> np.ndarray:
    """Coefficients [s, m, l, k] float64 of `field` [i, j, k], zero where l < m; `sin_lat` [j] in place of the plan's."""
    t = plan.truncation
    there, weights = latitudes(plan.geometry.grid, t.nlat)
    x = reference.analysis(field, t.zonal, t.total, there if sin_lat is None else sin_lat, weights)
    inside = np.arange(t.total) >= np.arange(t.zonal)[:, None]
    return np.where(inside[None, ..., None], x, 0.0)


def modal(plan: Plan, field: np.ndarray) -> np.ndarray:
    """Folded coefficients [*modal, k] float64 of `field` [i, j, k]."""
    return layout.join(plan, coefficients(plan, field))


def _wave_one_at_poles(wind: np.ndarray) -> np.ndarray:
    """`wind` [i, j, k] with zonal wavenumber 1 alone in the first and last row, as a smooth wind has at the poles."""
    waves = np.fft.rfft(wind[:, [0, -1]], axis=0)
    waves[np.arange(len(waves)) != 1] = 0.0
    wind = np.array(wind)
    wind[:, [0, -1]] = np.fft.irfft(waves, n=len(wind), axis=0)
    return wind


def vorticity_divergence(plan: Plan, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Folded coefficients [*modal, k] float64 of both from the wind [i, j, k] on a sphere of radius 1.

    The largest total wavenumber, where derivatives are incomplete, is 0.
    """
    sin_lat = latitudes(plan.geometry.grid, plan.truncation.nlat)[0]
    if plan.geometry.grid == "equiangular_with_poles":
        u, v = _wave_one_at_poles(u), _wave_one_at_poles(v)
        sin_lat = np.clip(sin_lat, _POLE - 1, 1 - _POLE)
    cos_lat = np.sqrt((1 - sin_lat) * (1 + sin_lat))[:, None]
    a, b = (coefficients(plan, wind / cos_lat, sin_lat) for wind in (u, v))
    curl = reference.d_dlon(b) - reference.sec_lat_d_dlat_cos2(a)
    divergence = reference.d_dlon(a) + reference.sec_lat_d_dlat_cos2(b)
    for x in (curl, divergence):
        x[:, :, -1] = 0.0
    return layout.join(plan, curl), layout.join(plan, divergence)


def orography(plan: Plan, surface_geopotential: np.ndarray) -> np.ndarray:
    """Non-dimensional modal height [*modal, 1] float64 of the surface geopotential [i, j, 1] m2 s-2."""
    return modal(plan, _nondim(surface_geopotential / EARTH.gravity, "m"))


def atmosphere(plan: Plan, initial: Atmosphere) -> State:
    """Initial state of the primitive equations on the grid of `plan`."""
    wind = (_nondim(one, "m s-1") for one in (initial.u, initial.v))
    vorticity, divergence = vorticity_divergence(plan, *wind)
    cast = partial(jnp.asarray, dtype=plan.dtype)
    return State(
        vorticity=cast(vorticity),
        divergence=cast(divergence),
        temperature_variation=cast(modal(plan, initial.temperature - initial.reference_temperature)),
        log_surface_pressure=cast(modal(plan, np.log(_nondim(initial.surface_pressure, "Pa")))),
        tracers={name: cast(modal(plan, values)) for name, values in sorted(initial.tracers.items())},
    )


def reference_potential(plan: Plan, initial: Fluid) -> float:
    """Non-dimensional g times the global mean depth."""
    mean = coefficients(plan, initial.height - initial.bottom)[0, 0, 0, 0] / np.sqrt(4 * np.pi)
    return float(_nondim(EARTH.gravity * mean, "m2 s-2"))


def fluid(plan: Plan, initial: Fluid) -> ShallowWaterState:
    """Initial state of the shallow-water equations; its potential is the departure from `reference_potential`."""
    vorticity, divergence = vorticity_divergence(plan, *(_nondim(one, "m s-1") for one in (initial.u, initial.v)))
    depth = _nondim(EARTH.gravity * (initial.height - initial.bottom), "m2 s-2")
    cast = partial(jnp.asarray, dtype=plan.dtype)
    potential = modal(plan, depth - reference_potential(plan, initial))
    return ShallowWaterState(cast(vorticity), cast(divergence), cast(potential))
