"""What surrounds the galaxy in the middle of a cutout: other peaks and how much light joins them to it, the outline that holds
them, light and asymmetry in apertures, colour within.

The statistics of `definitions` describe one galaxy, cut out of its frame by a segmentation; a companion that the segmentation cuts
off, or a second nucleus within it, hardly enters them. Here the whole frame speaks. Lengths are in units of R, half the shorter side
of the frame, as survey cutouts are scaled to the galaxy; light is relative to the galaxy's own: nothing here is a magnitude, a size in
the sky, or a noise level. (On 702 cutouts of Galaxy Zoo 2, trees on these columns tell mergers with AUC 0.966, on those of
`definitions` with 0.85; with the first of the outlines alone 0.953, with the first two 0.963.)

    s = light smoothed by a Gaussian of R / 56, at least 1 px; sky and noise: median and scaled median deviation beyond 0.85 R
    peak: local maximum of s above 5 noise; the galaxy's own: the one nearest to the middle of those above 1/5 of the highest
    saddle of a peak: least s on the straight line from the own peak, over the lower of both; bridge = saddle x peak / own peak
    outlines: what is connected with the middle and in s above 3 noise, above 12 noise, above 0.4 of the highest s within R / 4

Axes: b band, y x pixels.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

REACH = (1 / 6, 1 / 3, 2 / 3, 1.0)  # within which peaks are counted [R]
APERTURES = (1 / 8, 1 / 4, 1 / 2, 3 / 4)  # [R]
COLUMNS = (
    *(f"peaks_{n}" for n in range(1, 5)),  # number of other peaks within REACH
    *(f"peak_ratio_{n}" for n in range(1, 5)),  # the highest of them over the own peak
    "bridge", "saddle", "separation",  # of the peak within 0.6 R with the largest bridge; separation [R], 2 where there is none
    # share of the frame; axis ratio of the second moments; area over that of the ellipse of the same moments; centroid from the
    # middle over the square root of the area; share that a half turn about the middle does not cover
    *(f"outline_{name}_{n}" for n in range(1, 4) for name in ("area", "axis_ratio", "fill", "offset", "asymmetry")),
    *(f"aperture_asymmetry_{n}" for n in range(1, 5)),  # sum |I - half turn| / sum |I| within APERTURES
    *(f"aperture_light_{n}" for n in range(1, 4)),  # light within one of APERTURES over that within the next
    "colour_spread", "colour_asymmetry",  # of ln(first band / last band) within the first outline; NaN for one band
)  # fmt: skip
_BEYOND, _NEAR = 0.85, 0.6  # [R]: where there is sky, and how far a bridge may lead
_PEAK, _OUTLINES = 5.0, (3.0, 12.0)  # [noise]
_OF_THE_TOP, _ABOVE_NOISE = 0.4, 2.0  # the third outline: share of the highest s, and at least so much [noise]
_LEAST_NOISE = 2e-3  # of the highest pixel: pictures of few grey levels may have none
SMALLEST = 8  # pixels a side


def surroundings(image: np.ndarray) -> np.ndarray:
    """COLUMNS of an image [b, y, x], float64; NaN pixels count as sky, and all is NaN where there is no light."""
    empty = np.full(len(COLUMNS), np.nan)
    if min(image.shape[-2:]) < SMALLEST or not np.isfinite(image).any():
        return empty
    height, width = image.shape[-2:]
    radius = min(height, width) / 2
    y, x = np.mgrid[:height, :width] - np.array([height - 1, width - 1])[:, None, None] / 2
    r = np.hypot(x, y)
    outer = r > _BEYOND * radius
    bands = np.stack([_without_sky(band, outer) for band in image.astype(np.float64)])
    light = bands.mean(0)
    beyond = light[outer]
    noise = max(1.4826 * np.median(np.abs(beyond - np.median(beyond))), _LEAST_NOISE * light.max())
    if not noise > 0:
        return empty
    sigma = max(1.0, radius / 56)
    smooth = ndimage.gaussian_filter(light, sigma)
    levels = [level * noise for level in _OUTLINES]
    levels.append(max(_OF_THE_TOP * smooth[r < radius / 4].max(), _ABOVE_NOISE * noise))
    outlines = [_outline(smooth > level, r, radius) for level in levels]
    found = [
        *_peaks(smooth, r, radius, _PEAK * noise, 2 * round(1.75 * sigma) + 1),
        *(value for outline in outlines for value in _shape(outline, x, y)),
        *_apertures(light, r, radius),
        *(_colour(bands, outlines[0], sigma) if len(bands) > 1 else (np.nan, np.nan)),
    ]
    return np.array(found, np.float64)


def _without_sky(band: np.ndarray, beyond: np.ndarray) -> np.ndarray:
    """The band above the median of what lies beyond, or of all where that is empty; 0 where it has no pixel."""
    seen = np.isfinite(band)
    sky = band[beyond & seen] if (beyond & seen).any() else band[seen]
    return np.where(seen, band - np.median(sky), 0.0) if len(sky) else np.zeros_like(band)


def _peaks(smooth: np.ndarray, r: np.ndarray, radius: float, least: float, window: int) -> list[float]:
    """Number and height of other peaks within REACH, and the best bridge."""
    py, px = np.nonzero((smooth == ndimage.maximum_filter(smooth, window)) & (smooth > least))
    nothing = [0.0] * 10 + [2.0]
    if len(py) < 2:
        return nothing
    height = smooth[py, px]
    bright = np.flatnonzero(height >= height.max() / 5)
    own = bright[np.argmin(r[py, px][bright])]
    away = np.hypot(py - py[own], px - px[own]) / radius
    others = np.arange(len(py)) != own
    counts, ratios = [], []
    for reach in REACH:
        within = height[others & (away < reach)]
        counts.append(float(len(within)))
        ratios.append(float(within.max() / height[own]) if len(within) else 0.0)
    best = (0.0, 0.0, 2.0)
    for k in np.flatnonzero(others & (away < _NEAR)):
        n = 1 + int(np.ceil(away[k] * radius))
        line = ndimage.map_coordinates(smooth, [np.linspace(py[own], py[k], n), np.linspace(px[own], px[k], n)], order=1)
        saddle = max(line.min() / min(height[own], height[k]), 0.0)
        best = max(best, (saddle * height[k] / height[own], saddle, away[k]))
    return [*counts, *ratios, *best]


def _outline(above: np.ndarray, r: np.ndarray, radius: float) -> np.ndarray:
    """The region connected with the middle; a small disc where the middle is not above."""
    labels, _ = ndimage.label(ndimage.binary_opening(above))
    middle = labels[tuple(n // 2 for n in labels.shape)]
    return labels == middle if middle else r <= max(radius / 6, 1.0)


def _shape(outline: np.ndarray, x: np.ndarray, y: np.ndarray) -> list[float]:
    """Area, axis ratio, fill, offset and asymmetry of the outline."""
    area = outline.sum()
    px, py = x[outline], y[outline]
    moments = np.cov(np.stack([px, py])) + np.eye(2) / 12  # of a pixel itself
    small, large = np.linalg.eigvalsh(moments)
    uncovered = (outline & ~outline[::-1, ::-1]).sum()
    return [
        area / outline.size, np.sqrt(small / large), area / (4 * np.pi * np.sqrt(small * large)),
        np.hypot(px.mean(), py.mean()) / np.sqrt(area), uncovered / area,
    ]  # fmt: skip


def _apertures(light: np.ndarray, r: np.ndarray, radius: float) -> list[float]:
    """Asymmetry within each aperture, and how the light grows from one to the next."""
    turned = np.abs(light - light[::-1, ::-1])
    inside = [r < share * radius for share in APERTURES]
    total = [light[part].sum() for part in inside]
    asymmetry = [_ratio(turned[part].sum(), np.abs(light[part]).sum()) for part in inside]
    return asymmetry + [_ratio(a, b) for a, b in zip(total[:-1], total[1:], strict=True)]


def _ratio(a: float, b: float) -> float:
    return float(np.clip(a / b, -1.0, 2.0)) if b > 0 else 0.0


def _colour(bands: np.ndarray, outline: np.ndarray, sigma: float) -> list[float]:
    """Spread of the colour within the outline, and its mean change by a half turn."""
    ends = [ndimage.gaussian_filter(bands[k], sigma) for k in (0, -1)]
    # so much light is added that the faint edge of the outline does not speak
    floor = [max(0.1 * np.abs(end[outline]).mean(), 1e-30) for end in ends]
    colour = np.log(np.maximum(ends[0] / floor[0] + 1, 0.1)) - np.log(np.maximum(ends[1] / floor[1] + 1, 0.1))
    return [colour[outline].std(), np.abs(colour - colour[::-1, ::-1])[outline].mean()]
