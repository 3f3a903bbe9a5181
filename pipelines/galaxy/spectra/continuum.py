"""The stellar continuum of a spectrum: a non-negative mixture of populations behind Calzetti dust, under a smooth correction.

Model: f(w) = P(w) 10^(-0.4 A_V k(w) / R_V) sum_j x_j T_j(w), x >= 0 (Lawson & Hanson 1974), T_j broadened to the dispersion of the
stars; P is the ratio of data to model smoothed by a low polynomial and takes up errors of the flux calibration.  Emission lines are
left out.  It is what lifts Balmer emission out of the stellar absorption beneath it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar, nnls

from sciml.pipelines.errors import DataError

from .dust import transmission
from .lines import LINES
from .spectrum import broaden, log_grid, resample
from .ssp import SspGrid

_MASK = 600.0  # km/s left out on either side of an emission line
_OTHER_LINES = (
    5891.6,
    5897.6,
    4364.4,
    5877.2,
    6365.5,
    4688.0,
    3890.2,
    3971.1,
)  # Na D, [O III], He I, [O I], He II, Balmer


@dataclass(frozen=True)
class Continuum:
    """Model `flux` [w] (NaN beyond the populations), mixture `weights` [m, a] (by mass formed, sum one), A_V and reduced chi^2."""

    flux: np.ndarray
    weights: np.ndarray
    a_v: float
    chi2: float


def line_mask(wavelength: np.ndarray) -> np.ndarray:
    """True [w] away from emission lines of a rest-frame spectrum in vacuum."""
    centers = np.array([*LINES.values(), *_OTHER_LINES])
    return (np.abs(wavelength[:, None] / centers - 1.0) * 299792.458 > _MASK).all(1)


def fit_continuum(
    wavelength: np.ndarray, flux: np.ndarray, error: np.ndarray, grid: SspGrid, *, sigma: float = 150.0, degree: int = 6
) -> Continuum:
    """Fit one rest-frame spectrum in vacuum; `sigma` [km/s] is the dispersion of the stars seen by the instrument.

    DataError if fewer than 200 good pixels overlap with the populations.
    """
    scale_grid = log_grid(grid.wavelength[0] + 2.0, grid.wavelength[-1] - 2.0)
    templates = broaden(resample(grid.wavelength, grid.flux.reshape(-1, len(grid.wavelength)), scale_grid), sigma)
    covered = (wavelength > scale_grid[5]) & (wavelength < scale_grid[-5])
    good = covered & np.isfinite(flux) & np.isfinite(error) & (error > 0) & line_mask(wavelength)
    if good.sum() < 200:
        raise DataError(f"only {good.sum()} good pixels overlap with {grid.source}; at least 200 are needed")
    base = np.array([np.interp(wavelength, scale_grid, row) for row in templates])
    norms = base[:, good].mean(1)
    scale = np.median(flux[good])
    x = np.interp(wavelength, wavelength[good][[0, -1]], (-1.0, 1.0))

    def solve(a_v: float) -> tuple[float, np.ndarray, np.ndarray]:
        dusty = base / norms[:, None] * transmission(wavelength, a_v)
        weights, _ = nnls((dusty[:, good] / error[good]).T * scale, flux[good] / error[good])
        model = scale * weights @ dusty
        ratio = np.polynomial.Legendre.fit(
            x[good], flux[good] / model[good], degree, w=model[good] / error[good], domain=(-1, 1)
        )
        model = model * ratio(x)
        return float((((flux - model) / error)[good] ** 2).sum()), weights / norms, model

    best = minimize_scalar(lambda a_v: solve(a_v)[0], bounds=(0.0, 3.0), method="bounded", options={"xatol": 0.03})
    chi2, weights, model = solve(best.x)
    weights = weights.reshape(grid.flux.shape[:2])
    return Continuum(np.where(covered, model, np.nan), weights / weights.sum(), float(best.x), chi2 / good.sum())
