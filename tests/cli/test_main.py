"""Every exception becomes a message and an exit code; --json errors are one JSON object."""

import errno
import json
import subprocess
import sys

import pytest
import typer

from sciml.cli import main as root
from sciml.pipelines.errors import DataError, NumericalError, SettingsError, Stopped


@pytest.fixture
def raising(monkeypatch, capsys):
    """Runs `sciml work` whose body raises the given error; returns (exit code, stdout, stderr)."""

    def run(error, *arguments):
        app = typer.Typer(cls=root.Group, pretty_exceptions_enable=False)

        @app.command()
        def work(json: bool = False, verbose: bool = False):
            raise error

        app.callback()(lambda: None)
        monkeypatch.setattr(root, "app", app)
        code = root.main(["work", *arguments])
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("wrong", hint="mend it"), 2),
        (DataError("wrong", hint="mend it"), 3),
        (NumericalError("wrong", hint="mend it"), 4),
        (Stopped(15, "wrong", hint="mend it"), 143),
    ],
)
def test_our_errors_are_a_message_and_a_hint(raising, error, code):
    assert raising(error) == (code, "", "error: wrong\ntry: mend it\n")


def test_json_errors_are_one_object(raising):
    code, out, _ = raising(DataError("wrong", hint="mend it"), "--json")
    assert json.loads(out) == {
        "error": {"type": "DataError", "message": "wrong", "hint": "mend it", "exit_code": 3},
    }
    assert code == 3


def test_a_bug_shows_its_traceback_and_says_so(raising):
    code, out, err = raising(ZeroDivisionError("division by zero"), "--json")
    assert code == 1
    assert "Traceback" in err and "ZeroDivisionError: division by zero" in err and "this is a bug in sciml" in err
    assert json.loads(out)["error"]["type"] == "ZeroDivisionError"


def test_verbose_shows_the_whole_traceback(raising):
    short, whole = (raising(ZeroDivisionError(), *flags)[2] for flags in ((), ("--verbose",)))
    assert "-v for the full traceback" in short and "-v for the full traceback" not in whole
    assert len(whole.splitlines()) > len(short.splitlines())


def test_an_interrupt_exits_130(raising):
    assert raising(KeyboardInterrupt())[0] == 130


class OutOfMemoryError(RuntimeError):
    """Named like the one of torch."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 4 TiB"),
        OutOfMemoryError("CUDA out of memory"),
        RuntimeError("RESOURCE_EXHAUSTED: 4 TiB"),
    ],
)
def test_memory_used_up_is_no_bug(raising, error):
    code, _, err = raising(error)
    assert code == 5 and err.startswith("error: out of memory: ") and "Traceback" not in err and "smaller batch" in err


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_disk_that_cannot_be_written_is_no_bug(raising, number):
    code, _, err = raising(OSError(number, "what the system says", "out.nc"))
    assert code == 3 and err.startswith("error: out.nc: what the system says")


def test_control_characters_in_a_message_are_shown_harmless(raising):
    assert "\x1b" not in raising(DataError("station \x1b[2J"))[2]


def test_version(capsys):
    assert root.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("sciml 0.")


def test_an_unknown_command_is_suggested(capsys):
    assert root.main(["doctr"]) == 2
    assert 'sciml: no command "doctr"; did you mean "doctor"?' in capsys.readouterr().err


def test_a_reader_that_leaves_is_no_traceback():
    script = f"{sys.executable} -m sciml.cli --help | true; {sys.executable} -m sciml.cli runs list | head -n 0"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_is_printed(sciml, shell):
    done = sciml(_SCIML_COMPLETE=f"source_{shell}")
    assert "_SCIML_COMPLETE" in done.stdout and "sciml" in done.stdout, done.stderr


def test_completion_completes_commands(sciml):
    done = sciml(_SCIML_COMPLETE="complete_bash", COMP_WORDS="sciml doc", COMP_CWORD="1")
    assert done.stdout.split() == ["doctor"]


def test_show_completion_option(sciml):
    done = sciml("--show-completion", "bash")
    if "not supported" in done.stderr:
        pytest.skip("no shell among the parents of this process, which is where completion looks for one")
    assert done.returncode == 0 and "complete" in done.stdout, done.stderr
