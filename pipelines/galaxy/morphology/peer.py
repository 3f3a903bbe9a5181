"""statmorph itself (Rodriguez-Gomez et al. 2019) as a second engine, one object after the other or in a pool of processes.

Its -99 becomes NaN and its flags keep their meaning; an object on which it fails is flagged 4.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .definitions import BITS, Definitions
from .pool import in_processes
from .segmentation import sky_level
from .table import COLUMNS, empty_columns

INVALID = -99.0
# What broken pixels make statmorph, scipy and astropy raise; anything else is a bug.
FAILURES = (AssertionError, ValueError, IndexError, TypeError, ArithmeticError, RuntimeError, np.linalg.LinAlgError)


@dataclass(frozen=True)
class Source:
    """One object: image and segmap [y, x], its label, and what is known of the errors and the PSF."""

    image: np.ndarray
    segmap: np.ndarray
    label: int
    mask: np.ndarray | None = None
    weightmap: np.ndarray | None = None
    gain: float | None = None
    psf: np.ndarray | None = None
    definitions: Definitions = Definitions()


def _options(source: Source) -> dict:
    chosen = source.definitions
    options = {
        "mask": source.mask,
        "weightmap": None if source.weightmap is None else source.weightmap.astype(np.float64),
        "gain": source.gain,
        "psf": source.psf,
        "cutout_extent": chosen.cutout_extent,
        "min_cutout_size": chosen.smallest_cutout,
        "n_sigma_outlier": chosen.outlier_sigma,
        "annulus_width": chosen.annulus_width,
        "eta": chosen.eta,
        "petro_fraction_gini": chosen.gini_smoothing,
        "skybox_size": chosen.skybox,
        "petro_extent_cas": chosen.cas_extent,
        "petro_fraction_cas": chosen.cas_smoothing,
        "petro_extent_flux": chosen.flux_extent,
        "sigma_mid": chosen.mid_sigma,
        "segmap_overlap_ratio": chosen.segmap_overlap,
    }
    if source.weightmap is None and source.gain is None:  # statmorph insists on errors: the sky's noise everywhere
        noise = sky_level(source.image, source.segmap > 0)[1]
        options["weightmap"] = np.full(source.image.shape, noise if noise > 0 else 1.0)
    return options


def measure_source(source: Source) -> dict[str, float]:
    """The columns of one object, with `reasons` and `flag_sersic`."""
    import statmorph

    row = {name: np.nan for name in COLUMNS} | {"reasons": 0, "flag_sersic": 4}
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = statmorph.SourceMorphology(
                source.image.astype(np.float64), source.segmap, source.label, **_options(source)
            )
    except FAILURES:
        return row | {"reasons": BITS["failed"]}
    for name in COLUMNS:
        value = float(getattr(found, name))
        row[name] = np.nan if value == INVALID else value
    row["reasons"] = {0: 0, 1: BITS["peer_suspect"], 4: BITS["no_flux"]}.get(int(found.flag), BITS["peer"])
    row["flag_sersic"] = int(found.flag_sersic)
    return row


def measure_sources(
    sources: Sequence[Source], workers: int = 0, advance: Callable[[int], None] | None = None
) -> dict[str, np.ndarray]:
    """Columns of all objects, measured in `workers` processes (0 or 1: in this one)."""
    columns = empty_columns(len(sources))
    for index, row in enumerate(in_processes(measure_source, list(sources), workers)):
        for name, value in row.items():
            columns[name][index] = value
        if advance is not None:
            advance(1)
    return columns
