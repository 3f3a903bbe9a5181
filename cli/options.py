"""Typer options derived from a settings dataclass, so that type, default, help and panel stand in one place.

Every option defaults to "not given": only what was typed overrides the settings file, while the help shows the
dataclass default. Choices, lists and "none" are read by pipelines.settings, which words its errors alike for options
and for files.
"""

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sciml.cli.console import Console
from sciml.pipelines.errors import SettingsError, suggest
from sciml.pipelines.settings import Setting, fields_of, resolve

SHARED_PANEL = "Shared"
CONTEXT = {"help_option_names": ["-h", "--help"]}

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.", rich_help_panel=SHARED_PANEL)]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress, warnings only.", rich_help_panel=SHARED_PANEL)]
Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", help="More detail, full tracebacks.", rich_help_panel=SHARED_PANEL)
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Print resolved settings and sizes, then stop.", rich_help_panel=SHARED_PANEL),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "-c", "--config", metavar="FILE", help="TOML file of settings; typed options win.", rich_help_panel=SHARED_PANEL
    ),
]


@dataclasses.dataclass(frozen=True)
class Invocation:
    """What a command callback gets beside its settings."""

    console: Console
    json: bool = False
    dry_run: bool = False
    verbose: bool = False
    config: Path | None = None


class Group(TyperGroup):
    """A command group that shows its help when called bare and names the nearest command when misspelt."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            args = ["--help"]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = str(args[0])
        if not ctx.resilient_parsing and not name.startswith("-") and self.get_command(ctx, name) is None:
            raise SettingsError(
                f'{ctx.command_path}: no command "{name}"; {suggest(name, self.list_commands(ctx))}',
                hint=f"{ctx.command_path} --help",
            )
        return super().resolve_command(ctx, args)


def new_group(help: str) -> typer.Typer:
    """A sub-command group in house style."""
    return typer.Typer(cls=Group, help=escape(help), context_settings=CONTEXT, rich_markup_mode="rich")


def add_command(
    app: typer.Typer,
    name: str,
    settings_cls: type,
    run: Callable[[Any, dict[str, Any], Invocation], None],
    *,
    help: str,
    examples: Sequence[str] = (),
    arguments: Sequence[str] = (),
    dry_run: bool = False,
) -> None:
    """Add the command `name`, whose options are the fields of `settings_cls`.

    `run(settings, given, invocation)` is called with the resolved settings and with the values that were typed, by
    field name. Fields named in `arguments` are positional, in that order. `dry_run` adds --dry-run.
    """
    settings = {entry.name: entry for entry in fields_of(settings_cls)}
    ordered = [settings[field] for field in arguments] + [s for n, s in settings.items() if n not in arguments]
    parameters = [_parameter(entry, positional=entry.name in arguments) for entry in ordered]
    parameters += _shared_parameters(dry_run)
    names = [parameter.name for parameter in parameters]
    if len(set(names)) < len(names):
        raise ValueError(f"{settings_cls.__name__}: a field has the name of a shared option")

    def command(**values: Any) -> None:
        for field, entry in settings.items():
            # a list may be typed at once or in pieces: --table a,b is --table a --table b
            if entry.is_list and field not in arguments and values[field]:
                values[field] = ",".join(values[field])
        given = {field: values[field] for field in settings if values[field] not in (None, [], ())}
        config = values["config"]
        resolved = resolve(settings_cls, given, config)
        typed = {field: getattr(resolved, field) for field in given}
        as_json, verbose = values["json"], values["verbose"]
        console = Console(quiet=values["quiet"], json=as_json, verbose=verbose)
        run(resolved, typed, Invocation(console, as_json, values.get("dry_run", False), verbose, config))

    command.__name__ = name.replace("-", "_")
    command.__signature__ = inspect.Signature(parameters)  # what Typer reads
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    app.command(name, help=escape(help), epilog=epilog(examples), context_settings=CONTEXT)(command)


def _shared_parameters(dry_run: bool) -> list[inspect.Parameter]:
    shared = [("config", ConfigFile, None), ("json", Json, False), ("quiet", Quiet, False), ("verbose", Verbose, False)]
    if dry_run:
        shared.append(("dry_run", DryRun, False))
    return [_keyword(name, default, annotation) for name, annotation, default in shared]


def _keyword(name: str, default: Any, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _parameter(entry: Setting, *, positional: bool) -> inspect.Parameter:
    shown = _shown_default(entry)
    common: dict[str, Any] = {
        "help": escape(f"{entry.help} [default: {shown}]" if shown else entry.help),
        "metavar": _metavar(entry, positional),
        "hidden": entry.hidden,
        "show_default": False,  # Typer would show "not given"
    }
    if entry.choices:
        choices = [str(choice) for choice in entry.choices]
        common["autocompletion"] = lambda incomplete: [c for c in choices if c.startswith(incomplete)]
    kind: Any = list[str] if entry.is_list else _typed_as(entry)
    if positional:
        return _keyword(entry.name, None, Annotated[kind | None, typer.Argument(**common)])
    declared = f"{entry.option}/--no-{entry.option[2:]}" if entry.type is bool else entry.option
    option = typer.Option(declared, rich_help_panel=entry.panel, **common)
    return _keyword(entry.name, None, Annotated[kind | None, option])


def _typed_as(entry: Setting) -> type:
    """The type Typer parses: text wherever pipelines.settings reads it, which words errors as it does for files."""
    return entry.type if entry.type in (bool, Path) and not entry.is_list else str


def _metavar(entry: Setting, positional: bool) -> str | None:
    if entry.metavar is not None or positional:
        return entry.metavar or entry.name.upper()
    if entry.choices:
        return f"[{'|'.join(map(str, entry.choices))}]"
    if entry.type is bool:
        return None
    word = {int: "INTEGER", float: "NUMBER", str: "TEXT", Path: "PATH"}[entry.type]
    return f"{word},..." if entry.is_list else word


def _shown_default(entry: Setting) -> str:
    value = entry.default
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "" if value is None else str(value)


def epilog(examples: Iterable[str]) -> str | None:
    """The examples below a command's help, one a line."""
    lines = [escape(line) for line in examples]
    return "\n\n".join(["Examples:", *lines]) if lines else None


def escape(text: str) -> str:
    """Keep Rich from reading a unit such as [m s-1] as markup, which would vanish from the help."""
    return re.sub(r"(\\*)(\[[a-z#/@][^\[]*?\])", r"\1\1\\\2", text)
