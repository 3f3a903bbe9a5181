"""Latitudes with their quadrature weights, and the named triangular truncations with their grids.

A truncation T<n> carries zonal wavenumbers 0..n and total wavenumbers 0..n+1: the extra one holds what derivatives
need. TN grids have 3 n + 1 or more longitudes (quadratic products exact), TLN grids 2 n + 1 (linear).
Source: names and sizes as in IFS and NeuralGCM; weights by Gauss-Legendre or by exact integration of polynomials.
"""

import difflib
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import roots_legendre

GRIDS = ("gauss", "equiangular", "equiangular_with_poles")

# name -> latitudes between pole and equator; the grid has 4 times as many longitudes and twice as many latitudes.
_HALF_LATITUDES = {
    "T21": 16, "T31": 24, "T42": 32, "T85": 64, "T106": 80, "T119": 90, "T170": 128, "T213": 160, "T340": 256,
    "T425": 320, "TL31": 16, "TL47": 24, "TL63": 32, "TL95": 48, "TL127": 64, "TL159": 80, "TL179": 90, "TL255": 128,
    "TL639": 320, "TL1279": 640,
}  # fmt: skip
TRUNCATIONS = tuple(_HALF_LATITUDES)


@dataclass(frozen=True)
class Truncation:
    """Zonal wavenumbers 0..zonal-1, total wavenumbers 0..total-1, on nlon longitudes and nlat latitudes."""

    name: str
    zonal: int
    total: int
    nlon: int
    nlat: int

    def __post_init__(self):
        if self.zonal < 1 or self.total < 1 or self.zonal > self.total:
            raise ValueError(
                f"{self.name}: {self.zonal} zonal and {self.total} total wavenumbers; need 1 <= zonal <= total"
            )
        if self.nlon < 2 * self.zonal - 1:
            raise ValueError(f"{self.name}: {self.nlon} longitudes carry fewer than {self.zonal} zonal wavenumbers")
        if self.nlat < 1:
            raise ValueError(f"{self.name}: {self.nlat} latitudes")


def truncation(name: str) -> Truncation:
    """The truncation called `name`, e.g. "T42" or "TL63"; ValueError with the nearest names otherwise."""
    if name not in _HALF_LATITUDES:
        near = difflib.get_close_matches(name.upper(), TRUNCATIONS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"no truncation {name!r}; {hint}accepted: {', '.join(TRUNCATIONS)}")
    wavenumber, half = int(name.lstrip("TL")), _HALF_LATITUDES[name]
    return Truncation(name, wavenumber + 1, wavenumber + 2, 4 * half, 2 * half)


def custom(wavenumbers: int, order: str = "quadratic") -> Truncation:
    """`wavenumbers` zonal and one more total ones, on the smallest grid for products of the given order.

    `order` is linear, quadratic or cubic: 2, 3 or 4 longitudes per wavenumber, and one.
    """
    orders = {"linear": 2, "quadratic": 3, "cubic": 4}
    if order not in orders:
        raise ValueError(f"order {order!r}; accepted: {', '.join(orders)}")
    nlon = orders[order] * wavenumbers + 1
    return Truncation(f"{wavenumbers}-{order}", wavenumbers, wavenumbers + 1, nlon, math.ceil(nlon / 2))


@lru_cache(maxsize=32)
def latitudes(kind: str, nlat: int) -> tuple[np.ndarray, np.ndarray]:
    """(sin of latitude [j] from south to north, weights [j] with sum 2), float64.

    Gauss weights integrate polynomials in sin(lat) of degree 2 nlat - 1 exactly, the equiangular ones nlat - 1.
    """
    if kind not in GRIDS:
        raise ValueError(f"grid {kind!r}; accepted: {', '.join(GRIDS)}")
    if kind == "gauss":
        nodes, weights = _gauss(nlat)
    else:
        if nlat < 2:
            raise ValueError(f"{kind}: {nlat} latitudes; at least 2 are needed")
        inner = np.arange(nlat) if kind == "equiangular_with_poles" else np.arange(nlat) + 0.5
        angle = np.pi * inner / (nlat - 1 if kind == "equiangular_with_poles" else nlat)
        nodes, weights = -np.cos(angle), _interpolatory_weights(angle)
        nodes = (nodes - nodes[::-1]) / 2
    nodes.flags.writeable = weights.flags.writeable = False
    return nodes, weights


def _gauss(nlat: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights to the last bit, symmetric.

    One Newton step in extended precision: scipy's alone are good to 1e-13, which every transform would inherit.
    """
    x = roots_legendre(nlat)[0].astype(np.longdouble)
    x = (x - x[::-1]) / 2
    for _ in range(2):
        value, slope = _legendre_polynomial(nlat, x)
        x = x - value / slope
    weights = 2 / ((1 - x**2) * _legendre_polynomial(nlat, x)[1] ** 2)
    return x.astype(np.float64), weights.astype(np.float64)


def _legendre_polynomial(n: int, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """P_n and its derivative at x inside (-1, 1)."""
    before, value = np.ones_like(x), x
    for k in range(2, n + 1):
        before, value = value, ((2 * k - 1) * x * value - (k - 1) * before) / k
    if n == 1:
        return value, np.ones_like(x)
    return value, n * (before - x * value) / (1 - x**2)


def _interpolatory_weights(angle: np.ndarray) -> np.ndarray:
    """Weights at cos(angle) that integrate every polynomial through the points exactly (Fejer, Clenshaw-Curtis).

    They solve sum_j w_j cos(n angle_j) = integral of T_n over [-1, 1] for n = 0..nlat-1.
    """
    n = np.arange(len(angle))
    moments = np.where(n % 2 == 0, 2.0 / (1.0 - np.where(n % 2 == 0, n, 0) ** 2.0), 0.0)
    weights = np.linalg.solve(np.cos(n[:, None] * angle), moments)
    return (weights + weights[::-1]) / 2
