"""The dynamical core: equations, forcing, time scheme and filters bundled into one step, compiled once.

A core is a pytree: its tables travel as arguments of the compiled function, which keeps compilation short, and
gradients with respect to any of them are there for the asking. The step count is an argument, too, so that one
compilation serves intervals of any length.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
from jax import lax

from sciml.kernels.sphere.grids import truncation as named_truncation
from sciml.kernels.sphere.plan import Plan, make_plan
from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.dynamics import digital_filter, steppers
from sciml.pipelines.gcm.dynamics.filters import exponential
from sciml.pipelines.gcm.dynamics.primitive_equations import primitive_equations
from sciml.pipelines.gcm.dynamics.steppers import DEFAULT_SCHEME, SCHEMES, Scheme, combine
from sciml.pipelines.gcm.dynamics.vertical import SigmaLevels, equidistant
from sciml.pipelines.gcm.scales import ATMOSPHERIC


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Forced:
    """An equation with a forcing among its explicit terms.

    A forcing with a method `grid_tendency(equation, grid_state)` acts at the grid points inside the equation's own
    transforms; any other is called as forcing(equation, state) and returns a modal tendency.
    """

    equation: Any
    forcing: Any

    def explicit(self, state: Any) -> Any:
        """Explicit tendency of equation and forcing."""
        if hasattr(self.forcing, "grid_tendency"):
            return self.equation.explicit(state, self.forcing.grid_tendency)
        return combine((1, self.equation.explicit(state)), (1, self.forcing(self.equation, state)))

    def implicit(self, state: Any) -> Any:
        """Implicit tendency of the equation."""
        return self.equation.implicit(state)

    def implicit_solve(self, state: Any, eta: Any) -> Any:
        """Solve of the equation."""
        return self.equation.implicit_solve(state, eta)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Core:
    """A model that can be stepped; made by `make_core` or `build`.

    equation: PrimitiveEquations or ShallowWater; forcing: None or as in Forced; filters: applied after each step in
    this order; dt: time step without dimension. What is carried between steps is the state itself, except for the
    leapfrog, which carries a pair: `start` makes it and `state` takes the state out.
    """

    equation: Any
    forcing: Any
    filters: tuple[Any, ...]
    dt: float
    scheme: str = field(metadata={"static": True})

    @property
    def _scheme(self) -> Scheme:
        return SCHEMES.get(self.scheme)

    @property
    def forced(self) -> Any:
        """The equation with the forcing in it."""
        return self.equation if self.forcing is None else Forced(self.equation, self.forcing)

    @property
    def plan(self) -> Plan:
        """The plan of the transforms."""
        return self.equation.plan

    def start(self, state: Any) -> Any:
        """The carry at the time of `state`."""
        return _start(self, state)

    def state(self, carry: Any) -> Any:
        """The newest state in `carry`."""
        return self._scheme.current(carry)

    def step(self, carry: Any) -> Any:
        """One time step with its filters; pure, for use inside transformations."""
        return self._filtered_step(self.forced, self.dt, carry)

    def _filtered_step(self, equation: Any, dt: Any, carry: Any) -> Any:
        scheme = self._scheme
        following = scheme.advance(equation, carry, dt)
        before, after = scheme.current(carry), scheme.current(following)
        for one in self.filters:
            after = one(before, after)
        return scheme.smooth(carry, scheme.replace(following, after))

    def advance(self, carry: Any, n_steps: int) -> Any:
        """`n_steps` steps in one compiled loop. The memory of `carry` is taken over: do not use it again."""
        return _advance(self, carry, n_steps)

    def initialise(self, state: Any, span: float, cutoff_period: float | None = None) -> Any:
        """`state` after digital-filter initialisation over `span`; times without dimension, cutoff as long as span.

        The forcing is left out: only reversible dynamics can run backwards.
        """
        weights = digital_filter.lanczos_weights(span, cutoff_period or span, float(self.dt))
        return _initialise(self, state, weights)


@jax.jit
def _start(core: Core, state: Any) -> Any:
    return core._scheme.start(core.forced, state, core.dt)


@partial(jax.jit, donate_argnames="carry")
def _advance(core: Core, carry: Any, n_steps: Any) -> Any:
    return lax.fori_loop(0, n_steps, lambda _, c: core.step(c), carry)


@jax.jit
def _initialise(core: Core, state: Any, weights: Any) -> Any:
    one_step = Core(core.equation, None, core.filters, core.dt, DEFAULT_SCHEME)
    forward = one_step.step
    backward = partial(one_step._filtered_step, steppers.Reversed(core.equation), core.dt)
    return digital_filter.initialise(forward, backward, state, weights)


def make_core(
    equation: Any, dt: float, *, scheme: str = DEFAULT_SCHEME, filters: Sequence[Any] = (), forcing: Any = None
) -> Core:
    """The core of `equation` with time step `dt` without dimension; SettingsError for an unknown scheme."""
    if not dt > 0:
        raise SettingsError(f"the time step is {dt}; it must be positive")
    return Core(equation, forcing, tuple(filters), float(dt), SCHEMES.check(scheme))


def build(
    truncation: str = "T42",
    levels: int | SigmaLevels = 24,
    step_minutes: float = 20.0,
    *,
    scheme: str = DEFAULT_SCHEME,
    reference_temperature: Any = 288.0,
    orography: Any = None,
    precision: str = "float32",
    forcing: Any = None,
    filters: Sequence[Any] | None = None,
    moist: bool = True,
) -> Core:
    """A core of the primitive equations in one call; `filters` default to the exponential one.

    reference_temperature is a number or profile [k] K, orography the non-dimensional modal height [*modal, 1].
    """
    plan = make_plan(named_truncation(truncation), precision=precision)
    layers = equidistant(levels) if isinstance(levels, int) else levels
    equation = primitive_equations(plan, layers, reference_temperature, orography, moist=moist)
    dt = ATMOSPHERIC.nondim(step_minutes, "min")
    chosen = (exponential(plan, dt),) if filters is None else filters
    return make_core(equation, dt, scheme=scheme, filters=chosen, forcing=forcing)
