"""The root command `sciml`, and the one place where an exception becomes a message and an exit code.

Exit codes: 0 ok, 1 bug (with traceback), 2 settings, 3 data, 4 numerical, 5 device or memory, 130 and 143 stopped.
"""

import errno
import os
import sys
import traceback
from typing import Annotated

import typer

from sciml.cli import bench, doctor, galaxy, gcm, kd, runs
from sciml.cli.console import is_terminal, json_text, printable
from sciml.cli.options import CONTEXT, Group
from sciml.pipelines.errors import DataError, DeviceError, ScimlError, SettingsError, Stopped, suggest

# Typer carries its own copy of click since 0.26, so the class is found through Typer itself.
_UsageError = typer.BadParameter.__mro__[1]
_SHORT_TRACEBACK = 4
_FILE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}

app = typer.Typer(
    cls=Group,
    help="Machine learning for the physical sciences.",
    epilog="Exit codes: 0 ok, 1 bug, 2 settings, 3 data, 4 numerical, 5 device or memory, 130 interrupted.",
    context_settings=CONTEXT,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
# One line per pipeline and tool: app.add_typer(<module>.app, name="<group>")
app.add_typer(galaxy.app, name="galaxy")
app.add_typer(kd.app, name="kd")
app.add_typer(gcm.app, name="gcm")
app.add_typer(bench.app, name="bench")
app.add_typer(runs.app, name="runs")
doctor.register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"sciml {version('sciml')}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


def main(argv: list[str] | None = None) -> int:
    """Run the command line on `argv` (default sys.argv[1:]) and return the exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        code = typer.main.get_command(app).main(args=arguments, prog_name="sciml", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_gone()
    except SystemExit as stop:  # shell completion, and a closed pipe seen by Typer
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except (KeyboardInterrupt, typer.Abort):
        return _report(Stopped(2, "interrupted"), arguments)
    except ScimlError as error:
        return _report(error, arguments)
    except _UsageError as error:
        return _report(_usage(error), arguments)
    except Exception as error:
        known = _known(error)
        return _report(known, arguments) if known is not None else _report_bug(error, arguments)
    return code if isinstance(code, int) else 0


def _usage(error: Exception) -> SettingsError:
    """Typer's own error, with the accepted options where one was misspelt."""
    message = error.format_message()
    context = getattr(error, "ctx", None)
    name = getattr(error, "option_name", None)
    if context is None:
        return SettingsError(message, hint="sciml --help")
    if hasattr(error, "possibilities") and name:
        options = [text for p in context.command.params for text in p.opts + p.secondary_opts if text.startswith("--")]
        message = f'no option "{name}"; {suggest(name, [*options, "--help"])}'
    return SettingsError(f"{context.command_path}: {message}", hint=f"{context.command_path} --help")


def _known(error: Exception) -> ScimlError | None:
    """Foreign exceptions that are no bug: memory used up, and a disk or folder that cannot be written."""
    if (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "RESOURCE_EXHAUSTED" in str(error)
    ):
        detail = " ".join(str(error).split())[:300]
        return DeviceError(
            f"out of memory{': ' + detail if detail else ''}",
            hint="use a smaller batch, fewer workers, or --limit; --dry-run estimates the need",
        )
    if isinstance(error, OSError) and error.errno in _FILE_ERRORS:
        where = f"{error.filename}: " if error.filename else ""
        return DataError(f"{where}{error.strerror}", hint="choose a writable folder with room, e.g. with --out")
    return None


def _report(error: ScimlError, arguments: list[str]) -> int:
    red, plain = ("\033[31m", "\033[0m") if _in_colour() else ("", "")
    print(f"{red}error:{plain} {printable(str(error), newlines=True)}", file=sys.stderr)
    if error.hint:
        print(f"try: {printable(error.hint, newlines=True)}", file=sys.stderr)
    _report_json(type(error).__name__, str(error), error.hint, error.exit_code, arguments)
    return error.exit_code


def _report_bug(error: Exception, arguments: list[str]) -> int:
    verbose = "-v" in arguments or "--verbose" in arguments
    limit = None if verbose else -_SHORT_TRACEBACK
    print("".join(traceback.format_exception(error, limit=limit)).rstrip(), file=sys.stderr)
    print("this is a bug in sciml: please report it with the lines above", file=sys.stderr)
    if not verbose:
        print("try: the same command with -v for the full traceback", file=sys.stderr)
    _report_json(type(error).__name__, str(error), "this is a bug in sciml", 1, arguments)
    return 1


def _report_json(kind: str, message: str, hint: str, code: int, arguments: list[str]) -> None:
    if "--json" not in arguments:
        return
    try:
        print(json_text({"error": {"type": kind, "message": message, "hint": hint, "exit_code": code}}), flush=True)
    except BrokenPipeError:
        _reader_gone()


def _reader_gone() -> int:
    """The reader of our output has left (`sciml ... | head`): no message, and none from Python at exit either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _in_colour() -> bool:
    return is_terminal(sys.stderr) and not os.environ.get("NO_COLOR")
