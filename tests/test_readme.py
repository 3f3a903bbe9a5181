"""README is a promise: its commands and options exist, its pictures are there, and CI runs its two lines."""

import re
from pathlib import Path

import pytest

from sciml.cli.main import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHELL = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
COMMANDS = sorted(
    {line.strip() for part in re.split(r"&&|\n", SHELL) for line in [part.split("#")[0]] if "sciml " in line}
)


def test_it_shows_commands():
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_exists(command, capsys):
    words = command.split("sciml ", 1)[1].split()
    verbs = [w for w in words[:2] if not w.startswith("-")]
    assert main([*verbs, "--help"]) == 0
    shown = capsys.readouterr().out
    for option in re.findall(r"(?<!\S)--[a-z-]+", command):
        assert option in shown, f"{command}: README shows {option}"


def test_every_link_leads_somewhere():
    for target in re.findall(r"\]\(((?!http)[^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_ci_runs_the_two_lines():
    """The install and the test line are run by .ci/run exactly as README prints them."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "README.md" in script
    lines = [line for line in SHELL.splitlines() if line.startswith("python3 -m venv")]
    assert len(lines) == 2 and "sciml kd fit" in lines[0] and lines[1].endswith("-m pytest")


def test_nothing_is_left_to_fill_in():
    assert not re.search(r"@[A-Z]+@|TODO|TBD", README)
