"""The same model in dinosaur, where it is installed: for tests and benchmarks in one run with ours.

Equations, levels, reference profile, orography, constants, scheme, step and filter are those of the core it is made of;
only the code that computes them differs. Axes: dinosaur's arrays are [k, row, l] with rows m = 0, +1, -1, +2 ...
(and a dead row after the first in its class FastSphericalHarmonics); ours [*modal, k].
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sciml.kernels.sphere import layout
from sciml.pipelines.gcm.core import Core
from sciml.pipelines.gcm.dynamics.filters import EXPONENTIAL_ORDER, EXPONENTIAL_TAU
from sciml.pipelines.gcm.dynamics.state import CLOUD_LIQUID, State

# The two transforms of dinosaur: its grids' default, and the one NeuralGCM runs with.
CLASSES = {"real": ("RealSphericalHarmonics", "real"), "fast": ("FastSphericalHarmonics", "zero_imag")}
_DYNAMIC = ("vorticity", "divergence", "temperature_variation", "log_surface_pressure")


def installed() -> bool:
    """Whether dinosaur can be imported."""
    return importlib.util.find_spec("dinosaur") is not None


@dataclass(frozen=True)
class Peer:
    """dinosaur's model: `step(state)` makes one filtered step of its own states."""

    core: Core
    rows: str
    step: Callable[[Any], Any]

    def encode(self, state: State) -> Any:
        """Our state as dinosaur's."""
        from dinosaur.primitive_equations import State as Theirs

        tracers = {name: self._encode(x) for name, x in state.tracers.items()}
        return Theirs(*(self._encode(getattr(state, name)) for name in _DYNAMIC), tracers=tracers)

    def decode(self, state: Any) -> State:
        """Dinosaur's state as ours."""
        tracers = {name: self._decode(x) for name, x in state.tracers.items()}
        return State(*(self._decode(getattr(state, name)) for name in _DYNAMIC), tracers=tracers)

    def _encode(self, x: Any) -> jax.Array:
        rows = layout.modal_to_rows(self.core.plan, np.asarray(x), self.rows)
        return jnp.asarray(np.ascontiguousarray(np.moveaxis(rows, -1, 0)))

    def _decode(self, x: Any) -> jax.Array:
        return jnp.asarray(layout.modal_from_rows(self.core.plan, np.moveaxis(np.asarray(x), 0, -1), self.rows))


def dinosaur(core: Core, tracers: Any = (), transform: str = "real") -> Peer:
    """The peer of `core`, a core with the scheme of its name and the default exponential filter.

    tracers: names of the tracers, which decide on the terms of moisture. transform: real or fast.
    """
    from dinosaur import (
        coordinate_systems,
        primitive_equations,
        scales,
        sigma_coordinates,
        spherical_harmonic,
        time_integration,
    )

    name, rows = CLASSES[transform]
    equation, t = core.equation, core.plan.truncation
    grid = spherical_harmonic.Grid(
        t.zonal, t.total, t.nlon, t.nlat, core.plan.geometry.grid, radius=1.0,
        spherical_harmonics_impl=getattr(spherical_harmonic, name),
    )  # fmt: skip
    sigma = sigma_coordinates.SigmaCoordinates(np.array(equation.levels.boundaries))
    kind = "MoistPrimitiveEquationsWithCloudMoisture" if CLOUD_LIQUID in tracers else "MoistPrimitiveEquations"
    orography = layout.modal_to_rows(core.plan, np.asarray(equation.orography), rows)[..., 0]
    theirs = getattr(primitive_equations, kind if tracers else "PrimitiveEquations")(
        np.asarray(equation.reference_temperature),
        jnp.asarray(orography),
        coordinate_systems.CoordinateSystem(grid, sigma),
        primitive_equations.PrimitiveEquationsSpecs.from_si(scale=scales.ATMOSPHERIC_SCALE),
    )
    dt = float(core.dt)
    filters = [time_integration.exponential_step_filter(grid, dt, EXPONENTIAL_TAU, EXPONENTIAL_ORDER, 0.0)]
    step = time_integration.step_with_filters(getattr(time_integration, core.scheme)(theirs, dt), filters)
    return Peer(core, rows, step)


def difference(core: Core, ours: State, theirs: State) -> dict[str, float]:
    """Relative L2 difference at the grid points of wind, temperature, vorticity, log surface pressure and tracers.

    Both wind components relative to the wind. Divergence on its own is mostly round-off in float32, three orders below
    the vorticity; in the wind it has its weight.
    """
    a, b = (_on_grid(core, state) for state in (ours, theirs))
    size = {name: float(jnp.linalg.norm(x)) for name, x in b.items()}
    size["u"] = size["v"] = float(np.hypot(size["u"], size["v"]))
    return {name: float(jnp.linalg.norm(a[name] - b[name])) / size[name] for name in a}


def _on_grid(core: Core, state: State) -> dict[str, jax.Array]:
    grid = core.equation.to_grid(state, pressure=True)
    temperature = grid.temperature_variation + core.equation.reference_temperature
    return {
        "u": grid.cos_lat_u, "v": grid.cos_lat_v, "temperature": temperature, "vorticity": grid.vorticity,
        "log_surface_pressure": grid.log_surface_pressure, **grid.tracers,
    }  # fmt: skip
