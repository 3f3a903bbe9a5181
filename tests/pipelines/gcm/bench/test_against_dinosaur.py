"""Hours of the baroclinic wave beside dinosaur: same equations, levels, filter and step, so the same numbers (laws.py: a day)."""

from functools import partial

import jax
import jax.numpy as jnp
import pytest

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


def check(truncation, levels, minutes, hours, precision):
    with jax.enable_x64(precision == "float64"):
        core, start = wave(truncation, levels, minutes, precision)
        other, steps = peer.dinosaur(core), round(hours * 60 / minutes)
        run = jax.jit(partial(jax.lax.fori_loop, 0, steps, lambda _, s: other.step(s)))
        theirs = other.decode(run(other.encode(start)))
        found = peer.difference(core, core.advance(jax.tree.map(jnp.copy, start), steps), theirs)
        assert max(found.values()) <= BOUND[precision], found
        moved = peer.difference(core, start, theirs)
        assert max(moved.values()) > 100 * BOUND[precision], "nothing happened, so nothing was compared"


# test_small[dinosaur] in test_laws.py has hours in float32 in the quick suite
@pytest.mark.parametrize("precision", [pytest.param("float32", marks=pytest.mark.slow), "float64"])
def test_the_first_hours(precision):
    check("T21", 6, 20, 3, precision)
