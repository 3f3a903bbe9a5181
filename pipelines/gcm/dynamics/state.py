"""Prognostic variables of the primitive equations as spherical-harmonic coefficients.

Axes: [*modal] the coefficient axes of the transform's plan, e an optional member, k level from the top (last axis, so
that a column is contiguous). All values are non-dimensional except temperature [K].
"""

from dataclasses import dataclass, field
from functools import partial

import jax
from jax import Array

SPECIFIC_HUMIDITY = "specific_humidity"
CLOUD_ICE = "specific_cloud_ice_water_content"
CLOUD_LIQUID = "specific_cloud_liquid_water_content"


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["vorticity", "divergence", "temperature_variation", "log_surface_pressure", "tracers"],
    meta_fields=[],
)
@dataclass(frozen=True)
class State:
    """Modal state of the atmosphere, or a tendency of it.

    vorticity, divergence and temperature_variation (temperature less the reference profile) are [*modal, e, k],
    log_surface_pressure is [*modal, e, 1], tracers maps names to [*modal, e, k] (the dictionary may be empty).
    """

    vorticity: Array
    divergence: Array
    temperature_variation: Array
    log_surface_pressure: Array
    tracers: dict[str, Array] = field(default_factory=dict)
