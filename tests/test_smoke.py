"""Every command answers --help, with examples, and without loading an array framework."""

import subprocess
import sys

import pytest
import typer

from sciml.cli.main import app, main

HEAVY = ("numpy", "torch", "jax", "pandas", "xarray", "matplotlib", "h5py", "scipy", "sklearn", "flax", "timm")


def commands(group=None, path=()):
    """Every command below the root, e.g. ("runs", "list"); groups too."""
    group = group if group is not None else typer.main.get_command(app)
    for name, command in group.commands.items():
        yield (*path, name), command
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))


ALL = dict(commands())


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help(path, capsys):
    assert main([*path, "--help"]) == 0
    out, err = capsys.readouterr()
    assert "Usage: sciml " + " ".join(path) in out and err == ""
    if not hasattr(ALL[path], "commands"):
        assert "Examples:" in out


@pytest.mark.parametrize("arguments", [[], ["--help"], ["runs", "--help"], ["--version"], ["--helpp"]], ids=" ".join)
def test_the_command_line_loads_no_array_framework(arguments):
    code = (
        "import sys\nfrom sciml.cli.main import main\n"
        f"main({arguments!r})\nprint('loaded', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "loaded []", done.stderr


def test_all_helps_together_load_no_array_framework():
    paths = [[*path, "--help"] for path in ALL]
    code = (
        "import sys\nfrom sciml.cli.main import main\n"
        f"for path in {paths!r}: main(path)\n"
        f"print('loaded', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "loaded []", done.stderr


def test_python_m_is_the_same_command(sciml):
    assert sciml("--version").stdout.startswith("sciml ")
    assert sciml("doctr").returncode == 2


def test_nothing_is_written_by_looking(sciml, tmp_path):
    sciml("--help")
    sciml("runs", "list")
    assert list(tmp_path.iterdir()) == []
