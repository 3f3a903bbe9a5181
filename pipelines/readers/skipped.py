"""What could not be used and why: counted, named, and refused beyond a limit; nothing is left out silently."""

from __future__ import annotations

from collections.abc import Iterable

from sciml.pipelines.errors import DataError


class Skipped:
    """Names by reason, in the order they came; `kind` is the plural word of the messages, such as "images"."""

    def __init__(self, kind: str = "objects"):
        self.kind = kind
        self.reasons: dict[str, list[str]] = {}

    def add(self, reason: str, name: str) -> None:
        """Leave out `name`; the same name may be left out for one reason only once."""
        self.reasons.setdefault(reason, []).append(str(name))

    def update(self, other: Skipped) -> None:
        """Take over what another reader left out."""
        for reason, names in other.reasons.items():
            self.reasons.setdefault(reason, []).extend(names)

    def __len__(self) -> int:
        return sum(len(names) for names in self.reasons.values())

    def names(self) -> list[str]:
        """Every name left out."""
        return [name for names in self.reasons.values() for name in names]

    def lines(self, most: int = 3) -> list[str]:
        """One line per reason: '12 images left out: truncated (a.jpg, b.jpg, c.jpg, ...)'."""
        return [
            f"{len(names)} {self.kind} left out: {reason} ({listed(names, most)})"
            for reason, names in self.reasons.items()
        ]

    def refuse_beyond(self, share: float, total: int) -> None:
        """DataError if more than `share` of `total` were left out, or all of them."""
        if total and len(self) and (len(self) > share * total or len(self) >= total):
            raise DataError(
                f"{len(self)} of {total} {self.kind} cannot be used: " + "; ".join(self.lines()),
                hint=f"mend them, or allow more with --most-skipped (now {share:g})",
            )

    def to_dict(self) -> dict[str, list[str]]:
        """Reason -> names, for JSON."""
        return {reason: list(names) for reason, names in self.reasons.items()}


def listed(names: Iterable[object], most: int = 3) -> str:
    """The first names, and dots if there are more."""
    names = [str(name) for name in names]
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
