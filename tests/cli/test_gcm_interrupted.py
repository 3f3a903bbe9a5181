"""Rollouts that are killed, stopped, timed out or out of disk keep every frame, and continue to the same bits."""

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
import xarray as xr
from safetensors.numpy import load_file

LINE = (
    "gcm", "rollout", "--days", "2", "--truncation", "T21", "--levels", "4", "--every-hours", "1", "--step-minutes", "10",
    "--output-levels", "500,850", "--no-report",
)  # fmt: skip


def start(folder: Path, *extra: str, before: tuple[str, ...] = ()) -> subprocess.Popen:
    return subprocess.Popen(
        [*before, sys.executable, "-m", "sciml.cli", *LINE, *extra], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=200)
    return process.returncode, out, err


@pytest.fixture
def resume(run_here, monkeypatch):
    """`resume(folder, "run", ...)` -> (exit code, stdout, stderr), in this process: the run began in another one."""

    def run(folder: Path, run: str, *extra: str) -> tuple[int, str, str]:
        monkeypatch.chdir(folder)
        return run_here("rollout", "--resume", run, *extra)

    return run


def wait_for_frames(path: Path, count: int, process: subprocess.Popen) -> None:
    """The number of committed frames stands at byte 4 of the running file."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if path.exists() and int.from_bytes(path.read_bytes()[4:8], "big") >= count:
            return
        time.sleep(0.002)
    raise AssertionError(f"{path} never had {count} frames: {process.communicate()[1]}")


def assert_same(one: Path, two: Path) -> None:
    """Frames, last state and metrics are equal to the bit."""
    with xr.open_dataset(one / "rollout.nc") as a, xr.open_dataset(two / "rollout.nc") as b:
        xr.testing.assert_equal(a.load(), b.load())
    a, b = (load_file(run / "checkpoints/last.safetensors") for run in (one, two))
    assert a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
    assert (one / "metrics.jsonl").read_text() == (two / "metrics.jsonl").read_text()
    results = [json.loads((run / "results.json").read_text()) for run in (one, two)]
    assert results[0]["drift"] == results[1]["drift"] and results[0]["spectra"] == results[1]["spectra"]
    assert not list(two.rglob("*.tmp"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    code, _, err = finish(start(folder, "--out", "run"))
    assert code == 0, err
    return folder / "run"


@pytest.mark.parametrize("frames", [pytest.param(1, marks=pytest.mark.slow), 20])
def test_kill_9_keeps_every_frame_and_resumes_to_the_same_bits(tmp_path, whole, frames, resume):
    process = start(tmp_path, "--out", "run")
    wait_for_frames(tmp_path / "run/rollout.nc", frames, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with xr.open_dataset(tmp_path / "run/rollout.nc") as ds, xr.open_dataset(whole / "rollout.nc") as wanted:
        kept = ds.sizes["prediction_timedelta"]
        assert kept >= frames
        xr.testing.assert_equal(ds.load(), wanted.isel(prediction_timedelta=slice(kept)).load())
    code, _, err = resume(tmp_path, "run")
    assert code == 0, err
    assert_same(whole, tmp_path / "run")


def test_sigterm_finishes_the_step_and_leaves_a_checkpoint(tmp_path, whole, resume):
    process = start(tmp_path, "--out", "run")
    wait_for_frames(tmp_path / "run/rollout.nc", 5, process)
    process.send_signal(signal.SIGTERM)
    code, _, err = finish(process)
    assert code == 143 and "--resume run" in err and "Traceback" not in err, err
    assert json.loads((tmp_path / "run/status.json").read_text())["state"] == "stopped"
    code, _, err = resume(tmp_path, "run")
    assert code == 0, err
    assert_same(whole, tmp_path / "run")


@pytest.mark.slow
def test_time_is_up_then_resumed(tmp_path, whole, resume):
    code, out, err = finish(start(tmp_path, "--out", "run", "--max-minutes", "0.001", "--json"))
    assert code == 0 and json.loads(out)["status"]["state"] == "stopped" and "--resume run" in err, err
    code, _, err = resume(tmp_path, "run", "--max-minutes", "5")
    assert code == 0, err
    assert_same(whole, tmp_path / "run")


@pytest.mark.slow
def test_a_finished_run_is_extended(tmp_path, whole, resume):
    """The frames are those of one long run."""
    code, _, err = finish(start(tmp_path, "--out", "run", "--days", "1"))
    assert code == 0, err
    code, _, err = resume(tmp_path, "run", "--days", "2")
    assert code == 0, err
    with xr.open_dataset(tmp_path / "run/rollout.nc") as a, xr.open_dataset(whole / "rollout.nc") as b:
        xr.testing.assert_equal(a.load(), b.load())
    code, _, err = resume(tmp_path, "run", "--days", "1")
    assert code == 2 and "only be extended" in err


def test_resuming_a_finished_run_changes_nothing(tmp_path, whole, resume):
    shutil.copytree(whole, tmp_path / "run")
    code, _, err = resume(tmp_path, "run")
    assert code == 0 and "has all its frames" in err, err
    assert (tmp_path / "run/rollout.nc").read_bytes() == (whole / "rollout.nc").read_bytes()
    assert_same(whole, tmp_path / "run")


@pytest.mark.slow
def test_a_full_disk_keeps_the_frames_and_says_where(tmp_path, whole, resume):
    """A limit on the size of files stands for the disk."""
    limit = 390 * 1024
    # a shell sets it: code between fork and exec may hang where JAX has threads
    limited = ("bash", "-c", f'ulimit -f {limit // 1024}; exec "$@"', "bash")
    code, _, err = finish(start(tmp_path, "--out", "run", before=limited))
    assert code == 3 and "run/rollout.nc" in err and "frames are kept" in err and "--resume" in err, err
    assert "Traceback" not in err and (tmp_path / "run/rollout.nc").stat().st_size <= limit
    with xr.open_dataset(tmp_path / "run/rollout.nc") as ds, xr.open_dataset(whole / "rollout.nc") as wanted:
        kept = ds.sizes["prediction_timedelta"]
        assert kept >= 2
        xr.testing.assert_equal(ds.load(), wanted.isel(prediction_timedelta=slice(kept)).load())
    assert json.loads((tmp_path / "run/status.json").read_text())["state"] == "failed"
    code, _, err = resume(tmp_path, "run")
    assert code == 0, err
    assert_same(whole, tmp_path / "run")


@pytest.mark.parametrize(
    ("option", "words"),
    [(("--levels", "9"), "the run has 4, now 9"), (("--truncation", "T31"), "the run has T21, now T31"),
     (("--seed", "3"), "the run has 0, now 3")],
)  # fmt: skip
def test_a_resumed_run_keeps_its_settings(whole, option, words, resume):
    code, _, err = resume(whole.parent, "run", *option)
    assert code == 2 and words in err


def test_a_run_whose_frames_are_gone(tmp_path, whole, resume):
    shutil.copytree(whole, tmp_path / "run")
    os.unlink(tmp_path / "run/rollout.nc")
    code, _, err = resume(tmp_path, "run", "--days", "3")
    assert code == 3 and "rollout.nc" in err and "Traceback" not in err
