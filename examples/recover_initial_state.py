"""Find the bump on the Galewsky jet from a day of noisy heights at 1000 places, by gradients through the shallow-water equations.

The first guess lacks the bump; L-BFGS on the initial height finds it (Le Dimet & Talagrand 1986): python examples/recover_initial_state.py
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from sciml.kernels.sphere import layout, transform
from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.gcm.core import make_core
from sciml.pipelines.gcm.dynamics.shallow_water import shallow_water
from sciml.pipelines.gcm.scales import ATMOSPHERIC, EARTH
from sciml.pipelines.gcm.setups import case, fluids, initial
from sciml.pipelines.gcm.unroll import unroll

plan, rng = make_plan("T42"), np.random.default_rng(0)
fluid = fluids.galewsky(case.Where.of(plan))
core = make_core(shallow_water(plan, initial.reference_potential(plan, fluid)), ATMOSPHERIC.nondim(30.0, "min"))
truth, metres = initial.fluid(plan, fluid), ATMOSPHERIC.dim(1.0, "m2 s-2") / EARTH.gravity  # of height per unit of potential
bump = initial.modal(plan, (fluid.height - fluid.height.min(0, keepdims=True)) / metres)
first_guess = truth.potential - jnp.asarray(bump, plan.dtype)
height = lambda potential: metres * transform.synthesis(plan, potential)[..., 0]  # noqa: E731, [m] at the grid points
places = rng.choice(np.prod(plan.nodal_shape), 1000, replace=False)


def observe(potential):
    """Heights [time, place] in m every three hours of the day that follows `potential`."""
    return unroll(core.step, replace(truth, potential=potential), 48, 6, lambda state: height(state.potential).reshape(-1)[places])[1]


observed = observe(truth.potential) + 2.0 * rng.normal(size=(8, 1000))
size = 2e-5 * jnp.exp(-((plan.total_wavenumber[..., None] / 20.0) ** 2))  # corrections are smooth, and of some 10 m


def misfit(x):
    """Half the squared misfit in units of the error of 2 m, and half the square of the correction in its own."""
    return (jnp.sum(((observe(first_guess + size * x) - observed) / 2.0) ** 2) + jnp.sum(x**2)) / 2


x, solver = jnp.zeros_like(first_guess), optax.lbfgs()
state, value_and_grad = solver.init(x), jax.jit(optax.value_and_grad_from_state(misfit))
update = jax.jit(lambda x, state, value, grad: solver.update(grad, state, x, value=value, grad=grad, value_fn=misfit))
for _ in range(16):
    step, state = update(x, state, *value_and_grad(x, state=state))
    x += step
found, bump = (np.roll(layout.to_standard(plan, np.asarray(height(one))).T, 64, 1) for one in (size * x, truth.potential - first_guess))
rms = np.sqrt(np.mean(np.square([bump, found - bump]), axis=(1, 2)))
print(f"rms error of the initial height: {rms[0]:.2f} m before, {rms[1]:.2f} m after")
figure, axes = plt.subplots(1, 2, figsize=(11, 3.6), sharey=True, layout="constrained")
for axis, name, one in zip(axes, ("truth", "recovered"), (bump, found), strict=True):
    image = axis.pcolormesh(plan.longitude - 180, plan.latitude, one, cmap="RdBu_r", vmin=-90, vmax=90)
    axis.set(title=f"{name}: height beside the zonal jet's [m]", ylim=(0, 90), xlim=(-90, 90))
figure.colorbar(image, ax=axes)
figure.savefig("recovered.png", dpi=110)
