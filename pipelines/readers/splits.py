"""Training, validation and test as contiguous blocks in time order, purged at their borders.

Convention: weather has a memory of days, so blocks are never shuffled; items of an earlier block within `gap` of the
next one are dropped (purged cross-validation, Lopez de Prado 2018, section 7.4.1), and a border near a large hole of
the record moves into it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sciml.pipelines.errors import DataError, SettingsError

_HOLE_STEPS = 5.0  # a hole is longer than this many median steps


@dataclass(frozen=True, eq=False)
class Blocks:
    """Indices into the times they were made from; `purged` counts the items dropped at the borders."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    times: np.ndarray
    purged: int = 0

    def describe(self) -> str:
        """One line per block: name, first and last date, number of items."""
        lines = []
        for name in ("train", "validation", "test"):
            block = self.times[getattr(self, name)]
            lines.append(f"{name:<10} {_text(block[0])} to {_text(block[-1])}  {block.size:,} items")
        if self.purged:
            lines.append(f"purged     {self.purged:,} items at the borders")
        return "\n".join(lines)


def time_blocks(
    times: np.ndarray,
    fractions: Sequence[float] = (0.7, 0.15, 0.15),
    *,
    gap: np.timedelta64,
    snap: float = 0.12,
    train_until: np.datetime64 | str | None = None,
    validation_until: np.datetime64 | str | None = None,
) -> Blocks:
    """Cut a record into three blocks.

    Args:
        times: datetime64 [n], ascending (repeats allowed: they stay together).
        fractions: shares of the items, train, validation, test; each positive, sum 1.
        gap: least distance between the last time of a block and the first of the next.
        snap: a border moves to the nearest large hole within this share of the record; 0 turns that off. A hole is
            longer than `gap` and five median steps.
        train_until, validation_until: last times of the blocks instead of fractions (a date alone means its end of
            day).

    Raises:
        SettingsError: fractions or dates cannot cut this record.
        DataError: times are unsorted, missing or too few.
    """
    times = np.asarray(times).astype("datetime64[ns]")
    gap = np.timedelta64(gap).astype("timedelta64[ns]")
    _check(times, fractions, snap)
    holes = _holes(times, gap)
    wanted = np.cumsum(np.asarray(fractions, dtype=float))[:2] * times.size
    first, second = _borders(times, wanted, holes, snap)
    if train_until is not None:
        first = _until(times, train_until, "train_until")
    if validation_until is not None:
        second = _until(times, validation_until, "validation_until")
    train, kept_train = _purged(times, 0, first, gap)
    validation, kept_validation = _purged(times, first, second, gap)
    test = np.arange(second, times.size)
    for name, block in (("train", train), ("validation", validation), ("test", test)):
        if block.size == 0:
            raise DataError(
                f"{times.size} times from {_text(times[0])} to {_text(times[-1])} leave the {name} block empty",
                hint=f"give a longer record, other fractions than {tuple(fractions)}, or a gap below {_span(gap)}",
            )
    return Blocks(train, validation, test, times, kept_train + kept_validation)


def _check(times: np.ndarray, fractions: Sequence[float], snap: float) -> None:
    shares = [float(share) for share in fractions]
    if len(shares) != 3 or not all(share > 0 for share in shares) or abs(sum(shares) - 1.0) > 1e-6:
        raise SettingsError(
            f"fractions must be three positive numbers with sum 1, got {tuple(fractions)}", hint="try 0.7,0.15,0.15"
        )
    if not 0.0 <= snap < 0.5:
        raise SettingsError(f"snap must lie in [0, 0.5), got {snap}")
    if times.ndim != 1 or times.size < 3:
        raise DataError(f"three blocks need at least 3 times, got {times.size}", hint="give a longer record")
    if np.isnat(times).any():
        raise DataError(f"time {int(np.argmax(np.isnat(times))) + 1} of {times.size} is missing")
    falls = np.diff(times) < np.timedelta64(0)
    if falls.any():
        i = int(np.argmax(falls))
        raise DataError(
            f"times are not in order: {_text(times[i])} is followed by {_text(times[i + 1])}", hint="sort them first"
        )


def _holes(times: np.ndarray, gap: np.timedelta64) -> np.ndarray:
    """Indices of the first item after each large hole."""
    steps = np.diff(times)
    positive = steps[steps > np.timedelta64(0)]
    if positive.size == 0:
        return np.array([], dtype=int)
    least = max(gap.astype(np.int64), _HOLE_STEPS * float(np.median(positive.astype(np.int64))))
    return np.nonzero(steps.astype(np.int64) > least)[0] + 1


def _borders(times: np.ndarray, wanted: np.ndarray, holes: np.ndarray, snap: float) -> tuple[int, int]:
    """Both borders together: as many in holes as possible, then as near to the wanted places as possible.

    A choice that leaves validation or test less than half of its share is out: five summers of 62 days cut at 70 and 85 % give
    three summers, one, one, and never a validation block of two weeks.
    """
    n, reach = times.size, snap * times.size + 1e-6
    choices = [[(_plain(times, w), False)] + [(int(h), True) for h in holes if abs(h - w) <= reach] for w in wanted]
    share = (wanted[1] - wanted[0], n - wanted[1])
    best: tuple | None = None
    for first, first_snapped in choices[0]:
        for second, second_snapped in choices[1]:
            if not 0 < first < second < n:
                continue
            fair = second - first >= share[0] / 2 and n - second >= share[1] / 2
            away = round(abs(first - wanted[0]) + abs(second - wanted[1]), 6)
            rank = (not fair, -(first_snapped + second_snapped), away, first)
            if best is None or rank < best[0]:
                best = (rank, (first, second))
    if best is not None:
        return best[1]
    # a record of few distinct times: the two places between different times that lie nearest
    places = np.flatnonzero(np.diff(times) > np.timedelta64(0)) + 1
    if places.size < 2:
        return int(places[0]) if places.size else n, n
    first = int(places[np.abs(places[:-1] - wanted[0]).argmin()])
    later = places[places > first]
    return first, int(later[np.abs(later - wanted[1]).argmin()])


def _plain(times: np.ndarray, wanted: float) -> int:
    """The wanted border; equal times (several stations) stay in one block."""
    border = min(max(int(round(wanted)), 1), times.size - 1)
    start = int(np.searchsorted(times, times[border], side="left"))
    return start if start > 0 else int(np.searchsorted(times, times[border], side="right"))


def _until(times: np.ndarray, until: np.datetime64 | str, name: str) -> int:
    try:
        stamp = np.datetime64(until)
    except ValueError as error:
        raise SettingsError(f"{name} = {until!r} is no date", hint="try 2016-12-31") from error
    end = stamp + np.timedelta64(1, "D") - np.timedelta64(1, "ns") if np.datetime_data(stamp)[0] == "D" else stamp
    border = int(np.searchsorted(times, end.astype("datetime64[ns]"), side="right"))
    if not 0 < border < times.size:
        raise SettingsError(f"{name} = {until} lies outside the record {_text(times[0])} to {_text(times[-1])}")
    return border


def _purged(times: np.ndarray, start: int, stop: int, gap: np.timedelta64) -> tuple[np.ndarray, int]:
    """Indices start ... stop-1 at least `gap` before the item at `stop`, and how many were dropped."""
    indices = np.arange(start, max(start, stop))
    if stop >= times.size:
        return indices, 0
    kept = indices[times[stop] - times[indices] >= gap]
    return kept, indices.size - kept.size


def _text(time: np.datetime64) -> str:
    return str(time.astype("datetime64[m]")).replace("T", " ").removesuffix(" 00:00")


def _span(gap: np.timedelta64) -> str:
    return f"{gap / np.timedelta64(3600 * 10**9, 'ns'):g} h"
