"""Runs of `sciml kd fit` that are killed, stopped or timed out continue to the bits of one that never was."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

LONG = (
    "--hidden", "4", "--epochs", "10", "--archive-epochs", "5", "--seeds", "1", "--batch-size", "16", "--no-control", "--threads", "1",
)  # fmt: skip
# A command that may use several processes starts them early: refused, it leaves one that imports torch to the next test.
ALONE = ("--workers", "1")
# Checkpoints after every epoch instead of every 20 s; spawned workers import this file, too.
EAGER = """
import sys
import sciml.pipelines.kd.train as train
train.SAVE_SECONDS = 0.0
if __name__ == "__main__":
    from sciml.cli.main import main
    sys.exit(main())
"""


def start(home, out, *extra) -> subprocess.Popen:
    script = home / "eager.py"
    script.write_text(EAGER)
    line = [sys.executable, script, "kd", "fit", "--observations", "obs.nc", *LONG, "--out", out, *extra]
    return subprocess.Popen(
        line, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
    )


def wait_for_rows(path: Path, count: int, process) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.005)
    raise AssertionError(f"{path} never got {count} rows: {process.stderr.read()}")


def rows(folder: Path) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return sorted(
        ({k: v for k, v in row.items() if k != "cpu_seconds"} for row in lines),
        key=lambda r: (r["job"], r["stage"], r["epoch"]),
    )


def assert_same_run(folder: Path, whole: Path) -> None:
    names = sorted(path.name for path in (whole / "checkpoints").iterdir())
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == names
    for name in names:
        one, two = load_file(whole / "checkpoints" / name), load_file(folder / "checkpoints" / name)
        assert one.keys() == two.keys() and all(np.array_equal(one[n], two[n]) for n in one), name
    assert rows(folder) == rows(whole)
    scores = [json.loads((run / "results.json").read_text())["scores"] for run in (folder, whole)]
    assert scores[0] == scores[1]
    assert json.loads((folder / "status.json").read_text())["state"] == "finished"


def alive(pids: list[int]) -> list[int]:
    """Those that still run; a dead one that nobody has waited for is no longer running."""
    found = []
    for pid in pids:
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z":
            found.append(pid)
    return found


def descendants(pid: int) -> list[int]:
    """Children of a process, their children and so on."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    children = [int(child) for child in listed.read_text().split()] if listed.exists() else []
    return children + [one for child in children for one in descendants(child)]


@pytest.fixture(scope="module")
def whole(home, command):
    done = command("kd", "fit", "--observations", "obs.nc", *LONG, *ALONE, "--out", "whole", folder=home)
    assert done.returncode == 0, done.stderr
    return home / "whole"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
@pytest.mark.parametrize(
    ("number", "workers"),
    [
        (signal.SIGKILL, 2),
        (signal.SIGTERM, 1),
        pytest.param(signal.SIGKILL, 1, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 2, marks=pytest.mark.slow),
    ],
)
def test_a_stopped_run_continues_to_the_same_bits(home, command, whole, number, workers):
    out = f"stopped-{int(number)}-{workers}"
    process = start(home, out, "--workers", str(workers))
    wait_for_rows(home / out / "metrics.jsonl", len(rows(whole)) // 2, process)
    pids = descendants(process.pid)
    assert workers == 1 or len(pids) >= 2 + 1  # and the server they are forked from
    process.send_signal(number)
    code, said = process.wait(60), process.stderr.read()
    if number == signal.SIGTERM:
        assert code == 143 and f"--resume {out}" in said and "Traceback" not in said
        assert json.loads((home / out / "status.json").read_text())["state"] == "stopped"
    deadline = time.monotonic() + 8
    while alive(pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(pids), "a worker outlived its parent"
    assert not (home / out / "results.json").exists()
    done = command("kd", "fit", "--resume", out, folder=home)
    assert done.returncode == 0, done.stderr
    assert_same_run(home / out, whole)


@pytest.mark.slow
def test_ctrl_c_reaches_workers_that_still_start(home):
    """A terminal sends SIGINT to every process: none may show a traceback, and the run counts as stopped."""
    out = "interrupted"
    line = [
        sys.executable,
        "-m",
        "sciml.cli",
        "kd",
        "fit",
        "--observations",
        "obs.nc",
        *LONG,
        "--workers",
        "2",
        "--out",
        out,
    ]
    process = subprocess.Popen(
        line, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 60
    status = home / out / "status.json"
    while time.monotonic() < deadline and not (status.exists() and "workers" in status.read_text()):
        time.sleep(0.005)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    code, said = process.wait(60), process.stderr.read()
    assert code == 130 and "Traceback" not in said and f"--resume {out}" in said
    assert json.loads(status.read_text())["state"] == "stopped"


def test_time_is_up_then_resumed(home, command, whole):
    line = ("kd", "fit", "--observations", "obs.nc", *LONG, *ALONE, "--out", "timed")
    done = command(*line, "--max-minutes", "0.004", "--json", folder=home)
    assert done.returncode == 0 and "--resume timed" in done.stderr
    assert json.loads(done.stdout)["status"]["state"] == "stopped"
    done = command("kd", "fit", "--resume", "timed", *ALONE, "--max-minutes", "5", folder=home)
    assert done.returncode == 0, done.stderr
    assert_same_run(home / "timed", whole)


def test_resuming_a_finished_run_changes_nothing(home, command, whole):
    shutil.copytree(whole, home / "finished")
    assert command("kd", "fit", "--resume", "finished", *ALONE, folder=home).returncode == 0
    assert_same_run(home / "finished", whole)


@pytest.mark.parametrize(
    ("option", "words"),
    [(("--hidden", "7"), "the run has 4, now 7"), (("--epochs", "99"), "the run has 3, now 99"),
     (("--observations", "other.nc"), "the run has obs.nc, now other.nc")],
)  # fmt: skip
def test_a_resumed_run_keeps_its_settings(home, command, option, words):
    done = command("kd", "fit", "--resume", "run", *option, *ALONE, folder=home)
    assert done.returncode == 2 and option[0] in done.stderr and words in done.stderr


def test_a_resumed_run_keeps_its_files(home, command, tmp_path):
    for name in ("nwp.nc", "obs.nc"):
        shutil.copy(home / name, tmp_path)
    shutil.copytree(home / "run", tmp_path / "run")
    (tmp_path / "obs.nc").write_bytes((tmp_path / "obs.nc").read_bytes() + b" ")
    done = command("kd", "fit", "--resume", "run", *ALONE, folder=tmp_path)
    assert done.returncode == 3 and "obs.nc: has changed" in done.stderr
    (tmp_path / "obs.nc").unlink()
    done = command("kd", "fit", "--resume", "run", *ALONE, folder=tmp_path)
    assert done.returncode == 3 and "obs.nc" in done.stderr and "Traceback" not in done.stderr


def test_a_run_from_given_weights_can_be_resumed(home, command):
    line = ("kd", "fit", "--observations", "obs.nc", *LONG, *ALONE, "--init-from", "run", "--out", "begun")
    done = command(*line, "--max-minutes", "0.001", folder=home)
    assert done.returncode == 0 and "--resume begun" in done.stderr, done.stderr
    done = command("kd", "fit", "--resume", "begun", *ALONE, "--max-minutes", "5", folder=home)
    assert done.returncode == 0, done.stderr
    assert json.loads((home / "begun/status.json").read_text())["state"] == "finished"


def test_what_cannot_be_resumed(home, command):
    for name in ("nothing", "obs.nc", "."):
        done = command("kd", "fit", "--resume", name, *ALONE, folder=home)
        assert done.returncode == 3 and name in done.stderr and "Traceback" not in done.stderr
