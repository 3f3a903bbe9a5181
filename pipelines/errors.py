"""Errors a user can act on, each with its exit code: 1 other, 2 settings, 3 data, 4 numerical, 5 device, 128 + signal.

Convention: the message names what was found and what is accepted, the hint is the next step. The command line prints
`error: <message>` and the hint below it, without a traceback; any other exception is a bug and shows its traceback.
"""

import difflib
from collections.abc import Iterable

# A list longer than this is cut to the nearest names: nobody reads a thousand backbones in an error.
_MOST_NAMES = 24


class ScimlError(Exception):
    """Something the user can mend; `hint` says how."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = ""):
        super().__init__(message)
        self.hint = hint


class SettingsError(ScimlError):
    """An option, a settings file or a combination of settings is wrong."""

    exit_code = 2


class DataError(ScimlError):
    """A file is missing, damaged, or does not hold what the pipeline needs."""

    exit_code = 3


class NumericalError(ScimlError):
    """A computation left the finite range: the message names variable, step and level."""

    exit_code = 4


class DeviceError(ScimlError):
    """A device or framework that was asked for is not there, or its memory is used up."""

    exit_code = 5


class Stopped(ScimlError):
    """SIGINT or SIGTERM asked the run to stop; exit code 130 or 143."""

    def __init__(self, signum: int, message: str, *, hint: str = ""):
        super().__init__(message, hint=hint)
        self.signum = signum
        self.exit_code = 128 + signum


def nearest(name: str, accepted: Iterable[str]) -> str | None:
    """The accepted name most like `name`, regardless of case, or None if none is near."""
    folded = {str(other).casefold(): str(other) for other in accepted}
    close = difflib.get_close_matches(str(name).casefold(), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def suggest(name: str, accepted: Iterable[str]) -> str:
    """The sentence after an unknown name: 'did you mean "t2m"? accepted: t2m, ssrd'."""
    names = [str(other) for other in accepted]
    close = nearest(name, names)
    start = f'did you mean "{close}"? ' if close is not None else ""
    if not names:
        return f"{start}accepted: none"
    shown = names
    if len(names) > _MOST_NAMES:
        shown = difflib.get_close_matches(str(name), names, n=8, cutoff=0.3) or names[:8]
    rest = "" if len(shown) == len(names) else f", ... ({len(names)} in all)"
    return f"{start}accepted: {', '.join(shown)}{rest}"
