"""Unit spellings and conversions of meteorological fields: value_SI = scale * value + offset within one dimension.

Convention: house units are SI in the spelling of UDUNITS ("m s-1"), with three customary exceptions: relative humidity
in "%", total precipitation in "m" of water as in ERA5, particulate matter in "ug m-3". Accumulated energy "J m-2" and
mean flux "W m-2" are different dimensions and are never converted silently. Factors: NIST SP 811 (2008), appendix B.
"""

import re
import unicodedata

import numpy as np

from sciml.pipelines.errors import DataError, suggest

# canonical spelling: (dimension, scale to SI, offset to SI)
UNITS: dict[str, tuple[str, float, float]] = {
    "K": ("temperature", 1.0, 0.0),
    "degC": ("temperature", 1.0, 273.15),
    "degF": ("temperature", 5.0 / 9.0, 273.15 - 32.0 * 5.0 / 9.0),
    "Pa": ("pressure", 1.0, 0.0),
    "hPa": ("pressure", 100.0, 0.0),
    "kPa": ("pressure", 1000.0, 0.0),
    "inHg": ("pressure", 3386.389, 0.0),
    "mmHg": ("pressure", 133.3224, 0.0),
    "m": ("length", 1.0, 0.0),
    "km": ("length", 1000.0, 0.0),
    "cm": ("length", 0.01, 0.0),
    "mm": ("length", 0.001, 0.0),
    "inch": ("length", 0.0254, 0.0),
    "ft": ("length", 0.3048, 0.0),
    # A water layer: 1 kg m-2 is 1 mm at 1000 kg m-3, the convention of every precipitation archive.
    "kg m-2": ("length", 0.001, 0.0),
    "m s-1": ("speed", 1.0, 0.0),
    "km h-1": ("speed", 1.0 / 3.6, 0.0),
    "kt": ("speed", 1852.0 / 3600.0, 0.0),
    "mph": ("speed", 0.44704, 0.0),
    "ft s-1": ("speed", 0.3048, 0.0),
    "1": ("ratio", 1.0, 0.0),
    "%": ("ratio", 0.01, 0.0),
    "kg kg-1": ("ratio", 1.0, 0.0),
    "g kg-1": ("ratio", 0.001, 0.0),
    "tenths": ("ratio", 0.1, 0.0),
    "okta": ("ratio", 0.125, 0.0),
    "W m-2": ("energy flux", 1.0, 0.0),
    "kW m-2": ("energy flux", 1000.0, 0.0),
    "J m-2": ("energy", 1.0, 0.0),
    "kJ m-2": ("energy", 1e3, 0.0),
    "MJ m-2": ("energy", 1e6, 0.0),
    "Wh m-2": ("energy", 3600.0, 0.0),
    "kWh m-2": ("energy", 3.6e6, 0.0),
    "kg m-2 s-1": ("precipitation rate", 1.0, 0.0),
    "mm s-1": ("precipitation rate", 1.0, 0.0),
    "mm h-1": ("precipitation rate", 1.0 / 3600.0, 0.0),
    "mm d-1": ("precipitation rate", 1.0 / 86400.0, 0.0),
    "m2 s-2": ("geopotential", 1.0, 0.0),
    "gpm": ("geopotential", 9.80665, 0.0),
    "kg m-3": ("concentration", 1.0, 0.0),
    "g m-3": ("concentration", 1e-3, 0.0),
    "mg m-3": ("concentration", 1e-6, 0.0),
    "ug m-3": ("concentration", 1e-9, 0.0),
    "degrees": ("angle", 1.0, 0.0),
    "rad": ("angle", 180.0 / np.pi, 0.0),
    "Pa s-1": ("pressure tendency", 1.0, 0.0),
    "hPa h-1": ("pressure tendency", 100.0 / 3600.0, 0.0),
    "s-1": ("rate", 1.0, 0.0),
    "K m2 kg-1 s-1": ("potential vorticity", 1.0, 0.0),
    "J kg-1": ("specific energy", 1.0, 0.0),
    "s": ("duration", 1.0, 0.0),
    "minutes": ("duration", 60.0, 0.0),
    "hours": ("duration", 3600.0, 0.0),
    "days": ("duration", 86400.0, 0.0),
}

_SPELLINGS = {
    "K": "kelvin kelvins degK deg_K degreeK degree_kelvin degrees_kelvin °K",
    "degC": "C °C ℃ oC degc deg_C degreeC degree_C degrees_C degreesC celsius degree_celsius degrees_celsius "
    "deg_celsius",
    "degF": "F °F ℉ oF degf deg_F degreeF degree_F degrees_F fahrenheit degree_fahrenheit degrees_fahrenheit",
    "Pa": "pascal pascals",
    "hPa": "hpa mb mbar millibar millibars hectopascal hectopascals",
    "kPa": "kpa kilopascal",
    "inHg": "inhg",
    "mmHg": "mmhg torr",
    "m": "meter meters metre metres m_of_water_equivalent m_water m_weq",
    "km": "kilometer kilometre kilometers kilometres",
    "cm": "centimeter centimetre",
    "mm": "millimeter millimetre millimeters millimetres mm_of_water",
    "inch": "in inches",
    "ft": "feet foot",
    "m s-1": "ms-1 mps meter_per_second metre_per_second meters_per_second metres_per_second m_s-1 m/sec m_sec-1",
    "km h-1": "kmh kph kmph km_hr-1 km_hour-1",
    "kt": "kts kn knot knots",
    "mph": "mi_h-1 mi_hr-1 mile_h-1 miles_per_hour",
    "1": "0-1 0_-_1 (0-1) (0_-_1) - fraction frac proportion dimensionless unitless ratio decimal none",
    "%": "percent pct percentage percent_(%)",
    "tenths": "tenth 1/10 10분위",
    "okta": "oktas octa octas eighths 1/8",
    "W m-2": "watt_m-2 watts_m-2",
    "kg m-2": "kg_m-2 kgm-2",
    "Wh m-2": "W_h_m-2",
    "kWh m-2": "kW_h_m-2",
    "mm h-1": "mm_hr-1 mm_hour-1",
    "mm d-1": "mm_day-1",
    "m2 s-2": "J_kg-1_geopotential",
    "gpm": "geopotential_meter geopotential_meters gp_m",
    "ug m-3": "µg_m-3 μg_m-3 mcg_m-3 microgram_m-3 ㎍_m-3 ug_㎥-1 µg_㎥-1 μg_㎥-1 ㎍_㎥-1",
    "degrees": "deg ° degree degrees_true degree_true degrees_north degrees_east degree_north degree_east deg_true "
    "degT",
    "rad": "radian radians",
    "s": "sec secs second seconds",
    "minutes": "min mins minute m_time",
    "hours": "h hr hrs hour",
    "days": "d day",
    "Pa s-1": "pa_s-1",
}
_EXACT = {name: name for name in UNITS} | {
    spelling.replace("_", " "): name for name, text in _SPELLINGS.items() for spelling in text.split()
}
_EXACT |= {spelling: name for name, text in _SPELLINGS.items() for spelling in text.split()}
# Case carries meaning in short symbols ("K" and "k", "Pa" and "pA"), so only longer words are compared without it.
_FOLDED = {spelling.casefold(): name for spelling, name in _EXACT.items() if len(spelling) > 2}
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")

_HOUSE: dict[str, str] = {
    name: unit
    for unit, names in {
        "K": "2m_temperature 2m_dewpoint_temperature skin_temperature sea_surface_temperature temperature "
        "maximum_2m_temperature_since_previous_post_processing minimum_2m_temperature_since_previous_post_processing "
        "maximum_2m_temperature_in_the_last_24_hours minimum_2m_temperature_in_the_last_24_hours "
        "maximum_2m_temperature_in_the_last_6_hours minimum_2m_temperature_in_the_last_6_hours "
        "maximum_2m_temperature_in_the_last_3_hours minimum_2m_temperature_in_the_last_3_hours potential_temperature "
        "soil_temperature_level_1 soil_temperature_level_2 soil_temperature_level_3 soil_temperature_level_4",
        "m s-1": "10m_u_component_of_wind 10m_v_component_of_wind 10m_wind_speed 100m_u_component_of_wind "
        "100m_v_component_of_wind 100m_wind_speed 10m_wind_gust_since_previous_post_processing "
        "instantaneous_10m_wind_gust u_component_of_wind v_component_of_wind wind_speed",
        "Pa": "mean_sea_level_pressure surface_pressure vapour_pressure pressure",
        "Pa s-1": "vertical_velocity",
        "m": "total_precipitation large_scale_precipitation convective_precipitation snowfall snow_depth altitude "
        "boundary_layer_height geopotential_height visibility evaporation runoff",
        "kg m-2 s-1": "precipitation_rate mean_total_precipitation_rate",
        "J m-2": "surface_solar_radiation_downwards surface_thermal_radiation_downwards surface_net_solar_radiation "
        "surface_net_thermal_radiation surface_latent_heat_flux surface_sensible_heat_flux "
        "toa_incident_solar_radiation",
        "%": "2m_relative_humidity relative_humidity minimum_2m_relative_humidity maximum_2m_relative_humidity "
        "precipitation_probability",
        "kg kg-1": "specific_humidity 2m_specific_humidity specific_cloud_ice_water_content "
        "specific_cloud_liquid_water_content",
        "1": "total_cloud_cover low_cloud_cover medium_cloud_cover high_cloud_cover sea_ice_cover land_sea_mask",
        "m2 s-2": "geopotential geopotential_at_surface",
        "J kg-1": "convective_available_potential_energy",
        "kg m-2": "total_column_water_vapour total_column_water",
        "s-1": "vorticity divergence",
        "degrees": "10m_wind_direction wind_direction latitude longitude",
        "ug m-3": "particulate_matter_10um particulate_matter_2.5um",
        "hPa": "level",
    }.items()
    for name in names.split()
}


def canonical(spelling: str) -> str | None:
    """The house spelling of a unit, or None for an unknown one; "" (not stated) is unknown."""
    text = unicodedata.normalize("NFC", str(spelling or "")).strip().strip("[]").strip()
    if not text:
        return None
    for candidate in (text, _exponents(text)):
        found = _EXACT.get(candidate) or _EXACT.get(candidate.replace("_", " "))
        found = found or (_FOLDED.get(candidate.casefold()) if len(candidate) > 2 else None)
        if found:
            return found
    return None


def _exponents(text: str) -> str:
    """Write products and quotients the UDUNITS way: "W/m**2" -> "W m-2", "m s^-1" -> "m s-1"."""
    text = (
        text.translate(_SUPERSCRIPTS)
        .replace("**", "")
        .replace("^", "")
        .replace("\\", "")
        .replace("{", "")
        .replace("}", "")
    )
    text = re.sub(r"[·⋅*]", " ", text)
    text = re.sub(r"(?<=[A-Za-z0-9])\.(?=[A-Za-z])", " ", text)
    numerator, *denominators = text.split("/")
    factors = numerator.split()
    for denominator in denominators:
        for factor in denominator.split():
            match = re.fullmatch(r"(\D+)(\d*)", factor)
            factors.append(f"{match[1]}-{match[2] or 1}" if match else factor)
    return " ".join(factors)


def house_units(name: str) -> str:
    """The house unit of a house variable name, "" where the house has none."""
    return _HOUSE.get(name, "")


def compatible(from_units: str, to_units: str) -> bool:
    """True when `convert` can go from one spelling to the other."""
    return _factors(from_units, to_units) is not None


def convert(values, from_units: str, to_units: str):
    """Convert `values` (scalar, array or DataArray) from one unit to another; float32 stays float32.

    Raises:
        DataError: a unit is unknown, or the two measure different things.
    """
    if from_units == to_units:
        return values
    factors = _factors(from_units, to_units)
    if factors is None:
        raise DataError(_why(from_units, to_units), hint=_way_out(from_units, to_units))
    scale, offset = factors
    if scale == 1.0 and offset == 0.0:
        return values
    if not hasattr(values, "dtype"):
        return np.asarray(values, dtype=np.float64)[()] * scale + offset
    converted = values.astype(np.float64) * scale + offset
    return converted.astype(values.dtype) if values.dtype.kind == "f" else converted


def _factors(from_units: str, to_units: str) -> tuple[float, float] | None:
    """(scale, offset) of to = scale * from + offset, or None."""
    source, target = canonical(from_units), canonical(to_units)
    if source is None or target is None:
        return None
    if source == target:
        return 1.0, 0.0
    # A geopotential metre is a geopotential over g0 and, as a height, one metre.
    if "gpm" in (source, target) and "length" in (UNITS[source][0], UNITS[target][0]):
        ratio = UNITS[source][1] if source != "gpm" else 1.0
        return (ratio if target == "gpm" else ratio / UNITS[target][1]), 0.0
    (dimension, scale, offset), (other, other_scale, other_offset) = UNITS[source], UNITS[target]
    if dimension != other:
        return None
    return scale / other_scale, (offset - other_offset) / other_scale


def _why(from_units: str, to_units: str) -> str:
    for unit in (from_units, to_units):
        if canonical(unit) is None:
            return f"unknown unit {unit!r} (converting {from_units!r} to {to_units!r})"
    kinds = UNITS[canonical(from_units)][0], UNITS[canonical(to_units)][0]
    return f"cannot convert {from_units!r} ({kinds[0]}) to {to_units!r} ({kinds[1]})"


def _way_out(from_units: str, to_units: str) -> str:
    unknown = next((unit for unit in (from_units, to_units) if canonical(unit) is None), None)
    if unknown is not None:
        return suggest(str(unknown), UNITS)
    kinds = {UNITS[canonical(from_units)][0], UNITS[canonical(to_units)][0]}
    if kinds == {"energy", "energy flux"}:
        return "an accumulated energy becomes a mean flux after differencing in lead time and division by the seconds "
        "between"
    return "check which of the two is the unit of the data"
