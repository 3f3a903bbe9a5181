"""Sigma levels and the matrices of the vertical discretisation.

Layer k = 0 is the top one, its boundaries are sigma_{k-1/2} and sigma_{k+1/2}, its centre their mean. Every operator
is a float64 matrix M[r, s] (what layer r gets from layer s) that acts on the last axis of an array of columns as
`x @ M.T`. Sums over sigma are midpoint sums F_k = sum_{j <= k} x_j dsigma_j; the hydrostatic integral is that of
Durran (1999), section 8.6.5, which conserves angular momentum and energy up to time truncation.

Axes: r, s, k, j layers [k].
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sciml.pipelines.errors import SettingsError


@dataclass(frozen=True)
class SigmaLevels:
    """Layers of the atmosphere; `boundaries` rise from 0 (top) to 1 (surface)."""

    boundaries: tuple[float, ...]

    def __post_init__(self):
        edges = np.asarray(self.boundaries, dtype=np.float64)
        if edges.ndim != 1 or len(edges) < 2 or abs(edges[0]) > 1e-6 or abs(edges[-1] - 1) > 1e-6:
            raise SettingsError(f"sigma boundaries are {list(edges)}; they must start at 0 and end at 1")
        if not np.all(np.diff(edges) > 0):
            raise SettingsError(f"sigma boundaries {list(edges)} do not rise")
        object.__setattr__(self, "boundaries", tuple(float(edge) for edge in edges))

    def __len__(self) -> int:
        return len(self.boundaries) - 1

    @cached_property
    def centers(self) -> np.ndarray:
        """sigma of the layer centres [k]."""
        edges = np.asarray(self.boundaries)
        return (edges[1:] + edges[:-1]) / 2

    @cached_property
    def thickness(self) -> np.ndarray:
        """dsigma of the layers [k]."""
        return np.diff(self.boundaries)


def equidistant(n: int) -> SigmaLevels:
    """`n` layers of equal thickness."""
    if n < 1:
        raise SettingsError(f"levels = {n}; at least 1 is needed")
    return SigmaLevels(tuple(np.linspace(0, 1, n + 1)))


def cumulative_sum(levels: SigmaLevels) -> np.ndarray:
    """F = cumulative_sum @ x: the integral from the top to the lower boundary of each layer [k, k]."""
    return np.tril(np.broadcast_to(levels.thickness, (len(levels),) * 2))


def sigma_velocity(levels: SigmaLevels) -> np.ndarray:
    """sigma-dot at the inner boundaries k + 1/2 from the column of u.grad(lnps) + div: sigma F_n - F_k [k - 1, k]."""
    sums = cumulative_sum(levels)
    below = np.cumsum(levels.thickness)[:-1, None]
    return below * sums[-1:] - sums[:-1]


def advection_weights(levels: SigmaLevels) -> tuple[np.ndarray, np.ndarray]:
    """Matrices (lower, upper) of the centred vertical advection [k, k].

    With g = u.grad(lnps) + div, -sigma-dot dx/dsigma at layer k is
    (lower @ g)_k (x_{k+1} - x_k) + (upper @ g)_k (x_k - x_{k-1}): the mean of both boundaries of the layer.
    lower has no last row and upper no first: nothing crosses the top and the surface.
    """
    velocity = sigma_velocity(levels)
    flux = -0.5 * velocity / np.diff(levels.centers)[:, None]
    none = np.zeros((1, len(levels)))
    return np.concatenate([flux, none]), np.concatenate([none, flux])


def advection_of(levels: SigmaLevels, profile: np.ndarray) -> np.ndarray:
    """Matrix from g to the vertical advection -sigma-dot d(profile)/dsigma of a fixed profile [k, k]."""
    lower, upper = advection_weights(levels)
    steps = np.diff(np.asarray(profile, dtype=np.float64))
    return lower * np.append(steps, 0.0)[:, None] + upper * np.append(0.0, steps)[:, None]


def alpha(levels: SigmaLevels) -> np.ndarray:
    """Half the log-thickness between centres; below the last centre, the whole one to the surface [k]."""
    logs = np.log(levels.centers)
    return np.append(np.diff(logs) / 2, -logs[-1])


def geopotential(levels: SigmaLevels, gas_constant: float) -> np.ndarray:
    """G: geopotential above the surface of each layer centre from the virtual temperature, G @ T_v [k, k]."""
    a = alpha(levels)
    above = a + np.concatenate([[0.0], a[:-1]])
    return gas_constant * (np.triu(np.broadcast_to(above, (len(a),) * 2), 1) + np.diag(a))


def pressure_velocity(levels: SigmaLevels) -> np.ndarray:
    """W: the integral part of omega / p, (alpha_k F_k + alpha_{k-1} F_{k-1}) / dsigma_k from a column of g [k, k].

    omega / p = u.grad(lnps) - W @ (u.grad(lnps) + div).
    """
    weighted = alpha(levels)[:, None] * cumulative_sum(levels)
    return (weighted + np.concatenate([np.zeros((1, len(levels))), weighted[:-1]])) / levels.thickness[:, None]


def temperature_implicit(levels: SigmaLevels, reference_temperature: np.ndarray, kappa: float) -> np.ndarray:
    """H: the linear temperature tendency is -H @ div; adiabatic warming and advection of the reference state [k, k]."""
    profile = np.asarray(reference_temperature, dtype=np.float64)
    return kappa * profile[:, None] * pressure_velocity(levels) - advection_of(levels, profile)
