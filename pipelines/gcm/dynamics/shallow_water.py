"""Shallow-water equations on the sphere, spectral, with the same three methods as the primitive equations.

Prognostic are vorticity, divergence and the potential's departure Phi' from a reference potential Phi_ref (g times the
mean depth of the fluid); gravity waves about Phi_ref are implicit. With F = s (V (zeta + f), -U (zeta + f)),
s = sec^2(lat) and (U, V) = cos(lat) (u, v):

    d zeta/dt = curl F    d div/dt = div F - laplacian(s (U^2 + V^2) / 2 + g h + Phi')    dPhi'/dt = -div(s (U, V) Phi') - Phi_ref div

Source: Williamson et al. (1992), section 2. Several columns are independent fluids (members).
Axes: [*modal] modal axes of the plan, e optional members, k = 1 last.
"""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sciml.kernels.sphere import operators, transform
from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.dynamics.modal import modal_tables, over_columns
from sciml.pipelines.gcm.scales import ATMOSPHERIC, Constants


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ShallowWaterState:
    """Modal state or tendency; all [*modal, e, k], non-dimensional; `potential` is the departure from the reference."""

    vorticity: Array
    divergence: Array
    potential: Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ShallowWater:
    """The equations on a plan; made by `shallow_water`. A pytree whose leaves are tables.

    eigenvalues, keep and orography_tendency are [*modal, 1], as in PrimitiveEquations; mean_bottom is the global mean
    height of the bottom, which no tendency feels.
    """

    plan: Plan
    eigenvalues: Array
    keep: Array
    orography_tendency: Array
    reference_potential: float
    mean_bottom: float
    constants: Constants = field(metadata={"static": True})

    def _over(self, table: Array, like: Array) -> Array:
        return over_columns(table, like, len(self.plan.modal_shape))

    def explicit(self, state: ShallowWaterState) -> ShallowWaterState:
        """Explicit tendency; one synthesis of 4 and one analysis of 5 fields."""
        plan, k = self.plan, state.vorticity.shape[-1]
        wind = operators.cos_lat_wind(plan, state.vorticity, state.divergence)
        x = transform.synthesis(plan, jnp.concatenate([state.vorticity, state.potential, *wind], axis=-1))
        vorticity, potential, u, v = (x[..., i * k : (i + 1) * k] for i in range(4))
        sin_lat, sec2 = (over_columns(table, x, len(plan.nodal_shape)) for table in (plan.sin_lat, plan.sec2_lat))
        total = vorticity + 2 * self.constants.angular_velocity * sin_lat
        su, sv = sec2 * u, sec2 * v
        parts = [sv * total, su * potential, -su * total, sv * potential, 0.5 * (su * u + sv * v)]
        y = transform.analysis(plan, jnp.concatenate(parts, axis=-1))
        keep, eigenvalues = self._over(self.keep, y), self._over(self.eigenvalues, y)
        flux = operators.divergence_cos_lat(plan, (y[..., : 2 * k], y[..., 2 * k : 4 * k]))
        gradient = self._over(self.orography_tendency, y) - eigenvalues * y[..., 4 * k :]
        return ShallowWaterState(
            vorticity=keep * operators.curl_cos_lat(plan, (y[..., :k], y[..., 2 * k : 3 * k])),
            divergence=keep * (flux[..., :k] + gradient),
            potential=-keep * flux[..., k:],
        )

    def implicit(self, state: ShallowWaterState) -> ShallowWaterState:
        """Tendency of the gravity waves; vorticity has none."""
        eigenvalues = self._over(self.eigenvalues, state.divergence)
        return ShallowWaterState(None, -eigenvalues * state.potential, -self.reference_potential * state.divergence)

    def implicit_solve(self, state: ShallowWaterState, eta: Any) -> ShallowWaterState:
        """The state x with x - eta implicit(x) = `state`."""
        eigenvalues = self._over(self.eigenvalues, state.divergence)
        divergence = (state.divergence - eta * eigenvalues * state.potential) / (
            1 - (eta * eta) * self.reference_potential * eigenvalues
        )
        potential = state.potential - eta * self.reference_potential * divergence
        return ShallowWaterState(state.vorticity, divergence, potential)


def shallow_water(
    plan: Plan,
    reference_potential: float,
    orography: Array | None = None,
    constants: Constants = ATMOSPHERIC.earth,
) -> ShallowWater:
    """The equations on `plan`; reference_potential = g x mean depth and the modal orography height are non-dimensional.

    SettingsError unless the reference potential is positive.
    """
    if not reference_potential > 0:
        raise SettingsError(f"the reference potential is {reference_potential}; it must be positive")
    eigenvalues, keep = modal_tables(plan)
    height = np.zeros_like(eigenvalues) if orography is None else orography
    return ShallowWater(
        plan=plan,
        eigenvalues=jnp.asarray(eigenvalues, plan.dtype),
        keep=jnp.asarray(keep, plan.dtype),
        orography_tendency=jnp.asarray(-constants.gravity * eigenvalues * height, plan.dtype),
        reference_potential=float(reference_potential),
        mean_bottom=float(np.asarray(height)[(plan.total_wavenumber == 0) & plan.mask].sum() / np.sqrt(4 * np.pi)),
        constants=constants,
    )
