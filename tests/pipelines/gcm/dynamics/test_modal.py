"""Tables over coefficients, and how they meet columns."""

import jax.numpy as jnp
import numpy as np

from sciml.kernels.sphere import operators
from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.gcm.dynamics.modal import modal_tables, over_columns


def test_tables_are_those_of_the_operators(states):
    plan = make_plan("T21")
    eigenvalues, keep = modal_tables(plan)
    x = states.random_field(plan, np.random.default_rng(0), 3, 1.0) + 1.0 * plan.mask[..., None]
    np.testing.assert_allclose(eigenvalues * x, operators.laplacian(plan, x), rtol=1e-6)
    np.testing.assert_allclose(keep * x, operators.clip(plan, x), rtol=1e-6)
    assert eigenvalues.dtype == keep.dtype == np.float64


def test_over_columns_makes_room():
    table = jnp.arange(6.0).reshape(2, 3)
    assert over_columns(table, jnp.zeros((2, 3, 4, 5)), 2).shape == (2, 3, 1, 1)
    assert over_columns(table[..., None], jnp.zeros((2, 3, 4, 5)), 2).shape == (2, 3, 1, 1)
    assert over_columns(table, jnp.zeros((2, 3)), 2).shape == (2, 3)
