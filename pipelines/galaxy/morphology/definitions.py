"""The numbers that define the measurements, and the reasons why a measurement is doubtful.

Flags follow Rodriguez-Gomez et al. (2019, MNRAS 483, 4140): 0 good, 1 suspect, 2 bad, 4 catastrophic.  An object carries a
bit mask of reasons; its flag is the worst level among them.
"""

from dataclasses import dataclass

GOOD, SUSPECT, BAD, CATASTROPHIC = 0, 1, 2, 4


@dataclass(frozen=True)
class Definitions:
    """Published choices; lengths in pixels or in units of the Petrosian radius r_p."""

    cutout_extent: float = 2.5  # stamp size over the larger side of the segment's bounding box
    smallest_cutout: int = 48
    largest_cutout: int = 2048  # a larger source is refused: its smoothing would need more memory than images
    outlier_sigma: float = 10.0  # pixels this far from their 8 neighbours are dropped (Lotz et al. 2004); 0: none
    annulus_width: float = 1.0  # of the Petrosian annuli
    eta: float = 0.2  # surface brightness at r_p over the mean inside (Petrosian 1976)
    gini_smoothing: float = 0.2  # Gaussian sigma of the Gini segmentation [r_p] (Lotz et al. 2004)
    skybox: int = 32  # side of the square of empty sky
    cas_extent: float = 1.5  # aperture of C, A and S [r_p] (Conselice 2003)
    cas_smoothing: float = 0.25  # boxcar and inner radius of S [r_p]
    flux_extent: float = 2.0  # aperture of the flux [r_p]
    mid_sigma: float = 1.0  # Gaussian sigma before the intensity statistic [px]
    segmap_overlap: float = 0.25  # common share below which the Gini and MID segments disagree


# name: (level, sentence shown to the user)
REASONS: dict[str, tuple[int, str]] = {
    "no_source": (CATASTROPHIC, "no source in the cutout"),
    "unreadable": (CATASTROPHIC, "not a two-dimensional image of numbers"),
    "shapes_differ": (CATASTROPHIC, "image, segmap, mask and weightmap differ in shape"),
    "too_large": (CATASTROPHIC, "the cutout around the source is too large"),
    "no_data": (CATASTROPHIC, "no finite pixel in the source"),
    "no_flux": (CATASTROPHIC, "total flux of the source is not positive"),
    "failed": (CATASTROPHIC, "the measurement failed"),
    "centroid_masked": (BAD, "the centroid lies on a masked pixel"),
    "centroid_outside": (BAD, "the centroid lies outside the cutout"),
    "second_moment": (BAD, "a second moment is not positive"),
    "petrosian_zero": (BAD, "no light inside the Petrosian aperture"),
    "petrosian_small": (BAD, "Petrosian radius below one pixel"),
    "petrosian_large": (BAD, "Petrosian radius beyond the cutout"),
    "skybox": (BAD, "no empty sky in the cutout"),
    "sky_offset": (BAD, "the background is not subtracted"),
    "minimizer_left": (SUSPECT, "the asymmetry centre search touched the border"),
    "minimizer_dark": (SUSPECT, "the asymmetry centre search met an empty aperture"),
    "centre_drifted": (SUSPECT, "the asymmetry centre drifted, restarted from the brightest pixel"),
    "centre_lost": (BAD, "no asymmetry centre near the source, the centroid is used"),
    "centre_masked": (BAD, "the asymmetry centre lies on a masked pixel"),
    "radius": (BAD, "a light fraction radius is undefined"),
    "smoothness": (BAD, "no positive flux in the smoothness annulus"),
    "gini_segment_empty": (BAD, "the Gini segment is empty"),
    "gini_segment_full": (BAD, "the Gini segment fills the cutout"),
    "gini_segment_split": (SUSPECT, "the Gini segment has several parts"),
    "gini": (BAD, "too few pixels for the Gini coefficient"),
    "m20": (BAD, "M20 is undefined"),
    "signal_to_noise": (BAD, "no pixel with a known error"),
    "mid_segment": (BAD, "the MID segment does not hold the brightest pixel"),
    "deviation": (BAD, "no flux in the MID segment"),
    "segments_differ": (SUSPECT, "the Gini and MID segments differ"),
    "shape_segment": (BAD, "the shape segment does not hold the brightest pixel"),
    "shape_undefined": (BAD, "no sky for the shape segment"),
    "peer": (BAD, "statmorph marks the object bad"),
    "peer_suspect": (SUSPECT, "statmorph marks the object suspect"),
}
BITS = {name: 1 << position for position, name in enumerate(REASONS)}


def flag_of(reasons: int) -> int:
    """Worst level of a bit mask of reasons."""
    return max((level for name, (level, _) in REASONS.items() if reasons & BITS[name]), default=GOOD)


def note_of(reasons: int) -> str:
    """The reasons in words, worst first."""
    found = [entry for name, entry in REASONS.items() if reasons & BITS[name]]
    return "; ".join(text for _, text in sorted(found, key=lambda entry: -entry[0]))
