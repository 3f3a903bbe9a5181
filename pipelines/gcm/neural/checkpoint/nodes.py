"""Typed, frozen, hashable settings nodes that a model is built from by recursion, with a strict JSON form.

A node is a frozen dataclass; its fields are numbers, words, tuples, `Table`s or further nodes, as annotated. In JSON a
node is an object whose "kind" is its class name. Anything the annotation does not allow is a DataError that names the
place, such as `ModelConfig.step.physics.features[3].gradients`.
"""

import dataclasses
import json
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal, Union

from sciml.pipelines.errors import DataError, suggest

KINDS: dict[str, type["Node"]] = {}
_LARGEST = 65536  # of whole numbers: sizes and counts; a larger one only serves to exhaust the memory


class Table(Mapping):
    """An immutable, hashable mapping from names to numbers or words, in its given order.

    Two tables are equal if they hold the same entries, whatever the order.
    """

    def __init__(self, entries: Mapping[str, float | str] | None = None):
        self._entries = dict(entries or {})
        self._hash: int | None = None

    def __getitem__(self, name: str):
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._entries.items()))
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and self._entries == other._entries

    def __repr__(self) -> str:
        return f"Table({self._entries!r})"


class Node:
    """Base of every settings node: registers its kind and checks each field against its annotation."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        KINDS[cls.__name__] = cls

    def __post_init__(self):
        hints = _hints(type(self))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            fitted = fit(value, hints[field.name], f"{type(self).__name__}.{field.name}")
            object.__setattr__(self, field.name, fitted)


@cache
def _hints(kind: type[Node]) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def fit(value: Any, hint: Any, where: str) -> Any:
    """`value` as `hint` wants it (an integer becomes a float, a list a tuple, a dict a Table).

    Raises:
      DataError: the value is not one of `hint`; the message names `where`.
    """
    options = typing.get_args(hint) if typing.get_origin(hint) in (Union, types.UnionType) else (hint,)
    for option in options:
        fitted = _fit_one(value, option, where)
        if fitted is not _MISFIT:
            return fitted
    accepted = ", ".join(_words(option) for option in options)
    raise DataError(f"{where} is {_shown(value)}; accepted: {accepted}")


def positive(node: Node, *names: str) -> None:
    """The fields hold numbers above 0, or none but such.

    Raises:
      DataError: one does not.
    """
    for name in names:
        value = getattr(node, name)
        if any(number <= 0 for number in (value if isinstance(value, tuple) else (value,))):
            raise DataError(f"{type(node).__name__}.{name} is {_shown(value)}; it must be above 0")


_MISFIT = object()


def _fit_one(value: Any, hint: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin is Literal:
        return value if isinstance(value, (str, int)) and value in typing.get_args(hint) else _MISFIT
    if origin is tuple:
        return _fit_tuple(value, typing.get_args(hint), where)
    if origin is Table or hint is Table:
        return _fit_table(value, where)
    if hint is type(None):
        return None if value is None else _MISFIT
    if hint is float:
        return _fit_float(value)
    if hint is int:
        return _fit_int(value)
    return value if isinstance(value, hint) else _MISFIT


def _fit_int(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _LARGEST:
        return _MISFIT
    return int(value) if value == int(value) else _MISFIT


def _fit_float(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= sys.float_info.max:
        return _MISFIT
    return float(value)


def _fit_tuple(value: Any, args: tuple, where: str) -> Any:
    if not isinstance(value, (tuple, list)):
        return _MISFIT
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(fit(item, args[0], f"{where}[{i}]") for i, item in enumerate(value))
    if len(value) != len(args):
        return _MISFIT
    return tuple(fit(item, arg, f"{where}[{i}]") for i, (item, arg) in enumerate(zip(value, args, strict=True)))


def _fit_table(value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        return _MISFIT
    return Table({fit(k, str, where): fit(v, float | str, f'{where}["{k}"]') for k, v in value.items()})


def _words(hint: Any) -> str:
    """`hint` in words, for a message."""
    if hint is type(None):
        return "null"
    if typing.get_origin(hint) is Literal:
        return ", ".join(f'"{word}"' for word in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        return "a list of " + " or ".join(_words(arg) for arg in typing.get_args(hint) if arg is not Ellipsis)
    if typing.get_origin(hint) in (Union, types.UnionType):
        return ", ".join(_words(option) for option in typing.get_args(hint))
    names = {
        int: f"a whole number up to {_LARGEST}",
        float: "a finite number",
        str: "a word",
        bool: "true or false",
        Table: "a table",
    }
    return names.get(hint, getattr(hint, "__name__", str(hint)))


def _shown(value: Any) -> str:
    text = type(value).__name__ if isinstance(value, Node) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def to_json(node: Node) -> str:
    """The node as JSON text; `from_json` gives an equal node back."""
    return json.dumps(_plain(node), indent=1, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Node):
        entries = {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **entries}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Table) else value


def from_json(text: str, kind: type[Node], *, source: str = "config.json") -> Any:
    """The node of `kind` written in `text`.

    Raises:
      DataError: not JSON, or an unknown kind, an unknown, missing or wrong field; the message names `source` and place.
    """
    try:
        node = _node_of(json.loads(text), kind.__name__)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{source} is not JSON: {error}") from error
    except DataError as error:
        raise DataError(f"{source}: {error}", hint=error.hint) from error
    if not isinstance(node, kind):
        raise DataError(f"{source} holds {_shown(node)}, wanted a {kind.__name__}")
    return node


def _node_of(value: Any, where: str) -> Any:
    if isinstance(value, list):
        return tuple(_node_of(item, f"{where}[{i}]") for i, item in enumerate(value))
    if not isinstance(value, dict):
        return value
    if "kind" not in value:
        return Table({name: _node_of(item, f"{where}.{name}") for name, item in value.items()})
    kind = KINDS.get(value["kind"]) if isinstance(value["kind"], str) else None
    if kind is None:
        raise DataError(f"{where} is of unknown kind {_shown(value['kind'])}; {suggest(str(value['kind']), KINDS)}")
    names = [field.name for field in dataclasses.fields(kind)]
    given = {name: item for name, item in value.items() if name != "kind"}
    for name in given:
        if name not in names:
            raise DataError(f'{where}: {kind.__name__} has no "{name}"; {suggest(name, names)}')
    missing = [name for name in names if name not in given]
    if missing:
        raise DataError(f"{where}: {kind.__name__} lacks {', '.join(missing)}")
    return kind(**{name: _node_of(item, f"{where}.{name}") for name, item in given.items()})
