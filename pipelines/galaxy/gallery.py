"""Which objects to show, and how: a pure choice by probabilities and labels, and cutouts turned into colours.

Colour: the intensities of all bands are stretched together, I -> asinh(a I) / a, so that a colour does not depend on
brightness (Lupton et al. 2004, PASP 116, 133). Wavelength rises along the bands, the last one is shown red.
Axes: k objects, [band, y, x] in, [y, x, rgb] out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_PICTURE = ("red", "green", "blue")
_SOFTENING = 4.0  # sky noise at which the stretch turns from linear to logarithmic
_BRIGHTEST = 99.7  # percentile of the intensity that is shown white
_SKY_LEVEL = 0.06  # brightness of a blank sky: black hides what faint tails stand on


def choose(
    labels: np.ndarray,
    probability: np.ndarray,
    n: int = 12,
    *,
    positive: int | None = None,
    predicted: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Positions of up to n objects each: "confident", "mistakes", "uncertain", "sample".

    confident: right, by falling probability of the true class, classes in turn. mistakes: wrong, the true class least likely first.
    uncertain: smallest lead of the likeliest class over the next. sample: classes in turn, at even steps from the least to
    the most likely, so that it shows what the model gets right and wrong. Ties keep the order of the objects. Objects whose
    probabilities are not finite are left out. predicted: class int64 [n]; default: the most likely one.
    """
    labels, p = np.asarray(labels), np.asarray(probability, np.float64)
    known = np.flatnonzero(np.isfinite(p).all(1))
    own, top = p[np.arange(len(p)), labels], p.argmax(1) if predicted is None else np.asarray(predicted)
    order = np.sort(p, axis=1)
    margin = order[:, -1] - order[:, -2]
    right, wrong = known[top[known] == labels[known]], known[top[known] != labels[known]]
    rank = (p[:, 1 if positive is None else positive] if p.shape[1] == 2 else own)[known]
    return {
        "confident": _in_turn(right[np.argsort(-own[right], kind="stable")], labels, n),
        "mistakes": wrong[np.argsort(own[wrong], kind="stable")][:n],
        "uncertain": known[np.argsort(margin[known], kind="stable")][:n],
        "sample": _even(known[np.argsort(-rank, kind="stable")], labels, n),
    }


def _in_turn(ordered: np.ndarray, labels: np.ndarray, n: int) -> np.ndarray:
    """The first n of the classes in turn, each in the given order."""
    place = np.zeros(len(ordered), np.int64)
    for k in np.unique(labels[ordered]):
        of_class = labels[ordered] == k
        place[of_class] = np.arange(of_class.sum())
    return ordered[np.lexsort((labels[ordered], place))][:n]


def _even(ordered: np.ndarray, labels: np.ndarray, n: int) -> np.ndarray:
    """n objects, as many of each class as there are, at even steps through each class's order."""
    kinds = np.unique(labels[ordered])
    chosen = []
    for place, k in enumerate(kinds):
        mine = ordered[labels[ordered] == k]
        share = n // len(kinds) + (place < n % len(kinds))
        chosen.append(mine[np.unique(np.linspace(0, len(mine) - 1, min(share, len(mine))).round().astype(int))])
    return _in_turn(np.concatenate(chosen), labels, n) if chosen else ordered


def colours(images: np.ndarray, bands: Sequence[str] | None = None) -> np.ndarray:
    """Displayable float32 [k, y, x, rgb] in 0..1 of cutouts [k, band, y, x], stretched alike.

    Pictures (bands red, green, blue) are shown as they are. One band is grey, two are red and blue with their mean as
    green, more than three are averaged into three ranges of wavelength. NaN and infinite pixels are shown as sky.
    """
    images = np.asarray(images, np.float32)
    if images.ndim != 4:
        raise ValueError(f"images have shape {images.shape}; [k, band, y, x] is needed")
    if not images.size:
        return np.zeros((len(images), *images.shape[2:], 3), np.float32)
    clean = _without_gaps(images)
    if bands is not None and tuple(bands) == _PICTURE or _is_picture(images, bands):
        return np.clip(clean.transpose(0, 2, 3, 1), 0.0, 1.0)
    level = np.median(clean, axis=(2, 3), keepdims=True)
    above = _three(_balanced(clean - level))
    return np.stack([_stretched(image) for image in above])


def _is_picture(images: np.ndarray, bands: Sequence[str] | None) -> bool:
    """Three unnamed bands of grey levels k/255."""
    if bands is not None or images.shape[1] != 3 or not images.size:
        return False
    grey = images[0] * 255
    whole = np.isfinite(grey).all() and np.abs(grey - np.rint(grey)).max() < 1e-3
    return bool(whole and grey.min() > -0.5 and 1.5 < grey.max() < 255.5)


def _without_gaps(images: np.ndarray) -> np.ndarray:
    gaps = ~np.isfinite(images)
    if not gaps.any():
        return images
    known = np.where(gaps, np.nan, images)
    blank = gaps.all(axis=(2, 3), keepdims=True)
    level = np.nanmedian(np.where(blank, 0.0, known), axis=(2, 3), keepdims=True)
    return np.where(gaps, level, images).astype(np.float32)


def _balanced(above: np.ndarray) -> np.ndarray:
    """Bands scaled so that the galaxies together are white, whatever the units of a band."""
    gain = np.median(np.maximum(np.percentile(above, 98, axis=(2, 3)), 0.0), axis=0)
    usual = np.median(gain[gain > 0]) if (gain > 0).any() else 1.0
    return above / np.where(gain > 0, gain / usual, 1.0)[None, :, None, None].astype(np.float32)


def _three(images: np.ndarray) -> np.ndarray:
    """Blue, green and red channels [k, 3, y, x]."""
    n = images.shape[1]
    if n == 1:
        return np.repeat(images, 3, axis=1)
    if n == 2:
        return np.stack([images[:, 0], images.mean(1), images[:, 1]], axis=1)
    return np.stack([part.mean(1) for part in np.array_split(images, 3, axis=1)], axis=1)


def _stretched(image: np.ndarray) -> np.ndarray:
    """[y, x, rgb] of one sky-subtracted cutout [blue green red, y, x]."""
    intensity = image.mean(0)
    noise = 1.4826 * np.median(np.abs(intensity - np.median(intensity)))
    brightest = np.percentile(intensity, _BRIGHTEST)
    softening = max(_SOFTENING * noise, 0.02 * brightest, 1e-30)
    white = np.arcsinh(max(brightest, softening) / softening)
    factor = np.arcsinh(intensity / softening) / (white * np.where(intensity == 0, 1.0, intensity))
    factor = np.where(intensity == 0, 1.0 / (white * softening), factor)
    shown = (_SKY_LEVEL + (1 - _SKY_LEVEL) * image * factor)[::-1].transpose(1, 2, 0)
    # too bright: keep the colour, as cutting one channel would turn a red core white
    return np.clip(shown / np.maximum(shown.max(2, keepdims=True), 1.0), 0.0, 1.0).astype(np.float32)
