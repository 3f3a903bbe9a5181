"""Physical constants in SI units and the scales that make the dynamical core non-dimensional.

Convention: files, settings and reports hold SI values; inside the core the unit of length is the planet's radius, of
time 1 / (2 Omega), of temperature 1 K and of mass that of the atmosphere, so that every prognostic variable is of
order one or smaller in float32. Constants: Jablonowski & Williamson (2006) for the planet and dry air, and those of
the released NeuralGCM models for water vapour.
"""

import re
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from sciml.pipelines.errors import SettingsError, suggest


@dataclass(frozen=True)
class Constants:
    """Constants of the planet and its air, in SI units unless `Scale.nondimensional` made them."""

    radius: float = 6.37122e6  # m
    angular_velocity: float = 7.292e-5  # s-1
    gravity: float = 9.80616  # m s-2
    heat_capacity: float = 1004.0  # J kg-1 K-1, dry air at constant pressure
    heat_capacity_vapor: float = 1859.0  # J kg-1 K-1, water vapour at constant pressure
    kappa: float = 2 / 7  # R / cp
    gas_constant_vapor: float = 461.0  # J kg-1 K-1
    latent_heat: float = 2.501e6  # J kg-1, of vaporisation at 0 C

    @property
    def gas_constant(self) -> float:
        """Gas constant of dry air, kappa cp."""
        return self.kappa * self.heat_capacity


EARTH = Constants()
_UNIT_OF = {
    "radius": "m",
    "angular_velocity": "s-1",
    "gravity": "m s-2",
    "heat_capacity": "J kg-1 K-1",
    "heat_capacity_vapor": "J kg-1 K-1",
    "kappa": "1",
    "gas_constant_vapor": "J kg-1 K-1",
    "latent_heat": "J kg-1",
}

# Each unit as (SI factor, exponents of metre, second, kilogram, kelvin).
_UNITS = {
    "1": (1.0, (0, 0, 0, 0)),
    "m": (1.0, (1, 0, 0, 0)),
    "km": (1e3, (1, 0, 0, 0)),
    "s": (1.0, (0, 1, 0, 0)),
    "min": (60.0, (0, 1, 0, 0)),
    "hour": (3600.0, (0, 1, 0, 0)),
    "day": (86400.0, (0, 1, 0, 0)),
    "kg": (1.0, (0, 0, 1, 0)),
    "K": (1.0, (0, 0, 0, 1)),
    "Pa": (1.0, (-1, -2, 1, 0)),
    "hPa": (100.0, (-1, -2, 1, 0)),
    "J": (1.0, (2, -2, 1, 0)),
    "W": (1.0, (2, -3, 1, 0)),
}


def parse_unit(unit: str) -> tuple[float, tuple[int, int, int, int]]:
    """(SI factor, exponents of m, s, kg, K) of a unit written as in CF files, "J kg-1 K-1".

    SettingsError for an unknown symbol.
    """
    factor, powers = 1.0, [0, 0, 0, 0]
    for word in unit.split():
        match = re.fullmatch(r"([A-Za-z]+|1)(-?\d+)?", word)
        if match is None or match[1] not in _UNITS:
            raise SettingsError(f'unit "{unit}": "{word}" is not known; {suggest(word, _UNITS)}')
        size, exponents = _UNITS[match[1]]
        power = int(match[2] or 1)
        factor *= size**power
        powers = [total + power * exponent for total, exponent in zip(powers, exponents, strict=True)]
    return factor, tuple(powers)


@dataclass(frozen=True)
class Scale:
    """Size of the unit of length [m], time [s], mass [kg] and temperature [K]."""

    length: float
    time: float
    mass: float
    temperature: float = 1.0

    def factor(self, unit: str) -> float:
        """Non-dimensional size of one `unit`."""
        si, (metre, second, kilogram, kelvin) = parse_unit(unit)
        return si / (self.length**metre * self.time**second * self.mass**kilogram * self.temperature**kelvin)

    def nondim(self, value: Any, unit: str) -> Any:
        """`value`, a number or an array in `unit`, without dimension."""
        return value * self.factor(unit)

    def dim(self, value: Any, unit: str) -> Any:
        """The non-dimensional `value` in `unit`."""
        return value * (1 / self.factor(unit))

    def nondimensional(self, constants: Constants) -> Constants:
        """`constants` without dimension."""
        return Constants(
            **{f.name: self.nondim(getattr(constants, f.name), _UNIT_OF[f.name]) for f in fields(Constants)}
        )

    @cached_property
    def earth(self) -> Constants:
        """The constants of the Earth without dimension."""
        return self.nondimensional(EARTH)


# The mass of the atmosphere is the one of the released NeuralGCM models.
ATMOSPHERIC = Scale(length=EARTH.radius, time=1 / (2 * EARTH.angular_velocity), mass=5.18e18)
