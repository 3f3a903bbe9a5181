"""The same galaxy twice: equal pixels, nearly equal images (also turned, mirrored, re-encoded), equal rows of the table.

Near-duplicates are found by a difference hash: 256 signs of the brightness step between neighbouring cells of a 16 x 17
grid (Zauner 2010, section 3.2). Candidates share at least one word of 16 bits, a row or a column of the grid, and differ
in few bits; each is confirmed by the correlation of the thumbnails after their smooth part is taken off, because every
galaxy is a bright blob in the middle. Measured on 702 SDSS cutouts: pictures of different galaxies differ in at least 52
bits and correlate below 0.84; the same picture saved again at JPEG quality 60, resized, dimmed, made grey or moved by a
pixel differs in at most 34 bits and correlates above 0.98.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.ndimage import uniform_filter

from .catalog import Catalog

_CONFIRMED = 0.93  # least correlation of the fine structure
_MOST_ALIKE = 200  # a word shared by more images is empty sky, not a hint


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Pairs of positions (i < j): images of equal pixels, images that nearly agree, rows of the table that agree."""

    exact: np.ndarray
    near: np.ndarray
    rows: np.ndarray

    def pairs(self) -> np.ndarray:
        """All pairs, [m, 2]."""
        found = np.concatenate([self.exact, self.near, self.rows])
        return np.unique(found, axis=0) if len(found) else found


def find_duplicates(catalog: Catalog, distance: int = 36) -> Duplicates:
    """Pairs of objects that are the same; images need the catalog's thumbnails and digests."""
    exact = _equal(catalog.digests) if catalog.digests is not None else _none()
    near = _none()
    if catalog.thumbnails is not None and distance > 0:
        near = near_pairs(catalog.thumbnails, distance)
        known = {tuple(pair) for pair in exact}
        near = np.array([pair for pair in near if tuple(pair) not in known], np.int64).reshape(-1, 2)
    return Duplicates(exact, near, _equal_rows(catalog.table))


def _none() -> np.ndarray:
    return np.empty((0, 2), np.int64)


def _equal(keys: np.ndarray) -> np.ndarray:
    """Each object with the first of the same key; empty keys match nothing."""
    first: dict[str, int] = {}
    pairs = [(first[key], i) for i, key in enumerate(keys) if key and first.setdefault(key, i) != i]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _equal_rows(table: pd.DataFrame) -> np.ndarray:
    """Rows that agree in every column; a table of few columns, or rows of few known cells, agree by chance."""
    numbers = [name for name in table.columns if table[name].dtype.kind == "f" and table[name].nunique() > 20]
    if len(numbers) < 3:
        return _none()
    known = table[numbers].notna().sum(axis=1).to_numpy() >= 3
    values = table[numbers].to_numpy(np.float64)
    keys = [hashlib.blake2b(np.nan_to_num(row, nan=1e300).tobytes(), digest_size=16).hexdigest() for row in values]
    return _equal(np.where(known, np.array(keys, dtype=object), ""))


def hashes(thumbnails: np.ndarray) -> np.ndarray:
    """Difference hashes of thumbnails uint8 [n, 32, 32] as words uint16 [n, 32]: its 16 rows, then its 16 columns."""
    cells = thumbnails.astype(np.float32).reshape(len(thumbnails), 16, 2, 32).mean(axis=2)
    place = np.linspace(0, 31, 17)
    left = np.floor(place).astype(int).clip(max=30)
    weight = (place - left).astype(np.float32)
    columns = cells[:, :, left] * (1 - weight) + cells[:, :, left + 1] * weight
    bits = columns[:, :, 1:] > columns[:, :, :-1]
    return np.concatenate([_words(bits), _words(bits.swapaxes(1, 2))], axis=1)


def _words(bits: np.ndarray) -> np.ndarray:
    """bool [n, 16, 16] as uint16 [n, 16]."""
    return np.ascontiguousarray(np.packbits(bits, axis=2)).reshape(len(bits), 16, 2).view(np.uint16)[..., 0]


def turned(thumbnails: np.ndarray) -> list[np.ndarray]:
    """The eight turned and mirrored versions."""
    return [
        np.ascontiguousarray(np.rot90(part, k, axes=(1, 2)))
        for part in (thumbnails, thumbnails[:, :, ::-1])
        for k in range(4)
    ]


def near_pairs(thumbnails: np.ndarray, distance: int) -> np.ndarray:
    """Pairs of images [m, 2] whose hashes differ in at most `distance` bits in one of eight orientations."""
    seen = np.flatnonzero(thumbnails.reshape(len(thumbnails), -1).max(axis=1) > 0)
    small = thumbnails[seen]
    if len(small) < 2:
        return _none()
    base, fine = hashes(small), _fine(small)
    found: set[tuple[int, int]] = set()
    for version in turned(small):
        words = hashes(version)
        i, j = _candidates(words, base)
        close = np.bitwise_count(words[i, :16] ^ base[j, :16]).sum(axis=1) <= distance
        i, j = i[close], j[close]
        if len(i):
            alike = (_fine(version[i]) * fine[j]).sum(axis=1) >= _CONFIRMED
            found |= {(min(a, b), max(a, b)) for a, b in zip(i[alike].tolist(), j[alike].tolist(), strict=True)}
    pairs = np.array(sorted(found), np.int64).reshape(-1, 2)
    return seen[pairs]


def _candidates(words: np.ndarray, base: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions (in `words`, in `base`) that share a word, i != j, each pair once."""
    parts = []
    n = len(base)
    for k in range(base.shape[1]):
        order = np.argsort(base[:, k], kind="stable")
        keys = base[order, k]
        low, high = np.searchsorted(keys, words[:, k], "left"), np.searchsorted(keys, words[:, k], "right")
        count = np.where(high - low <= _MOST_ALIKE, high - low, 0)
        i = np.repeat(np.arange(n), count)
        start = np.repeat(low, count) + np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        j = order[start]
        parts.append((i * n + j)[i != j])
    unique = np.unique(np.concatenate(parts))
    return unique // n, unique % n


def _fine(thumbnails: np.ndarray) -> np.ndarray:
    """Thumbnails without their smooth part, unit vectors [n, 1024]."""
    image = thumbnails.astype(np.float32)
    detail = image - uniform_filter(image, size=(0, 9, 9), mode="nearest")
    detail = detail.reshape(len(image), -1)
    detail -= detail.mean(axis=1, keepdims=True)
    return detail / np.maximum(np.linalg.norm(detail, axis=1, keepdims=True), 1e-12)


def grouped(catalog: Catalog, pairs: np.ndarray) -> Catalog:
    """The catalog with duplicates in one group, so that no split tears them apart."""
    parent = np.arange(len(catalog))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    names = catalog.ids if catalog.groups is None else catalog.groups
    first: dict[str, int] = {}
    same = [(first[name], i) for i, name in enumerate(names) if first.setdefault(name, i) != i]
    for i, j in [*same, *pairs.tolist()]:
        a, b = root(i), root(j)
        parent[max(a, b)] = min(a, b)
    return replace(catalog, groups=np.array([str(names[root(i)]) for i in range(len(catalog))]))
