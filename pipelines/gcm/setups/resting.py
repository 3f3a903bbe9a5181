"""Resting isothermal air: over any surface a state that the equations must not move, and the start of Held-Suarez runs."""

import numpy as np

from sciml.pipelines.gcm.scales import EARTH
from sciml.pipelines.gcm.setups.case import Atmosphere, Where

TEMPERATURE = 288.0  # K
SEA_LEVEL_PRESSURE = 1e5  # Pa
# Held & Suarez (1994) leave the start free; the mean state forgets it within the 200 days that are not counted.
NOISE = 0.1  # K
WAVES = 10  # zonal and meridional wavenumbers of the noise


def rest(where: Where, seed: int = 0, surface_geopotential: np.ndarray | None = None) -> Atmosphere:
    """Isothermal air at rest in hydrostatic balance above `surface_geopotential` [i, j, 1] m2 s-2, flat without."""
    surface = np.zeros((1, 1, 1)) if surface_geopotential is None else surface_geopotential
    return Atmosphere(
        title="Isothermal atmosphere at rest",
        u=where.full(0.0),
        v=where.full(0.0),
        temperature=where.full(TEMPERATURE),
        surface_pressure=where.flat(SEA_LEVEL_PRESSURE * np.exp(-surface / (EARTH.gas_constant * TEMPERATURE))),
        surface_geopotential=where.flat(surface),
        reference_temperature=np.full(where.shape[2], TEMPERATURE),
    )


def held_suarez(where: Where, seed: int = 0) -> Atmosphere:
    """Air at rest with temperature noise of 0.1 K in the large waves, from which eddies grow; `seed` draws the noise."""
    still = rest(where)
    draws = np.random.Generator(np.random.Philox(key=[seed, 0x4853])).normal(size=(2, WAVES + 1, WAVES))
    m, n = np.arange(WAVES + 1), np.arange(1, WAVES + 1)
    waves = np.stack([np.cos(where.longitude[:, None] * m), np.sin(where.longitude[:, None] * m)])
    noise = np.einsum("smn,sim,jn->ij", draws, waves, np.sin(n * (where.latitude[:, None] + np.pi / 2)))
    noise *= NOISE / np.sqrt(np.mean(noise**2))
    noise = noise[..., None] * np.cos(where.lat) ** 2  # regular at the poles
    return Atmosphere(**{**vars(still), "title": "Held-Suarez climate", "temperature": still.temperature + noise})
