"""A day of the baroclinic wave beside dinosaur: same equations, levels, filter and step, so the same numbers."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere import layout, transform
from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.gcm.bench import peer
from sciml.pipelines.gcm.core import make_core
from sciml.pipelines.gcm.dynamics.filters import exponential
from sciml.pipelines.gcm.dynamics.primitive_equations import primitive_equations
from sciml.pipelines.gcm.dynamics.vertical import equidistant
from sciml.pipelines.gcm.scales import ATMOSPHERIC
from sciml.pipelines.gcm.setups.baroclinic import baroclinic_wave
from sciml.pipelines.gcm.setups.case import Where
from sciml.pipelines.gcm.setups.initial import atmosphere, orography

pytest.importorskip("dinosaur")
BOUND = {"float32": 1e-5, "float64": 1e-10}


def wave(truncation, levels, minutes, precision):
    """(core, initial state) of the Jablonowski-Williamson wave."""
    plan, layers = make_plan(truncation, precision=precision), equidistant(levels)
    case = baroclinic_wave(Where.of(plan, layers))
    surface = orography(plan, case.surface_geopotential)
    equation = primitive_equations(plan, layers, case.reference_temperature, surface, moist=False)
    dt = ATMOSPHERIC.nondim(minutes, "min")
    return make_core(equation, dt, filters=(exponential(plan, dt),)), atmosphere(plan, case)


def on_grid(core, state):
    """Wind, temperature and log surface pressure [*nodal, k]: what a norm of the state is taken of.

    Divergence on its own is round-off in float32, three orders below the vorticity; in the wind it has its weight.
    """
    grid = core.equation.to_grid(state, pressure=True)
    temperature = grid.temperature_variation + core.equation.reference_temperature
    return {
        "u": grid.cos_lat_u, "v": grid.cos_lat_v, "temperature": temperature, "vorticity": grid.vorticity,
        "log_surface_pressure": grid.log_surface_pressure,
    }  # fmt: skip


def difference(core, ours, theirs):
    """Relative L2 difference of each field; both wind components relative to the wind."""
    a, b = (on_grid(core, state) for state in (ours, theirs))
    size = {name: float(jnp.linalg.norm(x)) for name, x in b.items()}
    size["u"] = size["v"] = float(np.hypot(size["u"], size["v"]))
    return {name: float(jnp.linalg.norm(a[name] - b[name])) / size[name] for name in a}


def check(truncation, levels, minutes, hours, precision):
    with jax.enable_x64(precision == "float64"):
        core, start = wave(truncation, levels, minutes, precision)
        other, steps = peer.dinosaur(core), round(hours * 60 / minutes)
        run = jax.jit(partial(jax.lax.fori_loop, 0, steps, lambda _, s: other.step(s)))
        theirs = other.decode(run(other.encode(start)))
        found = difference(core, core.advance(jax.tree.map(jnp.copy, start), steps), theirs)
        assert max(found.values()) <= BOUND[precision], found
        moved = difference(core, start, theirs)
        assert max(moved.values()) > 100 * BOUND[precision], "nothing happened, so nothing was compared"


@pytest.mark.parametrize("precision", BOUND)
def test_the_first_hours(precision):
    check("T21", 6, 20, 3, precision)


@pytest.mark.slow
@pytest.mark.parametrize("precision", BOUND)
def test_a_day_at_t42(precision):
    check("T42", 24, 10, 24, precision)


@pytest.mark.slow
def test_surface_pressure_on_day_nine():
    """dinosaur 1.5.1 has 947.45 and 1019.06 hPa."""
    with jax.enable_x64(True):
        core, state = wave("T42", 24, 10, "float64")
        state = core.advance(state, 9 * 144)
        logarithm = layout.to_standard(core.plan, transform.synthesis(core.plan, state.log_surface_pressure))
        pressure = np.exp(np.asarray(logarithm)) * ATMOSPHERIC.dim(1.0, "Pa") / 100
        assert pressure.min() == pytest.approx(947.45, abs=0.1) and pressure.max() == pytest.approx(1019.06, abs=0.1)
