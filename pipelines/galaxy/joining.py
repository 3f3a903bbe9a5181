"""Two lists of objects made one: by identifier, or by position on the sky; what does not match is reported both ways.

Separations are great circles from unit vectors, |a - b| = 2 sin(theta / 2). On the sky a match is mutual: each is the
other's nearest neighbour within the radius.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from sciml.pipelines.errors import DataError
from sciml.pipelines.readers.skipped import listed


@dataclass(frozen=True, eq=False)
class Match:
    """Positions in both lists that belong together, the names left over on each side, and what they were matched by."""

    left: np.ndarray
    right: np.ndarray
    left_only: tuple[str, ...]
    right_only: tuple[str, ...]
    by: str
    ambiguous: int = 0

    def lines(self, left: str, right: str) -> list[str]:
        """What matched and what did not, for people."""
        text = [f"{len(self.left):,} objects matched by {self.by}"]
        for names, here, there in ((self.left_only, left, right), (self.right_only, right, left)):
            if names:
                text.append(f"{len(names):,} of the {here} have no partner in the {there} ({listed(names)})")
        if self.ambiguous:
            text.append(f"{self.ambiguous:,} matches have another candidate within the radius")
        return text


def match_ids(left: np.ndarray, right: np.ndarray, by: str = "id") -> Match:
    """Match text identifiers, each unique in its list."""
    left, right = np.asarray(left).astype(str), np.asarray(right).astype(str)
    place = {name: i for i, name in enumerate(right)}
    found = np.array([place.get(name, -1) for name in left], np.int64)
    rows = np.flatnonzero(found >= 0)
    taken = set(found[rows].tolist())
    return Match(
        rows,
        found[rows],
        tuple(left[found < 0]),
        tuple(name for i, name in enumerate(right) if i not in taken),
        by,
    )


def match_positions(
    left: tuple[np.ndarray, np.ndarray], right: tuple[np.ndarray, np.ndarray], radius: float,
    names: tuple[np.ndarray, np.ndarray] | None = None,
) -> Match:  # fmt: skip
    """Match positions (ra, dec) [deg] within `radius` [arcsec]; rows without a position stay unmatched.

    Raises:
        DataError: a declination outside -90..90, or no valid position at all.
    """
    names = names or tuple(np.arange(len(part[0])).astype(str) for part in (left, right))
    good = [_valid(*part) for part in (left, right)]
    a, b = (_unit(part[0][ok], part[1][ok]) for part, ok in zip((left, right), good, strict=True))
    rows = tuple(np.flatnonzero(ok) for ok in good)
    reach = 2 * np.sin(np.deg2rad(radius / 3600) / 2)
    if not len(a) or not len(b):
        raise DataError("no object has a position", hint="check the columns of right ascension and declination")
    distance, partner = cKDTree(b).query(a, distance_upper_bound=reach * (1 + 1e-9))
    _, back = cKDTree(a).query(b)
    mine = np.flatnonzero(np.isfinite(distance))
    mutual = mine[back[partner[mine]] == mine]
    second, _ = (
        cKDTree(b).query(a[mutual], k=2) if len(b) > 1 and len(mutual) else (np.full((len(mutual), 2), np.inf), None)
    )
    i, j = rows[0][mutual], rows[1][partner[mutual]]
    return Match(
        i, j,
        tuple(np.delete(np.asarray(names[0]).astype(str), i)),
        tuple(np.delete(np.asarray(names[1]).astype(str), j)),
        f"position within {radius:g} arcsec",
        int((second[:, 1] <= reach).sum()),
    )  # fmt: skip


def _valid(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    ra, dec = np.asarray(ra, float), np.asarray(dec, float)
    good = np.isfinite(ra) & np.isfinite(dec)
    if good.any() and np.abs(dec[good]).max() > 90:
        raise DataError(
            f"a declination of {dec[good][np.abs(dec[good]).argmax()]:g} degrees", hint="are --ra and --dec swapped?"
        )
    return good


def _unit(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Unit vectors [n, 3]."""
    ra, dec = np.deg2rad(np.asarray(ra, float)), np.deg2rad(np.asarray(dec, float))
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)


def nothing_matched(left: np.ndarray, right: np.ndarray, here: str, there: str) -> DataError:
    """The error when no identifier matches, with the likely reason."""
    left, right = np.asarray(left).astype(str), np.asarray(right).astype(str)
    reason = ""
    stripped = {name.lstrip("0") for name in right}
    folded = {name.casefold() for name in right}
    prefixes = {name[:13] for name in right if name.isdigit() and len(name) > 15}
    if any(name.lstrip("0") in stripped for name in left):
        reason = "leading zeros differ"
    elif any(name.casefold() in folded for name in left):
        reason = "only upper and lower case differ"
    elif any(name[:13] in prefixes for name in left if len(name) > 15):
        reason = "the first 13 digits agree: the ids of one side went through a float and lost the rest"
    return DataError(
        f"no object of the {here} ({listed(left)}) is in the {there} ({listed(right)})",
        hint=reason or "name the column that the files are called after with --id or --image-id",
    )
