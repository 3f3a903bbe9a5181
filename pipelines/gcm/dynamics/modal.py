"""Tables over the coefficients of a plan, and how a table meets columns.

Axes: [*modal] modal axes of the plan, l total wavenumber.
"""

import numpy as np
from jax import Array

from sciml.kernels.sphere.plan import Plan


def over_columns(table: Array, x: Array, axes: int) -> Array:
    """`table` with its `axes` horizontal axes followed by ones, so that it multiplies x[*horizontal, ...]."""
    return table.reshape(table.shape[:axes] + (1,) * (x.ndim - axes))


def modal_tables(plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """(eigenvalues of the Laplacian, 1 where a tendency is kept), both [*modal, 1] float64.

    The largest total wavenumber is dropped from tendencies: derivatives of products are incomplete there.
    """
    eigenvalues = np.where(plan.mask, -plan.total_wavenumber * (plan.total_wavenumber + 1.0), 0.0)
    keep = plan.mask & (plan.total_wavenumber < plan.truncation.total - 1)
    return eigenvalues[..., None], keep[..., None].astype(np.float64)
