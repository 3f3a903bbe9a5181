"""The height of the surface as the models see it: base orography, and what training added to it.

Base: geopotential at the surface over g, analysed on the model's own grid, cut to another truncation and filtered by
exp(-attenuation (l / (L - 1))^{2 order}). Correction: one learned number per live coefficient, in the order of rows
m = 0, +1, -1, +2, -2 ... and of l within a row, times a scale. Heights are without dimension (radii of the Earth).
Axes: [*modal] modal axes of a plan; l total wavenumber, at most L - 1.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array

from sciml.kernels.sphere import layout, transform
from sciml.kernels.sphere.plan import Plan
from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.dynamics.filters import exponential_factor
from sciml.pipelines.gcm.dynamics.modal import over_columns
from sciml.pipelines.gcm.scales import ATMOSPHERIC, EARTH


def base_orography(
    plan: Plan, target: Plan, surface_geopotential: np.ndarray, filters: tuple[tuple[float, float, float], ...] = ()
) -> Array:
    """Modal height [*modal of `target`, 1] from the geopotential [i, j] m2 s-2 on the grid of `plan`.

    filters: (attenuation, order, cutoff) of each filter. DataError for a field of another shape or with NaN.
    """
    grid = plan.truncation.nlon, plan.truncation.nlat
    found = np.asarray(surface_geopotential, np.float64)
    if found.shape != grid or not np.isfinite(found).all():
        raise DataError(
            f"geopotential_at_surface has shape {found.shape} and {np.sum(~np.isfinite(found))} values that are no number",
            hint=f"the model's grid has {grid[0]} longitudes and {grid[1]} latitudes, and needs a value at each",
        )
    height = ATMOSPHERIC.nondim(found / EARTH.gravity, "m")
    on_grid = jnp.asarray(layout.from_standard(plan, height)[..., None], plan.dtype)
    modal = layout.resample(plan, target, transform.analysis(plan, on_grid))
    wavenumber = np.minimum(target.total_wavenumber / (target.truncation.total - 1), 1.0)
    for attenuation, order, cutoff in filters:
        factor = jnp.asarray(exponential_factor(wavenumber, attenuation, order, cutoff), target.dtype)
        modal = modal * over_columns(factor, modal, factor.ndim)
    return modal


def coefficient_order(plan: Plan) -> np.ndarray:
    """Place of every coefficient [*modal] in a learned vector, counted from 1; 0 at dead entries."""
    live = layout.modal_to_rows(plan, plan.mask)
    place = np.zeros(live.shape, np.int32)
    place[live] = 1 + np.arange(live.sum())
    return layout.modal_from_rows(plan, place)


def learned_correction(plan: Plan, values: Array, scale: float) -> Array:
    """Modal height [*modal, 1] of the learned vector `values` [number of live coefficients].

    DataError for a vector of another length.
    """
    order = coefficient_order(plan)
    if values.shape != (order.max(),):
        raise DataError(
            f"learned orography of shape {values.shape}; {plan.truncation.name} has {order.max()} coefficients"
        )
    padded = jnp.concatenate([jnp.zeros(1, plan.dtype), jnp.asarray(values, plan.dtype)])
    return scale * padded[order][..., None]
