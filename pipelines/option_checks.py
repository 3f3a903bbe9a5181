"""Checks that options of several commands share; each raises a SettingsError that names option and value."""

from __future__ import annotations

import math

from sciml.pipelines.errors import SettingsError


def require(condition: bool, message: str, hint: str = "") -> None:
    """SettingsError with `message` unless `condition` holds."""
    if not condition:
        raise SettingsError(message, hint=hint)


def positive(settings: object, *names: str) -> None:
    """SettingsError for the first field of `names` that is neither None nor a finite number above 0."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise SettingsError(f"{option(name)} {value}: must be greater than 0{' and finite' if value == math.inf else ''}")


def option(name: str) -> str:
    """How a field is typed: every_hours as --every-hours."""
    return "--" + name.replace("_", "-")
