"""Options come from the settings dataclass: only what is typed is given, and the help shows the real defaults."""

import dataclasses
import json
from pathlib import Path
from typing import Literal

import pytest
import typer

from sciml.cli import main as root
from sciml.cli.options import add_command, escape, new_group
from sciml.pipelines.settings import setting


@dataclasses.dataclass(frozen=True)
class Fit:
    teacher: Path = setting(Path("nwp.nc"), "forecast file")
    epochs: int = setting(30, "passes over the training set", panel="Optimization")
    step: float = setting(1e-3, "time step [s] of a wind in [m s-1]")
    fractions: tuple[float, ...] = setting((0.7, 0.3), "split")
    schedule: Literal["archive", "anneal"] = setting("archive", "schedule")
    shuffle: bool = setting(True, "shuffle the windows")
    limit: int | None = setting(5, "windows at most")
    secret: int = setting(1, "not shown", hidden=True)


@pytest.fixture
def calls(monkeypatch):
    """A root command with one group `try`; returns the calls its `fit` and `read` got."""
    seen = []
    app = typer.Typer(cls=root.Group, context_settings=root.CONTEXT, pretty_exceptions_enable=False)
    group = new_group("Try [m s-1].")
    examples = ["sciml try fit --epochs 3", "sciml try fit -c [fit].toml"]
    add_command(group, "fit", Fit, lambda *call: seen.append(call), help="Fit it.", examples=examples, dry_run=True)
    add_command(group, "read", Fit, lambda *call: seen.append(call), help="Read it.", arguments=["teacher"])
    app.add_typer(group, name="try")
    monkeypatch.setattr(root, "app", app)
    return seen


def call(calls, *arguments):
    assert root.main(["try", *arguments]) == 0
    return calls[-1]


def test_without_options_nothing_is_given(calls):
    settings, given, invocation = call(calls, "fit")
    assert settings == Fit() and given == {}
    assert (invocation.json, invocation.dry_run, invocation.verbose, invocation.config) == (False, False, False, None)


def test_typed_options_are_given_with_their_types(calls):
    settings, given, invocation = call(
        calls,
        *("fit", "--teacher", "x.nc", "--epochs", "1e1", "--fractions", "0.5,0.5", "--schedule", "anneal"),
        *("--no-shuffle", "--limit", "none", "--json", "-q", "-v", "--dry-run"),
    )
    assert given == {
        "teacher": Path("x.nc"),
        "epochs": 10,
        "fractions": (0.5, 0.5),
        "schedule": "anneal",
        "shuffle": False,
        "limit": None,
    }
    assert settings == dataclasses.replace(Fit(), **given)
    assert invocation.json and invocation.dry_run and invocation.verbose
    assert invocation.console.quiet and invocation.console.json


@pytest.mark.parametrize(
    "typed", [("0.2,0.3,0.5",), ("0.2", "0.3", "0.5"), ("0.2, 0.3", "0.5")], ids=["at once", "in pieces", "both"]
)
def test_a_list_may_be_typed_in_pieces(calls, typed):
    """Nothing of --table a --table b is lost."""
    words = [word for part in typed for word in ("--fractions", part)]
    assert call(calls, "fit", *words)[1] == {"fractions": (0.2, 0.3, 0.5)}


def test_a_typed_option_wins_over_the_file(calls):
    Path("fit.toml").write_text("epochs = 5\nshuffle = false\n")
    settings, given, invocation = call(calls, "fit", "-c", "fit.toml", "--epochs", "6", "--shuffle")
    assert (settings.epochs, settings.shuffle, given) == (6, True, {"epochs": 6, "shuffle": True})
    assert invocation.config == Path("fit.toml")


def test_a_positional_argument_is_a_setting_too(calls):
    assert call(calls, "read", "x.nc")[1] == {"teacher": Path("x.nc")}
    assert call(calls, "read")[0].teacher == Path("nwp.nc")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "--epoch", "3"], 'sciml try fit: no option "--epoch"; did you mean "--epochs"? accepted: --teacher,'),
        (["fit", "--epochs", "ten"], '--epochs: "ten" is not accepted; expected an integer'),
        (["fit", "--schedule", "aneal"], '--schedule: "aneal" is not a choice; did you mean "anneal"? accepted: arch'),
        (["fti"], 'sciml try: no command "fti"; did you mean "fit"? accepted: fit, read'),
        (["fit", "surplus"], "sciml try fit: "),
        (["fit", "-c"], "Option '-c'"),
        (["fit", "--epochs"], "Option '--epochs' requires an argument"),
    ],
)
def test_what_is_misspelt_is_suggested_with_exit_code_2(calls, capsys, arguments, message):
    assert root.main(["try", *arguments]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("error: " + message)
    assert out == "" and calls == []


def test_an_unknown_key_in_a_file_is_suggested(calls, capsys):
    Path("fit.toml").write_text("epoch = 5\n")
    assert root.main(["try", "fit", "-c", "fit.toml", "--json"]) == 2
    out, err = capsys.readouterr()
    assert err.startswith('error: fit.toml: unknown setting "epoch"; did you mean "epochs"?')
    assert json.loads(out)["error"]["exit_code"] == 2


def test_help_shows_defaults_panels_units_and_examples(calls, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERMINAL_WIDTH", "120")
    assert root.main(["try", "fit", "--help"]) == 0
    text = capsys.readouterr().out
    for part in (
        "Optimization",
        "passes over the training set [default: 30]",
        "time step [s] of a wind in [m s-1] [default: 0.001]",
        "[default: 0.7,0.3]",
        "[archive|anneal]",
        "--no-shuffle",
        "[default: yes]",
        "Examples:",
        "sciml try fit -c [fit].toml",
    ):
        assert part in text
    assert "--secret" not in text


def test_a_bare_group_shows_its_help(calls, capsys):
    assert root.main(["try"]) == 0
    assert "Try [m s-1]." in capsys.readouterr().out


def test_completion_knows_the_choices(calls, capsys, monkeypatch):
    monkeypatch.setenv("_SCIML_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "sciml try fit --schedule an")
    monkeypatch.setenv("COMP_CWORD", "4")
    assert root.main([]) == 0
    assert capsys.readouterr().out.split() == ["anneal"]


def test_a_field_named_like_a_shared_option_is_a_programming_error():
    cls = dataclasses.make_dataclass("Clash", [("quiet", bool, setting(False, "x"))], frozen=True)
    with pytest.raises(ValueError, match="Clash: a field has the name of a shared option"):
        add_command(new_group("x"), "fit", cls, print, help="x")


def test_escape_keeps_units_and_only_units():
    from rich.text import Text

    for text in ("wind [m s-1]", "[K] and [/path]", r"a\[b]", "no brackets", "[archive|anneal]"):
        assert Text.from_markup(escape(text)).plain == text
