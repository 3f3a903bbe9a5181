"""Integrators: order of convergence on equations with exact solutions, stiff stability, and dinosaur's results."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.dynamics.steppers import (
    ROBERT_ASSELIN,
    SCHEMES,
    SIL3,
    Reversed,
    Tableau,
    combine,
    make_step,
    runge_kutta,
)


@dataclass
class Oscillator:
    """du/dt = i slow u + i fast u with u = x + i y: the slow rotation explicit, the fast one implicit."""

    slow: float = 1.0
    fast: float = 10.0

    def explicit(self, u):
        return {"x": -self.slow * u["y"], "y": self.slow * u["x"]}

    def implicit(self, u):
        return {"x": -self.fast * u["y"], "y": self.fast * u["x"]}

    def implicit_solve(self, r, eta):
        a = eta * self.fast
        return {"x": (r["x"] - a * r["y"]) / (1 + a * a), "y": (r["y"] + a * r["x"]) / (1 + a * a)}

    def start(self):
        return {"x": jnp.array(1.0), "y": jnp.array(0.0)}

    def exact(self, t):
        return np.cos((self.slow + self.fast) * t), np.sin((self.slow + self.fast) * t)


@dataclass
class Relaxation:
    """Nonlinear and stiff, with solution cos(t) + z: du/dt = rate (v - u) - sin(t) ..., time as a variable.

    u relaxes implicitly towards v, v follows cos(t) by the explicit term -sin(t) with t a variable of rate 1 and the
    nonlinear term (v^2 - cos^2) that vanishes on the solution.
    """

    rate: float = 50.0

    def explicit(self, s):
        drift = -jnp.sin(s["t"]) - 0.5 * (s["v"] ** 2 - jnp.cos(s["t"]) ** 2)
        return {"t": jnp.ones_like(s["t"]), "u": drift, "v": drift}

    def implicit(self, s):
        return {"t": None, "u": self.rate * (s["v"] - s["u"]), "v": None}

    def implicit_solve(self, r, eta):
        a = eta * self.rate
        return {"t": r["t"], "u": (r["u"] + a * r["v"]) / (1 + a), "v": r["v"]}

    def start(self):
        return {"t": jnp.array(0.0), "u": jnp.array(1.0), "v": jnp.array(1.0)}

    def exact(self, t):
        return np.cos(t), np.cos(t)


def run(equation, scheme, n, time=1.0):
    chosen = SCHEMES.get(scheme)
    carry = chosen.start(equation, equation.start(), time / n)
    step = jax.jit(make_step(equation, scheme, time / n))
    for _ in range(n):
        carry = step(carry)
    return chosen.current(carry)


ORDER = {
    "imex_rk_sil3": 2,
    "semi_implicit_leapfrog": 1,  # the time filter costs the second order, with a small factor
    "crank_nicolson_rk2": 2,
    "crank_nicolson_rk3": 2,
    "crank_nicolson_rk4": 2,  # the Crank-Nicolson part is of second order
    "backward_forward_euler": 1,
}


@pytest.mark.parametrize("scheme", SCHEMES.names())
@pytest.mark.parametrize(("equation", "names"), [(Oscillator(1, 4), "xy"), (Relaxation(), "uv")])
def test_order_of_convergence(scheme, equation, names):
    with jax.enable_x64(True):
        exact = np.array(equation.exact(1.0))
        errors = [
            max(np.abs(np.array([run(equation, scheme, n)[name] for name in names]) - exact)) for n in (40, 80, 160)
        ]
    rates = np.log2(np.array(errors[:-1]) / errors[1:])
    assert errors[-1] < 5e-2
    assert np.all(rates > ORDER[scheme] - 0.15), (errors, rates)


@pytest.mark.parametrize(
    ("scheme", "order"), [("imex_rk_sil3", 3), ("crank_nicolson_rk3", 3), ("crank_nicolson_rk4", 4)]
)
def test_order_of_the_explicit_part_alone(scheme, order):
    equation = Oscillator(slow=3.0, fast=0.0)
    with jax.enable_x64(True):
        exact = np.array(equation.exact(1.0))
        errors = [np.abs(np.array([run(equation, scheme, n)[c] for c in "xy"]) - exact).max() for n in (20, 40)]
    assert np.log2(errors[0] / errors[1]) > order - 0.15


@pytest.mark.parametrize("scheme", SCHEMES.names())
def test_fast_waves_do_not_limit_the_step(scheme):
    """|fast| dt = 50: no scheme lets a fast wave grow."""
    end = run(Oscillator(slow=0.0, fast=50.0), scheme, 200, time=200.0)
    assert float(end["x"]) ** 2 + float(end["y"]) ** 2 < 1.001


@pytest.mark.parametrize("scheme", SCHEMES.names())
def test_results_are_those_of_dinosaur(scheme):
    integration = pytest.importorskip("dinosaur.time_integration")
    equation, dt = Relaxation(), 0.02
    theirs = integration.ImplicitExplicitODE.from_functions(
        equation.explicit,
        lambda s: {"t": jnp.zeros(()), "u": equation.implicit(s)["u"], "v": jnp.zeros(())},
        equation.implicit_solve,
    )
    with jax.enable_x64(True):
        chosen = SCHEMES.get(scheme)
        carry = chosen.start(equation, equation.start(), dt)
        step = getattr(integration, scheme)(theirs, dt)
        if scheme == "semi_implicit_leapfrog":
            step = integration.step_with_filters(step, [integration.robert_asselin_leapfrog_filter(ROBERT_ASSELIN)])
        other, ours = carry, make_step(equation, scheme, dt)
        for _ in range(10):
            carry, other = ours(carry), step(other)
        for mine, reference in zip(jax.tree.leaves(carry), jax.tree.leaves(other), strict=True):
            np.testing.assert_allclose(mine, reference, rtol=1e-12)


def test_leapfrog_starts_at_the_state_and_reverses_time():
    equation = Oscillator(1.0, 2.0)
    previous, current = SCHEMES.get("semi_implicit_leapfrog").start(equation, equation.start(), 0.01)
    assert float(current["x"]) == 1.0
    x, y = equation.exact(-0.01)
    np.testing.assert_allclose([float(previous["x"]), float(previous["y"])], [x, y], atol=1e-5)


def test_reversed_steps_return():
    equation = Oscillator(1.0, 2.0)
    state = equation.start()
    there = make_step(equation, "imex_rk_sil3", 0.01)(state)
    back = make_step(Reversed(equation), "imex_rk_sil3", 0.01)(there)
    np.testing.assert_allclose([float(back["x"]), float(back["y"])], [1.0, 0.0], atol=1e-5)


def test_the_explicit_terms_are_evaluated_as_often_as_the_method_needs():
    calls = {"explicit": 0, "implicit": 0}

    class Counted(Oscillator):
        def explicit(self, u):
            calls["explicit"] += 1
            return super().explicit(u)

        def implicit(self, u):
            calls["implicit"] += 1
            return super().implicit(u)

    make_step(Counted(), "imex_rk_sil3", 0.1)(Oscillator().start())
    assert calls == {"explicit": 3, "implicit": 1}


def test_the_rearranged_step_is_the_tableau():
    with jax.enable_x64(True):
        for equation in (Oscillator(1.0, 20.0), Relaxation()):
            reference = runge_kutta(SIL3, equation, equation.start(), 0.1)
            for mine, other in zip(
                jax.tree.leaves(make_step(equation, "imex_rk_sil3", 0.1)(equation.start())),
                jax.tree.leaves(reference),
                strict=True,
            ):
                np.testing.assert_allclose(mine, other, rtol=1e-13)


def test_combine_leaves_out_zeros_and_nones():
    a, b = {"x": jnp.array(2.0), "y": None}, {"x": jnp.array(jnp.nan), "y": jnp.array(3.0)}
    out = combine((2, a), (0.0, b))
    assert float(out["x"]) == 4.0 and out["y"] is None
    assert float(combine((1, a), (0.5, b))["y"]) == 1.5


def test_tableaus_are_consistent_and_checked():
    for row_f, row_l in zip(SIL3.explicit, SIL3.implicit, strict=True):
        assert sum(row_f) == pytest.approx(sum(row_l))
    assert sum(SIL3.explicit[-1]) == sum(SIL3.implicit[-1]) == 1
    with pytest.raises(ValueError, match="stage 1"):
        Tableau(explicit=((1.0,),), implicit=((1.0, 0.0),))


def test_an_unknown_scheme_suggests_one():
    with pytest.raises(SettingsError, match='unknown time scheme "imex_rk_sil"; did you mean "imex_rk_sil3"'):
        make_step(Oscillator(), "imex_rk_sil", 0.1)
