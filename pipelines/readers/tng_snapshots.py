"""Snapshots of IllustrisTNG: redshifts, and ages in its cosmology (Planck Collaboration 2016 XIII, as in TNG)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from sciml.pipelines.errors import DataError

from .catalogs import read_catalog

H = 0.6774  # Hubble constant [100 km s-1 Mpc-1]
# Redshift of snapshots 0 to 99, the same in all TNG runs (TNG data specification, table of snapshots).
REDSHIFTS = (
    20.04649, 14.98917, 11.98021, 10.97564, 9.99659, 9.38877, 9.00234, 8.44948, 8.01217, 7.59511,
    7.23628, 7.00542, 6.49160, 6.01076, 5.84661, 5.52977, 5.22758, 4.99593, 4.66452, 4.42803,
    4.17683, 4.00795, 3.70877, 3.49086, 3.28303, 3.00813, 2.89579, 2.73314, 2.57729, 2.44423,
    2.31611, 2.20793, 2.10327, 2.00203, 1.90409, 1.82269, 1.74357, 1.66667, 1.60423, 1.53124,
    1.49551, 1.41410, 1.35758, 1.30238, 1.24847, 1.20626, 1.15460, 1.11415, 1.07446, 1.03551,
    0.99729, 0.95053, 0.92300, 0.88690, 0.85147, 0.81671, 0.79107, 0.75744, 0.73264, 0.70011,
    0.67611, 0.64464, 0.62143, 0.59854, 0.57598, 0.54639, 0.52457, 0.50305, 0.48183, 0.46092,
    0.44030, 0.41997, 0.39993, 0.38017, 0.36069, 0.34785, 0.32883, 0.31007, 0.29772, 0.27335,
    0.26134, 0.24354, 0.22599, 0.21443, 0.19728, 0.18039, 0.16925, 0.15275, 0.14188, 0.12576,
    0.10987, 0.09940, 0.08388, 0.07366, 0.05851, 0.04852, 0.03372, 0.02397, 0.00952, 0.0,
)  # fmt: skip


@cache
def _cosmology():
    from astropy.cosmology import FlatLambdaCDM

    return FlatLambdaCDM(H0=100 * H, Om0=0.3089, Ob0=0.0486)


def age_gyr(redshift: float | np.ndarray) -> np.ndarray:
    """Age of the universe [Gyr] in the cosmology of TNG."""
    return np.asarray(_cosmology().age(np.asarray(redshift, float)).value)


def snapshot_ages(redshifts: Mapping[int, float] | str | Path | None = None) -> dict[int, float]:
    """Age [Gyr] by snapshot number, from a mapping, a table with the columns snapshot and redshift, or the TNG table."""
    if redshifts is None:
        redshifts = dict(enumerate(REDSHIFTS))
    elif not isinstance(redshifts, Mapping):
        frame = read_catalog(redshifts)
        folded = {name.casefold(): name for name in frame.columns}
        snapshot = next((folded[n] for n in ("snapshot", "snap", "snapnum", "number") if n in folded), None)
        redshift = next((folded[n] for n in ("redshift", "z") if n in folded), None)
        if snapshot is None or redshift is None:
            raise DataError(f"{redshifts} has no columns snapshot and redshift; it has {', '.join(frame.columns[:8])}")
        redshifts = dict(zip(frame[snapshot].astype(int), frame[redshift].astype(float), strict=True))
    numbers = sorted(redshifts)
    ages = age_gyr(np.array([redshifts[n] for n in numbers]))
    return {number: float(age) for number, age in zip(numbers, ages, strict=True)}
