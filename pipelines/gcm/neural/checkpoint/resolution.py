"""From bindings to nodes: what each parameter of each configurable is once scopes, macros and references are followed.

A configurable that is built under scope a/b takes a parameter from the bindings of a/b, else of a, else of none, else
its default. A reference with a scope replaces the scope for all that is built within; one without inherits it, except
where the original only calls it at run time ("late"), when no scope is in force. A macro that calls a configurable
calls it in a scope of the macro's own name.
"""

import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sciml.pipelines.errors import DataError, suggest
from sciml.pipelines.gcm.neural.checkpoint.gin import Binding, Macro, Reference
from sciml.pipelines.gcm.neural.checkpoint.nodes import fit

REQUIRED = object()
_MOST_DEPTH = 60
_MOST_PARTS = 20_000  # a model has some 200; references that double at each step would never end
Scope = tuple[str, ...]


@dataclass(frozen=True)
class Param:
    """One parameter: its default, the node's field it sets (None: it has no effect here), how its value is read."""

    default: Any = REQUIRED
    to: str | None = ""  # "": the field of the parameter's own name
    read: Callable[[Any], Any] | None = None
    late: bool = False
    only: tuple | None = None  # the accepted values of a parameter that sets nothing


IGNORED = Param(None, to=None)
UNNAMED = Param(None, to=None, only=(None,))


@dataclass(frozen=True)
class Known:
    """One configurable: what it becomes, and its parameters. `called`: referenced as @Name(), not @Name."""

    make: Callable[..., Any]
    params: dict[str, Param] = field(default_factory=dict)
    called: bool = False
    free: bool = False  # its bindings may go unused: it only tunes how the original computes
    kind: type | None = None  # the node, where `make` is no class


class Resolver:
    """Bindings, the table of known configurables, and which bindings were used."""

    def __init__(self, bindings: list[Binding], known: dict[str, Known], *, source: str):
        self.known, self.source = known, source
        self._bound = {binding.key: binding for binding in bindings}
        self.used: set[tuple] = set()
        self._parts = 0

    def build(self, name: str, scope: Scope = (), depth: int = 0) -> Any:
        """What the configurable `name` is under `scope`.

        Raises:
          DataError: a parameter is missing, wrong, or leads in a circle; the message names binding and line.
        """
        if depth > _MOST_DEPTH:
            raise DataError(f"{self.source}: the references lead in a circle at {'/'.join((*scope, name))}")
        self._count_part()
        known = self.known[name]
        kind = known.make if isinstance(known.make, type) else known.kind
        hints = typing.get_type_hints(kind) if kind is not None else {}
        values = {}
        for parameter, param in known.params.items():
            binding = self._find(scope, name, parameter)
            if binding is None and param.default is REQUIRED:
                raise DataError(
                    f"{self.source} lacks {'/'.join((*scope, name))}.{parameter}", hint="bind it, or repair the text"
                )
            target = parameter if param.to == "" else param.to
            value = param.default
            if binding is not None:
                value = self._value_of(binding, param, scope, depth, hints.get(target))
            if target is not None:
                values[target] = value
        try:
            return known.make(**values)
        except DataError as error:
            raise DataError(f"{self.source}: {'/'.join((*scope, name))}: {error}", hint=error.hint) from error

    def _count_part(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise DataError(f"{self.source}: the references multiply to more than {_MOST_PARTS} parts")

    def _find(self, scope: Scope, name: str, parameter: str) -> Binding | None:
        """The binding in force; every one in scope counts as used, as the original reads them all."""
        found = None
        for length in range(len(scope) + 1):
            key = (scope[:length], name, parameter)
            if key in self._bound:
                self.used.add(key)
                found = self._bound[key]
        return found

    def _value_of(self, binding: Binding, param: Param, scope: Scope, depth: int, hint: Any) -> Any:
        where = f"{self.source}, line {binding.line}: {binding}"
        value = self._resolved(binding.value, () if param.late else scope, depth, where)
        if param.only is not None and value not in param.only:
            accepted = ", ".join(map(repr, param.only)) or "only its default"
            raise DataError(f"{where} is {value!r}; this package knows {accepted}"[:400])
        if param.read is not None:
            try:
                value = param.read(value)
            except DataError as error:
                raise DataError(f"{where}: {error}", hint=error.hint) from error
        return value if hint is None else fit(value, hint, where)

    def _resolved(self, value: Any, scope: Scope, depth: int, where: str) -> Any:
        if isinstance(value, Reference):
            return self._referenced(value, scope, depth, where)
        if isinstance(value, Macro):
            return self._of_macro(value, scope, depth, where)
        if isinstance(value, dict):
            return {key: self._resolved(item, scope, depth, where) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self._resolved(item, scope, depth, where) for item in value)
        return value

    def _referenced(self, reference: Reference, scope: Scope, depth: int, where: str) -> Any:
        known = _known(reference, self.known, where)
        if known.called != reference.call:
            form = f"@{reference.name}()" if known.called else f"@{reference.name}"
            raise DataError(f"{where}: write {form}")
        return self.build(reference.name, reference.scope or scope, depth + 1)

    def _of_macro(self, macro: Macro, scope: Scope, depth: int, where: str) -> Any:
        key = ((), macro.name, "")
        if key not in self._bound:
            names = [name for _, name, parameter in self._bound if not parameter]
            raise DataError(f'{where}: unknown macro "%{macro.name}"; {suggest(macro.name, names)}')
        if depth > _MOST_DEPTH:
            raise DataError(f"{where}: the macros lead in a circle at %{macro.name}")
        self.used.add(key)
        self._count_part()
        value = self._bound[key].value
        called = isinstance(value, Reference) and value.call
        inner = f"{self.source}, line {self._bound[key].line}: {macro.name}"
        return self._resolved(value, (macro.name,) if called else scope, depth + 1, inner)


def _known(reference: Reference, known: dict[str, Known], where: str) -> Known:
    """The configurable that a reference names; DataError where there is none."""
    if reference.name not in known:
        raise DataError(f'{where}: unknown "{reference.name}"; {suggest(reference.name, known)}')
    return known[reference.name]


def _references(value: Any) -> Iterator[Reference]:
    """All references in a value."""
    if isinstance(value, Reference):
        yield value
    elif isinstance(value, (dict, list, tuple)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _references(item)


def check_names(bindings: list[Binding], known: dict[str, Known], *, source: str) -> None:
    """Every configurable and parameter that is bound, or named in a value, is known, whether or not it comes into force.

    Raises:
      DataError: one is not; the message names it, its line and the nearest known name.
    """
    for binding in bindings:
        where = f"{source}, line {binding.line}"
        for reference in _references(binding.value):
            _known(reference, known, f"{where}: {binding}")
        if not binding.parameter:
            continue
        if binding.name not in known:
            raise DataError(
                f'{where}: unknown "{binding}"; {suggest(binding.name, known)}',
                hint="a model newer than NeuralGCM v1, or a misspelt edit",
            )
        params = known[binding.name].params
        if binding.parameter not in params:
            raise DataError(
                f'{where}: {binding.name} has no parameter "{binding.parameter}"; {suggest(binding.parameter, params)}'
            )


def check_used(bindings: list[Binding], known: dict[str, Known], used: set[tuple], walk: Callable, *, source: str):
    """Every binding plays a part, or did before a later line replaced the value that led to it.

    `walk(bindings)` gives the keys used by other bindings.

    Raises:
      DataError: one does not; the message names it and its line.
    """
    free = {binding.key for binding in bindings if binding.name in known and known[binding.name].free}
    if {binding.key for binding in bindings} <= used | free:
        return
    latest = {binding.key: binding for binding in bindings}
    for i, binding in enumerate(bindings):
        if latest[binding.key] is not binding and latest[binding.key].value != binding.value:
            used = used | walk([*bindings[:i], *bindings[i + 1 :], binding])
    for binding in bindings:
        if binding.key not in used | free:
            raise DataError(
                f"{source}, line {binding.line}: {binding} is bound but plays no part in the model",
                hint="remove the line, or bind what was meant to use it",
            )
