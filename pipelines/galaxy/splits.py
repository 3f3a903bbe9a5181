"""Folds and hold-outs: a pure function of the seed and the object's own name, never of the order of the rows.

Objects of one group stay together; classes are spread evenly. The rank of a group is the BLAKE2 hash of (seed, name), so
that the same galaxy falls on the same side whichever file it is read from, and adding objects moves few others.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from sciml.pipelines.errors import DataError, SettingsError

from .catalog import Catalog


@dataclass(frozen=True, eq=False)
class Split:
    """Positions of the objects of each part, ascending and disjoint."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def parts(self) -> dict[str, np.ndarray]:
        """The parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def part_of(self, n: int) -> np.ndarray:
        """0 train, 1 validation, 2 test, -1 none, for n objects."""
        found = np.full(n, -1)
        for number, part in enumerate(self.parts().values()):
            found[part] = number
        return found


def hold_out(catalog: Catalog, fractions: tuple[float, float, float] = (0.7, 0.15, 0.15), seed: int = 0) -> Split:
    """Training, validation and test by class and group.

    Raises:
        SettingsError: fractions that are no shares.
        DataError: a part that is not empty by choice got no object.
    """
    if len(fractions) != 3 or min(fractions) < 0 or fractions[0] <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise SettingsError(f"fractions {fractions}: need three shares that sum to 1, the first positive")
    part = _deal(*_columns(catalog), np.asarray(fractions, float), seed)
    split = Split(*(np.flatnonzero(part == k) for k in range(3)))
    for (name, found), share in zip(split.parts().items(), fractions, strict=True):
        if share > 0 and not len(found):
            raise DataError(
                f"{len(catalog)} objects leave the {name} part empty", hint="give more objects, or other fractions"
            )
    return split


def fold_numbers(catalog: Catalog, k: int = 5, seed: int = 0) -> np.ndarray:
    """Fold 0..k-1 of each object, int64 [n], balanced by class, groups whole.

    Raises:
        SettingsError: k below 2.
        DataError: a class with fewer groups than folds.
    """
    if k < 2:
        raise SettingsError(f"{k} folds: at least 2 are needed")
    ids, labels, groups = _columns(catalog)
    for label in np.unique(labels):
        count = len(np.unique(groups[labels == label]))
        if count < k:
            name = catalog.classes[label] if catalog.labels is not None else "any"
            raise DataError(
                f'class "{name}" has {count} independent objects for {k} folds', hint="use fewer folds or more objects"
            )
    return _deal(ids, labels, groups, np.full(k, 1.0 / k), seed)


def k_fold(catalog: Catalog, k: int = 5, seed: int = 0, validation: float = 0.15) -> list[Split]:
    """k splits: fold i is the test part, of the rest a share `validation` is held out, by class and group."""
    fold = fold_numbers(catalog, k, seed)
    ids, labels, groups = _columns(catalog)
    splits = []
    for i in range(k):
        rest = np.flatnonzero(fold != i)
        inner = _deal(ids[rest], labels[rest], groups[rest], np.array([1 - validation, validation]), f"{seed} fold {i}")
        splits.append(Split(rest[inner == 0], rest[inner == 1], np.flatnonzero(fold == i)))
    return splits


def ranked(catalog: Catalog, seed: int = 0) -> np.ndarray:
    """Positions of all objects in a random order in which every beginning holds the classes in proportion."""
    ids, labels, _ = _columns(catalog)
    order = np.array(sorted(range(len(ids)), key=lambda i: _rank(ids[i], seed)), np.int64)
    quantile = np.empty(len(ids))
    for label in np.unique(labels):
        members = order[labels[order] == label]
        quantile[members] = (np.arange(len(members)) + 0.5) / len(members)
    return order[np.argsort(quantile[order], kind="stable")]


def _columns(catalog: Catalog) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = np.zeros(len(catalog), np.int64) if catalog.labels is None else catalog.labels
    groups = catalog.ids if catalog.groups is None else np.asarray(catalog.groups).astype(str)
    return catalog.ids, labels, groups


def _rank(name: str, seed: int | str) -> bytes:
    return hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=8).digest()


def _deal(ids: np.ndarray, labels: np.ndarray, groups: np.ndarray, shares: np.ndarray, seed: int | str) -> np.ndarray:
    """Part number of each object.

    Groups of several objects come first, by size and then by hash; each goes to the part that lacks most of its classes.
    The other objects fill what is left: those of one class, in the order of their hash, are cut into as many runs as there
    are parts, so that one object more or less moves a cut by one place and no other object.
    """
    names, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    total = np.bincount(labels, minlength=int(labels.max(initial=0)) + 1)
    wanted = shares[:, None] * total  # objects of each class in each part
    filled = np.zeros_like(wanted)
    part_of_group = _whole_groups(names, inverse, sizes, labels, wanted, filled, shares, seed)
    part = part_of_group[inverse]
    # ties are broken by a hash, so that the first part does not get every odd object
    tie = np.array([int.from_bytes(_rank(f"part {k}", seed), "big") / 2**64 for k in range(len(shares))])
    alone = np.flatnonzero(sizes[inverse] == 1)
    for label in np.unique(labels[alone]):
        members = sorted(alone[labels[alone] == label], key=lambda i: _rank(names[inverse[i]], seed))
        room = np.clip(wanted[:, label] - filled[:, label], 0, None) * (shares > 0)
        room = room if room.sum() > 0 else shares * len(members)
        counts = _whole_numbers(room / room.sum() * len(members), tie)
        part[members] = np.repeat(np.arange(len(shares)), counts)
    return part


def _whole_groups(names, inverse, sizes, labels, wanted, filled, shares, seed) -> np.ndarray:
    """Part of each group of several objects, -1 for the others; counts them in `filled` [part, class]."""
    part = np.full(len(names), -1)
    several = np.flatnonzero(sizes > 1)
    place = np.full(len(names), -1)
    place[several] = np.arange(len(several))
    counts = np.zeros((len(several), wanted.shape[1]))
    member = sizes[inverse] > 1
    np.add.at(counts, (place[inverse[member]], labels[member]), 1)
    total = np.maximum(wanted.sum(0), 1)
    for g in sorted(several, key=lambda g: (-sizes[g], _rank(names[g], seed))):
        lack = ((wanted - filled) / total) @ (counts[place[g]] / sizes[g])
        part[g] = int(np.argmax(np.where(shares > 0, lack, -np.inf)))
        filled[part[g]] += counts[place[g]]
    return part


def _whole_numbers(shares: np.ndarray, tie: np.ndarray) -> np.ndarray:
    """Whole numbers of the same sum, each within one of its share (largest remainders)."""
    counts = np.floor(shares + 1e-9).astype(int)
    rest = int(round(shares.sum())) - counts.sum()
    order = np.argsort(-(shares - counts + 1e-6 * tie) * (shares > 0), kind="stable")
    counts[order[:rest]] += 1
    return counts
