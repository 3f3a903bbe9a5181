"""What `bench` measures: ours, dinosaur's two classes and shtns, each as PAIRS inverse and forward transforms.

Coefficients are x[cos/sin, m, l, column] in the reference's order; every contestant stores them its own way.
"""

import importlib.util
import math
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sciml.kernels.sphere import compiled, layout, transform
from sciml.kernels.sphere.grids import Truncation
from sciml.kernels.sphere.plan import make_plan

PAIRS = 8  # in one compiled scan


def coefficients(t: Truncation, columns: int) -> np.ndarray:
    """Random x[cos/sin, m, l, column]; without the last l, which a model clips and shtns cannot have at the TL grids."""
    inside = (np.arange(t.total) >= np.arange(t.zonal)[:, None]) & (np.arange(t.total) < t.zonal)
    x = np.random.default_rng(0).normal(size=(2, t.zonal, t.total, columns)) * inside[None, ..., None]
    x[1, 0] = 0.0
    return x


def dense_gflop(t: Truncation, columns: int) -> float:
    """Operations of a dense, unfolded pair [GF]: the same yardstick for all contestants."""
    legendre = 2 * 2 * t.zonal * t.nlat * t.total
    fourier = 2 * t.nlon * 2 * t.zonal * t.nlat
    return 2 * (legendre + fourier) * columns / 1e9


def _scanned(pair: Callable[..., Any]) -> Callable[..., Any]:
    """`PAIRS` pairs one after the other; the first argument is taken over."""

    @partial(jax.jit, donate_argnums=0)
    def run(x, *rest):
        return jax.lax.scan(lambda x, _: (pair(x, *rest), None), x, None, length=PAIRS)[0]

    return run


class _Ours:
    def __init__(self, t: Truncation, x: np.ndarray, implementation: str = "auto"):
        self.plan = make_plan(t, implementation=implementation)
        self.x = jnp.asarray(layout.join(self.plan, x), self.plan.dtype)
        self.run = _scanned(lambda x, plan: transform.analysis(plan, transform.synthesis(plan, x)))
        self.arguments = (self.plan,)
        self.gflop = self._operations() * x.shape[-1] / 1e9

    def _operations(self) -> float:
        """Floating-point operations of a pair of one column, butterflies left out."""
        modal, (_, rows, latitudes) = self.plan.modal_shape, self.plan.nodal_shape
        triangle = self.plan.mask.sum() if self.plan.how.compiled else math.prod(modal)
        return 2 * 2 * latitudes * float(triangle + math.prod(modal[:4]) * rows)

    def values(self) -> np.ndarray:
        return np.asarray(layout.to_standard(self.plan, transform.synthesis(self.plan, self.x)))


class _Dinosaur:
    """One of dinosaur's classes, called on all columns at once."""

    def __init__(self, t: Truncation, x: np.ndarray, name: str):
        from dinosaur import spherical_harmonic as peer

        kind = "real" if name == "RealSphericalHarmonics" else "zero_imag"
        self.grid = peer.Grid.construct(
            max_wavenumber=t.zonal - 1, gaussian_nodes=t.nlat // 2, spherical_harmonics_impl=getattr(peer, name)
        )
        plan = make_plan(t, fold="whole-none")
        self.x = jnp.asarray(np.moveaxis(layout.modal_to_rows(plan, layout.join(plan, x), kind), -1, 0), jnp.float32)
        self.gflop = dense_gflop(t, x.shape[-1])
        self.run, self.arguments = _scanned(lambda x: self.grid.to_modal(self.grid.to_nodal(x))), ()

    def values(self) -> np.ndarray:
        return np.moveaxis(np.asarray(self.grid.to_nodal(self.x)), 0, -1)


class _Shtns:
    """shtns, which always computes in float64 and takes field after field; all threads where it may use several cores."""

    def __init__(self, t: Truncation, x: np.ndarray):
        import shtns

        # The order of longitudes and latitudes in memory that is faster, up to 2.9 times, depends on the size.
        order = shtns.SHT_PHI_CONTIGUOUS if t.nlat > 64 else shtns.SHT_THETA_CONTIGUOUS
        self.on = {}
        for threads in {1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1}:
            one = shtns.sht(t.zonal - 1, t.zonal - 1, 1, shtns.sht_orthonormal, threads)
            one.set_grid(t.nlat, t.nlon, shtns.sht_gauss | order | shtns.SHT_SOUTH_POLE_FIRST, 1e-14)
            self.on[threads] = one
        one, self.turned = self.on[1], order == shtns.SHT_THETA_CONTIGUOUS
        # shtns: real part of sum x[m] e^(i m lon), m > 0 counted twice
        half = np.where(np.arange(t.zonal) == 0, 1.0, np.sqrt(0.5))[:, None, None]
        stacked = (x[0] - 1j * x[1]) * half
        self.x = np.ascontiguousarray(stacked[one.m, one.l].T)
        self.z = [one.spat_array() for _ in self.x]
        self.gflop = None  # fast Fourier transforms

    def run(self, x: np.ndarray) -> None:
        one = self.on.get(len(os.sched_getaffinity(0)), self.on[1]) if len(self.on) > 1 else self.on[1]
        x = np.array(x)
        for _ in range(PAIRS):
            for coefficients, z in zip(x, self.z, strict=True):
                one.SH_to_spat(coefficients, z)
            for coefficients, z in zip(x, self.z, strict=True):
                one.spat_to_SH(z, coefficients)

    arguments = ()

    def values(self) -> np.ndarray:
        found = np.stack([self.on[1].synth(np.array(coefficients)) for coefficients in self.x], axis=-1)
        return found if self.turned else np.moveaxis(found, 0, 1)


def contestants(t: Truncation, columns: int, peers: bool = True) -> dict[str, Callable[[], Any]]:
    """Name to maker of what is measured."""
    x = coefficients(t, columns)
    makers: dict[str, Callable[[], Any]] = {"ours": lambda: _Ours(t, x)}
    if compiled.built() and jax.default_backend() == "cpu":
        makers["ours, products"] = lambda: _Ours(t, x, "products")
    if peers and importlib.util.find_spec("dinosaur") is not None:
        makers["dinosaur real"] = lambda: _Dinosaur(t, x, "RealSphericalHarmonics")
        makers["dinosaur fast"] = lambda: _Dinosaur(t, x, "FastSphericalHarmonics")
    if peers and importlib.util.find_spec("shtns") is not None:
        makers["shtns"] = lambda: _Shtns(t, x)
    return makers
