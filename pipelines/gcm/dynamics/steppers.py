"""Implicit-explicit time integrators of du/dt = F(u) + L u: F explicit and nonlinear, L linear, stiff and solved for.

An equation has three methods: `explicit(u)` = F(u), `implicit(u)` = L u and `implicit_solve(r, eta)`, the u with
u - eta L u = r. A leaf of `implicit(u)` that is None stands for a variable without implicit part. Wherever a stage
was solved for, L u = (u - r) / eta comes free and exact, so L itself is applied only to the first stage.

Sources: imex_rk_sil3: Whitaker & Kar (2013); semi-implicit leapfrog: Robert (1969), Asselin (1972);
crank_nicolson_rk3 (Williamson 1980) and rk4 (Carpenter & Kennedy 1994): Canuto et al. (2007), appendix D.3.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import jax

from sciml.pipelines.registry import Registry

Tree = Any  # a state, a tendency, or a pair of states


class Equation(Protocol):
    """What can be integrated."""

    def explicit(self, state: Tree) -> Tree: ...

    def implicit(self, state: Tree) -> Tree: ...

    def implicit_solve(self, state: Tree, eta: Any) -> Tree: ...


@dataclass(frozen=True)
class Scheme:
    """A time integrator: what it carries from step to step, and the step.

    `start(equation, state, dt)` makes the carry at the time of `state`, `advance(equation, carry, dt)` the next one
    and `current(carry)` is the state in it. `replace(carry, state)` puts a filtered state back, after which
    `smooth(before, carry)` applies the time filter that belongs to the scheme.
    """

    advance: Callable[[Equation, Tree, Any], Tree]
    start: Callable[[Equation, Tree, Any], Tree] = lambda equation, state, dt: state
    current: Callable[[Tree], Tree] = lambda carry: carry
    replace: Callable[[Tree, Tree], Tree] = lambda carry, state: state
    smooth: Callable[[Tree, Tree], Tree] = lambda before, carry: carry


def _is_none(leaf: Any) -> bool:
    return leaf is None


def combine(*terms: tuple[Any, Tree]) -> Tree:
    """Sum of factor x tree; a factor that is exactly 0 and None leaves add nothing."""
    terms = tuple(term for term in terms if not (isinstance(term[0], float | int) and term[0] == 0))

    def add(*leaves):
        total = None
        for (factor, _), leaf in zip(terms, leaves, strict=True):
            if leaf is None:
                continue
            part = leaf if isinstance(factor, int) and factor == 1 else factor * leaf
            total = part if total is None else total + part
        return total

    return jax.tree.map(add, *(tree for _, tree in terms), is_leaf=_is_none)


def _implicit_of_solution(solved: Tree, right: Tree, eta: Any, like: Tree) -> Tree:
    """L u from u - eta L u = right, with None where `like`, another L u, has None."""
    return jax.tree.map(
        lambda known, u, r: None if known is None else (u - r) / eta, like, solved, right, is_leaf=_is_none
    )


@dataclass(frozen=True)
class Tableau:
    """Butcher tableau of an additive Runge-Kutta method that is stiffly accurate: the last stage is the result.

    Row i of `explicit` has the factors of F(u_0..u_i) for stage i + 1; row i of `implicit` one more, of the stage
    itself.
    """

    explicit: tuple[tuple[float, ...], ...]
    implicit: tuple[tuple[float, ...], ...]

    def __post_init__(self):
        for i, (row_f, row_l) in enumerate(zip(self.explicit, self.implicit, strict=True)):
            if len(row_f) != i + 1 or len(row_l) != i + 2 or row_l[-1] == 0:
                raise ValueError(f"stage {i + 1} of the tableau has rows {row_f} and {row_l}")

    def needed(self, rows: tuple[tuple[float, ...], ...], j: int) -> bool:
        """Whether a stage after j uses its tendency."""
        return any(row[j] != 0 for i, row in enumerate(rows) if i >= j)


SIL3 = Tableau(
    explicit=((1 / 3,), (1 / 6, 1 / 2), (1 / 2, -1 / 2, 1.0)),
    implicit=((1 / 6, 1 / 6), (1 / 3, 0.0, 1 / 3), (3 / 8, 0.0, 3 / 8, 1 / 4)),
)


def runge_kutta(tableau: Tableau, equation: Equation, state: Tree, dt: Any) -> Tree:
    """One step of an additive Runge-Kutta method."""
    f, g = [equation.explicit(state)], [equation.implicit(state)]
    solved = state
    for i, (row_f, row_l) in enumerate(zip(tableau.explicit, tableau.implicit, strict=True)):
        right = combine(
            (1, state),
            *((a and dt * a, f[j]) for j, a in enumerate(row_f)),
            *((a and dt * a, g[j]) for j, a in enumerate(row_l[:-1])),
        )
        eta = dt * row_l[-1]
        solved = equation.implicit_solve(right, eta)
        if i + 1 < len(tableau.explicit):
            wanted = tableau.needed(tableau.explicit, i + 1)
            f.append(equation.explicit(solved) if wanted else None)
            wanted = tableau.needed(tableau.implicit, i + 1)
            g.append(_implicit_of_solution(solved, right, eta, g[0]) if wanted else None)
    return solved


def sil3_step(equation: Equation, state: Tree, dt: Any) -> Tree:
    """`runge_kutta(SIL3, ...)` rearranged so that no explicit tendency is needed twice.

    With r_i the right side of stage i and Y_i its solution, the tableau's rows are r_1 = y + dt (F_0 / 3 + L_0 / 6),
    r_2 = (y + r_1) / 2 + dt (F_1 / 2 + L_0 / 4) and r_3 = 2 r_1 - r_2 + dt (F_2 + 3/8 (L_0 + L_2)): every F is added
    to its right side where it is computed, which saves half of the memory traffic between the evaluations.
    """
    linear = equation.implicit(state)
    first = combine((1, state), (dt / 3, equation.explicit(state)), (dt / 6, linear))
    solved = equation.implicit_solve(first, dt / 6)
    second = combine((0.5, state), (0.5, first), (dt / 2, equation.explicit(solved)), (dt / 4, linear))
    solved = equation.implicit_solve(second, dt / 3)
    at_second = _implicit_of_solution(solved, second, dt / 3, linear)
    slow = combine((2.0, first), (-1.0, second), (dt, equation.explicit(solved)))
    third = combine((1, slow), (3 / 8 * dt, linear), (3 / 8 * dt, at_second))
    return equation.implicit_solve(third, dt / 4)


def low_storage(factors: tuple[tuple[float, ...], ...], equation: Equation, state: Tree, dt: Any) -> Tree:
    """One step of a 2-register Runge-Kutta method for F with Crank-Nicolson for L; `factors` = (alpha, beta, gamma)."""
    alpha, beta, gamma = factors
    linear, register = equation.implicit(state), None
    like = linear
    for k in range(len(beta)):
        tendency = equation.explicit(state)
        register = tendency if register is None else combine((1, tendency), (beta[k], register))
        half = 0.5 * dt * (alpha[k + 1] - alpha[k])
        right = combine((1, state), (gamma[k] * dt, register), (half, linear))
        state = equation.implicit_solve(right, half)
        if k + 1 < len(beta):
            linear = _implicit_of_solution(state, right, half, like)
    return state


RK3 = ((0, 1 / 3, 3 / 4, 1), (0, -5 / 9, -153 / 128), (1 / 3, 15 / 16, 8 / 15))
RK4 = (
    (0, 0.1496590219993, 0.3704009573644, 0.6222557631345, 0.9582821306748, 1),
    (0, -0.4178904745, -1.192151694643, -1.697784692471, -1.514183444257),
    (0.1496590219993, 0.3792103129999, 0.8229550293869, 0.6994504559488, 0.1530572479681),
)


def rk2_step(equation: Equation, state: Tree, dt: Any) -> Tree:
    """Heun's method for F, Crank-Nicolson for L."""
    base = combine((1, state), (0.5 * dt, equation.implicit(state)))
    first = equation.explicit(state)
    guess = equation.implicit_solve(combine((1, base), (dt, first)), 0.5 * dt)
    second = equation.explicit(guess)
    return equation.implicit_solve(combine((1, base), (0.5 * dt, first), (0.5 * dt, second)), 0.5 * dt)


def euler_step(equation: Equation, state: Tree, dt: Any) -> Tree:
    """Forward Euler for F, backward Euler for L."""
    return equation.implicit_solve(combine((1, state), (dt, equation.explicit(state))), dt)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Reversed:
    """An equation with time running backwards; for reversible dynamics only."""

    forward: Any

    def explicit(self, state: Tree) -> Tree:
        """-F(u)."""
        return combine((-1.0, self.forward.explicit(state)))

    def implicit(self, state: Tree) -> Tree:
        """-L u."""
        return combine((-1.0, self.forward.implicit(state)))

    def implicit_solve(self, state: Tree, eta: Any) -> Tree:
        """u + eta L u = r."""
        return self.forward.implicit_solve(state, -eta)


def leapfrog_step(equation: Equation, carry: tuple[Tree, Tree], dt: Any) -> tuple[Tree, Tree]:
    """(previous, current) -> (current, next): centred F, L averaged over previous and next."""
    previous, current = carry
    right = combine((1, previous), (2 * dt, equation.explicit(current)), (1 * dt, equation.implicit(previous)))
    return current, equation.implicit_solve(right, 1 * dt)


def robert_asselin(r: float, before: tuple[Tree, Tree], carry: tuple[Tree, Tree]) -> tuple[Tree, Tree]:
    """Damps the computational mode of the leapfrog: the middle state moves towards its neighbours in time."""
    (previous, _), (current, following) = before, carry
    return combine((1 - 2 * r, current), (r, previous), (r, following)), following


def leapfrog_start(equation: Equation, state: Tree, dt: Any) -> tuple[Tree, Tree]:
    """The pair a leapfrog begins with: one step back in time, and now."""
    return rk2_step(Reversed(equation), state, dt), state


# Asselin (1972) and the shallow-water literature use 0.01 to 0.1; the mild end keeps second order in practice.
ROBERT_ASSELIN = 0.02

imex_rk_sil3 = Scheme(sil3_step)
crank_nicolson_rk2 = Scheme(rk2_step)
crank_nicolson_rk3 = Scheme(partial(low_storage, RK3))
crank_nicolson_rk4 = Scheme(partial(low_storage, RK4))
backward_forward_euler = Scheme(euler_step)
semi_implicit_leapfrog = Scheme(
    advance=leapfrog_step,
    start=leapfrog_start,
    current=lambda carry: carry[1],
    replace=lambda carry, state: (carry[0], state),
    smooth=partial(robert_asselin, ROBERT_ASSELIN),
)

_HERE = "sciml.pipelines.gcm.dynamics.steppers"
DEFAULT_SCHEME = "imex_rk_sil3"
SCHEMES = Registry(
    "time scheme",
    {
        name: f"{_HERE}:{name}"
        for name in (
            DEFAULT_SCHEME,
            "semi_implicit_leapfrog",
            "crank_nicolson_rk2",
            "crank_nicolson_rk3",
            "crank_nicolson_rk4",
            "backward_forward_euler",
        )
    },
)


def make_step(equation: Equation, scheme: str = DEFAULT_SCHEME, dt: Any = 1.0) -> Callable[[Tree], Tree]:
    """The function from one carry (a state; for the leapfrog a pair of states) to the next.

    SettingsError for an unknown scheme.
    """
    chosen = SCHEMES.get(scheme)
    return lambda carry: chosen.smooth(carry, chosen.advance(equation, carry, dt))
