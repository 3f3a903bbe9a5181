"""The gin text of a checkpoint, parsed into bindings: scope/Name.parameter = value, or MACRO = value.

Read are Python literals, references (@Name, @scope/Name), calls (@Name()), macros (%NAME), comments and values over
several lines. Imports, includes and blocks are refused: the text of a checkpoint has none. A later binding of the same
parameter replaces an earlier one. Grammar: the gin-config package's documentation.
"""

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sciml.pipelines.errors import DataError

_SKIPPED = (tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT)
_OPEN = {"(": ")", "[": "]", "{": "}"}
_MOST_NESTED = 50


@dataclass(frozen=True)
class Reference:
    """@scope/Name, or with () the result of calling it."""

    scope: tuple[str, ...]
    name: str
    call: bool


@dataclass(frozen=True)
class Macro:
    """%NAME."""

    name: str


@dataclass(frozen=True)
class Binding:
    """One statement; `parameter` is empty for a macro, whose `name` it is then."""

    scope: tuple[str, ...]
    name: str
    parameter: str
    value: Any
    line: int

    @property
    def key(self) -> tuple[tuple[str, ...], str, str]:
        """What a later binding replaces it by."""
        return self.scope, self.name, self.parameter

    def __str__(self) -> str:
        selector = "/".join((*self.scope, self.name))
        return f"{selector}.{self.parameter}" if self.parameter else selector


def parse(text: str, *, source: str) -> list[Binding]:
    """The bindings in their order.

    Raises:
      DataError: the text is not of the subset; the message names `source` and the line.
    """
    try:
        return list(_Parser(text).statements())
    except _Wrong as wrong:
        raise DataError(f"{source}, line {wrong.line}: {wrong}") from wrong
    except (tokenize.TokenError, SyntaxError) as error:
        line = error.args[1][0] if isinstance(error, tokenize.TokenError) else error.lineno
        raise DataError(f"{source}, line {line}: {error.args[0]}") from error


class _Wrong(Exception):
    def __init__(self, line: int, message: str):
        super().__init__(message)
        self.line = line


class _Parser:
    """Recursive descent over Python's own tokens."""

    def __init__(self, text: str):
        self._tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        self._token = next(self._tokens)

    def statements(self) -> Iterator[Binding]:
        while True:
            self._skip(*_SKIPPED, tokenize.NEWLINE)
            if self._token.type == tokenize.ENDMARKER:
                return
            yield self._statement()

    def _statement(self) -> Binding:
        line = self._token.start[0]
        if self._token.string in ("import", "from", "include"):
            raise _Wrong(line, f'"{self._token.string}" is refused: the text of a checkpoint stands alone')
        scope, path = self._selector()
        if self._token.string == ":":
            raise _Wrong(line, "blocks are not read; write one binding a line: scope/Name.parameter = value")
        if self._token.string != "=":
            raise self._unexpected('"="')
        self._advance()
        value = self._value(0)
        if self._token.type not in (tokenize.NEWLINE, tokenize.ENDMARKER, tokenize.COMMENT):
            raise self._unexpected("the end of the line")
        if len(path) == 1:
            return Binding(scope, path[0], "", value, line)
        return Binding(scope, path[-2], path[-1], value, line)

    def _selector(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """scope/scope/module.Name as (scopes, dotted parts), without blanks between."""
        words, separators = [self._name()], []
        while self._token.string in ("/", "."):
            separators.append(self._token.string)
            self._advance()
            words.append(self._name())
        slashes = len(separators) - separators[::-1].index("/") if "/" in separators else 0
        if "." in separators[:slashes]:
            raise _Wrong(self._token.start[0], f'a scope has no dot: "{"".join(words)}"')
        return tuple(words[:slashes]), tuple(words[slashes:])

    def _name(self) -> str:
        if self._token.type != tokenize.NAME:
            raise self._unexpected("a name")
        name = self._token.string
        self._advance()
        return name

    def _value(self, depth: int) -> Any:
        if depth > _MOST_NESTED:
            raise _Wrong(self._token.start[0], f"more than {_MOST_NESTED} brackets within each other")
        token = self._token.string
        if token in _OPEN:
            return self._container(depth)
        if token == "@":
            return self._reference()
        if token == "%":
            self._advance()
            scope, path = self._selector()
            return Macro("/".join((*scope, ".".join(path))))
        return self._literal()

    def _reference(self) -> Reference:
        self._advance()
        scope, path = self._selector()
        call = self._token.string == "("
        if call:
            self._advance()
            if self._token.string != ")":
                raise self._unexpected('")": a reference is called without arguments')
            self._advance()
        return Reference(scope, path[-1], call)

    def _literal(self) -> Any:
        """A number, a word of text (several in a row are joined), True, False or None."""
        sign = ""
        while self._token.string in ("-", "+"):
            sign += self._token.string
            self._advance()
        if self._token.type == tokenize.STRING and not sign:
            parts = []
            while self._token.type == tokenize.STRING:
                parts.append(self._token.string)
                self._advance()
                if parts and self._token.type == tokenize.NL:
                    self._skip(tokenize.NL, tokenize.COMMENT)
            return self._evaluated(" ".join(parts))
        if self._token.type == tokenize.NUMBER or (self._token.string in ("True", "False", "None") and not sign):
            text = sign + self._token.string
            self._advance()
            return self._evaluated(text)
        raise self._unexpected("a value: a number, text, True, False, None, a list, @Name or %NAME")

    def _evaluated(self, text: str) -> Any:
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError) as error:
            raise _Wrong(self._token.start[0], f"not a value: {text[:60]}") from error
        if isinstance(value, (bytes, complex)):
            raise _Wrong(self._token.start[0], f"not a value of a model: {text[:60]}")
        return value

    def _container(self, depth: int) -> Any:
        opening = self._token.string
        closing, items, commas = _OPEN[opening], [], 0
        self._next_inside()
        while self._token.string != closing:
            item = self._value(depth + 1)
            self._skip(*_SKIPPED)
            if opening == "{":
                if self._token.string != ":":
                    raise self._unexpected('":"')
                self._next_inside()
                item = (item, self._value(depth + 1))
                self._skip(*_SKIPPED)
            items.append(item)
            if self._token.string == ",":
                commas += 1
                self._next_inside()
            elif self._token.string != closing:
                raise self._unexpected(f'"," or "{closing}"')
        self._advance()
        if opening == "(":
            return items[0] if len(items) == 1 and not commas else tuple(items)
        return items if opening == "[" else self._mapping(items)

    def _mapping(self, items: list[tuple[Any, Any]]) -> dict[str, Any]:
        for key, _ in items:
            if not isinstance(key, str):
                raise _Wrong(self._token.start[0], f"a key of a table must be text, not {key!r}"[:120])
        return dict(items)

    def _next_inside(self) -> None:
        self._advance()
        self._skip(*_SKIPPED)

    def _skip(self, *kinds: int) -> None:
        while self._token.type in kinds:
            self._advance()

    def _advance(self) -> None:
        self._token = next(self._tokens)

    def _unexpected(self, wanted: str) -> _Wrong:
        found = "the end of the line" if self._token.type in (tokenize.NEWLINE, tokenize.NL) else self._token.string
        if self._token.type == tokenize.ENDMARKER:
            found = "the end of the text"
        return _Wrong(self._token.start[0], f'found "{found[:60]}", expected {wanted}')
