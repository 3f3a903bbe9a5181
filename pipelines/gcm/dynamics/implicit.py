"""Semi-implicit solve of the gravity waves by vertical normal modes.

The linear terms for divergence D, temperature T and log surface pressure p at total wavenumber l, with
Lambda = l (l + 1) on the unit sphere, are

    dD/dt = Lambda (G T + R T_ref p)    dT/dt = -H D    dp/dt = -dsigma . D

Eliminating T and p from x - eta L x = r leaves (1 + eta^2 Lambda B) D = r_D + eta Lambda (G r_T + R T_ref r_p) with
B = G H + R T_ref (x) dsigma. B = V diag(c^2) V^-1 does not depend on l: c are the phase speeds of the vertical
normal modes, so a solve is two small matrices and one diagonal and eta may be traced.

Axes: [*modal] modal axes, e optional member, k level (last); n vertical mode.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.dynamics import vertical
from sciml.pipelines.gcm.dynamics.vertical import SigmaLevels


def columns(x: Array, matrix: Array) -> Array:
    """x @ matrix over the level axis at full precision (accelerators would round float32 factors)."""
    return jnp.matmul(x, matrix, precision=lax.Precision.HIGHEST)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=[
        "height",
        "pressure",
        "feedback",
        "into_divergence",
        "into_temperature",
        "into_pressure",
        "back",
        "speed2",
    ],
    meta_fields=[],
)
@dataclass(frozen=True)
class GravityWaves:
    """Tables of the linear terms and of their solve; float64 when built, then cast.

    height [k, k] = G^T; pressure [k] = R T_ref; feedback [k, k + 1] = [H^T | dsigma];
    into_divergence, into_temperature [k, n] and into_pressure [n] take the right sides to the modes;
    back [n, 2 k + 1] takes the modes to D, and to what T and p lose; speed2 [n] = c^2.
    """

    height: Array
    pressure: Array
    feedback: Array
    into_divergence: Array
    into_temperature: Array
    into_pressure: Array
    back: Array
    speed2: Array

    def tendency(self, eigenvalues: Array, temperature: Array, pressure: Array, divergence: Array):
        """(dD/dt, dT/dt, dp/dt) of the linear terms; `eigenvalues` of the Laplacian broadcast over columns."""
        loss = columns(divergence, self.feedback)
        rise = columns(temperature, self.height) + pressure * self.pressure
        return -eigenvalues * rise, -loss[..., :-1], -loss[..., -1:]

    def solve(self, eigenvalues: Array, temperature: Array, pressure: Array, divergence: Array, eta):
        """(D, T, p) with x - eta L x = (divergence, temperature, pressure)."""
        levels = divergence.shape[-1]
        heights = columns(temperature, self.into_temperature) + pressure * self.into_pressure
        modes = columns(divergence, self.into_divergence) - eta * eigenvalues * heights
        modes = modes / (1 - (eta * eta) * eigenvalues * self.speed2)
        out = columns(modes, self.back)
        return (
            out[..., :levels],
            temperature - eta * out[..., levels:-1],
            pressure - eta * out[..., -1:],
        )


def normal_modes(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(c^2, V) of B = V diag(c^2) V^-1, fastest mode first; SettingsError unless every c^2 is real and positive."""
    speed2, vectors = np.linalg.eig(matrix)
    small = 1e-9 * np.abs(speed2).max()
    if np.abs(speed2.imag).max() > small or speed2.real.min() <= 0:
        raise SettingsError(
            f"the reference temperature is not stably stratified: vertical normal modes have c^2 = {speed2}",
            hint="use an isothermal reference profile such as 250 K or 300 K",
        )
    order = np.argsort(-speed2.real)
    return speed2.real[order], vectors.real[:, order]


def gravity_waves(levels: SigmaLevels, reference_temperature, gas_constant: float, kappa: float, dtype) -> GravityWaves:
    """Tables for `levels` and the profile `reference_temperature` [k] K; constants are non-dimensional."""
    profile = np.asarray(reference_temperature, dtype=np.float64)
    height = vertical.geopotential(levels, gas_constant)
    warming = vertical.temperature_implicit(levels, profile, kappa)
    pressure, thickness = gas_constant * profile, levels.thickness
    speed2, vectors = normal_modes(height @ warming + np.outer(pressure, thickness))
    inverse = np.linalg.inv(vectors)
    back = np.concatenate([vectors, warming @ vectors, (thickness @ vectors)[None]])
    tables = {
        "height": height.T,
        "pressure": pressure,
        "feedback": np.concatenate([warming, thickness[None]]).T,
        "into_divergence": inverse.T,
        "into_temperature": (inverse @ height).T,
        "into_pressure": inverse @ pressure,
        "back": back.T,
        "speed2": speed2,
    }
    return GravityWaves(**{name: jnp.asarray(table, dtype) for name, table in tables.items()})
