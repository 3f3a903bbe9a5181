"""Names, CF attributes and units of every variable a rollout can write.

Names are those of WeatherBench2 where it has one; standard names those of CF 1.11.
"""

from __future__ import annotations

SIGMA = "sigma"
# name: (long name, CF standard name, unit, whether it has a value on every level; SIGMA: on the model's own layers)
ATTRIBUTES: dict[str, tuple[str, str, str, bool | str]] = {
    "u_component_of_wind": ("eastward wind", "eastward_wind", "m s-1", True),
    "v_component_of_wind": ("northward wind", "northward_wind", "m s-1", True),
    "temperature": ("air temperature", "air_temperature", "K", True),
    "geopotential": ("geopotential", "geopotential", "m2 s-2", True),
    "vorticity": ("relative vorticity", "atmosphere_relative_vorticity", "s-1", True),
    "divergence": ("divergence of wind", "divergence_of_wind", "s-1", True),
    "specific_humidity": ("specific humidity", "specific_humidity", "kg kg-1", True),
    "specific_cloud_ice_water_content": (
        "specific cloud ice water content", "mass_fraction_of_cloud_ice_in_air", "kg kg-1", True,
    ),
    "specific_cloud_liquid_water_content": (
        "specific cloud liquid water content", "mass_fraction_of_cloud_liquid_water_in_air", "kg kg-1", True,
    ),
    "vertical_velocity": ("pressure vertical velocity", "lagrangian_tendency_of_air_pressure", "Pa s-1", True),
    "surface_pressure": ("surface pressure", "surface_air_pressure", "Pa", False),
    "mean_sea_level_pressure": ("mean sea level pressure", "air_pressure_at_mean_sea_level", "Pa", False),
    "precipitation_minus_evaporation": (
        "precipitation minus evaporation, from the column's budget of vapour and cloud water", "", "kg m-2 s-1", False,
    ),
    "precipitation_minus_evaporation_cumulative": (
        "precipitation minus evaporation since the initial time", "", "kg m-2", False,
    ),
    "precipitable_water": (
        "water in the column as a depth of liquid", "", "m", False,
    ),
    "precipitation_rate": ("precipitation rate", "lwe_precipitation_rate", "m s-1", False),
    "total_precipitation": (
        "precipitation since the initial time", "lwe_thickness_of_precipitation_amount", "m", False,
    ),
    "evaporation": ("evaporation, negative where water leaves the surface", "", "kg m-2 s-1", False),
    "evaporation_cumulative": (
        "evaporation since the initial time, negative where water leaves the surface", "", "m", False,
    ),
    "geopotential_at_surface": ("surface geopotential", "surface_geopotential", "m2 s-2", False),
    "height": ("height of the fluid's surface", "", "m", True),
    "depth": ("depth of the fluid", "", "m", True),
    "height_of_bottom": ("height of the fluid's bottom", "", "m", False),
    "potential_vorticity": ("potential vorticity", "", "m-1 s-1", True),
}  # fmt: skip
_MOVED = (
    "u_component_of_wind", "v_component_of_wind", "temperature", "specific_humidity", "specific_cloud_ice_water_content",
    "specific_cloud_liquid_water_content",
)  # fmt: skip


def _on_layers() -> dict[str, tuple[str, str, str, bool | str]]:
    """The prognostic variables on the model's layers, and their tendencies due to dynamics and physics there."""
    found: dict[str, tuple[str, str, str, bool | str]] = {}
    for name in (*_MOVED, "vorticity", "divergence"):
        about, standard, unit, _ = ATTRIBUTES[name]
        found[f"{name}_on_sigma"] = (f"{about} on model layers", standard, unit, SIGMA)
    for name in _MOVED:
        about, _, unit, _ = ATTRIBUTES[name]
        rate = {"m s-1": "m s-2", "K": "K s-1", "kg kg-1": "kg kg-1 s-1"}[unit]
        for cause in ("dynamics", "physics"):
            words = "the resolved dynamics" if cause == "dynamics" else "the learned physics"
            found[f"{name}_tendency_due_to_{cause}"] = (f"tendency of {about} due to {words}", "", rate, SIGMA)
    return found


ATTRIBUTES |= _on_layers()
