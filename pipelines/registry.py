"""A registry maps a name a user types to "module:attribute"; the module is imported when the name is chosen."""

import importlib
from collections.abc import Mapping
from typing import Any

from sciml.pipelines.errors import SettingsError, suggest


class Registry:
    """Names of one kind of thing, such as students or losses.

    `kind` is the word errors use; `entries` maps each name to "package.module:attribute".
    """

    def __init__(self, kind: str, entries: Mapping[str, str]):
        for name, target in entries.items():
            if target.count(":") != 1:
                raise ValueError(f'{kind} "{name}": "{target}" is not "module:attribute"')
        self.kind = kind
        self._entries = dict(entries)

    def names(self) -> tuple[str, ...]:
        """All names, in the order they were entered."""
        return tuple(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def check(self, name: str) -> str:
        """`name` itself if it is known, without importing anything; SettingsError otherwise."""
        if name not in self._entries:
            raise SettingsError(f'unknown {self.kind} "{name}"; {suggest(name, self._entries)}')
        return name

    def get(self, name: str) -> Any:
        """The object behind `name`, imported on first use; SettingsError if the name is unknown."""
        module, attribute = self._entries[self.check(name)].split(":")
        return getattr(importlib.import_module(module), attribute)
