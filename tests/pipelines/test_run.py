"""The run folder: never overwritten, readable after a crash, continued only with the same settings."""

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from sciml.pipelines.errors import DataError, SettingsError, Stopped
from sciml.pipelines.run import Run, StopRequests, check_unchanged, find_runs
from sciml.pipelines.settings import resolve, setting


@dataclasses.dataclass(frozen=True)
class Fit:
    epochs: int = setting(3, "passes over the training set")
    fractions: tuple[float, ...] = setting((0.7, 0.3), "split")
    teacher: Path | None = setting(None, "forecast file")
    limit: int | None = setting(5, "windows at most")
    out: Path | None = setting(None, "run folder")
    resume: Path | None = setting(None, "run to continue")


@pytest.fixture
def run():
    return Run.create("kd", "fit", Fit(), seeds=[7])


def test_create_writes_what_is_needed_to_repeat_the_run(tmp_path):
    nwp = tmp_path / "nwp.nc"
    nwp.write_bytes(b"forecast")
    settings = Fit(epochs=4, teacher=nwp, out=Path("elsewhere"))
    run = Run.create("kd", "fit", settings, inputs={"teacher": nwp}, device="cpu", seeds=[1, 2])
    assert run.path.parent == Path("runs/kd-fit")
    assert run.name.startswith("kd-fit/2") and len(run.path.name) == len("20260314T091200Z-1f3a")
    # settings.toml repeats the computation, in a folder of its own
    assert resolve(Fit, {}, run.path / "settings.toml") == dataclasses.replace(settings, out=None)
    facts = run.environment()
    assert (facts["pipeline"], facts["verb"], facts["device"], facts["seeds"]) == ("kd", "fit", "cpu", [1, 2])
    assert facts["versions"]["numpy"] == np.__version__
    assert facts["inputs"]["teacher"] == {
        "path": str(nwp),
        "bytes": 8,
        "sha256": hashlib.sha256(b"forecast").hexdigest(),
    }
    assert run.status()["state"] == "running"


def test_a_folder_is_fingerprinted_by_its_files(tmp_path):
    store = tmp_path / "nwp.zarr"
    (store / "t2m").mkdir(parents=True)
    (store / "t2m" / "0").write_bytes(b"abc")

    def sha():
        run = Run.create("kd", "fit", Fit(), inputs={"teacher": store})
        assert run.environment()["inputs"]["teacher"]["bytes"] == 3
        return run.environment()["inputs"]["teacher"]["sha256"]

    first = sha()
    assert sha() == first
    (store / "t2m" / "0").write_bytes(b"abd")
    assert sha() != first


def test_missing_input_is_named_before_a_folder_is_made():
    with pytest.raises(DataError, match="absent.nc"):
        Run.create("kd", "fit", Fit(), inputs={"teacher": Path("absent.nc")})
    assert not Path("runs").exists()


def test_a_run_is_never_overwritten(run):
    with pytest.raises(SettingsError, match="never overwritten") as caught:
        Run.create("kd", "fit", Fit(), out=run.path)
    assert f"--resume {run.path}" in caught.value.hint
    Path("empty").mkdir()
    assert Run.create("kd", "fit", Fit(), out=Path("empty")).path == Path("empty")
    Path("file").touch()
    with pytest.raises(SettingsError, match="file: holds something"):
        Run.create("kd", "fit", Fit(), out=Path("file"))


def test_an_impossible_folder_is_a_data_error():
    Path("file").touch()
    with pytest.raises(DataError, match="cannot make the run folder"):
        Run.create("kd", "fit", Fit(), out=Path("file/below"))


def test_two_runs_in_one_second_get_two_folders():
    assert len({Run.create("kd", "fit", Fit()).path for _ in range(5)}) == 5


def test_resume_names_what_is_missing(run):
    with pytest.raises(DataError, match="nowhere: no such run folder"):
        Run.resume(Path("nowhere"))
    (run.path / "status.json").unlink()
    with pytest.raises(DataError, match="it has no status.json"):
        Run.resume(run.path)


def test_checkpoint_reads_back_exactly(run):
    tensors = {
        "weight": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "step": np.int64(7),
        "mask": np.array([True, False]),
        "empty": np.zeros((0, 4)),
        "half": np.float16([1.5]),
    }
    path = run.save("last", tensors, {"epoch": np.int64(2), "best": float("inf"), "name": "é"})
    assert path == run.path / "checkpoints" / "last.safetensors"
    read, header = run.load("last")
    assert header == {"epoch": 2, "best": float("inf"), "name": "é"}
    for name, value in tensors.items():
        np.testing.assert_array_equal(read[name], value)
        assert read[name].dtype == value.dtype and read[name].shape == value.shape
    assert run.load("best") is None


def test_a_torn_save_leaves_the_old_checkpoint(run, monkeypatch):
    run.save("last", {"w": np.ones(3)}, {"step": 1})

    def killed(source, target):
        raise SystemExit("as kill -9 would, before the rename")

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(os, "replace", killed)
        run.save("last", {"w": np.zeros(3)}, {"step": 2})
    leftover = run.path / "checkpoints" / "last.safetensors.tmp"
    assert leftover.exists()
    again = Run.resume(run.path)
    assert not leftover.exists()
    assert again.load("last")[1] == {"step": 1}


KILLED = """
import numpy as np
from pathlib import Path
from sciml.pipelines.run import Run
run = Run(Path("killed"))
step = 0
while True:
    step += 1
    run.save("last", {"w": np.full(200_000, step)}, {"step": step})
    if step == 2:
        print("ready", flush=True)
"""


def test_kill_9_while_saving_leaves_a_whole_checkpoint():
    run = Run.create("kd", "fit", Fit(), out=Path("killed"))
    process = subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    time.sleep(0.05)
    process.kill()
    process.wait()
    process.stdout.close()
    tensors, header = Run.resume(run.path).load("last")
    assert header["step"] >= 2 and set(tensors["w"]) == {header["step"]}


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-10], lambda data: data[:4], lambda data: b"", lambda data: b"<html>"]
)
def test_damaged_checkpoint_is_named(run, damage):
    path = run.save("last", {"w": np.ones(30)}, {})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match="last.safetensors: not a whole safetensors file"):
        run.load("last")


def test_foreign_checkpoint_is_named(run):
    from safetensors.numpy import save_file

    path = run.save("last", {"w": np.ones(3)}, {})
    save_file({"w": np.ones(3)}, path)
    with pytest.raises(DataError, match="not one that sciml wrote"):
        run.load("last")


def test_a_full_disk_is_a_data_error_and_leaves_no_leftover(run, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space left on device") as caught:
        run.save("last", {"w": np.ones(3)}, {})
    assert "GB are free" in caught.value.hint
    assert not list(run.path.rglob("*.tmp"))


def test_metrics_tolerate_a_torn_last_line(run):
    run.metrics(epoch=1, rmse=np.float32(0.5), skill=float("nan"))
    run.metrics(epoch=2, rmse=0.25)
    path = run.path / "metrics.jsonl"
    with open(path, "a") as file:
        file.write('{"epoch": 3, "rm')
    assert run.read_metrics() == [{"epoch": 1, "rmse": 0.5, "skill": None}, {"epoch": 2, "rmse": 0.25}]
    again = Run.resume(run.path)
    again.metrics(epoch=3)
    assert [row["epoch"] for row in again.read_metrics()] == [1, 2, 3]


def test_metrics_damaged_in_the_middle_are_an_error(run):
    (run.path / "metrics.jsonl").write_text('{"epoch": 1}\nnonsense\n{"epoch": 2}\n')
    with pytest.raises(DataError, match="metrics.jsonl: line 2 is not JSON"):
        run.read_metrics()


def test_keep_metrics_drops_what_a_resumed_run_does_again(run):
    for epoch in (1, 2, 3):
        run.metrics(epoch=epoch)
    run.keep_metrics(lambda row: row["epoch"] <= 2)
    assert run.read_metrics() == [{"epoch": 1}, {"epoch": 2}]


def test_rows_from_threads_stay_whole(run):
    def write(number):
        for row in range(50):
            run.metrics(thread=number, row=row, text="x" * 200)
            run.set_status("running", row=row)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(run.read_metrics()) == 200
    assert run.status()["row"] == 49


def test_status_keeps_earlier_fields(run):
    run.set_status("running", epoch=1)
    run.set_status("finished", rmse=float("inf"))
    status = run.status()
    assert (status["state"], status["epoch"], status["rmse"]) == ("finished", 1, None)
    assert status["started"] == run.environment()["created"]
    with pytest.raises(ValueError, match='state "done" is not one of'):
        run.set_status("done")


def test_json_files_are_strict_json(run):
    run.write_json("results.json", {"a": np.arange(2), "b": float("nan"), "c": Path("x"), "d": (1, None), 3: True})
    assert run.read_json("results.json") == {"a": [0, 1], "b": None, "c": "x", "d": [1, None], "3": True}
    assert run.read_json("absent.json") is None
    (run.path / "results.json").write_text("{")
    with pytest.raises(DataError, match="results.json: not JSON"):
        run.read_json("results.json")


def test_log_is_one_line_a_message(run):
    run.log("first\nsecond")
    (line,) = (run.path / "log.txt").read_text().splitlines()
    stamp, message = line.split(" ", 1)
    assert stamp.endswith("Z") and message == "first second"


def test_find_runs_sorts_by_start_and_skips_other_folders(run):
    later = Run.create("kd", "predict", Fit())
    later.set_status("finished", started="2999-01-01T00:00:00Z")
    Path("runs/kd-fit/other").mkdir()
    Path("runs/kd-fit/other/status.json").write_text("{}")
    assert [found.path for found in find_runs()] == [run.path, later.path]
    assert [found.path for found in find_runs(run.path)] == [run.path]
    assert find_runs(Path("nowhere")) == []


def test_resume_keeps_the_settings(run):
    stored = run.settings()
    same = {"epochs": 3, "fractions": (0.7, 0.3), "limit": 5, "teacher": None}
    check_unchanged(stored, same, set())
    with pytest.raises(SettingsError) as caught:
        check_unchanged(stored, {"epochs": 9, "fractions": (0.8, 0.2), "limit": 6}, {"epochs"})
    assert str(caught.value).splitlines()[1:] == [
        "  --fractions: the run has [0.7, 0.3], now [0.8, 0.2]",
        "  --limit: the run has 5, now 6",
    ]
    assert "--init-from" in caught.value.hint and "may change: --epochs" in caught.value.hint


def test_none_in_the_run_equals_none_typed():
    run = Run.create("kd", "fit", Fit(limit=None))
    check_unchanged(run.settings(), {"limit": None}, set())
    with pytest.raises(SettingsError, match="--limit: the run has none, now 5"):
        check_unchanged(run.settings(), {"limit": 5}, set())


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_request_waits_for_the_end_of_the_step(signum, code):
    before = signal.getsignal(signum)
    with StopRequests() as stop:
        stop.check("not yet")
        os.kill(os.getpid(), signum)
        assert stop.signum == signum
        with pytest.raises(Stopped, match="stopped after step 3") as caught:
            stop.check("stopped after step 3", hint="sciml kd fit --resume runs/x")
    assert caught.value.exit_code == code
    assert signal.getsignal(signum) is before


def test_a_second_sigint_interrupts_at_once():
    with pytest.raises(KeyboardInterrupt), StopRequests():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)


def test_outside_the_main_thread_nothing_is_installed():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def work():
        with StopRequests() as stop:
            seen.append((stop.signum, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(None, before)]


def test_run_module_loads_no_array_framework():
    code = "import sys, sciml.pipelines.run; print([m for m in ('numpy', 'safetensors', 'torch') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_environment_is_plain_json(run):
    json.loads((run.path / "environment.json").read_text())
