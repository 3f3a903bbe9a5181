"""Columns of the morphology table, their units, and the table itself.

Lengths are in pixels of the caller's image, angles in radians counter-clockwise from the x axis; the pixel (0, 0) has its
centre at the origin.  Undefined values are NaN.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from .definitions import flag_of, note_of

# name: (unit, what it is)
COLUMNS: dict[str, tuple[str, str]] = {
    "concentration": ("", "5 log10(r80 / r20)"),
    "asymmetry": ("", "rotational asymmetry less the sky's"),
    "smoothness": ("", "clumpiness less the sky's"),
    "gini": ("", "Gini coefficient of the Petrosian segment"),
    "m20": ("", "log10 of the brightest fifth's share of the second moment"),
    "gini_m20_bulge": ("", "F(G, M20)"),
    "gini_m20_merger": ("", "S(G, M20)"),
    "multimode": ("", "area ratio of the two largest clumps"),
    "intensity": ("", "flux ratio of the two brightest peaks"),
    "deviation": ("", "distance of the brightest peak from the centroid over the segment's radius"),
    "shape_asymmetry": ("", "asymmetry of the binary detection mask"),
    "outer_asymmetry": ("", "asymmetry outside the half-light ellipse"),
    "rms_asymmetry2": ("", "squared root-mean-square asymmetry"),
    "rpetro_circ": ("px", "circular Petrosian radius"),
    "rpetro_ellip": ("px", "elliptical Petrosian semi-major axis"),
    "rhalf_circ": ("px", "circle that holds half the light"),
    "rhalf_ellip": ("px", "semi-major axis of the ellipse that holds half the light"),
    "r20": ("px", "circle with 20 % of the light within 1.5 Petrosian radii"),
    "r50": ("px", "circle with 50 %"),
    "r80": ("px", "circle with 80 %"),
    "rmax_circ": ("px", "farthest pixel of the shape segment"),
    "rmax_ellip": ("px", "farthest ellipse of the shape segment"),
    "flux_circ": ("image", "flux within two circular Petrosian radii"),
    "flux_ellip": ("image", "flux within two elliptical Petrosian radii"),
    "xc_centroid": ("px", "centre of light"),
    "yc_centroid": ("px", "centre of light"),
    "ellipticity_centroid": ("", "1 - b/a about the centroid"),
    "elongation_centroid": ("", "a/b about the centroid"),
    "orientation_centroid": ("rad", "major axis about the centroid"),
    "xc_asymmetry": ("px", "centre of least asymmetry"),
    "yc_asymmetry": ("px", "centre of least asymmetry"),
    "ellipticity_asymmetry": ("", "1 - b/a about the centre of least asymmetry"),
    "elongation_asymmetry": ("", "a/b about the centre of least asymmetry"),
    "orientation_asymmetry": ("rad", "major axis about the centre of least asymmetry"),
    "sn_per_pixel": ("", "mean signal-to-noise ratio in the Gini segment"),
    "sersic_amplitude": ("image", "brightness at the fitted half-light radius"),
    "sersic_rhalf": ("px", "fitted half-light semi-major axis"),
    "sersic_n": ("", "fitted Sersic index"),
    "sersic_xc": ("px", "fitted centre"),
    "sersic_yc": ("px", "fitted centre"),
    "sersic_ellip": ("", "fitted 1 - b/a"),
    "sersic_theta": ("rad", "fitted orientation, 0 to pi"),
    "sersic_chi2_dof": ("", "reduced chi squared"),
    "sersic_aic": ("", "Akaike information criterion"),
    "sersic_bic": ("", "Bayesian information criterion"),
    "sky_mean": ("image", "mean of the empty square"),
    "sky_median": ("image", "median of the empty square"),
    "sky_sigma": ("image", "standard deviation of the empty square"),
}
FLAGS = ("flag", "flag_sersic")


def empty_columns(n: int) -> dict[str, np.ndarray]:
    """NaN for every quantity and no reasons: what an object is before it is measured."""
    columns = {name: np.full(n, np.nan) for name in COLUMNS}
    return columns | {"reasons": np.zeros(n, dtype=np.int64), "flag_sersic": np.full(n, 4, dtype=np.int64)}


def make_table(columns: Mapping[str, np.ndarray], index=None) -> pd.DataFrame:
    """One row per object: COLUMNS, flag (0 good, 1 suspect, 2 bad, 4 catastrophic), flag_sersic, note (the reasons in words)."""
    reasons = [int(entry) for entry in columns["reasons"]]
    table = pd.DataFrame({name: columns[name] for name in COLUMNS}, index=index)
    table["flag"] = np.array([flag_of(entry) for entry in reasons], dtype=np.int64)
    table["flag_sersic"] = np.asarray(columns["flag_sersic"], dtype=np.int64)
    table["note"] = [note_of(entry) for entry in reasons]
    return table
