"""`sciml runs` reads run folders only, finds them by prefix, and tells a killed run from a living one."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sciml.cli.main import main
from sciml.pipelines.run import Run
from sciml.pipelines.settings import setting


@dataclasses.dataclass(frozen=True)
class Fit:
    epochs: int = setting(3, "passes over the training set")
    student: str = setting("gru", "student")
    variables: tuple[str, ...] = setting(("t2m",), "variables")


@pytest.fixture
def two_runs():
    first = Run.create("kd", "fit", Fit(), out=Path("runs/kd-fit/20260314T091200Z-aaaa"))
    first.metrics(epoch=1, rmse=2.5)
    first.metrics(epoch=2, rmse=1.25)
    first.write_json("results.json", {"headline": {"name": "rmse", "value": 1.25, "units": "K"}})
    first.save("last", {}, {})
    first.set_status("finished", started="2026-03-14T09:12:00Z")
    second = Run.create(
        "kd", "fit", Fit(epochs=9, variables=("t2m", "u")), out=Path("runs/kd-fit/20260315T100100Z-bbbb")
    )
    second.set_status("stopped", started="2026-03-15T10:01:00Z")
    return first, second


def run(capsys, *arguments, code=0):
    assert main(["runs", *arguments]) == code
    return capsys.readouterr()


def test_list_shows_state_start_and_headline(two_runs, capsys):
    lines = run(capsys, "list").out.splitlines()
    assert lines[0].split() == ["run", "state", "started", "headline"]
    assert lines[1].split() == ["kd-fit/20260314T091200Z-aaaa", "finished", "2026-03-14T09:12:00Z", "rmse", "1.25", "K"]
    assert lines[2].split() == ["kd-fit/20260315T100100Z-bbbb", "stopped", "2026-03-15T10:01:00Z", "-"]


def test_list_as_json(two_runs, capsys):
    out, _ = run(capsys, "list", "--json")
    assert [(one["state"], one["headline"]) for one in json.loads(out)["runs"]] == [
        ("finished", {"name": "rmse", "value": 1.25, "units": "K"}),
        ("stopped", None),
    ]


def test_an_empty_root_is_no_error(capsys):
    assert run(capsys, "list").out == "no runs under runs\n"
    assert json.loads(run(capsys, "list", "--json").out) == {"root": "runs", "runs": []}


def test_a_damaged_run_does_not_hide_the_others(two_runs, capsys):
    (two_runs[0].path / "status.json").write_text("{")
    out = run(capsys, "list").out
    assert "damaged" in out and "20260315T100100Z-bbbb" in out


def test_a_run_whose_process_is_gone_was_killed(two_runs, capsys):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    two_runs[0].set_status("running", pid=child.pid)
    two_runs[1].set_status("running", pid=os.getpid())
    states = [one["state"] for one in json.loads(run(capsys, "list", "--json").out)["runs"]]
    assert states == ["killed", "running"]


@pytest.mark.parametrize("name", ["20260314", "kd-fit/20260314T0912", "runs/kd-fit/20260314T091200Z-aaaa"])
def test_show_finds_a_run_by_prefix_or_path(two_runs, capsys, name):
    words = " ".join(run(capsys, "show", name).out.split())
    for part in ("state finished", "headline rmse 1.25 K", "epochs 3", "student gru", "last metrics epoch 2 rmse 1.25"):
        assert part in words
    assert "checkpoints/last.safetensors" in words


def test_show_as_json(two_runs, capsys):
    shown = json.loads(run(capsys, "show", "20260314", "--json").out)
    assert shown["settings"] == {"epochs": 3, "student": "gru", "variables": ["t2m"]}
    assert shown["last_metrics"] == {"epoch": 2, "rmse": 1.25}
    assert shown["environment"]["pipeline"] == "kd"
    assert "settings.toml" in [entry["name"] for entry in shown["files"]]


def test_an_unknown_run_is_suggested(two_runs, capsys):
    err = run(capsys, "show", "20260314T091200Z-aaab", code=2).err
    assert 'no run "20260314T091200Z-aaab" under runs; did you mean "20260314T091200Z-aaaa"?' in err


def test_an_ambiguous_prefix_lists_the_runs(two_runs, capsys):
    err = run(capsys, "show", "202603", code=2).err
    assert '"202603" begins 2 runs: kd-fit/20260314T091200Z-aaaa, kd-fit/20260315T100100Z-bbbb' in err


def test_compare_shows_what_differs(two_runs, capsys):
    lines = [line.split() for line in run(capsys, "compare", "20260314", "20260315").out.splitlines()]
    assert ["epochs", "3", "9"] in lines and ["variables", "t2m", "t2m,u"] in lines
    assert not any(line[0] == "student" for line in lines if line)
    compared = json.loads(run(capsys, "compare", "20260314", "20260315", "--json").out)
    assert compared["differing_settings"] == {"epochs": [3, 9], "variables": [["t2m"], ["t2m", "u"]]}


def test_compare_needs_two(two_runs, capsys):
    assert "one run is no comparison" in run(capsys, "compare", "20260314", code=2).err
    assert "the settings are equal" in run(capsys, "compare", "20260314", "20260314").out


def test_no_framework_is_loaded(two_runs):
    code = (
        "import sys; from sciml.cli.main import main; main(['runs', 'list'])\n"
        "print([m for m in ('numpy', 'torch', 'jax', 'safetensors') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
