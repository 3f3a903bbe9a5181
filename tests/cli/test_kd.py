"""`sciml kd` as a user types it: the whole way on tiny files, exact resume, and bad input."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from safetensors.numpy import load_file

from sciml.pipelines.readers.synthetic import write_kd_files

TINY = [
    "--hidden",
    "4",
    "--epochs",
    "3",
    "--archive-epochs",
    "2",
    "--seeds",
    "1",
    "--workers",
    "1",
    "--batch-size",
    "64",
]


def call(*arguments, folder, **environment):
    """The finished process of `sciml <arguments>` in `folder`."""
    command = [sys.executable, "-m", "sciml.cli", *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300, env={**os.environ, **environment}
    )  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with nwp.nc, obs.nc and one finished run, `run`."""
    folder = tmp_path_factory.mktemp("kd")
    write_kd_files(folder, days=360, stations=2, leads_hours=(24, 48), observed_days=200)
    done = call(
        "kd", "fit", "--teacher", "nwp.nc", "--observations", "obs.nc", *TINY, "--out", "run", "--json", folder=folder
    )
    assert done.returncode == 0, done.stderr
    (folder / "stdout.json").write_text(done.stdout)
    return folder


def weights(path):
    return load_file(path)


def same_weights(a: Path, b: Path) -> bool:
    one, two = weights(a), weights(b)
    return one.keys() == two.keys() and all(np.array_equal(one[n], two[n]) for n in one)


# ---- the whole way


def test_json_is_one_object_and_holds_the_table(home):
    found = json.loads((home / "stdout.json").read_text())
    methods = [row["method"] for row in found["scores"]]
    assert methods[:6] == ["persistence", "climatology", "ar", "nwp", "mos", "mos_ar"] and methods[-1] == "distilled"
    assert found["unit"] == "K" and found["comparison"]["verdict"]["text"]
    assert {row["stage"] for row in found["curves"]} == {"archive", "fit"}
    assert (home / "run" / "report" / "index.html").stat().st_size > 10_000


def test_the_literal_command_needs_no_observations(tmp_path):
    write_kd_files(tmp_path, days=150, stations=1, leads_hours=(24, 48))
    done = call("kd", "fit", "--teacher", "nwp.nc", *TINY, "--no-control", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "stand for observations" in done.stderr and "distilled student" in done.stdout


def test_without_a_file_the_way_on_is_shown(tmp_path):
    done = call("kd", "fit", "--teacher", "nwp.nc", folder=tmp_path)
    assert done.returncode == 3 and "sciml kd data --synthesize" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_synthesize_then_check(tmp_path):
    assert call("kd", "data", "--synthesize", "--days", 90, "--observed-days", 60, folder=tmp_path).returncode == 0
    again = call("kd", "data", "--synthesize", folder=tmp_path)
    assert again.returncode == 2 and "--overwrite" in again.stderr
    facts = json.loads(call("kd", "data", "--observations", "obs.nc", "--json", folder=tmp_path).stdout)
    assert facts["teacher"]["issues"] == 90 and facts["observations"]["pairs"] > 100


def test_a_dry_run_trains_nothing(home):
    done = call("kd", "fit", "--observations", "obs.nc", "--dry-run", "--json", folder=home)
    found = json.loads(done.stdout)
    assert found["parameters"] > 10_000 and found["windows"]["train"] > 50 and "distilled-2" in found["jobs"]


def test_the_stored_settings_repeat_the_run(home):
    done = call("kd", "fit", "-c", "run/settings.toml", "--out", "again", folder=home)
    assert done.returncode == 0, done.stderr
    assert same_weights(home / "run/checkpoints/best.safetensors", home / "again/checkpoints/best.safetensors")


def test_evaluate_repeats_the_held_out_score(home):
    found = json.loads(call("kd", "evaluate", "--model", "run", "--json", folder=home).stdout)
    trained = json.loads((home / "stdout.json").read_text())
    student = found["scores"][-1]["rmse"]
    # evaluate keeps elements that only baselines of the training run lacked
    assert student == pytest.approx(trained["scores"][-1]["rmse"], rel=0.02)


def test_predict_writes_cf_netcdf(home):
    done = call("kd", "predict", "--model", "run", "--to", "forecast.nc", "--start", "2018-11-01", folder=home)
    assert done.returncode == 0, done.stderr
    with xr.open_dataset(home / "forecast.nc", engine="h5netcdf") as ds:
        assert ds["2m_temperature"].dims == ("time", "prediction_timedelta", "station")
        assert ds["2m_temperature"].dtype == np.float32 and ds["2m_temperature"].attrs["units"] == "K"
        assert np.issubdtype(ds.prediction_timedelta.dtype, np.timedelta64) and ds.attrs["Conventions"].startswith("CF")
        assert float(ds["2m_temperature"].mean()) == pytest.approx(285, abs=25)
    again = call("kd", "predict", "--model", "run", "--to", "forecast.nc", folder=home)
    assert again.returncode == 2 and "--overwrite" in again.stderr


@pytest.mark.slow
def test_its_own_forecast_can_teach(home):
    call("kd", "predict", "--model", "run", "--to", "student.nc", "--start", "2018-01-01", folder=home)
    done = call(
        "kd", "fit", "--teacher", "student.nc", "--observations", "obs.nc", *TINY, "--out", "second", folder=home
    )
    assert done.returncode == 0, done.stderr


def test_export_can_be_used_and_teaches(home):
    done = call("kd", "export", "--model", "run", "--to", "model", folder=home)
    assert done.returncode == 0, done.stderr
    assert {"model.safetensors", "config.json", "normalization.json", "README.md"} <= {
        p.name for p in (home / "model").iterdir()
    }
    assert "library_name: sciml" in (home / "model/README.md").read_text()
    moved = call("kd", "predict", "--model", "model", "--observations", "obs.nc", "--to", "moved.nc", folder=home)
    assert moved.returncode == 0, moved.stderr
    hinton = call(
        "kd",
        "fit",
        "--teacher",
        "model",
        "--observations",
        "obs.nc",
        "--schedule",
        "response",
        *TINY,
        "--out",
        "hinton",
        folder=home,
    )
    assert hinton.returncode == 0, hinton.stderr


def test_report_can_be_drawn_again(home):
    page = home / "run/report/index.html"
    page.unlink()
    assert call("kd", "report", "--model", "run", folder=home).returncode == 0 and page.exists()


def test_residual_starts_at_the_corrected_forecast_and_needs_it(home):
    options = [*TINY, "--mode", "residual", "--head", "quantile", "--out", "residual", "--json"]
    done = call("kd", "fit", "--teacher", "nwp.nc", "--observations", "obs.nc", *options, folder=home)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    rmse = {row["method"]: row["rmse"] for row in found["scores"]}
    assert rmse["distilled"] < 0.7 * rmse["alone"]
    assert call("kd", "export", "--model", "residual", "--to", "residual-model", folder=home).returncode == 0
    blind = call(
        "kd", "predict", "--model", "residual-model", "--observations", "obs.nc", "--to", "blind.nc", folder=home
    )
    assert blind.returncode == 2 and "--teacher" in blind.stderr
    scored = json.loads(call("kd", "evaluate", "--model", "residual", "--json", folder=home).stdout)
    assert 0 < scored["scores"][-1]["crps"] < 3 and 0 < scored["scores"][-1]["coverage"] <= 1


# ---- interruption

LONG = [
    "--hidden",
    "8",
    "--epochs",
    "40",
    "--archive-epochs",
    "10",
    "--seeds",
    "2",
    "--batch-size",
    "16",
    "--no-control",
]


def start(folder, out, *extra):
    command = [sys.executable, "-m", "sciml.cli", "kd", "fit", "--observations", "obs.nc", *LONG, "--out", out, *extra]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
    )


def wait_for_rows(path: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.02)
    raise AssertionError(f"{path} never got {count} rows")


def rows(folder: Path) -> list[tuple]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return sorted((r["job"], r["stage"], r["epoch"], r["train_rmse"], r["validation_rmse"], r["steps"]) for r in lines)


@pytest.fixture(scope="module")
def uninterrupted(home):
    process = start(home, "whole", "--workers", "1")
    assert process.wait(300) == 0, process.stderr.read()
    return home / "whole"


@pytest.mark.parametrize(
    ("number", "workers"),
    [
        (signal.SIGTERM, 1),
        (signal.SIGKILL, 2),
        pytest.param(signal.SIGKILL, 1, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 2, marks=pytest.mark.slow),
    ],
)
def test_a_stopped_run_continues_to_the_same_bits(home, uninterrupted, number, workers):
    out = f"stopped-{int(number)}-{workers}"
    process = start(home, out, "--workers", str(workers))
    wait_for_rows(home / out / "metrics.jsonl", 60)
    process.send_signal(number)
    code = process.wait(60)
    status = json.loads((home / out / "status.json").read_text())
    if number == signal.SIGTERM:
        assert code == 143 and status["state"] == "stopped" and "--resume" in process.stderr.read()
    done = call("kd", "fit", "--resume", out, folder=home)
    assert done.returncode == 0, done.stderr
    for name in sorted(p.name for p in (uninterrupted / "checkpoints").iterdir()):
        assert same_weights(uninterrupted / "checkpoints" / name, home / out / "checkpoints" / name), name
    assert rows(home / out) == rows(uninterrupted)


def test_no_worker_outlives_a_killed_parent(home):
    process = start(home, "orphans", "--workers", "2")
    wait_for_rows(home / "orphans" / "metrics.jsonl", 5)
    children = [int(p) for p in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    assert len(children) >= 2
    process.kill()
    process.wait(30)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and any(Path(f"/proc/{pid}").exists() for pid in children):
        time.sleep(0.2)
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def test_a_resumed_run_keeps_its_settings(home):
    done = call("kd", "fit", "--resume", "run", "--hidden", "7", folder=home)
    assert done.returncode == 2 and "hidden" in done.stderr and "4" in done.stderr and "7" in done.stderr


def test_time_is_up_then_resumed(home):
    done = call(
        "kd",
        "fit",
        "--observations",
        "obs.nc",
        *LONG,
        "--max-minutes",
        "0.001",
        "--out",
        "timed",
        "--workers",
        "1",
        folder=home,
    )
    assert done.returncode == 0 and "--resume" in done.stderr
    assert json.loads((home / "timed/status.json").read_text())["state"] == "stopped"


def test_two_processes_train_to_the_same_losses(home):
    options = ["kd", "fit", "--observations", "obs.nc", *TINY, "--out"]
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "sciml.cli",
        *options,
        "pair",
    ]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
    assert done.returncode == 0, done.stderr
    one, two = rows(home / "run"), rows(home / "pair")
    assert [r[:3] for r in one] == [r[:3] for r in two]
    np.testing.assert_allclose([r[3:5] for r in two], [r[3:5] for r in one], rtol=1e-4)


# ---- bad input: file, variable, time and way out are named; exit 2 or 3; nothing is left half done


def table(home) -> pd.DataFrame:
    with xr.open_dataset(home / "obs.nc", engine="h5netcdf") as ds:
        frame = ds["2m_temperature"].to_dataframe().reset_index()[["time", "station", "2m_temperature"]]
    return frame.rename(columns={"time": "valid_time", "2m_temperature": "t2m"})


def nwp(home) -> xr.Dataset:
    with xr.open_dataset(home / "nwp.nc", engine="h5netcdf") as ds:
        return ds.load()


def in_other_years(frame):
    frame["valid_time"] += pd.Timedelta(days=5000)
    return frame


def with_mixed_zones(frame):
    text = frame["valid_time"].dt.strftime("%Y-%m-%dT%H:%M")
    frame["valid_time"] = [t + ("+09:00" if n % 2 else "") for n, t in enumerate(text)]
    return frame


def doubled(frame):
    return pd.concat([frame, frame.iloc[:3]])


def in_celsius_without_saying(frame):
    return frame.assign(t2m=frame["t2m"] - 273.15)


def misspelt(frame):
    names = sorted(set(frame["station"]))
    return frame.assign(station=frame["station"].replace(names[0], names[0][:-1] + "x" + names[0][-1]))


def another_quantity(frame):
    return frame.rename(columns={"t2m": "power"}).assign(power=lambda f: f["power"] / 400)


BAD_TABLES = {
    in_other_years: (3, ["share no valid time", "2018"]),
    with_mixed_zones: (3, ["valid_time", "zone"]),
    doubled: (3, ["more than once", "2018"]),
    in_celsius_without_saying: (3, ["Kelvin against Celsius", "--units"]),
    another_quantity: (2, ["another quantity", "--operator isotonic"]),
}


@pytest.mark.parametrize("spoil", BAD_TABLES, ids=lambda f: f.__name__)
def test_bad_observations(home, tmp_path, spoil):
    code, words = BAD_TABLES[spoil]
    spoil(table(home)).to_csv(tmp_path / "obs.csv", index=False)
    done = call("kd", "fit", "--teacher", home / "nwp.nc", "--observations", "obs.csv", *TINY, folder=tmp_path)
    assert done.returncode == code, done.stderr
    assert "obs.csv" in done.stderr and all(word in done.stderr for word in words), done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "runs").exists()


def test_a_misspelt_station_is_named(home, tmp_path):
    misspelt(table(home)).to_csv(tmp_path / "obs.csv", index=False)
    done = call("kd", "data", "--teacher", home / "nwp.nc", "--observations", "obs.csv", folder=tmp_path)
    assert "Traceback" not in done.stderr
    assert "x" in done.stdout + done.stderr and "obs.csv" in done.stdout + done.stderr


def test_the_stated_unit_is_the_way_out(home, tmp_path):
    in_celsius_without_saying(table(home)).to_csv(tmp_path / "obs.csv", index=False)
    facts = call(
        "kd",
        "data",
        "--teacher",
        home / "nwp.nc",
        "--observations",
        "obs.csv",
        "--units",
        "t2m=degC",
        "--json",
        folder=tmp_path,
    )
    assert facts.returncode == 0, facts.stderr


def spoiled_files(home, folder):
    whole = (home / "nwp.nc").read_bytes()
    ds = nwp(home)
    return {
        "missing.nc": None,
        "empty.nc": b"",
        "truncated.nc": whole[: len(whole) // 3],
        "page.nc": b"<!DOCTYPE html><html><body>404</body></html>",
        "pointer.nc": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n",
        "repeated.nc": xr.concat([ds.isel(time=slice(0, 50)), ds.isel(time=slice(0, 50))], "time"),
        "nothing.nc": ds.assign({"2m_temperature": ds["2m_temperature"] * np.nan}),
        "constant.nc": ds.assign(
            {"2m_temperature": (ds["2m_temperature"] * 0 + 280).assign_attrs(ds["2m_temperature"].attrs)}
        ),
    }


NAMES = ("missing.nc", "empty.nc", "truncated.nc", "page.nc", "pointer.nc", "repeated.nc", "nothing.nc", "constant.nc")


@pytest.mark.parametrize("name", NAMES)
def test_bad_teachers(home, tmp_path, name):
    content = spoiled_files(home, tmp_path)[name]
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        content.to_netcdf(tmp_path / name, engine="h5netcdf")
    done = call("kd", "fit", "--teacher", name, "--observations", home / "obs.nc", *TINY, folder=tmp_path)
    assert done.returncode == 3, done.stderr
    assert name in done.stderr and "Traceback" not in done.stderr and not (tmp_path / "runs").exists()


BAD_OPTIONS = {
    "horizon": (["--horizon", "9"], 2, "holds 2 leads"),
    "station": (["--stations", "Seol"], 2, "no station"),
    "target": (["--target", "t2n"], 2, "t2n"),
    "cuda": (["--device", "cuda:7"], 5, "CUDA"),
    "device": (["--device", "tpu"], 2, "expected auto"),
    "epochs": (["--epochs", "0"], 2, "greater than 0"),
    "number": (["--epochs", "many"], 2, "an integer"),
    "schedule": (["--schedule", "archiv"], 2, "archive"),
    "option": (["--epoch", "3"], 2, "--epochs"),
    "split": (["--split", "0.5,0.5"], 2, "three positive fractions"),
    "config": (["-c", "missing.toml"], 3, "missing.toml"),
    "both": (["--resume", "a", "--init-from", "b"], 2, "exclude each other"),
    "residual": (["--mode", "residual", "--schedule", "joint"], 2, "residual"),
}


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_bad_options(home, tmp_path, name):
    options, code, words = BAD_OPTIONS[name]
    done = call("kd", "fit", "--teacher", home / "nwp.nc", "--observations", home / "obs.nc", *options, folder=tmp_path)
    if name == "cuda" and "device cuda" in done.stderr:
        pytest.skip("this machine has eight CUDA devices")
    assert done.returncode == code, done.stderr
    assert words in done.stderr and "Traceback" not in done.stderr and not (tmp_path / "runs").exists()


def test_a_run_is_never_overwritten(home):
    done = call("kd", "fit", "--observations", "obs.nc", *TINY, "--out", "run", folder=home)
    assert done.returncode == 2 and "--resume" in done.stderr
