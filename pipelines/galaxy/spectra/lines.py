"""Emission lines of a rest-frame spectrum: one Gaussian fit with tied velocity and widths, fluxes and equivalent widths.

Model in the windows around the lines, per angstrom and in vacuum wavelengths:

    f(w) = continuum + sum_g (c0_g + c1_g x) + sum_l F_l N(w; lambda_l e^(v/c), lambda_l s_l / c),   s_l^2 = sigma^2 + instrument^2

with one velocity v, one dispersion sigma for the Balmer lines and one for the others, F([O III] 4959) = F(5007) / 2.98 and
F([N II] 6548) = F(6584) / 3.05 (Storey & Zeippen 2000).  At given v and sigmas the F_l and c follow from weighted linear least
squares, so only three numbers are searched (variable projection, Golub & Pereyra 1973).

Equivalent width = flux / continuum at the line, in rest-frame angstrom.  Sign: "emission" counts emission as positive (SDSS SPZLINE);
"absorption" counts absorption as positive (galSpec, Lick).  SPZLINE's LINEEW is in the observed frame: divide it by 1 + z; its continuum is
the stellar template at the very line, at the bottom of a Balmer absorption, ours the one beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from sciml.pipelines.errors import DataError, SettingsError, suggest

from .spectrum import LIGHT_SPEED

# Vacuum wavelengths [A] as in SDSS spectra (HDU SPZLINE, column LINEWAVE).
LINES = {
    "oii_3726": 3727.09, "oii_3729": 3729.88, "neiii_3869": 3869.86, "h_delta": 4102.89, "h_gamma": 4341.68, "h_beta": 4862.68,
    "oiii_4959": 4960.29, "oiii_5007": 5008.24, "oi_6300": 6302.05, "nii_6548": 6549.86, "h_alpha": 6564.61, "nii_6584": 6585.27,
    "sii_6717": 6718.29, "sii_6731": 6732.68,
}  # fmt: skip
BALMER = ("h_alpha", "h_beta", "h_gamma", "h_delta")
TIED = {"oiii_4959": ("oiii_5007", 1 / 2.98), "nii_6548": ("nii_6584", 1 / 3.05)}
STRONG = ("h_beta", "oiii_4959", "oiii_5007", "nii_6548", "h_alpha", "nii_6584", "sii_6717", "sii_6731")
SIGNS = {"emission": 1.0, "absorption": -1.0}
_WINDOW = 60.0  # A beside a line
_RING = (15.0, 35.0)  # A from a line: where a stellar model is read, away from its Balmer absorption
_SIGMA_RANGE, _VELOCITY_RANGE = (20.0, 500.0), 600.0  # km/s


@dataclass(frozen=True)
class Line:
    """One line: flux and error in units of the spectrum times A, equivalent width [A], its continuum, width and velocity [km/s]."""

    flux: float
    flux_error: float
    ew: float
    ew_error: float
    continuum: float
    sigma: float
    velocity: float

    @property
    def signal_to_noise(self) -> float:
        return self.flux / self.flux_error if self.flux_error > 0 else float("nan")


def ew_sign(positive: str) -> float:
    """+1 where emission counts as positive, -1 where absorption does."""
    if positive not in SIGNS:
        raise SettingsError(f'no sign convention "{positive}"', hint=suggest(positive, SIGNS))
    return SIGNS[positive]


@dataclass(frozen=True)
class _Windows:
    """The fitted pixels and the columns of the linear model that do not change during the search."""

    wavelength: np.ndarray
    flux: np.ndarray
    error: np.ndarray
    names: tuple[str, ...]
    polynomials: np.ndarray  # [pixel, 2 per group]
    instrument: float

    def design(self, parameters) -> np.ndarray:
        """Columns [pixel, line + polynomial] at (velocity, sigma of Balmer lines, sigma of the others)."""
        velocity, *widths = parameters
        columns = []
        for name in self.names:
            column = self._profile(name, velocity, widths)
            for follower, (leader, share) in TIED.items():
                if leader == name:
                    column = column + share * self._profile(follower, velocity, widths)
            columns.append(column)
        return np.column_stack([*columns, self.polynomials])

    def _profile(self, name: str, velocity: float, widths) -> np.ndarray:
        center = LINES[name] * np.exp(velocity / LIGHT_SPEED)
        sigma = center / LIGHT_SPEED * np.hypot(widths[0] if name in BALMER else widths[1], self.instrument)
        return np.exp(-0.5 * ((self.wavelength - center) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))

    def solve(self, parameters) -> tuple[float, np.ndarray, np.ndarray]:
        """chi^2, coefficients and their covariance at the given velocity and widths."""
        design = self.design(parameters) / self.error[:, None]
        target = self.flux / self.error
        normal = design.T @ design
        # a line without pixels has an empty column; the ridge keeps the others exact to 1e-12
        covariance = np.linalg.pinv(normal, rcond=1e-12, hermitian=True)
        coefficients = covariance @ (design.T @ target)
        return float(((target - design @ coefficients) ** 2).sum()), coefficients, covariance


def _windows(wavelength, flux, error, names, instrument) -> _Windows | None:
    """The pixels near lines with at least five good pixels within 5 A of each; None if no line is covered."""
    good = np.isfinite(flux) & np.isfinite(error) & (error > 0)
    covered = tuple(n for n in names if n not in TIED and (good & (np.abs(wavelength - LINES[n]) < 5.0)).sum() >= 5)
    if not covered:
        return None
    near = good & np.any([np.abs(wavelength - LINES[name]) < _WINDOW for name in covered], axis=0)
    ordered = sorted(covered, key=LINES.get)
    groups = [[ordered[0]]]
    for name in ordered[1:]:
        groups[-1].append(name) if LINES[name] - LINES[groups[-1][-1]] < 2 * _WINDOW else groups.append([name])
    w = wavelength[near]
    polynomials = []
    for group in groups:
        low, high = LINES[group[0]] - _WINDOW, LINES[group[-1]] + _WINDOW
        inside = ((w >= low) & (w <= high)).astype(float)
        polynomials += [inside, inside * (w - 0.5 * (low + high)) / (high - low)]
    return _Windows(w, flux[near], error[near], covered, np.column_stack(polynomials), instrument)


def _search(windows: _Windows) -> np.ndarray:
    """Velocity and dispersions of least chi^2: a coarse grid, then Nelder-Mead inside the accepted range."""
    grid = [(v, s, s) for v in (-200.0, -70.0, 0.0, 70.0, 200.0) for s in (50.0, 110.0, 220.0, 400.0)]
    start = min(grid, key=lambda p: windows.solve(p)[0])
    bounds = [(-_VELOCITY_RANGE, _VELOCITY_RANGE), _SIGMA_RANGE, _SIGMA_RANGE]
    simplex = [start, (start[0] + 40, *start[1:]), (start[0], 1.3 * start[1], start[2]), (*start[:2], 1.3 * start[2])]
    options = {"initial_simplex": simplex, "xatol": 0.5, "fatol": 1e-3, "maxiter": 300}
    return minimize(lambda p: windows.solve(p)[0], start, method="Nelder-Mead", bounds=bounds, options=options).x


def measure_lines(
    wavelength: np.ndarray,
    flux: np.ndarray,
    error: np.ndarray,
    *,
    continuum: np.ndarray | None = None,
    names: tuple[str, ...] = STRONG,
    instrument: float = 0.0,
    positive: str = "emission",
) -> dict[str, Line]:
    """Lines of one rest-frame spectrum in vacuum: name -> `Line`; a line that is not covered is absent.

    `error` is 1 sigma per pixel (zero or NaN: bad pixel); `continuum` [w] is a stellar model to be subtracted first, without it the
    continuum is a straight line; `instrument` is the dispersion of the spectrograph [km/s], not counted in `Line.sigma`.
    """
    sign = ew_sign(positive)
    for name in names:
        if name not in LINES:
            raise SettingsError(f'no line "{name}"', hint=suggest(name, LINES))
    if not wavelength.shape == flux.shape == error.shape:
        raise DataError(f"wavelength, flux and error differ in shape: {wavelength.shape}, {flux.shape}, {error.shape}")
    residual = flux if continuum is None else flux - continuum
    windows = _windows(wavelength, residual, error, tuple(names), instrument)
    if windows is None:
        return {}
    best = _search(windows)
    _, coefficients, covariance = windows.solve(best)
    found = {}
    for column, name in enumerate(windows.names):
        below = 0.0
        if continuum is not None:
            distance = np.abs(wavelength - LINES[name])
            below = float(np.nanmean(continuum[(distance > _RING[0]) & (distance < _RING[1])]))
        found[name] = _line(windows, column, best, coefficients, covariance, below, sign)
    for name in set(names) & set(TIED):
        leader, share = TIED[name]
        if leader in found:
            a = found[leader]
            scaled = {key: share * getattr(a, key) for key in ("flux", "flux_error", "ew", "ew_error")}
            found[name] = replace(a, **scaled)
    return found


def _line(windows: _Windows, column: int, best, coefficients, covariance, below: float, sign: float) -> Line:
    """Flux, equivalent width and errors of one line of a solved fit; `below` is the stellar model under it."""
    name, count = windows.names[column], len(windows.names)
    row = windows.polynomials[int(np.abs(windows.wavelength - LINES[name]).argmin())]
    level = below + float(row @ coefficients[count:])
    level_error = float(np.sqrt(row @ covariance[count:, count:] @ row))
    flux, flux_error = float(coefficients[column]), float(np.sqrt(max(covariance[column, column], 0.0)))
    ew = ew_error = float("nan")
    if level > 0:
        ew, ew_error = flux / level, float(np.hypot(flux_error, flux * level_error / level) / level)
    width = float(best[1] if name in BALMER else best[2])
    return Line(flux, flux_error, sign * ew, ew_error, level, width, float(best[0]))
