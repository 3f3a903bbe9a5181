"""Settings: one frozen dataclass per command, where a field holds type, default, help and panel in one place.

A value is taken from the typed option, else from the TOML file, else from the default. TOML and not YAML, which reads
`1e-3` as a string. Types: int, float, str, bool, Path, Literal, `X | None`, and tuples of one type, which are arrays
in TOML and comma separated on the command line. TOML has no null, so None is left out of a file, or is the word "none"
where the default is something else.
"""

import dataclasses
import json
import tomllib
import types
import typing
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from sciml.pipelines.errors import DataError, SettingsError, suggest

T = TypeVar("T")

_NOUNS = {
    int: "an integer",
    float: "a number",
    str: "a string",
    bool: "true or false",
    Path: "a path",
}


@dataclasses.dataclass(frozen=True)
class Setting:
    """One resolved field; `type` is the type of one value: without None, of one element where `is_list`."""

    name: str
    type: type
    default: Any
    help: str
    panel: str
    metavar: str | None
    hidden: bool
    choices: tuple[Any, ...] = ()
    is_list: bool = False
    optional: bool = False

    @property
    def option(self) -> str:
        """How the option is typed: --batch-size."""
        return "--" + self.name.replace("_", "-")

    @property
    def expected(self) -> str:
        """What a value must be, in words."""
        noun = f"one of {', '.join(map(str, self.choices))}" if self.choices else _NOUNS[self.type]
        if self.is_list:
            noun = f"a list, each {noun}"
        return f"{noun} or none" if self.optional else noun


def setting(
    default: Any,
    help: str,
    *,
    panel: str = "Settings",
    metavar: str | None = None,
    hidden: bool = False,
) -> Any:
    """A dataclass field with its help text; units belong into the help, as in "time step [s]"."""
    return dataclasses.field(
        default=default, metadata={"help": help, "panel": panel, "metavar": metavar, "hidden": hidden}
    )


def fields_of(cls: type) -> tuple[Setting, ...]:
    """The settings of a dataclass, in order, with their types resolved; TypeError for a type no option can have."""
    hints = typing.get_type_hints(cls)
    return tuple(_describe(cls, field, hints[field.name]) for field in dataclasses.fields(cls) if field.init)


def _describe(cls: type, field: dataclasses.Field, hint: Any) -> Setting:
    where = f"{cls.__name__}.{field.name}"
    hint, optional = _without_none(hint, where)
    is_list = typing.get_origin(hint) is tuple
    if is_list:
        element, *rest = typing.get_args(hint)
        if rest != [Ellipsis]:
            raise TypeError(f"{where}: write a list as tuple[X, ...], not {hint}")
        hint = element
    choices = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()
    kind = type(choices[0]) if choices else hint
    if kind not in _NOUNS:
        raise TypeError(f"{where}: a setting cannot be a {hint}")
    if field.default is dataclasses.MISSING:
        raise TypeError(f"{where}: a setting needs a default")
    meta = field.metadata
    return Setting(
        name=field.name,
        type=kind,
        default=field.default,
        help=meta.get("help", ""),
        panel=meta.get("panel", "Settings"),
        metavar=meta.get("metavar"),
        hidden=meta.get("hidden", False),
        choices=choices,
        is_list=is_list,
        optional=optional,
    )


def _without_none(hint: Any, where: str) -> tuple[Any, bool]:
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint, False
    inner = [part for part in typing.get_args(hint) if part is not type(None)]
    if len(inner) != 1:
        raise TypeError(f"{where}: a setting has one type, with None or without, not {hint}")
    return inner[0], True


def resolve(cls: type[T], given: Mapping[str, object], file: Path | None = None) -> T:
    """Settings from defaults, then the TOML `file`, then the options `given` by field name.

    Raises SettingsError for an unknown key (with the nearest one and the file) or a wrong type, and DataError for a
    file that cannot be read; the dataclass's own checks run last.
    """
    known = {entry.name: entry for entry in fields_of(cls)}
    values: dict[str, Any] = {}
    if file is not None:
        for key, raw in load(file).items():
            entry = known.get(key.replace("-", "_"))
            if entry is None:
                raise SettingsError(f'{file}: unknown setting "{key}"; {suggest(key, known)}')
            values[entry.name] = _value(entry, raw, f"{file}: {key}", typed=False)
    for key, raw in given.items():
        if key not in known:
            raise SettingsError(f'unknown setting "{key}"; {suggest(key, known)}')
        values[key] = _value(known[key], raw, known[key].option, typed=True)
    return cls(**values)


def _value(entry: Setting, raw: object, where: str, *, typed: bool) -> Any:
    """`raw` as the field's type; text is parsed only if it was `typed` on the command line, for TOML has types."""
    if entry.optional and (raw is None or raw == "none"):
        return None
    if not entry.is_list:
        return _one(entry, raw, where, typed=typed)
    if isinstance(raw, str):
        raw = [part.strip() for part in raw.split(",")] if raw.strip() else []
        typed = True
    if not isinstance(raw, list | tuple):
        raise _wrong(entry, raw, where)
    return tuple(_one(entry, item, where, typed=typed) for item in raw)


def _one(entry: Setting, raw: object, where: str, *, typed: bool) -> Any:
    if entry.choices:
        for choice in entry.choices:
            if raw == choice and type(raw) is type(choice) or typed and str(raw) == str(choice):
                return choice
        raise SettingsError(f"{where}: {_shown(raw)} is not a choice; {suggest(str(raw), map(str, entry.choices))}")
    if entry.type is Path and isinstance(raw, str | Path) and str(raw):
        return Path(raw)
    if typed and isinstance(raw, str) and entry.type in (int, float):
        try:
            raw = float(raw) if entry.type is float or not raw.strip("+-").isdecimal() else int(raw)
        except ValueError:
            raise _wrong(entry, raw, where) from None
    if isinstance(raw, bool) or entry.type in (bool, str):
        if type(raw) is entry.type:
            return raw
    elif entry.type is float and isinstance(raw, int | float):
        return float(raw)
    elif entry.type is int and (isinstance(raw, int) or isinstance(raw, float) and raw.is_integer()):
        return int(raw)  # 1e4 is a float in TOML, and a usual way to write a count
    raise _wrong(entry, raw, where)


def _wrong(entry: Setting, raw: object, where: str) -> SettingsError:
    return SettingsError(f"{where}: {_shown(raw)} is not accepted; expected {entry.expected}")


def _shown(raw: object) -> str:
    return f'"{raw}"' if isinstance(raw, str | Path) else str(raw)


def load(path: Path) -> dict[str, Any]:
    """The keys and values of a TOML file; DataError if it cannot be read, SettingsError if it is not TOML."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"settings file {path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"settings file {path}: not UTF-8 text (byte {error.start})") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(
            f"settings file {path}: not valid TOML: {error}", hint='a line is `name = value`, text is in "quotes"'
        ) from None


def dump(settings: Any, *, leave_out: Collection[str] = ()) -> str:
    """TOML text that `resolve` reads back as equal settings, with the help texts as comments."""
    lines = []
    for entry in fields_of(type(settings)):
        value = getattr(settings, entry.name)
        if entry.name in leave_out or value is None and entry.default is None:
            continue
        comment = " ".join(entry.help.split())
        lines += [f"# {comment}"] if comment else []
        lines += [f"{entry.name} = {_toml(value)}", ""]
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if value is None:
        return '"none"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str | Path):
        # A JSON string is a TOML string, except that TOML wants DEL escaped too.
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)  # TOML spells nan, inf, -inf and exponents as Python does
