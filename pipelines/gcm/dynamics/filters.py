"""Filters applied to the modal state after every step: scale-selective damping and the dry-mass fix.

A filter is `filter(before, after) -> state`, with `before` the state the step began with. All damping here is a
factor per total wavenumber l; with L - 1 the largest stored l and dt / tau the strength,

    exponential            exp(-dt/tau ((l/(L-1) - c) / (1 - c))^{2 order}) above the cutoff c, 1 below
    horizontal_diffusion   exp(-dt/tau (l (l + 1) / ((L - 1) L))^order)

Sources: exponential: Gelb & Gleeson (2001); the defaults are those of the released NeuralGCM models.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.dynamics.modal import over_columns

# Damping time of the smallest scale, in units of 1 / (2 Omega): a factor exp(-16) in a step of 20 minutes.
EXPONENTIAL_TAU = 0.010938
EXPONENTIAL_ORDER = 18


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Damping:
    """Multiplies every variable but those `spared` by a factor per coefficient; factor [*modal]."""

    factor: Array
    spared: tuple[str, ...] = field(default=(), metadata={"static": True})

    def __call__(self, before: Any, after: Any) -> Any:
        """`after`, damped."""
        damped = jax.tree.map(lambda x: x * over_columns(self.factor, x, self.factor.ndim), after)
        return replace(damped, **{name: getattr(after, name) for name in self.spared}) if self.spared else damped


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class FixedGlobalMean:
    """Keeps the global mean of one variable of the state: of log_surface_pressure, the dry mass but for round-off.

    is_mean [*modal] is true at l = m = 0 only.
    """

    is_mean: Array
    variable: str = field(default="log_surface_pressure", metadata={"static": True})

    def __call__(self, before: Any, after: Any) -> Any:
        """`after` with the global mean of `before`."""
        old, new = getattr(before, self.variable), getattr(after, self.variable)
        kept = jnp.where(over_columns(self.is_mean, new, self.is_mean.ndim), old, new)
        return replace(after, **{self.variable: kept})


def exponential_factor(wavenumber: np.ndarray, strength: float, order: float, cutoff: float = 0.0) -> np.ndarray:
    """exp(-strength x^{2 order}) with x = (wavenumber - cutoff) / (1 - cutoff), 1 where x < 0; wavenumber in 0..1."""
    above = np.maximum(np.asarray(wavenumber, dtype=np.float64) - cutoff, 0.0) / (1 - cutoff)
    return np.exp(-strength * above ** (2 * order))


def diffusion_factor(wavenumber: np.ndarray, largest: int, strength: float, order: float) -> np.ndarray:
    """exp(-strength (l (l + 1) / (largest (largest + 1)))^order)."""
    eigenvalues = wavenumber * (wavenumber + 1.0)
    return np.exp(-strength * (eigenvalues / (largest * (largest + 1.0))) ** order)


def _wavenumbers(plan: Plan) -> tuple[np.ndarray, int]:
    """(l [*modal], the largest stored l); entries beyond the truncation count as the largest."""
    largest = plan.truncation.total - 1
    return np.minimum(plan.total_wavenumber, largest), largest


def _strength(dt: float, tau: float) -> float:
    if not tau > 0:
        raise SettingsError(f"a filter's time scale is {tau}; it must be positive")
    return dt / tau


def exponential(
    plan: Plan, dt: float, tau: float = EXPONENTIAL_TAU, order: float = EXPONENTIAL_ORDER, cutoff: float = 0.0
) -> Damping:
    """The exponential step filter; dt and tau without dimension, cutoff as a fraction of the largest wavenumber.

    SettingsError unless tau > 0 and 0 <= cutoff < 1.
    """
    if not 0 <= cutoff < 1:
        raise SettingsError(f"the exponential filter's cutoff is {cutoff}; accepted: 0 <= cutoff < 1")
    wavenumber, largest = _wavenumbers(plan)
    return Damping(jnp.asarray(exponential_factor(wavenumber / largest, _strength(dt, tau), order, cutoff), plan.dtype))


def horizontal_diffusion(plan: Plan, dt: float, tau: float, order: float = 1, spared: tuple[str, ...] = ()) -> Damping:
    """Diffusion by a power of the Laplacian: the smallest scale decays with time scale tau; 2 is biharmonic.

    `spared` names what is left alone: log_surface_pressure over mountains, whose imprint in it is no noise (smoothed
    away, it took 0.017 % of the mass a day with it at T42). SettingsError unless tau > 0.
    """
    wavenumber, largest = _wavenumbers(plan)
    factor = diffusion_factor(wavenumber, largest, _strength(dt, tau), order)
    return Damping(jnp.asarray(factor, plan.dtype), spared)


def fix_global_mean(plan: Plan, variable: str = "log_surface_pressure") -> FixedGlobalMean:
    """The filter that keeps the global mean of `variable`."""
    return FixedGlobalMean(jnp.asarray((plan.total_wavenumber == 0) & plan.mask), variable)
