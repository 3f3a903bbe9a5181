"""Memory and disk a rollout will take, from its settings alone; checked against measured peaks by a test.

Counted are the tables of the transform, the states a time scheme holds at once, and the grid-point columns of one
explicit evaluation, which dominate: 10 + 2 t syntheses and 14 + 3 t products of k levels for t tracers, as in
dynamics/products.py. The rest is what Python, JAX and the compiler take before the first step.
"""

from __future__ import annotations

from typing import Any

from .output.variables import ATTRIBUTES
from .settings import Rollout

_BASE_BYTES = 0.5e9  # interpreter, libraries and compiler, measured with jax 0.10 on x86-64
# States alive at once: the old one, stages' tendencies and the right-hand side.
_STATES = {"imex_rk_sil3": 9, "semi_implicit_leapfrog": 6}
_OTHER_STATES = 7


def grid_points(truncation: str) -> tuple[int, int]:
    """(longitudes, latitudes) of a truncation's grid; SettingsError for an unknown one."""
    from sciml.kernels.sphere.grids import truncation as named
    from sciml.pipelines.errors import SettingsError

    try:
        found = named(truncation)
    except ValueError as error:
        raise SettingsError(f"--truncation {truncation}: {error}", hint="e.g. T21, T42, T85, TL63, TL127") from None
    return found.nlon, found.nlat


def estimate(settings: Rollout) -> dict[str, Any]:
    """Sizes by name: grid, steps, frames, bytes of a state, peak memory and disk [GB]."""
    longitudes, latitudes = grid_points(settings.truncation)
    word = 8 if settings.precision == "float64" else 4
    nodal = longitudes * latitudes
    zonal = settings.wavenumber + 1
    modal = 2 * zonal * (zonal + 1)
    shallow = settings.kind == "shallow_water"
    levels = 1 if shallow else settings.levels
    tracers = 3 if settings.is_file else 0
    columns = settings.members * ((3 * levels) if shallow else (3 + tracers) * levels + 1)
    state = modal * columns * word
    work = settings.members * levels * (9 if shallow else 24 + 5 * tracers)
    tables = word * (zonal * (zonal + 1) * latitudes // 2 + 2 * longitudes * longitudes // 4)
    frame = frame_bytes(settings, nodal)
    states = _STATES.get(settings.scheme, _OTHER_STATES)
    peak = _BASE_BYTES + 2 * tables + states * state + (nodal + modal) * work * word + 6 * frame
    frames = settings.intervals + 1
    return {
        "grid": f"{longitudes} x {latitudes} x {levels}",
        "members": settings.members,
        "steps": settings.intervals * settings.steps_per_interval,
        "step_minutes": settings.step_seconds / 60,
        "frames": frames,
        "state_MB": state / 1e6,
        "memory_GB": peak / 1e9,
        "memory_per_member_GB": (peak - _BASE_BYTES - 2 * tables) / settings.members / 1e9,
        "file_GB": frame * frames / 1e9,
    }


def frame_bytes(settings: Rollout, nodal: int) -> int:
    """Bytes of one frame in the file, before compression."""
    names = settings.written
    deep = 1 if settings.kind == "shallow_water" else len(settings.pressures or range(settings.levels))
    return 4 * settings.members * nodal * sum(deep if ATTRIBUTES[name][3] else 1 for name in names)
