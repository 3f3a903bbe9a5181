"""Which morphology measurements the `statmorph` backbone and `--measure` use, and how one band of a batch is measured.

Lengths are divided by the half-light radius, and fluxes are left out, so that distance and exposure do not enter.

Axes: n object, y x pixels.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

_PLAIN = (
    "concentration",
    "asymmetry",
    "smoothness",
    "gini",
    "m20",
    "gini_m20_bulge",
    "gini_m20_merger",
    "multimode",
    "intensity",
    "deviation",
    "shape_asymmetry",
    "outer_asymmetry",
    "ellipticity_asymmetry",
    "sersic_n",
    "sersic_ellip",
)
_LENGTHS = ("rpetro_ellip", "rmax_ellip", "r20", "r80")
COLUMNS = _PLAIN + tuple(f"{name}_over_rhalf" for name in _LENGTHS)
_SERSIC = ("sersic_n", "sersic_ellip")
_WORST_FLAG = 1  # 2 and above: the measurement failed, though it has a value


def measure_band(images: np.ndarray) -> np.ndarray:
    """Measurements [n, len(COLUMNS)] of images [n, y, x], NaN where one failed."""
    from sciml.pipelines.galaxy.morphology.measure import measure

    table = measure(images)
    stacked = without_scale(table)
    stacked[table["flag"].to_numpy() > _WORST_FLAG] = np.nan
    failed = table["flag_sersic"].to_numpy() > _WORST_FLAG
    stacked[np.ix_(failed, [COLUMNS.index(name) for name in _SERSIC])] = np.nan
    return stacked


def without_scale(table: pd.DataFrame) -> np.ndarray:
    """[n, len(COLUMNS)] of a morphology table, doubtful values as they are, NaN where there is none."""
    values = [table[name].to_numpy(np.float64) for name in _PLAIN]
    half = table["rhalf_ellip"].to_numpy(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        values += [table[name].to_numpy(np.float64) / half for name in _LENGTHS]
    stacked = np.stack(values, axis=1)
    stacked[~np.isfinite(stacked)] = np.nan
    return stacked
