"""Quantities as a checkpoint's text writes them, '4 minutes' or '84 km', in seconds, metres and kelvin.

A bare number (or '0.5') is non-dimensional: times in 1 / (2 Omega), lengths in radii of the planet, temperatures in K.
"""

import re
from typing import Any

from sciml.pipelines.errors import DataError, suggest
from sciml.pipelines.gcm.scales import EARTH

_TIME = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("week", "weeks"), 7 * 86400.0),
    **dict.fromkeys(("year", "years"), 365.25 * 86400.0),
}
_LENGTH = {
    **dict.fromkeys(("m", "meter", "meters", "metre"), 1.0),
    **dict.fromkeys(("km", "kilometer", "kilometers"), 1e3),
}
_TEMPERATURE = dict.fromkeys(("K", "kelvin", "kelvins", "degK"), 1.0)
_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([A-Za-z]*)\s*")


def seconds(value: Any) -> float:
    """A duration.

    Raises:
      DataError: not a number with a unit of time.
    """
    return _in(value, _TIME, 1 / (2 * EARTH.angular_velocity), "a duration such as '4 minutes'")


def metres(value: Any) -> float:
    """A length.

    Raises:
      DataError: not a number with a unit of length.
    """
    return _in(value, _LENGTH, EARTH.radius, "a length such as '84 km'")


def kelvins(value: Any) -> float:
    """A difference of temperature.

    Raises:
      DataError: not a number with a unit of temperature.
    """
    return _in(value, _TEMPERATURE, 1.0, "a difference of temperature such as '2 kelvin'")


def number(value: Any) -> float:
    """A number without a unit.

    Raises:
      DataError: not such a number.
    """
    return _in(value, {}, 1.0, "a number")


def _in(value: Any, units: dict[str, float], bare: float, wanted: str) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value) * bare
    match = _NUMBER.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise DataError(f"{value!r} is not {wanted}"[:200])
    size, unit = float(match[1]), match[2]
    if not unit:
        return size * bare
    if unit not in units:
        raise DataError(f'{value!r} is not {wanted}: unit "{unit}"; {suggest(unit, units)}')
    return size * units[unit]
